//! Members of the run that break the swarm's protocol: refused, counted, dropped, and the others complete.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use std::time::Duration;

use bytes::BytesMut;
use peerbed_peer::commands::{Endpoint, Role};
use peerbed_peer::events::EventKind;
use peerbed_proto::swarm::{LayerWish, Message, Run as LeafRun, RunHeader};
use peerbed_proto::tracker::{Announce, AnnounceEvent, AnnounceReply};
use peerbed_proto::wire::{Decode, Encode, FrameReader, put_varint};
use peerbed_proto::{LeafHashes, PieceSet};
use quinn::{Connection, SendStream};
use support::DEADLINE;
use support::content::Content;
use support::outsider::{Outsider, SWARM, TRACKER};
use support::process::{Peer, RUN, Run};
use tokio::time::timeout;

#[test]
fn garbage_on_the_control_stream_gets_its_sender_dropped() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let intruder = swarm.intrude().await;
        let mut control = intruder.open_uni().await.unwrap();
        control.write_all(b"\x04GET /").await.unwrap();
        swarm.drops_it(&intruder, "undecodable").await;
        swarm.completes().await;
    });
}

#[test]
fn oversized_frame_gets_its_sender_dropped() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let (intruder, mut control) = swarm.join().await;
        let mut frame = BytesMut::new();
        put_varint(&mut frame, Message::FRAME_MAX as u64 + 1);
        control.write_all(&frame).await.unwrap();
        swarm.drops_it(&intruder, "undecodable").await;
        swarm.completes().await;
    });
}

#[test]
fn garbage_on_a_run_stream_gets_its_sender_dropped() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let (intruder, _control) = swarm.join().await;
        let mut run = intruder.open_uni().await.unwrap();
        run.write_all(&[0xff; 64]).await.unwrap();
        swarm.drops_it(&intruder, "undecodable").await;
        swarm.completes().await;
    });
}

#[test]
fn stream_of_both_directions_gets_its_sender_dropped() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let (intruder, _control) = swarm.join().await;
        let (mut send, _receive) = intruder.open_bi().await.unwrap();
        send.write_all(b"hello").await.unwrap();
        swarm.drops_it(&intruder, "undecodable").await;
        swarm.completes().await;
    });
}

#[test]
fn hello_for_another_content_is_refused_as_unserved() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let intruder = swarm.intrude().await;
        let other = Content::make(swarm.run.path(), "other", 100_000, 16 << 10);
        let mut control = intruder.open_uni().await.unwrap();
        let hello = Message::Hello { content: other.manifest.id(), have: PieceSet::full(other.manifest.pieces()) };
        control.write_all(&hello.to_frame()).await.unwrap();
        timeout(DEADLINE, intruder.closed()).await.unwrap();
        swarm.leecher.metric_reaches("peerbed_quic_refused_total{reason=\"unserved\"}", 1).await;
        swarm.completes().await;
    });
}

#[test]
fn run_that_asks_for_leaves_that_do_not_exist_gets_its_sender_dropped() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let (intruder, mut control) = swarm.join().await;
        let run = LeafRun { piece: 10_000, first: 0, count: 1 };
        control.write_all(&Message::Request { run, layer: LayerWish::Omit }.to_frame()).await.unwrap();
        swarm.drops_it(&intruder, "out-of-range").await;
        swarm.completes().await;
    });
}

#[test]
fn leaf_that_fails_its_hash_gets_its_sender_dropped_and_the_file_is_right() {
    support::run(async {
        // The seed comes later, so that the leecher must ask the liar first.
        let swarm = Swarm::without_seed().await;
        let (intruder, control) = swarm.join().await;
        let served = lie(&intruder, control, &swarm.content, Lie::Leaf).await;
        assert!(served > 0);
        swarm.drops_it(&intruder, "bad-leaf").await;
        assert!(swarm.leecher.metric("peerbed_swarm_bad_leaves_total").await >= 1);
        swarm.seed_begins().await;
        swarm.completes().await;
    });
}

#[test]
fn leaf_hashes_that_fail_their_root_get_their_sender_dropped() {
    support::run(async {
        let swarm = Swarm::without_seed().await;
        let (intruder, control) = swarm.join().await;
        lie(&intruder, control, &swarm.content, Lie::Layer).await;
        swarm.drops_it(&intruder, "bad-layer").await;
        swarm.seed_begins().await;
        swarm.completes().await;
    });
}

#[test]
fn dropped_peer_is_not_let_in_again() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let intruder = swarm.intrude().await;
        intruder.open_uni().await.unwrap().write_all(b"\x01\xff").await.unwrap();
        swarm.drops_it(&intruder, "undecodable").await;
        let (again, _control) = swarm.join().await;
        timeout(DEADLINE, again.closed()).await.unwrap();
        swarm.leecher.metric_reaches("peerbed_swarm_refused_banned_total", 1).await;
        swarm.completes().await;
    });
}

#[test]
fn garbage_in_place_of_an_announce_closes_the_connection_and_the_tracker_goes_on() {
    support::run(async {
        let swarm = Swarm::begin().await;
        let leaf = swarm.run.authority.sign(&format!("peerbed://{RUN}/9/peer-9"));
        let outsider = Outsider::new(Some(&leaf), TRACKER);
        let connection = outsider.dial(swarm.seed.endpoint).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0x3f; 100]).await.unwrap();
        timeout(DEADLINE, connection.closed()).await.unwrap();
        let reply = announce(&outsider, swarm.seed.endpoint, &swarm.content).await;
        assert!(!reply.peers.is_empty());
        swarm.completes().await;
    });
}

