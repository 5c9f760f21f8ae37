//! What neighbours tell us about themselves, and what we conclude about our interest in them.

use super::announce::Novelty;
use super::neighbour::PARTIALS_MAX;
use super::pieces::Spread;
use super::timer::Timer;
use super::{Message, Reason, Swarm};
use crate::bits::{LeafSet, PieceSet};
use crate::content::ContentId;
use crate::id::PeerId;
use crate::time::Time;

impl Swarm {
    /// Opens the conversation from our side.
    pub(super) fn greet(&mut self, peer: PeerId) {
        let have = match &self.mask {
            Some(_) => PieceSet::empty(self.manifest.pieces()),
            None => self.pieces.have.clone(),
        };
        self.send(peer, Message::Hello { content: self.content, have });
    }

    pub(super) fn on_message(&mut self, now: Time, peer: PeerId, message: Message) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        if !neighbour.greeted {
            let Message::Hello { content, have } = message else {
                return self.drop_peer(now, peer, Reason::BadHello);
            };
            return self.on_hello(now, peer, content, have);
        }
        match message {
            Message::Hello { .. } => self.drop_peer(now, peer, Reason::BadHello),
            Message::Have { pieces } => self.on_have(now, peer, &pieces),
            Message::Partial { piece, leaves } => self.on_partial(now, peer, piece, leaves),
            Message::Started { pieces } => self.on_started(now, peer, &pieces),
            Message::Interested => {
                self.slots_changed |= !neighbour.interested;
                neighbour.interested = true;
            }
            Message::NotInterested => {
                self.slots_changed |= neighbour.interested;
                neighbour.interested = false;
                // From now on it hears every leaf, starting with those it missed.
                self.tell_details_soon(now, peer);
            }
            Message::Choke => neighbour.unchoked_us = false,
            Message::Unchoke => {
                neighbour.unchoked_us = true;
                self.hungry.insert(peer);
            }
            Message::Request { run, layer } => self.on_request(now, peer, run, layer),
            Message::Cancel { run } => self.on_cancel(now, peer, run),
            Message::Reject { run } => self.on_refused(now, peer, run),
            Message::Peers { peers } => {
                let peers: Vec<PeerId> = peers.into_iter().map(|entry| entry.peer).collect();
                self.on_introduced(now, peer, &peers);
            }
        }
    }

    fn on_hello(&mut self, now: Time, peer: PeerId, content: ContentId, have: PieceSet) {
        if content != self.content || have.len() != self.manifest.pieces() {
            return self.drop_peer(now, peer, Reason::BadHello);
        }
        have.iter().for_each(|piece| self.availability.add(piece));
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        neighbour.greeted = true;
        neighbour.useful = have.iter().filter(|&piece| !self.pieces.have.contains(piece)).count() as u32;
        neighbour.have = have;
        self.look_again.insert(peer);
        self.tell_details(now, peer);
        self.show_piece(now, peer);
        self.introduce_soon(now);
    }

    fn on_have(&mut self, now: Time, peer: PeerId, pieces: &[u32]) {
        for &piece in pieces {
            if piece >= self.manifest.pieces() {
                return self.drop_peer(now, peer, Reason::OutOfRange);
            }
            let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
            if !neighbour.have.insert(piece) {
                continue;
            }
            neighbour.useful += u32::from(!self.pieces.have.contains(piece));
            match neighbour.partial.remove(&piece) {
                Some(leaves) => self.count_leaves(piece, &leaves, Spread::Fewer),
                None => self.availability.add(piece),
            }
        }
        self.on_news(peer);
    }

    fn on_partial(&mut self, now: Time, peer: PeerId, piece: u32, leaves: LeafSet) {
        if leaves.len() != u32::from(self.manifest.leaves_in(piece)) || leaves.is_empty() {
            return self.drop_peer(now, peer, Reason::OutOfRange);
        }
        self.remember_leaves(peer, piece, leaves);
        self.on_news(peer);
    }

    fn on_started(&mut self, now: Time, peer: PeerId, pieces: &[u32]) {
        for &piece in pieces {
            if piece >= self.manifest.pieces() {
                return self.drop_peer(now, peer, Reason::OutOfRange);
            }
            let known = self.neighbours.get(&peer).is_none_or(|neighbour| neighbour.partial.contains_key(&piece));
            if !known {
                let leaves = LeafSet::empty(u32::from(self.manifest.leaves_in(piece)));
                self.remember_leaves(peer, piece, leaves);
            }
        }
        self.on_news(peer);
    }

    fn remember_leaves(&mut self, peer: PeerId, piece: u32, leaves: LeafSet) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        if neighbour.have.contains(piece) {
            return;
        }
        if neighbour.partial.len() >= PARTIALS_MAX && !neighbour.partial.contains_key(&piece) {
            self.stats.ignored_limit += 1;
            return;
        }
        match neighbour.partial.insert(piece, leaves.clone()) {
            Some(before) => self.count_leaves(piece, &before, Spread::Fewer),
            None => self.availability.add(piece),
        }
        self.count_leaves(piece, &leaves, Spread::More);
    }

    fn count_leaves(&mut self, piece: u32, leaves: &LeafSet, change: Spread) {
        if let Some(progress) = self.pieces.progress.get_mut(&piece) {
            progress.spread(leaves, change);
        }
    }

    /// A neighbour has more than before.
    fn on_news(&mut self, peer: PeerId) {
        self.look_again.insert(peer);
        self.hungry.insert(peer);
    }

    /// Uncounts everything a neighbour had, because it is gone.
    pub(super) fn uncount(&mut self, have: &PieceSet, partial: &std::collections::BTreeMap<u32, LeafSet>) {
        have.iter().for_each(|piece| self.availability.subtract(piece));
        for (&piece, leaves) in partial {
            self.availability.subtract(piece);
            self.count_leaves(piece, leaves, Spread::Fewer);
        }
    }

    fn tell_details_soon(&mut self, now: Time, peer: PeerId) {
        let pieces: Vec<u32> = self.pieces.progress.keys().copied().collect();
        for piece in pieces {
            self.announce_to(now, peer, piece, Novelty::Leaf);
        }
    }

    /// Looks at the neighbours again that had nothing for us.
    pub(super) fn look_at_dull(&mut self) {
        let dull = self.neighbours.iter().filter(|(_, neighbour)| neighbour.dull_since.is_some());
        self.look_again.extend(dull.map(|(&peer, _)| peer));
    }

    /// Tells neighbours whether we are interested, where that changed.
    ///
    /// Interest is told at once; its end only after it has lasted a little, because a neighbour that is fetching itself
    /// soon has something new.
    pub(super) fn update_interest(&mut self, now: Time) {
        if self.look_again.is_empty() {
            return;
        }
        let patience = 2 * self.options.announce_coalesce;
        let complete = self.is_complete();
        let mut messages = Vec::new();
        for (&peer, neighbour) in self.neighbours.iter_mut().filter(|(_, neighbour)| neighbour.greeted) {
            let changed = self.look_again.contains(&peer) || (neighbour.useful == 0 && neighbour.interesting);
            if !changed && neighbour.dull_since.is_none() {
                continue;
            }
            if neighbour.has_something_for(&self.pieces) {
                neighbour.dull_since = None;
                if !neighbour.interesting {
                    neighbour.interesting = true;
                    messages.push((peer, Message::Interested));
                }
            } else if neighbour.interesting {
                let since = *neighbour.dull_since.get_or_insert(now);
                if complete || since + patience <= now {
                    neighbour.interesting = false;
                    neighbour.dull_since = None;
                    messages.push((peer, Message::NotInterested));
                } else {
                    self.timers.set_earlier(Timer::Dull, since + patience);
                }
            }
        }
        self.look_again.clear();
        messages.into_iter().for_each(|(peer, message)| self.send(peer, message));
    }
}
