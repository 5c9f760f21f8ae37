//! What a simulated wire costs, and what came of a simulated swarm.

use std::time::Duration;

use crate::hash::Hash;

/// What the wire costs beyond payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Bytes on the wire per byte of leaf data, at least 1.
    pub bulk: f64,
    /// Bytes on the wire beyond its own for every batch of control messages to one neighbour.
    pub control: u64,
    /// Bytes the receiver sends back for every byte of leaf data, as acknowledgements.
    pub acknowledgement: f64,
    /// How long a receiver holds an acknowledgement back.
    pub ack_delay: Duration,
}

impl Costs {
    /// Payload and control messages only, as in the fluid models.
    pub const NONE: Costs = Costs { bulk: 1.0, control: 0, acknowledgement: 0.0, ack_delay: Duration::ZERO };
    /// About what QUIC over IPv4 with 1 452-byte datagrams costs: 4.5 % on bulk data, 60 bytes for a packet of control
    /// messages, an acknowledgement of 70 bytes per ten packets.
    pub const QUIC: Costs = Costs { bulk: 1.045, control: 60, acknowledgement: 0.005, ..Costs::NONE };

    /// The same with acknowledgements held back as long as this peer's QUIC does at most: runs are confirmed late.
    pub const LATE: Costs = Costs { ack_delay: Duration::from_millis(50), ..Costs::QUIC };
}

/// What came of a simulated swarm.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// When each peer became complete, in seconds since the start; `None` for those that did not, or were from the start.
    pub completed: Vec<Option<f64>>,
    /// Share of the time up to the last completion that each uplink was in use.
    pub uplink_use: Vec<f64>,
    /// Payload received in vain, by all peers, in bytes.
    pub wasted: u64,
    /// Payload received, by all peers, in bytes.
    pub downloaded: u64,
    /// Payload that had come from the seeds when the others together had everything, as a multiple of the content.
    pub second_copy: Option<f64>,
    /// SHA-256 over everything the cores put out, and when.
    pub log: Hash,
}

impl Figures {
    /// When the last peer became complete, in seconds since the start.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.completed.iter().flatten().copied().max_by(f64::total_cmp)
    }
}
