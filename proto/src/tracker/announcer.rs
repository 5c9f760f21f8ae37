//! The tracker client's core: when a peer announces itself, and what it says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Announce, AnnounceEvent, AnnounceReply, Entry};
use crate::content::ContentId;
use crate::random::Random;
use crate::time::{Time, seconds};

/// Decides when to announce: at the start, every interval, on completion, on leaving; failures are retried.
///
/// One announce is under way at a time: after [`AnnouncerOutput::Announce`] the driver calls `handle_reply` or
/// `handle_failure`, once.
#[derive(Debug)]
pub struct Announcer {
    content: ContentId,
    options: AnnouncerOptions,
    random: Random,
    complete: bool,
    /// What the next announce says.
    next: Option<AnnounceEvent>,
    /// When it is sent; it waits for the one under way.
    due: Time,
    under_way: Option<AnnounceEvent>,
    interval: Duration,
    failures: u32,
    state: State,
    outputs: std::collections::VecDeque<AnnouncerOutput>,
    stats: AnnouncerStats,
}

/// What the announcer asks of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnnouncerOutput {
    /// Send this to the tracker and report the reply or the failure.
    Announce(Announce),
    /// Peers to give to `Swarm::handle_neighbours`; their addresses are for the driver's dialling.
    Peers(Vec<Entry>),
    /// After `handle_leave`: the tracker knows, or could not be told.
    Left,
}

/// ```text
///            handle_leave            answered, failed, or nothing was ever said
/// Member ─────────────────▶ Leaving ───────────────────────────────────────────▶ Gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Member,
    Leaving,
    Gone,
}

impl Announcer {
    /// Starts announcing at once. `complete` tells whether the whole content is there already; `seed` is the run's.
    #[must_use]
    pub fn new(content: ContentId, complete: bool, options: AnnouncerOptions, seed: u64, now: Time) -> Self {
        let mut announcer = Self {
            content,
            random: Random::new(seed, "announcer"),
            complete,
            next: Some(AnnounceEvent::Started),
            due: now,
            under_way: None,
            interval: options.retry_max,
            options,
            failures: 0,
            state: State::Member,
            outputs: std::collections::VecDeque::new(),
            stats: AnnouncerStats::default(),
        };
        announcer.send_if_due(now);
        announcer
    }

    /// The tracker answered the announce under way.
    pub fn handle_reply(&mut self, now: Time, reply: AnnounceReply) {
        if self.under_way.take().is_none() {
            return;
        }
        self.stats.replies += 1;
        self.failures = 0;
        self.interval = reply.interval.clamp(self.options.retry_min, INTERVAL_MAX);
        match self.state {
            State::Member => {
                if !reply.peers.is_empty() {
                    self.outputs.push_back(AnnouncerOutput::Peers(reply.peers));
                }
                if self.next.is_none() {
                    self.next = Some(AnnounceEvent::Update);
                    self.due = now + self.interval;
                }
                self.send_if_due(now);
            }
            State::Leaving if self.next.is_some() => self.send_if_due(now),
            State::Leaving => self.be_gone(),
            State::Gone => {}
        }
    }

    /// The announce under way got no answer.
    pub fn handle_failure(&mut self, now: Time) {
        let Some(event) = self.under_way.take() else { return };
        self.stats.failures += 1;
        match self.state {
            State::Member => {
                self.failures += 1;
                self.next = Some(self.next.unwrap_or(event));
                if event == AnnounceEvent::Started {
                    self.next = Some(AnnounceEvent::Started);
                }
                self.due = now + self.backoff();
            }
            State::Leaving if self.next.is_some() => self.send_if_due(now),
            State::Leaving => self.be_gone(),
            State::Gone => {}
        }
    }

    /// The whole content is there now.
    pub fn handle_completed(&mut self, now: Time) {
        if self.complete || self.state != State::Member {
            return;
        }
        self.complete = true;
        if self.next != Some(AnnounceEvent::Started) {
            self.next = Some(AnnounceEvent::Completed);
            self.due = now;
            self.send_if_due(now);
        }
    }

    /// Tell the tracker that we leave; answered by [`AnnouncerOutput::Left`].
    pub fn handle_leave(&mut self, now: Time) {
        if self.state != State::Member {
            return;
        }
        self.state = State::Leaving;
        if self.stats.replies == 0 && self.under_way.is_none() {
            self.be_gone();
            return;
        }
        self.next = Some(AnnounceEvent::Stopped);
        self.due = now;
        self.send_if_due(now);
    }

    /// The deadline of [`Announcer::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        self.send_if_due(now);
    }

    /// Takes the next thing to do.
    pub fn poll_output(&mut self) -> Option<AnnouncerOutput> {
        self.outputs.pop_front()
    }

    /// When the next announce is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let waits = self.next.is_some() && self.under_way.is_none();
        waits.then_some((self.due, "the next announce is due"))
    }

    /// What this announcer has counted.
    #[must_use]
    pub fn stats(&self) -> AnnouncerStats {
        self.stats
    }

    fn send_if_due(&mut self, now: Time) {
        if self.under_way.is_some() || now < self.due {
            return;
        }
        let Some(event) = self.next.take() else { return };
        self.under_way = Some(event);
        self.stats.announces += 1;
        let want = if event == AnnounceEvent::Stopped { 0 } else { self.options.want };
        let announce = Announce { content: self.content, event, complete: self.complete, want };
        self.outputs.push_back(AnnouncerOutput::Announce(announce));
    }

    /// Doubles from `retry_min` up to `retry_max`, and spreads by a quarter so that peers do not return in step.
    fn backoff(&mut self) -> Duration {
        let doubled = self.options.retry_min.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        doubled.min(self.options.retry_max).mul_f64(0.75 + 0.5 * self.random.fraction())
    }

    fn be_gone(&mut self) {
        self.state = State::Gone;
        self.next = None;
        self.outputs.push_back(AnnouncerOutput::Left);
    }
}

/// What can be set about announcing. In JSON, durations are numbers of seconds and every field may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnnouncerOptions {
    /// How many peers to ask for. Default 50, as common clients.
    pub want: u16,
    /// Wait after the first failure; doubles with each. Default 500 ms.
    #[serde(with = "seconds")]
    pub retry_min: Duration,
    /// Longest wait after a failure. Default 15 s.
    #[serde(with = "seconds")]
    pub retry_max: Duration,
}

impl Default for AnnouncerOptions {
    fn default() -> Self {
        Self { want: 50, retry_min: Duration::from_millis(500), retry_max: Duration::from_secs(15) }
    }
}

/// Counters of an announcer; each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnnouncerStats {
    /// Announces sent.
    pub announces: u64,
    /// Announces answered.
    pub replies: u64,
    /// Announces that got no answer.
    pub failures: u64,
}

/// A tracker that asks for longer is not believed.
const INTERVAL_MAX: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests;
