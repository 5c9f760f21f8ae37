//! Whole runs in which the network changes under a swarm: it completes all the same, every change is proved, and a change
//! that does not bite fails the run. With both engines.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod run_support;

use std::process::Command;

use peerbed_orchestrator::real::features::{self, Feature};
use run_support::{Place, assert_ended, can_run, code, is_root, stderr, stdout, wait_until};
use serde_json::Value;

#[test]
fn a_swarm_that_is_partitioned_for_seconds_completes_after_the_heal() {
    for engine in engines() {
        let steps = "
  - at: 700ms
    partition: { sides: [[origin, home-1], [home-2, home-3]], name: split }
  - wait: { for: 2s }
  - heal: {}";
        let (place, results) = complete(engine, steps);
        let changes = changes(&results);
        assert_eq!(actions(&changes), ["partition", "heal"], "{engine}");
        let cut = &changes[0];
        assert_eq!((&cut["partitions"][0], cut["peers"].as_array().unwrap().len()), (&"split".into(), 4));
        assert!(cut["asked_at"].as_f64().unwrap() >= 0.7, "{engine}: {cut}");
        assert_eq!((number(cut, "probes_sent"), number(cut, "ways")), (20.0, 4.0), "{engine}: {cut}");
        assert!(number(cut, "packets_lost") >= 20.0, "{engine}: {cut}");
        // Everything that crosses is lost for two seconds, and the uplink of 2 Mbit/s is not nearly enough to catch up.
        let seconds = results["distributions"][0]["seconds"].as_f64().unwrap();
        println!("{engine}: partitioned for 2 s, {seconds:.2} s in all; cut {cut}");
        let noted: Vec<Value> =
            place.events().into_iter().filter(|e| e["event"].as_str().unwrap().starts_with("change-")).collect();
        let words: Vec<&str> = noted.iter().map(|event| event["event"].as_str().unwrap()).collect();
        let once = ["change-asked", "change-applied", "change-proved"];
        assert_eq!(words, [once, once].concat(), "{engine}");
    }
}

#[test]
fn a_leecher_that_is_paused_and_resumed_completes_and_is_not_taken_for_dead() {
    for engine in engines() {
        let steps = "
  - at: 700ms
    pause: { peers: home-2 }
  - wait: { for: 7s }
  - resume: { peers: home-2 }";
        let (_, results) = complete(engine, steps);
        let changes = changes(&results);
        assert_eq!(actions(&changes), ["pause", "resume"], "{engine}");
        assert_eq!(changes[0]["peers"], serde_json::json!(["home-2"]));
        let completions = results["distributions"][0]["completions"].as_array().unwrap();
        let paused = completions.iter().find(|c| c["peer"] == "home-2").unwrap()["seconds"].as_f64().unwrap();
        println!("{engine}: the paused leecher took {paused:.2} s");
        // It stood still from 0.7 s to 7.7 s, less the 50 ms and a bit by which the begin is later than the step.
        assert!(paused > 7.0, "{engine}: {paused}");
    }
}

#[test]
fn links_that_flap_and_change_leave_a_swarm_that_completes() {
    for engine in engines() {
        let steps = "
  - at: 500ms
    flap: { peers: [home-1, home-3], down-for: 500ms, times: 2 }
  - link: { peers: home, up: x0.5 }
  - link: { peers: home, reset: true }";
        let (_, results) = complete(engine, steps);
        let changes = changes(&results);
        assert_eq!(actions(&changes), ["link"; 6], "{engine}");
        assert!(number(&changes[0], "probes_lost") >= 5.0, "{engine}: {}", changes[0]);
        assert_eq!(number(&changes[1], "directions_read_back"), 4.0, "{engine}: {}", changes[1]);
        assert_eq!(number(&changes[4], "directions_read_back"), 3.0, "{engine}: {}", changes[4]);
        assert!(changes[4]["proof"]["numbers"]["home-1 to (vantage): least_seconds"].is_number(), "{}", changes[4]);
    }
}

#[test]
fn a_partition_that_does_not_bite_fails_the_run() {
    if !is_root() {
        println!("skipped: only root can join the namespaces of a run from outside");
        return;
    }
    for engine in engines() {
        let place = Place::with(&topology(
            engine,
            "{ up: 20mbit, down: 20mbit }",
            "
  - wait: { programs: gate }
  - partition: { sides: [home-1, home-2], name: split }
  - wait: { for: 60s }",
        ));
        let run = place.start();
        wait_until("both peers run", || place.peer("home-1").is_some() && place.peer("home-2").is_some());
        bypass(&place);
        open_gate(&place);
        let run = run.wait_with_output().unwrap();
        assert_eq!(code(&run), 3, "{engine}: {}{}", stderr(&run), stdout(&run));
        let results = place.results();
        let error = results["error"].as_str().unwrap();
        assert!(error.contains("(partition): the partition split did not bite: "), "{engine}: {error}");
        assert!(error.contains("probes came through"), "{engine}: {error}");
        assert_eq!(changes(&results)[0]["proof"], Value::Null);
    }
}

