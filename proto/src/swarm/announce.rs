//! Telling neighbours what we have: the leaves of unfinished pieces to those who can use that now, whole pieces to all.
//!
//! News told just after other news waits a little for more, so that a thin uplink is not spent on small packets. A neighbour that may request, or
//! that does not know yet that it should be interested, hears every leaf soon; all others hear of pieces, later.

use std::collections::BTreeSet;
use std::time::Duration;

use super::message::ANNOUNCED_MAX;
use super::timer::Timer;
use super::{Message, Swarm};
use crate::id::PeerId;
use crate::time::Time;

/// What a neighbour has not been told yet.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Pieces of which we have more than it knows.
    pieces: BTreeSet<u32>,
    /// When it is told; `Some` whenever there is something to tell.
    due: Option<Time>,
    /// When it was last told something.
    told: Option<Time>,
}

/// How much is new about a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// One more leaf: of use only to those who hear of leaves.
    Leaf,
    /// The first leaf, or the last: of use to everybody.
    Piece,
}

impl Swarm {
    /// Notes that there is more of a piece, for every neighbour that does not have it whole.
    pub(super) fn announce(&mut self, now: Time, piece: u32, novelty: Novelty) {
        let peers: Vec<PeerId> = self.neighbours.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.announce_to(now, peer, piece, novelty));
    }

    /// Notes that there is more of a piece for one neighbour.
    pub(super) fn announce_to(&mut self, now: Time, peer: PeerId, piece: u32, novelty: Novelty) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        if !neighbour.greeted || neighbour.have.contains(piece) {
            return;
        }
        let due = match (neighbour.wants_detail(), novelty) {
            (true, _) => neighbour.news.earliest(now, self.options.announce_coalesce),
            (false, Novelty::Piece) => neighbour.news.earliest(now, self.options.background_coalesce),
            (false, Novelty::Leaf) => return,
        };
        neighbour.news.add(piece, due);
        self.timers.set_earlier(Timer::Announce, due);
    }

    /// Tells a neighbour at once about every leaf of the pieces in progress: it can use that from now on.
    pub(super) fn tell_details(&mut self, now: Time, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get_mut(&peer).filter(|neighbour| neighbour.greeted) else { return };
        for (&piece, progress) in &self.pieces.progress {
            if !progress.have.is_empty() && !neighbour.have.contains(piece) {
                neighbour.news.add(piece, now);
            }
        }
        self.tell_news(now, peer);
    }

    /// Tells every neighbour whose time has come.
    pub(super) fn announce_due(&mut self, now: Time) {
        let due = self.neighbours.iter().filter(|(_, neighbour)| neighbour.news.due.is_some_and(|due| due <= now));
        let due: Vec<PeerId> = due.map(|(&peer, _)| peer).collect();
        due.into_iter().for_each(|peer| self.tell_news(now, peer));
        if let Some(next) = self.neighbours.values().filter_map(|neighbour| neighbour.news.due).min() {
            self.timers.set_earlier(Timer::Announce, next);
        }
    }

    fn tell_news(&mut self, now: Time, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let told = neighbour.news.told;
        let news = std::mem::replace(&mut neighbour.news, News { told, ..News::default() });
        let mut messages = Vec::new();
        let mut whole = Vec::new();
        let mut started = Vec::new();
        for piece in news.pieces {
            if neighbour.have.contains(piece) {
                continue;
            }
            match self.pieces.progress.get(&piece) {
                None if self.pieces.have.contains(piece) => whole.push(piece),
                Some(progress) if progress.have.is_empty() => {}
                Some(progress) if neighbour.wants_detail() => {
                    messages.push(Message::Partial { piece, leaves: progress.have.clone() });
                }
                Some(_) => started.push(piece),
                None => {}
            }
        }
        let chunks = |pieces: Vec<u32>| pieces.chunks(ANNOUNCED_MAX).map(<[u32]>::to_vec).collect::<Vec<_>>();
        messages.extend(chunks(whole).into_iter().map(|pieces| Message::Have { pieces }));
        messages.extend(chunks(started).into_iter().map(|pieces| Message::Started { pieces }));
        if !messages.is_empty() {
            neighbour.news.told = Some(now);
        }
        messages.into_iter().for_each(|message| self.send(peer, message));
    }
}

impl News {
    /// When news may be told: at once, unless some was told just before.
    fn earliest(&self, now: Time, apart: Duration) -> Time {
        self.told.map_or(now, |told| (told + apart).max(now))
    }

    fn add(&mut self, piece: u32, due: Time) {
        self.pieces.insert(piece);
        self.due = Some(self.due.map_or(due, |standing| standing.min(due)));
    }
}

#[cfg(test)]
mod tests;
