//! Drivers of client-server distribution, the swarm's rival. The cores are in `peerbed_proto::fetch`.

pub(crate) mod client;
pub(crate) mod server;
