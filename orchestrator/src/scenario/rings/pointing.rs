//! Whether members point where they have to.

use peerbed_proto::{
    PeerId,
    ring::{
        Circle, Point,
        soundness::{begins_right, is_sound},
    },
};

use super::Pointers;

/// Whether the predecessor and successor list of every member, given in the order of their points, are exactly the members
/// beside it. Lists have `length` places.
pub(super) fn are_right<'a>(
    members: &[PeerId],
    length: usize,
    pointers: impl Fn(PeerId) -> Option<&'a Pointers>,
) -> bool {
    let count = members.len();
    members.iter().enumerate().all(|(place, member)| {
        let Some(pointers) = pointers(*member) else { return count == 1 };
        let should = (1..=length.min(count - 1)).map(|step| members[(place + step) % count]);
        let before = (count > 1).then(|| members[(place + count - 1) % count]);
        pointers.successors.iter().flatten().copied().eq(should) && (before.is_none() || pointers.predecessor == before)
    })
}

/// Whether no honest member passes over another: its successor list is the next honest members, up to its end or to a hostile one
/// between them, from where on it is that one's word; its predecessor is the honest one before it or a hostile one between them.
///
/// `sits` says where a member sits, `lurks` where a hostile one does, and nothing of others.
pub(super) fn are_right_among_hostile<'a>(
    circle: Circle,
    honest: &[PeerId],
    length: usize,
    sits: impl Fn(PeerId) -> Option<Point>,
    lurks: impl Fn(PeerId) -> Option<Point>,
    pointers: impl Fn(PeerId) -> Option<&'a Pointers>,
) -> bool {
    let count = honest.len();
    let is_between = |found: PeerId, from: PeerId, to: PeerId| {
        let (Some(found), Some(from), Some(to)) = (lurks(found), sits(from), sits(to)) else { return false };
        circle.is_between(from, found, to)
    };
    honest.iter().enumerate().filter(|_| count > 1).all(|(place, member)| {
        let Some(pointers) = pointers(*member) else { return false };
        let at = |step: usize| honest[(place + step) % count];
        let length = length.min(count - 1);
        let list: Vec<PeerId> = pointers.successors.iter().flatten().copied().collect();
        let before = at(count - 1);
        begins_right(&list, length, at, is_between)
            && is_sound(pointers.predecessor, before, (before, *member), is_between)
    })
}
