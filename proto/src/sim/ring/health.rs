//! What is right and wrong with a ring, seen by one who knows every live member.

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

    /// Returns whether every pointer is what it should be: one ordered cycle with right lists.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.wrong_lists == 0 && self.wrong_predecessors == 0
    }

    /// Returns whether the members form one ordered cycle, whatever lists and predecessors say.
    #[must_use]
    pub fn is_one_cycle(&self) -> bool {
        self.wrong_successors == 0
    }
}
