//! What neighbours say, and what we say back.

use std::time::Duration;

use super::fixture::{Fixture, hangups, leaves, run, set, to};
use crate::bits::{LeafSet, PieceSet};
use crate::content::ContentId;
use crate::hash::Hash;
use crate::id::PeerId;
use crate::swarm::{LayerWish, Message, Output, Reason};

#[test]
fn a_new_neighbour_is_told_what_we_have() {
    let mut fixture = Fixture::having(&[2]);
    fixture.core.handle_connected(fixture.now, PeerId(1));
    assert_eq!(to(&fixture.outputs(), 1), [fixture.hello(&[2])]);
}

#[test]
fn we_are_interested_in_what_we_lack_and_say_so_once() {
    let mut fixture = Fixture::having(&[2]);
    assert_eq!(to(&fixture.meet(1, &[2]), 1), [fixture.hello(&[2])]);
    assert_eq!(to(&fixture.say(1, Message::Have { pieces: vec![3] }), 1), [Message::Interested]);
    assert_eq!(to(&fixture.say(1, Message::Have { pieces: vec![4] }), 1), []);
}

#[test]
fn a_single_leaf_we_lack_is_interesting_and_one_we_have_is_not() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet_generous(1, &[0]);
    fixture.deliver(1, run(0, 1, 1));
    fixture.meet(2, &[]);
    let known = Message::Partial { piece: 0, leaves: leaves(&[1]) };
    assert_eq!(to(&fixture.say(2, known), 2), []);
    let news = Message::Partial { piece: 0, leaves: leaves(&[1, 2]) };
    assert_eq!(to(&fixture.say(2, news), 2), [Message::Interested]);
}

#[test]
fn interest_ends_a_little_after_the_last_piece_came() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3]);
    fixture.meet_generous(1, &[4]);
    fixture.meet(2, &[5]);
    let outputs = fixture.deliver(1, run(4, 0, 4));
    assert!(!to(&outputs, 1).contains(&Message::NotInterested));
    assert!(to(&fixture.pass(Duration::from_millis(150)), 1).is_empty());
    assert_eq!(to(&fixture.pass(Duration::from_millis(100)), 1), [Message::NotInterested]);
}

#[test]
fn interest_in_everybody_ends_at_once_when_all_is_there() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3, 4]);
    fixture.meet_generous(1, &[5]);
    fixture.meet(2, &[4, 5]);
    let outputs = fixture.deliver(1, run(5, 0, 2));
    assert!(to(&outputs, 1).contains(&Message::NotInterested));
    assert!(to(&outputs, 2).contains(&Message::NotInterested));
}

#[test]
fn anything_before_hello_and_a_second_hello_end_the_conversation() {
    let mut fixture = Fixture::having(&[]);
    fixture.core.handle_connected(fixture.now, PeerId(1));
    assert_eq!(hangups(&fixture.say(1, Message::Unchoke)), [(1, Reason::BadHello)]);
    fixture.meet(2, &[]);
    assert_eq!(hangups(&fixture.say(2, fixture.hello(&[]))), [(2, Reason::BadHello)]);
}

#[test]
fn another_content_or_another_number_of_pieces_is_refused() {
    let mut fixture = Fixture::having(&[]);
    let other = Message::Hello { content: ContentId(Hash::of(b"other")), have: set(&[]) };
    fixture.core.handle_connected(fixture.now, PeerId(1));
    assert_eq!(hangups(&fixture.say(1, other)), [(1, Reason::BadHello)]);
    let longer = Message::Hello { content: fixture.manifest.id(), have: PieceSet::empty(7) };
    fixture.core.handle_connected(fixture.now, PeerId(2));
    assert_eq!(hangups(&fixture.say(2, longer)), [(2, Reason::BadHello)]);
}

#[test]
fn pieces_and_leaves_that_do_not_exist_end_the_conversation() {
    let wrong = [
        Message::Have { pieces: vec![6] },
        Message::Started { pieces: vec![0, u32::MAX] },
        Message::Partial { piece: 6, leaves: LeafSet::full(4) },
        Message::Partial { piece: 0, leaves: LeafSet::full(5) },
        Message::Partial { piece: 5, leaves: LeafSet::full(4) },
        Message::Partial { piece: 0, leaves: LeafSet::empty(4) },
        Message::Request { run: run(5, 1, 2), layer: LayerWish::Omit },
    ];
    for message in wrong {
        let mut fixture = Fixture::having(&[]);
        fixture.meet(1, &[]);
        assert_eq!(hangups(&fixture.say(1, message.clone())), [(1, Reason::OutOfRange)], "{message:?}");
        assert_eq!(fixture.core.stats().peers_dropped, 1);
    }
}

#[test]
fn a_neighbour_says_the_same_thing_twice_without_harm() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet(1, &[1]);
    for message in [
        Message::Have { pieces: vec![1, 1, 2, 2] },
        Message::Interested,
        Message::Unchoke,
        Message::Choke,
        Message::NotInterested,
        Message::Started { pieces: vec![3, 3] },
        Message::Partial { piece: 3, leaves: leaves(&[0]) },
        Message::Cancel { run: run(0, 0, 1) },
        Message::Reject { run: run(0, 0, 1) },
    ] {
        fixture.say(1, message.clone());
        fixture.say(1, message);
    }
    assert_eq!(fixture.core.stats().peers_dropped, 0);
    // Every count was taken back with the neighbour: otherwise a debug assertion or an overflow would show.
    fixture.core.handle_disconnected(fixture.now, PeerId(1));
    fixture.meet_generous(2, &[0]);
    assert_eq!(fixture.core.neighbours(fixture.now).map(|view| view.requested).sum::<usize>(), 2);
}

#[test]
fn what_it_says_about_more_pieces_in_progress_than_the_limit_is_ignored_and_counted() {
    let mut builder = crate::content::ManifestBuilder::new("many", 16 * 1024).unwrap();
    builder.feed(&vec![1; 300 * 16 * 1024]);
    let manifest = std::sync::Arc::new(builder.finish().unwrap());
    let (now, peer) = (crate::Time::ZERO, PeerId(1));
    let mut core =
        crate::swarm::Swarm::new(PeerId(9), manifest, PieceSet::empty(300), crate::swarm::Options::default(), 1, now);
    core.handle_connected(now, peer);
    let hello = Message::Hello { content: core.manifest().id(), have: PieceSet::empty(300) };
    core.handle_message(now, peer, hello);
    core.handle_message(now, peer, Message::Started { pieces: (0..300).collect() });
    assert_eq!(core.stats().ignored_limit, 300 - 256);
}

#[test]
fn undecodable_bytes_end_the_conversation() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet(1, &[]);
    fixture.core.handle_violation(fixture.now, PeerId(1));
    let outputs = fixture.outputs();
    assert_eq!(hangups(&outputs), [(1, Reason::Undecodable)]);
    let dropped = crate::swarm::Event::PeerDropped { peer: PeerId(1), reason: Reason::Undecodable };
    assert!(outputs.contains(&Output::Event(dropped)));
}
