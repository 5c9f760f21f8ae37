//! Tests of whom neighbours are told of, and what is believed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::swarm::tests::fixture::Fixture;
use crate::swarm::{Message, Options};

#[test]
fn neighbours_are_told_of_each_other_once_and_soon() {
    let mut fixture = open();
    fixture.meet(1, &[]);
    fixture.meet(2, &[]);
    assert_eq!(introduced(&fixture.pass(Duration::from_millis(999))), []);
    assert_eq!(introduced(&fixture.pass(Duration::from_millis(1))), [(1, vec![2]), (2, vec![1])]);
    assert_eq!(introduced(&fixture.pass(Duration::from_secs(60))), [], "there is no news");
}

#[test]
fn news_for_somebody_who_was_told_just_before_waits() {
    let mut fixture = open();
    fixture.meet(1, &[]);
    fixture.meet(2, &[]);
    fixture.pass(Duration::from_secs(1));
    fixture.meet(3, &[]);
    assert_eq!(introduced(&fixture.pass(Duration::from_secs(1))), [(3, vec![1, 2])], "the newcomer is told at once");
    assert_eq!(introduced(&fixture.pass(Duration::from_secs(8))), []);
    assert_eq!(introduced(&fixture.pass(Duration::from_secs(1))), [(1, vec![3]), (2, vec![3])]);
}

#[test]
fn who_has_not_said_hello_is_nobody_to_speak_of() {
    let mut fixture = open();
    fixture.meet(1, &[]);
    fixture.core.handle_connected(fixture.now, PeerId(2));
    assert_eq!(introduced(&fixture.pass(Duration::from_secs(30))), []);
}

#[test]
fn many_are_told_in_several_messages() {
    let mut fixture = open();
    (1..=60).for_each(|peer| _ = fixture.meet(peer, &[]));
    let first: Vec<usize> =
        introduced(&fixture.pass(Duration::from_secs(1))).iter().map(|(_, new)| new.len()).collect();
    assert_eq!(first, vec![Entry::COUNT_MAX; 60]);
    let rest: Vec<usize> =
        introduced(&fixture.pass(Duration::from_secs(10))).iter().map(|(_, new)| new.len()).collect();
    assert_eq!(rest, vec![9; 60], "59 others, 50 of which were told");
}

#[test]
fn whom_a_neighbour_knows_is_dialled() {
    let mut fixture = open();
    fixture.meet(1, &[]);
    assert_eq!(dialled(&fixture.say(1, peers(&[5, 6]))), [5, 6].into());
    assert_eq!(fixture.core.stats().introductions_received, 2);
}

#[test]
fn a_neighbour_that_speaks_too_often_is_not_listened_to() {
    let mut fixture = open();
    fixture.meet(1, &[]);
    fixture.say(1, peers(&[5]));
    fixture.pass(Duration::from_millis(4_900));
    assert!(dialled(&fixture.say(1, peers(&[6]))).is_empty());
    fixture.pass(Duration::from_millis(200));
    assert_eq!(dialled(&fixture.say(1, peers(&[7]))), [7].into());
    assert_eq!(fixture.core.stats().introductions_ignored, 1);
}

#[test]
fn hearsay_fills_half_of_the_table_and_the_tracker_the_rest() {
    let mut fixture = open();
    fixture.meet(1, &[]);
    for round in 0..10_u32 {
        let first = 1_000 + round * 50;
        fixture.say(1, peers(&(first..first + 50).collect::<Vec<_>>()));
        fixture.pass(Duration::from_secs(5));
    }
    assert_eq!(fixture.core.candidates.room_for_hearsay(), 0);
    assert!(fixture.core.stats().ignored_limit >= 200);
    fixture.core.handle_neighbours(fixture.now, &[PeerId(7)]);
    assert!(fixture.core.candidates.is_known(PeerId(7)));
}

#[test]
fn without_exchange_nobody_is_told_and_nothing_believed() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet(1, &[]);
    fixture.meet(2, &[]);
    assert!(dialled(&fixture.say(1, peers(&[5]))).is_empty());
    assert_eq!(introduced(&fixture.pass(Duration::from_secs(30))), []);
    assert_eq!(fixture.core.stats().introductions_ignored, 1);
}

#[test]
fn a_message_of_too_many_is_refused_before_anything_is_made_of_it() {
    use crate::wire::{Decode, Encode};
    let many: Vec<u32> = (1..=51).collect();
    assert!(Message::from_bytes(peers(&many).to_bytes()).is_err());
    let most = peers(&many[..50]);
    assert_eq!(Message::from_bytes(most.to_bytes()), Ok(most.clone()));
}

/// A core that has nothing and takes part in exchange.
fn open() -> Fixture {
    Fixture::with(&[], Options { exchange: Exchange::Neighbours, ..Options::default() })
}

fn peers(peers: &[u32]) -> Message {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 4433);
    Message::Peers { peers: peers.iter().map(|peer| Entry { peer: PeerId(*peer), address }).collect() }
}

/// Who was told of whom.
fn introduced(outputs: &[Output]) -> Vec<(u32, Vec<u32>)> {
    let all = outputs.iter().filter_map(|output| {
        let Output::Introduce { to, peers } = output else { return None };
        Some((to.0, peers.iter().map(|peer| peer.0).collect()))
    });
    all.collect()
}

fn dialled(outputs: &[Output]) -> BTreeSet<u32> {
    outputs.iter().filter_map(|output| if let Output::Dial { peer } = output { Some(peer.0) } else { None }).collect()
}
