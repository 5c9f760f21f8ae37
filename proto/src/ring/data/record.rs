//! What is stored: a key, a value or the mark of its deletion, and a version.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::super::circle::{Circle, Point};
use crate::id::PeerId;

/// What a value is stored under: the user's own key, and the point it falls on.
///
/// Two names on the same point are two keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Where on the circle: decides who owns it.
    pub point: Point,
    /// The user's key, at most [`NAME_MAX`] bytes; empty for a key given as a point.
    pub name: Bytes,
}

impl Key {
    /// Makes the key of a human name, for example a film's title: its point is its hash.
    #[must_use]
    pub fn named(circle: Circle, name: &str) -> Self {
        Self { point: circle.hash(name.as_bytes()), name: Bytes::copy_from_slice(name.as_bytes()) }
    }

    /// Makes the key that is a point, as in the textbook's examples.
    #[must_use]
    pub fn at(point: Point) -> Self {
        Self { point, name: Bytes::new() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_ref() {
            [] => write!(f, "{}", self.point),
            name => write!(f, "{:?} at {}", String::from_utf8_lossy(name), self.point),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Orders the writes to one key; the higher wins everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// One more than that of the write the owner knew before.
    pub counter: u64,
    /// The owner that took the write; decides between two owners that knew the same write before.
    pub owner: PeerId,
}

/// A key with what was last written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Key,
    /// Which write it is.
    pub version: Version,
    /// The value; `None` when it was deleted.
    pub value: Option<Bytes>,
    /// For how long from now it is kept; `None` for ever. Millisecond steps on the wire.
    pub lasting: Option<Duration>,
}

impl Record {
    /// Returns the bytes it counts for: key, value, and a flat sum for the rest.
    #[must_use]
    pub fn size(&self) -> usize {
        RECORD_OVERHEAD + self.key.name.len() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// Longest name of a key, in bytes.
pub const NAME_MAX: usize = 255;

/// What a record counts for beside its name and value: about its size in memory.
pub(super) const RECORD_OVERHEAD: usize = 128;
