//! Carrying out what a core asks for, and tampering with it where a peer misbehaves.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::world::{CLOSE_BYTES, Packet, SwarmSim, TRACKER_DELAY, index};
use crate::content::{LEAF, LeafHashes};
use crate::hash::Hash;
use crate::id::PeerId;
use crate::sim::Priority;
use crate::swarm::{Conduct, Event, Message, Output, Run, ServeLayer};
use crate::tracker::{AnnouncerOutput, Entry};
use crate::wire::Encode;

impl SwarmSim {
    pub(super) fn perform_announcer(&mut self, id: PeerId, output: AnnouncerOutput) {
        match output {
            AnnouncerOutput::Announce(announce) => {
                self.network.note(TRACKER_DELAY, Packet::Announced { peer: id, announce });
            }
            AnnouncerOutput::Peers(peers) => {
                let peers: Vec<PeerId> = peers.into_iter().map(|entry| entry.peer).collect();
                let now = self.network.now();
                if let Some(running) = &mut self.peers[index(id)].state {
                    running.core.handle_neighbours(now, &peers);
                }
            }
            AnnouncerOutput::Left => {}
        }
    }

    /// Carries an output out. `batch` holds the neighbours that a packet of messages goes to already.
    pub(super) fn perform(&mut self, id: PeerId, output: Output, batch: &mut BTreeMap<PeerId, ()>) {
        match output {
            Output::Dial { peer } => {
                // A handshake takes one and a half round trips.
                let delay = 3 * self.network.delay(self.node(id), self.node(peer));
                self.network.note(delay, Packet::Handshake { dialler: id, to: peer });
            }
            Output::Hangup { peer, .. } => {
                let connection = self.running(id).and_then(|running| running.connections.remove(&peer));
                if let Some(connection) = connection {
                    self.send(id, peer, CLOSE_BYTES, Packet::Close { connection });
                }
            }
            Output::Message { peer, message } => {
                let batched = batch.insert(peer, ()).is_some();
                self.send_message(id, peer, message, if batched { 0 } else { self.costs.control });
            }
            Output::Introduce { to, peers } => {
                // Where somebody is, is who it is here.
                let peers = peers.into_iter().map(|peer| Entry { peer, address: NOWHERE }).collect();
                self.perform(id, Output::Message { peer: to, message: Message::Peers { peers } }, batch);
            }
            Output::Serve { peer, run, layer } => self.serve(id, peer, run, layer),
            Output::StopServing { peer, run } => {
                if let Some(connection) = self.connection(id, peer) {
                    self.take_back(id, connection, run);
                    self.send(id, peer, CLOSE_BYTES, Packet::Reset { connection, run });
                }
            }
            Output::StopReceiving { peer, run } => {
                if let Some(connection) = self.connection(id, peer) {
                    self.send(id, peer, CLOSE_BYTES, Packet::Stop { connection, run });
                }
            }
            Output::Store { piece, leaf, data, .. } => {
                let range = self.content.manifest.leaf_range(piece, leaf);
                let expected = &self.content.bytes[range.start as usize..range.end as usize];
                let leaves = self.content.bytes.len().div_ceil(LEAF as usize);
                self.spread.on_stored(piece, leaf, leaves);
                assert_eq!(data, expected, "{id} stores a leaf that is not the content's");
            }
            Output::Event(event) => self.on_event(id, event),
        }
    }

    fn on_event(&mut self, id: PeerId, event: Event) {
        let now = self.network.now();
        let peer = &mut self.peers[index(id)];
        match event {
            Event::Completed => {
                peer.completed = Some(now);
                if let Some(running) = &mut peer.state {
                    running.announcer.handle_completed(now);
                }
            }
            Event::PeerDropped { peer: other, reason } => peer.dropped.push((other, reason)),
            Event::Left => {
                // One that leaves by itself tells the tracker, too.
                if let Some(running) = &mut peer.state {
                    running.announcer.handle_leave(now);
                }
                while let Some(output) = self.running(id).and_then(|running| running.announcer.poll_output()) {
                    self.perform_announcer(id, output);
                }
                let peer = &mut self.peers[index(id)];
                if let Some(running) = peer.state.take() {
                    peer.disk = running.core.have().clone();
                }
            }
            Event::PieceCompleted { .. } => {}
        }
    }

