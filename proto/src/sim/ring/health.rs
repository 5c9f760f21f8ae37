//! What is right and wrong with a ring, seen by one who knows every live member.

use crate::id::PeerId;
use crate::ring::soundness::{begins_right, is_sound};
use crate::ring::{Contact, Entry, Ring};

/// How many members have which pointers wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Live members.
    pub members: usize,
    /// Members whose immediate successor is not the next live member.
    pub wrong_successors: usize,
    /// Members whose list is not exactly the next live members, in order. Includes `wrong_successors`.
    pub wrong_lists: usize,
    /// Members whose list is wrong before the first hostile entry, from where on it is a liar's word. Only of [`Health::among`].
    pub wrong_beginnings: usize,
    /// Members whose predecessor is not the live member before them.
    pub wrong_predecessors: usize,
}

impl Health {
    /// Compares members, given by rising point, with one another.
    #[must_use]
    pub fn of<'a>(members: impl Iterator<Item = &'a Ring>) -> Self {
        let members: Vec<&Ring> = members.collect();
        let count = members.len();
        let mut health = Self { members: count, ..Self::default() };
        for (place, ring) in members.iter().enumerate() {
            let len = ring.successors().len().min(count - 1);
            let should = (1..=len).map(|step| members[(place + step) % count].me());
            let has: Vec<Contact> = ring.successors().iter().filter_map(Entry::contact).collect();
            let should: Vec<Contact> = should.collect();
            health.wrong_successors += usize::from(has.first() != should.first());
            health.wrong_lists += usize::from(has != should);
            let before = members[(place + count - 1) % count].me();
            health.wrong_predecessors += usize::from(count > 1 && ring.predecessor() != Some(before));
        }
        health
    }

    /// Compares the honest members, given by rising point, with one another, where hostile ones may sit between them. A hostile
    /// member may be pointed at or shut out; what is wrong is to pass over an honest one. So a successor is right when it is
    /// the next honest member or a hostile one before that, and so is a predecessor. A list begins right when it is exactly the
    /// next honest members up to its end or to a hostile one that sits between them; it is right when its honest entries are the
    /// next honest members in order all the way, however many a lying successor leaves of them.
    #[must_use]
    pub fn among<'a>(honest: impl Iterator<Item = &'a Ring>, is_hostile: impl Fn(PeerId) -> bool) -> Self {
        let honest: Vec<&Ring> = honest.collect();
        let count = honest.len();
        let mut health = Self { members: count, ..Self::default() };
        for (place, ring) in honest.iter().enumerate().filter(|_| count > 1) {
            let after = |steps: usize| honest[(place + steps) % count].me();
            let lurks = |it: Contact, from: Contact, to: Contact| {
                is_hostile(it.peer) && ring.circle().is_between(from.point, it.point, to.point)
            };
            let (me, before, next) = (ring.me(), after(count - 1), after(1));
            let has: Vec<Contact> = ring.successors().iter().filter_map(Entry::contact).collect();
            health.wrong_successors += usize::from(!is_sound(has.first().copied(), next, (me, next), lurks));
            health.wrong_predecessors += usize::from(!is_sound(ring.predecessor(), before, (before, me), lurks));
            let len = ring.successors().len().min(count - 1);
            health.wrong_beginnings += usize::from(!begins_right(&has, len, after, lurks));
            let entries = has.into_iter().filter(|it| !is_hostile(it.peer));
            health.wrong_lists += usize::from(!entries.zip(1..).all(|(it, steps)| it == after(steps)));
        }
        health
    }

    /// Returns whether every pointer is what it should be: one ordered cycle with right lists.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.wrong_lists == 0 && self.wrong_beginnings == 0 && self.wrong_predecessors == 0
    }

    /// Returns whether no honest member passes over another, whatever hostile ones say: the members form one ordered cycle, know
    /// who is before them, and lists are right as far as honest members have them from honest ones.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.is_one_cycle() && self.wrong_beginnings == 0 && self.wrong_predecessors == 0
    }

    /// Returns whether the members form one ordered cycle, whatever lists and predecessors say.
    #[must_use]
    pub fn is_one_cycle(&self) -> bool {
        self.wrong_successors == 0
    }
}
