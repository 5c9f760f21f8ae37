//! Distributions that cannot complete any more: pieces that nobody has who is there or will come back.
//!
//! Whole pieces are what the scenario knows of. Two peers may have the leaves of a piece between them and complete it
//! together, so that a distribution counts as stalled only when besides nothing at all arrives anywhere for a while.

use std::{collections::BTreeSet, time::Duration};

use peerbed_proto::{PeerId, Time};

use super::{Phase, Scenario};
use crate::plan::Via;

/// Why a distribution was given up, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When it was noticed.
    pub at: Time,
    /// When something last arrived anywhere.
    pub since: Time,
    /// Pieces that nobody has who is there or will come back.
    pub missing: Vec<u32>,
    /// Every required peer that is incomplete, with the pieces that it lacks.
    pub lacking: Vec<(PeerId, Vec<u32>)>,
}

impl Scenario {
    /// Why the distribution with this index can go no further; none as long as it may.
    pub(super) fn stall(&mut self, distribution: usize, now: Time) -> Option<Stall> {
        if now < self.stall_deadline(distribution)? {
            return None;
        }
        self.distributions[distribution].look_again_from(now);
        let missing = self.missing(distribution);
        let state = &self.distributions[distribution];
        let required = self.required(distribution);
        let incomplete = required.into_iter().filter(|peer| !state.has_completed(*peer));
        let lacking: Vec<(PeerId, Vec<u32>)> = incomplete.map(|peer| (peer, state.lacking(peer))).collect();
        (!missing.is_empty() && !lacking.is_empty()).then(|| Stall {
            at: now,
            since: state.last_gain(),
            missing,
            lacking,
        })
    }

    /// When the distribution with this index has to be looked at next: nothing has arrived for long. None while there is
    /// somebody who has everything from the start.
    pub(super) fn stall_deadline(&self, distribution: usize) -> Option<Time> {
        let state = &self.distributions[distribution];
        let may_stall = state.spec().program.is_none()
            && state.phase() == Phase::Running
            && !state.spec().from.iter().any(|peer| self.is_or_will_be_there(distribution, *peer));
        may_stall.then(|| state.last_look() + STALL_AFTER)
    }

    fn is_or_will_be_there(&self, distribution: usize, peer: PeerId) -> bool {
        self.distributions[distribution].takes_part(peer) || self.is_awaited(distribution, peer)
    }

    /// Pieces that nobody has who takes part or will come back, where nobody has everything from the start.
    fn missing(&self, distribution: usize) -> Vec<u32> {
        let state = &self.distributions[distribution];
        let (spec, pieces) = (state.spec(), state.pieces());
        let mut there = BTreeSet::new();
        if spec.via == Via::Swarm {
            let here = spec.to.iter().filter(|peer| self.is_or_will_be_there(distribution, **peer));
            here.for_each(|peer| there.extend(state.held(*peer)));
        }
        (0..pieces).filter(|piece| !there.contains(piece)).collect()
    }
}

/// Time without any arrival after which a distribution with lost pieces counts as stalled. Choke rounds are 10 s apart, and
/// a neighbour that keeps somebody waiting is given up after 20 s: whoever has a leaf that another one lacks has had every
/// occasion by then.
const STALL_AFTER: Duration = Duration::from_secs(25);
