//! Reading conditions from their text.

use std::ops::Range;

use super::{Condition, ConditionError, Metric, Operator, RingSubject, Selector, Subject, Value, rings};
use crate::{
    diagnose::suggestion,
    plan::Via,
    units::{Share, Span},
};

/// Every metric by its name in the text.
const METRICS: &[(&str, Metric)] = &[
    ("ratio", Metric::Ratio),
    ("seconds", Metric::Seconds),
    ("bound_seconds", Metric::BoundSeconds),
    ("riders_ratio", Metric::RidersRatio),
    ("second_copy", Metric::SecondCopy),
    ("completed", Metric::Completed),
    ("progress", Metric::Progress),
    ("spread", Metric::Spread),
    ("p50", Metric::Percentile(50)),
    ("p95", Metric::Percentile(95)),
    ("p99", Metric::Percentile(99)),
    ("min", Metric::Min),
    ("mean", Metric::Mean),
    ("max", Metric::Max),
];

/// Longer operators first, so that `<=` is not read as `<`.
const OPERATORS: &[(&str, Operator)] = &[
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<", Operator::Below),
    (">", Operator::Above),
];

const VIAS: &[(&str, Via)] = &[("swarm", Via::Swarm), ("client-server", Via::ClientServer)];

const STATES: &[&str] = &["valid", "suspect", "invalid"];

pub(super) fn condition(text: &str) -> Result<Condition, ConditionError> {
    let text = text.trim();
    if let Some(over) = super::over::parse::over(text) {
        return Ok(Condition { text: text.to_owned(), subject: Subject::Over(over?) });
    }
    let words = text.find(|c: char| c.is_whitespace() || "<>=!".contains(c)).unwrap_or(text.len());
    let (subject, rest) = text.split_at(words);
    let subject = match subject.split('.').next() {
        Some("verdict") => verdict(text, subject, rest)?,
        Some("distribution") => distribution(text, subject, rest)?,
        Some("lookups") => ring(RingSubject::Lookups, text, subject, rest)?,
        Some("recoveries") => ring(RingSubject::Recoveries, text, subject, rest)?,
        Some("rings") => ring(RingSubject::Rings, text, subject, rest)?,
        first => {
            let first = first.unwrap_or_default();
            let hint = "write `distribution.NAME.METRIC OP VALUE` or `verdict is valid`";
            return Err(error(format!("a condition cannot begin with `{first}`"), hint, 0..first.len().max(1)));
        }
    };
    Ok(Condition { text: text.to_owned(), subject })
}

fn verdict(text: &str, subject: &str, rest: &str) -> Result<Subject, ConditionError> {
    let hint = "write `verdict is valid` or `verdict is not invalid`";
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (wanted, state) = match words.as_slice() {
        ["is", "not", state] => (false, *state),
        ["is", state] => (true, *state),
        _ => return Err(error("this is not a condition on the verdict", hint, 0..text.len())),
    };
    if subject != "verdict" {
        return Err(error(format!("`{subject}` is no metric"), hint, 0..subject.len()));
    }
    match STATES.iter().find(|known| **known == state) {
        Some(state) => Ok(Subject::Verdict { state, wanted }),
        None => {
            let hint = suggestion(state, STATES.iter().copied()).unwrap_or_default();
            Err(error(format!("`{state}` is no verdict"), hint, text.len() - state.len()..text.len()))
        }
    }
}

fn distribution(text: &str, subject: &str, rest: &str) -> Result<Subject, ConditionError> {
    let (selector, metric) = selector(subject)?;
    let (operator, value, range) = comparison(text, text.len() - rest.len())?;
    let value = read_value(metric, value, range)?;
    Ok(Subject::Distribution { selector, metric, operator, value })
}

fn ring(what: RingSubject, text: &str, subject: &str, rest: &str) -> Result<Subject, ConditionError> {
    let (operator, value, range) = comparison(text, text.len() - rest.len())?;
    rings::subject(what, subject, operator, value, range)
}

