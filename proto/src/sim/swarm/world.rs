//! The simulated world: carries out what the cores ask for and tells them what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::conduct::Conduct;
use super::invariants::Watch;
use super::{Content, PeerSpec, Start};
use crate::bits::PieceSet;
use crate::content::LeafHashes;
use crate::hash::Hash;
use crate::id::PeerId;
use crate::sim::{Happening, Network, NodeId, Priority};
use crate::swarm::{Event, LayerWish, Message, Output, Run, ServeLayer, Swarm};
use crate::time::Time;
use crate::tracker::{Announce, AnnounceReply, Announcer, AnnouncerOptions, AnnouncerOutput, Tracker, TrackerOptions};
use crate::wire::Encode;

/// A swarm in virtual time. Peer n is the n-th specification, from 1.
#[derive(Debug)]
pub struct SwarmSim {
    content: Content,
    costs: Costs,
    seed: u64,
    network: Network<Packet>,
    tracker: Tracker,
    peers: Vec<Peer>,
    connections: u64,
    log: Log,
}

/// What the wire costs beyond payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Bytes on the wire per byte of leaf data, at least 1.
    pub bulk: f64,
    /// Bytes on the wire beyond its own for every batch of control messages to one neighbour.
    pub control: u64,
    /// Bytes the receiver sends back for every byte of leaf data, as acknowledgements.
    pub acknowledgement: f64,
}

impl Costs {
    /// Payload and control messages only, as in the fluid models.
    pub const NONE: Costs = Costs { bulk: 1.0, control: 0, acknowledgement: 0.0 };
    /// About what QUIC over IPv4 with 1 452-byte datagrams costs: 4.5 % on bulk data, 60 bytes for a packet of control
    /// messages, an acknowledgement of 70 bytes per ten packets.
    pub const QUIC: Costs = Costs { bulk: 1.045, control: 60, acknowledgement: 0.005 };
}

/// What came of a simulated swarm.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// When each peer became complete, in seconds since the start; `None` for those that did not, or were from the start.
    pub completed: Vec<Option<f64>>,
    /// Share of the time up to the last completion that each uplink was in use.
    pub uplink_use: Vec<f64>,
    /// Payload received in vain, by all peers, in bytes.
    pub wasted: u64,
    /// Payload received, by all peers, in bytes.
    pub downloaded: u64,
    /// SHA-256 over everything the cores put out, and when.
    pub log: Hash,
}

impl Figures {
    /// When the last peer became complete, in seconds since the start.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.completed.iter().flatten().copied().max_by(f64::total_cmp)
    }
}

#[derive(Debug)]
struct Peer {
    spec: PeerSpec,
    node: NodeId,
    state: Option<Running>,
    /// Whole pieces on disk when it is not running.
    disk: PieceSet,
    completed: Option<Time>,
    /// Why it dropped others, and whom.
    dropped: Vec<(PeerId, crate::swarm::Reason)>,
}

#[derive(Debug)]
struct Running {
    core: Swarm,
    announcer: Announcer,
    watch: Watch,
    /// By neighbour: which connection it is, so that what belongs to an earlier one is ignored.
    connections: BTreeMap<PeerId, u64>,
    /// Runs whose stream we no longer read.
    stopped: BTreeSet<(PeerId, Run)>,
}

#[derive(Clone, Debug)]
enum Packet {
    Join(PeerId),
    Crash(PeerId),
    Leave(PeerId),
    Message { connection: u64, message: Message },
    Undecodable { connection: u64 },
    Leaf { connection: u64, run: Run, at: u16, layer: Option<Vec<Hash>>, data: Bytes },
    Acknowledgement,
    RunSent { peer: PeerId, connection: u64, to: PeerId, run: Run },
    Reset { connection: u64, run: Run },
    Stop { connection: u64, run: Run },
    Close { connection: u64 },
    Handshake { dialler: PeerId, to: PeerId },
    DialFailed { dialler: PeerId, to: PeerId },
    Lost { peer: PeerId, from: PeerId, connection: u64 },
    Announced { peer: PeerId, announce: Announce },
    Reply { peer: PeerId, reply: AnnounceReply },
}

