//! A core under test with a clock, a content, and short ways to say things to it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;

use crate::bits::{LeafSet, PieceSet};
use crate::content::{LEAF, LeafHashes, Manifest, ManifestBuilder};
use crate::id::PeerId;
use crate::swarm::{LayerWish, Message, Options, Output, Run, Swarm};
use crate::time::Time;

/// A content of six pieces of four leaves each; the last piece has two leaves, the last leaf 1 000 bytes.
pub(in crate::swarm) struct Fixture {
    pub(in crate::swarm) core: Swarm,
    pub(in crate::swarm) now: Time,
    pub(in crate::swarm) manifest: Arc<Manifest>,
    bytes: Arc<[u8]>,
}

pub(in crate::swarm) const PIECES: u32 = 6;
pub(in crate::swarm) const LEAVES: u16 = 4;
const ME: PeerId = PeerId(1_000);

static CONTENT: LazyLock<(Arc<Manifest>, Arc<[u8]>)> = LazyLock::new(|| {
    let size = 5 * u32::from(LEAVES) * LEAF + LEAF + 1_000;
    let bytes: Vec<u8> = (0..size).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect();
    let mut builder = ManifestBuilder::new("file", u32::from(LEAVES) * LEAF).unwrap();
    builder.feed(&bytes);
    (Arc::new(builder.finish().unwrap()), bytes.into())
});

impl Fixture {
    /// A core that has these pieces.
    pub(in crate::swarm) fn having(pieces: &[u32]) -> Self {
        Self::with(pieces, Options::default())
    }

    /// A core with everything.
    pub(in crate::swarm) fn seed() -> Self {
        Self::having(&[0, 1, 2, 3, 4, 5])
    }

    pub(in crate::swarm) fn with(pieces: &[u32], options: Options) -> Self {
        Self::seeded(pieces, options, 7)
    }

    pub(in crate::swarm) fn seeded(pieces: &[u32], options: Options, seed: u64) -> Self {
        let (manifest, bytes) = CONTENT.clone();
        let now = Time::ZERO + Duration::from_secs(100);
        let core = Swarm::new(ME, Arc::clone(&manifest), set(pieces), options, seed, now);
        Self { core, now, manifest, bytes }
    }

    /// Connects a neighbour that has these pieces.
    pub(in crate::swarm) fn meet(&mut self, peer: u32, have: &[u32]) -> Vec<Output> {
        self.core.handle_connected(self.now, PeerId(peer));
        let mut outputs = self.outputs();
        outputs.extend(self.say(peer, self.hello(have)));
        outputs
    }

    /// Connects a neighbour that has nothing and is interested.
    pub(in crate::swarm) fn meet_interested(&mut self, peer: u32) -> Vec<Output> {
        let mut outputs = self.meet(peer, &[]);
        outputs.extend(self.say(peer, Message::Interested));
        outputs
    }

    /// Connects a neighbour that has these pieces and unchokes us.
    pub(in crate::swarm) fn meet_generous(&mut self, peer: u32, have: &[u32]) -> Vec<Output> {
        let mut outputs = self.meet(peer, have);
        outputs.extend(self.say(peer, Message::Unchoke));
        outputs
    }

    pub(in crate::swarm) fn hello(&self, have: &[u32]) -> Message {
        Message::Hello { content: self.manifest.id(), have: set(have) }
    }

    /// A message comes.
    pub(in crate::swarm) fn say(&mut self, peer: u32, message: Message) -> Vec<Output> {
        self.core.handle_message(self.now, PeerId(peer), message);
        self.outputs()
    }

    pub(in crate::swarm) fn request(&mut self, peer: u32, run: Run) -> Vec<Output> {
        self.say(peer, Message::Request { run, layer: LayerWish::Omit })
    }

