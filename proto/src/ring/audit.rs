//! Looking ourselves up from elsewhere: finds rings that are split or wound twice, which look sound to every node in
//! them (fault 8 of the published protocol), and mends them.

use super::core::Core;
use super::lookup::Outcome;
use super::message::Note;
use super::output::{Event, LookupError};
use super::purpose::{Cause, Task};
use super::timer::Timer;
use crate::time::Time;

/// Looks our own point up, starting at somebody we remember: after a split that may be somebody of the other ring.
pub(super) fn begin(now: Time, core: &mut Core) {
    if core.options.audit.is_zero() {
        return;
    }
    let next = core.jittered(core.options.audit);
    core.timers.set(Timer::Audit, now + next);
    if let Some(via) = core.pick_acquaintance(now)
        && via.peer != core.me.peer
    {
        core.tasks.push_back(Task::Lookup { key: core.me.point, cause: Cause::Audit, via: Some(via) });
    }
}

/// Takes whom others hold for the owner of our point. If that is not us, it either follows us more closely than our
/// successor does, or has not heard of us. All three concerned are told: it, the one before it, and our own stabilisation.
pub(super) fn on_result(core: &mut Core, result: Result<Outcome, LookupError>) {
    let Ok(Outcome { owner, predecessor, .. }) = result else { return };
    if owner.peer == core.me.peer || owner.point == core.me.point {
        return;
    }
    core.stats.misplaced += 1;
    core.event(Event::Misplaced { owner });
    core.tell(owner, Note::Notify);
    if predecessor.peer != core.me.peer {
        core.tell(predecessor, Note::Skipped);
    }
    core.tasks.push_back(Task::Suggest(owner));
}
