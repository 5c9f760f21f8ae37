//! Who sits where: a peer and its point, and the places of a successor list.

use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::circle::Point;
use crate::id::PeerId;
use crate::wire::{Decode, DecodeError, Encode, get_number, put_varint};

/// A peer and the point it sits on.
///
/// What a third party says about a contact is a claim; the driver's word on the sender of a message is proof, because the
/// sender's certificate carries both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// Where it sits.
    pub point: Point,
    /// Which peer.
    pub peer: PeerId,
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.point, self.peer)
    }
}

/// One place of a successor list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A peer that can be asked.
    Contact(Contact),
    /// Nobody: keeps the list at its length after a death. It sits just after the entry before it, so that no member can
    /// lie between the two (Zave's padding).
    Placeholder(Point),
}

impl Entry {
    /// Returns where the entry sits.
    #[must_use]
    pub fn point(&self) -> Point {
        match self {
            Self::Contact(contact) => contact.point,
            Self::Placeholder(point) => *point,
        }
    }

    /// Returns the peer, if it is one.
    #[must_use]
    pub fn contact(&self) -> Option<Contact> {
        match self {
            Self::Contact(contact) => Some(*contact),
            Self::Placeholder(_) => None,
        }
    }
}

impl Encode for Contact {
    fn encode(&self, out: &mut BytesMut) {
        self.point.encode(out);
        put_varint(out, u64::from(self.peer.0));
    }
}

impl Decode for Contact {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        match Entry::decode(input)? {
            Entry::Contact(contact) => Ok(contact),
            Entry::Placeholder(_) => Err(DecodeError::Bad { what: "contact without a peer" }),
        }
    }
}

/// On the wire a placeholder is a contact with peer 0, which no plan gives to a peer.
impl Encode for Entry {
    fn encode(&self, out: &mut BytesMut) {
        self.point().encode(out);
        put_varint(out, self.contact().map_or(0, |contact| u64::from(contact.peer.0)));
    }
}

impl Decode for Entry {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let point = Point::decode(input)?;
        Ok(match get_number(input, "peer")? {
            0 => Self::Placeholder(point),
            peer => Self::Contact(Contact { point, peer: PeerId(peer) }),
        })
    }
}
