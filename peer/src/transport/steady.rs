//! A congestion controller for thin links that lose packets by chance: its window follows what the path delivers.
//!
//! After the model of BBR (Cardwell and others, 2016): a path is its best recent rate of delivery and its shortest recent
//! round trip, and what may be in flight is a small multiple of their product. There are no phases in which a rate is
//! probed: the window is larger than what the path was seen to hold, so that more gets through where there is more, and a
//! peer's own shaped interface does the pacing. Loss says nothing up to [`LOSS_BY_CHANCE`]; more is congestion.
//!
//! Alone it is too little where acknowledgements wait in an uplink that others fill: a seed of 20 Mbit/s whose ten neighbours
//! upload themselves was idle for a tenth of its time. [`greater`](super::greater) therefore takes it as a floor to CUBIC.
//!
//! It knows nothing of connections; `congestion` hands it to quinn.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

/// Makes [`Steady`] controllers.
#[derive(Debug)]
pub(super) struct SteadyConfig {
    /// Bytes in flight until something is known of the path.
    pub(super) initial_window: u64,
}

impl ControllerFactory for SteadyConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Steady::new(self.initial_window, now, current_mtu))
    }
}

/// What is known of one path.
#[derive(Clone, Debug)]
struct Steady {
    initial_window: u64,
    mtu: u64,
    /// Packets on their way, oldest first; at most [`REMEMBERED_MAX`].
    sent: VecDeque<Sent>,
    /// Bytes acknowledged so far, and when the last of them were.
    delivered: u64,
    delivered_at: Instant,
    /// When the packet was sent that was acknowledged last.
    acknowledged_sent: Instant,
    /// The best rates by round, falling; the first is the best of the last [`ROUNDS`].
    best: VecDeque<(u64, f64)>,
    /// The shortest time from sending to acknowledgement, and when it was seen.
    shortest: Option<(Duration, Instant)>,
    round: u64,
    /// The round ends when a packet is acknowledged that was sent after so many bytes had been delivered.
    round_ends: u64,
    /// What was delivered when the round began, and lost since.
    round_began: u64,
    round_lost: u64,
    /// Share of the window that is used, less than 1 after congestion.
    caution: f64,
}

/// A packet on its way, and what had been delivered when it was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    acknowledged_sent: Instant,
}

impl Steady {
    fn new(initial_window: u64, now: Instant, mtu: u16) -> Self {
        Self {
            initial_window,
            mtu: mtu.into(),
            sent: VecDeque::new(),
            delivered: 0,
            delivered_at: now,
            acknowledged_sent: now,
            best: VecDeque::new(),
            shortest: None,
            round: 0,
            round_ends: 0,
            round_began: 0,
            round_lost: 0,
            caution: 1.0,
        }
    }

    /// What was noted of a packet sent at `at`. Earlier ones are forgotten: should they be acknowledged yet, they say nothing
    /// about the rate.
    fn take(&mut self, at: Instant) -> Option<Sent> {
        while self.sent.front().is_some_and(|sent| sent.at < at) {
            self.sent.pop_front();
        }
        self.sent.pop_front_if(|sent| sent.at == at)
    }

    fn on_acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool) {
        self.delivered += bytes;
        self.delivered_at = now;
        self.learn_round_trip(now, now - sent);
        self.acknowledged_sent = sent;
        let Some(sent) = self.take(sent) else { return };
        if sent.delivered >= self.round_ends {
            self.end_round();
        }
        // Acknowledgements come in bunches; nothing was delivered faster than it was sent.
        let span = (now - sent.delivered_at).max(sent.at.saturating_duration_since(sent.acknowledged_sent));
        if !span.is_zero() {
            let rate = (self.delivered - sent.delivered) as f64 / span.as_secs_f64();
            self.learn_rate(rate, app_limited);
        }
    }

    fn learn_round_trip(&mut self, now: Instant, took: Duration) {
        match self.shortest {
            Some((shortest, seen)) if took > shortest && now - seen < ROUND_TRIP_WINDOW => {}
            _ => self.shortest = Some((took, now)),
        }
    }

    /// Takes in a rate; one that the sender's lack of data held down counts only if it is better
    /// than one that was not.
    fn learn_rate(&mut self, rate: f64, limited: bool) {
        if limited && self.best.front().is_none_or(|&(_, best)| rate < best) {
            return;
        }
        while self.best.back().is_some_and(|&(_, other)| other <= rate) {
            self.best.pop_back();
        }
        self.best.push_back((self.round, rate));
        while self.best.front().is_some_and(|&(round, _)| round + ROUNDS < self.round) {
            self.best.pop_front();
        }
    }

    fn end_round(&mut self) {
        self.round += 1;
        self.round_ends = self.delivered;
        let delivered = self.delivered - self.round_began;
        let lost = self.round_lost as f64 / ((self.round_lost + delivered) as f64).max(1.0);
        self.caution = if lost > LOSS_BY_CHANCE && self.round_lost > FEW_PACKETS * self.mtu {
            (self.caution * CONGESTED).max(CAUTION_MIN)
        } else {
            (self.caution * CALM).min(1.0)
        };
        self.round_began = self.delivered;
        self.round_lost = 0;
    }
}

