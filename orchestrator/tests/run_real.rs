//! Whole runs of the built programs on real namespaces: results, churn, sweeps, refusals.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use peerbed_orchestrator::accounting::{Accounting, TOLERANCE};
use peerbed_orchestrator::real::features::{self, Feature};
use run_support::{Place, SLOW, TINY, assert_ended, can_run, code, is_root, output, stderr, stdout};
use serde_json::{Value, json};

#[test]
fn a_run_gives_results_and_a_table_that_report_makes_again() {
    if !can_run() {
        return;
    }
    let place = Place::with(TINY);
    let run = place.command().output().unwrap();
    assert_ended(&run, 0);
    let results = place.results();
    assert_eq!((&results["outcome"], &results["engine"]), (&json!("finished"), &json!("kernel")));
    for (index, via) in ["client-server", "swarm"].into_iter().enumerate() {
        let distribution = &results["distributions"][index];
        assert_eq!((&distribution["via"], &distribution["bytes"]), (&json!(via), &json!(1 << 20)));
        assert!(distribution["ratio"].as_f64().unwrap() >= 1.0, "{distribution}");
        let completions = distribution["completions"].as_array().unwrap();
        assert!(completions.len() == 2 && completions.iter().all(|c| c["verified"] == true), "{distribution}");
    }
    assert!(stderr(&run).lines().any(|line| line.starts_with("blob via swarm: ")), "{}", stderr(&run));
    assert!(!stderr(&run).contains('\r'));

    let again = output(["report".as_ref(), place.run().as_os_str()]);
    assert_eq!(stdout(&run), stdout(&again));

    let kept = |name: &str| place.run().join(name).exists();
    assert!(
        ["plan.yaml", "topology.yaml", "events.ndjson", "samples/peers.ndjson", "peers/home-1/log"].map(kept)
            == [true; 5]
    );
    assert!(!kept("content") && !kept("peers/home-1/d0"), "payload is removed");
    assert_eq!(fs::read_to_string(place.run().join("topology.yaml")).unwrap(), TINY);
    assert_eq!(place.processes(), Vec::<u32>::new());
    assert_eq!(fs::read_dir(place.temporary()).unwrap().count(), 0);
}

#[test]
fn the_uplinks_account_for_all_their_time_and_for_every_byte_of_the_file() {
    if !can_run() {
        return;
    }
    let place = Place::with(TINY);
    let run = place.command().output().unwrap();
    assert_ended(&run, 0);
    let results = place.results();
    let swarm = results["distributions"].as_array().unwrap().iter().find(|d| d["via"] == "swarm").unwrap();
    let accounting: Accounting = serde_json::from_value(swarm["accounting"].clone()).unwrap();
    assert_eq!(accounting.peers.len(), 3, "{accounting:?}");
    for (peer, account) in &accounting.peers {
        assert!(account.unexplained().abs() < TOLERANCE, "{peer}: {account:?}");
        assert!(account.protocol_bytes > 0.0, "{peer}: {account:?}");
    }
    assert_eq!(accounting.all.payload_bytes, f64::from(2 << 20), "two copies of 1 MiB");
    assert!(stdout(&run).contains("uplinks of blob via swarm (3 together): payload "), "{}", stdout(&run));
}

#[test]
fn payload_is_kept_when_asked_for() {
    if !can_run() {
        return;
    }
    let place = Place::with(TINY);
    let run = place.command().args(["--keep-files", "--quiet"]).output().unwrap();
    assert_ended(&run, 0);
    assert_eq!(stderr(&run), "");
    let copies: Vec<Vec<u8>> = ["peers/home-1/d0/blob", "peers/home-2/d1/blob", "content/blob"]
        .map(|p| fs::read(place.run().join(p)).unwrap())
        .into();
    assert!(copies[0].len() == 1 << 20 && copies.iter().all(|copy| *copy == copies[0]));
}

#[test]
fn a_failed_expectation_is_shown_and_ends_with_1() {
    if !can_run() {
        return;
    }
    let place = Place::with(&TINY.replace("ratio <= 50", "ratio <= 0.5"));
    let run = place.command().output().unwrap();
    assert_ended(&run, 1);
    assert!(stdout(&run).contains("failed: distribution.blob.ratio <= 0.5 (found "), "{}", stdout(&run));
}

