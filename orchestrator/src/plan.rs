//! The plan: a topology resolved into everything a testbed needs, complete and printable.
//!
//! The types of the plan live here and beside it: links, what happens to them, arrivals, programs and rings in
//! `plan/links`, `plan/faults`, `plan/arrivals`, `plan/program` and `plan/rings`. So does [`resolve()`]. Nothing in here does I/O, looks at the host or invents a value later:
//! `plan.yaml` reproduces the run.

use std::net::Ipv4Addr;

use peerbed_peer::config::Congestion;
use peerbed_proto::{id::PeerId, swarm};
use serde::{Deserialize, Serialize};

use crate::units::{Size, Span};

mod arrivals;
mod churn;
mod course;
mod disturb;
mod faults;
mod lifetimes;
mod links;
mod matrix;
mod program;
mod programs;
mod resolve;
mod rings;
mod seats;
mod yaml;

pub use arrivals::{Arrival, Arrivals, Entrance};
pub use churn::{Churn, Habits, Move, MoveKind};
pub use faults::{Changes, CutDirection, LinkChange, LinkState, NewRate, Partition};
pub use lifetimes::{Law, Lifetimes, Middle};
pub use links::{Direction, Discipline, Jitter, Link, Loss, Order, Queue, Shape, Trace, TracePoint};
pub use matrix::matrix;
pub use program::{Completion, ExpectedExit, Program, Ready, Requirement};
pub use resolve::resolve;
pub use rings::{Key, Keys, Member, Queries, Ring, RingStep};

/// Everything one run does, with no default left open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this format; 1.
    pub schema: u32,
    /// Name of the topology.
    pub name: String,
    /// Master seed; every random choice of the run follows from it.
    pub seed: u64,
    /// Which engine shapes the links.
    pub engine: EngineChoice,
    /// The run is ended (exit code 3) when the scenario takes longer.
    pub timeout: Span,
    /// Every peer, in the order of the topology; ids count from 1 in this order.
    pub peers: Vec<Peer>,
    /// The classes of access links that peers refer to by name, in order of first use in the topology.
    pub links: Vec<Link>,
    /// One-way latency for each ordered pair of regions; pairs not listed have none.
    pub latencies: Vec<Latency>,
    /// Files the scenario distributes.
    pub files: Vec<File>,
    /// Circular DHTs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<Ring>,
    /// The scenario's steps in order.
    pub steps: Vec<Step>,
    /// Conditions on the results that decide pass or fail, as written.
    pub expectations: Vec<String>,
}

/// One peer: a process in a namespace of its own, behind one access link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Number of the peer in the plan, from 1.
    pub id: PeerId,
    /// `GROUP-N`, or `GROUP` where the group has one peer.
    pub name: String,
    /// The group it belongs to.
    pub group: String,
    /// Name of its class of link.
    pub link: String,
    /// Where it is, for latencies.
    pub region: Option<String>,
    /// Its address, from 198.18.0.0/15.
    pub address: Ipv4Addr,
    /// UDP port of its QUIC endpoint.
    pub port: u16,
    /// Seed of everything random inside this peer.
    pub seed: u64,
    /// Whether its process runs from the beginning, or only after `start` or `join`.
    pub present: bool,
    /// Its part in swarms, when it has one.
    pub swarm: Option<SwarmRole>,
    /// Set on a peer that tracks the swarms.
    pub tracker: Option<Tracker>,
    /// Set where the peer is a program of somebody else's; it has no part in swarms then and tracks none.
    pub exec: Option<Program>,
    /// Congestion controller of its QUIC connections.
    #[serde(default = "cubic")]
    pub congestion: Congestion,
}

fn cubic() -> Congestion {
    Congestion::Cubic
}

/// What a peer is in a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwarmRole {
    /// Has the whole file from the start.
    Seed,
    /// Wants the file.
    Leecher,
}

/// Options of a tracker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracker {
    /// Time between two announcements of one peer.
    pub interval: Span,
    /// Most peers handed out in one answer.
    pub answer_max: u32,
}

/// One-way latency from one region to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Region of the sender.
    pub from: String,
    /// Region of the receiver.
    pub to: String,
    /// One-way latency.
    pub delay: Span,
}

/// A file to distribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the topology.
    pub name: String,
    /// Where its bytes come from.
    pub content: Content,
    /// Size of a piece.
    pub piece: Size,
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Made from the seed: this many bytes of a fixed generator.
    Generated {
        /// Size in bytes.
        size: Size,
        /// Seed of the generator.
        seed: u64,
    },
    /// Read from a real file, relative to the topology file.
    Path(String),
}

/// One step of the scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it happens.
    pub when: When,
    /// What happens.
    pub action: Action,
}

