//! What each fuzz target does with its input. Shared with `proto/tests/corpus.rs`, which runs every corpus file and random
//! changes of it through the same functions in ordinary tests.
//!
//! An entry function panics when a rule is broken; whatever the bytes are, it must return otherwise.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Buf, Bytes};
use peerbed_proto::fetch::{FetchClient, FetchClientOptions, Get};
use peerbed_proto::sim::swarm::Watch;
use peerbed_proto::swarm::{Message, Options, Output, Run, RunHeader, RunPart, RunReader, Swarm};
use peerbed_proto::tracker::{self, Announce, AnnounceReply, Tracker, TrackerOptions};
use peerbed_proto::wire::{Decode, Encode, FrameReader};
use peerbed_proto::{ContentId, LEAF, LeafHashes, Manifest, PeerId, PieceSet, Time};

/// The entries by the names of their fuzz targets and corpus folders.
pub const ENTRIES: [(&str, Entry); 7] = [
    ("swarm_message", swarm_message),
    ("run_stream", run_stream),
    ("tracker_messages", tracker_messages),
    ("fetch_message", fetch_message),
    ("frames", frames),
    ("swarm_inputs", swarm_inputs),
    ("fetch_stream", fetch_stream),
];

/// Takes any input, and panics when a rule is broken.
pub type Entry = fn(&[u8]);

/// A swarm message decodes or not; what decodes encodes to something that decodes to the same.
pub fn swarm_message(data: &[u8]) {
    round_trip::<Message>(data);
}

/// Announces, replies and entries decode or not; a tracker answers any announce.
pub fn tracker_messages(data: &[u8]) {
    round_trip::<AnnounceReply>(data);
    round_trip::<tracker::Entry>(data);
    if let Some(announce) = round_trip::<Announce>(data) {
        let mut tracker = Tracker::new(TrackerOptions::default(), 1);
        for number in 1..4_u32 {
            let address = ([198, 18, 0, 1], 4_433).into();
            let reply = tracker.handle_announce(Time::ZERO, PeerId(number), address, announce);
            let peers = reply.expect("three members fit").peers;
            assert!(peers.len() <= usize::from(announce.want) && peers.iter().all(|entry| entry.peer.0 != number));
        }
    }
}

/// A request for a content decodes or not.
pub fn fetch_message(data: &[u8]) {
    round_trip::<Get>(data);
    round_trip::<ContentId>(data);
}

/// A byte stream comes apart into the same frames however it is cut.
pub fn frames(data: &[u8]) {
    let cut = |size: usize| {
        let mut reader = FrameReader::new(1_000);
        let mut frames = Vec::new();
        for chunk in data.chunks(size) {
            reader.feed(chunk);
            loop {
                match reader.next_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(_) => return frames,
                }
            }
        }
        assert!(reader.buffered() <= data.len());
        frames
    };
    let whole = cut(data.len().max(1));
    assert_eq!(cut(1), whole);
    assert!(whole.iter().all(|frame| frame.len() <= 1_000));
}

/// A run stream comes apart into the same parts however it is cut, and never into leaves of the wrong length.
pub fn run_stream(data: &[u8]) {
    round_trip::<RunHeader>(data);
    let (manifest, bytes) = &*CONTENT;
    // A header alone is worth little: what follows is the real thing as far as the input does not say otherwise.
    let mut stream = data.to_vec();
    stream.extend_from_slice(&bytes[..2 * LEAF as usize]);
    let parts = |size: usize| {
        let mut reader = RunReader::new(Arc::clone(manifest));
        let mut parts = Vec::new();
        for chunk in stream.chunks(size) {
            reader.feed(chunk);
            loop {
                match reader.next_part() {
                    Ok(Some(part)) => parts.push(part),
                    Ok(None) => break,
                    Err(_) => return parts,
                }
            }
        }
        parts
    };
    let whole = parts(stream.len());
    assert_eq!(parts(1_000), whole);
    let mut run = Run { piece: 0, first: 0, count: 0 };
    for part in whole {
        match part {
            RunPart::Header(header) => run = header.run,
            RunPart::Layer(layer) => assert_eq!(layer.len(), usize::from(manifest.leaves_in(run.piece))),
            RunPart::Leaf { leaf, data } => {
                assert!(run.leaves().contains(&leaf));
                assert_eq!(data.len(), manifest.leaf_len(run.piece, leaf) as usize);
            }
        }
    }
}

