//! How long to wait for an answer: measured round trips, mean plus four deviations (Jacobson 1988, RFC 6298).
//!
//! Rhea et al. (USENIX 2004) found fixed timeouts to more than double a DHT's latency under churn.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::Patience;
use crate::id::PeerId;

/// Round trips to each peer, and to all peers together for those not met yet. At most [`PEERS_MAX`] peers.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundTrips {
    peers: BTreeMap<PeerId, RoundTrip>,
    everyone: Option<RoundTrip>,
}

impl RoundTrips {
    /// Takes a measured round trip in. At the limit all peers are forgotten and measured anew; the mean over everyone
    /// bridges the gap.
    pub(super) fn record(&mut self, peer: PeerId, measured: Duration) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            self.peers.clear();
        }
        self.peers.entry(peer).and_modify(|known| known.update(measured)).or_insert_with(|| RoundTrip::first(measured));
        match &mut self.everyone {
            Some(everyone) => everyone.update(measured),
            none => *none = Some(RoundTrip::first(measured)),
        }
    }

    /// Returns how long to wait for the answer of a peer.
    pub(super) fn patience(&self, peer: PeerId, patience: &Patience) -> Duration {
        let known = self.peers.get(&peer).or(self.everyone.as_ref());
        let wait = known.map_or(patience.initial, |known| known.mean + 4 * known.deviation);
        wait.clamp(patience.floor, patience.ceiling)
    }

    /// Returns the mean round trip to a peer, if it was measured.
    pub(super) fn mean(&self, peer: PeerId) -> Option<Duration> {
        self.peers.get(&peer).map(|known| known.mean)
    }
}

#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    mean: Duration,
    deviation: Duration,
}

impl RoundTrip {
    fn first(measured: Duration) -> Self {
        Self { mean: measured, deviation: measured / 2 }
    }

    /// RFC 6298 section 2.3, alpha 1/8 and beta 1/4.
    fn update(&mut self, measured: Duration) {
        let off = self.mean.abs_diff(measured);
        self.deviation = (3 * self.deviation + off) / 4;
        self.mean = (7 * self.mean + measured) / 8;
    }
}

/// Most peers measured one by one: neighbours and the peers lookups met lately. Wild guess.
const PEERS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        initial: Duration::from_secs(1),
        floor: Duration::from_millis(10),
        ceiling: Duration::from_secs(5),
        attempts: 2,
    };

    #[test]
    fn strangers_get_the_initial_time_and_later_what_everyone_needs() {
        let mut trips = RoundTrips::default();
        assert_eq!(trips.patience(PeerId(1), &PATIENCE), Duration::from_secs(1));
        trips.record(PeerId(2), Duration::from_millis(40));
        assert_eq!(trips.patience(PeerId(1), &PATIENCE), Duration::from_millis(120));
    }

    #[test]
    fn a_steady_round_trip_brings_the_time_down_to_it_but_not_below_the_floor() {
        let mut trips = RoundTrips::default();
        (0..100).for_each(|_| trips.record(PeerId(2), Duration::from_millis(40)));
        let patience = trips.patience(PeerId(2), &PATIENCE);
        assert!((40..=41).contains(&patience.as_millis()), "{patience:?}");
        (0..200).for_each(|_| trips.record(PeerId(2), Duration::from_millis(1)));
        assert_eq!(trips.patience(PeerId(2), &PATIENCE), PATIENCE.floor);
    }
}
