//! The ring against Zave's invariant: random interleavings of join, stabilise, rectify, fail and leave, message by message.
//!
//! `cargo run --release -p peerbed-proto --features sim --example ring_model` runs the full count.

use std::time::Duration;

use peerbed_proto::sim::ring::interleaving::{Plan, Rule, Tally, recovery, replay, run};

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

/// Found by seed 237 888 of the full count: 33 came back, was a member from the moment that 19 gave it its list, and
/// told 1, whose last live successor it had become, that it was none.
#[test]
fn a_node_that_comes_back_does_not_deny_what_it_has_just_become() {
    let plan = Plan { list: 2, steps: 80, audits: true, rule: Rule::Kept };
    replay(&plan, COMES_BACK).unwrap_or_else(|failure| panic!("{}\n{}", failure.broken, failure.story));
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

#[rustfmt::skip]
const COMES_BACK: &[u32] = &[42704, 44179, 0, 62561, 34081, 0, 0, 16532, 5069, 56852, 60631, 0, 0, 0, 31849, 0, 0, 20160, 0, 60302,
    0, 0, 11772, 0, 0, 0, 0, 0, 20887, 0, 0, 37607, 0, 0, 34385, 49681, 52091, 28105, 48387, 14319,
    36373, 56234, 36631, 0, 0, 0, 0, 12692, 54085, 0, 0, 0, 0, 0, 0, 0, 0, 51566, 0, 0,
    0, 7610, 0, 0, 0, 34634, 0, 0, 0, 0, 25785, 21668, 5468, 14171, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 12997, 0, 0, 1961, 0, 0, 0, 0, 0, 0, 4065, 0, 0, 0, 11353,
    57294, 8264, 59670, 0, 0, 0, 56837, 0, 47579];
