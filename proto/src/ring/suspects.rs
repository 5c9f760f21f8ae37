//! Who has been found dead or silent lately, so that nobody waits for the same peer twice, and who breaks the protocol.
//!
//! A suspicion is a hint and ends as soon as the peer is heard as a member. Routing goes round everyone suspected; pointers of the ring
//! itself change only for those found dead. An offence is proof, and is not forgotten: an outlaw counts as dead for good.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::PeerId;
use crate::time::Time;

/// Peers under suspicion, each until when. At most [`SUSPECTS_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    suspects: BTreeMap<PeerId, (Time, Doubt)>,
    /// How often each broke the protocol. At most [`OFFENDERS_MAX`]; those beyond are not counted one by one.
    offences: BTreeMap<PeerId, u32>,
}

/// How sure it is that a peer is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It did not answer something once; a ping is on its way.
    Silent,
    /// It did not answer pings, or says it is no member.
    Dead,
}

/// What an offence makes of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offender {
    /// It may go on.
    Warned,
    /// That was one too many.
    Outlaw,
    /// It was one before.
    Again,
}

impl Suspects {
    /// Counts an offence.
    pub(super) fn offend(&mut self, peer: PeerId) -> Offender {
        if self.offences.len() >= OFFENDERS_MAX && !self.offences.contains_key(&peer) {
            return Offender::Warned;
        }
        let count = self.offences.entry(peer).or_default();
        *count = count.saturating_add(1);
        match *count {
            OFFENCES_MAX => Offender::Outlaw,
            more if more > OFFENCES_MAX => Offender::Again,
            _ => Offender::Warned,
        }
    }

    /// Returns whether a peer has broken the protocol too often.
    pub(super) fn is_outlaw(&self, peer: PeerId) -> bool {
        self.offences.get(&peer).is_some_and(|count| *count >= OFFENCES_MAX)
    }

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
        self.is_outlaw(peer) || self.suspects.get(&peer).is_some_and(|&(until, _)| now < until)
    }

    pub(super) fn is_dead(&self, now: Time, peer: PeerId) -> bool {
        let is_dead = |&(until, doubt): &(Time, Doubt)| now < until && doubt == Doubt::Dead;
        self.is_outlaw(peer) || self.suspects.get(&peer).is_some_and(is_dead)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.suspects.is_empty() && self.offences.is_empty()
    }
}

/// Offences after which a peer is an outlaw. A message mangled on its way would not get through QUIC, so one is proof
/// enough; the others are for our own mistakes.
const OFFENCES_MAX: u32 = 5;

/// Peers whose offences are counted.
const OFFENDERS_MAX: usize = 1024;

/// Most suspicions kept. Four lists of the longest length; wild guess.
const SUSPECTS_MAX: usize = 256;
