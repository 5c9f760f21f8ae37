//! Commands that judge: `suite` over real runs, `compare`, JUnit and Markdown, with their exit codes.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;

use std::{fs, path::Path};

use run_support::{Place, SLOW, TINY, can_run, code, output, peerbed, stderr, stdout};
use serde_json::json;

#[test]
fn a_suite_runs_everything_and_is_as_bad_as_its_worst_topology() {
    if !can_run() {
        return;
    }
    let place = Place::with(TINY);
    let failing = TINY.replace("ratio <= 50", "seconds <= 0.001").replace("name: tiny", "name: failing");
    fs::write(place.path().join("failing.yaml"), failing).unwrap();
    let suite = "version: 1\nname: small\ntopologies:\n- { file: topology.yaml, name: good, tags: [a] }\n\
                 - { file: failing.yaml, tags: [b], retries: 3 }\n";
    fs::write(place.path().join("suite.yaml"), suite).unwrap();
    let summary = place.path().join("summary.md");
    let mut command = peerbed();
    command.arg("suite").arg(place.path().join("suite.yaml")).arg("--out").arg(place.run()).arg("--no-verify");
    let done = command.arg("--summary").arg(&summary).output().unwrap();

    let table = stdout(&done);
    // A host that is busy with other tests may make a verdict invalid; everything else is told from it.
    assert!([1, 4].contains(&code(&done)), "{}{table}", stderr(&done));
    let junit = fs::read_to_string(place.run().join("junit.xml")).unwrap();
    assert!(junit.contains("<testsuite name=\"good: tiny\"") && junit.contains("<testsuite name=\"failing: failing\""));
    if code(&done) == 1 {
        assert!(junit.contains("<failure type=\"expectation\""), "{junit}");
        assert!(table.contains("failing: distribution.blob.seconds <= 0.001 (found "), "{table}");
        assert!(!place.run().join("failing-again-1").exists(), "a failed expectation is not tried again");
    }
    assert!(place.run().join("good/report.html").is_file());
    let text = fs::read_to_string(summary).unwrap();
    assert_eq!(text.matches("## small: ").count(), 1, "one summary of all runs: {text}");
}

#[test]
fn a_topology_that_takes_too_long_is_ended_and_told_from_a_failure() {
    if !can_run() {
        return;
    }
    let place = Place::with(SLOW);
    let suite = "version: 1\nname: late\ntopologies:\n- { file: topology.yaml, timeout: 4s }\n";
    fs::write(place.path().join("suite.yaml"), suite).unwrap();
    let mut command = peerbed();
    command.arg("suite").arg(place.path().join("suite.yaml")).arg("--out").arg(place.run()).arg("--no-verify");
    let done = command.output().unwrap();
    assert_eq!(code(&done), 3, "{}", stderr(&done));
    assert!(stdout(&done).contains("it took longer than 4s and was ended"), "{}", stdout(&done));
    let junit = fs::read_to_string(place.run().join("junit.xml")).unwrap();
    assert!(junit.contains("failures=\"0\"") && junit.contains("<error type=\"failed\""), "{junit}");
    run_support::wait_until("its processes are gone", || place.processes().is_empty());
}

#[test]
fn a_suite_that_cannot_be_read_runs_nothing() {
    let place = Place::with(TINY);
    let path = place.path().join("suite.yaml");
    fs::write(&path, "version: 1\nname: s\ntopologies:\n- { file: none.yaml }\n").unwrap();
    let done = output(["suite".as_ref(), path.as_os_str()]);
    assert_eq!(code(&done), 2);
    assert!(stderr(&done).contains("there is no topology"), "{}", stderr(&done));
}

