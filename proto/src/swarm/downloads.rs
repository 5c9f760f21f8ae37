//! What one neighbour owes us: the runs it was asked for, how fast they come, and how many to ask for ahead.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::options::Options;
use super::rate::RateMeter;
use super::run::Run;
use crate::content::{LEAF, Manifest};
use crate::time::Time;

/// What we fetch from one neighbour.
#[derive(Debug)]
pub(super) struct Downloads {
    /// Runs asked for, in that order; at most [`RUNS_QUEUED_MAX`].
    pub(super) requested: VecDeque<Requested>,
    /// Payload of `requested` that has not come, in bytes.
    pub(super) pending: u64,
    /// When it last sent what we asked for, or got a request while it had none.
    pub(super) heard: Time,
    /// Whether it kept us waiting too long and has sent nothing since.
    pub(super) snubbed: bool,
    /// Over the ranking's window.
    ranking: RateMeter,
    /// Over a short window, for how much to ask for.
    pub(super) recent: RateMeter,
    /// Known to the transport; zero until told.
    pub(super) round_trip: Duration,
    /// How much it shall have queued, in bytes; follows how long requests take.
    depth: u64,
    /// The shortest time from request to answer.
    shortest: Duration,
    /// Leaves we gave up on that may still come.
    pub(super) forgiven: u32,
    /// Leaves nobody asked for, beyond the forgiven ones.
    pub(super) unsolicited: u32,
    /// Runs it refused although it let us request, and silences, since it last sent something.
    pub(super) broken: u32,
}

/// A run we wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requested {
    pub(super) run: Run,
    /// How many of its leaves have come; they come in order.
    pub(super) got: u16,
    pub(super) at: Time,
}

impl Downloads {
    pub(super) fn new(options: &Options, now: Time) -> Self {
        Self {
            requested: VecDeque::new(),
            pending: 0,
            heard: now,
            snubbed: false,
            ranking: RateMeter::new(options.rate_window),
            recent: RateMeter::new(RECENT),
            round_trip: Duration::ZERO,
            depth: 0,
            shortest: Duration::MAX,
            forgiven: 0,
            unsolicited: 0,
            broken: 0,
        }
    }

    /// Payload bytes per second over the ranking's window; nothing for a neighbour that snubs us.
    pub(super) fn merit(&self, now: Time) -> f64 {
        if self.snubbed { 0.0 } else { self.ranking.rate(now) }
    }

    /// The runs we wait for, for tests and invariants.
    pub(super) fn waiting_for(&self) -> impl Iterator<Item = Run> + '_ {
        self.requested.iter().map(|requested| requested.run)
    }

    /// Notes a run asked for.
    pub(super) fn ask(&mut self, now: Time, run: Run, bytes: u64) {
        if self.requested.is_empty() {
            self.heard = now;
        }
        self.requested.push_back(Requested { run, got: 0, at: now });
        self.pending += bytes;
    }

    /// Crosses off a leaf that came; whether it was owed decides what it means.
    pub(super) fn cross_off(&mut self, now: Time, piece: u32, leaf: u16, bytes: u64, options: &Options) -> Owed {
        let owes = |requested: &Requested| requested.run.piece == piece && requested.run.first + requested.got == leaf;
        let Some(at) = self.requested.iter().position(owes) else { return Owed::No };
        let requested = &mut self.requested[at];
        requested.got += 1;
        let took = now - requested.at;
        if requested.got == requested.run.count {
            self.requested.remove(at);
        }
        self.pending = self.pending.saturating_sub(bytes);
        self.learn(took, bytes, options);
        self.ranking.add(now, bytes);
        self.recent.add(now, bytes);
        self.heard = now;
        self.snubbed = false;
        self.broken = 0;
        Owed::Since(took)
    }

    /// Gives up on a run; returns it with how much of it has come, if it was owed.
    pub(super) fn give_up(&mut self, run: Run, manifest: &Manifest) -> Option<Requested> {
        let at = self.requested.iter().position(|requested| requested.run == run)?;
        let requested = self.requested.remove(at)?;
        self.forgiven += u32::from(run.count - requested.got);
        let left: u64 = requested.left().map(|leaf| u64::from(manifest.leaf_len(run.piece, leaf))).sum();
        self.pending = self.pending.saturating_sub(left);
        Some(requested)
    }

    /// How many leaves the next run may have: what comes in the run length of the options.
    pub(super) fn leaves_per_run(&self, options: &Options, now: Time) -> u16 {
        let bytes = self.recent.rate(now) * options.run_length.as_secs_f64();
        ((bytes / f64::from(LEAF)) as u16).max(1)
    }

    /// Whether it shall be asked for more.
    pub(super) fn has_room(&self) -> bool {
        let runs = if self.snubbed { 1 } else { RUNS_AHEAD };
        if self.requested.len() < runs {
            return true;
        }
        !self.snubbed && self.requested.len() < RUNS_QUEUED_MAX && self.pending < self.depth
    }

    /// Learns from an answer: asks for more ahead while answers come soon, for less when they take long.
    ///
    /// In balance the queue at the neighbour lasts one round trip and the pipeline time of the options, whatever its rate,
    /// and a neighbour that serves us in turns finds enough requests when our turn comes.
    fn learn(&mut self, took: Duration, bytes: u64, options: &Options) {
        self.shortest = self.shortest.min(took);
        let wanted = self.shortest.max(self.round_trip) + options.pipeline;
        if took < wanted {
            self.depth = (self.depth + bytes).min(PENDING_MAX);
        } else if took > wanted * 2 {
            self.depth = self.depth.saturating_sub(bytes);
        }
    }

    /// When a run asked of it should be complete: what is before it in its queue, at its rate; later when it has been
    /// silent for longer than that.
    pub(super) fn expected(&self, run_end: u64, now: Time) -> Duration {
        let silent = now - self.heard;
        let rate = self.recent.rate(now);
        if rate <= 0.0 {
            return silent.max(UNKNOWN_WAIT);
        }
        let all = Duration::from_secs_f64((run_end as f64 / rate).min(3_600.0));
        all.saturating_sub(silent).max(silent.saturating_sub(all)).max(self.round_trip)
    }
}

impl Requested {
    /// The leaves that have not come.
    pub(super) fn left(&self) -> Range<u16> {
        self.run.leaves().start + self.got..self.run.leaves().end
    }
}

/// Whether a leaf was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owed {
    /// So long ago.
    Since(Duration),
    No,
}

/// Most requests a neighbour may have queued at us, and we at it; a protocol constant, so that a correct peer is never
/// refused for its number of requests.
pub(super) const RUNS_QUEUED_MAX: usize = 64;

/// Runs asked for whatever the rate, so that the next request is there while one is served.
const RUNS_AHEAD: usize = 2;

/// Most payload asked of one neighbour at a time, in bytes: 4 MiB, which at 100 MB/s lasts 40 ms.
const PENDING_MAX: u64 = 4 * 1024 * 1024;

/// Window of the rate that decides how much to ask for. Short, so that a neighbour's first second counts.
const RECENT: Duration = Duration::from_secs(2);

/// How long a leaf is thought to take where no rate is known. Wild guess: a leaf at 1 Mbit/s, shared by four.
pub(super) const UNKNOWN_WAIT: Duration = Duration::from_millis(500);
