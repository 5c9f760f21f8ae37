//! Conditions on rings: `lookups.NAME.METRIC OP VALUE`, `recoveries.RING.METRIC OP VALUE` and `rings.RING.METRIC OP VALUE`, where
//! a value may be a share of another figure, as in `60% of lookups.NAME.METRIC`. `recoveries.RING.crash.METRIC` looks at crashes
//! only.

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
    /// A ring at the end of the run, and what its honest members did not take from others.
    Rings,
}

impl RingSubject {
    /// The word that conditions begin with.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lookups => "lookups",
            Self::Recoveries => "recoveries",
            Self::Rings => "rings",
        }
    }

    fn metrics(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Lookups => LOOKUPS,
            Self::Recoveries => RECOVERIES,
            Self::Rings => RINGS,
        }
    }

    /// Names of the figures there are.
    pub fn figures(self) -> impl Iterator<Item = &'static str> {
        self.metrics().iter().map(|(name, _)| *name)
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
    ("still_wrong", Kind::Part),
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
    ("mended_open", Kind::Part),
    ("mended_mean", Kind::Seconds),
    ("mended_p50", Kind::Seconds),
    ("mended_p99", Kind::Seconds),
    ("mended_max", Kind::Seconds),
];

const RINGS: &[(&str, Kind)] = &[
    ("right", Kind::Number),
    ("members", Kind::Number),
    ("violations", Kind::Number),
    ("outlawed", Kind::Number),
    ("outlawed_dropped", Kind::Number),
    ("banned", Kind::Number),
    ("broken", Kind::Number),
    ("flooded", Kind::Number),
    ("hints_put_off", Kind::Number),
    ("answers_bad", Kind::Number),
    ("answers_stray", Kind::Number),
    ("lists_cut", Kind::Number),
    ("entries_false", Kind::Number),
    ("steps_false", Kind::Number),
];

/// One figure of lookups or recoveries, or of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingFigure {
    /// Which of them.
    pub what: RingSubject,
    /// Name of the lookups, or of the ring.
    pub name: String,
    /// Which figure.
    pub metric: &'static str,
    kind: Kind,
}

/// Reads what stands before and after the operator of a condition on rings.
pub(super) fn subject(
    what: RingSubject,
    subject: &str,
    operator: Operator,
    value: &str,
    range: Range<usize>,
) -> Result<Subject, ConditionError> {
    let figure = figure(what, subject, 0)?;
    if let Some((share, whole)) = value.split_once(" of ") {
        let (value, whole) = share_of(&figure, share.trim(), whole.trim(), range)?;
        return Ok(Subject::Ring { figure, operator, value, of: Some(whole) });
    }
    let number = || value.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).map(Value::Number);
    let span = || value.parse::<Span>().ok().map(|span| Value::Number(span.seconds()));
    let share = || value.parse::<Share>().ok().map(|share| Value::Share(share.fraction()));
    let (read, hint) = match figure.kind {
        Kind::Part => (number().or_else(share), "give a number, such as 10, or a share, such as 99.9%"),
        Kind::Number => (number(), "give a plain number, such as 2.8"),
        Kind::Seconds => (number().or_else(span), "give seconds, such as 3 or 300ms"),
    };
    let Some(value) = read else {
        return Err(error(format!("`{value}` does not fit this figure"), hint, range));
    };
    Ok(Subject::Ring { figure, operator, value, of: None })
}

/// Reads `WORD.NAME.METRIC`, which stands at byte `from` of the text.
fn figure(what: RingSubject, text: &str, from: usize) -> Result<RingFigure, ConditionError> {
    let word = what.word();
    let parts: Vec<&str> = text.split('.').collect();
    let (name, metric) = match parts.as_slice() {
        [_, name, metric] => ((*name).to_owned(), metric),
        [_, name, kind, metric] if what == RingSubject::Recoveries => (format!("{name}.{kind}"), metric),
        _ => {
            let message = format!("`{text}` names no figure of {word}");
            return Err(error(message, format!("write {word}.NAME.METRIC"), from..from + text.len()));
        }
    };
    let Some((metric, kind)) = what.metrics().iter().find(|(known, _)| known == metric) else {
        let hint = suggestion(metric, what.metrics().iter().map(|(known, _)| *known)).unwrap_or_default();
        let end = from + text.len();
        return Err(error(format!("`{metric}` is no figure of {word}"), hint, end - metric.len()..end));
    };
    Ok(RingFigure { what, name, metric, kind: *kind })
}

