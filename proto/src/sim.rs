//! A discrete-event network for the cores: virtual time, access links with a rate and a queue in each direction, and
//! paths between them that delay, lose and part. The same seed and calls give the same run.
//!
//! The network moves packets of any kind between nodes; what they mean is the harness's. `sim/simulation.rs` drives any
//! kind of core that has the usual verbs; `sim/swarm.rs` is the harness for swarm cores, `sim/ring.rs` for ring nodes.

mod network;
mod paths;
pub mod ring;
mod schedule;
mod simulation;
pub mod swarm;

pub use self::network::{Happening, Link, Network, NodeId, Priority};
pub use self::paths::{Fate, Latency, Paths};
pub use self::simulation::{Node, NodeOutput, Simulation};
