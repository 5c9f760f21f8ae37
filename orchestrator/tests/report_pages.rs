//! `report.html`: what every page has to be, of made-up runs; and how a browser takes it.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod fit_host;
mod report_support;
mod run_support;

use std::{fs, time::Duration};

use fit_host::measure;
use peerbed_orchestrator::{report::html, run_directory::RunDirectory};
use report_support::{
    browser::Browser,
    html::{Tag, tags},
    made_up::{self, HOSTILE},
};
use run_support::{Place, can_run, stderr};

#[test]
fn a_page_is_well_formed_whatever_names_there_are() {
    let place = tempfile::tempdir().unwrap();
    let page = html::page(&made_up::swarm(place.path(), 12, 16)).unwrap();
    assert!(!tags(&page).iter().any(|tag| tag.name == "script"), "a name became an element");
    assert!(!page.contains(HOSTILE), "a name stands unescaped");
    assert!(page.contains("&lt;script&gt;alert"), "the name is shown");
}

#[test]
fn every_figure_has_marks_and_words_for_those_who_do_not_see_it() {
    let place = tempfile::tempdir().unwrap();
    let page = html::page(&made_up::swarm(place.path(), 60, 16)).unwrap();
    let all = tags(&page);
    let ids: Vec<&str> = all.iter().filter(|tag| tag.name == "figure").filter_map(|tag| tag.attribute("id")).collect();
    let expected = [
        "times",
        "completions",
        "d0-progress",
        "d0-pieces",
        "d0-uplinks",
        "d0-peers",
        "d0-time-use",
        "d0-matrix",
        "ring-ring",
        "ring-hops",
        "ring-recoveries",
        "ring-latency",
        "timeline",
        "link-rates",
        "host",
    ];
    assert_eq!(ids, expected);
    for figure in page.split("<figure ").skip(1) {
        let figure = &figure[..figure.find("</figure>").unwrap()];
        let drawing = &figure[figure.find("<div class=\"drawing\">").unwrap()..];
        let drawing = &drawing[..drawing.find("</svg>").unwrap()];
        let marks = ["class=\"s", "fill\"", "line"].iter().filter(|mark| drawing.contains(**mark)).count();
        assert!(marks > 0, "nothing is drawn: {figure:.80}");
        assert!(drawing.contains("role=\"img\"") && !drawing.contains("<desc id=\"\"></desc>"), "{figure:.80}");
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "no place in {figure:.80}");
    }
    let with_words = all.iter().filter(|tag| tag.name == "svg" && tag.attribute("role") == Some("img"));
    assert!(with_words.clone().all(|tag| tag.attribute("aria-labelledby").is_some()));
    assert_eq!(with_words.count(), expected.len());
}

#[test]
fn no_id_is_given_twice_and_every_link_leads_somewhere() {
    let place = tempfile::tempdir().unwrap();
    let page = html::page(&made_up::swarm(place.path(), 12, 16)).unwrap();
    let all = tags(&page);
    let mut ids: Vec<&str> = all.iter().filter_map(|tag| tag.attribute("id")).collect();
    let targets: Vec<&str> = all.iter().filter_map(|tag| tag.attribute("href")?.strip_prefix('#')).collect();
    assert!(targets.len() > 4 && targets.iter().all(|target| ids.contains(target)), "{targets:?}");
    ids.sort_unstable();
    let before = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), before);
}

