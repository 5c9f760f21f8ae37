//! Peer exchange: neighbours tell each other whom they are connected to, so that a swarm whose tracker is gone goes on
//! growing together.
//!
//! After BEP 11: news only, at most [`Entry::COUNT_MAX`] peers in a message, and no neighbour is told oftener than every
//! [`INTERVAL`] (there a minute; runs are short). A peer is known by its number, which its certificate proves to whoever
//! dials it: a lie about an address leads to a dial that fails. Addresses are the driver's business.

use std::collections::BTreeSet;
use std::time::Duration;

use super::options::Exchange;
use super::timer::Timer;
use super::{Output, Swarm};
use crate::id::PeerId;
use crate::time::Time;
use crate::tracker::Entry;

/// What was told to a neighbour, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Introductions {
    /// Whom it has been told of; at most [`TOLD_MAX`].
    told: BTreeSet<PeerId>,
    told_at: Option<Time>,
    heard_at: Option<Time>,
}

impl Swarm {
    /// A neighbour said hello: it, and the others about it, are told soon.
    pub(super) fn introduce_soon(&mut self, now: Time) {
        if self.options.exchange == Exchange::Neighbours {
            self.timers.set_earlier(Timer::Exchange, now + GATHER);
        }
    }

    /// Tells every neighbour what is new to it, unless it was told just before.
    pub(super) fn introduce(&mut self, now: Time) {
        if self.options.exchange == Exchange::None || self.is_leaving() {
            return;
        }
        let greeted = self.neighbours.iter().filter(|(_, neighbour)| neighbour.greeted);
        let all: Vec<PeerId> = greeted.map(|(&peer, _)| peer).collect();
        let mut next = Vec::new();
        for (&to, neighbour) in self.neighbours.iter_mut().filter(|(_, neighbour)| neighbour.greeted) {
            let introductions = &mut neighbour.introductions;
            let room = TOLD_MAX - introductions.told.len();
            let new = all.iter().copied().filter(|peer| *peer != to && !introductions.told.contains(peer)).take(room);
            let mut new: Vec<PeerId> = new.collect();
            if new.is_empty() {
                continue;
            }
            let due = introductions.told_at.map_or(now, |at| at + INTERVAL);
            if due > now {
                next.push(due);
                continue;
            }
            if new.len() > Entry::COUNT_MAX {
                next.push(now + INTERVAL);
            }
            new.truncate(Entry::COUNT_MAX);
            introductions.told.extend(&new);
            introductions.told_at = Some(now);
            self.stats.introductions_sent += new.len() as u64;
            self.outputs.push_back(Output::Introduce { to, peers: new });
        }
        if let Some(next) = next.into_iter().min() {
            self.timers.set_earlier(Timer::Exchange, next);
        }
    }

    /// A neighbour says whom else it knows.
    pub(super) fn on_introduced(&mut self, now: Time, from: PeerId, peers: &[PeerId]) {
        let Some(neighbour) = self.neighbours.get_mut(&from) else { return };
        let too_soon = neighbour.introductions.heard_at.is_some_and(|before| now - before < INTERVAL / 2);
        if self.options.exchange == Exchange::None || too_soon {
            self.stats.introductions_ignored += peers.len() as u64;
            return;
        }
        neighbour.introductions.heard_at = Some(now);
        // It knows them, and need not be told.
        let room = TOLD_MAX - neighbour.introductions.told.len();
        neighbour.introductions.told.extend(peers.iter().take(room));
        self.stats.introductions_received += peers.len() as u64;
        let room = self.candidates.room_for_hearsay();
        let new: Vec<PeerId> = peers.iter().copied().filter(|peer| !self.candidates.is_known(*peer)).collect();
        self.stats.ignored_limit += new.len().saturating_sub(room) as u64;
        self.on_candidates(now, &new[..new.len().min(room)]);
    }
}

/// Least time between two messages to one neighbour. What comes twice as often is ignored. Wild guess: often enough for runs
/// of a minute, and at 10 bytes a peer next to nothing.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long news waits for more news: those who connect together tell everything at once.
const GATHER: Duration = Duration::from_secs(1);

/// Most peers that one neighbour is told of, or tells of.
const TOLD_MAX: usize = 1_024;

#[cfg(test)]
mod tests;
