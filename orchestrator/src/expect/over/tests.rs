//! What conditions over many values find in a made-up run.

use peerbed_peer::timing;

use super::super::{Condition, Facts};
use super::*;
use crate::{plan::Via, verdict::Window};

fn courses() -> Courses {
    let window = |t: f64, busy: f64| Window { t, seconds: 1.0, busy, measuring: true, ..Window::default() };
    Courses {
        distributions: vec![DistributionCourse {
            name: "release".into(),
            via: Via::Swarm,
            begun: 1.0,
            length: 10.0,
            completions: (1..=19).map(|n| Some(f64::from(n) / 2.0)).chain([None]).collect(),
            from_arrival: vec![Some(1.0), Some(9.0), None],
            progress: vec![(0.0, 0.0), (4.0, 0.4), (8.0, 0.8), (10.0, 1.0)],
            uplink: vec![(0.0, 20e6), (5.0, 5e6), (7.0, 18e6)],
        }],
        host: vec![window(101.0, 0.2), window(102.0, 0.9)],
        started: 100.0,
        steps: vec![("distribute".into(), 0.0), ("crash".into(), 6.0)],
        recoveries: vec![fault("crash", "", Some(3.1)), fault("crash", "ring", Some(2.5)), fault("link", "", None)],
        timings: [("swarm.leaf".to_owned(), times(1..=1_000)), ("swarm.leaf.home".to_owned(), times([7]))].into(),
    }
}

fn fault(kind: &str, ring: &str, recovered: Option<f64>) -> FaultSeen {
    FaultSeen { kind: kind.into(), ring: ring.into(), recovered }
}

fn times(millis: impl IntoIterator<Item = u64>) -> String {
    let mut histogram: Histogram = timing::histogram();
    millis.into_iter().for_each(|millis| histogram.record(millis * 1_000).unwrap());
    timing::encode(&histogram)
}

fn found(text: &str) -> (bool, serde_json::Value) {
    found_in(courses(), text)
}

fn found_in(courses: Courses, text: &str) -> (bool, serde_json::Value) {
    let facts = Facts { courses: Some(courses), ..Facts::default() };
    let outcome = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&facts);
    (outcome.held, outcome.value)
}

#[test]
fn percentiles_over_peers_count_those_that_never_completed() {
    assert_eq!(found("p95(distribution.release.completion) <= 10s"), (true, json!(9.5)));
    assert_eq!(found("p95(distribution.release.swarm.completion) <= 9s"), (false, json!(9.5)));
    assert_eq!(found("max(distribution.release.completion) <= 1000s"), (false, json!(null)));
    assert_eq!(found("median(distribution.release.completion) == 5"), (true, json!(5.0)));
}

#[test]
fn time_weighs_and_not_the_number_of_samples() {
    assert_eq!(found("p50(distribution.release.uplink) >= 18mbit"), (true, json!(18e6)));
    assert_eq!(found("min(distribution.release.uplink) >= 6mbit"), (false, json!(5e6)));
    let (held, mean) = found("mean(distribution.release.uplink) > 16mbit");
    assert!(held && (mean.as_f64().unwrap() - 16.4e6).abs() < 1e4, "{mean}");
    assert_eq!(found("max(host.busy) <= 85%"), (false, json!(0.9)));
}

#[test]
fn a_value_at_an_instant_is_the_last_before_it() {
    assert_eq!(found("distribution.release.progress at 7.9s >= 40%"), (true, json!(0.4)));
    assert_eq!(found("distribution.release.progress at 3s > 0%"), (false, json!(0.0)));
    assert_eq!(found("host.busy at 1s < 50%"), (false, json!(0.9)));
}

#[test]
fn what_has_to_come_true_after_a_fault_may_take_its_time_and_no_more() {
    // The crash comes 5 s into the distribution; its uplinks are back 2 s later.
    assert_eq!(found("within 2s of crash: distribution.release.uplink >= 15mbit"), (true, json!(2.0)));
    assert_eq!(found("within 1.9s of crash: distribution.release.uplink >= 15mbit"), (false, json!(2.0)));
    assert_eq!(found("within 60s of crash: distribution.release.uplink >= 30mbit"), (false, json!(null)));
    assert_eq!(found("within 1s of crash: distribution.release.progress >= 40%"), (true, json!(0.0)));
    assert_eq!(found("within 6s of crash: recovered"), (true, json!(3.1)));
    assert_eq!(found("within 6s of link: recovered"), (false, json!(null)));
    assert_eq!(found("within 6s of pause: recovered"), (false, json!(null)));
}

/// The uplinks second by second of a distribution that lasts 12 s, with a crash 5.3 s after its begin.
fn crashed(uplink: [f64; 12]) -> Courses {
    let mut all = courses();
    all.steps = vec![("crash".into(), 6.3)];
    all.distributions[0].uplink = uplink.into_iter().enumerate().map(|(at, mbit)| (at as f64, mbit * 1e6)).collect();
    all
}

