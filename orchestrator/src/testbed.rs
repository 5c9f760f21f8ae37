//! The seam between a plan and what carries it out.
//!
//! [`Testbed`] has one variant for each way to run a plan and the same operations for all; the scenario is played
//! against it and knows no other door. What an operation does lives in the variant's own module. When something is
//! done, and what it means, is the scenario's business.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use peerbed_peer::{
    events::Event as PeerEvent,
    ring_control::{RingCommand, Start},
    status::Status,
};
use peerbed_proto::id::PeerId;
use tokio::sync::mpsc;

use crate::{
    content::Content,
    evidence::{Wanted, capture::Captures},
    links::{Engine, MissingFeature, kernel::pace::Reading, tally::Tally, user::Health},
    plan::{Distribute, Peer, Plan, Ring},
    real::{Real, Towards},
    run_directory::RunDirectory,
};

mod changes;

/// A plan that has become real: its network exists, and its processes run as far as they are present.
///
/// Order of calls: [`Testbed::set_up`] once; [`Testbed::start`], [`Testbed::crash`] and [`Testbed::leave`] as the
/// scenario says; for each distribution [`Testbed::prepare`], [`Testbed::begin`], [`Testbed::end`];
/// [`Testbed::tear_down`] once; changes of links, partitions and pauses at any time between. All but the first and the last may overlap. Dropping a testbed kills its processes
/// and frees its namespaces as well, but reports nothing.
#[derive(Debug)]
pub enum Testbed {
    /// Namespaces, shaped links and processes on this host.
    Real(Real),
}

impl Testbed {
    /// Builds the network of `plan`, makes the files it distributes, and starts the peers that are present; returns
    /// when all of them answer.
    ///
    /// Payload, logs and sockets go to `run`, whose places exist already. The receiver yields what peers report and
    /// how they end, from the first moment on; when it is full (4 096 events), peers' streams wait, and what a peer then
    /// discards it reports as `missed`.
    ///
    /// # Errors
    ///
    /// [`SetUpError::Unsupported`] before anything has been created; [`SetUpError::Failed`] after everything created
    /// so far has been taken down again. The run could not be carried out in both cases (exit code 3).
    pub async fn set_up(
        plan: &Plan,
        run: &RunDirectory,
        options: &Options,
    ) -> Result<(Self, mpsc::Receiver<Event>), SetUpError> {
        let (real, events) = Real::set_up(plan, run, options).await?;
        Ok((Self::Real(real), events))
    }

    /// Refuses `plan` where this testbed or this host cannot carry it out, before anything is made. [`Self::set_up`] does
    /// the same once more.
    ///
    /// # Errors
    ///
    /// What the plan asks for in vain, or what the host lacks, with a cure.
    pub fn check(plan: &Plan, options: &Options) -> Result<(), SetUpError> {
        Real::check(plan, options).map(|_| ())
    }

    /// How the set-up went: the engine, why it was chosen, and how long each part took.
    #[must_use]
    pub fn set_up_report(&self) -> &SetUpReport {
        match self {
            Self::Real(real) => real.set_up_report(),
        }
    }

    /// The files of the plan by name: original, manifest and digest.
    #[must_use]
    pub fn contents(&self) -> &BTreeMap<String, Content> {
        match self {
            Self::Real(real) => real.contents(),
        }
    }

    /// Peers whose program this host cannot run, and why; they are never started.
    #[must_use]
    pub fn unavailable(&self) -> &BTreeMap<PeerId, String> {
        match self {
            Self::Real(real) => real.unavailable(),
        }
    }

