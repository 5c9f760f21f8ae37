//! What a simulated ring survives: crashes, partitions, loss, steady churn and hostile peers.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test where it stands")]

use std::time::Duration;

use peerbed_proto::ring::{Answer, Circle, Contact, Entry, Message, More, Note, Options, Patience, Point, Question};
use peerbed_proto::sim::ring::{Churn, Departure, Departures, Health, RingSim, node_of, random_points};
use peerbed_proto::sim::{Latency, NodeId, Paths};
use peerbed_proto::{PeerId, Random};

#[test]
fn after_a_crash_every_pointer_is_right_again_within_three_seconds() {
    let mut ring = ring(64, Options::default(), 1);
    let mut random = Random::new(1, "crashes");
    for round in 0..10 {
        ring.run_for(Duration::from_secs(3));
        let victim = ring.random_member(&mut random).unwrap();
        ring.crash(victim);
        let took = until_right(&mut ring, Duration::from_secs(10));
        assert!(took <= Duration::from_secs(3), "crash {round} took {took:?}");
    }
}

#[test]
fn half_of_all_peers_may_die_at_once() {
    let mut ring = ring(64, Options { successors: 8, ..Options::default() }, 2);
    ring.run_for(Duration::from_secs(5));
    let mut members: Vec<NodeId> = ring.members().collect();
    Random::new(2, "victims").shuffle(&mut members);
    members[..32].iter().for_each(|node| ring.crash(*node));
    until_right(&mut ring, Duration::from_secs(30));
    assert_eq!(ring.size(), 32);
}

#[test]
fn a_ring_split_by_a_partition_becomes_one_again() {
    let mut ring = ring(32, Options::default(), 3);
    ring.run_for(Duration::from_secs(5));
    let mut members: Vec<NodeId> = ring.members().collect();
    Random::new(3, "sides").shuffle(&mut members);
    members[..16].iter().for_each(|node| ring.simulation.paths_mut().set_side(*node, 1));
    ring.run_for(Duration::from_secs(60));
    assert!(ring.health().wrong_successors > 8, "the halves are rings of their own: {:?}", ring.health());

    ring.simulation.paths_mut().heal();
    until_right(&mut ring, Duration::from_secs(30));
}

#[test]
fn a_hundred_peers_may_join_at_once_by_the_same_five() {
    let mut ring = ring(5, Options::default(), 4);
    let via: Vec<Contact> = ring.members().map(|node| ring.contact(node)).collect();
    for point in random_points(ring.circle(), 100, 44) {
        ring.join(point, &via);
    }
    ring.run_for(Duration::from_secs(60));
    assert_eq!(ring.health(), Health { members: 105, ..Health::default() });
}

#[test]
fn a_ring_grows_from_one_peer() {
    // Outside the proof, which wants one founder more than the list is long; it works all the same.
    let mut ring = ring(1, Options::default(), 5);
    let via = [ring.contact(node_of(PeerId(1)))];
    for point in random_points(ring.circle(), 8, 55) {
        ring.join(point, &via);
        ring.run_for(Duration::from_secs(5));
    }
    ring.run_for(Duration::from_secs(10));
    assert_eq!(ring.health(), Health { members: 9, ..Health::default() });
}

#[test]
fn lookups_are_right_while_a_tenth_of_all_messages_is_lost() {
    // Where nothing below sends lost messages again, two attempts would take one live peer in thirty for dead.
    let options = Options { patience: Patience { attempts: 5, ..Patience::default() }, ..Options::default() };
    let paths = Paths::new(6, Latency::Uniform { min: Duration::from_millis(5), max: Duration::from_millis(60) });
    let points = random_points(circle(), 64, 6);
    let mut ring = RingSim::found(circle(), &points, options, 6, paths.with_loss(0.1));
    ring.run_for(Duration::from_secs(30));
    let figures = ring.look_up_many(500, Duration::from_millis(20), 6);
    assert_eq!(figures.count, 500);
    assert!(figures.bad() <= 0.01, "{} wrong, {} failed", figures.wrong, figures.failed);
}

