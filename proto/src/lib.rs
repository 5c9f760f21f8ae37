//! Peerbed's overlay protocols as pure state machines.
//!
//! Nothing here reads a clock, the operating system's randomness, a socket or a file: a driver (the peer process, the
//! simulator, a test, a fuzzer) tells a core what happened and when, and performs what the core asks for.
//!
//! # The convention all cores follow
//!
//! - Inputs are methods `handle_*(&mut self, now: Time, …)`. `now` never goes back between two calls.
//! - After every input the driver calls `poll_output` until it returns `None` and performs each output in that order.
//! - Then it asks `poll_timeout`: the earliest deadline and what it is for. When the deadline has come and no input came
//!   first, the driver calls `handle_timeout(now)`. An early or late call is harmless.
//! - `stats()` returns plain counters that only grow.
//! - Same seed and same inputs give the same outputs; no `HashMap` is ever iterated.
//! - Bad input from the network is dropped and counted, never a panic; every queue has a documented limit.

pub mod bits;
pub mod content;
pub mod fetch;
pub mod hash;
pub mod id;
pub mod random;
pub mod ring;
#[cfg(feature = "sim")]
pub mod sim;
pub mod swarm;
pub mod time;
pub mod tracker;
pub mod wire;

pub use bits::{LeafSet, PieceSet};
pub use content::{ContentId, HashedLeaf, LEAF, LeafHashes, Manifest};
pub use hash::Hash;
pub use id::PeerId;
pub use random::Random;
pub use time::Time;
