//! A wire that loses packets under simulated swarms: what is lost is sent again about a round trip later, and what was sent
//! in order is taken in in order.
//!
//! As QUIC does it: each leaf is a train of packets on its run's stream, each batch of messages a packet on the control
//! stream. Congestion windows are not modelled, so that what is seen here is the cores' own doing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::world::{Packet, SwarmSim, index};
use crate::hash::Hash;
use crate::id::PeerId;
use crate::random::Random;
use crate::sim::Priority;
use crate::swarm::Run;
use crate::time::Time;

/// What is between the wire and the cores. Without loss nothing is.
#[derive(Debug)]
pub(super) struct Lossy {
    random: Random,
    /// Up to when messages from one peer to another wait for one that was lost before them.
    spoken: BTreeMap<(PeerId, PeerId), Time>,
    /// Run streams of which something is missing before what has come.
    streams: BTreeMap<Stream, Reassembly>,
    /// Run streams that their senders broke off: what was lost of them is not sent again.
    broken_off: BTreeSet<Stream>,
}

/// A run's stream: who sends, on which connection, which run.
type Stream = (PeerId, u64, Run);

/// A leaf as it comes off a stream: its place in the run, what stood in front of it, its bytes.
pub(super) type Leaf = (u16, Option<Vec<Hash>>, Bytes);

#[derive(Debug, Default)]
struct Reassembly {
    next: u16,
    waiting: BTreeMap<u16, Leaf>,
}

impl Lossy {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, "lossy wire"),
            spoken: BTreeMap::new(),
            streams: BTreeMap::new(),
            broken_off: BTreeSet::new(),
        }
    }

    fn lost(&mut self, packets: u16, loss: f64) -> u16 {
        (0..packets).filter(|_| self.random.fraction() < loss).count() as u16
    }

    /// Takes a leaf of a stream in; returns all that can be read now.
    pub(super) fn in_order(&mut self, stream: Stream, leaf: Leaf) -> Vec<Leaf> {
        let reassembly = self.streams.entry(stream).or_default();
        if leaf.0 < reassembly.next {
            // A copy, from a peer that sends each leaf many times.
            return vec![leaf];
        }
        reassembly.waiting.insert(leaf.0, leaf);
        let mut ready = Vec::new();
        while let Some(leaf) = reassembly.waiting.remove(&reassembly.next) {
            reassembly.next += 1;
            ready.push(leaf);
        }
        ready
    }

    /// A sender opens a stream, perhaps for a run that it broke off before.
    pub(super) fn open(&mut self, stream: Stream) {
        self.streams.remove(&stream);
        self.broken_off.remove(&stream);
    }

    /// A sender breaks a stream off.
    pub(super) fn break_off(&mut self, stream: Stream) {
        self.streams.remove(&stream);
        self.broken_off.insert(stream);
    }
}

impl SwarmSim {
    /// Lets the wire lose of a packet what it will. `None`: something was lost, and the packet comes later.
    pub(super) fn survive(&mut self, from: PeerId, to: PeerId, packet: Packet) -> Option<Packet> {
        let arrives = |peer| 1.0 - self.peers[index(peer)].spec.loss;
        let loss = 1.0 - arrives(from) * arrives(to);
        if loss <= 0.0 {
            return Some(packet);
        }
        if let Packet::Leaf { connection, run, at, layer, data, packets } = packet {
            let lost = self.lossy.lost(packets, loss);
            let leaf = Packet::Leaf { connection, run, at, layer, data, packets: lost.max(1) };
            if lost == 0 {
                return Some(leaf);
            }
            let heard = self.network.delay(self.node(to), self.node(from)) + self.costs.ack_delay / 2;
            self.network.note(heard, Packet::Again { from, to, lost, packet: Box::new(leaf) });
            None
        } else if matches!(packet, Packet::Message { .. } | Packet::Undecodable { .. }) {
            self.speak(from, to, packet, loss)
        } else {
            Some(packet)
        }
    }

    /// Takes a message off the wire if it is not lost and none before it was.
    fn speak(&mut self, from: PeerId, to: PeerId, packet: Packet, loss: f64) -> Option<Packet> {
        let now = self.network.now();
        let before = self.lossy.spoken.get(&(from, to)).copied().unwrap_or(now);
        let again = if self.lossy.lost(1, loss) > 0 { self.probe_time(from, to) } else { Duration::ZERO };
        let ready = (now + again).max(before);
        if ready <= now {
            return Some(packet);
        }
        self.lossy.spoken.insert((from, to), ready);
        self.network.note(ready - now, Packet::Late { from, to, packet: Box::new(packet) });
        None
    }

    /// Sends the lost part of a leaf once more.
    pub(super) fn send_again(&mut self, from: PeerId, to: PeerId, lost: u16, packet: Packet) {
        if let Packet::Leaf { connection, run, .. } = &packet
            && self.lossy.broken_off.contains(&(from, *connection, *run))
        {
            return;
        }
        let (from, to) = (self.node(from), self.node(to));
        self.network.send(from, to, u64::from(lost) * DATAGRAM, Priority::Control, packet);
    }

    /// Packets that so many bytes on the wire make.
    pub(super) fn packets(bytes: u64) -> u16 {
        u16::try_from(bytes.div_ceil(DATAGRAM)).unwrap_or(u16::MAX)
    }

    /// How much later a message comes whose packet was lost: nothing follows it, so that a timer has to notice.
    fn probe_time(&self, from: PeerId, to: PeerId) -> Duration {
        2 * self.network.delay(self.node(from), self.node(to)) + self.costs.ack_delay
    }
}

/// Bytes of a full datagram on the wire.
const DATAGRAM: u64 = 1_480;
