//! A host that is kept busy by somebody else is no host to measure on, and the verdict says so.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use run_support::{Place, can_run, stderr};

#[test]
fn a_run_beside_a_hog_on_every_processor_is_not_valid_and_says_when() {
    if !can_run() {
        return;
    }
    let place = Place::with(TOPOLOGY);
    let is_over = AtomicBool::new(false);
    let until = Instant::now() + HOG_MAX;
    let output = thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() * 2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) && Instant::now() < until {
                    std::hint::spin_loop();
                }
            });
        }
        let output = place.command().output().unwrap();
        is_over.store(true, Ordering::Relaxed);
        output
    });
    let results = place.results();
    assert_eq!(results["outcome"], "finished", "{}", stderr(&output));
    let verdict = &results["verdict"];
    assert!(verdict["state"] == "suspect" || verdict["state"] == "invalid", "{verdict}");
    let reasons = verdict["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason.as_str().unwrap().contains("(seconds 0–")), "{verdict}");
}

/// A hog that nobody stops ends by itself.
const HOG_MAX: Duration = Duration::from_secs(300);

/// Takes about four seconds: 1 MiB from one uplink of 2 Mbit/s.
const TOPOLOGY: &str = "\
version: 1
name: hogged
links:
  slow: { up: 2mbit, down: 20mbit }
groups:
  origin: { link: slow, swarm: seed, tracker: {} }
  home: { count: 2, link: slow, swarm: leecher }
files:
  blob: { size: 512KiB, piece: 64KiB }
scenario:
  - distribute: { file: blob, from: origin, to: home, via: client-server }
";
