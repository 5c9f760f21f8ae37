//! What befalls each packet at random, drawn from the link's seed alone.
//!
//! Every kind of misfortune has a stream of its own, from which each packet takes its draw. So whether the n-th packet is
//! lost depends on the seed and n: not on time, on how packets travel in trains, or on what else is switched on.

use std::time::Duration;

use peerbed_proto::random::Random;

use super::settings::{DEVIATIONS_MAX, Settings};
use crate::{
    plan::{Jitter, Loss, Shape},
    units::Share,
};

/// The random part of one direction.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    loss: LossProcess,
    reorder: Coin,
    duplicate: Coin,
    corrupt: Coin,
    jitter: Jitter,
    jitter_stream: Random,
}

/// What befalls one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// It is lost, and nothing else matters.
    pub(super) lost: bool,
    /// It overtakes its predecessors.
    pub(super) overtakes: bool,
    /// It is sent twice.
    pub(super) duplicated: bool,
    /// One of its bits is flipped, which one follows from this number.
    pub(super) corrupted: Option<u64>,
}

/// Independent losses, or Gilbert's model of bursts: good and bad times alternate, and all packets of a bad time are lost.
#[derive(Clone, Debug)]
struct LossProcess {
    loss: Loss,
    bad: bool,
    stream: Random,
}

/// A coin that falls on one side with a given probability.
#[derive(Clone, Debug)]
struct Coin {
    share: Share,
    stream: Random,
}

impl Dice {
    pub(super) fn new(settings: &Settings, seed: u64) -> Self {
        let coin = |share, purpose| Coin { share, stream: Random::new(seed, purpose) };
        let mut loss = LossProcess { loss: settings.loss, bad: false, stream: Random::new(seed, "link loss") };
        loss.start();
        Self {
            loss,
            reorder: coin(settings.reorder, "link reorder"),
            duplicate: coin(settings.duplicate, "link duplicate"),
            corrupt: coin(settings.corrupt, "link corrupt"),
            jitter: settings.jitter,
            jitter_stream: Random::new(seed, "link jitter"),
        }
    }

    /// Takes over new settings. The streams go on where they are; bursts begin anew only where loss itself has changed.
    pub(super) fn change(&mut self, settings: &Settings) {
        if self.loss.loss != settings.loss {
            self.loss.loss = settings.loss;
            self.loss.start();
        }
        self.reorder.share = settings.reorder;
        self.duplicate.share = settings.duplicate;
        self.corrupt.share = settings.corrupt;
        self.jitter = settings.jitter;
    }

    /// Draws the fate of the next packet.
    pub(super) fn roll(&mut self) -> Fate {
        Fate {
            lost: self.loss.roll(),
            overtakes: self.reorder.roll(),
            duplicated: self.duplicate.roll(),
            corrupted: self.corrupt.roll().then(|| self.corrupt.stream.bits()),
        }
    }

    /// Draws how many nanoseconds the next packet is later than the delay, or earlier where negative.
    pub(super) fn roll_jitter(&mut self) -> i64 {
        if self.jitter.amount.0.is_zero() {
            return 0;
        }
        let deviation = match self.jitter.shape {
            Shape::Uniform => 2.0 * self.jitter_stream.fraction() - 1.0,
            Shape::Normal => normal(&mut self.jitter_stream),
            Shape::Pareto => pareto(&mut self.jitter_stream),
        };
        // The cast saturates, and a plan's longest span is far below the range.
        (nanos(self.jitter.amount.0) * deviation.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX)) as i64
    }

    /// Whether fates need not be drawn, because nothing befalls any packet.
    pub(super) fn is_idle(&self) -> bool {
        [self.loss.loss.average, self.reorder.share, self.duplicate.share, self.corrupt.share] == [Share(0); 4]
    }
}

impl Fate {
    /// Whether the packet may stay in a train with its neighbours.
    pub(super) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl LossProcess {
    /// Begins in the bad state as often as it is found there in the long run.
    fn start(&mut self) {
        self.bad = self.loss.burst > 1 && self.stream.fraction() < self.loss.average.fraction();
    }

    fn roll(&mut self) -> bool {
        if self.loss.average == Share(0) {
            return false;
        }
        let average = self.loss.average.fraction();
        if self.loss.burst <= 1 || self.loss.average >= Share::WHOLE {
            return self.stream.fraction() < average;
        }
        let lost = self.bad;
        let recover = 1.0 / f64::from(self.loss.burst);
        // Good times must be this short for bad ones to make up the average. An average above burst / (burst + 1) is
        // out of reach: good times cannot be shorter than one packet.
        let fail = (recover * average / (1.0 - average)).min(1.0);
        let turn = if self.bad { recover } else { fail };
        if self.stream.fraction() < turn {
            self.bad = !self.bad;
        }
        lost
    }
}

impl Coin {
    fn roll(&mut self) -> bool {
        self.share != Share(0) && self.stream.fraction() < self.share.fraction()
    }
}

/// A draw with mean 0 and standard deviation 1 (Box and Muller's transform).
fn normal(stream: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - stream.fraction()).ln()).sqrt();
    radius * (std::f64::consts::TAU * stream.fraction()).cos()
}

/// A draw with mean 0 and standard deviation 1: Pareto's distribution from 1 on with shape 3 has 3/2 and √3/2.
fn pareto(stream: &mut Random) -> f64 {
    let value = (1.0 - stream.fraction()).powf(-1.0 / 3.0);
    (value - 1.5) / (3.0_f64.sqrt() / 2.0)
}

fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}
