//! How a distribution gets over faults: when everybody makes progress again, and when what was lost is regained.
//!
//! A fault is what the scenario does to participants or to the network under way: a crash, peers that leave, a pause, a
//! partition, a change of links. The invariant is that every leecher makes progress. So a distribution has recovered
//! once every leecher that was left incomplete has got another piece, or is gone itself. What a crash or a leaving takes
//! away is regained once the participants together have as many pieces again as everybody had before it.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_proto::{PeerId, Time};

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The word for the step: `crash`, `leave`, `pause`, `partition` or `link`.
    pub kind: &'static str,
    /// To whom; nobody in particular where the network changed.
    pub peers: Vec<PeerId>,
    /// When its step began.
    pub at: Time,
    /// When the last leecher made progress again; none as long as one has not.
    pub recovered: Option<Time>,
    /// When what was lost was there again; none as long as it is not, and where nothing was lost.
    pub regained: Option<Time>,
    /// Leechers that have got nothing since.
    waiting: BTreeSet<PeerId>,
    /// Pieces that leechers had together before, where some were taken away.
    before: Option<u64>,
}

/// The faults of one distribution, in order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Something happens at `at`. `waiting` are the incomplete leechers that it leaves; `before` is what all leechers have
    /// together, where it takes some of them away.
    pub(super) fn begin(
        &mut self,
        kind: &'static str,
        peers: Vec<PeerId>,
        at: Time,
        waiting: BTreeSet<PeerId>,
        before: Option<u64>,
    ) {
        let recovered = waiting.is_empty().then_some(at);
        self.0.push(Fault { kind, peers, at, recovered, regained: None, waiting, before });
    }

    /// A leecher has got something at `at`, and all that are there have so many pieces together.
    pub(super) fn on_piece(&mut self, at: Time, peer: PeerId, together: u64) {
        for fault in self.0.iter_mut().filter(|fault| fault.at <= at) {
            if fault.waiting.remove(&peer) && fault.waiting.is_empty() {
                fault.recovered = Some(at);
            }
        }
        self.on_together(at, together);
    }

    /// All leechers that are there have so many pieces together.
    pub(super) fn on_together(&mut self, at: Time, together: u64) {
        for fault in self.0.iter_mut().filter(|fault| fault.at <= at) {
            if fault.regained.is_none() && fault.before.is_some_and(|before| together >= before) {
                fault.regained = Some(at);
            }
        }
    }

    /// A leecher is gone, and nobody waits for its progress.
    pub(super) fn on_gone(&mut self, at: Time, peer: PeerId) {
        for fault in &mut self.0 {
            if fault.waiting.remove(&peer) && fault.waiting.is_empty() {
                fault.recovered = Some(at.max(fault.at));
            }
        }
    }

    pub(super) fn all(&self) -> &[Fault] {
        &self.0
    }
}

/// Which pieces each peer is known to have.
#[derive(Clone, Debug, Default)]
pub(super) struct Holdings(BTreeMap<PeerId, BTreeSet<u32>>);

impl Holdings {
    /// A peer has one more.
    pub(super) fn add(&mut self, peer: PeerId, piece: u32) {
        self.0.entry(peer).or_default().insert(piece);
    }

    /// A peer has all of so many.
    pub(super) fn fill(&mut self, peer: PeerId, pieces: u32) {
        self.0.insert(peer, (0..pieces).collect());
    }

    /// A peer that came back has none of what it had: its disk is as good as new.
    pub(super) fn clear(&mut self, peer: PeerId) {
        self.0.remove(&peer);
    }

    pub(super) fn of(&self, peer: PeerId) -> impl Iterator<Item = u32> + '_ {
        self.0.get(&peer).into_iter().flatten().copied()
    }

    /// The pieces out of so many that `peer` lacks.
    pub(super) fn lacking(&self, peer: PeerId, pieces: u32) -> Vec<u32> {
        let held = self.0.get(&peer);
        (0..pieces).filter(|piece| held.is_none_or(|held| !held.contains(piece))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fault_is_over_when_the_last_leecher_has_got_another_piece() {
        let mut faults = Faults::default();
        faults.begin("crash", vec![PeerId(4)], at(10), [PeerId(2), PeerId(3)].into(), Some(9));
        faults.on_piece(at(11), PeerId(2), 7);
        faults.on_piece(at(12), PeerId(2), 8);
        assert_eq!((faults.all()[0].recovered, faults.all()[0].regained), (None, None));
        faults.on_piece(at(13), PeerId(3), 9);
        assert_eq!((faults.all()[0].recovered, faults.all()[0].regained), (Some(at(13)), Some(at(13))));
    }

    #[test]
    fn nobody_waits_for_the_progress_of_who_is_gone() {
        let mut faults = Faults::default();
        faults.begin("pause", Vec::new(), at(10), [PeerId(2), PeerId(3)].into(), None);
        faults.on_piece(at(11), PeerId(2), 7);
        faults.on_gone(at(12), PeerId(3));
        assert_eq!((faults.all()[0].recovered, faults.all()[0].regained), (Some(at(12)), None));
    }

    #[test]
    fn pieces_from_before_a_fault_are_no_recovery_from_it() {
        let mut faults = Faults::default();
        faults.begin("crash", vec![PeerId(4)], at(10), [PeerId(2)].into(), None);
        // Reported late: the peer's own clock says when it was.
        faults.on_piece(at(9), PeerId(2), 7);
        assert_eq!(faults.all()[0].recovered, None);
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }
}
