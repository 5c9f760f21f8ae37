//! What the tests of simulated swarms share: the textbook's links, contents, bounds and seeds.

use std::time::Duration;

use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Content, PeerSpec, Start};

/// The seeds to try: `SEED` alone if it is set, else this many.
#[expect(clippy::disallowed_methods, reason = "a test may be told which seed to repeat")]
pub(crate) fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

pub(crate) fn content(size: usize, piece_size: u32) -> Content {
    Content::random(size, piece_size, 1)
}

/// 20 Mbit/s both ways, with everything.
pub(crate) fn seeder() -> PeerSpec {
    PeerSpec::new(Link::mbit(20.0, 20.0, Duration::from_millis(2)), Start::Whole)
}

/// 2 Mbit/s up, 20 down, with nothing.
pub(crate) fn home() -> PeerSpec {
    PeerSpec::new(Link::mbit(2.0, 20.0, Duration::from_millis(10)), Start::Empty)
}

/// A seed and this many homes.
pub(crate) fn swarm_of(homes: usize) -> Vec<PeerSpec> {
    std::iter::once(seeder()).chain(std::iter::repeat_n(home(), homes)).collect()
}

/// The least time in which these homes can all have the content, in seconds.
pub(crate) fn bound(homes: usize, bytes: usize) -> f64 {
    let bits = bytes as f64 * 8.0;
    (bits / 20e6).max(homes as f64 * bits / (20e6 + 2e6 * homes as f64))
}