/// A client takes any bytes for the file and stores only what is the file's.
pub fn fetch_stream(data: &[u8]) {
    let (manifest, bytes) = &*CONTENT;
    let options = FetchClientOptions::default();
    let mut client = FetchClient::new(Arc::clone(manifest), PieceSet::empty(manifest.pieces()), options, 1, Time::ZERO);
    client.handle_connected(Time::ZERO);
    // The input says where the stream differs from the file.
    let mut stream = bytes.to_vec();
    for change in data.chunks_exact(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % stream.len();
        stream[at] ^= change[3];
    }
    client.handle_data(Time::ZERO, &stream);
    while let Some(output) = client.poll_output() {
        if let peerbed_proto::fetch::FetchOutput::Store { piece, data } = output {
            let range = manifest.piece_range(piece);
            assert_eq!(data, bytes[range.start as usize..range.end as usize]);
        }
    }
}

/// A swarm core takes any inputs in any order and keeps its invariants.
pub fn swarm_inputs(data: &[u8]) {
    let mut input = Bytes::copy_from_slice(data);
    let mut play = Play::new(byte(&mut input));
    while input.has_remaining() {
        play.step(&mut input);
        play.settle();
    }
    // Whatever was said, a correct neighbour can still finish the download.
    play.finish();
}

/// A core, what it asked for, and the content it is about.
struct Play {
    core: Swarm,
    now: Time,
    watch: Watch,
    connected: BTreeSet<PeerId>,
    serving: Vec<(PeerId, Run)>,
    asked: Vec<(PeerId, Run)>,
    dialling: Vec<PeerId>,
    leaving: bool,
}

impl Play {
    fn new(have: u8) -> Self {
        let (manifest, _) = &*CONTENT;
        let mut pieces = PieceSet::empty(manifest.pieces());
        for piece in (0..manifest.pieces()).filter(|piece| have >> piece & 1 == 1) {
            pieces.insert(piece);
        }
        let options = Options { degree: 5, dial_degree: 3, regular_slots: 2, ..Options::default() };
        Self {
            core: Swarm::new(PeerId(9), Arc::clone(manifest), pieces, options, 1, Time::ZERO),
            now: Time::ZERO,
            watch: Watch::default(),
            connected: BTreeSet::new(),
            serving: Vec::new(),
            asked: Vec::new(),
            dialling: Vec::new(),
            leaving: false,
        }
    }

    fn step(&mut self, input: &mut Bytes) {
        let peer = PeerId(u32::from(byte(input) % 7) + 1);
        match byte(input) % 16 {
            0 | 1 => self.connect(peer),
            2 => self.disconnect(peer),
            3 => self.core.handle_neighbours(self.now, &[peer, PeerId(9), PeerId(20)]),
            4 => {
                if let Some(peer) = self.dialling.pop() {
                    self.core.handle_dial_failed(self.now, peer);
                }
            }
            5 => self.say_hello(peer, byte(input)),
            6 | 7 => {
                let len = usize::from(byte(input)).min(input.len());
                match Message::from_bytes(input.split_to(len)) {
                    Ok(message) => self.say(peer, message),
                    Err(_) => self.core.handle_violation(self.now, peer),
                }
            }
            8 | 9 => self.deliver(byte(input), Flaw::None),
            10 => self.deliver(byte(input), Flaw::Leaf),
            11 => self.leaf(peer, u32::from(byte(input) % 4), u16::from(byte(input) % 5), Flaw::None),
            12 => self.confirm(byte(input)),
            13 => self.refuse(byte(input)),
            14 => self.pass(Duration::from_millis(u64::from(byte(input)).pow(2))),
            _ => self.rare(peer, byte(input)),
        }
    }

