//! Links in a plan: what each direction does to packets, and how that changes over time by itself.
//!
//! What an engine makes of the figures lives in `links/`; what the scenario changes, in `faults`.

use serde::{Deserialize, Serialize};

use crate::units::{Rate, Share, Size, Span};

/// One class of access links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The class's name in the topology.
    pub name: String,
    /// From the peer to the core.
    pub up: Direction,
    /// From the core to the peer.
    pub down: Direction,
}

/// One direction of a link. Every figure is one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Direction {
    /// Rate over whole IP packets and their [`overhead`](Self::overhead); none means unshaped.
    pub rate: Option<Rate>,
    /// Bytes that every packet takes at the rate beside its own: the framing of the layers below IP. The queue's length
    /// does not count them.
    pub overhead: u32,
    /// Time added to every packet.
    pub delay: Span,
    /// Variation of the delay.
    pub jitter: Jitter,
    /// Share of packets lost.
    pub loss: Loss,
    /// Share of packets that overtake their predecessors.
    pub reorder: Share,
    /// Share of packets delivered twice.
    pub duplicate: Share,
    /// Share of packets in which one bit is flipped.
    pub corrupt: Share,
    /// How much may wait at the rate's bottleneck before packets are dropped.
    pub queue: Queue,
    /// Which packets a long queue drops.
    pub discipline: Discipline,
    /// How rate, delay and loss change while the scenario plays; none where they stay.
    pub trace: Option<Trace>,
}

/// Variation of a delay around its mean. A delay never becomes negative, whatever is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Half the width of [`Shape::Uniform`], one standard deviation of the other shapes; zero means none.
    pub amount: Span,
    /// How the variation is distributed.
    pub shape: Shape,
    /// Whether packets may overtake each other by it.
    pub order: Order,
}

/// How jitter is distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Every delay from `delay - amount` to `delay + amount` is equally likely; what netem does without a table.
    #[default]
    Uniform,
    /// The normal distribution.
    Normal,
    /// Pareto's distribution with shape 3, moved to mean zero: rarely, packets are very late.
    Pareto,
}

/// What becomes of the order of packets whose delays vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Packets overtake each other; what netem does.
    #[default]
    Free,
    /// A packet never arrives before its predecessor: it waits for it.
    Kept,
}

/// Which packets a queue drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discipline {
    /// Those that find it full.
    #[default]
    DropTail,
    /// Those at its head when the queue has been standing (RFC 8289), beside those that find it full.
    CoDel {
        /// Waiting time that is acceptable as a standing queue.
        target: Span,
        /// How long the waiting time may stay above the target.
        interval: Span,
    },
}

/// A direction's figures over time, counted from the start of the scenario.
///
/// Before the first point, and for what a point leaves open, the direction's own figures hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The points begin anew after this time, which is later than the last of them; without it the last one stays.
    pub repeat: Option<Span>,
    /// In order of time, each later than the one before; at least one.
    pub points: Vec<TracePoint>,
}

/// What holds from one moment on, until the next point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracePoint {
    /// When, since the start of the scenario or of the repetition.
    pub at: Span,
    /// The rate; zero lets nothing out.
    pub rate: Rate,
    /// The delay; none for the direction's own.
    pub delay: Option<Span>,
    /// Long-run share of packets lost; none for the direction's own. The length of bursts stays the direction's.
    pub loss: Option<Share>,
}

/// How packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Long-run share of packets lost.
    pub average: Share,
    /// Mean number of packets lost in a row; 1 means independent losses (Gilbert–Elliott otherwise).
    pub burst: u32,
}

/// The bottleneck's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Queue {
    /// As long as the link needs this much time to send it.
    Time(Span),
    /// Bytes, counted over whole IP packets.
    Bytes(Size),
    /// Full-sized packets.
    Packets(u32),
}
