//! What the scenario does to links in a plan: new figures, and partitions.
//!
//! Carrying it out lives in the testbed.

use peerbed_proto::id::PeerId;
use serde::{Deserialize, Serialize};

use super::{Discipline, Jitter, Loss, Queue};
use crate::units::{Rate, Share, Span};

/// A change of the links of peers that share a class of link.
///
/// Figures that were changed before and are not mentioned stay as they were changed, unless [`reset`](Self::reset).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkChange {
    /// Whose links.
    pub peers: Vec<PeerId>,
    /// First, everything that earlier steps changed goes back to what the class says, its trace included.
    pub reset: bool,
    /// From the peer to the core.
    pub up: Changes,
    /// From the core to the peer.
    pub down: Changes,
}

/// New figures of one direction. All are absolute: what the topology wrote as relative was resolved against the class.
///
/// Without any figure nothing changes. A changed rate, delay or loss is no longer the trace's, until a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Whether anything gets through at all; a link that is down loses every packet and keeps its other figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LinkState>,
    /// The rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NewRate>,
    /// Bytes of framing per packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<u32>,
    /// The delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// The jitter, with shape and order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
    /// The loss, with its bursts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// The share of packets that overtake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Share>,
    /// The share of packets delivered twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Share>,
    /// The share of packets in which one bit is flipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Share>,
    /// The queue's length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Which packets the queue drops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discipline: Option<Discipline>,
}

/// A new rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewRate {
    /// This one.
    Limited(Rate),
    /// None: whatever comes goes through.
    Unshaped,
}

/// Whether a link lets anything through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// It does what its figures say.
    Up,
    /// It loses every packet.
    Down,
}

/// Sets of peers cut off from each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Unique within the run: the topology's name for it, or `p0`, `p1`, … in order of the scenario.
    pub name: String,
    /// At least two sets without a common peer. Peers in none of them reach everybody.
    pub sides: Vec<Vec<PeerId>>,
    /// Which way is cut.
    pub direction: CutDirection,
}

/// Which way a partition cuts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutDirection {
    /// No packet gets from any side to any other.
    #[default]
    Both,
    /// Packets from the first side to the second are lost, and those of the other way arrive. There are two sides.
    OneWay,
}
