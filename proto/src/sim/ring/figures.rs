//! The experiments behind the ring's tables, so that tests and the program that writes the tables measure the same.

use std::time::Duration;

use super::workload::{Churn, Departure, Departures, LookupFigures};
use super::{RingSim, random_points};
use crate::random::Random;
use crate::ring::{Circle, Finish, Forwarding, Options, Patience, Routing};
use crate::sim::{Latency, NodeId, Paths};

/// The circle of all experiments: wide enough that no two peers fall on the same point.
///
/// # Panics
/// Never: 64 bits make a circle.
#[must_use]
pub fn circle() -> Circle {
    Circle::new(64).expect("64 bits make a circle")
}

/// Lookups on rings where nothing happens, counted as Chord's paper counts: the predecessor's word ends them.
#[must_use]
pub fn quiet(peers: usize, successors: u8, routing: Routing, rings: u64, lookups: usize) -> LookupFigures {
    let mut all = LookupFigures::default();
    for seed in 0..rings {
        let options = Options {
            successors,
            routing,
            finish: Finish::Predecessor,
            stabilise: Duration::ZERO,
            audit: Duration::ZERO,
            ..Options::default()
        };
        let paths = Paths::new(seed, Latency::Constant(Duration::from_millis(1)));
        let mut ring = RingSim::found(circle(), &random_points(circle(), peers, seed), options, seed, paths);
        all.add(ring.look_up_many(lookups, Duration::from_micros(10), seed));
    }
    all
}

/// Lookups after a fraction of 1,000 peers with 20 successors each has died at once and before anything is repaired:
/// Chord (ToN 2003), section V.D. One entry a ring.
///
/// All lookups begin within a tenth of a second, so that none begins at a node that has found anybody dead: the paper
/// "did not remove the fingers pointing to failed nodes".
#[must_use]
pub fn failed_fraction(fraction: f64, rings: u64, lookups: usize) -> Vec<LookupFigures> {
    let measure = |seed: u64| {
        let dead_after = Duration::from_millis(500);
        let options = Options {
            successors: 20,
            stabilise: Duration::ZERO,
            audit: Duration::ZERO,
            patience: Patience { initial: dead_after, floor: dead_after, ceiling: dead_after, attempts: 1 },
            retries: 0,
            ..Options::default()
        };
        // The paper's mean without its tail, so that no live node counts as dead.
        let latency = Latency::Uniform { min: Duration::from_millis(20), max: Duration::from_millis(80) };
        let points = random_points(circle(), 1_000, seed);
        let mut ring = RingSim::found(circle(), &points, options, seed, Paths::new(seed, latency));
        let mut random = Random::new(seed, "failures");
        let dead: Vec<NodeId> = ring.members().filter(|_| random.fraction() < fraction).collect();
        dead.into_iter().for_each(|node| ring.crash(node));
        ring.look_up_many(lookups, Duration::from_millis(100) / u32::try_from(lookups).unwrap_or(u32::MAX), seed)
    };
    (0..rings).map(measure).collect()
}

/// Lookups while of 1,000 peers with 20 successors each so many a second leave with notice and as many join: Chord (ToN 2003),
/// section V.E. Lookups in the warm-up do not count.
#[must_use]
pub fn announced_churn(
    per_second: f64,
    seed: u64,
    warm_up: Duration,
    lasting: Duration,
    lookups_per_second: f64,
) -> LookupFigures {
    let dead_after = Duration::from_millis(500);
    let options = Options {
        successors: 20,
        stabilise: Duration::from_secs(30),
        jitter: 0.5,
        audit: Duration::ZERO,
        patience: Patience { initial: dead_after, floor: dead_after, ceiling: dead_after, attempts: 2 },
        retries: 0,
        ..Options::default()
    };
    let paths = Paths::new(seed, Latency::Exponential { mean: Duration::from_millis(50) });
    let mut ring = RingSim::found(circle(), &random_points(circle(), 1_000, seed), options, seed, paths);
    let churn = Churn {
        again: None,
        joins: per_second,
        departures: Departures::PerSecond(per_second),
        departure: Departure::Leave,
        lookups: lookups_per_second,
        warm_up,
        lasting,
    };
    ring.churn(&churn, seed)
}

/// Lookups one after the other on a ring that is kept up, to compare how long they take. On a plane, fingers get the time to
/// be chosen by nearness.
#[must_use]
pub fn timed(
    peers: usize,
    lookups: usize,
    proximity: u8,
    forwarding: Forwarding,
    finish: Finish,
    latency: &Latency,
) -> LookupFigures {
    let is_plane = matches!(latency, Latency::Plane { .. });
    let options = Options {
        successors: if is_plane { 16 } else { 4 },
        proximity,
        forwarding,
        finish,
        audit: Duration::ZERO,
        ..Options::default()
    };
    let paths = Paths::new(1, latency.clone());
    let mut ring = RingSim::found(circle(), &random_points(circle(), peers, 1), options, 1, paths);
    ring.run_for(Duration::from_secs(if is_plane { 100 } else { 5 }));
    ring.look_up_many(lookups, Duration::from_millis(1), 1)
}
