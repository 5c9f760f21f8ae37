//! The textbook's rings, with its own figures (Kurose and Ross, 6th edition, section 2.6.2).
//!
//! Messages of a query are counted as the textbook draws them: one per forwarding and one to the peer responsible for the
//! key, so hops plus one; the answer back to the asker does not count.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test where it stands")]

use std::time::Duration;

use bytes::Bytes;
use peerbed_proto::PeerId;
use peerbed_proto::ring::{Action, Circle, Command, Contact, Event, Forwarding, Key, Lookup, Options, Point, Routing};
use peerbed_proto::sim::ring::{RingSim, node_of};
use peerbed_proto::sim::{Latency, Paths};

#[test]
fn each_key_belongs_to_its_immediate_successor() {
    for routing in [Routing::Successor, Routing::Fingers] {
        let mut ring = ring_of_64(routing);
        for (key, owner) in [(51, 60), (60, 60), (61, 1)] {
            for asker in [1, 12, 13, 25, 32, 40, 48, 60] {
                assert_eq!(look_up(&mut ring, asker, key).owner.point, Point(owner), "{asker} asks for {key}");
            }
        }
    }
}

#[test]
fn a_query_round_the_ring_takes_six_messages() {
    for forwarding in [Forwarding::Iterative, Forwarding::Recursive] {
        let mut ring = eight_peers(Options { forwarding, ..options(Routing::Successor) }, &[]);
        let found = look_up(&mut ring, 3, 14);
        assert_eq!(found.owner.point, Point(15));
        assert_eq!(found.hops + 1, 6);
    }
}

#[test]
fn a_query_with_shortcuts_takes_three_messages() {
    for forwarding in [Forwarding::Iterative, Forwarding::Recursive] {
        // Peer 3 knows peer 10 by a shortcut; the rest is successors: 3, 10, 12, 15.
        let mut ring = eight_peers(Options { forwarding, ..options(Routing::Shortcuts) }, &[(3, 10)]);
        let found = look_up(&mut ring, 3, 14);
        assert_eq!(found.owner.point, Point(15));
        assert_eq!(found.hops + 1, 3);
    }
}

#[test]
fn fingers_need_fewer_messages_than_the_textbooks_shortcuts() {
    let mut ring = eight_peers(options(Routing::Fingers), &[]);
    assert_eq!(look_up(&mut ring, 3, 14).hops + 1, 2, "the finger eight away is 12, whose successor is 15");
}

#[test]
fn when_peer_5_leaves_abruptly_peer_4_takes_8_and_10() {
    let mut ring = eight_peers(options(Routing::Successor), &[]);
    let (four, five) = (ring.at(Point(4)).unwrap(), ring.at(Point(5)).unwrap());
    let successors = |ring: &RingSim| -> Vec<u128> {
        ring.ring(four).unwrap().successors().iter().map(|entry| entry.point().0).collect()
    };
    assert_eq!(successors(&ring), [5, 8]);

    ring.run_for(Duration::from_secs(3));
    ring.crash(five);
    let crashed = ring.simulation.now();
    let events = ring.run_for(Duration::from_secs(5));

    assert_eq!(successors(&ring), [8, 10]);
    assert!(ring.health().is_right(), "{:?}", ring.health());
    let eight = Event::SuccessorChanged { successor: Some(ring.contact(ring.at(Point(8)).unwrap())) };
    let promoted = events.iter().find(|(_, node, event)| *node == four && *event == eight);
    let at = promoted.expect("peer 4 says that its successor has changed").0;
    // At most one interval and its jitter until the ping, then two attempts of the shortest patience: 200 and 400 ms.
    let took = at - crashed;
    assert!((600..=1_800).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_simple_database_spreads_names_over_the_peers_and_finds_them_again() {
    let mut ring = ring_of_64(Routing::Fingers);
    let circle = ring.circle();
    let mut entries: Vec<(Key, Bytes)> = (0..100)
        .map(|n| (Key::named(circle, &format!("person {n}")), Bytes::from(format!("{:09}", n * 1_234_567))))
        .collect();
    for (place, (key, value)) in entries.iter().enumerate() {
        let from = node_of(PeerId(1 + u32::try_from(place % 8).unwrap()));
        let action = Action::Put { value: value.clone(), lasting: None };
        ring.command(from, Command::Data { key: key.clone(), action });
    }
    let events = ring.run_for(Duration::from_secs(5));
    let written = events.iter().filter(|(_, _, event)| matches!(event, Event::Written { result: Ok(_), .. })).count();
    assert_eq!(written, 100);

    for (key, value) in &entries {
        let owner = ring.at(ring.owner(key.point).unwrap().point).unwrap();
        let held = ring.ring(owner).unwrap().held().find(|(held, _, _)| *held == key);
        assert_eq!(held.and_then(|(_, _, value)| value), Some(value), "{key} at its owner");
        ring.command(ring.at(Point(13)).unwrap(), Command::Data { key: key.clone(), action: Action::Get });
    }
    let mut read: Vec<(Key, Bytes)> = Vec::new();
    for (_, _, event) in ring.run_for(Duration::from_secs(5)) {
        if let Event::Read { key, result, .. } = event {
            read.push((key, result.unwrap().unwrap().value));
        }
    }
    read.sort();
    entries.sort();
    assert_eq!(read, entries);
}

fn options(routing: Routing) -> Options {
    Options { successors: 2, routing, ..Options::default() }
}

fn ring_of_64(routing: Routing) -> RingSim {
    let points = [1, 12, 13, 25, 32, 40, 48, 60].map(Point);
    RingSim::found(Circle::new(6).unwrap(), &points, options(routing), 1, paths())
}

/// The eight-peer ring; `shortcuts` are pairs of who knows whom.
fn eight_peers(options: Options, shortcuts: &[(u128, u128)]) -> RingSim {
    let points = [1, 3, 4, 5, 8, 10, 12, 15].map(Point);
    let with_shortcuts = |me: Point, contacts: &[Contact]| {
        let mine = shortcuts.iter().filter(|(from, _)| Point(*from) == me);
        let shortcuts = mine.filter_map(|(_, to)| contacts.iter().find(|contact| contact.point == Point(*to)).copied());
        Options { shortcuts: shortcuts.collect(), ..options.clone() }
    };
    RingSim::found_with(Circle::new(4).unwrap(), &points, &with_shortcuts, 1, paths())
}

fn paths() -> Paths {
    Paths::new(1, Latency::Constant(Duration::from_millis(20)))
}

fn look_up(ring: &mut RingSim, asker: u128, key: u128) -> Lookup {
    let asker = ring.at(Point(asker)).expect("the asker is a member");
    let request = ring.command(asker, Command::LookUp { key: Point(key) });
    let events = ring.run_for(Duration::from_secs(2));
    let ended = events.into_iter().find_map(|(_, _, event)| {
        let Event::LookedUp { request: ended, result } = event else { return None };
        (ended == request).then_some(result)
    });
    ended.expect("the lookup ends").expect("the lookup finds an owner")
}
