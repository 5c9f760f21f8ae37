//! Whom to connect to: candidates from the tracker, retries with backoff, offenders left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::neighbour::Neighbour;
use super::timer::Timer;
use super::{Output, Reason, Swarm};
use crate::id::PeerId;
use crate::time::Time;

/// Peers we may connect to, and those we will not.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// At most [`CANDIDATES_MAX`]; connected peers stay in, so that they are dialled again when they are lost.
    known: BTreeMap<PeerId, Candidate>,
    /// Offenders; at most [`BANNED_MAX`].
    banned: BTreeSet<PeerId>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Not dialled before.
    due: Time,
    /// Since a connection last held.
    failures: u32,
    dialling: bool,
}

impl Candidates {
    pub(super) fn is_banned(&self, peer: PeerId) -> bool {
        self.banned.contains(&peer)
    }

    pub(super) fn is_known(&self, peer: PeerId) -> bool {
        self.known.contains_key(&peer)
    }

    /// How many more may be taken from what neighbours say: half of the room is the tracker's.
    pub(super) fn room_for_hearsay(&self) -> usize {
        (CANDIDATES_MAX / 2).saturating_sub(self.known.len())
    }

    fn dialling(&self) -> usize {
        self.known.values().filter(|candidate| candidate.dialling).count()
    }
}

impl Swarm {
    pub(super) fn on_candidates(&mut self, now: Time, peers: &[PeerId]) {
        for &peer in peers.iter().filter(|&&peer| peer != self.me) {
            if self.candidates.is_banned(peer) || self.candidates.known.contains_key(&peer) {
                continue;
            }
            if self.candidates.known.len() >= CANDIDATES_MAX {
                self.stats.ignored_limit += 1;
                continue;
            }
            self.candidates.known.insert(peer, Candidate { due: now, failures: 0, dialling: false });
        }
        self.dial(now);
    }

    /// Dials candidates by chance until there are enough neighbours.
    pub(super) fn dial(&mut self, now: Time) {
        if self.is_leaving() {
            return;
        }
        let wanted = usize::from(self.options.dial_degree.min(self.options.degree));
        let free = wanted.saturating_sub(self.neighbours.len() + self.candidates.dialling());
        let idle = (self.candidates.known.iter())
            .filter(|(peer, candidate)| !candidate.dialling && !self.neighbours.contains_key(peer));
        let (mut due, later): (Vec<_>, Vec<_>) =
            idle.map(|(&peer, candidate)| (peer, candidate.due)).partition(|&(_, due)| due <= now);
        self.random.shuffle(&mut due);
        for &(peer, _) in due.iter().take(free) {
            if let Some(candidate) = self.candidates.known.get_mut(&peer) {
                candidate.dialling = true;
            }
            self.outputs.push_back(Output::Dial { peer });
        }
        if free > due.len()
            && let Some(next) = later.iter().map(|&(_, due)| due).min()
        {
            self.timers.set_earlier(Timer::Dial, next);
        }
    }

    pub(super) fn on_dial_failed(&mut self, now: Time, peer: PeerId) {
        self.stats.dials_failed += 1;
        self.put_off(now, peer);
        self.dial(now);
    }

    /// Takes a connected peer in, or turns it away.
    pub(super) fn on_connected(&mut self, now: Time, peer: PeerId) {
        if let Some(candidate) = self.candidates.known.get_mut(&peer) {
            candidate.dialling = false;
        }
        if self.neighbours.contains_key(&peer) || peer == self.me {
            return;
        }
        let refusal = if self.is_leaving() {
            Some(Reason::Leaving)
        } else if self.candidates.is_banned(peer) {
            self.stats.refused_banned += 1;
            Some(Reason::Banned)
        } else if self.neighbours.len() >= usize::from(self.options.degree) && !self.make_room() {
            self.stats.refused_full += 1;
            Some(Reason::Full)
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.outputs.push_back(Output::Hangup { peer, reason });
            return;
        }
        self.stats.connections += 1;
        self.neighbours.insert(peer, Neighbour::new(self.manifest.pieces(), &self.options, now));
        self.greet(peer);
    }

    /// A connection was lost: it may be tried again after a while.
    pub(super) fn on_lost(&mut self, now: Time, peer: PeerId, since: Time) {
        if let Some(candidate) = self.candidates.known.get_mut(&peer)
            && now - since >= HELD
        {
            candidate.failures = 0;
        }
        self.put_off(now, peer);
        self.dial(now);
    }

    pub(super) fn ban(&mut self, peer: PeerId) {
        self.candidates.known.remove(&peer);
        if self.candidates.banned.len() < BANNED_MAX {
            self.candidates.banned.insert(peer);
        } else {
            self.stats.ignored_limit += 1;
        }
    }

    /// Waits longer after each failure, and forgets a candidate after [`FAILURES_MAX`] of them.
    fn put_off(&mut self, now: Time, peer: PeerId) {
        let Some(candidate) = self.candidates.known.get_mut(&peer) else { return };
        candidate.dialling = false;
        candidate.failures += 1;
        if candidate.failures >= FAILURES_MAX {
            self.candidates.known.remove(&peer);
            return;
        }
        let wait = RETRY_MIN * (1 << candidate.failures);
        candidate.due = now + wait.mul_f64(0.75 + 0.5 * self.random.fraction());
    }

    /// Hangs up on a neighbour that is of no use, where both have everything.
    fn make_room(&mut self) -> bool {
        if !self.is_complete() {
            return false;
        }
        let done = self.neighbours.iter().find(|(_, neighbour)| neighbour.have.is_full());
        let Some((&peer, _)) = done else { return false };
        self.hang_up(peer, Reason::Done);
        self.candidates.known.remove(&peer);
        true
    }
}

/// Most candidates remembered; the tracker names more when they are used up.
const CANDIDATES_MAX: usize = 512;

/// Most offenders remembered.
const BANNED_MAX: usize = 1_024;

/// A connection that held this long counts as a success.
const HELD: Duration = Duration::from_secs(10);

/// First wait after a failure, doubled with each: 1 s, 2 s, 4 s, 8 s.
const RETRY_MIN: Duration = Duration::from_millis(500);

/// Failures in a row after which a candidate is forgotten until the tracker names it again.
const FAILURES_MAX: u32 = 5;
