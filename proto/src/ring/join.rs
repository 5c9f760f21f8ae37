//! Join: finding our place, taking the whole list of the node before it, and being a member from then on.
//!
//! Never with a single successor (fault 1 of the published protocol). A node whose former self is still on others' lists
//! waits until they have found that one dead.

use super::contact::{Contact, Entry};
use super::core::{Core, Standing};
use super::lookup::Outcome;
use super::message::{Answer, Question};
use super::output::{Event, LookupError};
use super::purpose::{Cause, Purpose, Reply, Silence, Task};
use super::timer::Timer;
use crate::time::Time;

/// Where a node is in joining.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Join {
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
    /// Begins, or goes on after a pause.
    pub(super) fn begin(&mut self, now: Time, core: &mut Core) {
        if core.standing != Standing::Joining {
            return;
        }
        match *self {
            Self::AskingLater(member) => self.ask(now, core, member),
            Self::Idle | Self::Looking | Self::Asking(_) => {
                let Some(via) = core.acquaintances.pick(&mut core.random) else { return };
                *self = Self::Looking;
                core.tasks.push_back(Task::Lookup { key: core.me.point, cause: Cause::Join, via: Some(via) });
            }
        }
    }

    /// Takes the node before our point, as a lookup found it.
    pub(super) fn on_place(&mut self, now: Time, core: &mut Core, result: Result<Outcome, LookupError>) {
        if !matches!(self, Self::Looking) {
            return;
        }
        match result {
            Ok(outcome) => self.ask(now, core, outcome.predecessor),
            Err(_) => self.put_off(now, core),
        }
    }

    /// Takes that node's list.
    pub(super) fn on_state(&mut self, now: Time, core: &mut Core, member: Contact, reply: Reply) {
        if !matches!(self, Self::Asking(asked) if *asked == member) {
            return;
        }
        match reply {
            Ok(Answer::State { successors, .. }) => self.consider(now, core, member, &successors),
            Ok(Answer::Busy) => {
                core.stats.busy += 1;
                *self = Self::AskingLater(member);
                let soon = core.options.patience.floor.mul_f64(0.25 + 0.5 * core.random.fraction());
                core.timers.set(Timer::Join, now + soon);
            }
            Ok(_) | Err(Silence::Dead | Silence::Slow | Silence::Withheld) => self.put_off(now, core),
        }
    }

    fn ask(&mut self, now: Time, core: &mut Core, member: Contact) {
        *self = Self::Asking(member);
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
        match nearer.filter(|contact| core.circle.is_between(member.point, contact.point, me)).last() {
            Some(nearer) if !core.is_suspect(now, nearer) => self.ask(now, core, nearer),
            Some(_) | None => self.put_off(now, core),
        }
    }

    fn settle(&mut self, now: Time, core: &mut Core, member: Contact) {
        *self = Self::Idle;
        core.timers.stop(Timer::Join);
        core.standing = Standing::Member;
        core.set_predecessor(member);
        core.event(Event::Joined);
        core.tasks.push_back(Task::Joined);
        core.stabilise_soon(now);
        core.ask(now, member, Question::Fingers, Purpose::JoinFingers);
    }

    fn put_off(&mut self, now: Time, core: &mut Core) {
        *self = Self::Idle;
        let later = core.jittered(core.options.stabilise);
        core.timers.set(Timer::Join, now + later);
    }
}