#[test]
fn a_page_refers_to_nothing_outside_itself() {
    let place = tempfile::tempdir().unwrap();
    let page = html::page(&made_up::swarm(place.path(), 12, 16)).unwrap();
    assert_no_reference(&tags(&page), |_| false);
    let style = &page[page.find("<style>").unwrap()..page.find("</style>").unwrap()];
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn a_sweep_is_drawn_on_the_curves_of_its_bounds_and_leads_to_its_runs() {
    let place = tempfile::tempdir().unwrap();
    let directory = made_up::sweep(place.path(), &[2, 6, 12]);
    let path = html::write_all(&directory).unwrap();
    let page = fs::read_to_string(path).unwrap();
    let all = tags(&page);
    assert_no_reference(&all, |target| target.ends_with("/report.html") && !target.starts_with('/'));
    let links: Vec<&str> = all.iter().filter_map(|tag| tag.attribute("href")).collect();
    for count in [2, 6, 12] {
        let target = links.iter().find(|link| link.contains(&format!("count={count}/"))).expect("a link to each run");
        assert!(place.path().join(target).is_file(), "{target}");
    }
    let drawing = &page[page.find("id=\"distribution-time\"").unwrap()..];
    let drawing = &drawing[drawing.find("<g class=\"s0\">").unwrap()..];
    let drawing = &drawing[..drawing.find("</svg>").unwrap()];
    assert_eq!(drawing.matches("<circle").count(), 3, "a point per run");
    // The bound is reckoned for each of 1 to 12 peers, not only for those that were run.
    let bound = &drawing[drawing.find("d=\"M").unwrap()..];
    assert_eq!(bound[..bound.find("\"/>").unwrap()].split(' ').count(), 12 * 2, "{drawing}");
}

#[test]
fn half_a_run_still_makes_a_page() {
    let place = tempfile::tempdir().unwrap();
    let directory = made_up::swarm(place.path(), 3, 4);
    for name in ["plan.yaml", "topology.yaml", "samples/peers.ndjson", "samples/host.ndjson"] {
        fs::remove_file(made_up::file(&directory, name)).unwrap();
    }
    let events = fs::read(made_up::file(&directory, "events.ndjson")).unwrap();
    fs::write(made_up::file(&directory, "events.ndjson"), &events[..events.len() / 2]).unwrap();
    tags(&html::page(&directory).unwrap());
    fs::remove_file(made_up::file(&directory, "events.ndjson")).unwrap();
    assert!(html::page(&directory).unwrap().contains("Nothing was recorded that could be drawn here"));
}

#[test]
fn a_page_of_many_peers_stays_small() {
    let place = tempfile::tempdir().unwrap();
    let size = |peers: u32| {
        let page = html::page(&made_up::swarm(&place.path().join(peers.to_string()), peers, 256)).unwrap();
        tags(&page);
        page.len()
    };
    let (at_200, at_500) = (size(200), size(500));
    println!("a page of 200 peers and 256 pieces has {at_200} bytes, one of 500 has {at_500}");
    assert!(at_200 <= 2 * MEBIBYTE && at_500 <= 4 * MEBIBYTE, "{at_200}, {at_500}");
}

#[test]
fn a_browser_shows_200_peers_within_two_seconds_and_asks_nobody_for_anything() {
    let place = tempfile::tempdir().unwrap();
    let path = html::write(&made_up::swarm(place.path(), 200, 256)).unwrap();
    let Some(mut browser) = Browser::start() else { return };
    measure("a page of 200 peers", || {
        // The first page also starts the browser's own processes: the fastest of five tells about the page.
        let mut took = Duration::MAX;
        for _ in 0..5 {
            let opened = browser.open(&path);
            assert!(opened.requests.is_empty(), "asked for {:?}", opened.requests);
            assert!(opened.complaints.is_empty(), "said {:?}", opened.complaints);
            took = took.min(opened.took);
        }
        println!("opened in {took:?}, the best of five");
        if took <= Duration::from_secs(2) { Ok(()) } else { Err(format!("{took:?} at best")) }
    });
}

#[test]
fn a_browser_sees_every_figure_in_light_and_dark_on_wide_and_narrow_screens() {
    let place = tempfile::tempdir().unwrap();
    let path = html::write(&made_up::swarm(place.path(), 12, 16)).unwrap();
    let Some(mut browser) = Browser::start() else { return };
    let mut colours = Vec::new();
    for (scheme, width) in [("light", 1400), ("dark", 1400), ("light", 390)] {
        browser.show(scheme, width);
        browser.open(&path);
        let empty = browser.evaluate(EMPTY_FIGURES);
        assert_eq!(empty, serde_json::json!([]), "{scheme}, {width}");
        let sticks_out = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth");
        assert!(sticks_out.as_f64().unwrap() <= 0.0, "the page is wider than the window of {width} by {sticks_out}");
        let picture = browser.picture();
        assert!(picture.len() > 13_000, "a picture of nothing");
        colours.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(colours[0], colours[1], "light and dark look alike");
    assert_eq!(browser.evaluate("document.scripts.length"), 0);
    assert_eq!(browser.evaluate(UNREADABLE), serde_json::json!([]), "text outside its drawing");
}

#[test]
fn pages_of_real_runs_read_well_in_light_and_dark_on_a_phone_and_on_paper() {
    if !can_run() {
        return;
    }
    let Some(mut browser) = Browser::start() else { return };
    let place = Place::with(REAL);
    let output = place.command().args(["--repeat", "2"]).output().unwrap();
    let sweep = place.run().join("report.html");
    assert!(sweep.is_file(), "{}", stderr(&output));
    let run = place.run().join("001-repeat=1").join("report.html");
    for path in [&run, &sweep] {
        for (scheme, width) in [("light", 1400), ("dark", 1400), ("light", 390), ("paper", PAPER)] {
            if scheme == "paper" {
                browser.print_on(width);
            } else {
                browser.show(scheme, width);
            }
            browser.open(path);
            let what = format!("{}, {scheme}, {width}", path.display());
            for (offence, question) in [("empty", EMPTY_FIGURES), ("outside", UNREADABLE), ("overlapping", OVERLAPPING)]
            {
                assert_eq!(browser.evaluate(question), serde_json::json!([]), "{offence}: {what}");
            }
            let sticks_out = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth");
            assert!(sticks_out.as_f64().unwrap() <= 0.0, "{what}: wider than the window by {sticks_out}");
        }
        assert_eq!(browser.evaluate(CUT_OFF), serde_json::json!([]), "cut off on paper: {}", path.display());
    }
    browser.show("light", 1400);
    browser.open(&sweep);
    assert!(
        browser.evaluate("document.querySelectorAll('figure').length").as_f64().unwrap() >= 4.0,
        "rings have figures"
    );
}

#[test]
fn nothing_is_cut_off_where_a_page_is_printed() {
    let place = tempfile::tempdir().unwrap();
    let path = html::write(&made_up::swarm(place.path(), 60, 16)).unwrap();
    let Some(mut browser) = Browser::start() else { return };
    browser.print_on(PAPER);
    browser.open(&path);
    assert_eq!(browser.evaluate(CUT_OFF), serde_json::json!([]));
    let sticks_out = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth");
    assert!(sticks_out.as_f64().unwrap() <= 0.0, "wider than the paper by {sticks_out}");
}

#[test]
fn the_command_writes_the_page_into_the_directory() {
    let place = tempfile::tempdir().unwrap();
    let directory: RunDirectory = made_up::swarm(place.path(), 3, 4);
    let program = env!("CARGO_BIN_EXE_peerbed");
    let output = std::process::Command::new(program).arg("report").arg(place.path()).arg("--html").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim(), directory.report().display().to_string());
    tags(&fs::read_to_string(directory.report()).unwrap());
}

/// Attributes that make a browser fetch something lead only to places within the page, or where `also` allows it.
fn assert_no_reference(all: &[Tag], also: impl Fn(&str) -> bool) {
    for (name, value) in all.iter().flat_map(|tag| &tag.attributes) {
        if ["href", "src", "srcset", "data", "poster", "action", "xlink:href"].contains(&name.as_str()) {
            assert!(value.starts_with('#') || value == "data:," || also(value), "{name}={value}");
        }
        assert!(!name.starts_with("on"), "{name} is a script");
        assert!(!value.contains("url("), "{name}={value}");
    }
}

const MEBIBYTE: usize = 1 << 20;

/// A4 at 96 pixels an inch, within margins of a centimetre.
const PAPER: u32 = 718;

/// A swarm that loses and regains a peer, and a ring that loses one between two series of lookups.
const REAL: &str = "
version: 1
name: shown
links:
  fast: { up: 4mbit, down: 20mbit }
groups:
  origin: { link: fast, swarm: seed, tracker: {} }
  home: { count: 4, link: fast, swarm: leecher }
  node: { count: 6, link: fast, ring: { bits: 16 } }
files:
  blob: { size: 1MiB, piece: 64KiB }
scenario:
  - lookups: { ring: node, count: 40, rate: 40, name: before }
  - distribute: { file: blob, from: origin, to: home, via: swarm }
  - pause: { peers: home-2 }
  - wait: { for: 1s }
  - resume: { peers: home-2 }
  - crash: { peers: node-2 }
  - wait: { ring: node }
  - lookups: { ring: node, count: 40, rate: 40, name: after }
expect:
  - lookups.after.count == 40
";

/// Pairs of texts of one drawing that lie on each other.
const OVERLAPPING: &str = "[...document.querySelectorAll('.drawing svg')].flatMap(svg => {\
    const all = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);\
    return all.flatMap(([one, a], n) => all.slice(n + 1).filter(([, b]) => \
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && \
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3).map(([other]) => one + ' | ' + other)) })";

/// What would have to be scrolled to be seen whole.
const CUT_OFF: &str = "[...document.querySelectorAll('.drawing, .scroll')].filter(it => it.offsetParent !== null && \
    (it.scrollWidth > it.clientWidth + 1 || it.scrollHeight > it.clientHeight + 1))\
    .map(it => it.className + ' in ' + (it.closest('figure, section')?.id ?? '') + ': ' + it.textContent.slice(0, 60))";

/// Ids of figures whose drawing has no shape with an extent.
const EMPTY_FIGURES: &str = "[...document.querySelectorAll('figure')].filter(f => \
    ![...f.querySelectorAll('.drawing path, .drawing rect, .drawing circle')]\
    .some(m => m.closest('.axis') === null && m.getBoundingClientRect().width > 0)).map(f => f.id)";

/// Texts that stick out of their drawing.
const UNREADABLE: &str = "[...document.querySelectorAll('.drawing svg')].flatMap(svg => {\
    const box = svg.getBoundingClientRect();\
    return [...svg.querySelectorAll('text')].filter(t => { const b = t.getBoundingClientRect(); \
    return b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1; })\
    .map(t => t.textContent) })";
