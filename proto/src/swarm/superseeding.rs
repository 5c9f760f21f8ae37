//! Super-seeding: a seed that shows each neighbour one piece at a time, and each piece to one neighbour only, until
//! everything has been sent once.
//!
//! After BEP 16, whose seeds pretend to have nothing. There, the next piece is shown when the last one turned up at
//! somebody else; here, as soon as nearly all of the last one was asked for, because leaves are passed on at once and a seed
//! that waits is idle. When a copy is out, or nothing new was sent for a while, the seed shows all it has.

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::ANNOUNCED_MAX;
use super::run::Run;
use super::timer::Timer;
use super::{Message, Swarm};
use crate::bits::{LeafSet, PieceSet};
use crate::content::Manifest;
use crate::id::PeerId;
use crate::time::Time;

/// What a super-seed hides.
#[derive(Debug)]
pub(super) struct Mask {
    /// Pieces shown to nobody.
    hidden: PieceSet,
    /// The piece each neighbour was shown last, and what it has asked for of it. At most one entry per neighbour.
    shown: BTreeMap<PeerId, (u32, LeafSet)>,
    /// Leaves whose sending has been begun, numbered through the file.
    sent: PieceSet,
    leaves_per_piece: u32,
    /// How many had been sent when that was last looked at.
    sent_before: u32,
}

impl Mask {
    pub(super) fn new(manifest: &Manifest) -> Self {
        let leaves = (0..manifest.pieces()).map(|piece| u32::from(manifest.leaves_in(piece))).sum();
        Self {
            hidden: PieceSet::full(manifest.pieces()),
            shown: BTreeMap::new(),
            sent: PieceSet::empty(leaves),
            leaves_per_piece: u32::from(manifest.leaves_in(0)),
            sent_before: 0,
        }
    }
}

impl Swarm {
    /// Shows a neighbour the next piece, unless most of what it was shown last is still to be asked for.
    pub(super) fn show_piece(&mut self, now: Time, peer: PeerId) {
        let Some(mask) = &mut self.mask else { return };
        let Some(neighbour) = self.neighbours.get(&peer).filter(|neighbour| neighbour.greeted) else { return };
        if let Some((_, asked)) = mask.shown.get(&peer)
            && asked.len() - asked.count() > AHEAD
        {
            return;
        }
        let candidates: Vec<u32> = mask.hidden.iter().filter(|&piece| !neighbour.have.contains(piece)).collect();
        let Some(&piece) = self.random.pick(&candidates) else { return };
        mask.hidden.remove(piece);
        mask.shown.insert(peer, (piece, LeafSet::empty(u32::from(self.manifest.leaves_in(piece)))));
        self.timers.set_earlier(Timer::Unmask, now + PATIENCE);
        self.send(peer, Message::Have { pieces: vec![piece] });
    }

    /// A neighbour asked for some of what it was shown.
    pub(super) fn note_asked(&mut self, now: Time, peer: PeerId, run: Run) {
        if let Some((piece, asked)) = self.mask.as_mut().and_then(|mask| mask.shown.get_mut(&peer))
            && *piece == run.piece
        {
            run.leaves().for_each(|leaf| {
                asked.insert(u32::from(leaf));
            });
            self.show_piece(now, peer);
        }
    }

    /// Sending a run was begun; once that is true of every leaf there is nothing to hide.
    pub(super) fn note_sent(&mut self, run: Run) {
        let Some(mask) = &mut self.mask else { return };
        for leaf in run.leaves() {
            mask.sent.insert(run.piece * mask.leaves_per_piece + u32::from(leaf));
        }
        if mask.sent.is_full() {
            self.unmask();
        }
    }

    /// A neighbour is gone: what it was shown and did not ask for is shown to another.
    pub(super) fn hide_again(&mut self, peer: PeerId) {
        let Some(mask) = &mut self.mask else { return };
        if let Some((piece, asked)) = mask.shown.remove(&peer)
            && !asked.is_full()
        {
            mask.hidden.insert(piece);
        }
    }

    /// Shows everything if nothing new was sent lately: those who were shown the rest do not fetch it.
    pub(super) fn unmask_if_stuck(&mut self, now: Time) {
        let Some(mask) = &mut self.mask else { return };
        let sent = mask.sent.count();
        if sent == mask.sent_before {
            return self.unmask();
        }
        mask.sent_before = sent;
        self.timers.set_earlier(Timer::Unmask, now + PATIENCE);
    }

    fn unmask(&mut self) {
        self.mask = None;
        let mut news = Vec::new();
        for (&peer, neighbour) in self.neighbours.iter().filter(|(_, neighbour)| neighbour.greeted) {
            let lacks: Vec<u32> = self.pieces.have.iter().filter(|&piece| !neighbour.have.contains(piece)).collect();
            news.extend(lacks.chunks(ANNOUNCED_MAX).map(|pieces| (peer, Message::Have { pieces: pieces.to_vec() })));
        }
        news.into_iter().for_each(|(peer, message)| self.send(peer, message));
    }
}

/// So many leaves before the end of a piece the next one is shown, so that requests never run out: as many as are asked
/// for whatever the rate.
const AHEAD: u32 = 2;

/// Time without a new leaf after which everything is shown. Wild guess: a few turns of the slowest neighbours.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