#[derive(Debug, Default)]
struct Log {
    hasher: Sha256,
    lines: Option<Vec<String>>,
}

impl SwarmSim {
    /// Sets up a swarm. `seed` rules everything random in it.
    #[must_use]
    pub fn new(content: Content, specs: Vec<PeerSpec>, costs: Costs, seed: u64) -> Self {
        let mut network = Network::new();
        let pieces = content.manifest.pieces();
        let mut peers = Vec::new();
        for (at, spec) in specs.into_iter().enumerate() {
            let node = network.add(spec.link);
            network.note(spec.joins, Packet::Join(PeerId(at as u32 + 1)));
            let disk = match &spec.have {
                Start::Empty => PieceSet::empty(pieces),
                Start::Whole => PieceSet::full(pieces),
                Start::Pieces(have) => have.clone(),
            };
            peers.push(Peer { spec, node, state: None, disk, completed: None, dropped: Vec::new() });
        }
        let tracker = Tracker::new(TrackerOptions::default(), seed);
        Self { content, costs, seed, network, tracker, peers, connections: 0, log: Log::default() }
    }

    /// Keeps a readable log, one line for each input and output. Costs memory.
    #[must_use]
    pub fn with_lines(mut self) -> Self {
        self.log.lines = Some(Vec::new());
        self
    }

    /// Crashes a peer at a time: it falls silent, and keeps its whole pieces on disk.
    pub fn crash_at(&mut self, peer: PeerId, at: Duration) {
        self.network.note(at, Packet::Crash(peer));
    }

    /// Lets a peer leave at a time.
    pub fn leave_at(&mut self, peer: PeerId, at: Duration) {
        self.network.note(at, Packet::Leave(peer));
    }

    /// Starts a peer (again) at a time, with what is on its disk.
    pub fn join_at(&mut self, peer: PeerId, at: Duration) {
        self.network.note(at, Packet::Join(peer));
    }

    /// Runs until every correct peer that is running is complete, or until the deadline.
    pub fn run(&mut self, deadline: Duration) -> Figures {
        while !self.is_done() && self.network.now() < Time::ZERO + deadline && self.step() {}
        self.figures()
    }

    /// Runs up to a time.
    pub fn run_until(&mut self, time: Duration) {
        while self.network.now() < Time::ZERO + time && self.step() {}
    }

    /// A peer's swarm core, if it is running.
    #[must_use]
    pub fn core(&self, peer: PeerId) -> Option<&Swarm> {
        self.peers.get(index(peer))?.state.as_ref().map(|running| &running.core)
    }

    /// Whom a peer dropped for an offence, and why.
    #[must_use]
    pub fn dropped_by(&self, peer: PeerId) -> &[(PeerId, crate::swarm::Reason)] {
        self.peers.get(index(peer)).map_or(&[], |peer| &peer.dropped)
    }

