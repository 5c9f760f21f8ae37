//! Rings of real peers on loopback: founding, lookups, records, crashes, leaving, joining, and members that lie.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use hyper::StatusCode;
use peerbed_peer::commands::Command;
use peerbed_peer::events::EventKind;
use peerbed_peer::ring_control::{
    Circle, Enter, Found, Outcome, Place, Point, Read, RecordAction, RecordKey, RingCommand, RingOptions, RingReport,
    RingStatus, Roster, Standing, Start, Written,
};
use peerbed_proto::PeerId;
use peerbed_proto::ring::{Answer, Contact, Forwarding, Message, Note, Question, Routing};
use peerbed_proto::wire::{Decode, Encode, FrameReader, put_varint};
use quinn::Connection;
use support::DEADLINE;
use support::outsider::Outsider;
use support::process::{Peer, RUN, Run};
use tokio::time::timeout;

const RING: &[u8] = b"peerbed-ring/1";

#[test]
fn each_key_belongs_to_the_first_peer_at_or_after_it() {
    support::run(async {
        let ring = Ring::found(&[1, 12, 13, 25, 32, 40, 48, 60], 6, &options()).await;
        for (key, owner) in [(51, 60), (60, 60), (61, 1)] {
            for asker in [13, 60] {
                assert_eq!(ring.look_up(asker, key).await.owner, ring.peer_at(owner), "{asker} asks for {key}");
            }
        }
    });
}

#[test]
fn a_query_goes_round_by_successors_and_comes_back_either_way() {
    support::run(async {
        for forwarding in [Forwarding::Iterative, Forwarding::Recursive] {
            let options = RingOptions { forwarding, routing: Routing::Successor, ..options() };
            let ring = Ring::found(&[1, 3, 4, 5, 8, 10, 12, 15], 4, &options).await;
            let found = ring.look_up(3, 14).await;
            assert_eq!((found.owner, found.predecessor, found.hops), (ring.peer_at(15), ring.peer_at(12), 5));
        }
    });
}

#[test]
fn after_a_crash_the_survivors_close_the_ring() {
    support::run(async {
        let mut ring = Ring::found(&[1, 3, 4, 5, 8, 10, 12, 15], 4, &options()).await;
        ring.kill(5).await;
        ring.closes().await;
        let four = ring.status(4).await;
        assert_eq!(four.successors, [Some(ring.peer_at(8)), Some(ring.peer_at(10))]);
        assert!(ring.peer(4).metric("peerbed_ring_deaths_total").await >= 1);
        assert_eq!(ring.look_up(1, 5).await.owner, ring.peer_at(8));
    });
}

#[test]
fn what_quic_counts_over_connections_of_a_ring_is_exported_and_stays_when_they_are_gone() {
    support::run(async {
        let ring = Ring::found(&[10, 20, 30, 40], 6, &options()).await;
        let peer = ring.peer(40);
        let (sent, received) = ("peerbed_quic_sent_bytes_total", "peerbed_quic_received_bytes_total");
        let before = [peer.metric(sent).await, peer.metric(received).await];
        // A handshake alone is two datagrams of 1,200 bytes, and there are three neighbours.
        assert!(before.iter().all(|bytes| *bytes > 3_600), "{before:?}");
        assert!(peer.metric("peerbed_quic_congestion_window_bytes").await > 0);

        peer.command(&Command::Ring(RingCommand::Leave)).await;
        peer.status_when(|status| status.ring.as_ref().is_some_and(|ring| ring.standing == Standing::Gone)).await;
        peer.metric_reaches(sent, before[0] + 1).await;
        let left = [peer.metric(sent).await, peer.metric(received).await];
        assert!(left[1] >= before[1], "{before:?} {left:?}");

        peer.command(&ring.enter(Start::Join(vec![1]), &options())).await;
        ring.closes().await;
        let again = [peer.metric(sent).await, peer.metric(received).await];
        assert!(left[0] < again[0] && left[1] < again[1], "{left:?} {again:?}");
    });
}

#[test]
fn who_crashed_comes_back_by_any_member_although_others_hold_its_old_connections() {
    support::run(async {
        let mut ring = Ring::found(&[10, 20, 30, 40], 6, &options()).await;
        ring.kill(20).await;
        ring.closes().await;
        ring.come_back(20, &[40]).await;
        ring.closes().await;
        assert_eq!(ring.look_up(40, 15).await.owner, ring.peer_at(20));
    });
}

