//! Passing lookups on: each node hands a lookup to the next over a connection that stands, the last answers the origin.

use super::contact::{Contact, Entry};
use super::core::Core;
use super::lookup::HOPS_MAX;
use super::message::{Answer, Forward, Found, Leg, Note, Ownership, Question};
use super::options::Routing;
use super::purpose::{Passing, Purpose, Reply, Silence, Task};
use super::routing;
use crate::time::Time;

/// Takes over a lookup from another node.
pub(super) fn on_forward(now: Time, core: &mut Core, forward: Forward) {
    core.stats.forwarded += 1;
    match forward.leg {
        Leg::ToPredecessor | Leg::ToOwner => pass_on(now, core, forward),
        Leg::LastHop { predecessor } => confirm(now, core, forward, predecessor),
    }
}

/// Hands a lookup to the best node we know, or ends it when the key belongs to our successor.
pub(super) fn pass_on(now: Time, core: &mut Core, forward: Forward) {
    if let Some((predecessor, owners)) = known_owner(now, core, &forward) {
        return try_next(now, core, Forward { leg: Leg::LastHop { predecessor }, ..forward }, owners);
    }
    let step = routing::step(now, core, forward.key, forward.key);
    if step.closer.is_empty() {
        return conclude(now, core, forward, &step.successors);
    }
    if forward.hops >= HOPS_MAX {
        core.stats.forwards_dropped += 1;
        return;
    }
    try_next(now, core, forward, step.closer);
}

/// Takes the next node's acceptance, or tries another in its place.
pub(super) fn on_reply(now: Time, core: &mut Core, passing: Passing, reply: Reply) {
    let Passing { mut forward, rest } = passing;
    match reply {
        Ok(Answer::Accepted) => {}
        Err(Silence::Withheld) => core.stats.forwards_dropped += 1,
        Ok(_) | Err(Silence::Dead | Silence::Slow) => {
            forward.timeouts = forward.timeouts.saturating_add(1);
            match forward.leg {
                _ if !rest.is_empty() => try_next(now, core, forward, rest),
                // The dead are off our tables by now, so this finds others.
                Leg::ToPredecessor | Leg::ToOwner => pass_on(now, core, forward),
                // No owner left to try: the last who was asked is gone, and nobody stands behind it.
                Leg::LastHop { .. } => core.stats.forwards_dropped += 1,
            }
        }
    }
}

fn try_next(now: Time, core: &mut Core, forward: Forward, mut candidates: Vec<Contact>) {
    let next = candidates.remove(0);
    if let Leg::LastHop { predecessor } = forward.leg
        && next == core.me
    {
        return report(core, &forward, next, predecessor);
    }
    let is_hop = !matches!(forward.leg, Leg::LastHop { .. });
    let sent = Forward { hops: forward.hops + u16::from(is_hop), ..forward };
    let passing = Passing { forward, rest: candidates };
    core.ask(now, next, Question::Forward(sent), Purpose::Forward(Box::new(passing)));
}

/// Returns the owner if it is on our successor list: then the nodes between need not be troubled, because the owner itself
/// says whether the key is its own. Not where lookups are to go from successor to successor or along given shortcuts.
fn known_owner(now: Time, core: &Core, forward: &Forward) -> Option<(Contact, Vec<Contact>)> {
    if forward.leg != Leg::ToOwner || core.options.routing != Routing::Fingers {
        return None;
    }
    let live = core.successors.contacts().filter(|contact| !core.is_suspect(now, *contact));
    let (before, owners): (Vec<Contact>, Vec<Contact>) =
        live.partition(|contact| core.circle.is_between(core.me.point, contact.point, forward.key));
    let is_known = !owners.is_empty() && !before.is_empty();
    is_known.then(|| (before[before.len() - 1], owners))
}

/// We are the key's predecessor.
fn conclude(now: Time, core: &mut Core, forward: Forward, successors: &[Entry]) {
    let me = core.me;
    let mut owners = routing::owners(core, me, forward.key, successors);
    owners.retain(|owner| !core.is_suspect(now, *owner));
    let Some(&owner) = owners.first() else {
        core.stats.forwards_dropped += 1;
        return;
    };
    if owner == core.me || forward.leg == Leg::ToPredecessor {
        return report(core, &forward, owner, core.me);
    }
    let last = Forward { leg: Leg::LastHop { predecessor: core.me }, ..forward };
    try_next(now, core, last, owners);
}

/// We are said to be the key's owner.
fn confirm(now: Time, core: &mut Core, forward: Forward, predecessor: Contact) {
    let before = core.predecessor.filter(|before| {
        core.ownership(forward.key) == Ownership::NotMine
            && *before != predecessor
            && !core.is_suspect(now, *before)
            && core.circle.is_up_to(predecessor.point, forward.key, before.point)
    });
    match before {
        // A node between, of which the key's predecessor has not heard. If it is dead, the key is ours.
        Some(before) if forward.hops < HOPS_MAX => {
            let on = Forward { hops: forward.hops + 1, ..forward };
            try_next(now, core, on, vec![before, core.me]);
        }
        Some(_) | None => report(core, &forward, core.me, predecessor),
    }
}

fn report(core: &mut Core, forward: &Forward, owner: Contact, predecessor: Contact) {
    let found = Found { lookup: forward.lookup, owner, predecessor, hops: forward.hops, timeouts: forward.timeouts };
    if forward.origin.peer == core.me.peer {
        core.tasks.push_back(Task::Found(found));
    } else {
        core.tell(forward.origin, Note::Found(found));
    }
}
