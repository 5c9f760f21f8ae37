//! Whether answers were right: by who truly owned each key when it was answered, and by what was truly written.

use std::collections::BTreeMap;

use peerbed_proto::{PeerId, Time, ring::Point};

use super::{Answer, Course, Ended, Rings, asking::Asking};
use crate::plan::Key;

/// What an answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It was right.
    Correct,
    /// It was given, and not right.
    Wrong,
    /// There was none.
    Failed,
    /// There could be none: the scenario took the asker away.
    Abandoned,
}

/// Judges the answers of one step, in their order, each with the true owner of its key at that time.
#[must_use]
pub fn judge(rings: &Rings, asking: &Asking) -> Vec<(Judged, Option<PeerId>)> {
    let course = &rings.courses()[asking.ring()];
    let owners = owners(course, asking.answers());
    let writes = writes(rings, asking.ring());
    let judged = |(answer, owners): (&Answer, Vec<PeerId>)| {
        let judged = match &answer.ended {
            Ended::Failed(_) => Judged::Failed,
            Ended::Abandoned => Judged::Abandoned,
            Ended::Owner { owner: found, .. } => {
                let is_as_given = answer.key.owner.is_none_or(|given| given == *found);
                right_if(owners.contains(found) && is_as_given)
            }
            Ended::Written { owner: found, .. } => right_if(owners.contains(found)),
            Ended::Read { value, .. } => right_if(may_read(&writes, answer, value.as_ref())),
        };
        (judged, owners.first().copied())
    };
    asking.answers().iter().zip(owners).map(judged).collect()
}

/// How many lookups were neither right at first nor when they were asked once more. One whose asker was taken away the second
/// time counts as right: nobody was answered wrongly.
#[must_use]
pub fn still_wrong(rings: &Rings, asking: &Asking) -> usize {
    let course = &rings.courses()[asking.ring()];
    let taken = |answer: &Answer| answer.ended == Ended::Abandoned;
    asking.second().iter().filter(|(_, answer)| !taken(answer) && !is_right(course, answer)).count()
}

/// Whether a lookup found the true owner, as far as is known now.
pub(super) fn is_right(course: &Course, answer: &Answer) -> bool {
    match &answer.ended {
        Ended::Owner { owner, .. } => owners(course, std::slice::from_ref(answer)).iter().any(|it| it.contains(owner)),
        Ended::Written { .. } | Ended::Read { .. } => true,
        Ended::Failed(_) | Ended::Abandoned => false,
    }
}

fn right_if(is_right: bool) -> Judged {
    if is_right { Judged::Correct } else { Judged::Wrong }
}

/// The true owner of each answer's key at the time of the answer: the first live member at or after it. Where that one is
/// hostile, it may have been shut out, and those behind it up to the first honest one follow.
fn owners(course: &Course, answers: &[Answer]) -> Vec<Vec<PeerId>> {
    let mut changes = course.changes().to_vec();
    changes.sort_by_key(|change| change.at);
    let mut order: Vec<usize> = (0..answers.len()).collect();
    order.sort_by_key(|place| answers[*place].at);
    let mut members: BTreeMap<Point, PeerId> = BTreeMap::new();
    let mut changes = changes.into_iter().peekable();
    let mut owners = vec![Vec::new(); answers.len()];
    for place in order {
        while let Some(change) = changes.next_if(|change| change.at <= answers[place].at) {
            match change.member {
                Some(member) => members.insert(change.point, member),
                None => members.remove(&change.point),
            };
        }
        let key = answers[place].key.point;
        for (_, member) in members.range(key..).chain(members.range(..key)) {
            owners[place].push(*member);
            if !course.is_hostile(*member) {
                break;
            }
        }
    }
    owners
}

/// One write: when it was ordered, when it was acknowledged, and what.
struct Write {
    begun: Time,
    acknowledged: Option<Time>,
    value: Option<String>,
}

/// All writes to a ring by key.
fn writes(rings: &Rings, ring: usize) -> BTreeMap<(Point, Option<String>), Vec<Write>> {
    let mut writes: BTreeMap<_, Vec<Write>> = BTreeMap::new();
    for asking in rings.asked().filter(|asking| asking.ring() == ring && asking.word() == "put") {
        for answer in asking.answers() {
            let is_done = matches!(answer.ended, Ended::Written { .. });
            let write = Write {
                begun: answer.begun,
                acknowledged: is_done.then_some(answer.at),
                value: answer.key.value.clone(),
            };
            writes.entry(id_of(&answer.key)).or_default().push(write);
        }
    }
    writes
}

fn id_of(key: &Key) -> (Point, Option<String>) {
    (key.point, key.name.clone())
}

/// Whether a read may have found this: the last write acknowledged before it began, or one that was under way meanwhile or
/// may have happened although it was not acknowledged.
fn may_read(writes: &BTreeMap<(Point, Option<String>), Vec<Write>>, answer: &Answer, value: Option<&String>) -> bool {
    let all = writes.get(&id_of(&answer.key)).map_or(&[][..], Vec::as_slice);
    let before = |write: &&Write| write.acknowledged.is_some_and(|at| at <= answer.begun);
    let last = all.iter().filter(before).max_by_key(|write| write.acknowledged);
    let meanwhile = all.iter().filter(|write| write.begun <= answer.at && !before(write));
    let none = last.is_none().then_some(None);
    let candidates = last.into_iter().chain(meanwhile).map(|write| write.value.as_ref());
    candidates.chain(none).any(|candidate| candidate == value)
}
