//! Peers that die without a word while lookups run.

use std::time::Duration;

use peerbed_proto::ring::{Circle, Finish, Options};
use peerbed_proto::sim::ring::{Churn, Departure, Departures, LookupFigures, RingSim, mean, random_points};
use peerbed_proto::sim::{Latency, Paths};

use super::{row, table, two};

/// Interval over mean lifetime, and the ideal model's wrong answers in per cent for r = 2 and 4.
const MODEL: [(f64, f64, f64); 5] =
    [(1000.0, 0.08, 0.08), (300.0, 0.24, 0.21), (100.0, 0.79, 0.61), (30.0, 4.0, 2.6), (10.0, 33.0, 13.0)];

pub(crate) fn section() -> String {
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
fn abrupt_churn(lifetime: f64, r: u8, finish: Finish, again: Option<Duration>) -> LookupFigures {
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
