//! The simulated world: carries out what the cores ask for and tells them what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::figures::{Costs, Figures};
use super::invariants::Watch;
use super::loss::Lossy;
use super::{Content, PeerSpec, Start};
use crate::bits::PieceSet;
use crate::hash::Hash;
use crate::id::PeerId;
use crate::sim::{Happening, Network, NodeId, Priority};
use crate::swarm::{Conduct, LayerWish, Message, Output, Run, ServeLayer, Swarm};
use crate::time::Time;
use crate::tracker::{Announce, AnnounceReply, Announcer, AnnouncerOptions, Tracker, TrackerOptions};

/// A swarm in virtual time. Peer n is the n-th specification, from 1.
#[derive(Debug)]
pub struct SwarmSim {
    pub(super) content: Content,
    pub(super) costs: Costs,
    seed: u64,
    pub(super) network: Network<Packet>,
    tracker: Tracker,
    pub(super) peers: Vec<Peer>,
    connections: u64,
    pub(super) spread: Spread,
    pub(super) lossy: Lossy,
    log: Log,
}

/// How far the content has spread beyond those who began with all of it.
#[derive(Debug, Default)]
pub(super) struct Spread {
    leaves: BTreeSet<(u32, u16)>,
    seeds_bytes: u64,
    /// What the seeds had sent when everything was out.
    all_out_after: Option<u64>,
}

impl Spread {
    pub(super) fn on_stored(&mut self, piece: u32, leaf: u16, leaves: usize) {
        self.leaves.insert((piece, leaf));
        if self.leaves.len() == leaves {
            self.all_out_after.get_or_insert(self.seeds_bytes);
        }
    }
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) spec: PeerSpec,
    node: NodeId,
    pub(super) state: Option<Running>,
    /// Whole pieces on disk when it is not running.
    pub(super) disk: PieceSet,
    pub(super) completed: Option<Time>,
    /// Why it dropped others, and whom.
    pub(super) dropped: Vec<(PeerId, crate::swarm::Reason)>,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) core: Swarm,
    pub(super) announcer: Announcer,
    watch: Watch,
    /// By neighbour: which connection it is, so that what belongs to an earlier one is ignored.
    pub(super) connections: BTreeMap<PeerId, u64>,
    /// Runs whose stream we no longer read.
    stopped: BTreeSet<(PeerId, Run)>,
}

#[derive(Clone, Debug)]
pub(super) enum Packet {
    Join(PeerId),
    Crash(PeerId),
    Leave(PeerId),
    Message { connection: u64, message: Message },
    Undecodable { connection: u64 },
    Leaf { connection: u64, run: Run, at: u16, layer: Option<Vec<Hash>>, data: Bytes, packets: u16 },
    Again { from: PeerId, to: PeerId, lost: u16, packet: Box<Packet> },
    Late { from: PeerId, to: PeerId, packet: Box<Packet> },
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
        Self {
            content,
            costs,
            seed,
            network,
            tracker,
            peers,
            connections: 0,
            spread: Spread::default(),
            lossy: Lossy::new(seed),
            log: Log::default(),
        }
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
            second_copy: self.spread.all_out_after.map(|bytes| bytes as f64 / self.content.bytes.len() as f64),
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
            Happening::Arrived { from, to, packet } => {
                let (from, to) = (peer_of(from), peer_of(to));
                if let Some(packet) = self.survive(from, to, packet) {
                    self.on_packet(from, to, packet);
                }
            }
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
            Packet::Again { from, to, lost, packet } => self.send_again(from, to, lost, *packet),
            Packet::Late { from, to, packet } => self.on_packet(from, to, *packet),
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
        if self.peers[index(to)].spec.conduct == Conduct::NeverReads {
            return;
        }
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
            Packet::Leaf { connection, run, at, layer, data, .. } => {
                let stream = (from, connection, run);
                for (at, layer, data) in self.lossy.in_order(stream, (at, layer, data)) {
                    self.on_leaf(to, from, connection, (run, at), layer, data);
                }
            }
            Packet::Reset { connection, run } => self.on_connection(to, from, connection, |running, now| {
                running.watch.answered(from, run);
                running.core.handle_run_refused(now, from, run);
            }),
            Packet::Stop { connection, run } => {
                self.take_back(to, connection, run);
                self.on_connection(to, from, connection, |running, now| {
                    running.core.handle_run_stopped(now, from, run);
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
            | Packet::Again { .. }
            | Packet::Late { .. }
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
        if matches!(self.peers[index(from)].spec.have, Start::Whole) {
            self.spread.seeds_bytes += data.len() as u64;
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
            let delay = self.network.delay(self.node(to), self.node(from)) + self.costs.ack_delay;
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
        let claimed = if peer.spec.conduct.claims_everything() { PieceSet::full(have.len()) } else { have };
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
            self.meet(to, dialler);
        }
        self.meet(dialler, to);
    }

    fn meet(&mut self, peer: PeerId, other: PeerId) {
        let round_trip = 2 * self.network.delay(self.node(peer), self.node(other));
        self.with(peer, |running, now| {
            running.core.handle_connected(now, other);
            running.core.handle_round_trip(other, round_trip);
        });
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

    pub(super) fn send(&mut self, from: PeerId, to: PeerId, bytes: u64, packet: Packet) {
        let (from, to) = (self.node(from), self.node(to));
        self.network.send(from, to, bytes, Priority::Control, packet);
    }

    pub(super) fn connection(&self, id: PeerId, to: PeerId) -> Option<u64> {
        self.peers[index(id)].state.as_ref()?.connections.get(&to).copied()
    }

    pub(super) fn running(&mut self, id: PeerId) -> Option<&mut Running> {
        self.peers[index(id)].state.as_mut()
    }

    pub(super) fn node(&self, id: PeerId) -> NodeId {
        self.peers[index(id)].node
    }
}

impl Log {
    fn note(&mut self, now: Time, id: PeerId, output: &Output) {
        // Leaves and layers are long, and follow from their numbers.
        let line = if let Output::Store { piece, leaf, .. } = output {
            format!("{now} {id} stores {piece}/{leaf}")
        } else if let Output::Serve { peer, run, layer } = output {
            let wish = if *layer == ServeLayer::Omit { LayerWish::Omit } else { LayerWish::Send };
            format!("{now} {id} serves {peer} {run:?} {wish:?}")
        } else {
            format!("{now} {id} {output:?}")
        };
        self.hasher.update(line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }
}

pub(super) fn index(peer: PeerId) -> usize {
    peer.0 as usize - 1
}

fn peer_of(node: NodeId) -> PeerId {
    PeerId(node.0 as u32 + 1)
}

/// Bytes on the wire of a stream reset or a close frame.
pub(super) const CLOSE_BYTES: u64 = 60;

/// How long it takes until neighbours notice a crash: QUIC's idle timeout.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a dial to a peer that is not there takes.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// One way to the tracker, handshake included.
pub(super) const TRACKER_DELAY: Duration = Duration::from_millis(20);
