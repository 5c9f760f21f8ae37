//! The model of one direction of a link: which packets come through, and when.
//!
//! No I/O, clock or bytes live here. An engine says when a train arrived and how long it is, and is told when which
//! part of it arrives at the far end. Same seed and same arrivals give the same fates. The way of a packet:
//!
//! ```text
//! arrival ─▶ loss ─▶ duplicate, corrupt ─▶ queue ─▶ rate ─▶ delay ± jitter ─▶ far end
//!             │                             │ │                  ▲
//!             ▼                        full ▼ ▼ CoDel            └ reorder skips the delay
//! ```
//!
//! Loss comes before the rate, as in netem: lost packets take no time on the link, so a saturated link delivers its
//! rate whatever is lost. Trains stay whole where nothing falls inside: they are cut at a segment that is lost, copied,
//! corrupted or reordered, where the queue becomes full, and into runs of at most
//! [`TRAIN_TIME_MAX`](settings::TRAIN_TIME_MAX) at the rate.

use std::{collections::VecDeque, time::Duration};

use peerbed_proto::time::Time;

mod bottleneck;
mod codel;
pub mod counters;
mod dice;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod train;

use bottleneck::{Bottleneck, Waiting};
use counters::Counters;
use dice::{Dice, Fate};
use settings::Settings;
use train::{Mark, Run, Train};

use crate::{
    plan::{LinkState, Order},
    units::Share,
};

/// One direction of a link; `P` is whatever the engine needs to find a packet again.
///
/// Call [`handle_train`](Self::handle_train) and [`handle_timeout`](Self::handle_timeout) with times that never go
/// back, drain [`poll_output`](Self::poll_output) after each, and call `handle_timeout` no later than the first effect
/// of the instant that [`poll_timeout`](Self::poll_timeout) tells: the model reckons with that instant, not with the
/// time of the call.
#[derive(Debug)]
pub struct Emulation<P> {
    settings: Settings,
    dice: Dice,
    bottleneck: Bottleneck<P>,
    /// Arrival of the latest packet that may not be overtaken.
    last_arrival: Time,
    outputs: VecDeque<Output<P>>,
    counters: Counters,
}

/// What the model asks of its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<P> {
    /// The packet reaches the far end of this direction at that instant, which may still be to come.
    Arrives {
        /// The packet.
        packet: P,
        /// When.
        at: Time,
    },
    /// The packet was dropped after it had been taken; what it holds can be used again.
    Dropped {
        /// The packet.
        packet: P,
    },
}

impl<P> Emulation<P> {
    /// Makes a direction whose fates follow from `seed`.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            dice: Dice::new(&settings, seed),
            bottleneck: Bottleneck::new(&settings),
            last_arrival: Time::ZERO,
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Replaces the settings at `now`. The train being sent and what is under way keep the old figures; what waits
    /// gets the new ones, and is not dropped even if it would no longer fit.
    pub fn change(&mut self, now: Time, settings: Settings) {
        self.handle_timeout(now);
        self.settings = settings;
        self.dice.change(&settings);
        self.bottleneck.change(now, &settings);
        self.handle_timeout(now);
    }

    /// Counts a train and says that it is at the far end already, whole, if this direction does nothing to it.
    ///
    /// Spares an engine to hold a packet that leaves at once. Where it returns [`Passage::Held`] nothing was counted,
    /// and [`handle_train`](Self::handle_train) must be called.
    pub fn handle_passing(&mut self, now: Time, train: &Train) -> Passage {
        let settings = &self.settings;
        let at_once = settings.state == LinkState::Up
            && settings.delay.is_zero()
            && settings.jitter.amount.0.is_zero()
            && self.last_arrival <= now;
        if !at_once || !self.dice.is_idle() || !self.bottleneck.is_open(now) {
            return Passage::Held;
        }
        self.counters.offered.add(train);
        self.counters.left.add(train);
        Passage::Through
    }