    fn rare(&mut self, peer: PeerId, which: u8) {
        match which % 8 {
            0 => {
                self.leaving = true;
                self.core.handle_leave(self.now);
            }
            1 => self.deliver(which, Flaw::Layer),
            2 => self.core.handle_round_trip(peer, Duration::from_millis(u64::from(which) * 100)),
            3 => self.core.handle_layer_computed(u32::from(which) % 4, Arc::new(layer(u32::from(which) % 4))),
            4 => {
                if let Some((peer, run)) = self.serving.pop() {
                    self.core.handle_run_stopped(self.now, peer, run);
                }
            }
            // A report may be about what was never begun or asked for, and by chance about what was.
            5 => {
                self.serving.retain(|serving| *serving != (peer, GUESS));
                self.core.handle_run_sent(self.now, peer, GUESS, 5);
            }
            6 => {
                self.answered(peer, GUESS);
                self.core.handle_run_refused(self.now, peer, GUESS);
            }
            _ => self.pass(Duration::from_secs(u64::from(which))),
        }
    }

    fn connect(&mut self, peer: PeerId) {
        if self.connected.insert(peer) {
            self.dialling.retain(|other| *other != peer);
            self.core.handle_connected(self.now, peer);
        }
    }

    fn disconnect(&mut self, peer: PeerId) {
        if self.connected.remove(&peer) {
            self.forget(peer);
            self.core.handle_disconnected(self.now, peer);
        }
    }

    fn forget(&mut self, peer: PeerId) {
        self.connected.remove(&peer);
        self.watch.forget(peer);
        self.serving.retain(|(other, _)| *other != peer);
        self.asked.retain(|(other, _)| *other != peer);
    }

    fn say_hello(&mut self, peer: PeerId, have: u8) {
        let (manifest, _) = &*CONTENT;
        let mut pieces = PieceSet::empty(manifest.pieces());
        for piece in (0..manifest.pieces()).filter(|piece| have >> piece & 1 == 1) {
            pieces.insert(piece);
        }
        self.say(peer, Message::Hello { content: manifest.id(), have: pieces });
    }

    fn say(&mut self, peer: PeerId, message: Message) {
        if let Message::Reject { run } = message {
            self.answered(peer, run);
        }
        self.core.handle_message(self.now, peer, message);
    }

    fn answered(&mut self, peer: PeerId, run: Run) {
        self.watch.answered(peer, run);
        self.asked.retain(|asked| *asked != (peer, run));
    }

    /// A run that was asked for comes.
    fn deliver(&mut self, which: u8, flaw: Flaw) {
        if self.asked.is_empty() {
            return;
        }
        let (peer, run) = self.asked[usize::from(which) % self.asked.len()];
        self.answered(peer, run);
        let mut hashes = layer(run.piece).hashes().to_vec();
        if flaw == Flaw::Layer {
            hashes[0].0[0] ^= 1;
        }
        self.core.handle_layer(self.now, peer, run.piece, &hashes);
        for leaf in run.leaves() {
            self.leaf(peer, run.piece, leaf, flaw);
        }
    }

    fn leaf(&mut self, peer: PeerId, piece: u32, leaf: u16, flaw: Flaw) {
        let (manifest, bytes) = &*CONTENT;
        let range = manifest.leaf_range(piece, leaf);
        let mut data = bytes[range.start as usize..range.end as usize].to_vec();
        if let Some(first) = data.first_mut().filter(|_| flaw == Flaw::Leaf) {
            *first ^= 1;
        }
        self.core.handle_leaf(self.now, peer, piece, leaf, Bytes::from(data));
    }