/// Reads `SHARE of WORD.NAME.METRIC`: a share of a figure of the same kind.
fn share_of(
    part: &RingFigure,
    share: &str,
    whole: &str,
    range: Range<usize>,
) -> Result<(Value, RingFigure), ConditionError> {
    let hint = "write a share of a figure of the same kind, such as 60% of lookups.NAME.latency_mean";
    let value = share.parse::<Share>().map(|share| Value::Share(share.fraction()));
    let Ok(value) = value else {
        return Err(error(format!("`{share}` is no share"), hint, range.start..range.start + share.len()));
    };
    let what = [RingSubject::Lookups, RingSubject::Recoveries, RingSubject::Rings];
    let Some(what) = what.into_iter().find(|what| whole.split('.').next() == Some(what.word())) else {
        return Err(error(format!("`{whole}` is no figure of a ring"), hint, range.end - whole.len()..range.end));
    };
    let whole = figure(what, whole, range.end - whole.len())?;
    if whole.kind != part.kind {
        let message = format!("`{}` and `{}` are of different kinds", part.metric, whole.metric);
        return Err(error(message, hint, range));
    }
    Ok((value, whole))
}

fn error(message: impl Into<String>, hint: impl Into<String>, range: Range<usize>) -> ConditionError {
    ConditionError { message: message.into(), hint: hint.into(), range }
}

impl RingFigure {
    /// The figures that a condition looks at, in the kind of value it compares with; none for one that is not known.
    pub(super) fn find(&self, all: &[RingFacts], value: Value) -> Vec<Option<f64>> {
        let figure = |facts: &RingFacts| {
            let figure = *facts.figures.get(self.metric)?;
            match value {
                Value::Number(_) => Some(figure),
                Value::Share(_) => {
                    let count = *facts.figures.get("count")?;
                    Some(if count == 0.0 { 1.0 } else { figure / count })
                }
            }
        };
        self.selected(all).map(figure).collect()
    }

    /// What share of another figure each of these is; none where either is not known or the other is zero.
    pub(super) fn share_of(&self, whole: &Self, all: &[RingFacts]) -> Vec<Option<f64>> {
        let wholes: Vec<Option<f64>> =
            whole.selected(all).map(|facts| facts.figures.get(whole.metric).copied()).collect();
        let part = |facts: &RingFacts| facts.figures.get(self.metric).copied();
        let share = |part: Option<f64>, whole: &Option<f64>| {
            whole.filter(|whole| *whole > 0.0).zip(part).map(|(whole, part)| part / whole)
        };
        self.selected(all)
            .flat_map(|facts| wholes.iter().map(move |whole| share(part(facts), whole)).collect::<Vec<_>>())
            .collect()
    }

    fn selected<'a>(&'a self, all: &'a [RingFacts]) -> impl Iterator<Item = &'a RingFacts> {
        all.iter().filter(|facts| facts.what == self.what && facts.name == self.name)
    }
}

#[cfg(test)]
mod tests {
    use peerbed_peer::ring_control::DROPPED;

    use super::super::{Condition, Facts};
    use super::*;

    fn facts(figures: &[(&'static str, f64)]) -> Facts {
        let figures = figures.iter().copied().collect();
        let rings = vec![RingFacts { what: RingSubject::Lookups, name: "ring".into(), figures }];
        Facts { rings, ..Facts::default() }
    }

    #[test]
    fn what_members_did_not_take_has_a_figure_for_each_word() {
        let words: Vec<&str> = RINGS.iter().map(|(word, _)| *word).skip(2).collect();
        assert_eq!(words, DROPPED);
        assert_eq!(RINGS[..2].iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["right", "members"]);
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
    fn a_figure_is_compared_with_a_share_of_another() {
        let of = |name: &str, mean: f64| RingFacts {
            what: RingSubject::Lookups,
            name: name.into(),
            figures: BTreeMap::from([("latency_mean", mean), ("hops_mean", 2.0)]),
        };
        let found = Facts { rings: vec![of("one", 0.15), of("other", 0.3)], ..Facts::default() };
        for (text, held, value) in [
            ("lookups.one.latency_mean <= 60% of lookups.other.latency_mean", true, Some(0.5)),
            ("lookups.one.latency_mean < 50% of lookups.other.latency_mean", false, Some(0.5)),
            ("lookups.one.latency_p50 <= 60% of lookups.other.latency_mean", false, None),
            ("lookups.one.latency_mean <= 60% of lookups.third.latency_mean", false, None),
        ] {
            let outcome = Condition::parse(text).unwrap().evaluate(&found);
            assert_eq!((outcome.held, outcome.value.as_f64()), (held, value), "{text}");
        }
        let text = "lookups.one.latency_mean <= 60% of lookups.other.hops_mean";
        assert_eq!(
            Condition::parse(text).unwrap_err().message,
            "`latency_mean` and `hops_mean` are of different kinds"
        );
        let error = Condition::parse("lookups.one.latency_mean <= some of lookups.other.latency_mean").unwrap_err();
        assert_eq!((error.message.as_str(), error.range), ("`some` is no share", 28..32));
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