#[test]
fn a_record_survives_its_owner_and_a_deletion_is_final() {
    support::run(async {
        // Written when both successors have it: with one of them it may be the one that is not the owner afterwards.
        let mut options = options();
        options.data.acknowledgements = 2;
        let mut ring = Ring::found(&[10, 20, 30, 40], 6, &options).await;
        let written = ring.write(10, RecordKey::Point(Point(15)), put("Ripley")).await;
        assert_eq!(written.owner, ring.peer_at(20));
        assert_eq!(written.replicas, 2);
        ring.kill(20).await;
        ring.closes().await;
        assert_eq!(ring.read(40, RecordKey::Point(Point(15))).await.value.as_deref(), Some("Ripley"));
        ring.write(30, RecordKey::Point(Point(15)), RecordAction::Delete).await;
        assert_eq!(ring.read(10, RecordKey::Point(Point(15))).await.value, None);
    });
}

#[test]
fn a_record_that_a_single_replica_acknowledged_is_found_once_its_owner_is_dead() {
    support::run(async {
        let mut ring = Ring::found(&[10, 20, 30, 40], 6, &options()).await;
        let written = ring.write(10, RecordKey::Point(Point(15)), put("Ripley")).await;
        // Perhaps only the one that is not the owner afterwards has it.
        assert!(written.owner == ring.peer_at(20) && written.replicas >= 1);
        ring.kill(20).await;
        ring.closes().await;
        assert_eq!(ring.read(40, RecordKey::Point(Point(15))).await.value.as_deref(), Some("Ripley"));
    });
}

#[test]
fn human_names_are_found_by_their_hash() {
    support::run(async {
        let ring = Ring::found(&[10, 20, 30, 40], 6, &options()).await;
        let key = || RecordKey::Name("Alien".into());
        let written = ring.write(10, key(), put("198.18.0.7")).await;
        let read = ring.read(30, key()).await;
        assert_eq!((read.value.as_deref(), read.from), (Some("198.18.0.7"), Some(written.owner)));
    });
}

#[test]
fn who_leaves_hands_its_records_over_and_its_process_ends_in_order() {
    support::run(async {
        // Without replicas there is one copy, so that only handing over keeps it.
        let mut alone = options();
        (alone.data.replicas, alone.data.acknowledgements) = (0, 0);
        let mut ring = Ring::found(&[10, 20, 30, 40], 6, &alone).await;
        ring.write(10, RecordKey::Point(Point(15)), put("kept")).await;
        let place = ring.place(20);
        ring.peers[place].as_ref().unwrap().command(&Command::Leave).await;
        let (status, log) = ring.peers[place].take().unwrap().exit().await;
        assert!(status.success(), "{log}");
        ring.closes().await;
        assert_eq!(ring.read(40, RecordKey::Point(Point(15))).await.value.as_deref(), Some("kept"));
    });
}

#[test]
fn a_peer_may_leave_its_ring_and_enter_it_again() {
    support::run(async {
        let ring = Ring::found(&[10, 20, 30, 40], 6, &options()).await;
        let second = ring.peer(20);
        let again = || ring.enter(Start::Join(vec![ring.peer_at(40)]), &options());
        assert_eq!(second.refused(&again()).await.0, StatusCode::CONFLICT);
        second.command(&Command::Ring(RingCommand::Leave)).await;
        second.event(|kind| *kind == EventKind::Ring(RingReport::Left)).await;
        second.status_when(|status| status.ring.as_ref().is_some_and(|ring| ring.standing == Standing::Gone)).await;
        let look_up = Command::Ring(RingCommand::LookUp { request: 1, key: Point(3), forwarding: None });
        assert_eq!(second.refused(&look_up).await.0, StatusCode::NOT_FOUND);
        second.command(&again()).await;
        ring.closes().await;
    });
}

#[test]
fn recursive_lookups_find_the_same_owners() {
    support::run(async {
        let ring = Ring::found(
            &[1, 12, 13, 25, 32, 40, 48, 60],
            6,
            &RingOptions { forwarding: Forwarding::Recursive, ..options() },
        )
        .await;
        for key in [0, 2, 13, 26, 51, 61] {
            let owner = ring.points.iter().copied().find(|point| *point >= key).unwrap_or(1);
            assert_eq!(ring.look_up(25, key).await.owner, ring.peer_at(owner), "{key}");
        }
    });
}

