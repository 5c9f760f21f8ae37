//! The swarm core: one peer's part in distributing one content.
//!
//! Words: a *neighbour* is a connected peer. A *run* is some consecutive leaves of a piece; it is what one request asks
//! for and one stream carries. The piece is the unit of bitfield, have and rarest first, the leaf that of verification:
//! a leaf is passed on as soon as it is verified.

mod message;
mod options;
mod output;
mod run;
mod stats;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

pub use self::message::{ANNOUNCED_MAX, LayerWish, Message};
pub use self::options::{Options, Refill};
pub use self::output::{Event, Output, Reason, ServeLayer};
pub use self::run::{Run, RunHeader, RunPart, RunReader};
pub use self::stats::Stats;
use crate::bits::PieceSet;
use crate::content::{LeafHashes, Manifest};
use crate::hash::Hash;
use crate::id::PeerId;
use crate::time::Time;

/// One peer's state in one swarm, free of I/O.
///
/// The driver calls the `handle_*` methods as things happen, takes [`Swarm::poll_output`] until it is empty after each,
/// and calls [`Swarm::handle_timeout`] when the deadline of [`Swarm::poll_timeout`] has come. A neighbour's life is
/// `handle_connected`, messages and leaves, then `handle_disconnected` or [`Output::Hangup`], whichever comes first.
/// Calls about peers that are no neighbours (any more) are ignored.
#[derive(Debug)]
pub struct Swarm {
    me: PeerId,
    manifest: Arc<Manifest>,
    have: PieceSet,
    options: Options,
    stats: Stats,
    outputs: VecDeque<Output>,
}

impl Swarm {
    /// Joins a swarm with the pieces already on disk. `seed` is the run's seed; what is random in this core depends on
    /// it, the content and `me`.
    #[must_use]
    pub fn new(me: PeerId, manifest: Arc<Manifest>, have: PieceSet, options: Options, seed: u64, now: Time) -> Self {
        let _ = (seed, now);
        Self { me, manifest, have, options, stats: Stats::default(), outputs: VecDeque::new() }
    }

    /// Peers the tracker named. The core decides whom to dial and remembers some of the others.
    pub fn handle_neighbours(&mut self, now: Time, peers: &[PeerId]) {
        let _ = (now, peers);
    }

    /// A connection to a peer stands, whoever opened it.
    pub fn handle_connected(&mut self, now: Time, peer: PeerId) {
        let _ = (now, peer);
    }

    /// The connection to a peer is gone.
    pub fn handle_disconnected(&mut self, now: Time, peer: PeerId) {
        let _ = (now, peer);
    }

    /// [`Output::Dial`] did not lead to a connection.
    pub fn handle_dial_failed(&mut self, now: Time, peer: PeerId) {
        let _ = (now, peer);
    }

    /// A message came on a neighbour's control stream.
    pub fn handle_message(&mut self, now: Time, peer: PeerId, message: Message) {
        let _ = (now, peer, message);
    }

    /// Leaf hashes came on a run stream.
    pub fn handle_layer(&mut self, now: Time, peer: PeerId, piece: u32, layer: &[Hash]) {
        let _ = (now, peer, piece, layer);
    }

    /// A leaf came on a run stream, in stream order.
    pub fn handle_leaf(&mut self, now: Time, peer: PeerId, piece: u32, leaf: u16, data: Bytes) {
        let _ = (now, peer, piece, leaf, data);
    }

    /// A run stream was reset by the neighbour or ended before its last leaf.
    pub fn handle_run_refused(&mut self, now: Time, peer: PeerId, run: Run) {
        let _ = (now, peer, run);
    }

    /// The transport saw the whole of a served run acknowledged; `bytes` is its payload.
    pub fn handle_run_sent(&mut self, now: Time, peer: PeerId, run: Run, bytes: u64) {
        let _ = (now, peer, run, bytes);
    }

    /// A served run ended early: the neighbour stopped the stream, or the leaves could not be read.
    pub fn handle_run_stopped(&mut self, now: Time, peer: PeerId, run: Run) {
        let _ = (now, peer, run);
    }

    /// The driver computed the leaf hashes that [`ServeLayer::Compute`] asked for.
    pub fn handle_layer_computed(&mut self, piece: u32, layer: Arc<LeafHashes>) {
        let _ = (piece, layer);
    }

    /// A neighbour sent what could not be decoded: a bad frame, a frame over [`Message::FRAME_MAX`], a bad run stream,
    /// a stream of a kind that does not exist. It is dropped.
    pub fn handle_violation(&mut self, now: Time, peer: PeerId) {
        let _ = (now, peer);
    }

    /// The transport's current round-trip time to a neighbour changed. Optional; refines how much is requested ahead.
    pub fn handle_round_trip(&mut self, now: Time, peer: PeerId, round_trip: std::time::Duration) {
        let _ = (now, peer, round_trip);
    }

    /// Leave the swarm: nothing new is begun, what is being sent is finished, then [`Event::Left`].
    pub fn handle_leave(&mut self, now: Time) {
        let _ = now;
    }

    /// The deadline of [`Swarm::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        let _ = now;
    }

    /// Takes the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The earliest deadline, and what it is for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        None
    }

    /// What this core has counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How much of the content is there.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::default()
    }

    /// Whether the whole content is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// The content's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The neighbours as they stand, by number.
    pub fn neighbours(&self) -> impl Iterator<Item = NeighbourView> + '_ {
        let _ = (self.me, &self.options);
        std::iter::empty()
    }
}

/// How much of the content a peer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whole pieces.
    pub pieces: u32,
    /// Pieces of the content.
    pub pieces_total: u32,
    /// Verified bytes, those of unfinished pieces included.
    pub bytes: u64,
    /// Bytes of the content.
    pub bytes_total: u64,
}

/// What can be told about a neighbour at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeighbourView {
    /// Who.
    pub peer: PeerId,
    /// Whether we let it request.
    pub unchoked: bool,
    /// Whether it lets us request.
    pub unchoked_us: bool,
    /// Whether it wants something we have.
    pub interested: bool,
    /// Whether we want something it has.
    pub interesting: bool,
    /// Whether it is snubbed.
    pub snubbed: bool,
    /// Whole pieces it has.
    pub pieces: u32,
    /// Payload bytes per second we get from it, over the ranking window.
    pub download_rate: f64,
    /// Payload bytes per second it gets from us, over the ranking window.
    pub upload_rate: f64,
}

/// Which of two connections between the same two peers stays when both dialled at once.
///
/// Both sides keep the one dialled by the smaller number, and close the other without telling the core.
#[must_use]
pub fn dialler_to_keep(one: PeerId, other: PeerId) -> PeerId {
    one.min(other)
}
