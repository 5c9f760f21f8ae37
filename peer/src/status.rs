//! What a peer answers to `GET /status`: a snapshot, shared with the orchestrator.
//!
//! Plain data; the peer and its drivers fill it in.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ring_control::RingStatus;

/// A peer at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When the snapshot was taken, in seconds of CLOCK_MONOTONIC.
    pub t: f64,
    /// Its name in the plan.
    pub name: String,
    /// Its number in the plan.
    pub id: u32,
    /// Whether it takes commands or is on its way out.
    pub state: PeerState,
    /// Address of its QUIC endpoint.
    pub listen: SocketAddr,
    /// Resident memory of the process in bytes.
    pub resident_bytes: u64,
    /// Most resident memory since the process began, in bytes.
    #[serde(default)]
    pub resident_peak_bytes: u64,
    /// Open QUIC connections of all protocols.
    pub connections: u32,
    /// Datagrams dropped because the socket's receive buffer was full: this host, not the links, lost them.
    pub receive_dropped: u64,
    /// What it takes part in, by the distribution's id.
    pub distributions: BTreeMap<String, DistributionStatus>,
    /// The ring it is in, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<RingStatus>,
}

/// State of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerState {
    /// Takes commands.
    Ready,
    /// Has begun to leave.
    Leaving,
}

/// One distribution at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistributionStatus {
    /// `seed`, `leecher`, `server` or `client`.
    pub role: String,
    /// How far it is.
    pub state: DistributionState,
    /// Pieces verified and on disk.
    pub have: u32,
    /// Pieces of the file.
    pub pieces: u32,
    /// Payload bytes received and verified.
    pub bytes_down: u64,
    /// Payload bytes sent and acknowledged.
    pub bytes_up: u64,
    /// Payload bytes received for nothing: duplicates and leaves that failed their hash.
    pub bytes_wasted: u64,
    /// Connected neighbours (for a server: clients; for a client: 1 while connected).
    pub neighbours: u32,
    /// Neighbours that may request from us.
    pub unchoked: u32,
    /// When it began, in seconds of CLOCK_MONOTONIC.
    pub begun_at: Option<f64>,
    /// When the whole file was verified under its final name, in seconds of CLOCK_MONOTONIC. None for seed and server.
    pub completed_at: Option<f64>,
    /// Where the time of the peer's uplink went since the begin; none before it, for servers and clients, and where the
    /// uplink's rate is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<UplinkUse>,
    /// What came from each neighbour, past ones included, by its number in the plan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub received: BTreeMap<u32, ReceivedBytes>,
}

/// Where the time of an uplink went. Bytes at the uplink's rate and both idle times add up to `seconds`.
///
/// The uplink is that of the whole process: what other distributions send at the same time counts too.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UplinkUse {
    /// Nominal rate in bits per second.
    pub rate_bps: u64,
    /// Time since the begin, in seconds.
    pub seconds: f64,
    /// Bytes that left: whole IP packets and the link's overhead for each.
    pub wire_bytes: u64,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Bytes of packets of this distribution that were declared lost and had to be sent again.
    pub lost_bytes: u64,
    /// Time idle while a neighbour that may request waited for something, in seconds.
    pub idle_waiting_seconds: f64,
    /// Time idle while nobody that may request wanted anything, in seconds.
    pub idle_seconds: f64,
}

/// What came from one neighbour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedBytes {
    /// Payload bytes that were new and passed their hash.
    pub useful: u64,
    /// Payload bytes received in vain.
    pub wasted: u64,
}

/// How far a distribution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistributionState {
    /// Opens its files and verifies what is on disk.
    Preparing,
    /// Ready to begin.
    Prepared,
    /// Begun; this peer misses pieces.
    Running,
    /// Begun; this peer has everything, and serves it unless it is a client.
    Complete,
}
