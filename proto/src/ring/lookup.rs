//! Lookups of our own: iterative ones hop by hop, recursive ones sent away and waited for, both tried again when they fail.
//!
//! How a hop is chosen is in `routing.rs`, how others' lookups are passed on in `recursive.rs`.

mod iterative;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::circle::Point;
use super::contact::Contact;
use super::core::Core;
use super::message::{Forward, Found, Leg, More};
use super::options::{Finish, Forwarding};
use super::output::LookupError;
use super::purpose::{Cause, Task};
use super::recursive;
use crate::id::PeerId;
use crate::time::Time;

/// The lookups under way. At most `Options::lookups_max`.
#[derive(Clone, Debug, Default)]
pub(super) struct Lookups {
    /// Boxed, because a lookup is taken out and put back at each of its steps, and most nodes have none.
    lookups: BTreeMap<u64, Box<Active>>,
    /// Exactly one entry per lookup: its `wake`.
    wakes: BTreeSet<(Time, u64)>,
}

/// How a lookup ended well.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) key: Point,
    pub(super) owner: Contact,
    pub(super) predecessor: Contact,
    /// The owner's successors, if it was asked.
    pub(super) successors: Vec<Contact>,
    pub(super) path: Vec<Contact>,
    pub(super) hops: u16,
    pub(super) timeouts: u16,
    pub(super) timeouts_behind: u16,
    pub(super) timeouts_spared: u16,
    pub(super) tries: u8,
    pub(super) elapsed: Duration,
}

/// A lookup under way.
#[derive(Clone, Debug)]
struct Active {
    key: Point,
    cause: Cause,
    via: Option<Contact>,
    forwarding: Forwarding,
    begun: Time,
    /// When to retry, or to give up.
    wake: Time,
    tries: u8,
    phase: Phase,
    /// The node whose step is followed.
    at: Contact,
    /// Whom it named, not tried yet.
    closer: VecDeque<Contact>,
    more: More,
    /// Whom it named starts short of this point.
    short_of: Point,
    /// Who may own the key, according to it, not tried yet.
    owners: VecDeque<Contact>,
    /// The last of those before that somebody on the way named. At most a list.
    owners_before: VecDeque<Contact>,
    side: Side,
    /// Everyone found dead by this lookup. At most [`DEAD_MAX`].
    dead: Vec<PeerId>,
    /// Those who led it into a dead end: it goes round them, in its later tries as well, which are there to find another way and
    /// not the same. At most [`SHUNNED_MAX`].
    shunned: Vec<PeerId>,
    /// The last that claimed the key and everything else.
    doubted: Option<PeerId>,
    /// Whom it has contacted, in order. At most [`PATH_MAX`].
    path: Vec<Contact>,
    hops: u16,
    timeouts: u16,
    /// How often a dead node was named that is in `dead`.
    spared: u16,
    /// `timeouts` and `spared` when `at` was reached.
    before: (u16, u16),
}

/// Where a lookup comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// From before the key, step by step.
    Before,
    /// From behind it, from predecessor to predecessor: the last resort, because it takes many steps where the ring is large.
    Behind,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Going from node to node.
    Stepping,
    /// Asking who may be the owner.
    Confirming {
        /// A live one that said the key belongs to somebody before it.
        fallback: Option<Contact>,
        /// How many were asked.
        asked: u8,
    },
    /// Sent away; others carry it.
    Away,
    /// Waiting for a stabilisation before the next try.
    Resting,
}

/// What a lookup does next.
enum Next {
    /// Waits for an answer.
    Wait,
    /// Has ended.
    End(Result<Outcome, LookupError>),
}

impl Lookups {
    /// Begins a lookup in the manner that the options say; its end comes as [`Task::LookupEnded`].
    pub(super) fn begin(&mut self, now: Time, core: &mut Core, key: Point, cause: Cause, via: Option<Contact>) {
        let forwarding = core.options.forwarding;
        self.begin_by(now, core, key, cause, via, forwarding);
    }

    /// Begins a lookup in a manner of its own.
    pub(super) fn begin_by(
        &mut self,
        now: Time,
        core: &mut Core,
        key: Point,
        cause: Cause,
        via: Option<Contact>,
        forwarding: Forwarding,
    ) {
        core.stats.lookups += 1;
        let refused = if self.lookups.len() >= core.options.lookups_max as usize {
            Some(LookupError::Crowded)
        } else if via.is_none() && !core.standing.is_member() {
            Some(LookupError::NotMember)
        } else {
            None
        };
        if let Some(error) = refused {
            core.stats.lookups_failed += 1;
            return core.tasks.push_back(Task::LookupEnded { cause, result: Err(error) });
        }
        let number = core.random.bits();
        let wake = now + core.options.lookup_timeout;
        let active = Box::new(Active {
            key,
            cause,
            via,
            forwarding,
            begun: now,
            wake,
            tries: 0,
            phase: Phase::Stepping,
            at: core.me,
            closer: VecDeque::new(),
            more: More::No,
            short_of: key,
            owners: VecDeque::new(),
            owners_before: VecDeque::new(),
            side: Side::Before,
            dead: Vec::new(),
            shunned: Vec::new(),
            doubted: None,
            path: Vec::new(),
            hops: 0,
            timeouts: 0,
            spared: 0,
            before: (0, 0),
        });
        self.wakes.insert((wake, number));
        self.try_once(now, core, number, active);
    }

