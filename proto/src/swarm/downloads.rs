//! Fetching: which runs are asked of whom, what comes of them, and leaves taken from slow neighbours in the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::announce::Novelty;
use super::neighbour::Neighbour;
use super::options::Options;
use super::picker::{Limits, pick};
use super::pieces::{InProgress, Spread, Stored};
use super::rate::RateMeter;
use super::run::Run;
use super::timer::Timer;
use super::{Event, LayerWish, Message, Output, Reason, Swarm};
use crate::content::{LEAF, LeafHashes};
use crate::hash::Hash;
use crate::id::PeerId;
use crate::time::Time;

/// What we fetch from one neighbour.
#[derive(Debug)]
pub(super) struct Downloads {
    /// Runs asked for, in that order; at most [`RUNS_QUEUED_MAX`].
    requested: VecDeque<Requested>,
    /// Payload of `requested` that has not come, in bytes.
    pending: u64,
    /// When it last sent what we asked for, or got a request while it had none.
    heard: Time,
    /// Whether it kept us waiting too long and has sent nothing since.
    pub(super) snubbed: bool,
    /// Over the ranking's window.
    ranking: RateMeter,
    /// Over a short window, for how much to ask for.
    recent: RateMeter,
    /// Known to the transport; zero until told.
    pub(super) round_trip: Duration,
    /// How much it shall have queued, in bytes; follows how long requests take.
    depth: u64,
    /// The shortest time from request to answer.
    shortest: Duration,
    /// Leaves we gave up on that may still come.
    forgiven: u32,
    /// Leaves nobody asked for, beyond the forgiven ones.
    unsolicited: u32,
    /// Runs it refused although it let us request, and silences, since it last sent something.
    broken: u32,
}

/// A run we wait for.
#[derive(Clone, Copy, Debug)]
struct Requested {
    run: Run,
    /// How many of its leaves have come; they come in order.
    got: u16,
    at: Time,
}

impl Downloads {
    pub(super) fn new(options: &Options, now: Time) -> Self {
        Self {
            requested: VecDeque::new(),
            pending: 0,
            heard: now,
            snubbed: false,
            ranking: RateMeter::new(options.rate_window),
            recent: RateMeter::new(RECENT),
            round_trip: Duration::ZERO,
            depth: 0,
            shortest: Duration::MAX,
            forgiven: 0,
            unsolicited: 0,
            broken: 0,
        }
    }

    /// Payload bytes per second over the ranking's window; nothing for a neighbour that snubs us.
    pub(super) fn merit(&self, now: Time) -> f64 {
        if self.snubbed { 0.0 } else { self.ranking.rate(now) }
    }

    /// The runs we wait for, for tests and invariants.
    pub(super) fn waiting_for(&self) -> impl Iterator<Item = Run> + '_ {
        self.requested.iter().map(|requested| requested.run)
    }

    /// How many leaves the next run may have: what comes in the run length of the options.
    fn leaves_per_run(&self, options: &Options, now: Time) -> u16 {
        let bytes = self.recent.rate(now) * options.run_length.as_secs_f64();
        ((bytes / f64::from(LEAF)) as u16).max(1)
    }

    /// Whether it shall be asked for more.
    fn has_room(&self) -> bool {
        let runs = if self.snubbed { 1 } else { RUNS_AHEAD };
        if self.requested.len() < runs {
            return true;
        }
        !self.snubbed && self.requested.len() < RUNS_QUEUED_MAX && self.pending < self.depth
    }

    /// Learns from an answer: asks for more ahead while answers come soon, for less when they take long.
    ///
    /// In balance the queue at the neighbour lasts one round trip and the pipeline time of the options, whatever its rate,
    /// and a neighbour that serves us in turns finds enough requests when our turn comes.
    fn learn(&mut self, took: Duration, bytes: u64, options: &Options) {
        self.shortest = self.shortest.min(took);
        let wanted = self.shortest.max(self.round_trip) + options.pipeline;
        if took < wanted {
            self.depth = (self.depth + bytes).min(PENDING_MAX);
        } else if took > wanted * 2 {
            self.depth = self.depth.saturating_sub(bytes);
        }
    }

    /// When a run asked of it should be complete: what is before it in its queue, at its rate; later when it has been
    /// silent for longer than that.
    fn expected(&self, run_end: u64, now: Time) -> Duration {
        let silent = now - self.heard;
        let rate = self.recent.rate(now);
        if rate <= 0.0 {
            return silent.max(UNKNOWN_WAIT);
        }
        let all = Duration::from_secs_f64((run_end as f64 / rate).min(3_600.0));
        all.saturating_sub(silent).max(silent.saturating_sub(all)).max(self.round_trip)
    }
}

