//! What the swarm core counts.

use std::collections::BTreeMap;

use crate::id::PeerId;

/// Counters of one swarm; each only grows. The doc comments are the help texts of the exported metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Payload bytes of leaves that passed their hash and were new.
    pub downloaded_bytes: u64,
    /// Payload bytes of runs whose receipt was confirmed.
    pub uploaded_bytes: u64,
    /// Payload bytes received in vain: leaves already there, unasked for, or failing their hash.
    pub wasted_bytes: u64,
    /// Leaves that passed their hash and were new.
    pub leaves: u64,
    /// Leaves that were already there when they arrived.
    pub duplicate_leaves: u64,
    /// Leaves nobody had asked for when they arrived.
    pub unsolicited_leaves: u64,
    /// Leaves that failed their hash.
    pub bad_leaves: u64,
    /// Layers of leaf hashes that failed their root.
    pub bad_layers: u64,
    /// Runs requested from neighbours.
    pub requests_sent: u64,
    /// Runs neighbours refused or cut short.
    pub requests_refused: u64,
    /// Runs cancelled because their leaves came from elsewhere or the neighbour was too slow.
    pub requests_cancelled: u64,
    /// Leaves asked of a second neighbour because the first was slow.
    pub leaves_stolen: u64,
    /// Times a neighbour was snubbed.
    pub snubs: u64,
    /// Runs requested by neighbours.
    pub requests_received: u64,
    /// Requests rejected because the neighbour was choked.
    pub rejected_choked: u64,
    /// Requests rejected because the neighbour's queue was full.
    pub rejected_full: u64,
    /// Requests rejected because we lack a leaf of the run.
    pub rejected_missing: u64,
    /// Runs whose serving was begun.
    pub runs_served: u64,
    /// Runs whose serving ended before all was confirmed.
    pub runs_stopped: u64,
    /// Choke rounds.
    pub choke_rounds: u64,
    /// Unchokes sent.
    pub unchokes: u64,
    /// Chokes sent.
    pub chokes: u64,
    /// Optimistic choices made.
    pub optimistic_unchokes: u64,
    /// Connections to neighbours made.
    pub connections: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Connections refused because there were enough neighbours.
    pub refused_full: u64,
    /// Connections refused because of an earlier offence.
    pub refused_banned: u64,
    /// Neighbours dropped for an offence.
    pub peers_dropped: u64,
    /// Peers that neighbours were told of.
    pub introductions_sent: u64,
    /// Peers that neighbours told us of.
    pub introductions_received: u64,
    /// Peers that neighbours told us of too often, or although we take part in no exchange.
    pub introductions_ignored: u64,
    /// Messages and announcements ignored because a table's limit was reached.
    pub ignored_limit: u64,
}

/// What came from one peer, over all connections to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Payload bytes of leaves that passed their hash and were new.
    pub useful_bytes: u64,
    /// Payload bytes received in vain.
    pub wasted_bytes: u64,
}

/// What came from each peer. At most [`SENDERS_MAX`] are told apart; what comes from others is counted as from peer 0,
/// whom no plan has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Senders(BTreeMap<PeerId, Received>);

impl Senders {
    pub(super) fn of(&mut self, peer: PeerId) -> &mut Received {
        let known = self.0.len() < SENDERS_MAX || self.0.contains_key(&peer);
        self.0.entry(if known { peer } else { PeerId(0) }).or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerId, Received)> + '_ {
        self.0.iter().map(|(&peer, &received)| (peer, received))
    }
}

/// Most peers whose bytes are counted one by one: more than a peer meets in a run.
const SENDERS_MAX: usize = 1_024;