#[test]
fn a_suite_with_a_topology_or_a_path_that_is_wrong_runs_nothing() {
    let place = Place::with(TINY);
    fs::write(place.path().join("bad.yaml"), TINY.replace("ratio <= 50", "ratoi <= 50")).unwrap();
    let first = "version: 1\nname: s\ntopologies:\n- { file: topology.yaml, name: good }\n";
    for (wrong, said) in [
        ("- { file: bad.yaml }", "`ratoi` is no figure of a distribution"),
        ("- { file: topology.yaml, set: { files.blub.size: 2MiB } }", "blub"),
    ] {
        let path = place.path().join("suite.yaml");
        fs::write(&path, format!("{first}{wrong}\n")).unwrap();
        let done = peerbed().arg("suite").arg(&path).arg("--out").arg(place.run()).output().unwrap();
        assert_eq!(code(&done), 2, "{}", stderr(&done));
        assert!(stderr(&done).contains(said), "{}", stderr(&done));
        assert!(!place.run().exists(), "nothing was run");
    }
}

#[test]
fn the_ready_suite_lists_topologies_that_are_there() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies/suite.yaml");
    let done = output(["suite".as_ref(), path.as_os_str(), "--list".as_ref(), "--tag".as_ref(), "quick".as_ref()]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    assert!(stdout(&done).starts_with("demo  "), "{}", stdout(&done));
}

#[test]
fn compare_ends_with_the_code_of_what_it_found() {
    let place = tempfile::tempdir().unwrap();
    let builds = [
        ("old", vec![18.3, 18.4, 18.2, 18.3, 18.5]),
        ("same", vec![18.4, 18.2, 18.3, 18.5, 18.3]),
        ("slower", vec![20.1, 20.2, 20.0, 20.3, 20.1]),
        ("single", vec![18.3]),
    ];
    for (name, seconds) in &builds {
        write_build(&place.path().join(name), &seconds.iter().copied().map(Some).collect::<Vec<_>>());
    }
    write_build(&place.path().join("stuck"), &[None; 5]);
    write_build(&place.path().join("unsteady"), &[Some(18.3), None, Some(18.4), Some(18.2), None]);
    let compare = |other: &str| {
        let mut command = peerbed();
        command.arg("compare").arg(place.path().join("old")).arg(place.path().join(other));
        command.args(["--fail-if", "slower-than 5%"]).output().unwrap()
    };
    let codes = ["same", "slower", "single", "stuck", "unsteady"].map(|other| code(&compare(other)));
    assert_eq!(codes, [0, 1, 4, 1, 1]);
    let stuck = compare("stuck");
    assert!(stdout(&stuck).contains("5 of 5 runs of "), "{}", stdout(&stuck));
    let slower = compare("slower");
    assert!(stdout(&slower).contains("slower-than 5% fails"), "{}", stdout(&slower));
    let nothing = output(["compare".as_ref(), place.path().join("old").as_os_str(), "/nonexistent".as_ref()]);
    assert_eq!(code(&nothing), 2);
    let limit = output(["compare", "a", "b", "--fail-if", "5%"]);
    assert!(code(&limit) == 2 && stderr(&limit).contains("write `slower-than 5%`"), "{}", stderr(&limit));
}

#[test]
fn a_run_leaves_junit_and_appends_markdown_where_it_is_told() {
    let place = tempfile::tempdir().unwrap();
    write_build(place.path(), &[Some(18.3), Some(18.4)]);
    let said = stdout(&output(["report".as_ref(), place.path().as_os_str(), "--markdown".as_ref()]));
    assert!(said.starts_with("### demo: ✅ expectations hold"), "{said}");
    let done = output(["report".as_ref(), place.path().as_os_str(), "--junit".as_ref()]);
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let junit = fs::read_to_string(place.path().join("junit.xml")).unwrap();
    assert!(junit.contains("tests=\"4\" failures=\"0\" errors=\"0\""), "{junit}");
    let both = output(["report".as_ref(), place.path().as_os_str(), "--junit".as_ref(), "--html".as_ref()]);
    assert_eq!(code(&both), 2, "one form at a time");
}

