//! The known faults of the published Chord protocol, one test each: the published step fails, ours does not.
//!
//! Numbers are those of protocols.md section 4.3, after Zave (2012, 2017). The published steps are in `naive.rs`; ours run
//! in the real node, whose questions the tests answer by hand (`bench.rs`) or whose ring is simulated.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test where it stands")]

mod bench;
mod naive;

use std::time::Duration;

use peerbed_proto::ring::{Answer, Circle, Command, Contact, Event, Note, Options, Point, Question, Routing, Standing};
use peerbed_proto::sim::ring::{Health, RingSim};
use peerbed_proto::sim::{Latency, Paths};

use self::bench::{Bench, at, entries, points};
use self::naive::Naive;

#[test]
fn fault_1_a_joiner_whose_successor_dies_at_once_still_has_successors() {
    let mut naive = Naive::ring(&[10, 20, 30, 40], 2);
    naive.join(15, 10);
    naive.kill(20);
    assert!(!naive.has_live_successor(15), "the published join knows one successor only");

    let mut ring = ring(&[10, 20, 30, 40], options());
    let joiner = ring.join(Point(15), &[ring.contact(ring.at(Point(10)).unwrap())]);
    while ring.ring(joiner).unwrap().standing() != Standing::Member {
        ring.simulation.step();
    }
    ring.crash(ring.at(Point(20)).unwrap());
    ring.run_for(Duration::from_secs(10));
    assert_eq!(ring.ring(joiner).unwrap().stats().orphaned, 0);
    assert_eq!((ring.health(), ring.size()), (Health { members: 4, ..Health::default() }, 4));
}

#[test]
fn fault_2_a_dead_predecessor_of_the_successor_is_not_adopted() {
    let mut naive = Naive::ring(&[10, 30, 40, 50], 2);
    naive.set_predecessor(30, 20);
    naive.stabilise(10);
    assert_eq!(naive.successors(10)[0], 20, "the published stabilise adopts 20, which is dead");

    let mut node = Bench::new(10, 50, &[30, 40], options());
    let (asked, number) = node.stabilise();
    assert_eq!(asked, at(30));
    node.answer(asked, number, state(Some(20), &[40, 50]));
    let silent = node.next_question(&Question::State);
    assert_eq!(silent.0, at(20), "20 is asked before it is trusted");
    node.wait_for_a_death();
    assert_eq!(points(node.ring.successors()), [30, 40]);
}

#[test]
fn fault_3_lists_keep_their_length_and_skip_nobody() {
    let mut naive = Naive::ring(&[10, 20, 30, 40], 2);
    naive.kill(20);
    naive.stabilise_without_answer(10);
    assert_eq!(naive.successors(10).len(), 1, "the published list shrinks");

    let mut node = Bench::new(10, 40, &[20, 30], options());
    node.stabilise();
    node.wait_for_a_death();
    assert_eq!(points(node.ring.successors()), [30, 31], "a placeholder just behind 30, so that nobody can be between");
    assert!(node.ring.successors()[1].contact().is_none());
}

#[test]
fn fault_4_head_and_tail_of_a_list_come_from_one_node() {
    let mut naive = Naive::ring(&[10, 30, 40, 50], 2);
    naive.add(20, &[30, 40]);
    naive.set_predecessor(30, 20);
    naive.stabilise(10);
    assert_eq!(
        naive.successors(10),
        [20, 40],
        "the published list takes its head from one and its tail from another: 30 is skipped"
    );

    let mut node = Bench::new(10, 50, &[30, 40], options());
    let (asked, number) = node.stabilise();
    node.answer(asked, number, state(Some(20), &[40, 50]));
    let (asked, number) = node.next_question(&Question::State);
    node.answer(asked, number, state(Some(10), &[30, 40]));
    assert_eq!(points(node.ring.successors()), [20, 30]);
}

#[test]
fn fault_5_a_live_predecessor_is_not_given_up_for_one_further_away() {
    let mut naive = Naive::ring(&[10, 20, 30, 40], 2);
    naive.forget_predecessor(30);
    naive.notify(30, 10);
    assert_eq!(naive.predecessor(30), Some(10), "after a missed check the published rule takes anybody");

    let mut node = Bench::new(30, 20, &[40, 50], options());
    node.silence(at(20));
    node.note(at(10), Note::Notify);
    let (asked, number) = node.next_question(&Question::Ping);
    assert_eq!(asked, at(20));
    assert_eq!(node.ring.predecessor(), Some(at(20)), "nothing changes before the ping is answered");
    node.ring.handle_timeout(node.now + Duration::from_millis(1_001));
    node.answer(asked, number, Answer::Alive);
    assert_eq!(node.ring.predecessor(), Some(at(20)), "slow is not dead");
}

#[test]
fn fault_5_a_dead_predecessor_is_replaced_by_the_nearest_who_notified() {
    let mut node = Bench::new(30, 20, &[40, 50], options());
    node.silence(at(20));
    node.note(at(10), Note::Notify);
    node.note(at(15), Note::Notify);
    node.note(at(5), Note::Notify);
    node.wait_until(|ring| ring.predecessor() != Some(at(20)));
    assert_eq!(node.ring.predecessor(), Some(at(15)));
}

