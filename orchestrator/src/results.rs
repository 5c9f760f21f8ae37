//! What a run found: the types of `results.json`, their writing and reading.
//!
//! The keys are a stable format (`schema`); further keys may join and readers ignore what they do not know. How the
//! numbers come about lives in `scenario`, `theory` and `verdict`; how they are shown lives in `report`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    accounting::Accounting,
    links::traces::Followed,
    run_directory::RunDirectory,
    verdict::{State, Verdict},
    verify::found::{LatencyFound, LinkFound, Verification},
};

mod changes;
mod rings;
mod timings;

pub use changes::Change;
pub use rings::{AnswerFound, Lookups, MemberFound, Recovery, RingFound, Spread};
pub use timings::{Percentiles, TimingFound, TimingSpread};

/// Version of the format of `results.json`.
pub const SCHEMA: u32 = 1;

/// What stands for the engine of a run whose testbed never came up.
pub const NO_ENGINE: &str = "none";

/// Everything one run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of the format; [`SCHEMA`].
    pub schema: u32,
    /// Name of the topology.
    pub name: String,
    /// Master seed of the run.
    pub seed: u64,
    /// Which engine shaped the links.
    pub engine: String,
    /// Why this engine was taken.
    #[serde(default)]
    pub engine_reason: String,
    /// What carried the run out: `real`.
    pub testbed: String,
    /// How the run ended; everything below is what was known by then.
    #[serde(default)]
    pub outcome: Outcome,
    /// Why the run did not finish, as one sentence with details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether this host could measure this run.
    pub verdict: Verdict,
    /// Distributions in the order of the scenario; only those that were begun.
    pub distributions: Vec<Distribution>,
    /// Programs of somebody else's that completed, in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramCompletion>,
    /// Distributions that were left out because this host lacks the programs for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// What was asked of rings, in the order of the scenario.
    pub lookups: Vec<Lookups>,
    /// What happened to rings and distributions, and the times to recover from it.
    pub recoveries: Vec<Recovery>,
    /// Rings at the end of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<RingFound>,
    /// Links as asked for and as measured: up and down of each class.
    pub links: Vec<LinkFound>,
    /// Latencies between regions as asked for and as measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<LatencyFound>,
    /// What the scenario changed of links, partitions and processes, in order of the asking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// How the traces of links were followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Followed>,
    /// Memory of Peerbed's own peers, in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<Memory>,
    /// What peers measured by themselves, merged over those that lived to the end; empty where they measured nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timings: Vec<TimingFound>,
    /// Whether links were measured before the scenario.
    #[serde(default)]
    pub verification: Verification,
    /// Expectations in the order of the topology; empty when the run did not finish.
    pub expectations: Vec<Expectation>,
    /// Where, when and with what the run was made.
    #[serde(default)]
    pub provenance: Provenance,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The scenario was played to its end.
    #[default]
    Finished,
    /// Somebody stopped it.
    Interrupted,
    /// It could not be carried out.
    Failed,
}

