//! `peerbed compare` over repeats of real swarms: one that one option slows down is caught, two equal ones are not.
//!
//! The seconds in `compare_runs/measured.json` are of real runs, twenty of each build, made by `make compare-runs`; each try
//! takes five of either build, as a pipeline would have made. The file says what the host was busy with, where it was. How a
//! ratio is judged is tested beside the code.
#![expect(clippy::unwrap_used, reason = "what these tests read is part of the repository")]

use peerbed_orchestrator::compare::{self, Build, Finding, Limit, Measured};
use peerbed_proto::Random;
use serde_json::Value;

#[test]
fn two_equal_builds_hold_in_ten_of_ten_tries() {
    for attempt in 0..TRIES {
        let found = compared(attempt, "plain", "again");
        assert_eq!(found, Finding::Held, "try {attempt}");
    }
}

#[test]
fn a_swarm_that_one_option_slows_down_is_caught_in_ten_of_ten_tries() {
    for attempt in 0..TRIES {
        let found = compared(attempt, "plain", "slower");
        assert!(matches!(found, Finding::Worse(_)), "try {attempt}: {found:?}");
    }
}

#[test]
fn the_faster_of_two_builds_is_not_called_slow() {
    for attempt in 0..TRIES {
        assert_eq!(compared(attempt, "slower", "plain"), Finding::Held, "try {attempt}");
    }
}

/// Five repeats of either build, each drawn once, held against the limit that the documentation shows.
fn compared(attempt: u64, first: &str, other: &str) -> Finding {
    let limit: Limit = "slower-than 5%".parse().unwrap();
    let mut random = Random::new(attempt, "tries of compare");
    let builds = [first, other].map(|name| Build {
        name: name.to_owned(),
        measured: vec![Measured {
            seconds: draw(&mut random, measured(name)),
            ..Measured::nothing("release".to_owned())
        }],
        left_out: Vec::new(),
    });
    compare::compare(&builds, attempt).hold_against(limit)
}

fn draw(random: &mut Random, mut all: Vec<f64>) -> Vec<f64> {
    (0..REPEATS).map(|_| all.swap_remove(random.below(all.len()))).collect()
}

/// The seconds of every repeat of a build.
fn measured(name: &str) -> Vec<f64> {
    let all: Value = serde_json::from_str(include_str!("compare_runs/measured.json")).unwrap();
    let at = all["builds"].as_array().unwrap().iter().position(|build| build == name).unwrap();
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "one distribution is measured");
    let seconds: Vec<f64> = rows[0]["seconds"][at].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect();
    assert!(seconds.len() >= REPEATS_OF_EACH, "of {name} only {} repeats count", seconds.len());
    seconds
}

const TRIES: u64 = 10;
/// Repeats of one try; what docs/ci.md recommends.
const REPEATS: usize = 5;
/// Twenty are made; some may have an invalid verdict and do not count.
const REPEATS_OF_EACH: usize = 15;