impl Controller for Steady {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        if self.sent.is_empty() {
            // Time in which nothing was on its way says nothing about the path.
            self.delivered_at = self.delivered_at.max(now);
            self.acknowledged_sent = now;
        }
        if self.sent.len() == REMEMBERED_MAX {
            self.sent.pop_front();
        }
        let (delivered, delivered_at) = (self.delivered, self.delivered_at);
        self.sent.push_back(Sent { at: now, delivered, delivered_at, acknowledged_sent: self.acknowledged_sent });
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, _rtt: &RttEstimator) {
        self.on_acknowledged(now, sent, bytes, app_limited);
    }

    fn on_congestion_event(&mut self, _now: Instant, _sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.round_lost += lost_bytes;
        if is_persistent_congestion {
            self.caution = self.caution.min(CAUTION_AFTER_SILENCE);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
    }

    fn window(&self) -> u64 {
        let (Some((shortest, _)), Some(&(_, rate))) = (self.shortest, self.best.front()) else {
            return self.initial_window;
        };
        let packets = |count: u64| (count * self.mtu) as f64;
        let on_path = rate * (GAIN * shortest).as_secs_f64();
        let held_back = (rate * HELD_BACK.as_secs_f64()).min(packets(HELD_BACK_PACKETS));
        let stalled = rate * STALL.as_secs_f64();
        let window = (on_path + held_back.max(stalled) + packets(SLACK_PACKETS)) * self.caution;
        (window as u64).max(WINDOW_MIN * self.mtu)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.initial_window
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// In flight is up to twice what the path was seen to hold, as in BBR: enough to double the rate each round where there
/// is room, and to go on while what was lost is found missing.
const GAIN: u32 = 2;

/// Time that receivers hold acknowledgements back, which is no part of the path's own; our peers' default.
const HELD_BACK: Duration = Duration::from_millis(50);

/// Packets that receivers take in before they acknowledge at once; our peers' default.
const HELD_BACK_PACKETS: u64 = 10;

/// Time for which a process may not get to run, on fast paths longer than what receivers hold back. Wild guess.
const STALL: Duration = Duration::from_millis(10);

/// Packets in flight on top: one being sent, one next.
const SLACK_PACKETS: u64 = 2;

/// Packets that may be in flight in any case: four, so that the loss of one is noticed by those after it.
const WINDOW_MIN: u64 = 4;

/// Rounds for which a best rate counts; BBR's value.
const ROUNDS: u64 = 10;

/// Time for which a shortest round trip counts; BBR's value.
const ROUND_TRIP_WINDOW: Duration = Duration::from_secs(10);

/// Share of a round's bytes that may be lost without being taken for congestion. Two links that lose 5 % each lose 10 %,
/// and a round has so few packets that twice that share is common.
const LOSS_BY_CHANCE: f64 = 0.25;

/// So few packets lost in a round are never taken for congestion.
const FEW_PACKETS: u64 = 4;

/// Least share of the window used after congestion.
const CAUTION_MIN: f64 = 0.125;

/// Share of the window used when nothing came through for long, as after a cut: what was known of the path may hold again.
const CAUTION_AFTER_SILENCE: f64 = 0.5;

/// By how much less of the window is used after a round with congestion; CUBIC's factor.
const CONGESTED: f64 = 0.7;

/// How fast the whole window is used again: by this factor each round without congestion, so that a queue which is too short
/// for the whole window overflows in few rounds only.
const CALM: f64 = 1.05;

/// Packets remembered: at 1 Gbit/s those of 50 ms. What is forgotten is acknowledged without saying anything.
const REMEMBERED_MAX: usize = 4_096;

#[cfg(test)]
mod tests;
