//! The swarm core: one peer's part in distributing one content.
//!
//! Words: a *neighbour* is a connected peer. A *run* is some consecutive leaves of a piece; it is what one request asks
//! for and one stream carries. The piece is the unit of bitfield, have and rarest first, the leaf that of verification:
//! a leaf is passed on as soon as it is verified.

mod announce;
mod arrivals;
mod availability;
mod choke;
mod conduct;
mod conversation;
mod dialling;
mod downloads;
mod endgame;
mod exchange;
mod leaving;
mod message;
mod neighbour;
mod options;
mod output;
mod picker;
mod pieces;
mod rate;
mod requests;
mod run;
mod stats;
mod superseeding;
mod timer;
mod uploads;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use self::availability::Availability;
use self::choke::Occasion;
pub use self::conduct::Conduct;
use self::dialling::Candidates;
use self::leaving::Membership;
pub use self::message::{ANNOUNCED_MAX, LayerWish, Message};
use self::neighbour::Neighbour;
pub use self::options::{Choking, Endgame, Exchange, Leaving, Options, PieceChoice, Refill, Seeding, Ties, Upload};
pub use self::output::{Event, Output, Reason, ServeLayer};
use self::pieces::Pieces;
pub use self::run::{Run, RunHeader, RunPart, RunReader};
use self::stats::Senders;
pub use self::stats::{Received, Stats};
use self::superseeding::Mask;
use self::timer::{Timer, Timers};
use self::uploads::Path;
pub use self::uploads::RUNS_UNDER_WAY_MAX;
use crate::bits::PieceSet;
use crate::content::{ContentId, HashedLeaf, LeafHashes, Manifest};
use crate::hash::Hash;
use crate::id::PeerId;
use crate::random::Random;
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
    content: ContentId,
    options: Options,
    random: Random,
    pieces: Pieces,
    /// Counts exactly what greeted neighbours said they have.
    availability: Availability,
    /// At most `options.degree`.
    neighbours: BTreeMap<PeerId, Neighbour>,
    candidates: Candidates,
    /// The uplink to all neighbours together.
    uplink: Path,
    /// Counts runs begun, for taking turns.
    turn: u64,
    membership: Membership,
    /// Set in a super-seed that does not show everything yet.
    mask: Option<Mask>,
    /// Bytes uploaded when it got the last piece; none for a core that has not, or that began with everything.
    completed_after: Option<u64>,
    timers: Timers,
    /// Neighbours that may have room for requests. Empty between inputs.
    hungry: BTreeSet<PeerId>,
    /// Neighbours that our interest may have changed in. Empty between inputs.
    look_again: BTreeSet<PeerId>,
    /// Whether slots may have become free or wanted. False between inputs.
    slots_changed: bool,
    outputs: VecDeque<Output>,
    stats: Stats,
    received: Senders,
}

impl Swarm {
    /// Joins a swarm with the pieces already on disk. `seed` is the run's seed; what is random in this core depends on
    /// it, the content and `me`.
    ///
    /// # Panics
    /// When `have` is not a set of the manifest's pieces.
    #[must_use]
    pub fn new(me: PeerId, manifest: Arc<Manifest>, have: PieceSet, options: Options, seed: u64, now: Time) -> Self {
        assert_eq!(have.len(), manifest.pieces(), "`have` must be a set of the manifest's pieces");
        let content = manifest.id();
        let options = options.within_limits();
        let mut random = Random::new(seed, &format!("swarm {} {me}", content.0));
        let mut timers = Timers::default();
        // Peers that start together shall not rank together: that makes waves.
        let phase = 0.5 + 0.5 * random.fraction();
        timers.set(Timer::ChokeRound, now + options.choke_interval.mul_f64(phase));
        timers.set(Timer::Optimistic, now + options.optimistic_interval.mul_f64(phase));
        let hides = options.seeding == Seeding::SuperSeeding && have.is_full();
        let mask = hides.then(|| Mask::new(&manifest));
        Self {
            me,
            content,
            random,
            availability: Availability::new(&have),
            pieces: Pieces::new(Arc::clone(&manifest), have),
            manifest,
            options,
            neighbours: BTreeMap::new(),
            candidates: Candidates::default(),
            uplink: Path::new(),
            turn: 0,
            membership: Membership::Staying,
            mask,
            completed_after: None,
            timers,
            hungry: BTreeSet::new(),
            look_again: BTreeSet::new(),
            slots_changed: false,
            outputs: VecDeque::new(),
            stats: Stats::default(),
            received: Senders::default(),
        }
    }

