//! The stable formats: the keys of `results.json`, and summaries made from files alone.
#![expect(clippy::unwrap_used, reason = "tests fail where they stand")]

use std::{collections::BTreeSet, fs, path::Path};

use peerbed_orchestrator::{
    report,
    results::{
        Completion, Distribution, Expectation, Found, Outcome, Provenance, Results, SCHEMA, SweepResults, SweepRun,
    },
    run_directory::RunDirectory,
    verdict::{State, Verdict},
    verify::found::Verification,
};
use serde_json::{Value, json};

#[test]
fn results_have_every_promised_key() {
    let written = serde_json::to_value(results()).unwrap();
    assert_keys("results", &promised(), &written);
    assert_keys("verdict", &promised()["verdict"], &written["verdict"]);
    assert_keys("distribution", &promised()["distributions"][0], &written["distributions"][0]);
    let completion = &written["distributions"][0]["completions"][0];
    assert_keys("completion", &promised()["distributions"][0]["completions"][0], completion);
    assert_keys("expectation", &promised()["expectations"][0], &written["expectations"][0]);
}

#[test]
fn results_with_only_the_promised_keys_can_be_reported() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("results.json"), promised().to_string()).unwrap();
    let text = summary(place.path());
    assert!(text.contains("19.8") && text.contains("total-upload") && text.contains("1.18"), "{text}");
}

#[test]
fn results_are_read_as_they_were_written() {
    let place = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(place.path()).unwrap();
    directory.write_json(&directory.results(), &results()).unwrap();
    assert_eq!(Found::read(&directory).unwrap(), Found::Run(Box::new(results())));
}

#[test]
fn a_summary_tells_what_was_found() {
    let text = write_and_summarise(&results());
    let expected = "\
home-swarm · seed 7 · kernel links
┌──────────────┬───────┬────────┬───────┬─────────┬───────┬──────────────┬───────┬─────────────┬──────┬──────┐
│ distribution ┆ via   ┆  peers ┆  size ┆ seconds ┆ bound ┆ bound by     ┆ ratio ┆ ideal ratio ┆  p50 ┆  p95 │
╞══════════════╪═══════╪════════╪═══════╪═════════╪═══════╪══════════════╪═══════╪═════════════╪══════╪══════╡
│ release      ┆ swarm ┆ 1 of 2 ┆ 8 MiB ┆    19.8 ┆  16.8 ┆ total-upload ┆  1.18 ┆        1.03 ┆ 17.5 ┆ 19.8 │
└──────────────┴───────┴────────┴───────┴─────────┴───────┴──────────────┴───────┴─────────────┴──────┴──────┘
expectations: 1 held, 1 failed
  failed: distribution.release.ratio <= 1.1 (found 1.18)
verdict: suspect (look before trusting small differences): timers fired 50 ms late or more in 8 % of the measured time
";
    let start: String = text.lines().take_while(|line| *line != "files:").map(|line| format!("{line}\n")).collect();
    assert_eq!(start, expected);
}

#[test]
fn a_run_that_was_stopped_says_so_and_judges_nothing() {
    let mut stopped = results();
    stopped.outcome = Outcome::Interrupted;
    stopped.error = Some("the run was stopped before its end".into());
    let text = write_and_summarise(&stopped);
    assert!(text.contains("outcome: interrupted: the run was stopped before its end"), "{text}");
    assert!(!text.contains("expectations:") && !text.contains("verdict:"), "{text}");
}

#[test]
fn a_sweep_shows_both_ways_of_spreading_in_one_row_per_combination() {
    let mut runs = Vec::new();
    for (count, via, seconds) in [
        (5, "client-server", [17.0, 17.4]),
        (5, "swarm", [16.0, 18.0]),
        (30, "client-server", [102.0, 101.0]),
        (30, "swarm", [25.0, 27.0]),
    ] {
        for (repeat, seconds) in (1..).zip(seconds) {
            runs.push(sweep_run(count, via, repeat, seconds));
        }
    }
    runs[3].results.verdict.state = State::Invalid;
    let results = SweepResults { schema: SCHEMA, name: "figure".into(), planned: 8, runs };
    let place = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(place.path()).unwrap();
    directory.write_json(&directory.results(), &results).unwrap();
    let text = report::summary(&directory).unwrap();
    let rows: Vec<String> = text.lines().filter(|line| line.starts_with('│')).skip(2).map(squeeze).collect();
    assert_eq!(
        rows,
        [
            "│ 5 ┆ 17.2 (17.0–17.4) ┆ 16.8 ┆ 1.18 ┆ 17.0 (16.0–18.0) (!) ┆ 16.8 ┆ 1.18 │",
            "│ 30 ┆ 101.5 (101.0–102.0) ┆ 16.8 ┆ 1.18 ┆ 26.0 (25.0–27.0) ┆ 16.8 ┆ 1.18 │",
        ],
        "{text}"
    );
    assert!(text.starts_with("figure · 8 of 8 runs\n"), "{text}");
    assert!(text.contains("verdicts: 0 valid, 7 suspect, 1 invalid"), "{text}");
}

