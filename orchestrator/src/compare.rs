//! Runs side by side: is one build slower than another, or is it noise?
//!
//! Runs with equal topologies and swept values are repeats of one thing. For each distribution the medians of the
//! repeats are compared, and a bootstrap says between which bounds the ratio of the medians lies: repeats are drawn again
//! with replacement ten thousand times, and the middle 95 % of the ratios count (Efron & Tibshirani 1993, chapter 13). A
//! difference is one only where that interval leaves out 1. Nothing is measured here, and runs whose verdict is invalid
//! are left out, because their numbers are the host's.
//!
//! Reading directories lives in `gather`, the bootstrap in `bootstrap`, the table in `show`.

use std::fmt;

mod bootstrap;
mod gather;
mod show;

pub use bootstrap::Interval;
pub use gather::{Build, read};
pub use show::{json, markdown, table};

/// What two or more builds took, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What the builds are called; the first is what others are compared with.
    pub names: Vec<String>,
    /// One row per distribution and combination of swept values.
    pub rows: Vec<Row>,
    /// Runs that were left out, one sentence each.
    pub left_out: Vec<String>,
}

/// One distribution in all builds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which distribution, and the swept values.
    pub what: String,
    /// Seconds of every repeat, by build.
    pub seconds: Vec<Vec<f64>>,
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
}

/// What a change amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
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
    /// These are, one sentence each.
    TooSlow(Vec<String>),
    /// Nothing is too slow as far as can be said, but these could not be judged, one sentence each.
    Unknown(Vec<String>),
}

/// Compares builds, the first with each other. The same builds and seed give the same intervals.
#[must_use]
pub fn compare(builds: &[Build], seed: u64) -> Comparison {
    let mut whats: Vec<&String> = Vec::new();
    for (what, _) in builds.iter().flat_map(|build| &build.seconds) {
        if !whats.contains(&what) {
            whats.push(what);
        }
    }
    let rows = whats.into_iter().map(|what| row(builds, what, seed)).collect();
    let left_out = builds.iter().flat_map(|build| build.left_out.clone()).collect();
    Comparison { names: builds.iter().map(|build| build.name.clone()).collect(), rows, left_out }
}

fn row(builds: &[Build], what: &str, seed: u64) -> Row {
    let of = |build: &Build| {
        let found = build.seconds.iter().find(|(known, _)| known == what);
        found.map(|(_, seconds)| seconds.clone()).unwrap_or_default()
    };
    let seconds: Vec<Vec<f64>> = builds.iter().map(of).collect();
    let first = &seconds[0];
    let change = |other: &Vec<f64>| {
        let is_enough = first.len().min(other.len()) >= REPEATS_MIN;
        Change {
            ratio: bootstrap::ratio(first, other),
            interval: is_enough.then(|| bootstrap::interval(first, other, seed, what)).flatten(),
        }
    };
    let changes = seconds[1..].iter().map(change).collect();
    Row { what: what.to_owned(), seconds, changes }
}

impl Change {
    /// What the change amounts to.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        match self.interval {
            None => Judgement::TooFew,
            Some(interval) if interval.low > 1.0 => Judgement::Slower,
            Some(interval) if interval.high < 1.0 => Judgement::Faster,
            Some(_) => Judgement::Alike,
        }
    }
}

impl Comparison {
    /// Holds the comparison against a limit. A build is too slow when it is slower at all beyond noise (the interval lies
    /// above 1) and its ratio is beyond the limit.
    #[must_use]
    pub fn hold_against(&self, limit: Limit) -> Finding {
        let (mut slow, mut unknown) = (Vec::new(), Vec::new());
        if self.rows.is_empty() {
            unknown.push("there is nothing to compare".to_owned());
        }
        for row in &self.rows {
            for (name, change) in self.names[1..].iter().zip(&row.changes) {
                let (Some(ratio), Some(interval)) = (change.ratio, change.interval) else {
                    let runs: Vec<String> = row.seconds.iter().map(|seconds| seconds.len().to_string()).collect();
                    let runs = runs.join(" and ");
                    unknown.push(format!("{}: {runs} runs are too few; {REPEATS_MIN} of each are needed", row.what));
                    continue;
                };
                if change.judgement() == Judgement::Slower && ratio > 1.0 + limit.share {
                    slow.push(format!(
                        "{}: {name} takes {:+.1} % of {} (between {:+.1} and {:+.1} %), and {limit} fails",
                        row.what,
                        (ratio - 1.0) * 100.0,
                        self.names[0],
                        (interval.low - 1.0) * 100.0,
                        (interval.high - 1.0) * 100.0
                    ));
                }
            }
        }
        match (slow.is_empty(), unknown.is_empty()) {
            (false, _) => Finding::TooSlow(slow),
            (true, false) => Finding::Unknown(unknown),
            (true, true) => Finding::Held,
        }
    }
}