#[test]
fn peers_that_crash_leave_and_return_are_treated_as_the_scenario_says() {
    if !can_run() {
        return;
    }
    let churn = "\
version: 1
name: churn
timeout: 300s
links:
  fast: { up: 8mbit, down: 8mbit }
groups:
  origin: { link: fast, swarm: seed, tracker: {} }
  home: { count: 4, link: fast, swarm: leecher }
  late: { link: fast, swarm: leecher, present: false }
files:
  blob: { size: 3MiB, piece: 256KiB }
scenario:
  - distribute: { file: blob, from: origin, to: [home, late], via: swarm }
  - when: distribution.blob.progress >= 20%
    crash: { peers: [home-1, home-2] }
  - leave: { peers: home-3 }
  - join: { peers: [home-1, late] }
";
    let place = Place::with(churn);
    let run = place.command().output().unwrap();
    let results = place.results();
    assert_ended(&run, 0);
    let distribution = &results["distributions"][0];
    let of = |name: &str| {
        let all = distribution["completions"].as_array().unwrap();
        all.iter().find(|completion| completion["peer"] == name).unwrap().clone()
    };
    for name in ["home-1", "home-4", "late"] {
        let completion = of(name);
        assert!(completion["verified"] == true && completion["required"] == true, "{completion}");
    }
    for name in ["home-2", "home-3"] {
        assert!(of(name)["required"] == false || of(name)["seconds"].is_f64(), "{}", of(name));
    }
    assert_eq!(distribution["peers"], 5);
    let said = |event: &str, peer: &str| place.events().iter().any(|e| e["event"] == event && e["peer"] == peer);
    assert!(said("left", "home-3") && said("exited", "home-1") && !said("left", "home-1"));
}

#[test]
fn a_run_that_takes_too_long_says_who_had_not_finished() {
    if !can_run() {
        return;
    }
    let place = Place::with(&format!("timeout: 2s\n{SLOW}"));
    let run = place.command().output().unwrap();
    let text = stderr(&run);
    assert_eq!(code(&run), 3, "{text}");
    assert!(
        text.contains(
            "the scenario did not end within 2s: distribution blob via swarm: 3 of 3 peers had not finished: home-1"
        ),
        "{text}"
    );
    assert!(stdout(&run).contains("outcome: failed: the scenario did not end"), "{}", stdout(&run));
    assert_eq!(place.results()["outcome"], "failed");
}