    /// Peers the tracker named. The core decides whom to dial and remembers some of the others.
    pub fn handle_neighbours(&mut self, now: Time, peers: &[PeerId]) {
        self.on_candidates(now, peers);
    }

    /// A connection to a peer stands, whoever opened it. A connection that replaces an older one to the same peer is
    /// reported after `handle_disconnected`.
    pub fn handle_connected(&mut self, now: Time, peer: PeerId) {
        self.on_connected(now, peer);
        self.settle(now);
    }

    /// The connection to a peer is gone.
    pub fn handle_disconnected(&mut self, now: Time, peer: PeerId) {
        if let Some(since) = self.forget(peer) {
            self.on_lost(now, peer, since);
        }
        self.settle(now);
    }

    /// [`Output::Dial`] did not lead to a connection.
    pub fn handle_dial_failed(&mut self, now: Time, peer: PeerId) {
        self.on_dial_failed(now, peer);
    }

    /// A message came on a neighbour's control stream.
    pub fn handle_message(&mut self, now: Time, peer: PeerId, message: Message) {
        self.on_message(now, peer, message);
        self.settle(now);
    }

    /// Leaf hashes came on a run stream.
    pub fn handle_layer(&mut self, now: Time, peer: PeerId, piece: u32, layer: &[Hash]) {
        self.on_layer(now, peer, piece, layer);
        self.settle(now);
    }

    /// A leaf came on a run stream, in stream order. Bytes are hashed here, unless the driver has done that already.
    pub fn handle_leaf(&mut self, now: Time, peer: PeerId, piece: u32, leaf: u16, data: impl Into<HashedLeaf>) {
        if self.neighbours.contains_key(&peer) {
            self.on_leaf(now, peer, piece, leaf, data.into());
            self.settle(now);
        }
    }

    /// A run stream was reset by the neighbour or ended before its last leaf.
    pub fn handle_run_refused(&mut self, now: Time, peer: PeerId, run: Run) {
        self.on_refused(now, peer, run);
        self.settle(now);
    }

    /// The transport saw the whole of a served run acknowledged; `bytes` is its payload.
    pub fn handle_run_sent(&mut self, now: Time, peer: PeerId, run: Run, bytes: u64) {
        self.on_run_ended(now, peer, run, Some(bytes));
        self.settle(now);
    }

    /// A served run ended early: the neighbour stopped the stream, or the leaves could not be read.
    pub fn handle_run_stopped(&mut self, now: Time, peer: PeerId, run: Run) {
        self.on_run_ended(now, peer, run, None);
        self.settle(now);
    }

    /// The driver computed the leaf hashes that [`ServeLayer::Compute`] asked for.
    pub fn handle_layer_computed(&mut self, piece: u32, layer: Arc<LeafHashes>) {
        self.pieces.keep_layer(piece, layer);
    }

    /// A neighbour sent what could not be decoded: a bad frame, a frame over [`Message::FRAME_MAX`], a bad run stream,
    /// a stream of a kind that does not exist. It is dropped.
    pub fn handle_violation(&mut self, now: Time, peer: PeerId) {
        self.drop_peer(now, peer, Reason::Undecodable);
        self.settle(now);
    }