#[test]
fn a_roster_without_this_peer_or_with_two_on_one_point_is_refused() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        for (members, words) in [(vec![(2, 3)], "no place for this peer"), (vec![(1, 3), (2, 3)], "same point 3")] {
            let roster = write_roster(&run, 4, members.iter().map(|(id, point)| (*id, *point, peer.endpoint.addr)));
            let enter =
                Enter { ring: "ring".into(), roster, start: Start::Found(vec![1]), options: options(), hold: false };
            let (status, error) = peer.refused(&Command::Ring(RingCommand::Enter(Box::new(enter)))).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(error.contains(words), "{error}");
        }
    });
}

#[test]
fn a_peer_without_a_ring_refuses_ring_connections() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        let leaf = run.authority.sign(&format!("peerbed://{RUN}/9/peer-9"));
        Outsider::new(Some(&leaf), RING).is_refused_by(peer.endpoint).await;
        peer.metric_reaches("peerbed_quic_refused_total{reason=\"unserved\"}", 1).await;
    });
}

#[test]
fn a_member_of_the_run_without_a_place_in_the_ring_is_refused() {
    support::run(async {
        let ring = Ring::found(&[10, 20, 30, 40], 6, &options()).await;
        let leaf = ring.run.authority.sign(&format!("peerbed://{RUN}/9/peer-9"));
        Outsider::new(Some(&leaf), RING).is_refused_by(ring.peer(10).endpoint).await;
        ring.peer(10).metric_reaches("peerbed_quic_refused_total{reason=\"unserved\"}", 1).await;
    });
}

#[test]
fn garbage_and_oversized_frames_are_counted_and_the_ring_stays_right() {
    support::run(async {
        let ring = Ring::found_with_place_for_another(&[10, 20, 30, 40], 25).await;
        let victim = ring.peer(10);
        let intruder = ring.intrude(10).await;
        intruder.open_bi().await.unwrap().0.write_all(b"\x04GET /").await.unwrap();
        timeout(DEADLINE, intruder.closed()).await.unwrap();
        victim.metric_reaches("peerbed_ring_violations_total", 1).await;
        let intruder = ring.intrude(10).await;
        let mut frame = BytesMut::new();
        put_varint(&mut frame, Message::FRAME_MAX as u64 + 1);
        intruder.open_uni().await.unwrap().write_all(&frame).await.unwrap();
        victim.metric_reaches("peerbed_ring_streams_broken_total", 1).await;
        ring.closes().await;
    });
}

#[test]
fn a_lie_about_who_sits_where_is_no_message_at_all() {
    support::run(async {
        let ring = Ring::found_with_place_for_another(&[10, 20, 30, 40], 25).await;
        let intruder = ring.intrude(10).await;
        // Peer 2 sits on 20; who believed otherwise would not reach it there and take it for dead.
        let elsewhere = Contact { point: Point(15), peer: PeerId(2) };
        let found =
            peerbed_proto::ring::Found { lookup: 1, owner: elsewhere, predecessor: elsewhere, hops: 0, timeouts: 0 };
        let mut stream = intruder.open_uni().await.unwrap();
        stream.write_all(&Message::Note(Note::Found(found)).to_frame()).await.unwrap();
        stream.finish().unwrap();
        timeout(DEADLINE, intruder.closed()).await.unwrap();
        ring.peer(10).metric_reaches("peerbed_ring_violations_total", 1).await;
        ring.closes().await;
    });
}

#[test]
fn after_five_offences_a_peer_is_not_let_in_again() {
    support::run(async {
        let ring = Ring::found_with_place_for_another(&[10, 20, 30, 40], 25).await;
        for _ in 0..5 {
            let intruder = ring.intrude(10).await;
            let mut stream = intruder.open_uni().await.unwrap();
            stream.write_all(b"\x01\xff").await.unwrap();
            let _ = stream.finish();
            timeout(DEADLINE, intruder.closed()).await.unwrap();
        }
        let again = ring.intrude(10).await;
        timeout(DEADLINE, again.closed()).await.unwrap();
        ring.peer(10).metric_reaches("peerbed_ring_connections_banned_total", 1).await;
        ring.closes().await;
    });
}

