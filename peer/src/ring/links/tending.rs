//! Keeping connections with neighbours, and letting go of those that nobody needs any more.

use std::time::Duration;

use tokio::time::Instant;

use super::Links;
use super::link::Dialled;
use crate::transport::Close;

impl Links {
    /// Dials the wanted peers that are not connected, and closes what is not needed.
    /// No more than `at_once` dials are under way because of this.
    pub(in crate::ring) fn tend(&mut self, wanted: &[u32], at_once: usize) {
        while self.tasks.try_join_next().is_some() {}
        let now = Instant::now();
        let mut dials = self.links.values().filter(|link| link.dial.is_some()).count();
        for peer in wanted {
            let link = self.links.entry(*peer).or_default();
            if dials >= at_once {
                break;
            }
            if link.open.is_empty() && link.dial.is_none() && link.rest_until.is_none_or(|until| until <= now) {
                self.dial(*peer);
                dials += 1;
            }
        }
        self.neighbours = wanted.len();
        self.connected =
            wanted.iter().filter(|peer| self.links.get(*peer).is_some_and(|it| !it.open.is_empty())).count();
        self.let_go(wanted, now);
    }

    /// Closes what was replaced, and what we dialled and nobody has used for long.
    fn let_go(&mut self, wanted: &[u32], now: Instant) {
        let mut idle: Vec<(Instant, u32)> = Vec::new();
        for (peer, link) in &mut self.links {
            for open in link.open.iter().filter(|open| open.close_at.is_some_and(|at| at <= now)) {
                Close::Duplicate.close(&open.connection);
            }
            if let Some(open) = link.open.last()
                && open.dialled == Dialled::ByUs
                && open.asked.is_empty()
                && !wanted.contains(peer)
            {
                idle.push((open.used, *peer));
            }
        }
        idle.sort_unstable();
        let too_many = idle.len().saturating_sub(OTHERS_MAX);
        for (place, (used, peer)) in idle.into_iter().enumerate() {
            if (place < too_many || now - used > IDLE_MAX)
                && let Some(open) = self.links.get(&peer).and_then(|link| link.open.last())
            {
                Close::Done.close(&open.connection);
            }
        }
    }
}

/// Connections kept beside those to neighbours. A lookup uses one after the other; dialling anew costs a round trip and a
/// half and a signature on either side.
const OTHERS_MAX: usize = 128;

/// Time without a message of ours after which such a connection is closed. Wild guess.
const IDLE_MAX: Duration = Duration::from_secs(60);
