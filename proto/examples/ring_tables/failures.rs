//! Simultaneous failure of a fraction of all peers, and lookups before anything is repaired.

use std::time::Duration;

use peerbed_proto::Random;
use peerbed_proto::ring::{Circle, Options, Patience};
use peerbed_proto::sim::NodeId;
use peerbed_proto::sim::ring::{LookupFigures, RingSim, mean, percentile, random_points};
use peerbed_proto::sim::{Latency, Paths};

use super::{off, row, table, two};

/// Failed fraction, then path and timeouts with p1 and p99: Chord (ToN 2003), table II.
type PaperRow = (f64, f64, (u32, u32), f64, (u32, u32));
const PAPER: [PaperRow; 6] = [
    (0.0, 3.84, (2, 5), 0.0, (0, 0)),
    (0.1, 4.03, (2, 6), 0.60, (0, 2)),
    (0.2, 4.22, (2, 6), 1.17, (0, 3)),
    (0.3, 4.44, (2, 6), 2.02, (0, 5)),
    (0.4, 4.69, (2, 7), 3.23, (0, 8)),
    (0.5, 5.09, (3, 8), 5.10, (0, 11)),
];

/// How many rings the lookups are spread over.
pub(crate) const RINGS: u64 = 20;

pub(crate) fn section() -> String {
    let mut rows = vec![row([
        &"failed",
        &"lookups",
        &"path (p1, p99)",
        &"paper",
        &"off",
        &"timeouts (p1, p99)",
        &"paper",
        &"off",
        &"failed or wrong",
    ])];
    for (fraction, path, path_range, timeouts, timeouts_range) in PAPER {
        let figures = measure(fraction, 1_000);
        let range = |numbers: &[u32]| (percentile(numbers, 0.01), percentile(numbers, 0.99));
        let (hops, dead) = (mean(&figures.hops), mean(&figures.timeouts));
        rows.push(row([
            &fraction,
            &figures.count,
            &format!("{} {:?}", two(hops), range(&figures.hops)),
            &format!("{path} {path_range:?}"),
            &off(hops, path),
            &format!("{} {:?}", two(dead), range(&figures.timeouts)),
            &format!("{timeouts} {timeouts_range:?}"),
            &if timeouts > 0.0 { off(dead, timeouts) } else { "".to_owned() },
            &(figures.wrong + figures.failed),
        ]));
    }
    format!(
        "## A fraction of all peers fails at once\n\nN = 1,000, r = 20, no stabilisation; iterative, exponential one-way \
         delays of mean 50 ms, dead after 500 ms, as in the paper (table II). {RINGS} rings a row.\n\n{}",
        table(&rows)
    )
}

pub(crate) fn measure(fraction: f64, lookups: usize) -> LookupFigures {
    let circle = Circle::new(64).expect("64 bits make a circle");
    let mut all = LookupFigures::default();
    for seed in 0..RINGS {
        let options = Options {
            successors: 20,
            stabilise: Duration::ZERO,
            audit: Duration::ZERO,
            patience: Patience {
                initial: Duration::from_millis(500),
                floor: Duration::from_millis(500),
                ceiling: Duration::from_millis(500),
                attempts: 1,
            },
            retries: 0,
            ..Options::default()
        };
        // The mean is the paper's; the tail is cut, so that no live node counts as dead.
        let latency = Latency::Uniform { min: Duration::from_millis(20), max: Duration::from_millis(80) };
        let points = random_points(circle, 1_000, seed);
        let mut ring = RingSim::found(circle, &points, options, seed, Paths::new(seed, latency));
        let mut random = Random::new(seed, "failures");
        let dead: Vec<NodeId> = ring.members().filter(|_| random.fraction() < fraction).collect();
        dead.into_iter().for_each(|node| ring.crash(node));
        all.add(ring.look_up_many(lookups, Duration::from_millis(1), seed));
    }
    all
}
