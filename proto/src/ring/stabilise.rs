//! Stabilise: asking the successor who it has before and behind it, and taking that over.
//!
//! Follows Zave's corrected steps (protocols.md section 4.2); the numbers in the comments are theirs. In the middle of a
//! step a node answers `Busy` about its pointers, so that a step counts as taken the moment the other node answered.
//!
//! ```text
//!          due                    answer, nobody between
//!  Idle ─────────▶ AskingSuccessor ───────────────────────▶ notify, Idle
//!   ▲                 │  │  │ dead: next successor, again
//!   │ busy: soon again│  │  └──────▶ AskingSuccessor
//!   └─────────────────┘  │ answer, p between
//!                        ▼
//!                  AskingPredecessor ──── answer: adopt p ──▶ notify p, due at once
//!                        └── dead or busy: keep ──▶ notify the successor, Idle
//! ```

use super::contact::{Contact, Entry};
use super::core::Core;
use super::message::{Answer, Question};
use super::purpose::{Purpose, Reply, Silence};
use super::timer::Timer;
use crate::time::Time;

/// A node's stabilisation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stabilise {
    step: Step,
    /// Somebody alive who may be a nearer successor, to be asked as soon as no step is under way.
    hint: Option<Contact>,
}

/// Where a node is in its stabilisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// Between two stabilisations.
    #[default]
    Idle,
    /// Step 1 is under way.
    AskingSuccessor {
        /// Who was asked.
        successor: Contact,
    },
    /// Step 4 is under way.
    AskingPredecessor {
        /// Who was the successor when it began.
        successor: Contact,
        /// Who sits between, and was asked.
        candidate: Contact,
    },
}

impl Stabilise {
    /// Returns whether a step is under way that may change the pointers.
    pub(super) fn is_busy(&self) -> bool {
        self.step != Step::Idle
    }

    /// Begins, unless a stabilisation is under way. Returns `Orphaned` when no successor is left to ask.
    pub(super) fn begin(&mut self, now: Time, core: &mut Core) -> Begun {
        if self.is_busy() {
            return Begun::Already;
        }
        // The next regular one, unless the end of this one sets another time.
        let interval = core.jittered(core.options.stabilise);
        core.timers.set(Timer::Stabilise, now + interval);
        let Some(successor) = core.successors.head() else { return Begun::Orphaned };
        core.stats.stabilisations += 1;
        if let Some(candidate) = self.hint.take()
            && core.circle.is_between(core.me.point, candidate.point, successor.point)
        {
            self.step = Step::AskingPredecessor { successor, candidate };
            core.ask(now, candidate, Question::State, Purpose::StabilisePredecessor);
            return Begun::Now;
        }
        self.step = Step::AskingSuccessor { successor };
        core.ask(now, successor, Question::State, Purpose::StabiliseSuccessor);
        Begun::Now
    }

    /// Takes a hint that somebody may be a nearer successor: leads straight to step 4. The nearest hint counts.
    pub(super) fn suggest(&mut self, now: Time, core: &mut Core, candidate: Contact) {
        let nearest = self.hint.or(core.successors.head()).map_or(core.me.point, |nearest| nearest.point);
        if core.circle.is_between(core.me.point, candidate.point, nearest) && !core.suspects.is_outlaw(candidate.peer) {
            self.hint = Some(candidate);
            if !self.is_busy() {
                core.stabilise_soon(now);
            }
        }
    }

    /// Takes the answer to step 1.
    pub(super) fn on_successor(&mut self, now: Time, core: &mut Core, from: Contact, reply: Reply) {
        let Step::AskingSuccessor { successor } = self.step else { return };
        if successor != from {
            return;
        }
        match reply {
            Ok(Answer::State { predecessor, successors }) => {
                self.take_state(now, core, successor, predecessor, &successors);
            }
            Ok(Answer::Busy) => self.put_off(now, core),
            // Step 2. The dead one has left the list by now. Ask the next one at once; that ends with a notification.
            Err(Silence::Dead) => {
                self.end(now, core);
                core.stabilise_soon(now);
            }
            Ok(_) | Err(Silence::Slow | Silence::Withheld) => self.end(now, core),
        }
    }

    /// Takes the answer to step 4.
    pub(super) fn on_predecessor(&mut self, now: Time, core: &mut Core, from: Contact, reply: Reply) {
        let Step::AskingPredecessor { successor, candidate } = self.step else { return };
        if candidate != from {
            return;
        }
        let unchanged = core.successors.head() == Some(successor);
        match reply {
            Ok(Answer::State { successors, .. }) if unchanged => {
                self.end(now, core);
                core.adopt_successors(now, candidate, &successors);
                core.notify(candidate);
                // There may be somebody between us and the new successor, too.
                core.stabilise_soon(now);
            }
            Ok(Answer::Busy) => {
                notify_head(core);
                self.put_off(now, core);
            }
            Ok(_) | Err(_) => {
                notify_head(core);
                self.end(now, core);
            }
        }
    }

    /// Step 3.
    fn take_state(
        &mut self,
        now: Time,
        core: &mut Core,
        successor: Contact,
        predecessor: Option<Contact>,
        successors: &[Entry],
    ) {
        core.adopt_successors(now, successor, successors);
        let between = |candidate: &Contact| {
            core.circle.contains(candidate.point)
                && core.circle.is_between(core.me.point, candidate.point, successor.point)
                && !core.is_dead(now, *candidate)
        };
        match predecessor.filter(between) {
            Some(candidate) => {
                self.step = Step::AskingPredecessor { successor, candidate };
                core.ask(now, candidate, Question::State, Purpose::StabilisePredecessor);
            }
            None => {
                self.end(now, core);
                core.notify(successor);
            }
        }
    }

    fn end(&mut self, now: Time, core: &mut Core) {
        self.step = Step::Idle;
        if self.hint.is_some() {
            core.stabilise_soon(now);
        }
    }

    /// The other node is in the middle of a step. Nothing has changed here, so the step ends as if it had not begun;
    /// waiting instead could make a whole ring wait for itself.
    fn put_off(&mut self, now: Time, core: &mut Core) {
        self.end(now, core);
        core.stats.busy += 1;
        let soon = core.options.stabilise.min(core.options.patience.floor).mul_f64(0.25 + 0.5 * core.random.fraction());
        core.timers.hasten(Timer::Stabilise, now + soon);
    }
}

/// Whether a stabilisation was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It was.
    Now,
    /// One is under way.
    Already,
    /// There is nobody to ask.
    Orphaned,
}

fn notify_head(core: &mut Core) {
    if let Some(successor) = core.successors.head() {
        core.notify(successor);
    }
}