impl Outcome {
    /// The word used in files and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// What one distribution took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Unique in the run: `d0`, `d1`, …
    #[serde(default)]
    pub id: String,
    /// The name that expectations use.
    #[serde(default)]
    pub name: String,
    /// Name of the file.
    pub file: String,
    /// `swarm` or `client-server`; the name of the program where programs of somebody else's spread the file.
    pub via: String,
    /// `swarm` or `client-server`, whoever spreads the file: says which bound holds. Empty in old files.
    #[serde(default)]
    pub kind: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Peers the file was addressed to.
    pub peers: usize,
    /// Peers whose completion was required: all but those the scenario took away and did not bring back.
    #[serde(default)]
    pub required: usize,
    /// From the common begin to the last required completion; none when the run ended before.
    pub seconds: Option<f64>,
    /// Least time possible with the nominal link rates, where it is finite.
    pub bound_seconds: Option<f64>,
    /// The term of the bound that binds: `server-upload`, `seed-upload`, `slowest-download`, `total-upload`.
    pub bound_term: Option<String>,
    /// `seconds / bound_seconds`.
    pub ratio: Option<f64>,
    /// Least time when only whole pieces may be passed on, where it is known.
    #[serde(default)]
    pub optimum_seconds: Option<f64>,
    /// Least time that the swarm's rules give on an ideal network, where the model knows them.
    #[serde(default)]
    pub ideal_seconds: Option<f64>,
    /// `ideal_seconds / bound_seconds`.
    #[serde(default)]
    pub ideal_ratio: Option<f64>,
    /// Half of the completed peers had the file by then.
    #[serde(default)]
    pub p50_seconds: Option<f64>,
    /// 95 % of the completed peers had the file by then.
    #[serde(default)]
    pub p95_seconds: Option<f64>,
    /// When it began, in seconds since the scenario's start.
    #[serde(default)]
    pub begun_seconds: f64,
    /// Payload bytes that all participants received in vain, where it was sampled.
    #[serde(default)]
    pub wasted_bytes: Option<u64>,
    /// Mean completion time of free-riders over that of contributors, where there are both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub riders_ratio: Option<f64>,
    /// Set where the distribution was given up, because pieces were lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<Stalled>,
    /// When the peers that began without the file had all of it together, and what that took of the seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_copy: Option<SecondCopy>,
    /// Times of completed peers, each from its own arrival, where some came after the common begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_arrival: Option<Spread>,
    /// Neighbours that participants dropped for what they did, by the word for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
    /// Where the time of the participants' uplinks went; none where no participant gives account of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounting: Option<Accounting>,
    /// One entry per addressed peer, in the order of the plan.
    pub completions: Vec<Completion>,
}

/// The most memory that a peer took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Name of the peer.
    pub peer: String,
    /// Most resident bytes of its process, as the kernel keeps them; of several processes the largest.
    pub peak_bytes: u64,
}

/// When the program of a peer had done its work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgramCompletion {
    /// Name of the peer.
    pub peer: String,
    /// What tables call the program.
    pub program: String,
    /// Since the scenario's begin.
    pub seconds: f64,
}

/// A distribution that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// As in the plan.
    pub id: String,
    /// The name that expectations use.
    pub name: String,
    /// The name of the program.
    pub via: String,
    /// What the host lacks, and how to get it.
    pub reason: String,
}

/// The moment from which the seeds could have gone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecondCopy {
    /// Since the common begin.
    pub seconds: f64,
    /// Payload that had come from the seeds by then, as a multiple of the file; interpolated between two samples.
    pub seeds_sent_files: f64,
}

/// A distribution that could not complete any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stalled {
    /// When something last arrived anywhere, since the common begin.
    pub since_seconds: f64,
    /// Pieces that nobody had any more, as ranges: `3-7, 12`.
    pub lost: String,
    /// Peers that were waited for in vain, each with the pieces it lacked.
    pub lacking: BTreeMap<String, String>,
}

/// What became of one addressed peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// Name of the peer.
    pub peer: String,
    /// From the common begin to the peer's own completion; none when it did not complete.
    pub seconds: Option<f64>,
    /// From the common begin to the moment this peer was first told to begin; 0 for who was there from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived_seconds: Option<f64>,
    /// From that moment to its completion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_arrival_seconds: Option<f64>,
    /// Whether the file, read back from the peer's directory, has the original's SHA-256.
    pub verified: bool,
    /// Whether the distribution waited for this peer.
    #[serde(default = "yes")]
    pub required: bool,
}

/// One condition on the results and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// As written in the topology.
    pub text: String,
    /// Whether it held.
    pub held: bool,
    /// What was found in place of the left side.
    pub value: Value,
}

/// Where, when and with what a run was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Start of the run, UTC.
    pub started_at: String,
    /// From the start of the run to its results, set-up included.
    pub wall_seconds: f64,
    /// The command line, word by word.
    pub command_line: Vec<String>,
    /// Version of Peerbed.
    pub version: String,
    /// SHA-256 of the topology file as written.
    pub topology_sha256: String,
    /// The host.
    pub host: Host,
    /// What bringing the testbed up took, by phase, in seconds.
    pub setup_seconds: BTreeMap<String, f64>,
}

