//! What a suite tries again and what not: a verdict that was invalid, never an expectation that failed.
//!
//! A script stands in for `peerbed run` and ends with the codes that each topology's file lists, one a try. Suites of real runs
//! are in `judging_runs`.
#![expect(clippy::unwrap_used, reason = "tests fail where they stand")]

use std::{fs, path::Path};

use peerbed_orchestrator::{
    progress::Progress,
    results::Conclusion,
    run::Stop,
    suite::{self, Options, Suite, SuiteOutcome},
};
use serde_json::json;

#[tokio::test]
async fn an_invalid_verdict_is_tried_again_and_what_comes_then_counts() {
    let place = tempfile::tempdir().unwrap();
    let outcome = carried_out(place.path(), "4 0", 1).await;
    let ended = &outcome.ended[0];
    assert_eq!((ended.conclusion, ended.tries), (Conclusion::Held, 2));
    assert!(ended.directory.as_ref().unwrap().ends_with("flaky-again-1"));
    let junit = outcome.junit();
    assert!(junit.contains("failures=\"0\" errors=\"0\"") && junit.contains("name=\"tries\" value=\"2\""), "{junit}");

    let place = tempfile::tempdir().unwrap();
    let outcome = carried_out(place.path(), "4 4 1", 2).await;
    assert_eq!((outcome.conclusion(), outcome.ended[0].tries), (Conclusion::ExpectationFailed, 3));
    assert!(outcome.junit().contains("<failure type=\"expectation\""), "{}", outcome.junit());
}

#[tokio::test]
async fn a_failed_expectation_is_not_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let outcome = carried_out(place.path(), "1 0", 3).await;
    assert_eq!((outcome.conclusion(), outcome.ended[0].tries), (Conclusion::ExpectationFailed, 1));
    assert!(!place.path().join("out/flaky-again-1").exists());
}

#[tokio::test]
async fn a_run_that_could_not_be_carried_out_is_not_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let outcome = carried_out(place.path(), "3 0", 3).await;
    assert_eq!((outcome.conclusion(), outcome.ended[0].tries), (Conclusion::NotCarriedOut, 1));
    assert!(outcome.ended[0].why.as_ref().unwrap().contains("exit code 3: no room"), "{:?}", outcome.ended[0].why);
}

#[tokio::test]
async fn a_verdict_that_stays_invalid_is_neither_pass_nor_fail() {
    let place = tempfile::tempdir().unwrap();
    let outcome = carried_out(place.path(), "4 4 0", 1).await;
    assert_eq!((outcome.conclusion(), outcome.ended[0].tries), (Conclusion::Invalid, 2));
    let junit = outcome.junit();
    assert!(junit.contains("<error type=\"invalid-verdict\"") && junit.contains("failures=\"0\""), "{junit}");
}

/// A suite of one topology whose tries end with these codes.
async fn carried_out(place: &Path, codes: &str, retries: u32) -> SuiteOutcome {
    fs::write(place.join("flaky.yaml"), codes.replace(' ', "\n")).unwrap();
    let text = format!("version: 1\nname: s\ntopologies:\n- {{ file: flaky.yaml, retries: {retries} }}\n");
    fs::write(place.join("suite.yaml"), text).unwrap();
    for (code, state, held) in [(0, "valid", true), (1, "valid", false), (4, "invalid", false)] {
        let results = json!({
            "schema": 1, "name": "flaky", "seed": 1, "engine": "kernel", "testbed": "real",
            "verdict": { "state": state, "reasons": [] }, "distributions": [], "lookups": [], "recoveries": [], "links": [],
            "expectations": [{ "text": "distribution.x.ratio <= 1.3", "held": held, "value": 1.2 }]
        });
        fs::write(place.join(format!("{code}.json")), results.to_string()).unwrap();
    }
    // A file of the repository: one just written cannot be run while another test's child still holds it open.
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite_retries/peerbed");
    let options = Options { program, arguments: Vec::new() };
    let suite = Suite::read(&place.join("suite.yaml")).unwrap();
    let (_sender, stop) = Stop::channel();
    suite::carry_out(&suite, &place.join("out"), &options, &stop, &mut Progress::quiet()).await.unwrap()
}