impl Judgement {
    /// The word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
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

#[cfg(test)]
mod tests {
    use peerbed_proto::random::Random;

    use super::*;

    /// Five repeats around `middle` with noise as swarms have it: a few per cent, and sometimes a slow one.
    fn build(name: &str, middle: f64, random: &mut Random) -> Build {
        let noise = |random: &mut Random| {
            let even = (random.fraction() + random.fraction() + random.fraction() - 1.5) * 0.02;
            if random.fraction() < 0.1 { even + 0.04 } else { even }
        };
        let seconds = (0..5).map(|_| middle * (1.0 + noise(random))).collect();
        Build { name: name.into(), seconds: vec![("release via swarm".into(), seconds)], left_out: Vec::new() }
    }

    fn try_ten(factor: f64) -> Vec<Finding> {
        let limit: Limit = "slower-than 5%".parse().unwrap();
        let one = |attempt: u64| {
            let mut random = Random::new(attempt, "tests of compare");
            let (a, b) = (build("a", 18.3, &mut random), build("b", 18.3 * factor, &mut random));
            compare(&[a, b], 1).hold_against(limit)
        };
        (0..10).map(one).collect()
    }

    #[test]
    fn equal_builds_are_never_flagged_in_ten_tries() {
        assert!(try_ten(1.0).iter().all(|found| *found == Finding::Held), "{:?}", try_ten(1.0));
    }

    #[test]
    fn a_tenth_slower_is_caught_in_ten_of_ten_tries() {
        assert!(try_ten(1.1).iter().all(|found| matches!(found, Finding::TooSlow(all) if all.len() == 1)));
    }

    #[test]
    fn a_faster_build_holds() {
        assert!(try_ten(0.9).iter().all(|found| *found == Finding::Held));
    }

    #[test]
    fn two_runs_of_each_are_neither_pass_nor_fail() {
        let two =
            |name: &str| Build { name: name.into(), seconds: vec![("x".into(), vec![1.0, 2.0])], left_out: Vec::new() };
        let comparison = compare(&[two("a"), two("b")], 1);
        assert_eq!(comparison.rows[0].changes[0].judgement(), Judgement::TooFew);
        let Finding::Unknown(words) = comparison.hold_against(Limit { share: 0.05 }) else { panic!("judged") };
        assert_eq!(words, ["x: 2 and 2 runs are too few; 3 of each are needed"]);
    }

    #[test]
    fn what_only_one_build_has_is_shown_and_not_judged() {
        let one = |name: &str, what: &str| Build {
            name: name.into(),
            seconds: vec![(what.into(), vec![1.0, 1.0, 1.0])],
            left_out: Vec::new(),
        };
        let comparison = compare(&[one("a", "x"), one("b", "y")], 1);
        assert_eq!(comparison.rows.len(), 2);
        assert!(comparison.rows.iter().all(|row| row.changes[0].ratio.is_none()));
    }

    #[test]
    fn limits_are_written_as_people_say_them() {
        assert_eq!("slower-than 5%".parse(), Ok(Limit { share: 0.05 }));
        assert_eq!("slower-than 2.5 %".parse(), Ok(Limit { share: 0.025 }));
        for bad in ["5%", "slower-than 5", "slower-than x%", "slower-than -5%", "faster-than 5%"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }
}
