//! Peers that come one after another: who comes when.

use std::time::Duration;

use peerbed_proto::{PeerId, Random};
use serde::{Deserialize, Serialize};

use super::lifetimes::Law;
use crate::{topology, units::Span};

/// Peers that are brought up over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// What they do when they have come.
    pub into: Entrance,
    /// Who comes when, in order of time.
    pub peers: Vec<Arrival>,
}

/// What a peer does that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entrance {
    /// Its process is up, and takes part in nothing yet.
    Start,
    /// It enters every running distribution addressed to it, with what it has on disk.
    Join,
}

/// One peer's coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// Who.
    pub peer: PeerId,
    /// How long after the step's begin.
    pub after: Span,
}

impl Arrivals {
    /// Draws when each of `peers` comes. The same seed and step give the same times.
    pub(super) fn draw(into: Entrance, peers: &[PeerId], how: topology::Arrivals, seed: u64, step: usize) -> Self {
        let mut random = Random::new(seed, &format!("step {step} arrivals"));
        let mut at = Duration::ZERO;
        let mut next = |index: usize| match how {
            topology::Arrivals::Even(gap) => gap.0.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX)),
            topology::Arrivals::Poisson(mean) => {
                at += exponential(mean, &mut random);
                at
            }
            topology::Arrivals::FlashCrowd(mean) => exponential(mean, &mut random),
        };
        let arrive = |(index, peer): (usize, &PeerId)| Arrival { peer: *peer, after: Span::of_drawn(next(index)) };
        let mut peers: Vec<Arrival> = peers.iter().enumerate().map(arrive).collect();
        peers.sort_by_key(|arrival| (arrival.after, arrival.peer));
        Self { into, peers }
    }

    /// How long the last one lets wait for itself.
    #[must_use]
    pub fn length(&self) -> Span {
        self.peers.last().map_or(Span::default(), |last| last.after)
    }

    /// Whether `peer` comes, and enters distributions then.
    #[must_use]
    pub fn joins(&self, peer: PeerId) -> bool {
        self.into == Entrance::Join && self.peers.iter().any(|arrival| arrival.peer == peer)
    }

    /// Everybody who comes, in order of time.
    #[must_use]
    pub fn everybody(&self) -> Vec<PeerId> {
        self.peers.iter().map(|arrival| arrival.peer).collect()
    }
}

/// A time of an exponential distribution, at most twenty times its mean (beyond that lies one in 500 million).
fn exponential(mean: Span, random: &mut Random) -> Duration {
    mean.0.mul_f64(Law::Exponential.draw(random).min(20.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: Span = Span(Duration::from_secs(2));

    #[test]
    fn even_arrivals_are_as_far_apart_as_they_say_from_the_first_moment_on() {
        assert_eq!(seconds(&draw(topology::Arrivals::Even(MEAN), 4, 1)), [0.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn gaps_of_a_poisson_process_have_their_mean_and_are_as_often_below_it_as_they_should() {
        let times = seconds(&draw(topology::Arrivals::Poisson(MEAN), 20_000, 7));
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        // One standard error of the mean of 20 000 gaps is 0.7 % of it.
        assert!((1.93..2.07).contains(&mean), "{mean}");
        let below = gaps.iter().filter(|gap| **gap < 2.0).count() as f64 / gaps.len() as f64;
        assert!((0.61..0.65).contains(&below), "1 - 1/e is 0.632, not {below}");
    }

    #[test]
    fn half_of_a_flash_crowd_is_there_after_the_median_of_its_exponential() {
        let times = seconds(&draw(topology::Arrivals::FlashCrowd(MEAN), 20_000, 7));
        let median = times[10_000];
        assert!((1.33..1.44).contains(&median), "2 ln 2 is 1.386, not {median}");
        assert!(times.is_sorted());
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let how = topology::Arrivals::Poisson(MEAN);
        assert_eq!(draw(how, 30, 1), draw(how, 30, 1));
        assert_ne!(draw(how, 30, 1), draw(how, 30, 2));
    }

    fn draw(how: topology::Arrivals, count: u32, seed: u64) -> Arrivals {
        Arrivals::draw(Entrance::Join, &(1..=count).map(PeerId).collect::<Vec<_>>(), how, seed, 0)
    }

    fn seconds(arrivals: &Arrivals) -> Vec<f64> {
        arrivals.peers.iter().map(|arrival| arrival.after.seconds()).collect()
    }
}
