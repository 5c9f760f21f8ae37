//! The records a node holds, its own and copies: ordered by point, counted, limited, expiring.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::{Bytes, BytesMut};

use super::super::circle::{Arc, Circle, Point};
use super::super::options::DataOptions;
use super::record::{Key, Record, Version};
use crate::hash::Hash;
use crate::time::Time;
use crate::wire::Encode;

/// All records of a node. At most `DataOptions::records_max` records and `DataOptions::bytes_max` bytes.
#[derive(Clone, Debug)]
pub(super) struct Store {
    circle: Circle,
    records: BTreeMap<Key, Held>,
    /// Exactly one entry per record that expires.
    expiries: BTreeSet<(Time, Key)>,
    bytes: usize,
}

/// A record as held: its remaining life has become an instant.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) version: Version,
    pub(super) value: Option<Bytes>,
    pub(super) expires: Option<Time>,
    /// When it was last written or received.
    pub(super) since: Time,
    /// Identifies key and version in digests.
    tag: u128,
}

/// What became of a record offered to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is stored.
    New,
    /// The store has this version or a newer one.
    Known,
    /// A limit was reached.
    Refused,
}

impl Store {
    pub(super) fn new(circle: Circle) -> Self {
        Self { circle, records: BTreeMap::new(), expiries: BTreeSet::new(), bytes: 0 }
    }

    /// Stores a record unless a version as new is there.
    pub(super) fn keep(&mut self, now: Time, options: &DataOptions, record: Record) -> Kept {
        if self.records.get(&record.key).is_some_and(|held| held.version >= record.version) {
            return Kept::Known;
        }
        let size = record.size();
        let before = self.records.get(&record.key).map_or(0, |held| held_size(&record.key, held));
        let is_new = before == 0;
        if (is_new && self.records.len() >= options.records_max) || self.bytes - before + size > options.bytes_max {
            return Kept::Refused;
        }
        self.drop_key(&record.key);
        let Record { key, version, value, lasting } = record;
        let expires = lasting.map(|lasting| now + lasting);
        if let Some(expires) = expires {
            self.expiries.insert((expires, key.clone()));
        }
        self.bytes += size;
        let tag = tag(&key, version);
        self.records.insert(key, Held { version, value, expires, since: now, tag });
        Kept::New
    }

    pub(super) fn drop_key(&mut self, key: &Key) {
        let Some(held) = self.records.remove(key) else { return };
        self.bytes -= held_size(key, &held);
        if let Some(expires) = held.expires {
            self.expiries.remove(&(expires, key.clone()));
        }
    }

    /// Drops what has expired and returns how many those were.
    pub(super) fn expire(&mut self, now: Time) -> u64 {
        let mut expired = 0;
        while let Some((expires, key)) = self.expiries.first()
            && *expires <= now
        {
            let key = key.clone();
            self.drop_key(&key);
            expired += 1;
        }
        expired
    }

    pub(super) fn earliest_expiry(&self) -> Option<Time> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Held> {
        self.records.get(key)
    }

    /// Returns a record as it is sent: with the life that remains.
    pub(super) fn record(&self, now: Time, key: &Key) -> Option<Record> {
        let held = self.records.get(key)?;
        let lasting = held.expires.map(|expires| expires - now);
        Some(Record { key: key.clone(), version: held.version, value: held.value.clone(), lasting })
    }

    /// The records of an arc, clockwise from its start.
    pub(super) fn in_arc(&self, arc: Arc) -> impl Iterator<Item = (&Key, &Held)> {
        self.in_arc_after(arc, None)
    }

    /// The records of an arc behind a key of it, clockwise.
    pub(super) fn in_arc_after(&self, arc: Arc, after: Option<&Key>) -> impl Iterator<Item = (&Key, &Held)> {
        // A cursor from the network may lie anywhere; outside the arc it means the start.
        let after = after.filter(|key| arc.contains(self.circle, key.point));
        let wraps = arc.after.0 >= arc.up_to.0;
        let past_zero = after.is_some_and(|key| wraps && key.point.0 <= arc.up_to.0);
        let from = match after {
            Some(key) => Bound::Excluded(key.clone()),
            None => just_after(arc.after),
        };
        let (first, second) = match (wraps, past_zero) {
            (false, _) | (true, true) => ((from, just_after(arc.up_to)), None),
            (true, false) => ((from, Bound::Unbounded), Some((Bound::Unbounded, just_after(arc.up_to)))),
        };
        let rest = second.map(|range| self.records.range(open_end(range))).into_iter().flatten();
        // Behind the last point of the widest circle there is nothing before zero.
        let has_first = is_ordered(&first) && !(after.is_none() && arc.after.0 == u128::MAX);
        let in_first = has_first.then(|| self.records.range(open_end(first)));
        in_first.into_iter().flatten().chain(rest)
    }

    /// Returns the digest of an arc: XOR of its records' tags.
    pub(super) fn digest(&self, arc: Arc) -> u128 {
        self.in_arc(arc).fold(0, |digest, (_, held)| digest ^ held.tag)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Held)> {
        self.records.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

type KeyRange = (Bound<Key>, Bound<Key>);

/// The bound behind every key at a point.
fn just_after(point: Point) -> Bound<Key> {
    match point.0.checked_add(1) {
        Some(next) => Bound::Included(Key::at(Point(next))),
        None => Bound::Unbounded,
    }
}

/// Turns an upper bound made by [`just_after`] into one that leaves its own key out.
fn open_end((from, to): KeyRange) -> KeyRange {
    let to = match to {
        Bound::Included(key) => Bound::Excluded(key),
        Bound::Excluded(_) | Bound::Unbounded => to,
    };
    (from, to)
}

/// `BTreeMap::range` panics on a start behind its end, or equal to it when both are left out.
fn is_ordered((from, to): &KeyRange) -> bool {
    let (Bound::Included(from) | Bound::Excluded(from)) = from else { return true };
    let (Bound::Included(to) | Bound::Excluded(to)) = to else { return true };
    from < to
}

fn held_size(key: &Key, held: &Held) -> usize {
    super::record::RECORD_OVERHEAD + key.name.len() + held.value.as_ref().map_or(0, Bytes::len)
}

fn tag(key: &Key, version: Version) -> u128 {
    let mut bytes = BytesMut::new();
    key.encode(&mut bytes);
    version.encode(&mut bytes);
    let hash = Hash::of(&bytes);
    u128::from_be_bytes(hash.0[..16].try_into().expect("a SHA-256 value has 32 bytes"))
}
