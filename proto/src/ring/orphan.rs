//! What a node does when every successor is dead: pings all it remembers and goes on with the nearest alive clockwise.
//!
//! Looking up one's own point instead would return one's own stale successor; in a model under churn that collapses
//! (protocols.md section 3.2). From the adopted node, stabilise walks back predecessor by predecessor. Pings make no step
//! busy, so that others can still join by a node that has lost everybody.

use super::contact::{Contact, Entry};
use super::core::Core;
use super::message::{Answer, Question};
use super::output::Event;
use super::purpose::{Purpose, Reply};
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
        if core.successors.head().is_some() {
            core.stabilise_soon(now);
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