#[test]
fn fault_6_every_branch_of_stabilise_ends_with_a_notification() {
    let mut naive = Naive::ring(&[10, 30, 40, 50], 2);
    naive.set_predecessor(30, 20);
    naive.stabilise(10);
    assert_eq!(naive.predecessor(30), Some(20), "30 is never told of 10 and keeps a dead predecessor");

    // Nobody between.
    let mut node = Bench::new(10, 50, &[30, 40], options());
    let (asked, number) = node.stabilise();
    node.answer(asked, number, state(Some(10), &[40, 50]));
    assert_eq!(node.notes(), [(at(30), Note::Notify)]);
    // Somebody between, who is dead.
    let (asked, number) = node.stabilise();
    node.answer(asked, number, state(Some(20), &[40, 50]));
    node.next_question(&Question::State);
    node.wait_for_a_death();
    assert!(node.notes().contains(&(at(30), Note::Notify)));
    // The successor is dead: the next one is notified once it has answered.
    let mut node = Bench::new(10, 50, &[30, 40], options());
    node.stabilise();
    node.wait_for_a_death();
    let number = node.question_to(at(40), &Question::State);
    node.answer(at(40), number, state(Some(30), &[50, 10]));
    assert_eq!(node.notes(), [(at(40), Note::Notify)], "30 is known to be dead and not asked again");
}

#[test]
fn fault_7_a_ring_smaller_than_its_lists_never_lists_a_node_to_itself() {
    let mut naive = Naive::ring(&[10, 20], 2);
    naive.stabilise(10);
    assert_eq!(naive.successors(10), [20, 10], "the published list wraps onto its own node");

    let mut ring = ring(&[10, 20], options());
    ring.run_for(Duration::from_secs(5));
    for node in ring.members() {
        let me = ring.contact(node);
        assert!(ring.ring(node).unwrap().successors().iter().all(|entry| entry.contact() != Some(me)));
    }
    let via = [ring.contact(ring.at(Point(10)).unwrap())];
    for point in [12, 15, 25, 60] {
        ring.join(Point(point), &via);
    }
    ring.run_for(Duration::from_secs(20));
    assert_eq!(ring.health(), Health { members: 6, ..Health::default() });
}

#[test]
fn fault_8_a_ring_wound_twice_is_unwound() {
    // Each successor's predecessor is right, so nobody notices, but 1, 5, 9 … come before 2, 6, 10 … instead of between.
    let cycle = [1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22];
    let mut naive = Naive::cycle(&cycle, 2);
    for _ in 0..50 {
        cycle.iter().for_each(|&node| naive.stabilise(node));
    }
    assert_eq!(naive.successors(1)[0], 5, "weak stabilisation finds nothing wrong for ever");

    let mut ring = RingSim::placed(circle(), &cycle.map(Point), &options(), 1, paths());
    let begun = ring.health();
    assert!(begun.wrong_successors > 6, "{begun:?}");
    ring.run_for(Duration::from_secs(60));
    assert_eq!(ring.health(), Health { members: 12, ..Health::default() });
}

#[test]
fn fault_9_an_answer_that_a_join_and_a_death_made_wrong_is_right_after_one_stabilisation() {
    let mut naive = Naive::ring(&[10, 30, 40, 50], 2);
    naive.add(35, &[40, 50]);
    naive.kill(30);
    assert_eq!(naive.owner(10, 33), Some(40), "10 has not heard of 35, which joined behind 30 before 30 died");

    let mut ring = ring(&[10, 30, 40, 50], options());
    ring.run_for(Duration::from_secs(3));
    let via = [ring.contact(ring.at(Point(50)).unwrap())];
    ring.join(Point(35), &via);
    while ring.at(Point(35)).is_none() {
        ring.run_for(Duration::from_millis(1));
    }
    ring.crash(ring.at(Point(30)).unwrap());
    let from = ring.at(Point(10)).unwrap();
    for expected_within in [Duration::from_secs(3), Duration::from_secs(1)] {
        let request = ring.command(from, Command::LookUp { key: Point(33) });
        let ended = ring.run_for(expected_within).into_iter().find_map(|(_, _, event)| {
            let Event::LookedUp { request: ended, result } = event else { return None };
            (ended == request).then_some(result)
        });
        assert_eq!(ended.expect("the lookup ends").expect("it finds an owner").owner.point, Point(35));
    }
}

#[test]
fn fault_10_the_ring_stays_right_while_any_one_dies_and_comes_back() {
    // What verdi-chord's proof left open, that nodes always have live successors, is checked at run time.
    let mut ring = ring(&[3, 10, 20, 30, 40, 50], options());
    for round in 0..6 {
        let victim = ring.at(Point([3, 10, 20, 30, 40, 50][round])).unwrap();
        let via = [ring.contact(ring.members().find(|node| *node != victim).unwrap())];
        ring.crash(victim);
        ring.run_for(Duration::from_secs(6));
        ring.rejoin(victim, &via);
        ring.run_for(Duration::from_secs(10));
        assert_eq!(ring.health(), Health { members: 6, ..Health::default() }, "round {round}");
    }
    let orphaned: u64 = ring.members().map(|node| ring.ring(node).unwrap().stats().orphaned).sum();
    assert_eq!(orphaned, 0);
}

fn options() -> Options {
    Options { successors: 2, routing: Routing::Successor, ..Options::default() }
}

fn circle() -> Circle {
    Circle::new(6).unwrap()
}

fn paths() -> Paths {
    Paths::new(1, Latency::Constant(Duration::from_millis(20)))
}

fn ring(points: &[u128], options: Options) -> RingSim {
    let points: Vec<Point> = points.iter().copied().map(Point).collect();
    RingSim::found(circle(), &points, options, 1, paths())
}

fn state(predecessor: Option<u128>, successors: &[u128]) -> Answer {
    let predecessor: Option<Contact> = predecessor.map(at);
    Answer::State { predecessor, successors: entries(successors) }
}
