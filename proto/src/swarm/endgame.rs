//! The last leaves: what a slow neighbour was asked for is asked of a faster one too, and the loser is told not to send it.
//!
//! rqbit steals like this from neighbours three to ten times slower; asking everybody for everything (BEP 3) wastes more.

use std::time::Duration;

use super::Swarm;
use super::downloads::UNKNOWN_WAIT;
use super::neighbour::Neighbour;
use super::run::Run;
use super::timer::Timer;
use crate::content::LEAF;
use crate::id::PeerId;
use crate::time::Time;

impl Swarm {
    /// Takes a leaf that is asked of a slower neighbour, if this one would bring it much sooner.
    pub(super) fn steal(&mut self, now: Time, thief: PeerId) {
        let neighbour = &self.neighbours[&thief];
        if !neighbour.downloads.requested.is_empty() || neighbour.downloads.snubbed {
            return;
        }
        let own = self.expected_of(neighbour, now);
        let mut best: Option<(Duration, Run)> = None;
        let mut anything = false;
        for (_, victim) in self.neighbours.iter().filter(|(peer, _)| **peer != thief) {
            let mut end = 0;
            for requested in &victim.downloads.requested {
                anything = true;
                let run = requested.run;
                end += run.bytes(&self.manifest);
                let last = Run { first: run.leaves().end - 1, count: 1, ..run };
                let asked = self.pieces.progress.get(&run.piece).map_or(0, |progress| {
                    if progress.have.contains(u32::from(last.first)) {
                        0
                    } else {
                        progress.asked[usize::from(last.first)]
                    }
                });
                let (wait, age) = match asked {
                    1 => (victim.downloads.expected(end, now), STEAL_AGE),
                    2..ASKED_MAX => (self.soonest(run.piece, last.first, now), STOLEN_AGE),
                    _ => continue,
                };
                if wait > own * STEAL_RATIO
                    && now - requested.at > age
                    && neighbour.has_leaf(run.piece, last.first)
                    && best.is_none_or(|(longest, _)| wait >= longest)
                {
                    best = Some((wait, last));
                }
            }
        }
        match best {
            Some((_, run)) => {
                self.stats.leaves_stolen += 1;
                self.ask(now, thief, run);
            }
            None if anything => self.timers.set_earlier(Timer::Steal, now + STEAL_AGAIN),
            None => {}
        }
    }

    /// How long it takes at least until a leaf comes that several were asked for; nothing when one of them was asked just now.
    fn soonest(&self, piece: u32, leaf: u16, now: Time) -> Duration {
        let mut soonest = Duration::MAX;
        for neighbour in self.neighbours.values() {
            let mut end = 0;
            for requested in &neighbour.downloads.requested {
                end += requested.run.bytes(&self.manifest);
                if requested.run.piece == piece && requested.left().contains(&leaf) {
                    let is_fresh = now - requested.at <= STOLEN_AGE;
                    let wait = if is_fresh { Duration::ZERO } else { neighbour.downloads.expected(end, now) };
                    soonest = soonest.min(wait);
                }
            }
        }
        soonest
    }

    /// How long a leaf asked of this neighbour now would take; that of an average one where nothing is known.
    fn expected_of(&self, neighbour: &Neighbour, now: Time) -> Duration {
        let own = neighbour.downloads.recent.rate(now);
        let rate = if own > 0.0 {
            own
        } else {
            let rates = self.neighbours.values().map(|neighbour| neighbour.downloads.recent.rate(now));
            let (sum, count) =
                rates.filter(|&rate| rate > 0.0).fold((0.0, 0), |(sum, count), rate| (sum + rate, count + 1));
            if count == 0 {
                return UNKNOWN_WAIT;
            }
            sum / f64::from(count)
        };
        neighbour.downloads.round_trip + Duration::from_secs_f64((f64::from(LEAF) / rate).min(3_600.0))
    }

    /// Of a run whose last leaves were stolen the others have come: the rest need not be sent.
    pub(super) fn cancel_rest(&mut self, from: PeerId, piece: u32) {
        let Some(neighbour) = self.neighbours.get(&from) else { return };
        let has = |leaf| self.pieces.has_leaf(piece, leaf);
        let runs = neighbour.downloads.requested.iter().filter(|requested| requested.run.piece == piece);
        let done: Vec<Run> =
            runs.filter(|requested| requested.left().all(has)).map(|requested| requested.run).collect();
        done.into_iter().for_each(|run| self.cancel(from, run));
    }

    /// A stolen leaf came: whoever else was asked for it need not send it.
    pub(super) fn cancel_elsewhere(&mut self, from: PeerId, piece: u32, leaf: u16) {
        let mut cancelled = Vec::new();
        for (&peer, neighbour) in self.neighbours.iter().filter(|(peer, _)| **peer != from) {
            let runs = neighbour.downloads.requested.iter();
            let runs = runs.filter(|requested| requested.run.piece == piece && requested.run.leaves().contains(&leaf));
            cancelled.extend(runs.filter(|requested| self.pieces.has_run(requested.run)).map(|it| (peer, it.run)));
        }
        for (peer, run) in cancelled {
            self.cancel(peer, run);
            self.hungry.insert(peer);
        }
    }
}

/// A leaf is stolen if it comes sooner by this factor; rqbit steals at 3.
const STEAL_RATIO: u32 = 2;

/// A request younger than this is not stolen.
const STEAL_AGE: Duration = Duration::from_millis(50);

/// A leaf that was stolen is stolen again if it has not come after so long: whose rate was not known may turn out as slow
/// as the one it was stolen from. Wild guess: a leaf at 130 kbit/s.
const STOLEN_AGE: Duration = Duration::from_secs(1);

/// A leaf is asked of fewer neighbours than this at a time.
const ASKED_MAX: u8 = 5;

/// How soon an idle neighbour looks again for something to steal.
const STEAL_AGAIN: Duration = Duration::from_millis(100);