#[test]
fn under_steady_churn_one_lookup_in_a_hundred_at_most_is_wrong_and_a_second_try_helps() {
    let churn = |again| {
        let mut ring = ring(64, Options::default(), 7);
        let churn = Churn {
            joins: 0.64,
            departures: Departures::Lifetime(Duration::from_secs(100)),
            departure: Departure::Crash,
            lookups: 20.0,
            warm_up: Duration::from_secs(10),
            lasting: Duration::from_secs(110),
            again,
        };
        ring.churn(&churn, 7)
    };
    let once = churn(None);
    assert!(once.count > 1_900 && once.bad() <= 0.01, "{} of {}", once.wrong + once.failed, once.count);
    let twice = churn(Some(Duration::from_secs(1)));
    assert!(twice.bad() <= 0.001, "{} of {}", twice.wrong + twice.failed, twice.count);
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_seed_another() {
    let log = |seed: u64| {
        let mut ring = ring(16, Options::default(), seed);
        ring.join(Point(12_345), &[ring.contact(NodeId(0))]);
        ring.run_for(Duration::from_secs(5));
        ring.crash(NodeId(3));
        let events = ring.run_for(Duration::from_secs(20));
        (format!("{events:?}"), ring.simulation.happened())
    };
    assert_eq!(log(8), log(8));
    assert_ne!(log(8), log(9));
}

#[test]
fn a_liar_that_names_made_up_peers_harms_only_those_who_rely_on_it() {
    let mut ring = ring(16, Options::default(), 10);
    let liar = NodeId(0);
    ring.corrupt(liar, |me, message| {
        let made_up = |step: u32| Contact { point: Point(me.0 + u128::from(step)), peer: PeerId(1 + step % 16) };
        let entries: Vec<Entry> = (1..=4).map(|step| Entry::Contact(made_up(step))).collect();
        match message {
            Message::Answer { number, answer: Answer::State { .. } } => {
                let lie = Answer::State { predecessor: Some(made_up(9)), successors: entries };
                Message::Answer { number, answer: lie }
            }
            Message::Answer { number, answer: Answer::Step { .. } } => {
                let closer = (1..=4).map(made_up).collect();
                Message::Answer { number, answer: Answer::Step { closer, more: More::Yes, successors: entries } }
            }
            Message::Question { .. } | Message::Answer { .. } | Message::Note(_) => message,
        }
    });
    ring.run_for(Duration::from_secs(30));
    let health = ring.health();
    // The four before it cannot know who follows it; one cycle it is all the same.
    assert!(health.is_one_cycle() && health.wrong_lists <= 4 && health.wrong_predecessors == 0, "{health:?}");

    ring.crash(liar);
    until_right(&mut ring, Duration::from_secs(30));
    assert_eq!(ring.size(), 15);
}

#[test]
fn a_claim_to_be_somebody_else_is_dropped_and_counted() {
    let mut ring = ring(8, Options::default(), 11);
    let victim = NodeId(2);
    let me = ring.contact(victim);
    let elsewhere = Contact { point: me.point, peer: PeerId(99) };
    let outside = Contact { point: Point(u128::MAX), peer: PeerId(99) };
    for from in [me, elsewhere, outside] {
        ring.simulation.act(victim, |node, now| node.ring.handle_message(now, from, Message::Note(Note::Notify)));
    }
    assert_eq!(ring.ring(victim).unwrap().stats().violations, 3);
    assert_ne!(ring.ring(victim).unwrap().predecessor().map(|contact| contact.peer), Some(PeerId(99)));
}

#[test]
fn a_flood_from_one_peer_is_cut_off_and_counted() {
    let mut ring = ring(8, Options { questions_per_second: 100, ..Options::default() }, 12);
    let (flooder, victim) = (ring.contact(NodeId(0)), NodeId(2));
    for number in 0..5_000 {
        let message = Message::Question { number, question: Question::State };
        ring.simulation.act(victim, |node, now| node.ring.handle_message(now, flooder, message));
    }
    let stats = ring.ring(victim).unwrap().stats();
    assert_eq!((stats.flooded, stats.received), (4_900, 100));
    ring.run_for(Duration::from_secs(5));
    assert!(ring.health().is_right());
}

#[test]
fn answers_nobody_asked_for_and_garbage_are_counted_and_change_nothing() {
    let mut ring = ring(8, Options::default(), 13);
    let (from, victim) = (ring.contact(NodeId(0)), NodeId(2));
    let before = ring.ring(victim).unwrap().successors().to_vec();
    ring.simulation.act(victim, |node, now| {
        let state = Answer::State { predecessor: Some(from), successors: Vec::new() };
        node.ring.handle_message(now, from, Message::Answer { number: 7, answer: state });
        node.ring.handle_violation(now, from.peer);
    });
    let ring = ring.ring(victim).unwrap();
    assert_eq!((ring.stats().answers_stray, ring.stats().violations), (1, 1));
    assert_eq!(ring.successors(), before);
}

fn circle() -> Circle {
    Circle::new(64).unwrap()
}

fn ring(peers: usize, options: Options, seed: u64) -> RingSim {
    let paths = Paths::new(seed, Latency::Constant(Duration::from_millis(40)));
    RingSim::found(circle(), &random_points(circle(), peers, seed), options, seed, paths)
}

/// Lets time go on until every pointer is right, and says how long that took.
fn until_right(ring: &mut RingSim, limit: Duration) -> Duration {
    let begun = ring.simulation.now();
    while !ring.health().is_right() {
        assert!(ring.simulation.now() - begun < limit, "not right after {limit:?}: {:?}", ring.health());
        ring.run_for(Duration::from_millis(20));
    }
    ring.simulation.now() - begun
}
