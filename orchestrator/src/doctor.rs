//! What this host offers and lacks for real runs, each lack with its cure.
//!
//! Kernel features are tried, not guessed (`real::features`); limits and clocks are read. Nothing is changed. What the
//! findings mean for the exit code is decided in `main`.

mod host;

use std::fmt;

use serde::Serialize;

use crate::real::{
    features::{self, Feature},
    netns::{NoNamespaces, Privilege},
};

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// One line per thing, the necessary ones first.
    pub lines: Vec<Line>,
}

/// One thing a host has or lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is: `sch_netem`.
    pub name: &'static str,
    /// Whether it is there.
    pub state: State,
    /// What was found, in a few words.
    pub found: String,
    /// What it is good for.
    pub serves: &'static str,
    /// What to do when it is lacking.
    pub cure: Option<String>,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is.
    Present,
    /// It is not, and some topologies, tests or judgements cannot do without.
    Lacking,
    /// It is not, and no real run is possible.
    Missing,
}

impl Diagnosis {
    /// Whether at least plain shaped links can be run.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.lines.iter().all(|line| line.state != State::Missing)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let word = match line.state {
                State::Present => "ok",
                State::Lacking => "lacks",
                State::Missing => "MISSING",
            };
            writeln!(f, "{word:<8}{:<18}{} (for {})", line.name, line.found, line.serves)?;
            if let Some(cure) = &line.cure {
                writeln!(f, "{:<8}{:<18}-> {cure}", "", "")?;
            }
        }
        let verdict =
            if self.is_fit() { "this host can run shaped links" } else { "this host cannot run anything real" };
        write!(f, "{verdict}")
    }
}

/// Looks at the host: with the privilege that `main` got at its start, and for runs of this many peers.
#[must_use]
pub fn examine(privilege: &Result<Privilege, NoNamespaces>, peers: u32) -> Diagnosis {
    let mut lines = vec![namespaces(privilege)];
    lines.extend(kernel_features());
    lines.extend(host::lines(peers));
    // Stable: within a state the order above stays.
    lines.sort_by_key(|line| line.state != State::Missing);
    Diagnosis { lines }
}

fn namespaces(privilege: &Result<Privilege, NoNamespaces>) -> Line {
    let (state, found, cure) = match privilege {
        Ok(Privilege::Held) => (State::Present, "this user may make them".to_owned(), None),
        Ok(Privilege::UserNamespace) => (State::Present, "in a user namespace of our own".to_owned(), None),
        Err(problem) => (State::Missing, problem.cause.clone(), Some(problem.cures.join("; or "))),
    };
    Line { name: "namespaces", state, found, serves: "every run", cure }
}

fn kernel_features() -> Vec<Line> {
    // Where nothing can be tried, the line about namespaces has said why.
    let Ok(found) = features::probe(&Feature::ALL) else { return Vec::new() };
    let line = |(feature, missing): (Feature, Option<String>)| {
        let (serves, necessary) = match feature {
            Feature::Veth => ("every run", true),
            Feature::Tbf => ("rates of links", true),
            Feature::Netem => {
                ("delay, jitter, loss, reorder, duplicate, corrupt and latency by the kernel engine", false)
            }
            Feature::CoDel => ("queues with codel by the kernel engine", false),
            Feature::Tun => ("the user engine, which needs none of these", false),
            Feature::Htb | Feature::Ingress => ("nothing yet; other tools on the same links", false),
        };
        let (state, found) = match (missing, necessary) {
            (None, _) => (State::Present, "works".to_owned()),
            (Some(words), true) => (State::Missing, words),
            (Some(words), false) => (State::Lacking, words),
        };
        let cure = (state != State::Present).then(|| feature.cure());
        Line { name: feature.name(), state, found, serves, cure }
    };
    found.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<Privilege, NoNamespaces> {
        Err(NoNamespaces { cause: "making a user namespace failed".to_owned(), cures: vec!["run as root".to_owned()] })
    }

    #[test]
    fn every_lack_has_a_cure_and_every_presence_has_none() {
        for privilege in [Ok(Privilege::Held), refused()] {
            for line in examine(&privilege, 1_000_000).lines {
                assert_eq!(line.cure.is_some(), line.state != State::Present, "{line:?}");
            }
        }
    }

    #[test]
    fn a_host_without_namespaces_is_not_fit_and_that_comes_first() {
        let diagnosis = examine(&refused(), 10);
        assert!(!diagnosis.is_fit());
        let text = diagnosis.to_string();
        assert!(text.starts_with("MISSING namespaces"), "{text}");
        assert!(text.contains("-> run as root"), "{text}");
        assert!(text.ends_with("this host cannot run anything real"), "{text}");
    }
}