#[test]
fn a_sweep_holds_one_directory_per_run_and_one_table() {
    if !can_run() {
        return;
    }
    let topology = TINY.replace("  - distribute: { file: blob, from: origin, to: home, via: swarm }\n", "");
    let sweep = "sweep:\n  groups.home.count: [1, 2]\n  scenario.0.distribute.via: [client-server, swarm]\n";
    let place = Place::with(&format!("{topology}{sweep}"));
    let run = place.command().output().unwrap();
    assert_ended(&run, 0);
    let results = place.results();
    let runs = results["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    assert_eq!(runs[3]["values"], json!({ "groups.home.count": 2, "scenario.0.distribute.via": "swarm" }));
    for run in runs {
        let directory = place.run().join(run["directory"].as_str().unwrap());
        let own: Value = serde_json::from_slice(&fs::read(directory.join("results.json")).unwrap()).unwrap();
        assert_eq!(own, run["results"]);
    }
    let rows = stdout(&run).lines().filter(|line| line.starts_with("│ ") && !line.contains("bound")).count();
    assert!(rows >= 2, "{}", stdout(&run));
    assert_eq!(stdout(&run), stdout(&output(["report".as_ref(), place.run().as_os_str()])));
}

#[test]
fn a_server_holds_little_for_a_client_whose_link_is_thin() {
    if !can_run() {
        return;
    }
    let topology = TINY
        .replace("  - distribute: { file: blob, from: origin, to: home, via: swarm }\n", "")
        .replace("home: { count: 2, link: fast,", "home: { count: 10, link: thin,")
        .replace("origin: { link: fast,", "origin: { link: server,")
        .replace("fast: { up: 50mbit, down: 50mbit }", "thin: { down: 2mbit }\n  server: { up: 20mbit }");
    assert!(
        ["count: 10, link: thin", "link: server", "server: { up"].iter().all(|part| topology.contains(part)),
        "{topology}"
    );
    let place = Place::with(&topology);
    assert_ended(&place.command().output().unwrap(), 0);
    let results = place.results();
    let peaks = results["memory"].as_array().unwrap().iter();
    let mut peaks = peaks.map(|peer| (&peer["peer"], peer["peak_bytes"].as_u64().unwrap()));
    let (name, server) = peaks.next().unwrap();
    let client = peaks.map(|(_, bytes)| bytes).max().unwrap();
    assert_eq!(name, "origin");
    // All ten copies are 10 MiB.
    assert!(server < client + (6 << 20), "the server took {server} bytes, a client {client}");
}

#[test]
fn repeats_have_seeds_of_their_own() {
    if !can_run() {
        return;
    }
    let place = Place::with(TINY);
    let run = place.command().args(["--repeat", "2", "--seed", "11"]).output().unwrap();
    assert_ended(&run, 0);
    let seeds: Vec<u64> =
        place.results()["runs"].as_array().unwrap().iter().map(|r| r["results"]["seed"].as_u64().unwrap()).collect();
    assert!(seeds.len() == 2 && seeds[0] == 11 && seeds[1] != 11, "{seeds:?}");
}

#[test]
fn what_the_kernel_lacks_is_carried_in_user_space_and_said_so() {
    if !can_run() || probe_of(Feature::Tun).is_some() {
        println!("skipped: no TUN devices here");
        return;
    }
    let delayed = TINY.replace("down: 50mbit }", "down: 50mbit, delay: 5ms }");
    let (auto, reason) = match probe_of(Feature::Netem) {
        None => ("kernel", "this kernel has every queueing discipline"),
        Some(_) => ("user", "needs sch_netem, which this kernel lacks"),
    };
    for (asked, engine, reason) in [("auto", auto, reason), ("user", "user", "asked for by the topology")] {
        let place = Place::with(&format!("engine: {asked}\n{delayed}"));
        let run = place.command().output().unwrap();
        assert_ended(&run, 0);
        let results = place.results();
        assert_eq!(results["engine"], engine);
        assert!(results["engine_reason"].as_str().unwrap().contains(reason), "{results}");
    }
}

#[test]
fn what_the_kernel_lacks_is_refused_by_name_with_a_cure() {
    if !can_run() {
        return;
    }
    if probe_of(Feature::Netem).is_none() {
        println!("skipped: this kernel has sch_netem");
        return;
    }
    let topology = TINY.replace("down: 50mbit }", "down: 50mbit, delay: 10ms }");
    let place = Place::with(&format!("engine: kernel\n{topology}"));
    let run = place.command().output().unwrap();
    let text = stderr(&run);
    assert_eq!(code(&run), 3, "{text}");
    assert!(text.contains("sch_netem") && text.contains("this kernel lacks"), "{text}");
}

#[test]
fn a_full_disk_is_called_a_full_disk() {
    if !can_run() || !is_root() {
        println!("skipped: only root can mount a small disk");
        return;
    }
    // Not even the original fits; the original fits and the copies do not.
    for size in ["900k", "2500k"] {
        let place = Place::with(TINY);
        fs::create_dir(place.run()).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={size} none \"$1\" && exec \"$0\" run \"$2\" --out \"$1/run\" --quiet --no-verify"
        );
        let run = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script, env!("CARGO_BIN_EXE_peerbed")])
            .args([place.run(), place.topology()])
            .output()
            .unwrap();
        let text = stderr(&run);
        assert_eq!(code(&run), 3, "{size}: {text}");
        assert!(text.starts_with("error: the disk is full: ") && text.lines().count() == 1, "{size}: {text}");
        assert!(stdout(&run).contains("outcome: failed: the disk is full"), "{size}: {}", stdout(&run));
    }
}

#[test]
fn an_ordinary_user_runs_where_user_namespaces_are_allowed() {
    if !is_root() || !can_run() {
        println!("skipped: root becomes an ordinary user here; ordinary users run all the other tests");
        return;
    }
    let place = Place::with(TINY);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let run = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", env!("CARGO_BIN_EXE_peerbed"), "run"])
        .arg(place.topology())
        .arg("--out")
        .arg(place.run())
        .arg("--no-verify")
        .output()
        .unwrap();
    let text = stderr(&run);
    if text.contains("cannot make network namespaces") || text.contains("Permission denied") {
        println!("skipped: {text}");
        return;
    }
    assert_ended(&run, 0);
    assert_eq!(place.results()["outcome"], "finished");
}

/// The kernel's words where it lacks a feature.
fn probe_of(feature: Feature) -> Option<String> {
    features::probe(&[feature]).unwrap().remove(0).1
}