    /// The log's lines, if they are kept.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.log.lines.as_deref().unwrap_or(&[])
    }

    /// How long a peer's uplink has been in use.
    #[must_use]
    pub fn uplink_busy(&self, peer: PeerId) -> Duration {
        self.network.uplink_use(self.node(peer)).0
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.network.now()
    }

    /// What came of it up to now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let completed: Vec<_> = self.peers.iter().map(|peer| peer.completed.map(Time::as_secs_f64)).collect();
        let last = completed.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
        let stats = || self.peers.iter().filter_map(|peer| Some(peer.state.as_ref()?.core.stats()));
        Figures {
            completed,
            uplink_use: self
                .peers
                .iter()
                .map(|peer| self.network.uplink_use(peer.node).0.as_secs_f64() / last)
                .collect(),
            wasted: stats().map(|stats| stats.wasted_bytes).sum(),
            downloaded: stats().map(|stats| stats.downloaded_bytes).sum(),
            log: Hash(self.log.hasher.clone().finalize().into()),
        }
    }

    fn is_done(&self) -> bool {
        let joined = self.network.now() > Time::ZERO;
        joined
            && self.peers.iter().filter(|peer| peer.spec.conduct == Conduct::Correct).all(|peer| match &peer.state {
                Some(running) => running.core.is_complete(),
                None => peer.spec.joins == Duration::ZERO || peer.completed.is_some(),
            })
    }

    fn step(&mut self) -> bool {
        let Some(happening) = self.network.step() else { return false };
        match happening {
            Happening::Alarm(node) => self.on_alarm(peer_of(node)),
            Happening::Note(packet) => self.on_note(packet),
            Happening::Arrived { from, to, packet } => self.on_packet(peer_of(from), peer_of(to), packet),
        }
        true
    }

    fn on_alarm(&mut self, peer: PeerId) {
        self.with(peer, |running, now| {
            running.core.handle_timeout(now);
            running.announcer.handle_timeout(now);
        });
    }

    fn on_note(&mut self, packet: Packet) {
        match packet {
            Packet::Join(peer) => self.join(peer),
            Packet::Crash(peer) => self.crash(peer),
            Packet::Leave(peer) => self.with(peer, |running, now| {
                running.core.handle_leave(now);
                running.announcer.handle_leave(now);
            }),
            Packet::Handshake { dialler, to } => self.connect(dialler, to),
            Packet::DialFailed { dialler, to } => {
                self.with(dialler, |running, now| running.core.handle_dial_failed(now, to));
            }
            Packet::Lost { peer, from, connection } => self.disconnect(peer, from, connection),
            Packet::RunSent { peer, connection, to, run } => {
                let bytes = run.bytes(&self.content.manifest);
                self.on_connection(peer, to, connection, |running, now| {
                    running.core.handle_run_sent(now, to, run, bytes);
                });
            }
            Packet::Announced { peer, announce } => self.track(peer, announce),
            Packet::Reply { peer, reply } => self.with(peer, |running, now| running.announcer.handle_reply(now, reply)),
            Packet::Message { .. }
            | Packet::Undecodable { .. }
            | Packet::Leaf { .. }
            | Packet::Acknowledgement
            | Packet::Reset { .. }
            | Packet::Stop { .. }
            | Packet::Close { .. } => unreachable!("these travel over links"),
        }
    }

    fn on_packet(&mut self, from: PeerId, to: PeerId, packet: Packet) {
        match packet {
            Packet::Message { connection, message } => self.on_connection(to, from, connection, |running, now| {
                if let Message::Reject { run } = &message {
                    running.watch.answered(from, *run);
                }
                running.core.handle_message(now, from, message);
            }),
            Packet::Undecodable { connection } => {
                self.on_connection(to, from, connection, |running, now| running.core.handle_violation(now, from));
            }
            Packet::Leaf { connection, run, at, layer, data } => {
                self.on_leaf(to, from, connection, (run, at), layer, data);
            }
            Packet::Reset { connection, run } => self.on_connection(to, from, connection, |running, now| {
                running.watch.answered(from, run);
                running.core.handle_run_refused(now, from, run);
            }),
            Packet::Stop { connection, run } => {
                self.take_back(to, connection, run);
                self.on_connection(to, from, connection, |running, now| {
                    running.core.handle_run_stopped(now, from, run)
                });
            }
            Packet::Close { connection } => self.disconnect(to, from, connection),
            Packet::Acknowledgement => {}
            Packet::Join(_)
            | Packet::Crash(_)
            | Packet::Leave(_)
            | Packet::RunSent { .. }
            | Packet::Handshake { .. }
            | Packet::DialFailed { .. }
            | Packet::Lost { .. }
            | Packet::Announced { .. }
            | Packet::Reply { .. } => unreachable!("these are notes"),
        }
    }

    fn on_leaf(
        &mut self,
        to: PeerId,
        from: PeerId,
        connection: u64,
        (run, at): (Run, u16),
        layer: Option<Vec<Hash>>,
        data: Bytes,
    ) {
        let back = (data.len() as f64 * self.costs.acknowledgement) as u64;
        if back > 0 {
            let (receiver, sender) = (self.node(to), self.node(from));
            self.network.send(receiver, sender, back, Priority::Control, Packet::Acknowledgement);
        }
        let last = at + 1 == run.count;
        self.on_connection(to, from, connection, |running, now| {
            if last {
                running.watch.answered(from, run);
            }
            if running.stopped.contains(&(from, run)) {
                return;
            }
            if let Some(layer) = layer {
                running.core.handle_layer(now, from, run.piece, &layer);
            }
            running.core.handle_leaf(now, from, run.piece, run.first + at, data);
        });
        if last {
            let delay = self.network.delay(self.node(to), self.node(from));
            self.network.note(delay, Packet::RunSent { peer: from, connection, to, run });
            if let Some(running) = &mut self.peers[index(to)].state {
                running.stopped.remove(&(from, run));
            }
        }
    }

    fn join(&mut self, id: PeerId) {
        let now = self.network.now();
        let peer = &mut self.peers[index(id)];
        if peer.state.is_some() {
            return;
        }
        let manifest = Arc::clone(&self.content.manifest);
        let (have, options) = (peer.disk.clone(), peer.spec.options.clone());
        let claimed = match peer.spec.conduct {
            Conduct::EmptyPromises | Conduct::Silent | Conduct::LeafFlood => PieceSet::full(have.len()),
            _ => have,
        };
        let complete = claimed.is_full();
        let content = manifest.id();
        let seed = self.seed ^ u64::from(id.0) << 32;
        peer.state = Some(Running {
            core: Swarm::new(id, manifest, claimed, options, self.seed, now),
            announcer: Announcer::new(content, complete, AnnouncerOptions::default(), seed, now),
            watch: Watch::default(),
            connections: BTreeMap::new(),
            stopped: BTreeSet::new(),
        });
        self.with(id, |_, _| {});
    }

    fn crash(&mut self, id: PeerId) {
        let Some(running) = self.peers[index(id)].state.take() else { return };
        self.peers[index(id)].disk = running.core.have().clone();
        self.network.silence(self.node(id));
        for (&other, &connection) in &running.connections {
            self.network.note(IDLE_TIMEOUT, Packet::Lost { peer: other, from: id, connection });
        }
    }

    fn connect(&mut self, dialler: PeerId, to: PeerId) {
        let runs = |sim: &Self, peer| sim.peers.get(index(peer)).is_some_and(|peer| peer.state.is_some());
        if !runs(self, dialler) {
            return;
        }
        if !runs(self, to) {
            self.network.note(DIAL_TIMEOUT, Packet::DialFailed { dialler, to });
            return;
        }
        self.connections += 1;
        let connection = self.connections;
        let known =
            |sim: &Self| sim.peers[index(dialler)].state.as_ref().is_some_and(|it| it.connections.contains_key(&to));
        if !known(self) {
            for (peer, other) in [(dialler, to), (to, dialler)] {
                if let Some(running) = &mut self.peers[index(peer)].state {
                    running.connections.insert(other, connection);
                }
            }
            self.with(to, |running, now| running.core.handle_connected(now, dialler));
        }
        self.with(dialler, |running, now| running.core.handle_connected(now, to));
    }

    fn disconnect(&mut self, peer: PeerId, from: PeerId, connection: u64) {
        self.on_connection(peer, from, connection, |running, now| {
            running.connections.remove(&from);
            running.watch.forget(from);
            running.core.handle_disconnected(now, from);
        });
    }

    fn track(&mut self, peer: PeerId, announce: Announce) {
        let now = self.network.now();
        self.tracker.handle_timeout(now);
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4_433);
        if let Ok(reply) = self.tracker.handle_announce(now, peer, address, announce) {
            self.network.note(TRACKER_DELAY, Packet::Reply { peer, reply });
        }
    }

    /// Gives a running peer an input if it still has that connection, then does what it asks for.
    fn on_connection(&mut self, peer: PeerId, other: PeerId, connection: u64, input: impl FnOnce(&mut Running, Time)) {
        let stands = |running: &Running| running.connections.get(&other) == Some(&connection);
        if self.peers[index(peer)].state.as_ref().is_some_and(stands) {
            self.with(peer, input);
        }
    }

    /// Gives a running peer an input, then does what it asks for.
    fn with(&mut self, id: PeerId, input: impl FnOnce(&mut Running, Time)) {
        let now = self.network.now();
        let Some(running) = &mut self.peers[index(id)].state else { return };
        input(running, now);
        let mut batch = BTreeMap::new();
        loop {
            let peer = &mut self.peers[index(id)];
            let Some(running) = &mut peer.state else { return };
            if let Some(output) = running.core.poll_output() {
                let slots = peer.spec.options.slots();
                running.watch.look(&running.core, slots, &output);
                self.log.note(now, id, &output);
                self.perform(id, output, &mut batch);
            } else if let Some(output) = running.announcer.poll_output() {
                self.perform_announcer(id, output);
            } else {
                running.watch.look_at(&running.core, now);
                let due = [running.core.poll_timeout(), running.announcer.poll_timeout()];
                let due = due.into_iter().flatten().map(|(due, _)| due).min();
                let node = self.node(id);
                return self.network.set_alarm(node, due);
            }
        }
    }

    fn perform_announcer(&mut self, id: PeerId, output: AnnouncerOutput) {
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
    fn perform(&mut self, id: PeerId, output: Output, batch: &mut BTreeMap<PeerId, ()>) {
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
            Output::Store { piece, leaf, data } => {
                let range = self.content.manifest.leaf_range(piece, leaf);
                let expected = &self.content.bytes[range.start as usize..range.end as usize];
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
            (Conduct::FreeRider | Conduct::EmptyPromises, Message::Unchoke) if conduct == Conduct::FreeRider => 0,
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
        match conduct {
            Conduct::EmptyPromises => return self.send(id, to, CLOSE_BYTES, Packet::Reset { connection, run }),
            Conduct::Silent => return,
            _ => {}
        }
        let mut layer = self.layer(id, run, layer);
        if let Some(layer) = layer.as_mut().filter(|_| conduct == Conduct::CorruptLayers) {
            layer[0].0[0] ^= 1;
        }
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
            let packet = Packet::Leaf { connection, run, at, layer, data: data.into() };
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
    fn take_back(&mut self, id: PeerId, connection: u64, run: Run) {
        let matches = |packet: &Packet| match packet {
            Packet::Leaf { connection: other, run: other_run, .. } => *other == connection && *other_run == run,
            _ => false,
        };
        let node = self.node(id);
        self.network.take_back(node, matches);
    }

    fn send(&mut self, from: PeerId, to: PeerId, bytes: u64, packet: Packet) {
        let (from, to) = (self.node(from), self.node(to));
        self.network.send(from, to, bytes, Priority::Control, packet);
    }

    fn connection(&self, id: PeerId, to: PeerId) -> Option<u64> {
        self.peers[index(id)].state.as_ref()?.connections.get(&to).copied()
    }

    fn running(&mut self, id: PeerId) -> Option<&mut Running> {
        self.peers[index(id)].state.as_mut()
    }

    fn node(&self, id: PeerId) -> NodeId {
        self.peers[index(id)].node
    }
}

impl Log {
    fn note(&mut self, now: Time, id: PeerId, output: &Output) {
        let line = match output {
            Output::Store { piece, leaf, .. } => format!("{now} {id} stores {piece}/{leaf}"),
            Output::Serve { peer, run, layer } => {
                let wish = if *layer == ServeLayer::Omit { LayerWish::Omit } else { LayerWish::Send };
                format!("{now} {id} serves {peer} {run:?} {wish:?}")
            }
            other => format!("{now} {id} {other:?}"),
        };
        self.hasher.update(line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }
}

fn index(peer: PeerId) -> usize {
    peer.0 as usize - 1
}

fn peer_of(node: NodeId) -> PeerId {
    PeerId(node.0 as u32 + 1)
}

/// Bytes on the wire of a stream reset or a close frame.
const CLOSE_BYTES: u64 = 60;

/// How long it takes until neighbours notice a crash: QUIC's idle timeout.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a dial to a peer that is not there takes.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// One way to the tracker, handshake included.
const TRACKER_DELAY: Duration = Duration::from_millis(20);