    fn send_message(&mut self, id: PeerId, to: PeerId, message: Message, extra: u64) {
        let Some(connection) = self.connection(id, to) else { return };
        let conduct = self.peers[index(id)].spec.conduct;
        let bytes = message.to_frame().len() as u64 + extra;
        let copies = match (conduct, &message) {
            (Conduct::FreeRider, Message::Unchoke) => 0,
            (Conduct::RequestFlood, Message::Request { .. }) => 200,
            (Conduct::Garbage, Message::Interested | Message::Unchoke) => {
                return self.send(id, to, bytes, Packet::Undecodable { connection });
            }
            _ => 1,
        };
        for _ in 0..copies {
            self.send(id, to, bytes, Packet::Message { connection, message: message.clone() });
        }
    }

    fn serve(&mut self, id: PeerId, to: PeerId, run: Run, layer: ServeLayer) {
        let Some(connection) = self.connection(id, to) else { return };
        let conduct = self.peers[index(id)].spec.conduct;
        if conduct == Conduct::EmptyPromises {
            let now = self.now();
            if let Some(running) = self.running(id) {
                running.core.handle_run_stopped(now, to, run);
            }
            return self.send(id, to, CLOSE_BYTES, Packet::Reset { connection, run });
        } else if conduct == Conduct::Silent {
            return;
        }
        let mut layer = self.layer(id, run, layer);
        if let Some(layer) = layer.as_mut().filter(|_| conduct == Conduct::CorruptLayers) {
            layer[0].0[0] ^= 1;
        }
        self.lossy.open((id, connection, run));
        let copies = if conduct == Conduct::LeafFlood { 20 } else { 1 };
        for at in (0..run.count).flat_map(|at| std::iter::repeat_n(at, copies)) {
            let range = self.content.manifest.leaf_range(run.piece, run.first + at);
            let mut data = self.content.bytes[range.start as usize..range.end as usize].to_vec();
            if conduct == Conduct::CorruptLeaves {
                data[0] ^= 1;
            }
            let layer = layer.take();
            let hashes = layer.as_ref().map_or(0, |layer| layer.len() * Hash::LEN);
            let bytes = ((data.len() + hashes) as f64 * self.costs.bulk) as u64;
            let (from, to) = (self.node(id), self.node(to));
            let packets = Self::packets(bytes);
            let packet = Packet::Leaf { connection, run, at, layer, data: data.into(), packets };
            self.network.send(from, to, bytes, Priority::Bulk, packet);
        }
    }

    fn layer(&mut self, id: PeerId, run: Run, layer: ServeLayer) -> Option<Vec<Hash>> {
        match layer {
            ServeLayer::Omit => None,
            ServeLayer::Attach(layer) => Some(layer.hashes().to_vec()),
            ServeLayer::Compute => {
                let range = self.content.manifest.piece_range(run.piece);
                let bytes = &self.content.bytes[range.start as usize..range.end as usize];
                let layer = Arc::new(LeafHashes::of_piece(bytes));
                if let Some(running) = self.running(id) {
                    running.core.handle_layer_computed(run.piece, Arc::clone(&layer));
                }
                Some(layer.hashes().to_vec())
            }
        }
    }

    /// Drops what is left of a run in the sender's queue.
    pub(super) fn take_back(&mut self, id: PeerId, connection: u64, run: Run) {
        let matches = |packet: &Packet| {
            matches!(packet, Packet::Leaf { connection: other, run: other_run, .. }
                if *other == connection && *other_run == run)
        };
        let node = self.node(id);
        self.network.take_back(node, matches);
        self.lossy.break_off((id, connection, run));
    }
}

/// An address that nobody looks at.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
