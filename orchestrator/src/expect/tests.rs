//! The grammar of conditions, and what they make of facts.

use super::{Condition, DistributionFacts, Facts, Metric, Operator, Subject, Value};
use crate::plan::Via;

#[test]
fn a_condition_on_a_distribution_is_read() {
    let condition = Condition::parse(" distribution.release.client-server.ratio <= 1.10 ").unwrap();
    assert_eq!(condition.text, "distribution.release.client-server.ratio <= 1.10");
    let Subject::Distribution { selector, metric, operator, value } = condition.subject else { panic!() };
    assert_eq!((selector.name.as_str(), selector.via), ("release", Some(Via::ClientServer)));
    assert_eq!((metric, operator, value), (Metric::Ratio, Operator::AtMost, Value::Number(1.10)));
}

#[test]
fn blanks_around_the_operator_do_not_matter() {
    for text in ["distribution.a.progress>=50%", "distribution.a.progress   >=   50%"] {
        let Subject::Distribution { operator, value, .. } = Condition::parse(text).unwrap().subject else { panic!() };
        assert_eq!((operator, value), (Operator::AtLeast, Value::Share(0.5)));
    }
}

#[test]
fn what_is_no_condition_is_marked_where_it_is_wrong() {
    let cases = [
        ("release.ratio <= 1", "release", "begin with `release`"),
        ("distribution.release.ration <= 1", "ration", "did you mean `ratio`?"),
        ("distribution.release.swam.ratio <= 1", "swam", "did you mean `swarm`?"),
        ("distribution.release.ratio <= 20%", "20%", "plain number"),
        ("distribution.release.progress >= 50", "50", "share"),
        ("distribution.release.ratio =< 1", "=< 1", "comparison is missing"),
        ("distribution.release.ratio <=", "distribution.release.ratio <=", "value is missing"),
        ("distribution.ratio <= 1", "distribution.ratio", "names no figure"),
        ("verdict is vaild", "vaild", "did you mean `valid`?"),
        ("verdict == valid", "verdict == valid", "verdict is valid"),
        ("distribution.release.seconds <= -3", "-3", "seconds"),
    ];
    for (text, marked, said) in cases {
        let error = Condition::parse(text).unwrap_err();
        assert_eq!(&text[error.range.clone()], marked, "{text}: {error:?}");
        assert!(format!("{error} {}", error.hint).contains(said), "{text}: {error:?}");
    }
    Condition::parse("").unwrap_err();
}

fn facts() -> Facts {
    let distribution = |via, seconds| DistributionFacts {
        name: "release".into(),
        via,
        seconds: Some(seconds),
        bound_seconds: Some(10.0),
        riders_ratio: None,
        second_copy: None,
        completions: vec![4.0, 8.0, seconds, 2.0],
        completed: 4,
        required: 4,
        progress: 1.0,
        spread: 0.9,
    };
    let distributions = vec![distribution(Via::Swarm, 12.0), distribution(Via::ClientServer, 11.0)];
    Facts { distributions, verdict: Some("suspect".into()), ..Facts::default() }
}

fn outcome(text: &str, facts: &Facts) -> (bool, serde_json::Value) {
    let outcome = Condition::parse(text).unwrap().evaluate(facts);
    (outcome.held, outcome.value)
}

#[test]
fn conditions_are_judged_by_the_facts() {
    let facts = facts();
    assert_eq!(outcome("distribution.release.swarm.ratio <= 1.3", &facts), (true, 1.2.into()));
    assert_eq!(outcome("distribution.release.swarm.seconds < 12", &facts), (false, 12.0.into()));
    assert_eq!(outcome("distribution.release.swarm.seconds <= 12s", &facts), (true, 12.0.into()));
    assert_eq!(outcome("distribution.release.completed == 4", &facts), (true, 4.0.into()));
    assert_eq!(outcome("distribution.release.completed >= 100%", &facts), (true, 1.0.into()));
    assert_eq!(outcome("distribution.release.swarm.p50 == 4", &facts), (true, 4.0.into()));
    assert_eq!(outcome("distribution.release.swarm.mean == 6.5", &facts), (true, 6.5.into()));
    assert_eq!(outcome("verdict is valid", &facts), (false, "suspect".into()));
    assert_eq!(outcome("verdict is not invalid", &facts), (true, "suspect".into()));
}

#[test]
fn a_condition_on_several_distributions_must_hold_for_each() {
    let facts = facts();
    assert_eq!(outcome("distribution.release.ratio <= 1.15", &facts), (false, 1.2.into()));
    assert_eq!(outcome("distribution.release.ratio <= 1.25", &facts), (true, 1.2.into()));
    assert_eq!(outcome("distribution.release.ratio >= 1.15", &facts), (false, 1.1.into()));
}

#[test]
fn a_figure_that_is_missing_does_not_hold() {
    let mut facts = facts();
    facts.distributions[0].seconds = None;
    assert_eq!(outcome("distribution.release.ratio <= 9", &facts), (false, serde_json::Value::Null));
    assert_eq!(outcome("distribution.release.ratio >= 0", &facts), (false, serde_json::Value::Null));
    assert_eq!(outcome("distribution.other.ratio <= 9", &facts), (false, serde_json::Value::Null));
    facts.verdict = None;
    assert_eq!(outcome("verdict is not invalid", &facts), (false, serde_json::Value::Null));
}

#[test]
fn only_progress_and_completions_can_be_judged_live() {
    assert!(Condition::parse("distribution.a.progress >= 50%").unwrap().is_live());
    assert!(Condition::parse("distribution.a.completed >= 3").unwrap().is_live());
    assert!(!Condition::parse("distribution.a.ratio <= 2").unwrap().is_live());
    assert!(!Condition::parse("verdict is valid").unwrap().is_live());
}
