//! Links are measured before the scenario: by whole runs, and by testbeds that were built from another plan.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;

use peerbed_orchestrator::{
    plan::Plan,
    run_directory::RunDirectory,
    testbed::{Options, Testbed},
    topology::{self, sweep},
    verify::{self, Report},
};
use run_support::{Place, can_run, code, stderr, stdout};

#[test]
fn a_run_measures_its_links_and_shows_them() {
    if !can_run() {
        return;
    }
    let place = Place::with(&topology("home: { up: 2mbit, down: 20mbit }"));
    let output = place.verifying_command().output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = place.results();
    assert_eq!(results["verification"]["state"], "done");
    let up = results["links"].as_array().unwrap().iter().find(|l| l["class"] == "home" && l["direction"] == "up");
    let up = up.unwrap();
    assert_eq!((&up["asked"]["rate_bps"], &up["within_tolerance"]), (&2_000_000.into(), &true.into()));
    let rate = up["measured"]["rate_bps"].as_f64().unwrap();
    assert!((1.94e6..2.06e6).contains(&rate), "{rate}");
    assert!(up["measured"]["loss"] == 0.0 && up["measured"]["delay_s"].as_f64().unwrap() < 0.001, "{up}");
    let text = stdout(&output);
    assert!(text.contains("links: 4 of 4 directions as asked for"), "{text}");
}

#[test]
fn a_run_that_trusts_its_links_says_so() {
    if !can_run() {
        return;
    }
    let place = Place::with(&topology("home: { up: 20mbit, down: 20mbit }"));
    let output = place.verifying_command().arg("--no-verify").output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let results = place.results();
    assert_eq!(results["verification"]["state"], "skipped");
    assert!(results["links"][0].get("measured").is_none(), "{}", results["links"][0]);
    assert!(stdout(&output).contains("links: not measured (--no-verify)"));
}

#[test]
fn a_link_that_is_not_as_asked_for_is_named_with_class_direction_and_both_figures() {
    if !can_run() {
        return;
    }
    let report = sabotaged("home: { up: 2mbit, down: 20mbit }", "home: { up: 2.2mbit, down: 20mbit }");
    let failure = report.failure().unwrap();
    assert!(failure.contains("link `home` up: rate: asked 2.2mbit, measured "), "{failure}");
    assert!(!failure.contains("down") && failure.contains("--no-verify"), "{failure}");
    let [up, down] = ["up", "down"]
        .map(|direction| report.links.iter().find(|link| link.class == "home" && link.direction == direction).unwrap());
    assert_eq!((up.within_tolerance, down.within_tolerance), (Some(false), Some(true)));
    assert!(up.first_attempt.is_some(), "it is measured twice before a run is refused");
}

#[test]
fn a_delay_and_a_loss_that_do_not_exist_are_found_out() {
    if !can_run() {
        return;
    }
    let report =
        sabotaged("home: { up: 20mbit, down: 20mbit }", "home: { up: 20mbit, down: 20mbit, delay: 5ms, loss: 3% }");
    let failure = report.failure().unwrap();
    for direction in ["up", "down"] {
        assert!(failure.contains(&format!("link `home` {direction}: one-way delay: asked 5.00 ms, measured 0.")));
        assert!(failure.contains(&format!("link `home` {direction}: loss: asked 3.00 %, measured 0.00 %")));
    }
}

/// Measures a testbed with the link `built` as if it had been built with the link `asked`.
fn sabotaged(built: &str, asked: &str) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let run = RunDirectory::create(&directory.path().join("run")).unwrap();
    run.create_places().unwrap();
    let peer = std::path::Path::new(env!("CARGO_BIN_EXE_peerbed")).with_file_name("peerbed-peer");
    let options = Options::new(peer, directory.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (testbed, _events) = Testbed::set_up(&plan(built), &run, &options).await.unwrap();
        let report = verify::verify(&testbed, &plan(asked)).await.unwrap();
        testbed.tear_down().await.unwrap();
        report
    })
}

fn plan(link: &str) -> Plan {
    let topology = topology::read("test.yaml", &topology(link)).unwrap();
    sweep::expand(&topology).unwrap().remove(0).1
}

fn topology(link: &str) -> String {
    format!(
        "\
version: 1
name: links
links:
  fast: {{ up: 20mbit, down: 20mbit }}
  {link}
groups:
  origin: {{ link: fast, swarm: seed, tracker: {{}} }}
  home: {{ count: 2, link: home, swarm: leecher }}
files:
  blob: {{ size: 256KiB, piece: 64KiB }}
scenario:
  - distribute: {{ file: blob, from: origin, to: home, via: swarm }}
"
    )
}
