//! Join: finding our place, taking the whole list of the node before it, and being a member from then on.
//!
//! Never with a single successor (fault 1 of the published protocol). A node whose former self is still on others' lists
//! waits until they have found that one dead.

use super::contact::{Contact, Entry};
use super::core::{Core, Introduced, Standing};
use super::lookup::Outcome;
use super::message::{Answer, Question};
use super::output::LookupError;
use super::purpose::{Cause, Purpose, Reply, Silence, Task};
use super::timer::Timer;
use crate::time::Time;

/// A node's way into the ring.
#[derive(Clone, Debug, Default)]
pub(super) struct Join {
    progress: Progress,
    /// Counts the tries, from a random number on: each begins at another bootstrap peer.
    turn: usize,
}

/// Where a node is in joining.
#[derive(Clone, Copy, Debug, Default)]
enum Progress {
    /// Not begun, put off, or done.
    #[default]
    Idle,
    /// Looking for the node before our point.
    Looking,
    /// Asked this node for its list.
    Asking(Contact),
    /// Will ask this node again: it was busy.
    AskingLater(Contact),
}

impl Join {
    pub(super) fn new(core: &mut Core) -> Self {
        Self { progress: Progress::Idle, turn: core.random.below(usize::from(u16::MAX)) }
    }

    /// Returns whether a member has been asked for its list.
    ///
    /// It may have answered already, and then we count as a member from that moment on, although we do not know it. A
    /// node that comes back and denied that would be struck off the lists its former self is still on, possibly as the
    /// last live one there.
    pub(super) fn is_asking(&self) -> bool {
        matches!(self.progress, Progress::Asking(_))
    }

    /// Begins, or goes on after a pause.
    pub(super) fn begin(&mut self, now: Time, core: &mut Core) {
        if core.standing != Standing::Joining {
            return;
        }
        match self.progress {
            Progress::AskingLater(member) => self.ask(now, core, member),
            Progress::Idle | Progress::Looking | Progress::Asking(_) => {
                let Some(via) = core.acquaintances.bootstrap(self.turn) else { return };
                self.turn += 1;
                self.progress = Progress::Looking;
                core.tasks.push_back(Task::Lookup { key: core.me.point, cause: Cause::Join, via: Some(via) });
            }
        }
    }

    /// Takes the node before our point, as a lookup found it.
    pub(super) fn on_place(&mut self, now: Time, core: &mut Core, result: Result<Outcome, LookupError>) {
        if !matches!(self.progress, Progress::Looking) {
            return;
        }
        match result {
            Ok(outcome) => self.ask(now, core, outcome.predecessor),
            Err(_) => self.put_off(now, core),
        }
    }

    /// Takes that node's list.
    pub(super) fn on_state(&mut self, now: Time, core: &mut Core, member: Contact, reply: Reply) {
        if !matches!(self.progress, Progress::Asking(asked) if asked == member) {
            return;
        }
        match reply {
            Ok(Answer::State { successors, .. }) => self.consider(now, core, member, &successors),
            Ok(Answer::Busy) => {
                core.stats.busy += 1;
                self.progress = Progress::AskingLater(member);
                let soon = core.options.patience.floor.mul_f64(0.25 + 0.5 * core.random.fraction());
                core.timers.set(Timer::Join, now + soon);
            }
            Ok(_) | Err(Silence::Dead | Silence::Slow | Silence::Withheld) => self.put_off(now, core),
        }
    }

    fn ask(&mut self, now: Time, core: &mut Core, member: Contact) {
        self.progress = Progress::Asking(member);
        core.ask(now, member, Question::State, Purpose::JoinState);
    }

    fn consider(&mut self, now: Time, core: &mut Core, member: Contact, successors: &[Entry]) {
        let me = core.me.point;
        let Some(head) = successors.iter().find_map(Entry::contact) else {
            // It is alone: we are its successor and it is ours.
            core.adopt_successors(now, member, &[]);
            return self.settle(now, core, member);
        };
        if core.circle.is_between(member.point, me, head.point) {
            core.copy_successors(now, successors);
            if core.successors.head().is_none() {
                return self.put_off(now, core);
            }
            return self.settle(now, core, member);
        }
        // Somebody on its list is nearer to us, or our former self is.
        let nearer = successors.iter().filter_map(Entry::contact);
        match nearer.rev().find(|contact| core.circle.is_between(member.point, contact.point, me)) {
            Some(nearer) if !core.is_dead(now, nearer) => self.ask(now, core, nearer),
            Some(_) | None => self.put_off(now, core),
        }
    }

    fn settle(&mut self, now: Time, core: &mut Core, member: Contact) {
        self.progress = Progress::Idle;
        core.timers.stop(Timer::Join);
        core.standing = Standing::Member;
        core.set_predecessor(member);
        core.introduced = Introduced::No;
        core.tasks.push_back(Task::Joined);
        core.stabilise_soon(now);
        core.ask(now, member, Question::Fingers, Purpose::JoinFingers);
    }

    fn put_off(&mut self, now: Time, core: &mut Core) {
        self.progress = Progress::Idle;
        let later = core.jittered(core.options.stabilise);
        core.timers.set(Timer::Join, now + later);
    }
}
