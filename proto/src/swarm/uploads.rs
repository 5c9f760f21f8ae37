//! Serving: requests wait here in a queue per neighbour, and few runs are under way at a time, so that chokes, cancels and
//! turns take effect soon while the uplink never waits.

use std::collections::VecDeque;
use std::time::Duration;

use super::downloads::RUNS_QUEUED_MAX;
use super::options::Options;
use super::rate::RateMeter;
use super::run::Run;
use super::timer::Timer;
use super::{LayerWish, Message, Output, Reason, ServeLayer, Swarm};
use crate::content::LEAF;
use crate::id::PeerId;
use crate::time::Time;

/// What one neighbour gets from us.
#[derive(Debug)]
pub(super) struct Uploads {
    /// Requests not begun, oldest first; at most [`RUNS_QUEUED_MAX`].
    queue: VecDeque<(Run, LayerWish)>,
    /// Runs given to the transport and not confirmed.
    serving: Vec<Serving>,
    /// The turn in which it was last served.
    turn: u64,
    /// Since when it has been unchoked with nothing queued and nothing under way.
    pub(super) idle_since: Option<Time>,
    /// Payload begun since it was unchoked, in bytes.
    pub(super) this_turn: u64,
    /// Payload begun since it came, in bytes.
    pub(super) begun: u64,
    /// Requests refused since the last choke round.
    pub(super) strikes: u32,
    /// Over the ranking's window.
    ranking: RateMeter,
    /// The uplink to this neighbour by itself.
    path: Path,
}

/// A run under way.
#[derive(Clone, Copy, Debug)]
struct Serving {
    run: Run,
    bytes: u64,
    begun: Time,
}

/// How much may be under way on a path, from what was seen of it: its best recent rate, times a little more than the
/// shortest time a run took (so that a long path is filled, and its rate can grow) and a time we choose on top. A run is
/// confirmed a round trip after it has left us, and later if some of it was lost; the time on top is our own queue, which
/// must not run empty meanwhile.
///
/// The shortest time is seen only where little else is under way. When none has been seen for long, as little as possible
/// is put under way until one run begun since has come through; else our own queue would be taken for the path's length.
#[derive(Debug)]
pub(super) struct Path {
    meter: RateMeter,
    /// The shortest time from begin to confirmation, and when it was seen.
    shortest: Option<(Duration, Time)>,
    /// Since when we have been looking for the shortest time again.
    probing: Option<Time>,
}

impl Path {
    pub(super) fn new() -> Self {
        Self { meter: RateMeter::new(PATH_WINDOW), shortest: None, probing: None }
    }

    fn on_sent(&mut self, now: Time, bytes: u64, begun: Time) {
        self.meter.add(now, bytes);
        let took = now - begun;
        let probed = self.probing.is_some_and(|since| begun >= since);
        match self.shortest {
            Some((shortest, seen)) if took > shortest && !probed => {
                if self.probing.is_none() && now - seen >= PATH_WINDOW {
                    self.probing = Some(now);
                }
            }
            _ => {
                self.shortest = Some((took, now));
                self.probing = None;
            }
        }
    }

    /// In bytes; `None` while nothing is known, 0 for as little as possible. `queue` is the time on top.
    fn window(&self, now: Time, queue: Duration) -> Option<u64> {
        let span = self.span(queue)?;
        if self.probing.is_some() {
            return Some(0);
        }
        Some((self.meter.peak(now) * span.as_secs_f64()) as u64)
    }

    /// How long a run begun on a full window takes; `None` while nothing is known.
    fn span(&self, queue: Duration) -> Option<Duration> {
        let (shortest, _) = self.shortest?;
        Some(shortest.mul_f64(PATH_GAIN) + queue)
    }

    /// A run unconfirmed for this long has left our queue: what it waits for is that loss is mended, or that its receiver
    /// takes it.
    fn late(&self, queue: Duration) -> Duration {
        self.span(queue).map_or(STUCK, |span| span.mul_f64(LATE).min(STUCK))
    }
}

