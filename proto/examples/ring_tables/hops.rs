//! Mean hops on a quiet ring.

use peerbed_proto::ring::Routing;
use peerbed_proto::sim::ring::{figures, mean, percentile};

use super::{off, row, table, two};

/// Peers, and the mean of the ideal model for r = 2 and r = 2 log2 N: protocols.md section 3.2.
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
        let log = (peers as f64).log2();
        for (r, model) in [(2, short), (2 * log as usize, long)] {
            let rings = (32_768 / peers).clamp(40, 2_000);
            let list = u8::try_from(r.min(peers - 1)).expect("at most 20");
            let figures = figures::quiet(peers, list, Routing::Fingers, rings as u64, 40_000 / rings + 20);
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
        let figures = figures::quiet(peers, 2, Routing::Successor, 40, 500);
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
         published search on ideal tables, from one run of 20 rings a row; its figure for N = 16 and r = 2 (1.89) lies above \
         its own for r = 1 (1.85), so that row is the model's chance and not ours: over 2,000 rings the same model gives \
         1.81.\n\n{}\nSuccessors only: every lookup walks round the ring, N/2 hops.\n\n{}",
        table(&rows),
        table(&plain)
    )
}
