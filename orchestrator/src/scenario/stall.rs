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
    pub(super) fn stall(&self, distribution: usize, now: Time) -> Option<Stall> {
        let due = self.stall_deadline(distribution)?;
        if now < due {
            return None;
        }
        let missing = self.missing(distribution);
        let state = &self.distributions[distribution];
        let required = self.required(distribution);
        let incomplete = required.into_iter().filter(|peer| !state.has_completed(*peer));
        let lacking: Vec<(PeerId, Vec<u32>)> = incomplete.map(|peer| (peer, state.lacking(peer))).collect();
        (!missing.is_empty() && !lacking.is_empty()).then(|| Stall { at: now, since: due.into_since(), missing, lacking })
    }

    /// When the distribution with this index has to be looked at: nothing has arrived for long. None while it need not.
    pub(super) fn stall_deadline(&self, distribution: usize) -> Option<Time> {
        let state = &self.distributions[distribution];
        let is_ours = state.spec().program.is_none() && state.phase() == Phase::Running;
        // A file without pieces lacks none, and a distribution whose pieces are all there goes on by itself.
        let may_stall = is_ours && state.pieces() > 0 && !self.missing(distribution).is_empty();
        may_stall.then(|| state.last_gain() + STALL_AFTER)
    }

    /// Pieces that nobody has who takes part or will come back.
    fn missing(&self, distribution: usize) -> Vec<u32> {
        let state = &self.distributions[distribution];
        let (spec, pieces) = (state.spec(), state.pieces());
        let is_here = |peer: &&PeerId| state.takes_part(**peer) || self.is_awaited(distribution, **peer);
        if spec.from.iter().any(|peer| is_here(&peer)) {
            return Vec::new();
        }
        let mut there = BTreeSet::new();
        if spec.via == Via::Swarm {
            spec.to.iter().filter(is_here).for_each(|peer| there.extend(state.held(*peer)));
        }
        (0..pieces).filter(|piece| !there.contains(piece)).collect()
    }
}

/// Time without any arrival after which a distribution with lost pieces counts as stalled. Choke rounds are 10 s apart, and
/// a neighbour that keeps somebody waiting is given up after 20 s: whoever has a leaf that another one lacks has had every
/// occasion by then.
const STALL_AFTER: Duration = Duration::from_secs(25);
