//! What the x axis of a sweep counts, and where a run stands on it.
//!
//! Swept quantities are read by the grammar of topologies, so that `500kbit` and `2mbit` stand on one axis.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    report::figures::value,
    results::SweepRun,
    units::{Rate, Share, Size, Span},
};

/// What x counts.
#[derive(Debug)]
pub(super) enum Axis {
    /// The peers that a file is addressed to: the textbook's N.
    Peers,
    /// Which repetition a run is: nothing was swept that is a number.
    Repeat,
    /// A swept value that is a number or a quantity.
    Value { path: String, unit: Unit },
}

/// A unit that a quantity is drawn in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    /// Empty for plain numbers.
    name: &'static str,
    /// How many of the quantity's base make one.
    base: f64,
}

/// What a swept value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Number,
    /// In bits per second.
    Rate,
    /// In seconds.
    Span,
    /// In bytes.
    Size,
    /// In hundredths.
    Share,
}

impl Axis {
    /// Of the distributions of these runs.
    pub(super) fn of_distributions(runs: &[SweepRun]) -> Self {
        let counts: BTreeSet<usize> = runs.iter().flat_map(|run| &run.results.distributions).map(|d| d.peers).collect();
        Self::swept(runs).filter(|_| counts.len() < 2).unwrap_or(Self::Peers)
    }

    /// Of what was found about rings in these runs.
    pub(super) fn of_rings(runs: &[SweepRun]) -> Self {
        Self::swept(runs).unwrap_or(Self::Repeat)
    }

    /// The first path with several values that are all of one kind.
    fn swept(runs: &[SweepRun]) -> Option<Self> {
        let unit = |path: &String| {
            let values: Vec<&Value> = runs.iter().filter_map(|run| run.values.get(path)).collect();
            let read: Vec<(Kind, f64)> = values.iter().map(|value| read(value)).collect::<Option<_>>()?;
            let kinds: BTreeSet<Kind> = read.iter().map(|it| it.0).collect();
            let most = read.iter().map(|it| it.1).fold(0.0, f64::max);
            let is_varied = read.iter().any(|it| (it.1 - read[0].1).abs() > 0.0);
            let unit = kinds.first().map(|kind| unit(*kind, most))?;
            (is_varied && kinds.len() == 1).then(|| Self::Value { path: path.clone(), unit })
        };
        runs.first()?.values.keys().find_map(unit)
    }

    /// What x counts, with its unit.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Peers => "peers that want the file, N".into(),
            Self::Repeat => "repetition".into(),
            Self::Value { path, unit } if unit.name.is_empty() => words(path),
            Self::Value { path, unit } => format!("{}, {}", words(path), unit.name),
        }
    }

    /// Where a run stands in which so many peers wanted a file; none where it did not take the swept value.
    pub(super) fn place(&self, run: &SweepRun, peers: usize) -> Option<f64> {
        match self {
            Self::Peers => Some(peers as f64),
            Self::Repeat => Some(run.repeat as f64),
            Self::Value { path, unit } => Some(read(run.values.get(path)?)?.1 / unit.base),
        }
    }

    /// `what` and the values swept besides.
    pub(super) fn label(&self, run: &SweepRun, what: &str) -> String {
        let mut label = what.to_owned();
        for (path, swept) in &run.values {
            let is_axis = match self {
                Self::Peers => path.ends_with(".count"),
                Self::Repeat => false,
                Self::Value { path: axis, .. } => path == axis,
            };
            if !is_axis && !path.ends_with(".via") {
                let last = path.rsplit('.').next().unwrap_or(path);
                label.push_str(&format!(", {last} {}", value(swept)));
            }
        }
        label
    }
}

/// A swept value in the base of its kind: 0.02 of `20ms`; none of a word.
fn read(value: &Value) -> Option<(Kind, f64)> {
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Number(number) => return Some((Kind::Number, number.as_f64()?)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let number = text.parse().ok().map(|number: f64| (Kind::Number, number));
    let rate = || text.parse().ok().map(|rate: Rate| (Kind::Rate, rate.0 as f64));
    let span = || text.parse().ok().map(|span: Span| (Kind::Span, span.seconds()));
    let size = || text.parse().ok().map(|size: Size| (Kind::Size, size.0 as f64));
    let share = || text.parse().ok().map(|share: Share| (Kind::Share, share.fraction() * 100.0));
    number.or_else(rate).or_else(span).or_else(size).or_else(share)
}

/// The unit in which values up to `most` are read best.
fn unit(kind: Kind, most: f64) -> Unit {
    let all: &[(&str, f64)] = match kind {
        Kind::Number => &[("", 1.0)],
        Kind::Rate => &[("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3), ("bit/s", 1.0)],
        Kind::Span => &[("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)],
        Kind::Size => &[("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1024.0), ("B", 1.0)],
        Kind::Share => &[("%", 1.0)],
    };
    let (name, base) = *all.iter().find(|(_, base)| most >= *base).unwrap_or(&all[all.len() - 1]);
    Unit { name, base }
}

/// A path in words: `up rate of link home` for `links.home.up`; the path itself where it leads somewhere else.
fn words(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    let [area, name, .., last] = parts.as_slice() else { return path.to_owned() };
    let Some((_, area)) = AREAS.iter().find(|(key, _)| key == area) else { return path.to_owned() };
    let last = match *last {
        "up" => "up rate",
        "down" => "down rate",
        other => other,
    };
    format!("{last} of {area} {name}")
}

const AREAS: [(&str, &str); 4] = [("links", "link"), ("groups", "group"), ("files", "file"), ("scenario", "step")];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read_in_their_base_and_words_are_none() {
        let found = [json!("500kbit"), json!("20ms"), json!("8MiB"), json!("0.5%"), json!(7), json!("rarest")];
        let found = found.map(|value| read(&value));
        let expected = [(Kind::Rate, 5e5), (Kind::Span, 0.02), (Kind::Size, 8_388_608.0), (Kind::Share, 0.5)];
        assert_eq!(found[..4], expected.map(Some));
        assert_eq!((found[4], found[5]), (Some((Kind::Number, 7.0)), None));
    }

    #[test]
    fn an_axis_has_the_unit_of_its_largest_value() {
        assert_eq!(unit(Kind::Rate, 2e6).name, "Mbit/s");
        assert_eq!([unit(Kind::Span, 0.04).name, unit(Kind::Span, 1.5).name], ["ms", "s"]);
        assert_eq!(unit(Kind::Span, 0.0).base, 1e-6);
    }

    #[test]
    fn paths_are_told_in_words() {
        assert_eq!(words("files.release.size"), "size of file release");
        assert_eq!(words("scenario.0.distribute.order"), "order of step 0");
        assert_eq!([words("engine"), words("x.order")], ["engine", "x.order"]);
    }
}
