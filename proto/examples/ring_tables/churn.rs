//! Peers that come and go while lookups run.

use std::time::Duration;

use peerbed_proto::ring::{Circle, Finish, Options, Patience};
use peerbed_proto::sim::ring::{Churn, Departure, Departures, LookupFigures, RingSim, mean, percentile, random_points};
use peerbed_proto::sim::{Latency, Paths};

use super::{row, table, two};

/// Joins and leaves a second, then path and timeouts with p1 and p99, and failures in 10,000: Chord (ToN 2003), table III.
type PaperRow = (f64, f64, (u32, u32), f64, (u32, u32), u32);
const PAPER: [PaperRow; 8] = [
    (0.05, 3.90, (1, 9), 0.05, (0, 2), 0),
    (0.10, 3.83, (1, 9), 0.11, (0, 2), 0),
    (0.15, 3.84, (1, 9), 0.16, (0, 2), 2),
    (0.20, 3.81, (1, 9), 0.23, (0, 3), 5),
    (0.25, 3.83, (1, 9), 0.30, (0, 3), 6),
    (0.30, 3.91, (1, 9), 0.34, (0, 4), 8),
    (0.35, 3.94, (1, 10), 0.42, (0, 4), 16),
    (0.40, 4.06, (1, 10), 0.46, (0, 5), 15),
];

/// Interval over mean lifetime, and the ideal model's wrong answers in per cent for r = 2 and 4.
const MODEL: [(f64, f64, f64); 5] =
    [(1000.0, 0.08, 0.08), (300.0, 0.24, 0.21), (100.0, 0.79, 0.61), (30.0, 4.0, 2.6), (10.0, 33.0, 13.0)];

pub(crate) fn section() -> String {
    format!("{}\n{}", announced(), abrupt())
}

fn announced() -> String {
    let mut rows = vec![row([
        &"joins and leaves a second",
        &"lookups",
        &"path (p1, p99)",
        &"paper",
        &"timeouts (p1, p99)",
        &"paper",
        &"failed or wrong in 10,000",
        &"paper",
    ])];
    for (rate, path, path_range, timeouts, timeouts_range, failures) in PAPER {
        let figures = paper_churn(rate);
        let range = |numbers: &[u32]| (percentile(numbers, 0.01), percentile(numbers, 0.99));
        rows.push(row([
            &rate,
            &figures.count,
            &format!("{} {:?}", two(mean(&figures.hops)), range(&figures.hops)),
            &format!("{} {path_range:?}", two(path)),
            &format!("{} {:?}", two(mean(&figures.timeouts)), range(&figures.timeouts)),
            &format!("{} {timeouts_range:?}", two(timeouts)),
            &format!("{:.0}", 10_000.0 * figures.bad()),
            &failures,
        ]));
    }
    format!(
        "## Announced leaving and joining\n\nN = 1,000, r = 20, stabilisation every 15 to 45 s with one finger each, \
         Poisson joins and leaves, no retry, exponential one-way delays of mean 50 ms: table III of the paper. Unlike \
         there, every stabilisation also pings all successors.\n\n{}",
        table(&rows)
    )
}

fn paper_churn(rate: f64) -> LookupFigures {
    let circle = Circle::new(64).expect("64 bits make a circle");
    let options = Options {
        successors: 20,
        stabilise: Duration::from_secs(30),
        jitter: 0.5,
        audit: Duration::ZERO,
        patience: Patience {
            initial: Duration::from_millis(500),
            floor: Duration::from_millis(500),
            ceiling: Duration::from_millis(500),
            attempts: 2,
        },
        retries: 0,
        ..Options::default()
    };
    let paths = Paths::new(1, Latency::Exponential { mean: Duration::from_millis(50) });
    let mut ring = RingSim::found(circle, &random_points(circle, 1_000, 1), options, 1, paths);
    let warm_up = Duration::from_secs(600);
    let churn = Churn {
        again: None,
        joins: rate,
        departures: Departures::PerSecond(rate),
        departure: Departure::Leave,
        lookups: 5.0,
        warm_up,
        lasting: warm_up + Duration::from_secs(2_000),
    };
    ring.churn(&churn, 1)
}

fn abrupt() -> String {
    let mut rows = vec![row([
        &"T / τ",
        &"r",
        &"lookups",
        &"wrong or failed: predecessor's word",
        &"model",
        &"owner confirms",
        &"owner confirms, bad ones asked again after T",
        &"timeouts a lookup",
        &"hops",
    ])];
    for (lifetime, two_successors, four_successors) in MODEL {
        for (r, model) in [(2, two_successors), (4, four_successors)] {
            let plain = abrupt_churn(lifetime, r, Finish::Predecessor, None);
            let confirmed = abrupt_churn(lifetime, r, Finish::Owner, None);
            let retried = abrupt_churn(lifetime, r, Finish::Owner, Some(Duration::from_secs(1)));
            let per_cent = |figures: &LookupFigures| format!("{:.2} %", 100.0 * figures.bad());
            rows.push(row([
                &format!("1/{lifetime}"),
                &r,
                &plain.count,
                &per_cent(&plain),
                &format!("{model} %"),
                &per_cent(&confirmed),
                &per_cent(&retried),
                &format!("{:.3}", mean(&confirmed.timeouts)),
                &two(mean(&confirmed.hops)),
            ]));
        }
    }
    format!(
        "## Abrupt deaths\n\nN = 128, deaths without a word and as many joins, exponential lifetimes of mean τ, one \
         stabilisation and one finger every T = 1 s, one-way delay 40 ms. Wrong is any answer but the true owner at \
         that moment, peers that joined a moment ago included.\n\n{}",
        table(&rows)
    )
}

/// Churn of 128 peers with this mean lifetime in seconds.
pub(crate) fn abrupt_churn(lifetime: f64, r: u8, finish: Finish, again: Option<Duration>) -> LookupFigures {
    let circle = Circle::new(64).expect("64 bits make a circle");
    let mut all = LookupFigures::default();
    for seed in 0..2 {
        let options = Options { successors: r, finish, retries: 0, jitter: 0.5, ..Options::default() };
        let paths = Paths::new(seed, Latency::Constant(Duration::from_millis(40)));
        let mut ring = RingSim::found(circle, &random_points(circle, 128, seed), options, seed, paths);
        let churn = Churn {
            joins: 128.0 / lifetime,
            departures: Departures::Lifetime(Duration::from_secs_f64(lifetime)),
            departure: Departure::Crash,
            lookups: 40.0,
            warm_up: Duration::from_secs(20),
            lasting: Duration::from_secs(270),
            again,
        };
        all.add(ring.churn(&churn, seed));
    }
    all
}
