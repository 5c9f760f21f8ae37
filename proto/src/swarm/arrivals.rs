//! What comes on run streams: leaf hashes and leaves are verified here, and only here, before anything uses them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::announce::Novelty;
use super::downloads::Owed;
use super::pieces::Stored;
use super::{Event, Output, Reason, Swarm};
use crate::content::{HashedLeaf, LeafHashes};
use crate::hash::Hash;
use crate::id::PeerId;
use crate::time::Time;

impl Swarm {
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

    pub(super) fn on_leaf(&mut self, now: Time, peer: PeerId, piece: u32, leaf: u16, arrived: HashedLeaf) {
        let bytes = arrived.data().len() as u64;
        let waited = match self.cross_off(now, peer, piece, leaf) {
            Owed::Since(waited) => Some(waited),
            Owed::No => None,
        };
        let solicited = waited.is_some();
        let (known, verified) = match self.pieces.progress.get(&piece) {
            Some(progress) if progress.have.contains(u32::from(leaf)) => (true, false),
            Some(progress) => match &progress.layer {
                Some(layer) => (false, layer.verify_leaf(leaf, arrived.hash())),
                None if solicited => {
                    // It was asked for the layer and left it out.
                    self.stats.bad_layers += 1;
                    self.waste(peer, bytes);
                    return self.drop_peer(now, peer, Reason::BadLayer);
                }
                None => (true, false),
            },
            None => (true, false),
        };
        if !solicited && self.is_unsolicited_too_often(now, peer) {
            self.waste(peer, bytes);
            return;
        }
        if known {
            self.waste(peer, bytes);
            self.stats.duplicate_leaves += u64::from(solicited);
        } else if verified {
            self.store(now, peer, piece, (leaf, arrived.into_data()), waited);
        } else {
            self.stats.bad_leaves += 1;
            self.waste(peer, bytes);
            self.drop_peer(now, peer, Reason::BadLeaf);
        }
    }

    /// Crosses a leaf off what the neighbour owes us.
    fn cross_off(&mut self, now: Time, peer: PeerId, piece: u32, leaf: u16) -> Owed {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return Owed::No };
        let bytes = u64::from(self.manifest.leaf_len(piece, leaf));
        let owed = neighbour.downloads.cross_off(now, piece, leaf, bytes, &self.options);
        if owed != Owed::No {
            self.hungry.insert(peer);
            if let Some(progress) = self.pieces.progress.get_mut(&piece) {
                progress.release(leaf);
            }
        }
        owed
    }

    /// Counts bytes received in vain.
    fn waste(&mut self, from: PeerId, bytes: u64) {
        self.stats.wasted_bytes += bytes;
        self.received.of(from).wasted_bytes += bytes;
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

    fn store(&mut self, now: Time, from: PeerId, piece: u32, (leaf, data): (u16, Bytes), waited: Option<Duration>) {
        let elsewhere = self.pieces.progress.get(&piece).is_some_and(|progress| progress.asked[usize::from(leaf)] > 0);
        self.stats.leaves += 1;
        self.stats.downloaded_bytes += data.len() as u64;
        self.received.of(from).useful_bytes += data.len() as u64;
        self.outputs.push_back(Output::Store { piece, leaf, data, waited });
        let stored = self.pieces.store(piece, leaf);
        if elsewhere {
            self.cancel_elsewhere(from, piece, leaf);
        }
        self.cancel_rest(from, piece);
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
            self.completed_after = Some(self.stats.uploaded_bytes);
            self.outputs.push_back(Output::Event(Event::Completed));
        }
    }
}

/// Leaves nobody asked for that a neighbour may send before it is dropped: some cross a cancel on the way.
pub(super) const UNSOLICITED_MAX: u32 = 16;