#[test]
fn who_floods_is_cut_off_and_others_are_answered() {
    support::run(async {
        let options = RingOptions { questions_per_second: 100, ..options() };
        let ring = Ring::found_with(&[10, 20, 30, 40], Some(25), 6, &options).await;
        let intruder = ring.intrude(10).await;
        // As many as it takes, for a slow host sends few in a second; unless it is shown the door meanwhile.
        while ring.peer(10).metric("peerbed_ring_flooded_total").await < 100 && intruder.close_reason().is_none() {
            for _ in 0..500 {
                let Ok(mut stream) = intruder.open_uni().await else { break };
                let _ = stream.write_all(&Message::Note(Note::Leaving).to_frame()).await;
                let _ = stream.finish();
            }
        }
        ring.peer(10).metric_reaches("peerbed_ring_flooded_total", 100).await;
        assert_eq!(ring.look_up(10, 33).await.owner, ring.peer_at(40));
        ring.closes().await;
    });
}

#[test]
fn a_peer_asks_and_answers_with_one_question_a_stream() {
    support::run(async {
        let ring = Ring::found_with_place_for_another(&[10, 20, 30, 40], 25).await;
        let visitor = ring.intrude(10).await;
        let answers = futures_util::future::join_all((0..20_u32).map(|number| ask(&visitor, number, Question::State)));
        for (number, answer) in (0..20).zip(timeout(DEADLINE, answers).await.unwrap()) {
            let Message::Answer { number: answered, answer } = answer else { panic!("{answer}") };
            assert_eq!(answered, number);
            assert!(matches!(answer, Answer::State { .. } | Answer::Busy), "{answer:?}");
        }
    });
}

/// Founders on given points, peer 1 on the first.
struct Ring {
    run: Run,
    points: Vec<u128>,
    peers: Vec<Option<Peer>>,
    roster: PathBuf,
}

fn options() -> RingOptions {
    // Fast upkeep, so that what has to heal heals soon; but a peer that its host holds up for a second is not dead.
    let mut options = RingOptions { successors: 2, stabilise: Duration::from_millis(300), ..RingOptions::default() };
    options.patience.floor = Duration::from_secs(1);
    options.patience.initial = Duration::from_secs(2);
    options
}

fn put(value: &str) -> RecordAction {
    RecordAction::Put { value: value.to_owned(), lasting_seconds: None }
}

impl Ring {
    async fn found(points: &[u128], bits: u8, options: &RingOptions) -> Self {
        Self::found_with(points, None, bits, options).await
    }

    /// The roster has a peer 9 on `point`, which only an intruder's certificate names.
    async fn found_with_place_for_another(points: &[u128], point: u128) -> Self {
        Self::found_with(points, Some(point), 6, &options()).await
    }

    async fn found_with(points: &[u128], other: Option<u128>, bits: u8, options: &RingOptions) -> Self {
        let run = Run::new();
        let ids = 1..=u32::try_from(points.len()).unwrap();
        let peers = futures_util::future::join_all(ids.clone().map(|id| run.start(id))).await;
        let places = peers.iter().zip(points).map(|(peer, point)| (peer.config.id, *point, peer.endpoint.addr));
        let other = other.map(|point| (9, point, "127.0.0.1:9".parse().unwrap()));
        let roster = write_roster(&run, bits, places.chain(other));
        let ring = Self { run, points: points.to_vec(), peers: peers.into_iter().map(Some).collect(), roster };
        for peer in ring.peers.iter().flatten() {
            peer.command(&ring.enter(Start::Found(ids.clone().collect()), options)).await;
        }
        ring.closes().await;
        ring
    }

    fn enter(&self, start: Start, options: &RingOptions) -> Command {
        let enter =
            Enter { ring: "ring".into(), roster: self.roster.clone(), start, options: options.clone(), hold: false };
        Command::Ring(RingCommand::Enter(Box::new(enter)))
    }

    fn place(&self, point: u128) -> usize {
        self.points.iter().position(|it| *it == point).unwrap()
    }

    fn peer_at(&self, point: u128) -> u32 {
        u32::try_from(self.place(point) + 1).unwrap()
    }

    fn peer(&self, point: u128) -> &Peer {
        self.peers[self.place(point)].as_ref().unwrap()
    }

    async fn status(&self, point: u128) -> RingStatus {
        self.peer(point).status().await.ring.unwrap()
    }

    async fn kill(&mut self, point: u128) {
        let place = self.place(point);
        self.peers[place].take().unwrap().child.kill().await.unwrap();
    }