/// The machine a run was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Release of the kernel.
    pub kernel: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Main memory in bytes.
    pub memory_bytes: u64,
}

/// What a run or a sweep means to whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Every expectation holds.
    Held,
    /// An expectation failed.
    ExpectationFailed,
    /// A run was not carried out to its end.
    NotCarriedOut,
    /// The host was in the way: neither pass nor fail.
    Invalid,
}

impl Results {
    /// What this run means. An invalid run neither passes nor fails, whatever its expectations say.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        if self.outcome != Outcome::Finished {
            Conclusion::NotCarriedOut
        } else if self.verdict.state == State::Invalid {
            Conclusion::Invalid
        } else if self.expectations.iter().any(|e| !e.held) {
            Conclusion::ExpectationFailed
        } else {
            Conclusion::Held
        }
    }
}

impl SweepResults {
    /// What this sweep means: a run that was not made weighs most, then a failed expectation, then an invalid run.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        let all: Vec<Conclusion> = self.runs.iter().map(|run| run.results.conclusion()).collect();
        if self.runs.len() < self.planned {
            return Conclusion::NotCarriedOut;
        }
        [Conclusion::NotCarriedOut, Conclusion::ExpectationFailed, Conclusion::Invalid]
            .into_iter()
            .find(|worst| all.contains(worst))
            .unwrap_or(Conclusion::Held)
    }
}

/// Everything a sweep found: the `results.json` of a sweep's directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepResults {
    /// Version of the format; [`SCHEMA`].
    pub schema: u32,
    /// Name of the topology.
    pub name: String,
    /// How many runs are planned; fewer entries in `runs` mean that the sweep was ended early.
    pub planned: usize,
    /// Runs in the order in which they were made.
    pub runs: Vec<SweepRun>,
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRun {
    /// The swept values: path in the topology and value, in the order of the topology.
    pub values: serde_json::Map<String, Value>,
    /// Number of this repetition, from 1.
    pub repeat: usize,
    /// Directory of the run, relative to the sweep's.
    pub directory: String,
    /// What it found.
    pub results: Results,
}

/// The `results.json` of either kind of directory.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Of one run.
    Run(Box<Results>),
    /// Of a sweep.
    Sweep(SweepResults),
}

impl Found {
    /// Reads all results at `path`: of a run, of a sweep, or of every one of these directly below it, by name.
    ///
    /// # Errors
    ///
    /// When there are none, or some cannot be read.
    pub fn read_all(path: &Path) -> anyhow::Result<Vec<Self>> {
        if let Ok(directory) = RunDirectory::open(path) {
            return Ok(vec![Self::read(&directory)?]);
        }
        let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut below: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        below.sort();
        let directories = below.iter().filter_map(|path| RunDirectory::open(path).ok());
        let found: Vec<Self> = directories.map(|directory| Self::read(&directory)).collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(
            !found.is_empty(),
            "{} holds no runs: there is no results.json in it or in a directory in it",
            path.display()
        );
        Ok(found)
    }

    /// Reads the results that `directory` holds.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no results file of a known version.
    pub fn read(directory: &RunDirectory) -> anyhow::Result<Self> {
        let path = directory.results();
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let value: Value = serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        let schema = value.get("schema").and_then(Value::as_u64);
        anyhow::ensure!(
            schema == Some(u64::from(SCHEMA)),
            "{} has schema {schema:?}; this version reads {SCHEMA}",
            path.display()
        );
        let explain = || format!("{} is not a results file", path.display());
        if value.get("runs").is_some() {
            Ok(Self::Sweep(serde_json::from_value(value).with_context(explain)?))
        } else {
            Ok(Self::Run(Box::new(serde_json::from_value(value).with_context(explain)?)))
        }
    }
}

/// The smallest of `sorted` that at least `share` (0..=1) of them do not exceed; none of none.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ rank ≤ len")]
    let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 0.5), Some(5.0));
        assert_eq!(percentile(&sorted, 0.95), Some(10.0));
        assert_eq!(percentile(&sorted, 0.0), Some(1.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