impl Swarm {
    /// Asks neighbours that let us request for as much as they shall have queued.
    pub(super) fn request_all(&mut self, now: Time) {
        if self.is_complete() || self.is_leaving() {
            self.hungry.clear();
            return;
        }
        while !self.hungry.is_empty() {
            // A neighbour that snubs us chooses from what the others leave.
            let hungry = std::mem::take(&mut self.hungry);
            let snubs = |peer: &PeerId| self.neighbours.get(peer).is_some_and(|neighbour| neighbour.downloads.snubbed);
            let (last, first): (Vec<PeerId>, Vec<PeerId>) = hungry.into_iter().partition(snubs);
            first.into_iter().chain(last).for_each(|peer| self.request(now, peer));
        }
    }

    fn request(&mut self, now: Time, peer: PeerId) {
        while let Some(neighbour) = self.neighbours.get(&peer) {
            if !neighbour.unchoked_us || !neighbour.downloads.has_room() {
                return;
            }
            let limits = Limits {
                leaves_max: neighbour.downloads.leaves_per_run(&self.options, now),
                begun_max: usize::from(self.options.pieces_in_progress),
            };
            let run = pick(&self.pieces, &self.availability, neighbour, limits, &mut self.random);
            let Some(run) = run else {
                self.steal(now, peer);
                return;
            };
            self.ask(now, peer, run);
        }
    }

    fn ask(&mut self, now: Time, peer: PeerId, run: Run) {
        if !self.pieces.progress.contains_key(&run.piece) {
            self.begin_piece(run.piece);
        }
        let progress = self.pieces.begin(run.piece);
        run.leaves().for_each(|leaf| progress.ask(leaf));
        let layer = if progress.layer.is_some() { LayerWish::Omit } else { LayerWish::Send };
        let bytes = run.bytes(&self.manifest);
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let downloads = &mut neighbour.downloads;
        if downloads.requested.is_empty() {
            downloads.heard = now;
            self.timers.set_earlier(Timer::Snub, now + self.options.snub_after);
        }
        downloads.requested.push_back(Requested { run, got: 0, at: now });
        downloads.pending += bytes;
        self.stats.requests_sent += 1;
        self.send(peer, Message::Request { run, layer });
    }

    pub(super) fn begin_piece(&mut self, piece: u32) {
        self.availability.begin(piece);
        let progress = self.pieces.begin(piece);
        for leaves in self.neighbours.values().filter_map(|neighbour| neighbour.partial.get(&piece)) {
            progress.spread(leaves, Spread::More);
        }
    }

    /// Takes a leaf that is asked of a slower neighbour, if this one would bring it much sooner.
    fn steal(&mut self, now: Time, thief: PeerId) {
        let neighbour = &self.neighbours[&thief];
        if !neighbour.downloads.requested.is_empty() || neighbour.downloads.snubbed {
            return;
        }
        let own = self.expected_of(neighbour, now);
        let mut best: Option<(Duration, Run)> = None;
        let mut anything = false;
        for (_, victim) in self.neighbours.iter().filter(|(peer, _)| **peer != thief) {
            let mut end = 0;
            for requested in &victim.downloads.requested {
                anything = true;
                let run = requested.run;
                end += run.bytes(&self.manifest);
                let last = Run { first: run.leaves().end - 1, count: 1, ..run };
                let asked_once = self.pieces.progress.get(&run.piece).is_some_and(|progress| {
                    progress.asked[usize::from(last.first)] == 1 && !progress.have.contains(u32::from(last.first))
                });
                let wait = victim.downloads.expected(end, now);
                if asked_once
                    && wait > own * STEAL_RATIO
                    && now - requested.at > STEAL_AGE
                    && neighbour.has_leaf(run.piece, last.first)
                    && best.is_none_or(|(longest, _)| wait >= longest)
                {
                    best = Some((wait, last));
                }
            }
        }
        match best {
            Some((_, run)) => {
                self.stats.leaves_stolen += 1;
                self.ask(now, thief, run);
            }
            None if anything => self.timers.set_earlier(Timer::Steal, now + STEAL_AGAIN),
            None => {}
        }
    }