#[test]
fn a_swarm_that_collapses_after_a_fault_does_not_pass_for_having_been_well_before() {
    let judged = |uplink: [f64; 12], text: &str| {
        let (held, value) = found_in(crashed(uplink), text);
        (held, value.as_f64().map(|value| (value * 10.0).round() / 10.0))
    };
    let text = "within 3s of crash: distribution.release.uplink >= 15mbit";
    let collapsed = [20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(judged(collapsed, text), (false, None));
    let dented = [20.0, 20.0, 20.0, 20.0, 20.0, 9.0, 5.0, 20.0, 20.0, 20.0, 20.0, 20.0];
    assert_eq!(judged(dented, text), (true, Some(1.7)));
    let late = [20.0, 20.0, 20.0, 20.0, 20.0, 9.0, 5.0, 20.0, 5.0, 5.0, 20.0, 20.0];
    assert_eq!(judged(late, text), (false, Some(4.7)));
    // The second in which the crash came says nothing of what came after, and what comes after the span is another matter.
    let unhurt = [20.0, 20.0, 20.0, 20.0, 20.0, 9.0, 20.0, 20.0, 20.0, 0.0, 0.0, 0.0];
    assert_eq!(judged(unhurt, text), (true, Some(0.0)));
    // At least one whole second is looked at, however short the span.
    let short = "within 100ms of crash: distribution.release.uplink >= 15mbit";
    assert_eq!(judged(unhurt, short), (true, Some(0.0)));
    assert_eq!(judged(dented, short), (false, Some(1.7)));
}

#[test]
fn only_faults_while_a_distribution_is_under_way_are_held_against_it() {
    let text = "within 2s of crash: distribution.release.uplink >= 15mbit";
    let mut all = courses();
    // Completed 9 s after its begin at 1 s: the crashes before and after are of no concern.
    all.distributions[0].completions = vec![Some(8.0), Some(9.0)];
    all.steps = [0.5, 6.0, 10.5].map(|at| ("crash".to_owned(), at)).into();
    assert_eq!(found_in(all.clone(), text), (true, json!(2.0)));
    all.steps.remove(1);
    assert_eq!(found_in(all.clone(), text), (false, json!(null)), "there is nothing to look at");
    // One that completes within the span has got over the crash, one that completes later has not.
    all.distributions[0].uplink = vec![(0.0, 20e6), (6.0, 5e6)];
    all.steps = vec![("crash".into(), 8.0)];
    assert_eq!(found_in(all.clone(), text), (true, json!(2.0)));
    assert_eq!(found_in(all, &text.replace("2s", "1s")), (false, json!(2.0)));
}

#[test]
fn progress_that_was_there_before_stays_and_progress_to_come_takes_its_time() {
    assert_eq!(found("within 3s of crash: distribution.release.progress >= 80%"), (true, json!(3.0)));
    assert_eq!(found("within 2s of crash: distribution.release.progress >= 80%"), (false, json!(3.0)));
}

#[test]
fn a_ring_has_to_be_right_soon_after_its_own_faults() {
    assert_eq!(found("within 3s of crash: ring.correct"), (true, json!(2.5)));
    assert_eq!(found("within 2s of crash: ring.correct"), (false, json!(2.5)));
    assert_eq!(found("within 3s of crash: other.correct"), (false, json!(null)));
    assert_eq!(found("within 3s of join: ring.correct"), (false, json!(null)));
}

#[test]
fn blanks_in_brackets_do_not_matter() {
    assert_eq!(found("p95( distribution.release.completion ) <= 10s"), (true, json!(9.5)));
}

#[test]
fn percentiles_of_what_peers_measured_are_those_of_the_merged_histograms() {
    for (text, held, expected) in [
        ("p99(swarm.leaf) <= 1s", true, 0.99),
        ("median(swarm.leaf) < 500ms", false, 0.5),
        ("p99.9(swarm.leaf) <= 1001ms", true, 0.999),
        ("max(swarm.leaf) <= 1001ms", true, 1.0),
        ("mean(swarm.leaf) >= 500ms", true, 0.5005),
        ("min(swarm.leaf.home) > 6ms", true, 0.007),
    ] {
        let (is_held, value) = found(text);
        let value = value.as_f64().unwrap();
        assert!(is_held == held && (value / expected - 1.0).abs() <= 0.001, "{text}: {value}");
    }
    for text in ["p99(swarm.leaf.office) <= 1h", "p99(ring.answer) <= 1h"] {
        assert_eq!(found(text), (false, json!(null)), "{text}");
    }
}

#[test]
fn nothing_holds_of_what_was_not_written_down() {
    assert_eq!(found("p95(distribution.other.completion) <= 10s"), (false, json!(null)));
    let condition = Condition::parse("max(host.busy) <= 100%").unwrap();
    assert!(!condition.evaluate(&Facts::default()).held);
    assert!(!condition.is_live());
}