    /// A whole run comes, with the leaf hashes in front.
    pub(in crate::swarm) fn deliver(&mut self, peer: u32, run: Run) -> Vec<Output> {
        let layer = self.layer(run.piece);
        self.core.handle_layer(self.now, PeerId(peer), run.piece, layer.hashes());
        for leaf in run.leaves() {
            self.core.handle_leaf(self.now, PeerId(peer), run.piece, leaf, self.leaf(run.piece, leaf));
        }
        self.outputs()
    }

    /// The transport confirms a run.
    pub(in crate::swarm) fn sent(&mut self, peer: u32, run: Run) -> Vec<Output> {
        let bytes = run.bytes(&self.manifest);
        self.core.handle_run_sent(self.now, PeerId(peer), run, bytes);
        self.outputs()
    }

    /// Time passes; timers go off when they are due.
    pub(in crate::swarm) fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut outputs = Vec::new();
        while let Some((due, _)) = self.core.poll_timeout().filter(|&(due, _)| due <= end) {
            self.now = self.now.max(due);
            self.core.handle_timeout(self.now);
            outputs.extend(self.outputs());
        }
        self.now = end;
        outputs
    }

    pub(in crate::swarm) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output()).collect()
    }

    pub(in crate::swarm) fn leaf(&self, piece: u32, leaf: u16) -> Bytes {
        let range = self.manifest.leaf_range(piece, leaf);
        Bytes::copy_from_slice(&self.bytes[range.start as usize..range.end as usize])
    }

    pub(in crate::swarm) fn layer(&self, piece: u32) -> LeafHashes {
        let range = self.manifest.piece_range(piece);
        LeafHashes::of_piece(&self.bytes[range.start as usize..range.end as usize])
    }

    /// Neighbours that are unchoked, by number.
    pub(in crate::swarm) fn unchoked(&self) -> Vec<u32> {
        self.core.neighbours(self.now).filter(|view| view.unchoked).map(|view| view.peer.0).collect()
    }
}

pub(in crate::swarm) fn set(pieces: &[u32]) -> PieceSet {
    let mut set = PieceSet::empty(PIECES);
    pieces.iter().for_each(|&piece| assert!(set.insert(piece)));
    set
}

pub(in crate::swarm) fn leaves(leaves: &[u32]) -> LeafSet {
    let mut set = LeafSet::empty(u32::from(LEAVES));
    leaves.iter().for_each(|&leaf| assert!(set.insert(leaf)));
    set
}

pub(in crate::swarm) fn run(piece: u32, first: u16, count: u16) -> Run {
    Run { piece, first, count }
}

/// The messages among outputs that go to one neighbour.
pub(in crate::swarm) fn to(outputs: &[Output], neighbour: u32) -> Vec<Message> {
    let messages = outputs.iter().filter_map(|output| {
        let Output::Message { peer, message } = output else { return None };
        (peer.0 == neighbour).then(|| message.clone())
    });
    messages.collect()
}

/// The runs requested among outputs, and of whom.
pub(in crate::swarm) fn requests(outputs: &[Output]) -> Vec<(u32, Run)> {
    let requests = outputs.iter().filter_map(|output| {
        let Output::Message { peer, message: Message::Request { run, .. } } = output else { return None };
        Some((peer.0, *run))
    });
    requests.collect()
}

/// The runs whose serving begins among outputs, and for whom.
pub(in crate::swarm) fn served(outputs: &[Output]) -> Vec<(u32, Run)> {
    let served = outputs.iter().filter_map(|output| {
        let Output::Serve { peer, run, .. } = output else { return None };
        Some((peer.0, *run))
    });
    served.collect()
}

/// Neighbours hung up on among outputs, and why.
pub(in crate::swarm) fn hangups(outputs: &[Output]) -> Vec<(u32, crate::swarm::Reason)> {
    let hangups = outputs.iter().filter_map(|output| {
        let Output::Hangup { peer, reason } = output else { return None };
        Some((peer.0, *reason))
    });
    hangups.collect()
}
