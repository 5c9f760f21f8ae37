//! How many messages one peer may send in a second before the rest is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::PeerId;
use crate::time::Time;

/// Counts of the second under way. At most [`PEERS_MAX`] peers; those beyond share one count.
#[derive(Clone, Debug, Default)]
pub(super) struct Flood {
    since: Time,
    counts: BTreeMap<PeerId, u32>,
    others: u32,
}

impl Flood {
    /// Counts a message and says whether it is one too many.
    pub(super) fn is_over(&mut self, now: Time, from: PeerId, limit: u32) -> bool {
        if now - self.since >= Duration::from_secs(1) {
            self.since = now;
            self.counts.clear();
            self.others = 0;
        }
        let has_room = self.counts.len() < PEERS_MAX || self.counts.contains_key(&from);
        let count = if has_room { self.counts.entry(from).or_default() } else { &mut self.others };
        *count = count.saturating_add(1);
        *count > limit
    }
}

/// Peers counted one by one within a second. Wild guess.
const PEERS_MAX: usize = 1024;
