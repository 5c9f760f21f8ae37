//! The same seed gives the same run, to the last message; another seed gives another.

use std::time::Duration;

use peerbed_proto::PeerId;
use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Conduct, Content, Costs, Figures, PeerSpec, Start, SwarmSim};

#[test]
fn the_same_seed_gives_the_same_log() {
    let (one, lines) = run(7);
    let (two, again) = run(7);
    if let Some(at) = lines.iter().zip(&again).position(|(one, two)| one != two) {
        panic!("line {at} differs:\n{}\n{}", lines[at], again[at]);
    }
    assert_eq!(one.log, two.log);
    assert_eq!(one.completed, two.completed);
}

#[test]
fn another_seed_gives_another_log() {
    assert_ne!(run(7).0.log, run(8).0.log);
}

/// A run with churn and a bad peer in it.
fn run(seed: u64) -> (Figures, Vec<String>) {
    let link = |up| Link::mbit(up, 20.0, Duration::from_millis(10));
    let mut specs = vec![PeerSpec::new(link(20.0), Start::Whole)];
    specs.extend((0..8).map(|_| PeerSpec::new(link(2.0), Start::Empty)));
    specs.push(PeerSpec { conduct: Conduct::CorruptLeaves, ..PeerSpec::new(link(2.0), Start::Empty) });
    let mut sim = SwarmSim::new(Content::random(1 << 20, 65_536, 1), specs, Costs::QUIC, seed).with_lines();
    sim.crash_at(PeerId(4), Duration::from_secs(2));
    sim.join_at(PeerId(4), Duration::from_secs(5));
    sim.run_until(Duration::from_secs(40));
    (sim.figures(), sim.lines().to_vec())
}