    /// Brings up the processes of `peers` that are down, and returns when each of them answers.
    ///
    /// A peer that crashed or left before comes back with what it has on disk. It takes part in nothing yet.
    ///
    /// # Errors
    ///
    /// The first peer that did not come up, with the end of its log.
    pub async fn start(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.start(peers).await,
        }
    }

    /// How well the user engine has done so far; none where the kernel shapes the links.
    ///
    /// # Errors
    ///
    /// When the engine has ended, and nothing is carried any more.
    pub async fn engine_health(&self) -> anyhow::Result<Option<Health>> {
        match self {
            Self::Real(real) => real.engine_health().await,
        }
    }

    /// What each direction of the links has done so far, where the kernel shapes them; nothing otherwise.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell.
    pub async fn paces(&self) -> anyhow::Result<Vec<((PeerId, Towards), Reading)>> {
        match self {
            Self::Real(real) => real.paces().await,
        }
    }

    /// What each link has done so far, up and down, where the user engine shapes them; nothing otherwise. [`Self::paces`]
    /// has it of the kernel's.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub async fn tallies(&self) -> anyhow::Result<Vec<(PeerId, [Tally; 2])>> {
        match self {
            Self::Real(real) => real.tallies().await,
        }
    }

    /// Kills the processes of `peers` at once and without warning; returns when they are gone.
    ///
    /// # Errors
    ///
    /// When one of them could not be killed; the others are killed all the same. Peers that are down are skipped.
    pub async fn crash(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.crash(peers).await,
        }
    }

    /// Asks `peers` to leave in good order; returns when their processes have ended.
    ///
    /// # Errors
    ///
    /// When one of them refused, failed or was still there at the deadline (it is killed then).
    pub async fn leave(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.leave(peers).await,
        }
    }

    /// Makes `peers` ready for a distribution, each in the part that the plan gives it.
    ///
    /// # Errors
    ///
    /// The first peer that could not be made ready, and why.
    pub async fn prepare(&self, distribution: &Distribute, peers: &[PeerId]) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.prepare(distribution, peers).await,
        }
    }

    /// Tells `peers` to start the distribution `id` at the instant `at` of [`now`].
    ///
    /// # Errors
    ///
    /// The first peer that did not take the command.
    pub async fn begin(&self, id: &str, peers: &[PeerId], at: f64) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.begin(id, peers, at).await,
        }
    }

    /// Closes the distribution `id` at those of `peers` that are up.
    ///
    /// # Errors
    ///
    /// The first peer that could not close it; the others are asked all the same.
    pub async fn end(&self, id: &str, peers: &[PeerId]) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.end(id, peers).await,
        }
    }

    /// Lets a peer enter a ring of the plan; with `hold` as a founder that waits for `connect` and `begin`.
    ///
    /// # Errors
    ///
    /// When the peer did not take the command.
    pub async fn enter_ring(&self, ring: &Ring, peer: PeerId, start: Start, hold: bool) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.enter_ring(ring, peer, start, hold).await,
        }
    }

    /// Asks a peer's ring node something; the answer comes as an event.
    ///
    /// # Errors
    ///
    /// When the peer did not take the command.
    pub async fn ask_ring(&self, peer: PeerId, command: RingCommand) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.ask_ring(peer, command).await,
        }
    }

    /// A UDP socket at `address`, which is that of `peer`, in its namespace; of the plan, or the
    /// [`vantage`](crate::verify::vantage::vantage) point.
    ///
    /// # Errors
    ///
    /// When there is no such namespace, or it has no such address.
    pub async fn probe_socket(&self, peer: PeerId, address: Ipv4Addr) -> anyhow::Result<UdpSocket> {
        match self {
            Self::Real(real) => real.probe_socket(peer, address).await,
        }
    }

    /// Begins to capture the packets of `peers`, for files in the run's directory.
    ///
    /// # Errors
    ///
    /// When a namespace does not let its packets be seen.
    pub async fn capture(&self, peers: &[&Peer]) -> anyhow::Result<Captures> {
        match self {
            Self::Real(real) => real.capture(peers).await,
        }
    }

    /// Whether a peer's process runs (and has answered once).
    #[must_use]
    pub fn is_up(&self, peer: PeerId) -> bool {
        match self {
            Self::Real(real) => real.is_up(peer),
        }
    }

    /// Snapshots of all peers that are up; one that does not answer within a second is left out.
    pub async fn statuses(&self) -> BTreeMap<PeerId, Status> {
        match self {
            Self::Real(real) => real.statuses().await,
        }
    }

    /// What all peers that are up have measured since their processes began: histograms as text for
    /// [`decode`](peerbed_peer::timing::decode), by name. Peers that do not answer within 5 s are left out.
    pub async fn histograms(&self) -> BTreeMap<PeerId, BTreeMap<String, String>> {
        match self {
            Self::Real(real) => real.histograms().await,
        }
    }

    /// Prometheus text of one peer.
    ///
    /// # Errors
    ///
    /// When the peer is down or does not answer.
    pub async fn metrics(&self, peer: PeerId) -> anyhow::Result<String> {
        match self {
            Self::Real(real) => real.metrics(peer).await,
        }
    }

    /// Ends all processes, gracefully where they follow in time, and frees the network. Runs to its end in any case;
    /// safe to call twice.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong, after everything has been tried.
    pub async fn tear_down(&self) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.tear_down().await,
        }
    }
}