    fn confirm(&mut self, which: u8) {
        if !self.serving.is_empty() {
            let (peer, run) = self.serving.remove(usize::from(which) % self.serving.len());
            let bytes = run.bytes(self.core.manifest());
            self.core.handle_run_sent(self.now, peer, run, bytes);
        }
    }

    fn refuse(&mut self, which: u8) {
        if !self.asked.is_empty() {
            let (peer, run) = self.asked[usize::from(which) % self.asked.len()];
            self.answered(peer, run);
            self.core.handle_run_refused(self.now, peer, run);
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            self.settle();
            match self.core.poll_timeout() {
                Some((due, _)) if due <= end => {
                    self.now = self.now.max(due);
                    self.core.handle_timeout(self.now);
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("timers go off for ever: {:?} at {}", self.core.poll_timeout(), self.now);
    }

    /// Carries out what the core asks for and checks its invariants.
    fn settle(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.watch.look(&self.core, 3, &output);
            match output {
                Output::Dial { peer } => self.dialling.push(peer),
                Output::Hangup { peer, .. } => self.forget(peer),
                Output::Message { peer, message: Message::Request { run, .. } } => self.asked.push((peer, run)),
                Output::Message { peer, message: Message::Cancel { run } } => {
                    self.asked.retain(|asked| *asked != (peer, run));
                }
                Output::Message { .. } | Output::Introduce { .. } | Output::StopReceiving { .. } | Output::Event(_) => {
                }
                Output::Serve { peer, run, .. } => self.serving.push((peer, run)),
                Output::StopServing { peer, run } => self.serving.retain(|serving| *serving != (peer, run)),
                Output::Store { piece, leaf, data, .. } => {
                    let (manifest, bytes) = &*CONTENT;
                    let range = manifest.leaf_range(piece, leaf);
                    assert_eq!(data, bytes[range.start as usize..range.end as usize], "stored unverified");
                }
            }
        }
        self.watch.look_at(&self.core, self.now);
    }

    fn finish(&mut self) {
        self.settle();
        if self.leaving {
            return;
        }
        let helper = PeerId(100);
        for peer in std::mem::take(&mut self.connected) {
            self.forget(peer);
            self.core.handle_disconnected(self.now, peer);
        }
        self.settle();
        self.connect(helper);
        self.say_hello(helper, u8::MAX);
        self.say(helper, Message::Unchoke);
        self.settle();
        while !self.asked.is_empty() {
            self.deliver(0, Flaw::None);
            self.settle();
        }
        assert!(self.core.is_complete(), "stuck: {:?} {:?}", self.core.progress(), self.core.stats());
    }
}

/// A run that reports out of the blue are about.
const GUESS: Run = Run { piece: 1, first: 0, count: 1 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    Leaf,
    Layer,
}

/// Four pieces of four leaves each; the last piece has two leaves, the last leaf is short.
static CONTENT: LazyLock<(Arc<Manifest>, Vec<u8>)> = LazyLock::new(|| {
    let bytes: Vec<u8> = (0..13 * LEAF + 777).map(|at| (at ^ at >> 7 ^ at >> 15) as u8).collect();
    let mut builder = peerbed_proto::content::ManifestBuilder::new("file", 4 * LEAF).expect("a valid piece size");
    builder.feed(&bytes);
    (Arc::new(builder.finish().expect("a valid size")), bytes)
});

fn layer(piece: u32) -> LeafHashes {
    let (manifest, bytes) = &*CONTENT;
    let range = manifest.piece_range(piece);
    LeafHashes::of_piece(&bytes[range.start as usize..range.end as usize])
}

/// The input's next byte; 0 at its end.
fn byte(input: &mut Bytes) -> u8 {
    input.try_get_u8().unwrap_or(0)
}

fn round_trip<T: Decode + Encode + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<T> {
    let value = T::from_bytes(Bytes::copy_from_slice(data)).ok()?;
    let again = T::from_bytes(value.to_bytes());
    assert_eq!(again.as_ref(), Ok(&value), "it encodes to something else");
    Some(value)
}
