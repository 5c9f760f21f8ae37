//! Runs side by side: is one build slower than another, or is it noise?
//!
//! Runs with equal topologies and swept values are repeats of one thing. For each distribution, each kind of fault that
//! rings and distributions recover from, and each step of lookups, the medians of the repeats are compared, and a bootstrap says between which bounds the ratio of the medians lies: repeats are drawn again
//! with replacement ten thousand times, and the middle 95 % of the ratios count (Efron & Tibshirani 1993, chapter 13). A
//! difference is one only where that interval leaves out 1. A repeat that never came to its end has no seconds to compare:
//! those are counted, and a build with more of them than the first is worse. Nothing is measured here, and runs whose
//! verdict is invalid are left out, because their numbers are the host's.
//!
//! Reading directories lives in `gather`, the bootstrap in `bootstrap`, the table in `show`.

use std::fmt;

mod bootstrap;
mod gather;
mod show;
#[cfg(test)]
mod tests;

pub use bootstrap::Interval;
pub use gather::{Build, Measured, read};
pub use show::{json, markdown, table};

/// What two or more builds took, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What the builds are called; the first is what others are compared with.
    pub names: Vec<String>,
    /// One row for everything that took time, and each combination of swept values.
    pub rows: Vec<Row>,
    /// Runs that were left out, one sentence each.
    pub left_out: Vec<String>,
}

/// One thing that took time, in all builds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which distribution, fault or lookups, and the swept values.
    pub what: String,
    /// Seconds of every repeat that came to its end, by build.
    pub seconds: Vec<Vec<f64>>,
    /// Repeats that did not, by build.
    pub unfinished: Vec<usize>,
    /// How each build but the first compares with the first.
    pub changes: Vec<Change>,
}

/// How a build compares with the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Median of the build over median of the first; none where one of them has no figures.
    pub ratio: Option<f64>,
    /// Between which bounds the ratio lies; none of fewer than [`REPEATS_MIN`] repeats on either side.
    pub interval: Option<Interval>,
    /// Whether more repeats of the build than of the first did not come to their end, by number and by share.
    pub is_less_complete: bool,
}

/// What a change amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It comes to its end less often than the first.
    LessComplete,
    /// The interval lies above 1.
    Slower,
    /// The interval lies below 1.
    Faster,
    /// The interval holds 1: what differs may be noise.
    Alike,
    /// There are too few repeats to tell noise from difference.
    TooFew,
}

/// When a comparison fails: `slower-than 5%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// How much slower is too slow, as a share of the first build's time.
    pub share: f64,
}

/// What a comparison means under a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing is too slow.
    Held,
    /// These are, or come to their end less often, one sentence each.
    Worse(Vec<String>),
    /// Nothing is too slow as far as can be said, but these could not be judged, one sentence each.
    Unknown(Vec<String>),
}

/// Compares builds, the first with each other. The same builds and seed give the same intervals.
#[must_use]
pub fn compare(builds: &[Build], seed: u64) -> Comparison {
    let mut whats: Vec<&String> = Vec::new();
    for measured in builds.iter().flat_map(|build| &build.measured) {
        if !whats.contains(&&measured.what) {
            whats.push(&measured.what);
        }
    }
    let rows = whats.into_iter().map(|what| row(builds, what, seed)).collect();
    let left_out = builds.iter().flat_map(|build| build.left_out.clone()).collect();
    Comparison { names: builds.iter().map(|build| build.name.clone()).collect(), rows, left_out }
}

fn row(builds: &[Build], what: &str, seed: u64) -> Row {
    let of = |build: &Build| {
        let found = build.measured.iter().find(|measured| measured.what == what);
        found.cloned().unwrap_or_else(|| Measured::nothing(what.to_owned()))
    };
    let all: Vec<Measured> = builds.iter().map(of).collect();
    let first = &all[0];
    let change = |other: &Measured| {
        let is_enough = first.seconds.len().min(other.seconds.len()) >= REPEATS_MIN;
        Change {
            ratio: bootstrap::ratio(&first.seconds, &other.seconds),
            interval: is_enough.then(|| bootstrap::interval(&first.seconds, &other.seconds, seed, what)).flatten(),
            is_less_complete: other.is_less_complete_than(first),
        }
    };
    let changes = all[1..].iter().map(change).collect();
    let unfinished = all.iter().map(|measured| measured.unfinished).collect();
    Row {
        what: what.to_owned(),
        unfinished,
        changes,
        seconds: all.into_iter().map(|measured| measured.seconds).collect(),
    }
}