    /// Takes the end of a recursive lookup.
    pub(super) fn on_found(&mut self, now: Time, core: &mut Core, found: Found) {
        let Some(mut active) = self.lookups.remove(&found.lookup) else {
            core.stats.answers_stray += 1;
            return;
        };
        if !matches!(active.phase, Phase::Away) {
            self.lookups.insert(found.lookup, active);
            return;
        }
        active.hops = found.hops;
        active.timeouts = found.timeouts;
        active.before = (found.timeouts, 0);
        active.at = found.predecessor;
        let outcome = active.outcome(now, found.owner, Vec::new());
        self.settle(now, core, found.lookup, active, Next::End(Ok(outcome)));
    }

    /// Wakes lookups whose time has come: to try again, or to give up.
    pub(super) fn handle_timeout(&mut self, now: Time, core: &mut Core) {
        while let Some(&(wake, number)) = self.wakes.first()
            && wake <= now
        {
            let Some(active) = self.lookups.remove(&number) else {
                self.wakes.remove(&(wake, number));
                continue;
            };
            match active.phase {
                Phase::Resting => self.try_once(now, core, number, active),
                Phase::Stepping | Phase::Confirming { .. } | Phase::Away => {
                    self.settle(now, core, number, active, Next::End(Err(LookupError::TimedOut)));
                }
            }
        }
    }

    pub(super) fn earliest(&self) -> Option<Time> {
        self.wakes.first().map(|&(wake, _)| wake)
    }

    pub(super) fn clear(&mut self) {
        self.lookups.clear();
        self.wakes.clear();
    }

    fn try_once(&mut self, now: Time, core: &mut Core, number: u64, mut active: Box<Active>) {
        active.tries += 1;
        (active.timeouts, active.spared, active.before) = (0, 0, (0, 0));
        active.dead.clear();
        active.side = Side::Before;
        self.set_out(now, core, number, active);
    }

    fn set_out(&mut self, now: Time, core: &mut Core, number: u64, mut active: Box<Active>) {
        (active.at, active.hops, active.short_of) = (core.me, 0, active.key);
        active.path.clear();
        let is_recursive = active.forwarding == Forwarding::Recursive && active.via.is_none();
        let wants_successors = matches!(active.cause, Cause::Finger { .. }) && core.options.proximity > 0;
        let next = if is_recursive && !wants_successors {
            active.phase = Phase::Away;
            let tries = u32::from(core.options.retries) + 1;
            self.wake_at(number, &mut active, now + core.options.lookup_timeout / tries);
            let leg = if core.options.finish == Finish::Owner { Leg::ToOwner } else { Leg::ToPredecessor };
            let forward = Forward { origin: core.me, lookup: number, key: active.key, hops: 0, timeouts: 0, leg };
            recursive::pass_on(now, core, forward);
            Next::Wait
        } else {
            active.phase = Phase::Stepping;
            let give_up = active.begun + core.options.lookup_timeout;
            self.wake_at(number, &mut active, give_up);
            active.start(now, core, number)
        };
        self.settle(now, core, number, active, next);
    }

    /// Keeps a lookup that waits, retries one that failed and may, and reports any other.
    fn settle(&mut self, now: Time, core: &mut Core, number: u64, mut active: Box<Active>, next: Next) {
        let result = match next {
            Next::Wait => {
                self.lookups.insert(number, active);
                return;
            }
            Next::End(result) => result,
        };
        if matches!(result, Err(LookupError::DeadEnd)) && active.side == Side::Before && !active.ends_here(core) {
            // Somebody else may know a way where this node knows none, or said so.
            if active.at != core.me && active.shunned.len() < SHUNNED_MAX {
                active.shunned.push(active.at.peer);
                return self.set_out(now, core, number, active);
            }
            active.side = Side::Behind;
            let next = active.start_behind(now, core, number);
            return self.settle(now, core, number, active, next);
        }
        let may_retry = matches!(active.cause, Cause::Command { .. } | Cause::Operation { .. });
        let again = now + core.options.stabilise;
        if result.is_err()
            && may_retry
            && active.tries <= core.options.retries
            && again < active.begun + core.options.lookup_timeout
        {
            active.phase = Phase::Resting;
            self.wake_at(number, &mut active, again);
            self.lookups.insert(number, active);
            return;
        }
        self.wakes.remove(&(active.wake, number));
        if result.is_err() {
            core.stats.lookups_failed += 1;
        }
        core.tasks.push_back(Task::LookupEnded { cause: active.cause, result });
    }

    fn wake_at(&mut self, number: u64, active: &mut Active, wake: Time) {
        self.wakes.remove(&(active.wake, number));
        active.wake = wake;
        self.wakes.insert((wake, number));
    }
}

impl Active {
    fn outcome(&self, now: Time, owner: Contact, successors: Vec<Contact>) -> Outcome {
        Outcome {
            key: self.key,
            owner,
            predecessor: self.at,
            successors,
            path: self.path.clone(),
            hops: self.hops,
            timeouts: self.timeouts,
            timeouts_behind: self.timeouts.saturating_sub(self.before.0),
            timeouts_spared: self.before.1,
            tries: self.tries,
            elapsed: now - self.begun,
        }
    }
}

/// Most dead peers a lookup remembers; met again later they cost another timeout. More than half of a list.
const DEAD_MAX: usize = 64;

/// Dead ends that a lookup goes round before it comes from behind. Each costs as many hops as led there.
const SHUNNED_MAX: usize = 8;

/// Most nodes of a path that are told. Pictures of longer ones show nothing.
const PATH_MAX: usize = 64;

/// Most hops of a lookup: successor by successor round a ring of that many peers. Chosen, not measured.
pub(super) const HOPS_MAX: u16 = 10_000;
