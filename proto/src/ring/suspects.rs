//! Who has been found dead lately, so that nobody waits for the same dead peer twice.
//!
//! A suspicion is a hint for routing and for lists received from others. It is dropped as soon as the peer is heard.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::PeerId;
use crate::time::Time;

/// Peers found dead, each until when that is believed. At most [`SUSPECTS_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    until: BTreeMap<PeerId, Time>,
}

impl Suspects {
    /// Remembers a death. At the limit the suspicion that ends first is forgotten.
    pub(super) fn insert(&mut self, now: Time, peer: PeerId, lasting: Duration) {
        if self.until.len() >= SUSPECTS_MAX
            && let Some(first) = self.until.iter().min_by_key(|&(_, until)| *until).map(|(peer, _)| *peer)
        {
            self.until.remove(&first);
        }
        self.until.insert(peer, now + lasting);
    }

    /// Forgets a suspicion: the peer was heard.
    pub(super) fn clear(&mut self, peer: PeerId) {
        self.until.remove(&peer);
    }

    pub(super) fn contains(&self, now: Time, peer: PeerId) -> bool {
        self.until.get(&peer).is_some_and(|&until| now < until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }
}

/// Most suspicions kept. Four lists of the longest length; wild guess.
const SUSPECTS_MAX: usize = 256;
