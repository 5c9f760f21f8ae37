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

/// Takes a step towards a key, leaving out the `skip` best.
///
/// A node never says "mine" here, although it knows its predecessor: as published, the search comes round to the node
/// before the key, so a wrong predecessor pointer cannot end it early and hops mean what they mean in Chord's tables.
pub(super) fn step(now: Time, core: &Core, key: Point, skip: usize) -> Step {
    let mut closer: Vec<Contact> = Vec::with_capacity(core.successors.entries().len() + core.fingers.len());
    let towards = |contact: &Contact| core.circle.is_between(core.me.point, contact.point, key);
    closer.extend(core.successors.contacts().filter(towards));
    match core.options.routing {
        // From successor to successor; those further down stand in for a dead one.
        Routing::Successor => {}
        Routing::Fingers => nearest_first(core, key, core.fingers.contacts(), &mut closer),
        Routing::Shortcuts => nearest_first(core, key, core.options.shortcuts.iter().copied(), &mut closer),
    }
    if !core.suspects.is_empty() {
        closer.retain(|contact| !core.is_suspect(now, *contact));
    }
    let more = if closer.len() > skip + CLOSER_MAX { More::Yes } else { More::No };
    closer.drain(..skip.min(closer.len()));
    closer.truncate(CLOSER_MAX);
    Step { closer, more, successors: core.successors.entries().to_vec() }
}

/// Returns the peers that may own the key, most likely first: those of a node's successors that are at or after it.
/// A node without any successor is alone and owns everything.
pub(super) fn owners(core: &Core, at: Contact, key: Point, successors: &[Entry]) -> Vec<Contact> {
    let mut contacts = successors.iter().filter_map(Entry::contact).peekable();
    if contacts.peek().is_none() {
        return vec![at];
    }
    contacts.filter(|contact| core.circle.is_up_to(at.point, key, contact.point)).collect()
}

fn nearest_first(core: &Core, key: Point, more: impl Iterator<Item = Contact>, closer: &mut Vec<Contact>) {
    closer.extend(more.filter(|contact| core.circle.is_between(core.me.point, contact.point, key)));
    closer.sort_unstable_by_key(|contact| core.circle.distance(contact.point, key));
    closer.dedup();
}
