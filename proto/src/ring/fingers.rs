//! Keeping fingers fresh: a lookup each stabilisation interval, and the choice of the nearest by round trip among those
//! that would do.

use super::circle::Point;
use super::contact::Contact;
use super::core::Core;
use super::finger_table::lowest_exponent;
use super::lookup::Outcome;
use super::message::{Answer, Question};
use super::options::Routing;
use super::output::LookupError;
use super::purpose::{Cause, Purpose, Reply, Task};
use crate::time::Time;

/// Which finger is next, and the choice under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Fingers {
    next: u8,
    choice: Option<Choice>,
}

/// Candidates for one finger, being pinged. One at a time.
#[derive(Clone, Debug)]
struct Choice {
    exponent: u8,
    candidates: Vec<Contact>,
    waiting: usize,
}

impl Fingers {
    /// Refreshes the next few fingers.
    pub(super) fn refresh(&mut self, core: &mut Core) {
        if core.options.routing != Routing::Fingers {
            return;
        }
        let Some(successor) = core.successors.head() else { return };
        let lowest = lowest_exponent(core.circle, core.me.point, successor.point);
        // A finger before the successor was right once and comes back into use when the successor is wrong: an orphan that
        // forgot its near fingers at its first mishap would go far astray at the next.
        let is_before = |finger: &Contact| core.circle.is_between(core.me.point, finger.point, successor.point);
        if let Some(nearest) = core.fingers.contacts().find(is_before) {
            core.tasks.push_back(Task::Suggest(nearest));
        }
        if lowest >= core.circle.bits() {
            return;
        }
        for _ in 0..core.options.fingers_per_round {
            if !(lowest..core.circle.bits()).contains(&self.next) {
                self.next = lowest;
            }
            let exponent = self.next;
            self.next += 1;
            let key = start(core, exponent);
            core.tasks.push_back(Task::Lookup { key, cause: Cause::Finger { exponent }, via: None });
        }
    }

    /// Takes the first peer at or after a finger's start.
    pub(super) fn on_result(&mut self, now: Time, core: &mut Core, exponent: u8, result: Result<Outcome, LookupError>) {
        let Ok(Outcome { owner, successors, .. }) = result else { return };
        let reach = core.circle.distance(core.me.point, owner.point);
        if reach >> exponent == 0 {
            // Nobody sits that far away: the search came round to us or behind.
            return core.fingers.unset(exponent);
        }
        core.fingers.set(exponent, owner);
        core.acquaintances.remember(owner, &mut core.random);
        if core.options.proximity > 1 && self.choice.is_none() {
            self.choose(now, core, exponent, owner, successors);
        }
    }

    /// Takes the answer of a candidate; when all have answered, the nearest becomes the finger.
    pub(super) fn on_ping(&mut self, core: &mut Core, from: Contact, reply: Reply) {
        let Some(choice) = &mut self.choice else { return };
        choice.waiting = choice.waiting.saturating_sub(1);
        if !matches!(reply, Ok(Answer::Alive | Answer::Busy)) {
            choice.candidates.retain(|candidate| *candidate != from);
        }
        if choice.waiting > 0 {
            return;
        }
        let Some(Choice { exponent, candidates, .. }) = self.choice.take() else { return };
        let measured =
            candidates.iter().filter_map(|candidate| Some((core.calls.round_trips.mean(candidate.peer)?, *candidate)));
        if let Some((_, nearest)) = measured.min() {
            core.fingers.set(exponent, nearest);
        }
    }

    fn choose(&mut self, now: Time, core: &mut Core, exponent: u8, owner: Contact, successors: Vec<Contact>) {
        let in_stretch = |contact: &Contact| {
            core.circle.contains(contact.point)
                && core.circle.distance(core.me.point, contact.point).checked_ilog2() == Some(exponent.into())
        };
        let mut candidates = vec![owner];
        candidates.extend(successors);
        candidates.retain(in_stretch);
        candidates.dedup();
        candidates.truncate(core.options.proximity.into());
        let unknown: Vec<Contact> =
            candidates.iter().copied().filter(|known| core.calls.round_trips.mean(known.peer).is_none()).collect();
        // One ping at least, so that the choice always ends in `on_ping`.
        let pinged = if unknown.is_empty() { vec![owner] } else { unknown };
        self.choice = Some(Choice { exponent, candidates, waiting: pinged.len() });
        for candidate in pinged {
            core.ask(now, candidate, Question::Ping, Purpose::PingFinger);
        }
    }
}

fn start(core: &Core, exponent: u8) -> Point {
    core.circle.advance(core.me.point, 1 << exponent)
}