    /// Starts a peer anew at its old address, and lets it join.
    async fn come_back(&mut self, point: u128, via: &[u128]) {
        let place = self.place(point);
        let roster: Roster = serde_json::from_slice(&std::fs::read(&self.roster).unwrap()).unwrap();
        let mut config = self.run.config(self.peer_at(point));
        config.listen = roster.places[place].addr;
        let peer = Peer::start(&config).await;
        let via = via.iter().map(|point| self.peer_at(*point)).collect();
        peer.command(&self.enter(Start::Join(via), &options())).await;
        self.peers[place] = Some(peer);
    }

    /// Waits until every live peer's pointers are what they should be.
    async fn closes(&self) {
        let mut live: Vec<u32> = self.peers.iter().flatten().map(|peer| peer.config.id).collect();
        live.sort_by_key(|id| self.points[*id as usize - 1]);
        for (place, id) in live.iter().enumerate() {
            let step = |steps: usize| Some(live[(place + steps) % live.len()]);
            let successors = [step(1), step(2)];
            let is_right = |ring: &RingStatus| {
                ring.standing == Standing::Member
                    && ring.successors == successors
                    && ring.predecessor == step(live.len() - 1)
            };
            let peer = self.peers[*id as usize - 1].as_ref().unwrap();
            peer.status_when(|status| status.ring.as_ref().is_some_and(is_right)).await;
        }
    }

    async fn look_up(&self, asker: u128, key: u128) -> Found {
        let peer = self.peer(asker);
        let request = next_request();
        peer.command(&Command::Ring(RingCommand::LookUp { request, key: Point(key), forwarding: None })).await;
        let ended = peer
            .event(|kind| matches!(kind, EventKind::Ring(RingReport::LookedUp { request: it, .. }) if *it == request));
        let kind = ended.await.kind;
        let EventKind::Ring(RingReport::LookedUp { outcome: Outcome::Found(found), .. }) = kind else {
            panic!("{kind:?}")
        };
        found
    }

    async fn write(&self, asker: u128, key: RecordKey, action: RecordAction) -> Written {
        let peer = self.peer(asker);
        let request = next_request();
        peer.command(&Command::Ring(RingCommand::Data { request, key, action })).await;
        let ended = peer
            .event(|kind| matches!(kind, EventKind::Ring(RingReport::Written { request: it, .. }) if *it == request));
        let kind = ended.await.kind;
        let EventKind::Ring(RingReport::Written { outcome: Outcome::Found(written), .. }) = kind else {
            panic!("{kind:?}")
        };
        written
    }

    async fn read(&self, asker: u128, key: RecordKey) -> Read {
        let peer = self.peer(asker);
        let request = next_request();
        peer.command(&Command::Ring(RingCommand::Data { request, key, action: RecordAction::Get })).await;
        let ended =
            peer.event(|kind| matches!(kind, EventKind::Ring(RingReport::Read { request: it, .. }) if *it == request));
        let kind = ended.await.kind;
        let EventKind::Ring(RingReport::Read { outcome: Outcome::Found(read), .. }) = kind else { panic!("{kind:?}") };
        read
    }

    /// Connects to a peer as peer 9.
    async fn intrude(&self, point: u128) -> Connection {
        let leaf = self.run.authority.sign(&format!("peerbed://{RUN}/9/peer-9"));
        Outsider::new(Some(&leaf), RING).dial(self.peer(point).endpoint).await.unwrap()
    }
}

/// A number that no command of this test program had before.
fn next_request() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn write_roster(run: &Run, bits: u8, places: impl Iterator<Item = (u32, u128, std::net::SocketAddr)>) -> PathBuf {
    let places = places.map(|(peer, point, addr)| Place { peer, point: Point(point), addr }).collect();
    let path = run.path().join("roster.json");
    std::fs::write(&path, serde_json::to_vec(&Roster { circle: Circle::new(bits).unwrap(), places }).unwrap()).unwrap();
    path
}

async fn ask(connection: &Connection, number: u32, question: Question) -> Message {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&Message::Question { number, question }.to_frame()).await.unwrap();
    send.finish().unwrap();
    let mut reader = FrameReader::new(Message::FRAME_MAX);
    loop {
        if let Some(frame) = reader.next_frame().unwrap() {
            return Message::from_bytes(frame).unwrap();
        }
        reader.feed(&receive.read_chunk(1024, true).await.unwrap().unwrap().bytes);
    }
}