/// What a set-up needs to know beside the plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that is started as each peer.
    pub peer_binary: PathBuf,
    /// Where the paths of files in the plan begin: the topology file's directory.
    pub files_root: PathBuf,
    /// What is written down of whose connections. Default: nothing of nobody.
    pub evidence: Wanted,
    /// Time a peer has from its start to its first answer. Default 30 s: a hundred peers starting at once on one slow
    /// core need a few seconds.
    pub ready_within: Duration,
    /// Time a peer has to end when asked, before it is killed. Default 5 s.
    pub stop_within: Duration,
}

impl Options {
    /// The defaults, for this peer program and this directory of the topology file.
    #[must_use]
    pub fn new(peer_binary: impl Into<PathBuf>, files_root: impl AsRef<Path>) -> Self {
        Self {
            peer_binary: peer_binary.into(),
            files_root: files_root.as_ref().to_path_buf(),
            evidence: Wanted::default(),
            ready_within: Duration::from_secs(30),
            stop_within: Duration::from_secs(5),
        }
    }
}

/// How a set-up went.
#[derive(Clone, Debug, PartialEq)]
pub struct SetUpReport {
    /// What shapes the links.
    pub engine: Engine,
    /// Why that engine, in one sentence.
    pub engine_reason: String,
    /// Time for namespaces, links, addresses and shaping.
    pub network: Duration,
    /// Time for making the distributed files.
    pub contents: Duration,
    /// Time for writing configurations and starting processes.
    pub processes: Duration,
    /// Time from the last start to the last answer.
    pub readiness: Duration,
}

/// Something that happened in the testbed.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A peer reported something.
    Peer {
        /// Who.
        peer: PeerId,
        /// What, and when on the peer's clock, which is also ours.
        event: PeerEvent,
    },
    /// A program of somebody else's has done its work.
    Completed {
        /// Who.
        peer: PeerId,
        /// When, in seconds of [`now`].
        t: f64,
    },
    /// A peer's process ended.
    Exit(Exit),
}

/// The end of a peer's process.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// Who.
    pub peer: PeerId,
    /// When it was noticed, in seconds of [`now`].
    pub t: f64,
    /// Whether we had killed it or asked it to go, and it went with success if it was asked.
    pub expected: bool,
    /// How it ended: `exit code 0`, `signal 9 (killed)`.
    pub status: String,
    /// The last lines of its log, at most 20; empty when the end was expected.
    pub log_tail: Vec<String>,
}

/// Why a plan did not become real.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The host lacks something the plan needs; nothing was created.
    #[error(transparent)]
    Unsupported(#[from] MissingFeature),
    /// Something went wrong on the way; what had been created is gone again.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// This instant in seconds of CLOCK_MONOTONIC, the clock of all peers' events and commands.
#[must_use]
pub fn now() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    #[expect(clippy::cast_precision_loss, reason = "microseconds stay exact for 285 years of uptime")]
    let seconds = now.tv_sec as f64;
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second need 30 of 52 bits")]
    let nanoseconds = now.tv_nsec as f64;
    seconds + nanoseconds / 1e9
}
