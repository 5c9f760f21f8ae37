//! The ring against Zave's invariant: random interleavings of join, stabilise, rectify, fail and leave, message by message.
//!
//! `cargo run --release -p peerbed-proto --features sim --example ring_model` runs the full count.

use std::time::Duration;

use peerbed_proto::sim::ring::interleaving::{Plan, Rule, Tally, recovery, run};

/// Runs in a debug build of ordinary tests; the full count is a million.
const RUNS: u64 = 3_000;

#[test]
fn no_interleaving_within_the_environment_rule_breaks_the_invariant() {
    let mut total = Tally::default();
    for seed in 0..RUNS {
        let plan =
            Plan { list: 2 + u8::try_from(seed % 3).unwrap(), steps: 80, audits: seed % 4 == 0, rule: Rule::Kept };
        match run(&plan, seed) {
            Ok(tally) => {
                total.checks += tally.checks;
                total.joins += tally.joins;
                total.failures += tally.failures;
                total.lists_cut += tally.lists_cut;
                total.orphaned += tally.orphaned;
            }
            Err(failure) => {
                panic!("seed {seed}, {plan:?}: {}\n{}{:?}", failure.broken, failure.story, failure.choices);
            }
        }
    }
    assert!(total.joins > RUNS && total.failures > RUNS, "the runs must do something: {total:?}");
    assert_eq!((total.lists_cut, total.orphaned), (0, 0), "{total:?}");
}

#[test]
fn outside_the_environment_rule_the_ring_is_right_again_within_a_minute() {
    let mut times: Vec<Duration> = Vec::new();
    for seed in 0..RUNS / 10 {
        let plan = Plan { list: 2 + u8::try_from(seed % 3).unwrap(), steps: 200, audits: true, rule: Rule::Broken };
        let time = recovery(&plan, seed, Duration::from_secs(60));
        times.push(time.unwrap_or_else(|picture| panic!("seed {seed}, {plan:?}: not right after a minute\n{picture}")));
    }
    times.sort();
    assert!(times[times.len() / 2] <= Duration::from_secs(10), "median {:?}", times[times.len() / 2]);
}
