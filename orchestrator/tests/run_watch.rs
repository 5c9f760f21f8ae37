//! `run --watch`: the live page in a browser while a real run goes on.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod report_support;
mod run_support;

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use report_support::browser::Browser;
use run_support::{Place, Running, can_run, signal, wait_until};
use rustix::process::Signal;

#[test]
fn a_browser_sees_the_pictures_change_and_asks_nobody_but_the_run() {
    if !can_run() {
        return;
    }
    let Some(mut browser) = Browser::start() else { return };
    let place = Place::with(TOPOLOGY);
    let run = place.command().arg("--watch=0").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut run = Running(run);
    let mut said = BufReader::new(run.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = said.by_ref().find(|line| line.starts_with("live page on ")).expect("an address");
    let address = line.trim_start_matches("live page on ").to_owned();
    assert!(address.starts_with("http://127.0.0.1:"), "others are not served by accident: {address}");
    said.by_ref().find(|line| line.starts_with("step 0")).expect("the scenario begins");

    browser.show("light", 1400);
    browser.go_to(&address);
    wait_until("the pictures of swarm, ring, uplinks and host are there", || {
        FIGURES.iter().all(|id| browser.evaluate(&format!("document.getElementById('{id}') !== null")) == true)
    });
    assert_eq!(browser.evaluate(STATE), "live");
    assert_eq!(browser.evaluate("document.querySelector('h1').textContent.includes('running')"), true);
    let subtitle = browser.evaluate("document.querySelector('#head p').textContent");
    let subtitle = subtitle.as_str().unwrap();
    assert!(subtitle.contains("s into the scenario") && !subtitle.contains("in all"), "{subtitle}");
    let latest = browser.evaluate("document.querySelector('#latest tbody').textContent");
    assert!(latest.as_str().unwrap().contains("step 0 begins: blob via swarm"), "{latest}");
    browser.click(TABLE);
    assert_eq!(browser.evaluate(UNFOLDED), true, "a click unfolds the table and leaves the focus there");
    browser.evaluate(&format!("{FOLDED_PLAN}.open = true; {FOLDED_PLAN}.querySelector('pre').scrollTop = 40"));
    let before = browser.evaluate(UPDATES).as_f64().unwrap();
    let drawn = browser.evaluate(PROGRESS);
    wait_until("the pictures are made anew", || browser.evaluate(UPDATES).as_f64().unwrap() > before + 1.0);
    wait_until("progress is drawn further, beside the table that has the focus", || {
        browser.evaluate(PROGRESS) != drawn
    });
    assert_eq!(browser.evaluate(UNFOLDED), true, "what was unfolded stays so, and keeps the focus");
    let open: f64 = browser.evaluate("document.querySelectorAll('details[open]').length").as_f64().unwrap();
    assert!((open - 2.0).abs() < 0.1, "{open} are unfolded and not two");
    let scrolled = browser.evaluate(&format!("{FOLDED_PLAN}.querySelector('pre').scrollTop"));
    assert_eq!(scrolled.as_f64(), Some(40.0), "what was scrolled stays so");
    assert!(browser.picture().len() > 13_000, "a picture of nothing");
    let seen = browser.opened(&address, Duration::ZERO);
    let elsewhere: Vec<&String> = seen.requests.iter().filter(|url| !url.starts_with(&address)).collect();
    assert!(elsewhere.is_empty(), "asked for {elsewhere:?}");
    assert!(seen.complaints.is_empty(), "said {:?}", seen.complaints);

    browser.cut_off(true);
    wait_until("the page says that it has no answer", || {
        browser.evaluate(STATE).as_str().is_some_and(|state| state.starts_with("no answer"))
    });
    browser.cut_off(false);
    let before = browser.evaluate(UPDATES).as_f64().unwrap();
    wait_until("the page is live again", || {
        browser.evaluate(STATE) == "live" && browser.evaluate(UPDATES).as_f64().unwrap() > before
    });

    signal(&run.0, Signal::TERM);
    said.for_each(drop);
    run.0.wait().unwrap();
    wait_until("the page says that it is over", || {
        browser.evaluate(STATE).as_str().is_some_and(|state| state.contains("ended"))
    });
    assert_eq!(browser.evaluate("document.getElementById('d0-progress') !== null"), true, "the last pictures stay");
}

const STATE: &str = "document.getElementById('live-state').textContent";
const TABLE: &str = "#d0-progress summary";
const UNFOLDED: &str = "document.querySelector('#d0-progress details').open && \
    document.activeElement === document.querySelector('#d0-progress summary')";
const FOLDED_PLAN: &str = "[...document.querySelectorAll('details')].find(it => it.textContent.startsWith('The plan'))";
const UPDATES: &str = "Number(document.body.dataset.updates || 0)";
const PROGRESS: &str = "document.querySelector('#d0-progress .drawing svg').innerHTML";
const FIGURES: &[&str] = &["d0-progress", "d0-matrix", "d0-uplinks", "node-ring", "timeline", "host"];
/// A swarm that takes minutes, and a ring that is asked all the while.
const TOPOLOGY: &str = "
version: 1
name: watched
links:
  slow: { up: 400kbit, down: 2mbit }
  ring: { up: 10mbit, down: 10mbit }
groups:
  origin: { link: slow, swarm: seed, tracker: {} }
  home: { count: 3, link: slow, swarm: leecher }
  node: { count: 4, link: ring, ring: { bits: 8 } }
files:
  blob: { size: 8MiB, piece: 64KiB }
scenario:
  - at: 0s
    distribute: { file: blob, from: origin, to: home, via: swarm }
  - at: 0s
    lookups: { ring: node, count: 1000, rate: 5 }
";
