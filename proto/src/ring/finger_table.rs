//! The textbook's shortcuts: for each power of two, the first peer at or after that distance.
//!
//! Fingers only make lookups fast. They are outside the correctness argument, so a wrong one is harmless. How they are
//! kept fresh is in `fingers.rs`.

use super::circle::{Circle, Point};
use super::contact::Contact;

/// The fingers of a node, by rising exponent. At most one per exponent, so at most 128.
#[derive(Clone, Debug, Default)]
pub(super) struct FingerTable {
    fingers: Vec<(u8, Contact)>,
}

impl FingerTable {
    pub(super) fn set(&mut self, exponent: u8, contact: Contact) {
        match self.fingers.binary_search_by_key(&exponent, |&(exponent, _)| exponent) {
            Ok(place) => self.fingers[place].1 = contact,
            Err(place) => self.fingers.insert(place, (exponent, contact)),
        }
    }

    pub(super) fn unset(&mut self, exponent: u8) {
        self.fingers.retain(|&(known, _)| known != exponent);
    }

    pub(super) fn remove(&mut self, dead: Contact) {
        self.fingers.retain(|&(_, contact)| contact != dead);
    }

    /// Fills the table from peers someone else knows: each finger becomes the first of them within its own stretch.
    pub(super) fn fill(&mut self, circle: Circle, me: Contact, known: &[Contact]) {
        for &contact in known {
            let away = circle.distance(me.point, contact.point);
            let Some(exponent) = away.checked_ilog2() else { continue };
            let exponent = u8::try_from(exponent).expect("a distance has at most 128 bits");
            let held = self.find(exponent).map(|held| circle.distance(me.point, held.point));
            if held.is_none_or(|held| away < held) {
                self.set(exponent, contact);
            }
        }
    }

    pub(super) fn find(&self, exponent: u8) -> Option<Contact> {
        let place = self.fingers.binary_search_by_key(&exponent, |&(exponent, _)| exponent).ok()?;
        Some(self.fingers[place].1)
    }

    /// The contacts, nearest first; the same one may come several times in a row.
    pub(super) fn contacts(&self) -> impl DoubleEndedIterator<Item = Contact> + '_ {
        self.fingers.iter().map(|&(_, contact)| contact)
    }

    pub(super) fn len(&self) -> usize {
        self.fingers.len()
    }
}

/// Returns the lowest exponent worth a finger: shorter ones end at the immediate successor.
pub(super) fn lowest_exponent(circle: Circle, me: Point, successor: Point) -> u8 {
    let gap = circle.distance(me, successor);
    // 2^exponent must reach beyond the successor.
    u8::try_from(128 - gap.leading_zeros()).expect("at most 128").min(circle.bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;

    #[test]
    fn fingers_that_end_at_the_successor_are_not_kept() {
        let circle = Circle::new(6).unwrap();
        assert_eq!(lowest_exponent(circle, Point(1), Point(12)), 4);
        assert_eq!(lowest_exponent(circle, Point(12), Point(13)), 1);
        assert_eq!(lowest_exponent(circle, Point(60), Point(4)), 4);
    }

    #[test]
    fn filling_takes_the_first_peer_of_each_stretch() {
        let at = |point: u32| Contact { point: Point(point.into()), peer: PeerId(point + 1) };
        let mut table = FingerTable::default();
        table.fill(Circle::new(6).unwrap(), at(1), &[at(60), at(40), at(20), at(18), at(13), at(12)]);
        assert_eq!(table.contacts().collect::<Vec<_>>(), [at(12), at(18), at(40)]);
    }
}
