//! Asking for runs: whom, how much, and what happens when a neighbour refuses or falls silent.

use super::options::Endgame;
use super::picker::{Limits, pick};
use super::pieces::{InProgress, Spread};
use super::run::Run;
use super::timer::Timer;
use super::{LayerWish, Message, Output, Reason, Swarm};
use crate::id::PeerId;
use crate::time::Time;

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
                choice: self.options.pieces,
                ties: self.options.ties,
            };
            let run = pick(&self.pieces, &self.availability, neighbour, limits, &mut self.random);
            let Some(run) = run else {
                if self.options.endgame == Endgame::Steal {
                    self.steal(now, peer);
                }
                return;
            };
            self.ask(now, peer, run);
        }
    }

    pub(super) fn ask(&mut self, now: Time, peer: PeerId, run: Run) {
        if !self.pieces.progress.contains_key(&run.piece) {
            self.begin_piece(run.piece);
        }
        let progress = self.pieces.begin(run.piece);
        run.leaves().for_each(|leaf| progress.ask(leaf));
        let layer = if progress.layer.is_some() { LayerWish::Omit } else { LayerWish::Send };
        let bytes = run.bytes(&self.manifest);
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        neighbour.downloads.ask(now, run, bytes);
        self.timers.set_earlier(Timer::Snub, neighbour.downloads.heard + self.options.snub_after);
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

    pub(super) fn cancel(&mut self, peer: PeerId, run: Run) {
        if self.release(peer, run) == Released::Yes {
            self.stats.requests_cancelled += 1;
            self.send(peer, Message::Cancel { run });
            self.outputs.push_back(Output::StopReceiving { peer, run });
        }
    }

    /// Stops waiting for a run; its leaves may be asked of others.
    fn release(&mut self, peer: PeerId, run: Run) -> Released {
        let given_up = self.neighbours.get_mut(&peer).and_then(|it| it.downloads.give_up(run, &self.manifest));
        let Some(requested) = given_up else { return Released::Unknown };
        if let Some(progress) = self.pieces.progress.get_mut(&run.piece) {
            for leaf in requested.left() {
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

/// Whether a run was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Released {
    Yes,
    Unknown,
}

/// Broken promises in a row at which a neighbour is dropped: eight refusals, or three silences.
const BROKEN_MAX: u32 = 8;
const BROKEN_BY_SNUB: u32 = 3;

#[cfg(test)]
mod tests;