    /// How long a leaf asked of this neighbour now would take; that of an average one where nothing is known.
    fn expected_of(&self, neighbour: &Neighbour, now: Time) -> Duration {
        let own = neighbour.downloads.recent.rate(now);
        let rate = if own > 0.0 {
            own
        } else {
            let rates = self.neighbours.values().map(|neighbour| neighbour.downloads.recent.rate(now));
            let (sum, count) =
                rates.filter(|&rate| rate > 0.0).fold((0.0, 0), |(sum, count), rate| (sum + rate, count + 1));
            if count == 0 {
                return UNKNOWN_WAIT;
            }
            sum / f64::from(count)
        };
        neighbour.downloads.round_trip + Duration::from_secs_f64((f64::from(LEAF) / rate).min(3_600.0))
    }

    pub(super) fn on_layer(&mut self, now: Time, peer: PeerId, piece: u32, layer: &[Hash]) {
        let Some(progress) = self.pieces.progress.get_mut(&piece) else { return };
        if progress.layer.is_some() {
            return;
        }
        match LeafHashes::verify(&self.manifest, piece, layer) {
            Ok(layer) => progress.layer = Some(Arc::new(layer)),
            Err(_) => {
                self.stats.bad_layers += 1;
                self.drop_peer(now, peer, Reason::BadLayer);
            }
        }
    }

    pub(super) fn on_leaf(&mut self, now: Time, peer: PeerId, piece: u32, leaf: u16, data: Bytes) {
        let bytes = data.len() as u64;
        let solicited = self.take_solicited(now, peer, piece, leaf, bytes);
        let (known, verified) = match self.pieces.progress.get(&piece) {
            Some(progress) if progress.have.contains(u32::from(leaf)) => (true, false),
            Some(progress) => match &progress.layer {
                Some(layer) => (false, layer.verify_leaf(leaf, &data)),
                None if solicited => {
                    // It was asked for the layer and left it out.
                    self.stats.bad_layers += 1;
                    self.stats.wasted_bytes += bytes;
                    return self.drop_peer(now, peer, Reason::BadLayer);
                }
                None => (true, false),
            },
            None => (true, false),
        };
        if !solicited && self.is_unsolicited_too_often(now, peer) {
            self.stats.wasted_bytes += bytes;
            return;
        }
        if known {
            self.stats.wasted_bytes += bytes;
            self.stats.duplicate_leaves += u64::from(solicited);
        } else if verified {
            self.store(now, peer, piece, leaf, data);
        } else {
            self.stats.bad_leaves += 1;
            self.stats.wasted_bytes += bytes;
            self.drop_peer(now, peer, Reason::BadLeaf);
        }
    }

