//! Tests of who hears what, and when.

use super::*;
use crate::swarm::Options;
use crate::swarm::tests::fixture::{Fixture, leaves, run, to};

#[test]
fn an_unchoked_neighbour_hears_of_a_leaf_at_once_and_then_every_tenth_of_a_second() {
    let mut fixture = fetching();
    fixture.meet_interested(2);
    fixture.pass(Duration::from_secs(1));
    let partial = |numbers: &[u32]| Message::Partial { piece: 0, leaves: leaves(numbers) };
    assert_eq!(to(&receive(&mut fixture, 0), 2), [partial(&[0])]);
    assert_eq!(to(&receive(&mut fixture, 1), 2), []);
    assert_eq!(to(&receive(&mut fixture, 2), 2), []);
    assert_eq!(to(&fixture.pass(Duration::from_millis(90)), 2), []);
    assert_eq!(to(&fixture.pass(Duration::from_millis(20)), 2), [partial(&[0, 1, 2])]);
}

#[test]
fn a_choked_neighbour_that_is_interested_hears_of_the_piece_only_and_later() {
    let options = Options { background_coalesce: Duration::from_millis(300), ..Options::default() };
    let mut fixture = Fixture::with(&[], options);
    fixture.meet_generous(1, &[0]);
    (2..=7).for_each(|peer| drop(fixture.meet_interested(peer)));
    assert_eq!(to(&receive(&mut fixture, 0), 7), [Message::Started { pieces: vec![0] }], "it was told nothing before");
    (1..4).for_each(|leaf| assert_eq!(to(&receive(&mut fixture, leaf), 7), []));
    assert_eq!(to(&fixture.pass(Duration::from_millis(290)), 7), []);
    assert_eq!(to(&fixture.pass(Duration::from_millis(20)), 7), [Message::Have { pieces: vec![0] }]);
}

#[test]
fn a_neighbour_that_is_not_interested_hears_of_leaves_so_that_it_can_be() {
    let mut fixture = fetching();
    fixture.meet(2, &[]);
    fixture.pass(Duration::from_secs(1));
    let outputs = receive(&mut fixture, 3);
    assert_eq!(to(&outputs, 2), [Message::Partial { piece: 0, leaves: leaves(&[3]) }]);
}

#[test]
fn a_neighbour_that_has_the_piece_hears_nothing_of_it() {
    let mut fixture = fetching();
    fixture.meet(2, &[0]);
    (0..4).for_each(|leaf| assert_eq!(to(&receive(&mut fixture, leaf), 2), []));
    assert_eq!(to(&fixture.pass(Duration::from_secs(3)), 2), [Message::NotInterested]);
}

#[test]
fn whoever_is_unchoked_hears_of_all_leaves_at_once() {
    let mut fixture = fetching();
    fixture.meet(2, &[]);
    receive(&mut fixture, 1);
    fixture.say(2, Message::Interested);
    (3..=6).for_each(|peer| drop(fixture.meet_interested(peer)));
    receive(&mut fixture, 2);
    let outputs = fixture.meet_interested(7);
    assert_eq!(to(&outputs, 7).last(), Some(&Message::Partial { piece: 0, leaves: leaves(&[1, 2]) }), "with hello");
    let outputs = fixture.say(3, Message::NotInterested);
    let partial = Message::Partial { piece: 0, leaves: leaves(&[1, 2]) };
    assert_eq!(to(&outputs, 7), [Message::Unchoke, partial]);
}

/// A core that fetches piece 0 from neighbour 1.
fn fetching() -> Fixture {
    let mut fixture = Fixture::having(&[]);
    fixture.meet_generous(1, &[0]);
    fixture
}

fn receive(fixture: &mut Fixture, leaf: u16) -> Vec<crate::swarm::Output> {
    fixture.deliver(1, run(0, leaf, 1))
}