    /// Decides what becomes of a train that arrives at `now`.
    ///
    /// `take` is called for each run of it that goes on, in order, and cuts the run out. If it returns none, there is
    /// no memory for it, and the run is dropped and counted.
    pub fn handle_train(&mut self, now: Time, train: &Train, mut take: impl FnMut(Run) -> Option<P>) {
        self.handle_timeout(now);
        self.counters.offered.add(train);
        if self.settings.state == LinkState::Down {
            self.counters.dropped_down += u64::from(train.segments);
            return;
        }
        let together = self.settings.run_max(train.segment_bytes);
        let alone = self.dice.is_idle();
        let mut plain = Run { first: 0, count: 0, mark: Mark::Plain };
        for segment in 0..train.segments {
            let fate = if alone { Fate::default() } else { self.dice.roll() };
            if plain.count > 0 && (plain.count == together || !fate.is_plain()) {
                self.enqueue(now, train, plain, Fate::default(), &mut take);
                plain.count = 0;
            }
            if fate.is_plain() {
                plain.first = segment - plain.count;
                plain.count += 1;
            } else {
                self.handle_marked(now, train, segment, fate, &mut take);
            }
        }
        if plain.count > 0 {
            self.enqueue(now, train, plain, Fate::default(), &mut take);
        }
    }

    /// Moves the bottleneck on to `now`.
    pub fn handle_timeout(&mut self, now: Time) {
        let (outputs, counters) = (&mut self.outputs, &mut self.counters);
        while let Some(taken) = self.bottleneck.pop(now, |dropped| {
            counters.dropped_codel += u64::from(dropped.segments);
            outputs.push_back(Output::Dropped { packet: dropped.packet });
        }) {
            let train = taken.train;
            counters.left.add_packets(train.segments, train.bytes);
            if self.settings.rate.is_some() {
                counters.record_queue_time(taken.started - train.since, train.segments);
            }
            let at = if train.overtakes {
                taken.finished
            } else {
                let at = taken.finished + shifted(self.settings.delay, train.jitter);
                let at = if self.settings.jitter.order == Order::Kept { at.max(self.last_arrival) } else { at };
                self.last_arrival = self.last_arrival.max(at);
                at
            };
            outputs.push_back(Output::Arrives { packet: train.packet, at });
        }
    }

    /// Returns the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    /// When the next packet begins to be sent. Nothing else happens by itself.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.bottleneck.poll_timeout().map(|at| (at, "the bottleneck is free"))
    }

    /// Least time between an arrival, or an instant of [`poll_timeout`](Self::poll_timeout), and its first effect: an
    /// engine may be late by so much and nobody sees it.
    #[must_use]
    pub fn lead(&self) -> Duration {
        if self.settings.reorder == Share(0) { self.settings.delay_min() } else { Duration::ZERO }
    }

    /// What this direction does.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it has done.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes that wait at the bottleneck, without those being sent.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.bottleneck.waiting_bytes()
    }

    /// Packets that wait at the bottleneck, without those being sent.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.bottleneck.waiting_segments()
    }

    /// A segment that something befalls, which therefore goes alone.
    fn handle_marked(
        &mut self,
        now: Time,
        train: &Train,
        segment: u32,
        fate: Fate,
        take: &mut impl FnMut(Run) -> Option<P>,
    ) {
        if fate.lost {
            self.counters.dropped_loss += 1;
            return;
        }
        self.counters.reordered += u64::from(fate.overtakes);
        self.counters.corrupted += u64::from(fate.corrupted.is_some());
        // The copy goes first, so that an engine may give away the original when it is asked for it.
        if fate.duplicated {
            self.counters.duplicated += 1;
            self.enqueue(now, train, Run { first: segment, count: 1, mark: Mark::Copy }, fate, take);
        }
        let mark = fate.corrupted.map_or(Mark::Plain, Mark::Corrupted);
        self.enqueue(now, train, Run { first: segment, count: 1, mark }, fate, take);
    }

    /// Puts a run into the queue, or as much of it as there is room for.
    fn enqueue(&mut self, now: Time, train: &Train, mut run: Run, fate: Fate, take: &mut impl FnMut(Run) -> Option<P>) {
        let jitter = self.dice.roll_jitter();
        let room = self.bottleneck.room(now, train, &run);
        self.counters.dropped_queue += u64::from(run.count - room);
        if room == 0 {
            return;
        }
        run.count = room;
        let Some(packet) = take(run) else {
            self.counters.dropped_memory += u64::from(run.count);
            return;
        };
        let bytes = train.run_bytes(run.first, run.count);
        let overtakes = fate.overtakes;
        self.bottleneck.push(Waiting { packet, segments: run.count, bytes, since: now, jitter, overtakes });
        self.handle_timeout(now);
    }
}

/// Whether a train needs to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It is at the far end.
    Through,
    /// The direction does something to it.
    Held,
}

/// The delay moved by some nanoseconds, but never below zero.
fn shifted(delay: Duration, nanos: i64) -> Duration {
    let amount = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { delay.saturating_sub(amount) } else { delay.saturating_add(amount) }
}