impl Uploads {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            queue: VecDeque::new(),
            serving: Vec::new(),
            turn: 0,
            idle_since: None,
            this_turn: 0,
            begun: 0,
            strikes: 0,
            ranking: RateMeter::new(options.rate_window),
            path: Path::new(),
        }
    }

    /// Payload bytes per second over the ranking's window.
    pub(super) fn rate(&self, now: Time) -> f64 {
        self.ranking.rate(now)
    }

    /// How many requests wait.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many runs are under way.
    pub(super) fn under_way(&self) -> usize {
        self.serving.len()
    }

    fn has_room(&self, options: &Options, now: Time) -> bool {
        if self.serving.len() < RUNS_UNDER_WAY {
            return true;
        }
        let bytes: u64 = self.serving.iter().map(|serving| serving.bytes).sum();
        let window = self.path.window(now, options.upload_window).unwrap_or(0);
        self.serving.len() < RUNS_UNDER_WAY_MAX && bytes < window.min(UNDER_WAY_MAX)
    }

    /// Bytes under way that were begun less than so long ago.
    fn begun_within(&self, now: Time, time: Duration) -> u64 {
        self.serving.iter().filter(|serving| now - serving.begun < time).map(|serving| serving.bytes).sum()
    }
}

impl Swarm {
    pub(super) fn on_request(&mut self, now: Time, peer: PeerId, run: Run, layer: LayerWish) {
        self.stats.requests_received += 1;
        if !run.lies_within(&self.manifest) {
            return self.drop_peer(now, peer, Reason::OutOfRange);
        }
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let unchoked = neighbour.is_unchoked();
        let uploads = &mut neighbour.uploads;
        let refused = if !unchoked {
            &mut self.stats.rejected_choked
        } else if uploads.queue.len() >= RUNS_QUEUED_MAX {
            &mut self.stats.rejected_full
        } else if !self.pieces.has_run(run) {
            &mut self.stats.rejected_missing
        } else {
            uploads.queue.push_back((run, layer));
            uploads.idle_since = None;
            return self.note_asked(now, peer, run);
        };
        *refused += 1;
        uploads.strikes += 1;
        if uploads.strikes >= STRIKES_MAX {
            return self.drop_peer(now, peer, Reason::Flood);
        }
        self.send(peer, Message::Reject { run });
    }

