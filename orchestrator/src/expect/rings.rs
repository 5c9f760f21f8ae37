//! Conditions on rings: `lookups.NAME.METRIC OP VALUE` and `recoveries.RING.METRIC OP VALUE`.

use std::{collections::BTreeMap, ops::Range};

use super::{ConditionError, Operator, Subject, Value};
use crate::{
    diagnose::suggestion,
    units::{Share, Span},
};

/// What a condition on a ring looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingSubject {
    /// Lookups, puts or gets of one step's name.
    Lookups,
    /// Recoveries of a ring from faults.
    Recoveries,
}

impl RingSubject {
    /// The word that conditions begin with.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lookups => "lookups",
            Self::Recoveries => "recoveries",
        }
    }

    fn metrics(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Lookups => LOOKUPS,
            Self::Recoveries => RECOVERIES,
        }
    }
}

/// What is known of one set of lookups, or of a ring's recoveries. A figure that is not known is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct RingFacts {
    /// What they are.
    pub what: RingSubject,
    /// The name that conditions use.
    pub name: String,
    /// Figures by their names in conditions.
    pub figures: BTreeMap<&'static str, f64>,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A number of lookups or recoveries, or a share of all of them.
    Part,
    /// A plain number.
    Number,
    /// Seconds, or a span.
    Seconds,
}

const LOOKUPS: &[(&str, Kind)] = &[
    ("count", Kind::Number),
    ("correct", Kind::Part),
    ("wrong", Kind::Part),
    ("failed", Kind::Part),
    ("hops_mean", Kind::Number),
    ("hops_p50", Kind::Number),
    ("hops_p99", Kind::Number),
    ("hops_max", Kind::Number),
    ("latency_mean", Kind::Seconds),
    ("latency_p50", Kind::Seconds),
    ("latency_p99", Kind::Seconds),
    ("latency_max", Kind::Seconds),
];

const RECOVERIES: &[(&str, Kind)] = &[
    ("count", Kind::Number),
    ("open", Kind::Part),
    ("mean", Kind::Seconds),
    ("p50", Kind::Seconds),
    ("p99", Kind::Seconds),
    ("max", Kind::Seconds),
];

/// Reads what stands before and after the operator of a condition on rings.
pub(super) fn subject(
    what: RingSubject,
    subject: &str,
    operator: Operator,
    value: &str,
    range: Range<usize>,
) -> Result<Subject, ConditionError> {
    let word = what.word();
    let parts: Vec<&str> = subject.split('.').collect();
    let [_, name, metric] = parts.as_slice() else {
        let message = format!("`{subject}` names no figure of {word}");
        return Err(ConditionError { message, hint: format!("write {word}.NAME.METRIC"), range: 0..subject.len() });
    };
    let Some((metric, kind)) = what.metrics().iter().find(|(known, _)| known == metric) else {
        let hint = suggestion(metric, what.metrics().iter().map(|(known, _)| *known)).unwrap_or_default();
        let message = format!("`{metric}` is no figure of {word}");
        return Err(ConditionError { message, hint, range: subject.len() - metric.len()..subject.len() });
    };
    let number = || value.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).map(Value::Number);
    let span = || value.parse::<Span>().ok().map(|span| Value::Number(span.seconds()));
    let share = || value.parse::<Share>().ok().map(|share| Value::Share(share.fraction()));
    let (read, hint) = match kind {
        Kind::Part => (number().or_else(share), "give a number, such as 10, or a share, such as 99.9%"),
        Kind::Number => (number(), "give a plain number, such as 2.8"),
        Kind::Seconds => (number().or_else(span), "give seconds, such as 3 or 300ms"),
    };
    let Some(value) = read else {
        return Err(ConditionError {
            message: format!("`{value}` does not fit this figure"),
            hint: hint.into(),
            range,
        });
    };
    Ok(Subject::Ring { what, name: (*name).to_owned(), metric, operator, value })
}

/// The figures that a condition looks at, in the kind of value it compares with; none for one that is not known.
pub(super) fn figures(
    all: &[RingFacts],
    what: RingSubject,
    name: &str,
    metric: &'static str,
    value: Value,
) -> Vec<Option<f64>> {
    let selected = all.iter().filter(|facts| facts.what == what && facts.name == name);
    let figure = |facts: &RingFacts| {
        let figure = *facts.figures.get(metric)?;
        match value {
            Value::Number(_) => Some(figure),
            Value::Share(_) => {
                let count = *facts.figures.get("count")?;
                Some(if count == 0.0 { 1.0 } else { figure / count })
            }
        }
    };
    selected.map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, Facts};
    use super::*;

    fn facts(figures: &[(&'static str, f64)]) -> Facts {
        let figures = figures.iter().copied().collect();
        let rings = vec![RingFacts { what: RingSubject::Lookups, name: "ring".into(), figures }];
        Facts { rings, ..Facts::default() }
    }

    #[test]
    fn parts_are_numbers_or_shares_and_figures_that_are_not_known_do_not_hold() {
        let found = facts(&[("count", 200.0), ("correct", 199.0), ("hops_mean", 2.5)]);
        for (text, held) in [
            ("lookups.ring.correct >= 99%", true),
            ("lookups.ring.correct == 100%", false),
            ("lookups.ring.correct >= 199", true),
            ("lookups.ring.hops_mean <= 2.8", true),
            ("lookups.ring.latency_p99 <= 300ms", false),
            ("lookups.other.correct >= 1", false),
        ] {
            assert_eq!(Condition::parse(text).unwrap().evaluate(&found).held, held, "{text}");
        }
    }

    #[test]
    fn a_figure_that_there_is_not_is_marked_with_a_hint() {
        let error = Condition::parse("recoveries.ring.p90 <= 3s").unwrap_err();
        assert_eq!((error.message.as_str(), error.range), ("`p90` is no figure of recoveries", 16..19));
        assert_eq!(error.hint, "did you mean `p50`?");
        let error = Condition::parse("lookups.ring.hops_mean <= 50%").unwrap_err();
        assert_eq!(error.hint, "give a plain number, such as 2.8");
    }
}
