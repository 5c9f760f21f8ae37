//! What a node does when every successor is dead: pings all it remembers and goes on with the nearest alive clockwise.
//!
//! Looking up one's own point instead would return one's own stale successor; in a model under churn that collapses
//! (protocols.md section 3.2). From the adopted node, stabilise walks back predecessor by predecessor, and lookups of points
//! halfway jump ahead of it, because the adopted node may be hundreds of nodes away. Pings make no step busy, so that others
//! can still join by a node that has lost everybody.

use super::contact::{Contact, Entry};
use super::core::Core;
use super::lookup::Outcome;
use super::message::{Answer, Question};
use super::output::{Event, LookupError};
use super::purpose::{Cause, Purpose, Reply, Task};
use crate::time::Time;

/// Whether a node looks for anybody alive.
#[derive(Clone, Debug, Default)]
pub(super) enum Orphan {
    /// It has a successor, or has told that it has none.
    #[default]
    Idle,
    /// Pings are out.
    Probing {
        /// How many have not been answered.
        waiting: usize,
        /// Who has answered.
        alive: Vec<Contact>,
    },
}

impl Orphan {
    /// Pings fingers, shortcuts, the predecessor and acquaintances, unless that is under way. Called again at every
    /// stabilisation as long as there is no successor.
    pub(super) fn begin(&mut self, now: Time, core: &mut Core) {
        if matches!(self, Self::Probing { .. }) {
            return;
        }
        let mut known: Vec<Contact> = core.fingers.contacts().chain(core.options.shortcuts.iter().copied()).collect();
        known.extend(core.predecessor);
        known.extend(core.acquaintances.iter());
        known.retain(|contact| contact.point != core.me.point && core.circle.contains(contact.point));
        known.retain(|contact| !core.suspects.is_outlaw(contact.peer));
        known.sort_unstable();
        known.dedup();
        if known.is_empty() {
            // Alone, and not by a fault: the first node of a ring.
            return;
        }
        core.stats.orphaned += 1;
        core.event(Event::Orphaned);
        *self = Self::Probing { waiting: known.len(), alive: Vec::new() };
        for contact in known {
            core.ask(now, contact, Question::Ping, Purpose::PingAcquaintance);
        }
    }

    /// Takes an answer; when all are in, the live ones become the successor list, nearest first.
    pub(super) fn on_ping(&mut self, now: Time, core: &mut Core, from: Contact, reply: Reply) {
        let Self::Probing { waiting, alive } = self else { return };
        *waiting = waiting.saturating_sub(1);
        if matches!(reply, Ok(Answer::Alive)) {
            alive.push(from);
        }
        if *waiting > 0 {
            return;
        }
        let mut alive = std::mem::take(alive);
        *self = Self::Idle;
        if core.successors.head().is_some() {
            // Somebody has notified us meanwhile.
            return;
        }
        alive.sort_by_key(|contact| core.circle.distance(core.me.point, contact.point));
        let entries: Vec<Entry> = alive.into_iter().map(Entry::Contact).collect();
        core.copy_successors(now, &entries);
        if let Some(adopted) = core.successors.head() {
            core.stabilise_soon(now);
            home_in(core, adopted);
        }
    }

    /// Takes whom a lookup halfway to the adopted node found. Whoever is nearer is suggested to stabilise, and the way
    /// there halved again.
    pub(super) fn on_homing(&mut self, core: &mut Core, result: Result<Outcome, LookupError>) {
        let (Ok(outcome), Some(head)) = (result, core.successors.head()) else { return };
        let is_nearer = |contact: &Contact| core.circle.is_between(core.me.point, contact.point, head.point);
        // The node before the point halfway may be on this side of it, or behind us.
        let nearest = [outcome.predecessor, outcome.owner].into_iter().find(is_nearer);
        if let Some(nearest) = nearest {
            core.tasks.push_back(Task::Suggest(nearest));
            home_in(core, nearest);
        }
    }

    /// Takes a notification: whoever holds us for its successor is alive, and so better than nobody.
    pub(super) fn on_notify(&mut self, now: Time, core: &mut Core, from: Contact) {
        if core.successors.head().is_none() {
            core.adopt_successors(now, from, &[]);
            core.stabilise_soon(now);
        }
    }
}

/// Looks up the point halfway to a node, by way of that node: our own tables know nobody between.
fn home_in(core: &mut Core, far: Contact) {
    let halfway = core.circle.distance(core.me.point, far.point) / 2;
    if halfway > 0 {
        let key = core.circle.advance(core.me.point, halfway);
        core.tasks.push_back(Task::Lookup { key, cause: Cause::Homing, via: Some(far) });
    }
}
