//! The peers a ring starts with: known to all, each with the right pointers from the first moment.

use std::sync::Arc;

use thiserror::Error;

use super::circle::{Circle, Point};
use super::contact::{Contact, Entry};
use super::finger_table::{FingerTable, lowest_exponent};
use crate::random::Random;

/// The peers a ring starts with, in clockwise order. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Founders {
    circle: Circle,
    /// By rising point, at least one.
    contacts: Arc<[Contact]>,
}

impl Founders {
    /// Puts the peers of a ring in order.
    ///
    /// # Errors
    /// When there is none, two sit on the same point, or one sits outside the circle.
    pub fn new(circle: Circle, mut contacts: Vec<Contact>) -> Result<Self, FoundersError> {
        contacts.sort_unstable();
        if contacts.is_empty() {
            return Err(FoundersError::None);
        }
        if let Some(pair) = contacts.windows(2).find(|pair| pair[0].point == pair[1].point) {
            return Err(FoundersError::SamePoint { first: pair[0], second: pair[1] });
        }
        if let Some(outside) = contacts.iter().find(|contact| !circle.contains(contact.point)) {
            return Err(FoundersError::Outside { contact: *outside });
        }
        Ok(Self { circle, contacts: contacts.into() })
    }

    /// Returns the circle they sit on.
    #[must_use]
    pub fn circle(&self) -> Circle {
        self.circle
    }

    /// Returns the peers, by rising point.
    #[must_use]
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// Returns the owner of a point: the first peer at or after it.
    #[must_use]
    pub fn owner(&self, key: Point) -> Contact {
        let place = self.contacts.partition_point(|contact| contact.point < key);
        self.contacts[place % self.contacts.len()]
    }

    /// Returns the next `len` peers after a point, fewer when the ring is smaller.
    pub(super) fn after(&self, point: Point, len: usize) -> Vec<Entry> {
        let first = self.contacts.partition_point(|contact| contact.point <= point);
        let others = self.contacts.len() - usize::from(self.owner(point).point == point);
        let next = (first..first + len.min(others)).map(|place| self.contacts[place % self.contacts.len()]);
        next.map(Entry::Contact).collect()
    }

    /// Returns the peer before a point; `None` when there is no other.
    pub(super) fn before(&self, point: Point) -> Option<Contact> {
        let place = self.contacts.partition_point(|contact| contact.point < point);
        let before = self.contacts[(place + self.contacts.len() - 1) % self.contacts.len()];
        (before.point != point).then_some(before)
    }

    pub(super) fn fill_fingers(&self, me: Contact, fingers: &mut FingerTable) {
        let Some(Entry::Contact(successor)) = self.after(me.point, 1).first().copied() else { return };
        for exponent in lowest_exponent(self.circle, me.point, successor.point)..self.circle.bits() {
            let finger = self.owner(self.circle.advance(me.point, 1 << exponent));
            if self.circle.distance(me.point, finger.point) >> exponent != 0 {
                fingers.set(exponent, finger);
            }
        }
    }

    /// Picks some of them by chance, to remember for bad times.
    pub(super) fn some(&self, random: &mut Random) -> Vec<Contact> {
        (0..SOME.min(self.contacts.len())).filter_map(|_| random.pick(&self.contacts).copied()).collect()
    }
}

/// Why peers cannot start a ring.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FoundersError {
    /// There is none.
    #[error("a ring starts with at least one peer")]
    None,
    /// Two sit on the same point.
    #[error("{first} and {second} sit on the same point")]
    SamePoint {
        /// One.
        first: Contact,
        /// The other.
        second: Contact,
    },
    /// One sits outside the circle.
    #[error("{contact} sits outside the circle")]
    Outside {
        /// Which.
        contact: Contact,
    },
}

/// How many are remembered. As many as [`super::acquaintances`] keeps for ever.
const SOME: usize = 16;