#[test]
fn a_heal_that_does_not_take_fails_the_run() {
    if !is_root() {
        println!("skipped: only root can join the namespaces of a run from outside");
        return;
    }
    for engine in engines() {
        let place = Place::with(&topology(
            engine,
            "{ up: 20mbit, down: 20mbit }",
            "
  - partition: { sides: [home-1, home-2], name: split }
  - wait: { programs: gate }
  - heal: {}
  - wait: { for: 60s }",
        ));
        let run = place.start();
        wait_until("the partition is proved", || place.events().iter().any(|event| event["event"] == "change-proved"));
        inside(&place.peer("home-1").unwrap().to_string(), "ip route add blackhole 198.18.0.3/32");
        open_gate(&place);
        let run = run.wait_with_output().unwrap();
        assert_eq!(code(&run), 3, "{engine}: {}{}", stderr(&run), stdout(&run));
        let results = place.results();
        let error = results["error"].as_str().unwrap();
        assert!(error.contains("(heal): the heal did not take: no probe arrived from home-1 to home-2"), "{error}");
        assert!(changes(&results)[0]["proof"].is_object() && changes(&results)[1]["proof"].is_null());
    }
}

#[test]
fn traces_are_followed_from_the_start_of_the_scenario() {
    for engine in engines() {
        // Half of each second nothing leaves the origin.
        let place =
            Place::with(&topology(engine, "{ up: 4mbit, down: 20mbit, trace: { file: t.csv, repeat: 1s } }", ""));
        std::fs::write(place.path().join("t.csv"), "time,rate\n0s,4mbit\n500ms,0kbit\n").unwrap();
        let run = place.command().arg("--quiet").output().unwrap();
        assert_ended(&run, 0);
        let results = place.results();
        let seconds = results["distributions"][0]["seconds"].as_f64().unwrap();
        println!("{engine}: {seconds:.2} s over links that stand still half of the time; {}", results["traces"]);
        // 8.4 Mbit at 4 Mbit/s in every other half of a second.
        assert!(seconds > 3.0, "{engine}: {seconds}");
        let traces = results["traces"].as_array().unwrap();
        assert_eq!(traces.len(), 2, "{engine}: {traces:?}");
        let followed = traces[0]["changes"].as_u64().unwrap() + traces[0]["skipped"].as_u64().unwrap();
        assert!(followed as f64 >= seconds * 2.0 - 1.0, "{engine}: {traces:?}");
        let noted = place.events().into_iter().filter(|event| event["event"] == "traced").collect::<Vec<_>>();
        assert_eq!((&noted[0]["class"], &noted[0]["rate_bps"]), (&"home".into(), &4_000_000.into()), "{engine}");
    }
}

/// Carries out a swarm on links of 2 Mbit/s with these steps beside it, and looks that everybody has the file.
fn complete(engine: &str, steps: &str) -> (Place, Value) {
    let place = Place::with(&topology(engine, "{ up: 2mbit, down: 20mbit }", steps));
    let run = place.command().arg("--quiet").output().unwrap();
    assert_ended(&run, 0);
    let results = place.results();
    assert_eq!((&results["outcome"], &results["engine"]), (&"finished".into(), &engine.into()), "{results}");
    let completions = results["distributions"][0]["completions"].as_array().unwrap();
    assert!(completions.len() == 3 && completions.iter().all(|c| c["verified"] == true), "{engine}: {completions:?}");
    (place, results)
}

fn topology(engine: &str, link: &str, steps: &str) -> String {
    format!(
        "\
version: 1
name: faults
engine: {engine}
timeout: 300s
links:
  home: {link}
groups:
  origin: {{ link: home, swarm: seed, tracker: {{}} }}
  home: {{ count: 3, link: home, swarm: leecher }}
  gate: {{ link: home, exec: {{ command: sh, arguments: [-c, 'until test -e open; do sleep 0.1; done'], complete: exit }} }}
files:
  blob: {{ size: 1MiB, piece: 64KiB }}
scenario:
  - distribute: {{ file: blob, from: origin, to: home, via: swarm }}{steps}
"
    )
}

/// Ends the program that steps wait for.
fn open_gate(place: &Place) {
    std::fs::write(place.run().join("peers/gate/open"), "").unwrap();
}

/// Joins two peers by a link of our own, past everything that the run has made.
fn bypass(place: &Place) {
    let [one, two] = ["home-1", "home-2"].map(|name| place.peer(name).unwrap().to_string());
    let ip = |words: &str| {
        let output = Command::new("ip").args(words.split(' ')).output().unwrap();
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    };
    ip(&format!("link add by1 netns {one} type veth peer name by2 netns {two}"));
    // Peers' addresses are those of the plan: origin has the first.
    for (process, link, other) in [(&one, "by1", "198.18.0.3"), (&two, "by2", "198.18.0.2")] {
        inside(process, &format!("ip link set {link} up"));
        inside(process, &format!("ip route add {other}/32 dev {link}"));
    }
}

/// Runs a command in the network namespace of a process.
fn inside(process: &str, words: &str) {
    let output = Command::new("nsenter").args(["-t", process, "-n"]).args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

fn changes(results: &Value) -> Vec<Value> {
    results["changes"].as_array().unwrap().clone()
}

fn actions(changes: &[Value]) -> Vec<&str> {
    changes.iter().map(|change| change["action"].as_str().unwrap()).collect()
}

fn number(change: &Value, name: &str) -> f64 {
    change["proof"]["numbers"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {change}"))
}

/// Those that runs can be made with here.
fn engines() -> Vec<&'static str> {
    if !can_run() {
        return Vec::new();
    }
    let has_tun = features::probe(&[Feature::Tun]).unwrap()[0].1.is_none();
    if has_tun { vec!["kernel", "user"] } else { vec!["kernel"] }
}