/// The directory of repeated runs that took these times, or never completed.
fn write_build(root: &Path, seconds: &[Option<f64>]) {
    let run = |seconds: &Option<f64>| {
        let results = json!({
            "schema": 1, "name": "demo", "seed": 1, "engine": "kernel", "testbed": "real",
            "verdict": { "state": "valid", "reasons": [] }, "lookups": [], "recoveries": [], "links": [], "expectations": [],
            "distributions": [{ "id": "d0", "name": "release", "file": "release", "via": "swarm", "bytes": 8, "peers": 1,
                "seconds": seconds, "bound_seconds": 16.8, "bound_term": "total-upload",
                "ratio": seconds.map(|seconds| seconds / 16.8), "completions": [] }]
        });
        json!({ "values": {}, "repeat": 1, "directory": "001", "results": results })
    };
    let runs: Vec<_> = seconds.iter().map(run).collect();
    let sweep = json!({ "schema": 1, "name": "demo", "planned": runs.len(), "runs": runs });
    fs::create_dir_all(root).unwrap();
    fs::write(root.join("results.json"), sweep.to_string()).unwrap();
}

#[test]
fn the_table_of_baselines_is_made_from_the_runs_that_are_there() {
    let place = tempfile::tempdir().unwrap();
    let distribution = |name: &str, via: &str, kind: &str, seconds: f64| {
        json!({ "id": "d0", "name": name, "file": "release", "via": via, "kind": kind, "bytes": 8 << 20, "peers": 10,
            "seconds": seconds, "bound_seconds": 16.8, "bound_term": "total-upload", "ratio": seconds / 16.8,
            "p50_seconds": seconds - 1.0, "completions": [] })
    };
    let run = |seconds: f64| {
        let distributions = [
            distribution("peerbed", "swarm", "swarm", seconds),
            distribution("libtorrent", "libtorrent", "swarm", seconds + 2.0),
        ];
        json!({ "schema": 1, "name": "baselines", "seed": 1, "engine": "kernel", "testbed": "real",
            "verdict": { "state": "valid", "reasons": [] }, "lookups": [], "recoveries": [], "links": [],
            "distributions": distributions, "expectations": [],
            "left_out": [{ "id": "d2", "name": "aria2", "via": "aria2", "reason": "aria2c is not there" }],
            "provenance": { "started_at": "2026-11-23T05:54:09Z" } })
    };
    let member = |seconds: f64| json!({ "values": {}, "repeat": 1, "directory": "001", "results": run(seconds) });
    let runs = [member(18.4), member(18.2), member(18.3)];
    fs::create_dir(place.path().join("baselines")).unwrap();
    let sweep = json!({ "schema": 1, "name": "baselines", "planned": 3, "runs": runs });
    fs::write(place.path().join("baselines/results.json"), sweep.to_string()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = place.path().join("page.md");
    fs::copy(root.join("docs/baselines.md"), &page).unwrap();

    let mut make = std::process::Command::new("make");
    make.current_dir(root).arg("baselines-table").arg(format!("PEERBED={}", env!("CARGO_BIN_EXE_peerbed")));
    make.arg(format!("BASELINES={}", place.path().display())).arg(format!("BASELINES_PAGE={}", page.display()));
    let done = make.output().unwrap();

    assert!(done.status.success(), "{}", stderr(&done));
    let (before, after) =
        (fs::read_to_string(root.join("docs/baselines.md")).unwrap(), fs::read_to_string(&page).unwrap());
    for row in [
        "| peerbed | Peerbed | swarm | 10 | 8 MiB | 18.3 (18.2–18.4) | 16.8 | 1.09 (1.08–1.10) | 17.3 | 3 valid |",
        "| libtorrent | libtorrent | swarm | 10 | 8 MiB | 20.3 (20.2–20.4) | 16.8 | 1.21 (1.20–1.21) | 19.3 | 3 valid |",
        "| aria2 | aria2 | skipped: aria2c is not there | | | | | | | |",
    ] {
        assert!(after.lines().any(|line| line == row), "{row} in\n{after}");
    }
    // What stands around the table stays, and the table that was there is gone.
    let around = |text: &str| {
        let (head, rest) = text.split_once("<!-- measured -->\n").unwrap();
        (head.to_owned(), rest.split_once("<!-- /measured -->\n").unwrap().1.to_owned())
    };
    assert_eq!(around(&before), around(&after));
    assert_eq!(after.matches("| distribution | program |").count(), 1, "{after}");
}
