//! What a node does when every successor is dead: goes on with the nearest it remembers clockwise.
//!
//! Looking up one's own point instead would return one's own stale successor; in a model under churn that collapses
//! (protocols.md section 3.2). From the adopted node, stabilise walks back predecessor by predecessor.

use super::contact::{Contact, Entry};
use super::core::Core;
use super::output::Event;
use super::timer::Timer;
use crate::time::Time;

/// Fills the empty successor list from fingers, shortcuts, the predecessor and acquaintances, and stabilises at once.
///
/// When all of those were found dead lately they are tried again after one stabilisation interval.
pub(super) fn recover(now: Time, core: &mut Core) {
    let mut known: Vec<Contact> = core.fingers.contacts().chain(core.options.shortcuts.iter().copied()).collect();
    known.extend(core.predecessor);
    known.extend(core.acquaintances.iter());
    known.retain(|contact| contact.point != core.me.point && core.circle.contains(contact.point));
    known.sort_by_key(|contact| core.circle.distance(core.me.point, contact.point));
    known.dedup_by_key(|contact| contact.point);
    if known.is_empty() {
        // Alone, and not by a fault: the first node of a ring.
        return;
    }
    core.stats.orphaned += 1;
    core.event(Event::Orphaned);
    let hope = known.iter().any(|contact| !core.is_suspect(now, *contact));
    if !hope {
        known.iter().for_each(|contact| core.suspects.clear(contact.peer));
    }
    let entries: Vec<Entry> = known.into_iter().map(Entry::Contact).collect();
    core.copy_successors(now, &entries);
    if hope {
        core.stabilise_soon(now);
    } else {
        let later = core.jittered(core.options.stabilise);
        core.timers.set(Timer::Stabilise, now + later);
    }
}
