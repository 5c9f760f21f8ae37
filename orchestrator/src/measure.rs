//! What is written down while a run goes on: events as they arrive, and samples of peers and host once a second.
//!
//! Opens and fills the NDJSON files of the run directory. Reading the host lives in `host`, the timer that shows how
//! late this host wakes a thread in `canary`, the check of distributed files in `read_back`. Nothing is judged here.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use peerbed_peer::{events, status::Status};
use serde::Serialize;

use crate::{
    prove::Proof,
    run_directory::{RunDirectory, disk_problem},
    verdict::Window,
};

pub mod canary;
pub mod copies;
pub mod host;
pub mod read_back;

/// The open files of a run that grow while it goes on.
#[derive(Debug)]
pub struct Recorder {
    events: Lines,
    peers: Lines,
    host: Lines,
    windows: Vec<Window>,
}

/// Something the orchestrator itself did, as it stands in `events.ndjson` beside what peers report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Note<'a> {
    /// All present peers answer; the scenario's clock starts.
    ScenarioBegun {
        /// Peers whose processes run.
        peers: usize,
        /// The same instant in seconds of Unix time, for what has no other clock, such as logs.
        unix: f64,
    },
    /// A step of the scenario has begun.
    StepBegun {
        /// Its index in the plan.
        step: usize,
        /// What it does: `distribute`, `crash`, …
        action: &'static str,
    },
    /// A step of the scenario has ended.
    StepEnded {
        /// Its index in the plan.
        step: usize,
        /// What it does: `distribute`, `crash`, …
        action: &'static str,
    },
    /// A peer goes or comes back by a churn.
    Moved {
        /// Index of the churn's step in the plan.
        step: usize,
        /// `crash`, `leave` or `join`.
        action: &'static str,
        /// Name of the peer.
        peer: &'a str,
    },
    /// The scenario wants links, partitions or processes changed.
    ChangeAsked {
        /// Index of the step in the plan.
        step: usize,
        /// `link`, `partition`, `heal`, `pause` or `resume`.
        action: &'static str,
        /// Names of the peers it is about.
        peers: &'a [String],
        /// Names of the partitions it begins or ends.
        partitions: &'a [String],
    },
    /// The change has been made.
    ChangeApplied {
        /// Index of the step in the plan.
        step: usize,
        /// Seconds since it was asked for.
        seconds: f64,
    },
    /// The change has bitten.
    ChangeProved {
        /// Index of the step in the plan.
        step: usize,
        /// Seconds since it was asked for.
        seconds: f64,
        /// How it is known.
        proof: &'a Proof,
    },
    /// A class of links has other figures by its trace.
    Traced {
        /// The class.
        class: &'a str,
        /// `up` or `down`.
        direction: &'static str,
        /// Seconds since the scenario's start.
        elapsed: f64,
        /// The rate; none where the link's own figures hold again. So for the others.
        rate_bps: Option<u64>,
        /// The delay.
        delay_s: Option<f64>,
        /// The loss.
        loss: Option<f64>,
    },
    /// The common begin of a distribution was fixed.
    BeginFixed {
        /// The distribution.
        distribution: String,
        /// The instant, in seconds of CLOCK_MONOTONIC.
        at: f64,
        /// How many peers take part.
        peers: usize,
    },
    /// A file was read back from a peer's directory.
    ReadBack {
        /// The distribution.
        distribution: String,
        /// Name of the peer.
        peer: String,
        /// Whether it has the original's SHA-256.
        verified: bool,
    },
    /// A program of somebody else's has done its work.
    ProgramCompleted {
        /// Name of the peer.
        peer: String,
    },
    /// A distribution was left out, because this host lacks the programs for it.
    LeftOut {
        /// The distribution.
        distribution: String,
        /// What is lacking.
        why: String,
    },
    /// A peer's process ended.
    Exited {
        /// Name of the peer.
        peer: String,
        /// How.
        status: String,
        /// Whether the scenario asked for it.
        expected: bool,
    },
    /// The run ended early.
    Stopped {
        /// Why.
        reason: String,
    },
}

impl Recorder {
    /// Opens the files in `directory`, whose places exist.
    ///
    /// # Errors
    ///
    /// One sentence naming the file that cannot be made.
    pub fn create(directory: &RunDirectory) -> anyhow::Result<Self> {
        Ok(Self {
            events: Lines::create(directory.events())?,
            peers: Lines::create(directory.peer_samples())?,
            host: Lines::create(directory.host_samples())?,
            windows: Vec::new(),
        })
    }

    /// Writes down what the peer called `peer` reported.
    ///
    /// # Errors
    ///
    /// One sentence when the disk does not take it; so for the functions below.
    pub fn peer_event(&mut self, peer: &str, event: &events::Event) -> anyhow::Result<()> {
        self.events.write(&PeerLine { t: event.t, peer, event: &event.kind })
    }

    /// Writes down what the orchestrator did at `t`.
    ///
    /// # Errors
    ///
    /// As [`Self::peer_event`].
    pub fn note(&mut self, t: f64, note: &Note<'_>) -> anyhow::Result<()> {
        self.events.write(&NoteLine { t, note })
    }

    /// Writes down one peer's state.
    ///
    /// # Errors
    ///
    /// As [`Self::peer_event`].
    pub fn status(&mut self, status: &Status) -> anyhow::Result<()> {
        self.peers.write(status)
    }

    /// Writes down and keeps one window of the host, and lets readers see everything written so far.
    ///
    /// # Errors
    ///
    /// As [`Self::peer_event`].
    pub fn window(&mut self, window: Window) -> anyhow::Result<()> {
        self.windows.push(window);
        self.host.write(&window)?;
        self.flush()
    }

    /// Lets readers see everything written so far.
    ///
    /// # Errors
    ///
    /// As [`Self::peer_event`].
    pub fn flush(&mut self) -> anyhow::Result<()> {
        self.events.flush()?;
        self.peers.flush()?;
        self.host.flush()
    }

    /// The windows seen so far.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }
}

/// One NDJSON file.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Lines {
    fn create(path: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&path).map_err(|e| disk_problem(&e, "make", &path))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    fn write(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|e| problem(&e, &self.path))
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.file.flush().map_err(|e| problem(&e, &self.path))
    }
}

fn problem(error: &std::io::Error, path: &Path) -> anyhow::Error {
    disk_problem(error, "write", path)
}

#[derive(Serialize)]
struct PeerLine<'a> {
    t: f64,
    peer: &'a str,
    #[serde(flatten)]
    event: &'a events::EventKind,
}

#[derive(Serialize)]
struct NoteLine<'a> {
    t: f64,
    #[serde(flatten)]
    note: &'a Note<'a>,
}
