//! What must hold of a swarm core at every step, checked by looking at its outputs and its public state only.

use std::collections::BTreeSet;

use crate::id::PeerId;
use crate::swarm::{Message, Output, Run, Swarm};
use crate::time::Time;

/// Watches one core: shown every output in order, it panics when an invariant is broken.
#[derive(Debug, Default)]
pub struct Watch {
    unchoked: BTreeSet<PeerId>,
    serving: BTreeSet<(PeerId, Run)>,
    asked: BTreeSet<(PeerId, Run)>,
    stored: BTreeSet<(u32, u16)>,
}

impl Watch {
    /// Looks at an output before it is carried out. `slots` is how many neighbours may be unchoked.
    ///
    /// # Panics
    /// When the core breaks an invariant.
    pub fn look(&mut self, core: &Swarm, slots: usize, output: &Output) {
        match output {
            Output::Message { peer, message: Message::Unchoke } => {
                assert!(self.unchoked.insert(*peer), "{peer} is unchoked twice");
                assert!(self.unchoked.len() <= slots, "{:?} are unchoked, {slots} may be", self.unchoked);
            }
            Output::Message { peer, message: Message::Choke } => {
                assert!(self.unchoked.remove(peer), "{peer} is choked twice");
            }
            Output::Message { peer, message: Message::Request { run, .. } } => {
                assert!(run.lies_within(core.manifest()), "{run:?} is requested and does not exist");
                assert!(self.asked.insert((*peer, *run)), "{run:?} is asked of {peer} twice");
            }
            Output::Message { peer, message: Message::Cancel { run } } => {
                assert!(self.asked.remove(&(*peer, *run)), "{run:?} is cancelled and was not asked of {peer}");
            }
            Output::Message {
                message: Message::Hello { .. } | Message::Have { .. } | Message::Partial { .. }, ..
            }
            | Output::Message { message: Message::Started { .. } | Message::Reject { .. }, .. }
            | Output::Message {
                message: Message::Interested | Message::NotInterested | Message::Peers { .. }, ..
            }
            | Output::Introduce { .. } => {}
            Output::Serve { peer, run, .. } => {
                assert!(self.unchoked.contains(peer), "a run is begun for {peer}, which is choked");
                self.serving.insert((*peer, *run));
            }
            Output::StopServing { peer, run } => {
                self.serving.remove(&(*peer, *run));
            }
            Output::Store { piece, leaf, .. } => {
                assert!(self.stored.insert((*piece, *leaf)), "leaf {leaf} of piece {piece} is stored twice");
            }
            Output::Hangup { peer, .. } => self.forget(*peer),
            Output::Dial { .. } | Output::StopReceiving { .. } | Output::Event(_) => {}
        }
    }

    /// Looks at the core after all its outputs were taken.
    ///
    /// # Panics
    /// When the core breaks an invariant.
    pub fn look_at(&self, core: &Swarm, now: Time) {
        for view in core.neighbours(now) {
            assert_eq!(view.unchoked, self.unchoked.contains(&view.peer), "{view:?} differs from what was said");
            assert!(view.queued <= QUEUE_MAX && view.requested <= QUEUE_MAX, "queues are limited: {view:?}");
            assert!(view.unchoked || view.queued == 0, "requests of a choked neighbour wait: {view:?}");
        }
        let progress = core.progress();
        assert!(progress.bytes <= progress.bytes_total && progress.pieces <= progress.pieces_total);
        assert_eq!(core.is_complete(), progress.bytes == progress.bytes_total);
        if core.is_complete() {
            assert!(core.neighbours(now).all(|view| view.requested == 0), "a complete peer waits for runs");
        }
    }

    /// A request is answered, in whatever way.
    pub fn answered(&mut self, peer: PeerId, run: Run) {
        self.asked.remove(&(peer, run));
    }

    /// A neighbour is gone.
    pub fn forget(&mut self, peer: PeerId) {
        self.unchoked.remove(&peer);
        self.serving.retain(|(other, _)| *other != peer);
        self.asked.retain(|(other, _)| *other != peer);
    }
}

/// Runs a neighbour may have queued, either way.
const QUEUE_MAX: usize = 64;