    pub(super) fn on_cancel(&mut self, now: Time, peer: PeerId, run: Run) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let uploads = &mut neighbour.uploads;
        if let Some(at) = uploads.queue.iter().position(|&(queued, _)| queued == run) {
            uploads.queue.remove(at);
        } else if let Some(at) = uploads.serving.iter().position(|serving| serving.run == run) {
            uploads.serving.remove(at);
            self.stats.runs_stopped += 1;
            self.outputs.push_back(Output::StopServing { peer, run });
        }
        self.note_idle(now, peer);
    }

    /// A run's stream is over, well or badly.
    pub(super) fn on_run_ended(&mut self, now: Time, peer: PeerId, run: Run, sent: Option<u64>) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let uploads = &mut neighbour.uploads;
        let Some(at) = uploads.serving.iter().position(|serving| serving.run == run) else { return };
        let serving = uploads.serving.remove(at);
        match sent {
            Some(bytes) => {
                uploads.ranking.add(now, bytes);
                uploads.path.on_sent(now, bytes, serving.begun);
                self.uplink.on_sent(now, bytes, serving.begun);
                self.stats.uploaded_bytes += bytes;
            }
            None => self.stats.runs_stopped += 1,
        }
        self.note_idle(now, peer);
    }

    /// Refuses everything a neighbour waits for that is not begun.
    pub(super) fn refuse_queued(&mut self, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let queue = std::mem::take(&mut neighbour.uploads.queue);
        for (run, _) in queue {
            self.stats.rejected_choked += 1;
            self.send(peer, Message::Reject { run });
        }
    }

    /// Begins runs while there is room, each time for the neighbour whose turn is longest ago.
    pub(super) fn serve(&mut self, now: Time) {
        while self.uplink_has_room(now) {
            let ready = self.neighbours.iter().filter(|(_, neighbour)| {
                !neighbour.uploads.queue.is_empty() && neighbour.uploads.has_room(&self.options, now)
            });
            let Some((_, peer)) = ready.map(|(&peer, neighbour)| (neighbour.uploads.turn, peer)).min() else { return };
            self.begin_run(now, peer);
        }
        // Runs that get stuck make room without anything happening.
        let waits = self.neighbours.values().any(|neighbour| !neighbour.uploads.queue.is_empty());
        if waits {
            self.timers.set_earlier(Timer::IdleSlot, now + STUCK / 4);
        }
    }

    /// Whether the uplink could take another run.
    pub(super) fn uplink_has_room(&self, now: Time) -> bool {
        let Some(window) = self.uplink.window(now, self.options.upload_window) else { return true };
        let within =
            |time| -> u64 { self.neighbours.values().map(|neighbour| neighbour.uploads.begun_within(now, time)).sum() };
        let window = window.max(WINDOW_MIN);
        let moving = within(self.uplink.late(self.options.upload_window));
        // Late runs keep nobody waiting, but no more of them than another window: perhaps it is the uplink that is slow.
        moving < window && within(STUCK) < 2 * window
    }

    fn begin_run(&mut self, now: Time, peer: PeerId) {
        self.turn += 1;
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        neighbour.uploads.turn = self.turn;
        let Some((run, wish)) = neighbour.uploads.queue.pop_front() else { return };
        let bytes = run.bytes(&self.manifest);
        neighbour.uploads.serving.push(Serving { run, bytes, begun: now });
        neighbour.uploads.this_turn += bytes;
        neighbour.uploads.begun += bytes;
        let layer = match (wish, self.pieces.layer(run.piece)) {
            (LayerWish::Omit, _) => ServeLayer::Omit,
            (LayerWish::Send, Some(layer)) => ServeLayer::Attach(layer),
            (LayerWish::Send, None) => ServeLayer::Compute,
        };
        self.stats.runs_served += 1;
        self.note_sent(run);
        self.outputs.push_back(Output::Serve { peer, run, layer });
        self.end_turn(now, peer);
    }

    fn note_idle(&mut self, now: Time, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let uploads = &neighbour.uploads;
        if neighbour.is_unchoked() && uploads.queue.is_empty() && uploads.serving.is_empty() {
            neighbour.uploads.idle_since = Some(now);
            self.timers.set_earlier(Timer::IdleSlot, now);
        }
    }
}

/// Runs under way to one neighbour whatever its rate: the next one starts without waiting for the confirmation of the last.
const RUNS_UNDER_WAY: usize = 2;

/// Most runs under way to one neighbour, which is how many run streams of one sender a receiver sees open at a time.
pub const RUNS_UNDER_WAY_MAX: usize = 16;

/// Most payload under way to one neighbour, in bytes.
const UNDER_WAY_MAX: u64 = 4 * 1024 * 1024;

/// The uplink's window never falls below three leaves: one being sent, one on its way, one next.
const WINDOW_MIN: u64 = 3 * LEAF as u64;

/// How much more than the path holds is put under way, so that its rate can grow; BBR probes with the same factor.
const PATH_GAIN: f64 = 1.25;

/// How long a path's best rate and shortest time are remembered.
const PATH_WINDOW: Duration = Duration::from_secs(10);

/// A run is late when it has taken longer than one on a full window by this factor.
const LATE: f64 = 1.5;

/// A run unconfirmed for this long does not count as using the uplink, however many there are.
const STUCK: Duration = Duration::from_secs(2);

/// Requests refused within one choke round at which a neighbour is dropped. A correct one has at most
/// [`RUNS_QUEUED_MAX`] under way when it is choked, and that happens a few times per round at most.
const STRIKES_MAX: u32 = 8 * RUNS_QUEUED_MAX as u32;

#[cfg(test)]
mod tests;