/// When a step happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// This long after the scenario's start.
    At(Span),
    /// When the step with this index (from 0) has ended.
    AfterStep(usize),
    /// When this condition holds, such as `distribution.release.progress >= 50%`.
    Condition(String),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Spread a file.
    Distribute(Box<Distribute>),
    /// Bring up the processes of peers that are down; they take part in nothing yet.
    Start(Vec<PeerId>),
    /// Kill the processes of peers without warning.
    Crash(Vec<PeerId>),
    /// Ask peers to leave in good order.
    Leave(Vec<PeerId>),
    /// Bring up peers and let them enter every running distribution addressed to them, with what they have on disk.
    Join(Vec<PeerId>),
    /// Bring up peers one after another.
    Arrive(Arrivals),
    /// Let peers go and come back; who comes back enters as with `join`.
    Churn(Churn),
    /// Let time pass.
    Wait(Span),
    /// Wait until the programs of these peers have completed.
    Await(Vec<PeerId>),
    /// Do something with a ring.
    Ring(RingStep),
    /// Give links other figures, one entry for each class of link among the addressed peers.
    Link(Vec<LinkChange>),
    /// Cut sets of peers off from each other, without touching their links.
    Partition(Partition),
    /// End partitions.
    Heal {
        /// The one of this name; all that are in force where there is none.
        partition: Option<String>,
    },
    /// Stop the processes of peers where they are (SIGSTOP): they neither answer nor end.
    Pause(Vec<PeerId>),
    /// Let the processes of paused peers go on (SIGCONT).
    Resume(Vec<PeerId>),
}

impl Plan {
    /// The peer of this id.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<&Peer> {
        // Ids count from 1 in the order of the peers.
        let index = usize::try_from(id.0.checked_sub(1)?).ok()?;
        self.peers.get(index).filter(|peer| peer.id == id)
    }

    /// The class of the link that a peer has.
    #[must_use]
    pub fn link_of(&self, id: PeerId) -> Option<&Link> {
        let peer = self.peer(id)?;
        self.links.iter().find(|link| link.name == peer.link)
    }
}

impl Action {
    /// The distribution that this step begins.
    #[must_use]
    pub fn distribute(&self) -> Option<&Distribute> {
        if let Self::Distribute(distribute) = self { Some(distribute) } else { None }
    }

    /// Who comes and goes in this step.
    #[must_use]
    pub fn churn(&self) -> Option<&Churn> {
        if let Self::Churn(churn) = self { Some(churn) } else { None }
    }

    /// Whether this step lets `peer` enter running distributions.
    #[must_use]
    pub fn joins(&self, peer: PeerId) -> bool {
        matches!(self, Self::Join(peers) if peers.contains(&peer))
            || matches!(self, Self::Arrive(arrivals) if arrivals.joins(peer))
            || matches!(self, Self::Churn(churn) if churn.moves_peer(peer))
    }

    /// Whether this step sees to it that `peer` has a process.
    #[must_use]
    pub fn brings_up(&self, peer: PeerId) -> bool {
        if let Self::Start(peers) | Self::Join(peers) = self {
            return peers.contains(&peer);
        }
        if let Self::Arrive(arrivals) = self {
            return arrivals.peers.iter().any(|arrival| arrival.peer == peer);
        }
        self.distribute().is_some_and(|it| it.program.is_some() && it.to.contains(&peer))
    }
}

/// The distribution of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribute {
    /// Unique within the run: `d0`, `d1`, … in order of the scenario.
    pub id: String,
    /// The name expectations use; the file's name unless the topology gives another.
    pub name: String,
    /// Name of the file.
    pub file: String,
    /// Peers that have the file: seeds, or the one server.
    pub from: Vec<PeerId>,
    /// Peers that shall have it.
    pub to: Vec<PeerId>,
    /// How it is spread.
    pub via: Via,
    /// The tracker, for a swarm.
    pub tracker: Option<PeerId>,
    /// Behaviour of every participant, for a swarm.
    pub options: Option<swarm::Options>,
    /// What tables call the programs that spread the file, where it is not Peerbed's own peers that do; then there is
    /// no tracker of ours and there are no options, and `via` says which bound holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Participants that behave otherwise, for a swarm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
}

/// Behaviour of some participants that is not that of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Whose; all of one group.
    pub peers: Vec<PeerId>,
    /// All of their options.
    pub options: swarm::Options,
}

impl Distribute {
    /// How a participant of a swarm behaves.
    #[must_use]
    pub fn options_of(&self, peer: PeerId) -> swarm::Options {
        let exception = self.exceptions.iter().find(|exception| exception.peers.contains(&peer));
        exception.map(|exception| exception.options.clone()).or_else(|| self.options.clone()).unwrap_or_default()
    }

    /// Whether a participant misbehaves, on purpose. Nobody waits for it.
    #[must_use]
    pub fn is_hostile(&self, peer: PeerId) -> bool {
        self.via == Via::Swarm && self.options_of(peer).conduct != swarm::Conduct::Correct
    }

    /// Whether a participant gives nothing, on purpose.
    #[must_use]
    pub fn is_free_rider(&self, peer: PeerId) -> bool {
        self.via == Via::Swarm && self.options_of(peer).upload == swarm::Upload::Never
    }
}

/// How a file is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// Every peer exchanges pieces with its neighbours.
    Swarm,
    /// Every peer downloads the whole file from one server.
    ClientServer,
}

/// Which engine shapes the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// The kernel's queueing disciplines where they suffice, and our own queues otherwise.
    #[default]
    Auto,
    /// The kernel's queueing disciplines: htb, tbf, netem.
    Kernel,
    /// TUN devices and our own queues: what is lost is the same in every run.
    User,
}