    /// Crosses a leaf off what the neighbour owes us; returns whether it did owe it.
    fn take_solicited(&mut self, now: Time, peer: PeerId, piece: u32, leaf: u16, bytes: u64) -> bool {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return false };
        self.hungry.insert(peer);
        let downloads = &mut neighbour.downloads;
        let owes = |requested: &Requested| requested.run.piece == piece && requested.run.first + requested.got == leaf;
        let Some(at) = downloads.requested.iter().position(owes) else { return false };
        let requested = &mut downloads.requested[at];
        requested.got += 1;
        let took = now - requested.at;
        if requested.got == requested.run.count {
            downloads.requested.remove(at);
        }
        downloads.pending = downloads.pending.saturating_sub(u64::from(self.manifest.leaf_len(piece, leaf)));
        downloads.learn(took, bytes, &self.options);
        downloads.ranking.add(now, bytes);
        downloads.recent.add(now, bytes);
        downloads.heard = now;
        downloads.snubbed = false;
        downloads.broken = 0;
        if let Some(progress) = self.pieces.progress.get_mut(&piece) {
            progress.release(leaf);
        }
        true
    }

    fn is_unsolicited_too_often(&mut self, now: Time, peer: PeerId) -> bool {
        self.stats.unsolicited_leaves += 1;
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return true };
        let downloads = &mut neighbour.downloads;
        if downloads.forgiven > 0 {
            downloads.forgiven -= 1;
            return false;
        }
        downloads.unsolicited += 1;
        if downloads.unsolicited < UNSOLICITED_MAX {
            return false;
        }
        self.drop_peer(now, peer, Reason::Unsolicited);
        true
    }

    fn store(&mut self, now: Time, from: PeerId, piece: u32, leaf: u16, data: Bytes) {
        let elsewhere = self.pieces.progress.get(&piece).is_some_and(|progress| progress.asked[usize::from(leaf)] > 0);
        self.stats.leaves += 1;
        self.stats.downloaded_bytes += data.len() as u64;
        self.outputs.push_back(Output::Store { piece, leaf, data });
        let stored = self.pieces.store(piece, leaf);
        if elsewhere {
            self.cancel_elsewhere(from, piece, leaf);
        }
        match stored {
            Stored::Known => {}
            Stored::Leaf => self.announce(now, piece, Novelty::Leaf),
            Stored::FirstLeaf => self.announce(now, piece, Novelty::Piece),
            Stored::Whole => self.on_whole(now, piece),
        }
        self.look_again.insert(from);
    }

    fn on_whole(&mut self, now: Time, piece: u32) {
        for neighbour in self.neighbours.values_mut().filter(|neighbour| neighbour.have.contains(piece)) {
            neighbour.useful -= 1;
        }
        self.announce(now, piece, Novelty::Piece);
        self.outputs.push_back(Output::Event(Event::PieceCompleted { piece }));
        if self.is_complete() {
            self.outputs.push_back(Output::Event(Event::Completed));
        }
    }

    /// A stolen leaf came: whoever else was asked for it need not send it.
    fn cancel_elsewhere(&mut self, from: PeerId, piece: u32, leaf: u16) {
        let mut cancelled = Vec::new();
        for (&peer, neighbour) in self.neighbours.iter().filter(|(peer, _)| **peer != from) {
            let runs = neighbour.downloads.requested.iter();
            let runs = runs.filter(|requested| requested.run.piece == piece && requested.run.leaves().contains(&leaf));
            cancelled.extend(runs.filter(|requested| self.pieces.has_run(requested.run)).map(|it| (peer, it.run)));
        }
        for (peer, run) in cancelled {
            self.cancel(peer, run);
            self.hungry.insert(peer);
        }
    }

    fn cancel(&mut self, peer: PeerId, run: Run) {
        if self.release(peer, run) == Released::Yes {
            self.stats.requests_cancelled += 1;
            self.send(peer, Message::Cancel { run });
            self.outputs.push_back(Output::StopReceiving { peer, run });
        }
    }

    /// Stops waiting for a run; its leaves may be asked of others.
    fn release(&mut self, peer: PeerId, run: Run) -> Released {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return Released::Unknown };
        let downloads = &mut neighbour.downloads;
        let Some(at) = downloads.requested.iter().position(|requested| requested.run == run) else {
            return Released::Unknown;
        };
        let Some(requested) = downloads.requested.remove(at) else { return Released::Unknown };
        let left = run.leaves().skip(usize::from(requested.got));
        downloads.forgiven += u32::from(run.count - requested.got);
        for leaf in left {
            downloads.pending = downloads.pending.saturating_sub(u64::from(self.manifest.leaf_len(run.piece, leaf)));
            if let Some(progress) = self.pieces.progress.get_mut(&run.piece) {
                progress.release(leaf);
            }
        }
        if self.pieces.progress.get(&run.piece).is_some_and(InProgress::is_untouched) {
            self.pieces.progress.remove(&run.piece);
            self.availability.put_back(run.piece);
        }
        self.everybody_hungry();
        Released::Yes
    }

    /// Stops waiting for anything a neighbour was asked for, because it is gone.
    pub(super) fn release_all(&mut self, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get(&peer) else { return };
        let runs: Vec<Run> = neighbour.downloads.waiting_for().collect();
        for run in runs {
            self.release(peer, run);
        }
    }

    /// A neighbour said it will not send a run, or broke it off.
    pub(super) fn on_refused(&mut self, now: Time, peer: PeerId, run: Run) {
        if self.release(peer, run) == Released::Unknown {
            return;
        }
        self.stats.requests_refused += 1;
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        // Nothing more will come of it.
        neighbour.downloads.forgiven = neighbour.downloads.forgiven.saturating_sub(u32::from(run.count));
        if neighbour.unchoked_us {
            neighbour.downloads.broken += 1;
            if neighbour.downloads.broken >= BROKEN_MAX {
                self.drop_peer(now, peer, Reason::BrokenPromises);
            }
        }
    }

    /// Gives the leaves of neighbours that have been silent too long to others.
    pub(super) fn look_for_snubs(&mut self, now: Time) {
        let mut silent = Vec::new();
        for (&peer, neighbour) in &self.neighbours {
            if neighbour.downloads.requested.is_empty() {
                continue;
            }
            let due = neighbour.downloads.heard + self.options.snub_after;
            if due <= now {
                silent.push(peer);
            } else {
                self.timers.set_earlier(Timer::Snub, due);
            }
        }
        silent.into_iter().for_each(|peer| self.snub(now, peer));
    }

    fn snub(&mut self, now: Time, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        self.stats.snubs += 1;
        neighbour.downloads.snubbed = true;
        neighbour.downloads.heard = now;
        neighbour.downloads.broken += BROKEN_BY_SNUB;
        if neighbour.downloads.broken >= BROKEN_MAX {
            return self.drop_peer(now, peer, Reason::BrokenPromises);
        }
        let runs: Vec<Run> = neighbour.downloads.waiting_for().collect();
        runs.into_iter().for_each(|run| self.cancel(peer, run));
    }

    /// Neighbours with nothing to do look again what they could fetch.
    pub(super) fn everybody_hungry(&mut self) {
        let idle = self.neighbours.iter().filter(|(_, neighbour)| neighbour.unchoked_us);
        self.hungry.extend(idle.map(|(&peer, _)| peer));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Released {
    Yes,
    Unknown,
}

/// Most requests a neighbour may have queued at us, and we at it; a protocol constant, so that a correct peer is never
/// refused for its number of requests.
pub(super) const RUNS_QUEUED_MAX: usize = 64;

/// Runs asked for whatever the rate, so that the next request is there while one is served.
const RUNS_AHEAD: usize = 2;

/// Most payload asked of one neighbour at a time, in bytes: 4 MiB, which at 100 MB/s lasts 40 ms.
const PENDING_MAX: u64 = 4 * 1024 * 1024;

/// Window of the rate that decides how much to ask for. Short, so that a neighbour's first second counts.
const RECENT: Duration = Duration::from_secs(2);

/// How long a leaf is thought to take where no rate is known. Wild guess: a leaf at 1 Mbit/s, shared by four.
const UNKNOWN_WAIT: Duration = Duration::from_millis(500);

/// A leaf is stolen if it comes sooner by this factor; rqbit steals at 3.
const STEAL_RATIO: u32 = 2;

/// A request younger than this is not stolen.
const STEAL_AGE: Duration = Duration::from_millis(50);

/// How soon an idle neighbour looks again for something to steal.
const STEAL_AGAIN: Duration = Duration::from_millis(100);

/// Leaves nobody asked for that a neighbour may send before it is dropped: some cross a cancel on the way.
const UNSOLICITED_MAX: u32 = 16;

/// Broken promises in a row at which a neighbour is dropped: eight refusals, or three silences.
const BROKEN_MAX: u32 = 8;
const BROKEN_BY_SNUB: u32 = 3;

#[cfg(test)]
mod tests;
