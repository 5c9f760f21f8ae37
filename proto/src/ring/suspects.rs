//! Who has been found dead or silent lately, so that nobody waits for the same peer twice.
//!
//! A suspicion is a hint and ends as soon as the peer is heard as a member. Routing goes round everyone suspected; pointers of the ring
//! itself change only for those found dead.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::PeerId;
use crate::time::Time;

/// Peers under suspicion, each until when. At most [`SUSPECTS_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    suspects: BTreeMap<PeerId, (Time, Doubt)>,
}

/// How sure it is that a peer is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It did not answer something once; a ping is on its way.
    Silent,
    /// It did not answer pings, or says it is no member.
    Dead,
}

impl Suspects {
    /// Remembers a suspicion. At the limit the one that ends first is forgotten.
    pub(super) fn insert(&mut self, now: Time, peer: PeerId, lasting: Duration, doubt: Doubt) {
        if self.suspects.len() >= SUSPECTS_MAX
            && let Some(first) = self.suspects.iter().min_by_key(|(_, (until, _))| *until).map(|(peer, _)| *peer)
        {
            self.suspects.remove(&first);
        }
        self.suspects.insert(peer, (now + lasting, doubt));
    }

    /// Forgets a suspicion: the peer was heard.
    pub(super) fn clear(&mut self, peer: PeerId) {
        self.suspects.remove(&peer);
    }

    pub(super) fn contains(&self, now: Time, peer: PeerId) -> bool {
        self.suspects.get(&peer).is_some_and(|&(until, _)| now < until)
    }

    pub(super) fn is_dead(&self, now: Time, peer: PeerId) -> bool {
        self.suspects.get(&peer).is_some_and(|&(until, doubt)| now < until && doubt == Doubt::Dead)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.suspects.is_empty()
    }
}

/// Most suspicions kept. Four lists of the longest length; wild guess.
const SUSPECTS_MAX: usize = 256;