    /// The transport's current round-trip time to a neighbour. Optional; refines how much is requested ahead.
    pub fn handle_round_trip(&mut self, peer: PeerId, round_trip: Duration) {
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.downloads.round_trip = round_trip.min(ROUND_TRIP_MAX);
        }
    }

    /// Leave the swarm: nothing new is begun, what is being sent is finished, then [`Event::Left`].
    pub fn handle_leave(&mut self, now: Time) {
        self.on_leave(now);
        self.settle(now);
    }

    /// The deadline of [`Swarm::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::ChokeRound => self.choke_round(now),
                Timer::Optimistic => self.optimistic_round(now),
                Timer::Announce => self.announce_due(now),
                Timer::Snub => self.look_for_snubs(now),
                Timer::IdleSlot => self.replace_idle(now),
                Timer::Steal => self.everybody_hungry(),
                Timer::Dull => self.look_at_dull(),
                Timer::Dial => self.dial(now),
                Timer::Unmask => self.unmask_if_stuck(now),
                Timer::Exchange => self.introduce(now),
                Timer::Leave => self.stop_waiting(),
            }
        }
        self.settle(now);
    }

    /// Takes the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The earliest deadline, and what it is for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.timers.earliest()
    }

    /// What this core has counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What came from each peer so far, by number.
    pub fn received(&self) -> impl Iterator<Item = (PeerId, Received)> + '_ {
        self.received.iter()
    }

    /// Whether a neighbour that may request waits for a run that is not begun.
    #[must_use]
    pub fn has_requests_waiting(&self) -> bool {
        self.neighbours.values().any(|neighbour| neighbour.uploads.queued() > 0)
    }

    /// Whether a run is on its way to a neighbour.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.neighbours.values().any(|neighbour| neighbour.uploads.under_way() > 0)
    }

    /// How much of the content is there.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            pieces: self.pieces.have.count(),
            pieces_total: self.manifest.pieces(),
            bytes: self.pieces.bytes,
            bytes_total: self.manifest.size(),
        }
    }

    /// Whether the whole content is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.pieces.have.is_full()
    }

    /// The whole pieces that are there.
    #[must_use]
    pub fn have(&self) -> &PieceSet {
        &self.pieces.have
    }

    /// The content's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The neighbours as they stand, by number.
    pub fn neighbours(&self, now: Time) -> impl Iterator<Item = NeighbourView> + '_ {
        self.neighbours.iter().map(move |(&peer, neighbour)| NeighbourView {
            peer,
            unchoked: neighbour.is_unchoked(),
            unchoked_us: neighbour.unchoked_us,
            interested: neighbour.interested,
            interesting: neighbour.interesting,
            snubbed: neighbour.downloads.snubbed,
            pieces: neighbour.have.count(),
            requested: neighbour.downloads.waiting_for().count(),
            queued: neighbour.uploads.queued(),
            serving: neighbour.uploads.under_way(),
            download_rate: neighbour.downloads.merit(now),
            upload_rate: neighbour.uploads.rate(now),
        })
    }

    /// Draws the conclusions of an input: interest, slots, requests, runs, news, in this order.
    fn settle(&mut self, now: Time) {
        self.leave_when_done(now);
        self.update_interest(now);
        if std::mem::take(&mut self.slots_changed) {
            self.fill_slots(now, Occasion::Event);
            self.slots_changed = false;
        }
        self.request_all(now);
        self.serve(now);
        if self.timers.is_due(Timer::Announce, now) {
            self.timers.stop(Timer::Announce);
            self.announce_due(now);
        }
        self.leave_if_idle();
    }

    fn send(&mut self, peer: PeerId, message: Message) {
        self.outputs.push_back(Output::Message { peer, message });
    }

    /// Drops a neighbour for an offence.
    fn drop_peer(&mut self, now: Time, peer: PeerId, reason: Reason) {
        if !self.neighbours.contains_key(&peer) {
            return;
        }
        self.stats.peers_dropped += 1;
        self.ban(peer);
        self.hang_up(peer, reason);
        self.outputs.push_back(Output::Event(Event::PeerDropped { peer, reason }));
        self.dial(now);
    }

    fn hang_up(&mut self, peer: PeerId, reason: Reason) {
        if self.forget(peer).is_some() {
            self.outputs.push_back(Output::Hangup { peer, reason });
        }
    }

    /// Removes a neighbour and everything that hangs on it; returns since when it was there.
    fn forget(&mut self, peer: PeerId) -> Option<Time> {
        self.release_all(peer);
        self.hide_again(peer);
        let neighbour = self.neighbours.remove(&peer)?;
        self.uncount(&neighbour.have, &neighbour.partial);
        self.stats.runs_stopped += neighbour.uploads.under_way() as u64;
        self.hungry.remove(&peer);
        self.look_again.remove(&peer);
        self.slots_changed = true;
        Some(neighbour.since)
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
    /// Runs we wait for.
    pub requested: usize,
    /// Runs it waits for that are not begun.
    pub queued: usize,
    /// Runs on their way to it.
    pub serving: usize,
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

/// Longer round trips are not believed.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
