//! Our side of the content: whole pieces, pieces in progress, and the leaf hashes worth keeping.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::run::Run;
use crate::bits::{LeafSet, PieceSet};
use crate::content::{LeafHashes, Manifest};

/// What we have, what we are fetching, and what it takes to verify and serve it.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) manifest: Arc<Manifest>,
    pub(super) have: PieceSet,
    /// Pieces begun and not whole; at most `pieces_in_progress` of the options.
    pub(super) progress: BTreeMap<u32, InProgress>,
    /// Verified bytes.
    pub(super) bytes: u64,
    layers: Layers,
}

/// A piece being fetched. Leaves are in exactly one of: `have`, `open`, or asked for.
#[derive(Debug)]
pub(super) struct InProgress {
    /// Verified leaf hashes, once somebody sent them.
    pub(super) layer: Option<Arc<LeafHashes>>,
    /// Verified leaves.
    pub(super) have: LeafSet,
    /// Leaves we lack and have asked nobody for.
    pub(super) open: LeafSet,
    /// Of how many neighbours each leaf is asked.
    pub(super) asked: Box<[u8]>,
    /// How many neighbours are known to have each leaf without having the whole piece.
    pub(super) spread: Box<[u8]>,
    /// How many neighbours are known to have begun the piece and not to have it whole.
    pub(super) partial_holders: u16,
}

impl Pieces {
    pub(super) fn new(manifest: Arc<Manifest>, have: PieceSet) -> Self {
        let bytes = have.iter().map(|piece| u64::from(manifest.piece_len(piece))).sum();
        Self { manifest, have, progress: BTreeMap::new(), bytes, layers: Layers::default() }
    }

    /// Starts a piece if it is not whole and not begun.
    pub(super) fn begin(&mut self, piece: u32) -> &mut InProgress {
        let leaves = self.manifest.leaves_in(piece);
        let layer = self.layers.find(piece);
        self.progress.entry(piece).or_insert_with(|| InProgress::new(leaves, layer))
    }

    /// Takes a verified leaf in; tells what that means for the piece.
    pub(super) fn store(&mut self, piece: u32, leaf: u16) -> Stored {
        let Some(progress) = self.progress.get_mut(&piece) else { return Stored::Known };
        if !progress.have.insert(u32::from(leaf)) {
            return Stored::Known;
        }
        progress.open.remove(u32::from(leaf));
        self.bytes += u64::from(self.manifest.leaf_len(piece, leaf));
        if !progress.have.is_full() {
            return if progress.have.count() == 1 { Stored::FirstLeaf } else { Stored::Leaf };
        }
        let done = self.progress.remove(&piece).expect("it was just there");
        self.have.insert(piece);
        if let Some(layer) = done.layer {
            self.layers.keep(piece, layer);
        }
        Stored::Whole
    }

    /// Whether we have a leaf.
    pub(super) fn has_leaf(&self, piece: u32, leaf: u16) -> bool {
        self.have.contains(piece)
            || self.progress.get(&piece).is_some_and(|progress| progress.have.contains(u32::from(leaf)))
    }

    /// Whether we have all leaves of a run.
    pub(super) fn has_run(&self, run: Run) -> bool {
        run.leaves().all(|leaf| self.has_leaf(run.piece, leaf))
    }

    /// The leaf hashes of a piece, if they are at hand.
    pub(super) fn layer(&self, piece: u32) -> Option<Arc<LeafHashes>> {
        match self.progress.get(&piece) {
            Some(progress) => progress.layer.clone(),
            None => self.layers.find(piece),
        }
    }

    /// Remembers the leaf hashes of a whole piece.
    pub(super) fn keep_layer(&mut self, piece: u32, layer: Arc<LeafHashes>) {
        if self.have.contains(piece) {
            self.layers.keep(piece, layer);
        }
    }

    /// Whether a set of leaves of a piece holds one we lack. An empty set stands for leaves we know nothing about.
    pub(super) fn lacks_some_of(&self, piece: u32, leaves: &LeafSet) -> bool {
        if self.have.contains(piece) {
            return false;
        }
        match self.progress.get(&piece) {
            Some(progress) if !leaves.is_empty() => leaves.has_beyond(&progress.have),
            _ => true,
        }
    }
}

/// What a leaf changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nothing: it was there.
    Known,
    /// It is the first of its piece.
    FirstLeaf,
    /// It is one more.
    Leaf,
    /// It is the last: the piece is whole.
    Whole,
}