#[test]
fn a_directory_without_results_is_no_run_directory() {
    let place = tempfile::tempdir().unwrap();
    let error = RunDirectory::open(place.path()).unwrap_err().to_string();
    assert!(error.contains("is not a run directory"), "{error}");
}

#[test]
fn results_of_another_version_are_refused_with_both_versions() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("results.json"), r#"{"schema": 2}"#).unwrap();
    let directory = RunDirectory::open(place.path()).unwrap();
    let error = report::summary(&directory).unwrap_err().to_string();
    assert!(error.contains("has schema Some(2); this version reads 1"), "{error}");
}

/// The format as it is documented.
fn promised() -> Value {
    json!({
        "schema": 1, "name": "home-swarm", "seed": 7, "engine": "kernel", "testbed": "real",
        "verdict": { "state": "valid", "reasons": [] },
        "distributions": [ {
            "file": "release", "via": "swarm", "bytes": 8_388_608, "peers": 10,
            "seconds": 19.8, "bound_seconds": 16.8, "bound_term": "total-upload", "ratio": 1.18,
            "completions": [ { "peer": "home-1", "seconds": 18.9, "verified": true } ]
        } ],
        "lookups": [], "recoveries": [], "links": [],
        "expectations": [ { "text": "distribution.release.ratio <= 1.3", "held": true, "value": 1.18 } ]
    })
}

fn results() -> Results {
    let completion = |peer: &str, seconds: Option<f64>| Completion {
        peer: peer.into(),
        arrived_seconds: None,
        from_arrival_seconds: None,
        seconds,
        verified: seconds.is_some(),
        required: seconds.is_some(),
    };
    let expectation = |text: &str, held| Expectation { text: text.into(), held, value: json!(1.18) };
    Results {
        schema: SCHEMA,
        name: "home-swarm".into(),
        seed: 7,
        engine: "kernel".into(),
        engine_reason: "asked for".into(),
        testbed: "real".into(),
        outcome: Outcome::Finished,
        error: None,
        verdict: Verdict {
            state: State::Suspect,
            reasons: vec!["timers fired 50 ms late or more in 8 % of the measured time".into()],
        },
        distributions: vec![Distribution {
            id: "d0".into(),
            name: "release".into(),
            file: "release".into(),
            via: "swarm".into(),
            kind: "swarm".into(),
            bytes: 8 << 20,
            peers: 2,
            required: 1,
            seconds: Some(19.8),
            bound_seconds: Some(16.8),
            bound_term: Some("total-upload".into()),
            ratio: Some(1.18),
            optimum_seconds: None,
            ideal_seconds: Some(17.2),
            ideal_ratio: Some(1.03),
            p50_seconds: Some(17.5),
            p95_seconds: Some(19.8),
            begun_seconds: 0.1,
            wasted_bytes: Some(0),
            accounting: None,
            riders_ratio: None,
            from_arrival: None,
            stalled: None,
            dropped: std::collections::BTreeMap::new(),
            second_copy: None,
            completions: vec![completion("home-1", Some(19.8)), completion("home-2", None)],
        }],
        programs: Vec::new(),
        left_out: Vec::new(),
        lookups: Vec::new(),
        recoveries: Vec::new(),
        rings: Vec::new(),
        links: Vec::new(),
        latencies: Vec::new(),
        changes: Vec::new(),
        traces: Vec::new(),
        memory: Vec::new(),
        timings: Vec::new(),
        verification: Verification::default(),
        expectations: vec![
            expectation("distribution.release.ratio <= 1.3", true),
            expectation("distribution.release.ratio <= 1.1", false),
        ],
        provenance: Provenance::default(),
    }
}

fn sweep_run(count: u32, via: &str, repeat: usize, seconds: f64) -> SweepRun {
    let mut results = results();
    results.distributions[0].via = via.into();
    results.distributions[0].seconds = Some(seconds);
    let values = json!({ "groups.home.count": count, "scenario.0.distribute.via": via });
    SweepRun {
        values: values.as_object().unwrap().clone(),
        repeat,
        directory: format!("{count}-{via}-{repeat}"),
        results,
    }
}

fn write_and_summarise(results: &Results) -> String {
    let place = tempfile::tempdir().unwrap();
    let directory = RunDirectory::create(place.path()).unwrap();
    directory.write_json(&directory.results(), results).unwrap();
    report::summary(&directory).unwrap()
}

fn summary(path: &Path) -> String {
    report::summary(&RunDirectory::open(path).unwrap()).unwrap()
}

/// Without the widths of columns.
fn squeeze(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn assert_keys(what: &str, promised: &Value, written: &Value) {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let missing: Vec<String> = keys(promised).difference(&keys(written)).cloned().collect();
    assert!(missing.is_empty(), "{what} lacks {missing:?}");
}
