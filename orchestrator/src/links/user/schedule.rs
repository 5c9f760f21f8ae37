//! What happens next: a heap of events by time, and by order of entry where times are equal.

use std::{cmp::Ordering, collections::BinaryHeap};

use peerbed_proto::time::Time;

use super::pool::Packet;

/// Something that happens at a certain time.
#[derive(Debug)]
pub(super) enum Event {
    /// The bottleneck of a direction is free for the next packet.
    Serve(Side, u32),
    /// A packet has come through its sender's link and reaches that of its receiver.
    Cross(Box<Packet>),
    /// A packet has come through its receiver's link.
    Deliver(Box<Packet>),
}

/// A direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// From the peer to the core.
    Up,
    /// From the core to the peer.
    Down,
}

/// Events to come.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    heap: BinaryHeap<Entry>,
    /// Number of the next entry.
    entries: u64,
}

impl Schedule {
    pub(super) fn push(&mut self, at: Time, event: Event) {
        self.heap.push(Entry { at, number: self.entries, event });
        self.entries += 1;
    }

    /// Takes the earliest event if it happens no later than `now`.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, Event)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// When the earliest event happens.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|entry| entry.at)
    }
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl Entry {
    fn key(&self) -> (Time, u64) {
        (self.at, self.number)
    }
}

impl Ord for Entry {
    /// The standard heap has its greatest entry on top, so the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}
