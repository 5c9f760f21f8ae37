//! One hop: whom a node knows between itself and a key. No state, no messages.

use super::circle::Point;
use super::contact::{Contact, Entry};
use super::core::Core;
use super::message::{CLOSER_MAX, More};
use super::options::Routing;
use crate::time::Time;

/// Whom a node would go on with, and who comes after it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Peers strictly between the node and the key, best first. Empty: the key belongs to the first of `successors` at or
    /// after it.
    pub(super) closer: Vec<Contact>,
    /// Whether there are more of them.
    pub(super) more: More,
    pub(super) successors: Vec<Entry>,
}

/// Takes a step towards a key, leaving out peers from `short_of` on; the key itself leaves nobody out.
///
/// A node never says "mine" here, although it knows its predecessor: as published, the search comes round to the node
/// before the key, so a wrong predecessor pointer cannot end it early and hops mean what they mean in Chord's tables.
pub(super) fn step(now: Time, core: &Core, key: Point, short_of: Point) -> Step {
    let mut closer: Vec<Contact> = Vec::with_capacity(core.successors.entries().len() + core.fingers.len());
    let towards = |contact: &Contact| core.circle.is_between(core.me.point, contact.point, short_of);
    closer.extend(core.successors.contacts().filter(towards));
    let mut limit = CLOSER_MAX;
    match core.options.routing {
        // From successor to successor; those further down stand in for a dead one, the whole list of them.
        Routing::Successor => limit = closer.len(),
        Routing::Fingers => closer.extend(core.fingers.contacts().filter(towards)),
        Routing::Shortcuts => closer.extend(core.options.shortcuts.iter().copied().filter(towards)),
    }
    if core.options.routing != Routing::Successor {
        closer.sort_unstable_by_key(|contact| core.circle.distance(contact.point, key));
        closer.dedup();
    }
    if !core.suspects.is_empty() {
        closer.retain(|contact| !core.is_suspect(now, *contact));
    }
    let more = if closer.len() > limit { More::Yes } else { More::No };
    closer.truncate(limit);
    Step { closer, more, successors: successors(now, core) }
}

/// Returns the successor list. Where deaths or a liar's word have left places of it empty, former successors further on take
/// them: they may own the key, and say so themselves.
fn successors(now: Time, core: &Core) -> Vec<Entry> {
    let mut entries = core.successors.entries().to_vec();
    let away = |contact: Contact| core.circle.distance(core.me.point, contact.point);
    let reach = core.successors.contacts().last().map_or(0, away);
    let further = core.acquaintances.former().filter(|it| away(*it) > reach && !core.is_suspect(now, *it));
    let empty = entries.iter_mut().filter(|entry| entry.contact().is_none());
    for (place, former) in empty.zip(further) {
        *place = Entry::Contact(former);
    }
    entries
}

/// Returns the peers that may own the key, most likely first: those of a node's successors that are at or after it.
/// A node without any successor is alone and owns everything; but that is no other's word to a member, who is there, too.
pub(super) fn owners(core: &mut Core, at: Contact, key: Point, successors: &[Entry]) -> Vec<Contact> {
    let mut others =
        successors.iter().filter_map(Entry::contact).filter(|contact| contact.point != at.point).peekable();
    if others.peek().is_none() {
        if at == core.me || !core.standing.is_member() {
            return vec![at];
        }
        core.stats.steps_false += 1;
    }
    let mut owners: Vec<Contact> =
        others.filter(|contact| core.circle.is_up_to(at.point, key, contact.point)).collect();
    // As every list is, but for a liar's.
    owners.sort_by_key(|contact| core.circle.distance(key, contact.point));
    owners
}