impl InProgress {
    fn new(leaves: u16, layer: Option<Arc<LeafHashes>>) -> Self {
        Self {
            layer,
            have: LeafSet::empty(u32::from(leaves)),
            open: LeafSet::full(u32::from(leaves)),
            asked: vec![0; usize::from(leaves)].into(),
            spread: vec![0; usize::from(leaves)].into(),
            partial_holders: 0,
        }
    }

    /// The leaf is asked of one more neighbour.
    pub(super) fn ask(&mut self, leaf: u16) {
        self.open.remove(u32::from(leaf));
        self.asked[usize::from(leaf)] += 1;
    }

    /// One neighbour fewer is asked for the leaf; returns whether it is open again.
    pub(super) fn release(&mut self, leaf: u16) -> bool {
        let asked = &mut self.asked[usize::from(leaf)];
        *asked = asked.saturating_sub(1);
        *asked == 0 && !self.have.contains(u32::from(leaf)) && self.open.insert(u32::from(leaf))
    }

    /// Counts a neighbour's leaves in or out.
    pub(super) fn spread(&mut self, leaves: &LeafSet, change: Spread) {
        self.partial_holders = match change {
            Spread::More => self.partial_holders.saturating_add(1),
            Spread::Fewer => self.partial_holders.saturating_sub(1),
        };
        for leaf in leaves.iter() {
            if let Some(count) = self.spread.get_mut(leaf as usize) {
                *count = match change {
                    Spread::More => count.saturating_add(1),
                    Spread::Fewer => count.saturating_sub(1),
                };
            }
        }
    }

    /// Whether nothing has come and nothing is on its way.
    pub(super) fn is_untouched(&self) -> bool {
        self.open.is_full()
    }
}

/// Whether a neighbour's leaves are counted in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    More,
    Fewer,
}

/// Leaf hashes of whole pieces, the most recently kept ones: at most [`LAYER_HASHES_MAX`] hashes together.
#[derive(Debug, Default)]
struct Layers {
    by_piece: BTreeMap<u32, Arc<LeafHashes>>,
    /// Oldest first; exactly the keys of `by_piece`.
    order: VecDeque<u32>,
    hashes: usize,
}

impl Layers {
    fn find(&self, piece: u32) -> Option<Arc<LeafHashes>> {
        self.by_piece.get(&piece).cloned()
    }

    fn keep(&mut self, piece: u32, layer: Arc<LeafHashes>) {
        let added = layer.hashes().len();
        if self.by_piece.insert(piece, layer).is_some() {
            return;
        }
        self.hashes += added;
        self.order.push_back(piece);
        while self.hashes > LAYER_HASHES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes -= self.by_piece.remove(&oldest).map_or(0, |layer| layer.hashes().len());
        }
    }
}

/// 512 KiB of hashes, which is the layers of 256 MiB of content. Older ones are computed again by the driver when asked
/// for ([`super::ServeLayer::Compute`]).
const LAYER_HASHES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{LEAF, ManifestBuilder};

    #[test]
    fn a_piece_is_whole_after_its_last_leaf() {
        let mut pieces = pieces();
        pieces.begin(0);
        assert_eq!(pieces.store(0, 1), Stored::FirstLeaf);
        assert_eq!(pieces.store(0, 1), Stored::Known);
        assert!(pieces.has_leaf(0, 1) && !pieces.has_leaf(0, 0));
        assert_eq!(pieces.store(0, 0), Stored::Whole);
        assert!(pieces.has_run(Run { piece: 0, first: 0, count: 2 }));
        assert_eq!(pieces.bytes, 2 * u64::from(LEAF));
        assert!(pieces.progress.is_empty());
    }

    #[test]
    fn a_leaf_opens_again_when_the_last_one_asked_gives_up() {
        let mut pieces = pieces();
        let progress = pieces.begin(0);
        progress.ask(0);
        progress.ask(0);
        assert!(!progress.release(0));
        assert!(progress.release(0));
        assert!(progress.is_untouched());
    }

    #[test]
    fn old_layers_make_room_for_new_ones() {
        let mut layers = Layers::default();
        let layer = Arc::new(LeafHashes::of_piece(&[0; 100]));
        let last = LAYER_HASHES_MAX as u32 + 9;
        (0..=last).for_each(|piece| layers.keep(piece, Arc::clone(&layer)));
        assert_eq!(layers.hashes, LAYER_HASHES_MAX);
        assert!(layers.find(9).is_none());
        assert!(layers.find(10).is_some() && layers.find(last).is_some());
    }

    fn pieces() -> Pieces {
        let mut builder = ManifestBuilder::new("file", 2 * LEAF).unwrap();
        builder.feed(&[7; 4 * LEAF as usize]);
        Pieces::new(Arc::new(builder.finish().unwrap()), PieceSet::empty(2))
    }
}
