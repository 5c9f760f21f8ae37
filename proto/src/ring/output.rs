//! All that a ring node asks of the world and tells it.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::circle::Point;
use super::contact::Contact;
use super::data::message::Refusal;
use super::data::record::{Key, Version};
use super::message::Message;

/// What a driver has to do for a ring node.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this. It may get lost; then the node asks again. Must be dropped when somebody else sits at that point.
    Send {
        /// To whom.
        to: Contact,
        /// What.
        message: Message,
    },
    /// Something happened that users want to know.
    Event(Event),
}

/// Something that users of a ring want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The node has become a member and its successor has been told.
    Joined,
    /// The node has handed its records over and is no member any more.
    Left,
    /// The immediate successor is another one.
    SuccessorChanged {
        /// Who it is now; `None` when no successor is known.
        successor: Option<Contact>,
    },
    /// The predecessor is another one.
    PredecessorChanged {
        /// Who it is now.
        predecessor: Contact,
    },
    /// All successors were dead at once; the node goes on with others it remembers.
    Orphaned,
    /// A look-up from elsewhere found another owner for our own point: the ring was split, twisted, or slow to take us in.
    Misplaced {
        /// Whom it found.
        owner: Contact,
    },
    /// A lookup commanded of this node has ended.
    LookedUp {
        /// The command's number.
        request: u64,
        /// What was found.
        result: Result<Lookup, LookupError>,
    },
    /// A put or delete commanded of this node has ended.
    Written {
        /// The command's number.
        request: u64,
        /// The key.
        key: Key,
        /// Where it went.
        result: Result<Written, DataError>,
    },
    /// A get commanded of this node has ended.
    Read {
        /// The command's number.
        request: u64,
        /// The key.
        key: Key,
        /// The value; `None` when there is none.
        result: Result<Option<Read>, DataError>,
    },
}

/// What a lookup found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What was looked for.
    pub key: Point,
    /// Who owns it.
    pub owner: Contact,
    /// Who named the owner; the origin itself when it is next to the key.
    pub predecessor: Contact,
    /// The nodes that `hops` counts, in order; at most the first 64. Empty for a recursive lookup, of which the origin sees the
    /// end only.
    pub path: Vec<Contact>,
    /// Nodes contacted on the way to the key's predecessor, the predecessor included, the origin not; the hop from the
    /// predecessor to the owner does not count (Chord's "path length").
    pub hops: u16,
    /// Dead nodes met on the way, each once, those between the key's predecessor and the owner included.
    pub timeouts: u16,
    /// How many of `timeouts` came after the key's predecessor was reached. Iterative lookups only; 0 of others.
    pub timeouts_behind: u16,
    /// How often, until then, a dead node was named that the lookup had met before, and another timeout was spared.
    /// Iterative lookups only; 0 of others.
    pub timeouts_spared: u16,
    /// Tries it took: 1 without a retry.
    pub tries: u8,
    /// From the command to the end.
    pub elapsed: Duration,
}

/// Where a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Who owns the key.
    pub owner: Contact,
    /// Which write it is.
    pub version: Version,
    /// Replicas that had acknowledged it when the owner did.
    pub replicas: u8,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Who answered: the owner, or a holder of a copy.
    pub from: Contact,
    /// Which write it is.
    pub version: Version,
    /// The value.
    pub value: Bytes,
}

/// Why a lookup found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LookupError {
    /// Every peer known towards the key is dead.
    #[error("every peer known towards the key is dead")]
    DeadEnd,
    /// No owner was found in the time a lookup may take.
    #[error("no owner was found in time")]
    TimedOut,
    /// More hops than any ring needs.
    #[error("gave up after too many hops")]
    TooManyHops,
    /// Too many lookups or questions are under way.
    #[error("too many lookups are under way")]
    Crowded,
    /// This node is no member of the ring.
    #[error("this node is not a member of the ring")]
    NotMember,
}

/// Why a put, get or delete failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DataError {
    /// The key's owner was not found.
    #[error("the key's owner was not found: {0}")]
    Lookup(#[from] LookupError),
    /// The owner would not.
    #[error("the owner refused: {0:?}")]
    Refused(Refusal),
    /// The owner did not answer in all tries. A write may have happened all the same.
    #[error("the owner did not answer")]
    NoAnswer,
    /// Too many operations are under way at this node.
    #[error("too many operations are under way")]
    Crowded,
    /// The name or value is longer than allowed.
    #[error("the name or value is longer than allowed")]
    TooLarge,
}
