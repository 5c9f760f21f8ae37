//! The successor list: always the same length, always clockwise, replaced as a whole.
//!
//! Why it never shrinks and is never merged from two sources: faults 3 and 4 of the published protocol (Zave 2012).
//! Who decides when to change it: `stabilise.rs`, `join.rs`, `core.rs` (deaths).

use super::circle::{Circle, Point};
use super::contact::{Contact, Entry};

/// A node's next peers, clockwise.
///
/// Invariants: exactly `len` entries; clockwise from `me`, strictly, and none at `me`, except that placeholders at the
/// tail of a tiny circle may reach it; no placeholder before a contact at the head.
#[derive(Clone, Debug)]
pub(super) struct SuccessorList {
    circle: Circle,
    me: Point,
    len: usize,
    entries: Vec<Entry>,
}

/// What became of a list received from another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adoption {
    /// It was in order.
    InOrder,
    /// It was not clockwise from us; its rest was cut off.
    Cut,
}

impl SuccessorList {
    /// Makes a list of placeholders only: knows nobody.
    pub(super) fn new(circle: Circle, me: Point, len: usize) -> Self {
        let mut list = Self { circle, me, len, entries: Vec::with_capacity(len) };
        list.pad();
        list
    }

    /// Replaces the whole list by `head` and what follows it in `rest`, leaving out whom `is_dead` names.
    ///
    /// The rest normally is `head`'s own list, with one entry more than fits, which takes a dead one's place.
    pub(super) fn adopt(&mut self, head: Contact, rest: &[Entry], is_dead: impl Fn(Contact) -> bool) -> Adoption {
        self.entries.clear();
        self.entries.push(Entry::Contact(head));
        self.extend(rest, is_dead)
    }

    /// Replaces the whole list by another node's: what a joining node does.
    pub(super) fn copy(&mut self, entries: &[Entry], is_dead: impl Fn(Contact) -> bool) -> Adoption {
        self.entries.clear();
        self.extend(entries, is_dead)
    }

    /// Takes a dead peer out. Only the dead is skipped by that, so no member loses its place on anybody's list.
    pub(super) fn remove(&mut self, dead: Contact) -> Option<Removed> {
        let place = self.entries.iter().position(|entry| entry.contact() == Some(dead))?;
        self.entries.remove(place);
        self.pad();
        Some(if place == 0 { Removed::Head } else { Removed::Tail })
    }

    /// Returns the immediate successor; `None` when the list knows nobody.
    pub(super) fn head(&self) -> Option<Contact> {
        self.entries[0].contact()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn contacts(&self) -> impl DoubleEndedIterator<Item = Contact> + '_ {
        self.entries.iter().filter_map(Entry::contact)
    }

    fn extend(&mut self, rest: &[Entry], is_dead: impl Fn(Contact) -> bool) -> Adoption {
        let mut reached = self.entries.last().map_or(0, |entry| self.circle.distance(self.me, entry.point()));
        let mut adoption = Adoption::InOrder;
        for entry in rest {
            let away = self.circle.distance(self.me, entry.point());
            if self.entries.len() == self.len || away == 0 {
                // Full, or once round the circle: a ring with fewer peers than the list has places.
                break;
            }
            if away <= reached || !self.circle.contains(entry.point()) {
                adoption = Adoption::Cut;
                break;
            }
            reached = away;
            if !entry.contact().is_some_and(&is_dead) {
                self.entries.push(*entry);
            }
        }
        self.pad();
        adoption
    }

    fn pad(&mut self) {
        let known = self.entries.iter().position(|entry| entry.contact().is_some());
        self.entries.drain(..known.unwrap_or(self.entries.len()));
        let mut last = self.entries.last().map_or(self.me, Entry::point);
        while self.entries.len() < self.len {
            last = self.circle.advance(last, 1);
            self.entries.push(Entry::Placeholder(last));
        }
    }
}

/// Which place a dead peer had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// It was the immediate successor.
    Head,
    /// It was further down.
    Tail,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;

    fn contact(point: u128) -> Contact {
        Contact { point: Point(point), peer: PeerId(u32::try_from(point).unwrap() + 1) }
    }

    fn at(points: &[u128]) -> Vec<Entry> {
        points.iter().map(|&point| Entry::Contact(contact(point))).collect()
    }

    fn list(me: u128, points: &[u128]) -> SuccessorList {
        let mut list = SuccessorList::new(Circle::new(6).unwrap(), Point(me), 3);
        list.copy(&at(points), |_| false);
        list
    }

    fn points(list: &SuccessorList) -> Vec<(u128, bool)> {
        list.entries().iter().map(|entry| (entry.point().0, entry.contact().is_some())).collect()
    }

    #[test]
    fn a_death_keeps_the_length_and_skips_nobody() {
        let mut list = list(60, &[1, 12, 13]);
        assert_eq!(list.remove(contact(1)), Some(Removed::Head));
        assert_eq!(points(&list), [(12, true), (13, true), (14, false)]);
        assert_eq!(list.remove(contact(13)), Some(Removed::Tail));
        assert_eq!(points(&list), [(12, true), (14, false), (15, false)]);
        assert_eq!(list.remove(contact(40)), None);
        assert_eq!(list.remove(contact(12)), Some(Removed::Head));
        assert_eq!(list.head(), None);
    }

    #[test]
    fn a_list_out_of_order_is_cut_where_it_turns_back() {
        let mut list = list(60, &[1, 12, 13]);
        assert_eq!(list.adopt(contact(5), &at(&[20, 10, 25]), |_| false), Adoption::Cut);
        assert_eq!(points(&list), [(5, true), (20, true), (21, false)]);
    }

    #[test]
    fn a_list_that_comes_round_to_us_ends_before_us() {
        let mut list = list(60, &[1, 12, 13]);
        assert_eq!(list.adopt(contact(30), &at(&[60, 30]), |_| false), Adoption::InOrder);
        assert_eq!(points(&list), [(30, true), (31, false), (32, false)]);
    }

    #[test]
    fn the_spare_entry_takes_a_dead_ones_place() {
        let mut list = list(60, &[1, 12, 13]);
        list.adopt(contact(1), &at(&[12, 13, 25]), |dead| dead == contact(12));
        assert_eq!(points(&list), [(1, true), (13, true), (25, true)]);
    }
}
