//! Links are measured before the scenario: by whole runs, and by testbeds that were built from another plan.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod fit_host;
mod run_support;

use fit_host::measure;
use peerbed_orchestrator::{
    plan::Plan,
    run_directory::RunDirectory,
    testbed::{Options, Testbed},
    topology::{self, sweep},
    verify::{self, Report},
};
use run_support::{Place, assert_ended, can_run, code, stderr, stdout};

#[test]
fn a_run_measures_its_links_and_shows_them() {
    if !can_run() {
        return;
    }
    measure("the links of a run", || {
        let place = Place::with(&topology("home: { up: 2mbit, down: 20mbit }"));
        let output = place.verifying_command().output().unwrap();
        if ![0, 4].contains(&code(&output)) {
            return Err(stderr(&output));
        }
        let results = place.results();
        assert_eq!(results["verification"]["state"], "done");
        let up = results["links"].as_array().unwrap().iter().find(|l| l["class"] == "home" && l["direction"] == "up");
        let up = up.unwrap();
        assert_eq!((&up["asked"]["rate_bps"], &up["within_tolerance"]), (&2_000_000.into(), &true.into()));
        let text = stdout(&output);
        assert!(text.contains("links: 4 of 4 directions as asked for"), "{text}");
        let (rate, delay) = (up["measured"]["rate_bps"].as_f64().unwrap(), up["measured"]["delay_s"].as_f64().unwrap());
        let is_right = (1.94e6..2.06e6).contains(&rate) && up["measured"]["loss"] == 0.0 && delay < 0.001;
        if is_right { Ok(()) } else { Err(up.to_string()) }
    });
}

#[test]
fn a_run_that_trusts_its_links_says_so() {
    if !can_run() {
        return;
    }
    let place = Place::with(&topology("home: { up: 20mbit, down: 20mbit }"));
    let output = place.verifying_command().arg("--no-verify").output().unwrap();
    assert_ended(&output, 0);
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
    measure("a link that is too slow", || {
        let report = sabotaged("home: { up: 2mbit, down: 20mbit }", "home: { up: 2.2mbit, down: 20mbit }");
        let failure = report.failure().unwrap();
        assert!(failure.contains("link `home` up: rate: asked 2.2mbit, measured "), "{failure}");
        assert!(failure.contains("--no-verify"), "{failure}");
        let [up, down] = ["up", "down"].map(|direction| {
            report.links.iter().find(|link| link.class == "home" && link.direction == direction).unwrap()
        });
        assert_eq!(up.within_tolerance, Some(false), "{failure}");
        assert!(up.first_attempt.is_some(), "it is measured twice before a run is refused");
        let is_alone = down.within_tolerance == Some(true) && !failure.contains("down");
        if is_alone { Ok(()) } else { Err(failure) }
    });
}

#[test]
fn a_delay_and_a_loss_that_do_not_exist_are_found_out() {
    if !can_run() {
        return;
    }
    measure("a link without delay and loss", || {
        let report =
            sabotaged("home: { up: 20mbit, down: 20mbit }", "home: { up: 20mbit, down: 20mbit, delay: 5ms, loss: 3% }");
        let failure = report.failure().unwrap_or_default();
        let is_named = |direction: &str| {
            failure.contains(&format!("link `home` {direction}: one-way delay: asked 5.00 ms, measured 0."))
                && failure.contains(&format!("link `home` {direction}: loss: asked 3.00 %, measured 0.00 %"))
        };
        if ["up", "down"].into_iter().all(is_named) { Ok(()) } else { Err(failure) }
    });
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
