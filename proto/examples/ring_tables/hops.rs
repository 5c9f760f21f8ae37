//! Mean hops on a quiet ring.

use std::time::Duration;

use peerbed_proto::ring::{Circle, Finish, Options, Routing};
use peerbed_proto::sim::ring::{LookupFigures, RingSim, mean, percentile, random_points};
use peerbed_proto::sim::{Latency, Paths};

use super::{off, row, table, two};

/// Peers, and the mean of the ideal model for r = 2 and r = 2 log2 N (40 000 and more lookups of this program's own
/// arithmetic would give the same; these are the project's figures to meet).
const MODEL: [(usize, f64, f64); 8] = [
    (8, 1.35, 1.00),
    (16, 1.89, 1.34),
    (32, 2.31, 1.71),
    (64, 2.78, 2.10),
    (128, 3.30, 2.49),
    (256, 3.81, 2.89),
    (512, 4.30, 3.33),
    (1024, 4.78, 3.81),
];

pub(crate) fn section() -> String {
    let mut rows = vec![row([
        &"N",
        &"r",
        &"rings",
        &"lookups",
        &"mean hops",
        &"model",
        &"off",
        &"p1",
        &"p50",
        &"p99",
        &"½ log2 N",
        &"wrong",
    ])];
    for (peers, short, long) in MODEL {
        let log = f64::from(u32::try_from(peers).expect("small")).log2();
        for (r, model) in [(2, short), (2 * log as usize, long)] {
            let rings = (16_384 / peers).clamp(20, 2_000);
            let figures = measure(peers, r.min(peers - 1), rings, 40_000 / rings + 20, Routing::Fingers);
            rows.push(row([
                &peers,
                &r,
                &rings,
                &figures.count,
                &two(mean(&figures.hops)),
                &two(model),
                &off(mean(&figures.hops), model),
                &percentile(&figures.hops, 0.01),
                &percentile(&figures.hops, 0.5),
                &percentile(&figures.hops, 0.99),
                &two(log / 2.0),
                &(figures.wrong + figures.failed),
            ]));
        }
    }
    let mut plain = vec![row([&"N", &"lookups", &"mean hops", &"(N - 1)/2", &"off", &"wrong"])];
    for peers in [8, 16, 64, 256] {
        let figures = measure(peers, 2, 20, 200, Routing::Successor);
        let expected = (peers - 1) as f64 / 2.0;
        plain.push(row([
            &peers,
            &figures.count,
            &two(mean(&figures.hops)),
            &two(expected),
            &off(mean(&figures.hops), expected),
            &(figures.wrong + figures.failed),
        ]));
    }
    format!(
        "## Hops on a quiet ring\n\nFingers; random points on a circle of 2^64, random keys and askers. The model is the \
         published search on ideal tables.\n\n{}\nSuccessors only: every lookup walks round the ring, N/2 hops.\n\n{}",
        table(&rows),
        table(&plain)
    )
}

fn measure(peers: usize, r: usize, rings: usize, lookups: usize, routing: Routing) -> LookupFigures {
    let circle = Circle::new(64).expect("64 bits make a circle");
    let mut all = LookupFigures::default();
    for seed in 0..rings as u64 {
        let options = Options {
            successors: u8::try_from(r).expect("at most 20").max(2),
            routing,
            finish: Finish::Predecessor,
            // Nothing changes, so nothing needs upkeep.
            stabilise: Duration::ZERO,
            audit: Duration::ZERO,
            ..Options::default()
        };
        let paths = Paths::new(seed, Latency::Constant(Duration::from_millis(1)));
        let mut ring = RingSim::found(circle, &random_points(circle, peers, seed), options, seed, paths);
        all.add(ring.look_up_many(lookups, Duration::from_micros(10), seed));
    }
    all
}