impl Change {
    /// What the change amounts to.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        match self.interval {
            _ if self.is_less_complete => Judgement::LessComplete,
            None => Judgement::TooFew,
            Some(interval) if interval.low > 1.0 => Judgement::Slower,
            Some(interval) if interval.high < 1.0 => Judgement::Faster,
            Some(_) => Judgement::Alike,
        }
    }
}

impl Comparison {
    /// Holds the comparison against a limit. A build is too slow when it is slower at all beyond noise (the interval lies
    /// above 1) and its ratio is beyond the limit, and worse than slow when it comes to its end less often.
    #[must_use]
    pub fn hold_against(&self, limit: Limit) -> Finding {
        let (mut slow, mut unknown) = (Vec::new(), Vec::new());
        if self.rows.is_empty() {
            unknown.push("there is nothing to compare".to_owned());
        }
        for row in &self.rows {
            for (index, change) in row.changes.iter().enumerate() {
                if let Some(sentence) = self.worse(row, index + 1, change, limit) {
                    slow.push(sentence);
                } else if change.judgement() == Judgement::TooFew {
                    let runs: Vec<String> = row.seconds.iter().map(|seconds| seconds.len().to_string()).collect();
                    let runs = runs.join(" and ");
                    unknown.push(format!("{}: {runs} runs are too few; {REPEATS_MIN} of each are needed", row.what));
                }
            }
        }
        match (slow.is_empty(), unknown.is_empty()) {
            (false, _) => Finding::Worse(slow),
            (true, false) => Finding::Unknown(unknown),
            (true, true) => Finding::Held,
        }
    }

    /// What is wrong with the build at `index` in a row; nothing where it may pass, or cannot be judged.
    fn worse(&self, row: &Row, index: usize, change: &Change, limit: Limit) -> Option<String> {
        let (what, name, first) = (&row.what, &self.names[index], &self.names[0]);
        if change.is_less_complete {
            let runs = |at: usize| format!("{} of {}", row.unfinished[at], row.unfinished[at] + row.seconds[at].len());
            let (other, own) = (runs(index), runs(0));
            return Some(format!(
                "{what}: {other} runs of {name} did not come to their end, of {first} {own}, and {limit} fails"
            ));
        }
        let (ratio, interval) = (change.ratio?, change.interval?);
        let is_slow = change.judgement() == Judgement::Slower && ratio > 1.0 + limit.share;
        let percent = |ratio: f64| (ratio - 1.0) * 100.0;
        is_slow.then(|| {
            format!(
                "{what}: {name} takes {:+.1} % of {first} (between {:+.1} and {:+.1} %), and {limit} fails",
                percent(ratio),
                percent(interval.low),
                percent(interval.high)
            )
        })
    }
}

impl Judgement {
    /// The word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LessComplete => "unfinished",
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Alike => "alike",
            Self::TooFew => "too few runs",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slower-than {}%", self.share * 100.0)
    }
}

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hint = || format!("`{text}` is no limit; write `slower-than 5%`");
        let percent =
            text.trim().strip_prefix("slower-than").ok_or_else(hint)?.trim().strip_suffix('%').ok_or_else(hint)?;
        let percent: f64 = percent.trim().parse().map_err(|_| hint())?;
        if (0.0..=1000.0).contains(&percent) { Ok(Self { share: percent / 100.0 }) } else { Err(hint()) }
    }
}

/// Repeats below which no interval is given: of two, the range of the ratios says next to nothing.
pub const REPEATS_MIN: usize = 3;
