//! The bottleneck of one direction: a queue in front of a sender with a rate.
//!
//! Packets wait here in order of arrival until the sender is free; the sender takes one train at a time and needs its
//! bits divided by the rate for it. What happens before (loss) and after (delay) does not live here.

use std::{collections::VecDeque, time::Duration};

use peerbed_proto::time::Time;

use super::{
    codel::{CoDel, Head},
    settings::Settings,
    train::{Run, Train},
};
use crate::{
    plan::{Discipline, Queue},
    units::{Rate, Size},
};

/// Queue and sender.
#[derive(Debug)]
pub(super) struct Bottleneck<P> {
    rate: Option<Rate>,
    overhead: u32,
    queue: Queue,
    codel: Option<CoDel>,
    waiting: VecDeque<Waiting<P>>,
    /// Sums over `waiting`, the bytes without overhead.
    waiting_bytes: u64,
    waiting_segments: u32,
    /// When the sender is done with the train it took last; that train's segments and its bytes with overhead.
    free_at: Time,
    sending_segments: u32,
    sending_bytes: u64,
}

/// A train in the queue.
#[derive(Debug)]
pub(super) struct Waiting<P> {
    /// The train.
    pub(super) packet: P,
    /// Its segments.
    pub(super) segments: u32,
    /// Its bytes, without overhead.
    pub(super) bytes: u64,
    /// When it arrived.
    pub(super) since: Time,
    /// Later than the delay by this many nanoseconds.
    pub(super) jitter: i64,
    /// It skips the delay.
    pub(super) overtakes: bool,
}

/// A train that the sender has taken.
pub(super) struct Taken<P> {
    /// The train as it waited.
    pub(super) train: Waiting<P>,
    /// When its first bit was sent.
    pub(super) started: Time,
    /// When its last bit has been sent.
    pub(super) finished: Time,
}

impl<P> Bottleneck<P> {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut bottleneck = Self {
            rate: None,
            overhead: 0,
            queue: settings.queue,
            codel: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_segments: 0,
            free_at: Time::ZERO,
            sending_segments: 0,
            sending_bytes: 0,
        };
        bottleneck.change(Time::ZERO, settings);
        bottleneck
    }

    /// Takes over new settings at `now`, up to which the queue must have been served. The train that is being sent
    /// keeps the time it was given; those that wait go on at the new rate.
    pub(super) fn change(&mut self, now: Time, settings: &Settings) {
        self.rate = settings.rate;
        self.overhead = settings.overhead;
        self.queue = settings.queue;
        self.free_at = self.free_at.max(now);
        self.codel = match settings.discipline {
            Discipline::DropTail => None,
            Discipline::CoDel { target, interval } => Some(CoDel::new(target.0, interval.0)),
        };
    }

    /// How many segments of a run there is room for at `now`, counted from its first.
    pub(super) fn room(&self, now: Time, train: &Train, run: &Run) -> u32 {
        if self.rate.is_none() {
            return run.count;
        }
        let unsent = self.unsent_bytes(now);
        let framing = u64::from(self.overhead) * u64::from(self.sending_segments);
        let unsent_packets = unsent.min(self.sending_bytes.saturating_sub(framing));
        let there = self.waiting_segments + if self.free_at > now { self.sending_segments } else { 0 };
        for taken in 0..run.count {
            let (segments, bytes) = (there + taken, self.waiting_bytes + train.run_bytes(run.first, taken));
            let fits = match self.queue {
                Queue::Time(span) => {
                    let ahead = self.size(bytes, self.waiting_segments + taken) + unsent;
                    self.time_for(ahead).is_some_and(|wait| wait <= span.0)
                }
                Queue::Bytes(Size(most)) => bytes + unsent_packets + train.run_bytes(run.first + taken, 1) <= most,
                Queue::Packets(most) => segments < most,
            };
            if !fits && segments > 0 {
                return taken;
            }
        }
        run.count
    }

    pub(super) fn push(&mut self, train: Waiting<P>) {
        self.waiting_bytes += train.bytes;
        self.waiting_segments += train.segments;
        self.waiting.push_back(train);
    }

    /// Lets the sender take the next train if it can have begun it by `now`. What CoDel drops is given to `drop`.
    pub(super) fn pop(&mut self, now: Time, drop: impl FnMut(Waiting<P>)) -> Option<Taken<P>> {
        let started = self.poll_timeout()?;
        if started > now {
            return None;
        }
        let train = match self.codel.take() {
            None => self.pop_head(),
            Some(mut codel) => {
                let head = || {
                    let train = self.pop_head()?;
                    Some(Head { sojourn: started - train.since, bytes_behind: self.waiting_bytes, packet: train })
                };
                let train = codel.dequeue(started, head, drop);
                self.codel = Some(codel);
                train
            }
        }?;
        self.sending_bytes = self.size(train.bytes, train.segments);
        let finished = started + self.time_for(self.sending_bytes).unwrap_or(Duration::MAX);
        self.free_at = finished;
        self.sending_segments = train.segments;
        Some(Taken { train, started, finished })
    }

    /// When the sender takes the next train; none while nothing waits or the rate is zero.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let head = self.waiting.front()?;
        (self.rate != Some(Rate(0))).then(|| self.free_at.max(head.since))
    }

    /// Whether a train would be through at the instant it arrives.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.rate.is_none() && self.waiting.is_empty() && self.free_at <= now
    }

    /// Bytes in the queue, without those being sent.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// Segments in the queue, without those being sent.
    pub(super) fn waiting_segments(&self) -> u32 {
        self.waiting_segments
    }

    fn pop_head(&mut self) -> Option<Waiting<P>> {
        let train = self.waiting.pop_front()?;
        self.waiting_bytes -= train.bytes;
        self.waiting_segments -= train.segments;
        Some(train)
    }

    /// Bytes at the rate: those of the packets and the overhead of each.
    fn size(&self, bytes: u64, segments: u32) -> u64 {
        bytes + u64::from(self.overhead) * u64::from(segments)
    }

    /// Bytes of the train being sent that are still to be sent, rounded up.
    fn unsent_bytes(&self, now: Time) -> u64 {
        let Some(Rate(rate)) = self.rate else { return 0 };
        let bits = (self.free_at - now).as_nanos() * u128::from(rate);
        // After a change to a higher rate the sender is busy for longer than its train would take now.
        u64::try_from(bits.div_ceil(8 * 1_000_000_000)).unwrap_or(u64::MAX).min(self.sending_bytes)
    }

    /// How long the sender needs for these bytes, rounded up to nanoseconds; none when it never ends.
    fn time_for(&self, bytes: u64) -> Option<Duration> {
        let Some(Rate(rate)) = self.rate else { return Some(Duration::ZERO) };
        let nanos = (u128::from(bytes) * 8 * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
        (rate > 0).then(|| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}