/// Reads `OP VALUE` from byte `from` of the text on: how to compare, the value's text, and where it stands.
pub(super) fn comparison(text: &str, from: usize) -> Result<(Operator, &str, Range<usize>), ConditionError> {
    let (subject, rest) = (text[..from].trim_end(), text[from..].trim_start());
    let operator_at = text.len() - rest.len();
    let Some((word, operator)) = OPERATORS.iter().find(|(word, _)| rest.starts_with(word)) else {
        let range = if rest.is_empty() { 0..text.len() } else { operator_at..text.len() };
        let hint = format!("compare it with <=, <, >=, >, == or !=, as in `{subject} <= 1.3`");
        return Err(error("a comparison is missing", hint, range));
    };
    let value = rest[word.len()..].trim();
    if value.is_empty() {
        let hint = format!("say what to compare with, as in `{subject} {word} 1.3`");
        return Err(error("a value is missing", hint, 0..text.len()));
    }
    Ok((*operator, value, text.len() - value.len()..text.len()))
}

/// Reads `distribution.NAME[.VIA].METRIC`.
fn selector(subject: &str) -> Result<(Selector, Metric), ConditionError> {
    let parts: Vec<&str> = subject.split('.').collect();
    let (name, via, metric) = match parts.as_slice() {
        [_, name, metric] => (*name, None, *metric),
        [_, name, via, metric] => (*name, Some(*via), *metric),
        _ => {
            let hint = "write distribution.NAME.METRIC or distribution.NAME.VIA.METRIC";
            return Err(error(format!("`{subject}` names no figure of a distribution"), hint, 0..subject.len()));
        }
    };
    let name_start = "distribution.".len();
    let name_range = name_start..name_start + name.len();
    if name.is_empty() {
        let hint = "write distribution.NAME.METRIC";
        return Err(error("the distribution's name is empty", hint, 0..subject.len()));
    }
    let via = via.map(|word| read_via(word, name_range.end + 1)).transpose()?;
    let Some((_, metric)) = METRICS.iter().find(|(known, _)| *known == metric) else {
        let hint = suggestion(metric, METRICS.iter().map(|(known, _)| *known)).unwrap_or_default();
        let range = subject.len() - metric.len()..subject.len();
        return Err(error(format!("`{metric}` is no figure of a distribution"), hint, range));
    };
    Ok((Selector { name: name.to_owned(), via, name_range }, *metric))
}

pub(super) fn read_via(word: &str, start: usize) -> Result<Via, ConditionError> {
    VIAS.iter().find(|(known, _)| *known == word).map(|(_, via)| *via).ok_or_else(|| {
        let hint = suggestion(word, VIAS.iter().map(|(known, _)| *known)).unwrap_or_default();
        error(format!("`{word}` is no way to spread a file"), hint, start..start + word.len())
    })
}

/// Reads a value of the kind that the metric takes.
fn read_value(metric: Metric, text: &str, range: Range<usize>) -> Result<Value, ConditionError> {
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0).map(Value::Number);
    let span = || text.parse::<Span>().ok().map(|span| Value::Number(span.seconds()));
    let share = || text.parse::<Share>().ok().map(|share| Value::Share(share.fraction()));
    let count = || text.parse::<u32>().ok().map(|count| Value::Number(count.into()));
    let (value, hint) = match metric {
        Metric::Ratio | Metric::RidersRatio | Metric::SecondCopy => {
            (number(), "a ratio is a plain number, such as 1.3")
        }
        Metric::Completed => (count().or_else(share), "give a number of peers, such as 10, or a share, such as 100%"),
        Metric::Progress | Metric::Spread => (share(), "this is a share, such as 50%"),
        Metric::Seconds | Metric::BoundSeconds | Metric::Min | Metric::Mean | Metric::Max | Metric::Percentile(_) => {
            (number().or_else(span), "give seconds, such as 30 or 30s")
        }
    };
    value.ok_or_else(|| error(format!("`{text}` does not fit this figure"), hint, range))
}

pub(super) fn error(message: impl Into<String>, hint: impl Into<String>, range: Range<usize>) -> ConditionError {
    ConditionError { message: message.into(), hint: hint.into(), range }
}
