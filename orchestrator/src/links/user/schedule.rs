//! What happens next: events by time, and by order of entry where times are equal.
//!
//! Most events only prepare others: a packet that enters a link with 10 ms of delay has no effect outside for that long.
//! Such an event may be looked at late, as long as it is looked at in order and before its effect is due. So the thread
//! need not wake up for it: [`Schedule::wake`] is when it must.

use std::{cmp::Ordering, collections::BinaryHeap, time::Duration};

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
    /// Those that must be looked at when they happen.
    exact: BinaryHeap<Entry>,
    /// Those that may be looked at [`PATIENCE`] later.
    patient: BinaryHeap<Entry>,
    /// Number of the next entry.
    entries: u64,
}

impl Schedule {
    /// Enters an event whose first effect outside comes at least `lead` later.
    pub(super) fn push(&mut self, at: Time, lead: Duration, event: Event) {
        let entry = Entry { at, number: self.entries, event };
        self.entries += 1;
        if lead >= PATIENCE { self.patient.push(entry) } else { self.exact.push(entry) }
    }

    /// Takes the earliest event if it happens no later than `now`.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, Event)> {
        // The greater entry is the earlier one; an empty heap has none, which is less than any.
        let heap = if self.exact.peek() > self.patient.peek() { &mut self.exact } else { &mut self.patient };
        if heap.peek()?.at > now {
            return None;
        }
        heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// When the next event must be looked at.
    pub(super) fn wake(&self) -> Option<Time> {
        let exact = self.exact.peek().map(|entry| entry.at);
        let patient = self.patient.peek().map(|entry| entry.at + PATIENCE);
        exact.into_iter().chain(patient).min()
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

/// How long an event without an early effect may wait for the next one that has: with 100 busy links of 10 ms delay a
/// third of all wake-ups are spared, and more would spare few.
const PATIENCE: Duration = Duration::from_micros(500);