/// One seed with the tracker and one leecher, who is attacked.
struct Swarm {
    run: Run,
    content: Content,
    seed: Peer,
    leecher: Peer,
    outsider: Outsider,
}

enum Lie {
    Leaf,
    Layer,
}

impl Swarm {
    async fn begin() -> Self {
        let swarm = Self::without_seed().await;
        swarm.seed_begins().await;
        swarm
    }

    /// A leecher that has begun and a seed that has not; the tracker answers all the same.
    async fn without_seed() -> Self {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 2_000_000, 64 << 10);
        let (seed, leecher) = (run.start_with_tracker(1).await, run.start(2).await);
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        leecher.begin("d0").await;
        let leaf = run.authority.sign(&format!("peerbed://{RUN}/9/peer-9"));
        let outsider = Outsider::new(Some(&leaf), SWARM);
        Self { run, content, seed, leecher, outsider }
    }

    async fn seed_begins(&self) {
        self.seed.begin("d0").await;
    }

    /// Connects to the leecher as a member of the run.
    async fn intrude(&self) -> Connection {
        self.outsider.dial(self.leecher.endpoint).await.unwrap()
    }

    /// Connects and says hello as one who has everything.
    async fn join(&self) -> (Connection, SendStream) {
        let connection = self.outsider.dial(self.leecher.endpoint).await.unwrap();
        let mut control = connection.open_uni().await.unwrap();
        let manifest = &self.content.manifest;
        let hello = Message::Hello { content: manifest.id(), have: PieceSet::full(manifest.pieces()) };
        control.write_all(&hello.to_frame()).await.unwrap();
        (connection, control)
    }

    /// The leecher drops number 9 for a reason, in an event and in the metrics, and closes the connection.
    async fn drops_it(&self, connection: &Connection, why: &str) {
        let dropped =
            |kind: &EventKind| matches!(kind, EventKind::PeerDropped { peer: 9, reason, .. } if reason == why);
        self.leecher.event(dropped).await;
        self.leecher.metric_reaches(&format!("peerbed_swarm_dropped_total{{reason=\"{why}\"}}"), 1).await;
        timeout(DEADLINE, connection.closed()).await.unwrap();
    }

    async fn completes(&self) {
        let path = self.leecher.completed("d0").await;
        assert_eq!(std::fs::read(path).unwrap(), self.content.bytes);
    }
}

/// Unchokes the other side and answers its requests with something wrong in every one, until it hangs up.
async fn lie(connection: &Connection, mut control: SendStream, content: &Content, lie: Lie) -> usize {
    control.write_all(&Message::Unchoke.to_frame()).await.unwrap();
    let mut theirs = connection.accept_uni().await.unwrap();
    let mut reader = FrameReader::new(Message::FRAME_MAX);
    let mut served = 0;
    while let Ok(Some(chunk)) = theirs.read_chunk(4096, true).await {
        reader.feed(&chunk.bytes);
        while let Some(frame) = reader.next_frame().unwrap() {
            if let Message::Request { run, layer } = Message::from_bytes(frame).unwrap() {
                serve_wrongly(connection, content, RunHeader { run, layer }, &lie).await;
                served += 1;
            }
        }
    }
    served
}

async fn serve_wrongly(connection: &Connection, content: &Content, header: RunHeader, lie: &Lie) {
    let manifest = &content.manifest;
    let piece = manifest.piece_range(header.run.piece);
    let mut bytes = BytesMut::from(&content.bytes[piece.start as usize..piece.end as usize]);
    let mut out = BytesMut::new();
    header.encode(&mut out);
    if matches!(lie, Lie::Layer) {
        bytes[0] ^= 1;
    }
    if header.layer == LayerWish::Send {
        LeafHashes::of_piece(&bytes).encode(&mut out);
    }
    if matches!(lie, Lie::Leaf) {
        bytes[usize::from(header.run.first) * (16 << 10)] ^= 1;
    }
    let range = header.run.range(manifest);
    let offset = (range.start - piece.start) as usize;
    out.extend_from_slice(&bytes[offset..offset + (range.end - range.start) as usize]);
    if let Ok(mut stream) = connection.open_uni().await {
        let _ = stream.write_chunk(out.freeze()).await;
        let _ = stream.finish();
        let _ = timeout(Duration::from_secs(5), stream.stopped()).await;
    }
}

async fn announce(outsider: &Outsider, tracker: Endpoint, content: &Content) -> AnnounceReply {
    let connection = outsider.dial(tracker).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let announce = Announce { content: content.manifest.id(), event: AnnounceEvent::Update, complete: false, want: 10 };
    send.write_all(&announce.to_frame()).await.unwrap();
    send.finish().unwrap();
    let mut reader = FrameReader::new(AnnounceReply::FRAME_MAX);
    reader.feed(&receive.read_to_end(AnnounceReply::FRAME_MAX + 8).await.unwrap());
    AnnounceReply::from_bytes(reader.next_frame().unwrap().unwrap()).unwrap()
}
