//! Simulated swarms on links as homes have them: long, and losing packets. What a core keeps under way must cover both.
//!
//! QUIC's part is modelled as far as it makes things late (`sim/swarm/loss.rs`): what is lost comes about a round trip later,
//! and runs are confirmed later still. Its congestion windows are not.

use std::time::Duration;

use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Content, Costs, Figures, PeerSpec, Start, SwarmSim};

#[test]
fn fifty_milliseconds_and_half_a_per_cent_of_loss_cost_less_than_fifteen_per_cent() {
    for seed in seeds(2) {
        let clean = last(Duration::ZERO, 0.0, seed);
        let rough = last(Duration::from_millis(50), 0.005, seed);
        assert!(rough < 1.15 * clean, "SEED={seed}: {rough} s, on clean links {clean} s");
    }
}

#[test]
fn everybody_completes_although_one_packet_in_ten_is_lost_twice_over() {
    for seed in seeds(2) {
        let figures = swarm(4, 1 << 20, Duration::from_millis(100), 0.1, seed);
        assert_eq!(figures.completed.iter().flatten().count(), 4, "SEED={seed}");
    }
}

#[test]
fn loss_costs_uplinks_no_more_than_what_is_sent_again() {
    // Without delay there is nothing to wait for but the packets themselves.
    for seed in seeds(2) {
        let (clean, lossy) = (last(Duration::ZERO, 0.0, seed), last(Duration::ZERO, 0.01, seed));
        assert!(lossy < 1.06 * clean, "SEED={seed}: {lossy} s with 2 % lost from home to home, {clean} s without");
    }
}

/// When the last of ten homes has 8 MiB, in seconds.
fn last(delay: Duration, loss: f64, seed: u64) -> f64 {
    let figures = swarm(10, 8 << 20, delay, loss, seed);
    assert_eq!(figures.completed.iter().flatten().count(), 10, "SEED={seed}");
    figures.last().expect("somebody completes")
}

/// A seed with 20 Mbit/s and homes with 2 Mbit/s up and 20 down, whose links delay and lose each way.
fn swarm(homes: usize, bytes: usize, delay: Duration, loss: f64, seed: u64) -> Figures {
    let seeder = PeerSpec::new(Link::mbit(20.0, 20.0, Duration::ZERO), Start::Whole);
    let home = PeerSpec { loss, ..PeerSpec::new(Link::mbit(2.0, 20.0, delay), Start::Empty) };
    let specs = std::iter::once(seeder).chain(std::iter::repeat_n(home, homes)).collect();
    SwarmSim::new(Content::random(bytes, 256 * 1024, 1), specs, Costs::LATE, seed).run(Duration::from_secs(600))
}

/// The seeds to try: `SEED` alone if it is set, else this many.
#[expect(clippy::disallowed_methods, reason = "a test may be told which seed to repeat")]
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}
