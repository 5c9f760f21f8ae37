//! `peerbed compare` over repeats of real swarms: one that one option slows down is caught, two equal ones are not.
//!
//! The seconds in `compare_runs/measured.json` are of real runs that all counted, fifty of each build, made by
//! `make compare-runs`: ten tries of five repeats each, as a pipeline would have made, and no run is of two tries. The slower
//! build fetches pieces in order in place of the rarest first. How a ratio is judged is tested beside the code.
#![expect(clippy::unwrap_used, reason = "what these tests read is part of the repository")]

use peerbed_orchestrator::compare::{self, Build, Finding, Limit, Measured};
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

/// The repeats of one try of either build, held against the limit that the documentation shows.
fn compared(attempt: usize, first: &str, other: &str) -> Finding {
    let limit: Limit = "slower-than 5%".parse().unwrap();
    let builds = [first, other].map(|name| Build {
        name: name.to_owned(),
        measured: vec![Measured {
            seconds: measured(name).chunks_exact(REPEATS).nth(attempt).unwrap().to_vec(),
            ..Measured::nothing("release".to_owned())
        }],
        left_out: Vec::new(),
    });
    compare::compare(&builds, attempt as u64).hold_against(limit)
}

/// The seconds of every repeat of a build.
fn measured(name: &str) -> Vec<f64> {
    let all: Value = serde_json::from_str(include_str!("compare_runs/measured.json")).unwrap();
    let at = all["builds"].as_array().unwrap().iter().position(|build| build == name).unwrap();
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "one distribution is measured");
    let seconds: Vec<f64> = rows[0]["seconds"][at].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect();
    assert!(seconds.len() >= TRIES * REPEATS, "of {name} only {} repeats count", seconds.len());
    seconds
}

const TRIES: usize = 10;
/// Repeats of one try; what docs/ci.md recommends.
const REPEATS: usize = 5;
