//! Client-server distribution, the swarm's rival: one server sends the same file to every client.
//!
//! ALPN `peerbed-fetch/1`. The client opens one bidirectional stream and writes one [`Get`] as a frame; the server writes
//! the file's bytes from there on, in order, and finishes the stream.

mod client;
mod message;
mod server;

pub use self::client::{FetchClient, FetchClientOptions, FetchClientStats, FetchEvent, FetchOutput};
pub use self::message::Get;
pub use self::server::{FetchServer, FetchServerOptions, FetchServerStats, GetAnswer, RefusedGet};
