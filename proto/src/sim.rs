//! A discrete-event network for the cores: virtual time, access links with a rate and a queue in each direction, and
//! nothing random of its own. The same calls give the same run.
//!
//! The network moves packets of any kind between nodes; what they mean is the harness's. `sim/swarm.rs` is the one for
//! swarm cores. Loss and reordering are not modelled: what runs above QUIC never sees them.

mod network;
pub mod swarm;

pub use self::network::{Happening, Link, Network, NodeId, Priority};
