//! Tests of the tracker's tables.

use super::*;
use crate::hash::Hash;

#[test]
fn peers_hear_of_each_other_and_not_of_themselves() {
    let mut tracker = Tracker::new(TrackerOptions::default(), 1);
    assert_eq!(announce(&mut tracker, 0, 1, AnnounceEvent::Started).peers, []);
    assert_eq!(numbers(&announce(&mut tracker, 0, 2, AnnounceEvent::Started)), [1]);
    assert_eq!(numbers(&announce(&mut tracker, 0, 1, AnnounceEvent::Update)), [2]);
    assert_eq!(tracker.members(content()), (2, 0));
}

#[test]
fn swarms_are_kept_apart() {
    let mut tracker = Tracker::new(TrackerOptions::default(), 1);
    announce(&mut tracker, 0, 1, AnnounceEvent::Started);
    let other = Announce { content: ContentId(Hash::of(b"other")), ..message(AnnounceEvent::Started) };
    assert_eq!(tracker.handle_announce(at(0), PeerId(2), address(2), other).unwrap().peers, []);
}

#[test]
fn no_more_peers_are_named_than_wanted_or_than_fifty_and_each_one_fairly() {
    let mut tracker = Tracker::new(TrackerOptions::default(), 1);
    (1..=100).for_each(|peer| drop(announce(&mut tracker, 0, peer, AnnounceEvent::Started)));
    let greedy = Announce { want: 1_000, ..message(AnnounceEvent::Update) };
    assert_eq!(tracker.handle_announce(at(0), PeerId(1), address(1), greedy).unwrap().peers.len(), 50);

    let few = Announce { want: 10, ..message(AnnounceEvent::Update) };
    let mut named = [0; 101];
    for _ in 0..1_000 {
        let reply = tracker.handle_announce(at(0), PeerId(1), address(1), few).unwrap();
        assert_eq!(reply.peers.len(), 10);
        reply.peers.iter().for_each(|entry| named[entry.peer.0 as usize] += 1);
    }
    assert_eq!(named[1], 0);
    assert!(named[2..].iter().all(|&count| (60..=145).contains(&count)), "{named:?} is far from 101 each");
}

#[test]
fn a_tracker_of_few_words_names_as_many_as_its_options_say() {
    let mut tracker = Tracker::new(TrackerOptions { answer_max: 2, ..TrackerOptions::default() }, 1);
    (1..=5).for_each(|peer| drop(announce(&mut tracker, 0, peer, AnnounceEvent::Started)));
    assert_eq!(announce(&mut tracker, 0, 1, AnnounceEvent::Update).peers.len(), 2);
}

#[test]
fn who_leaves_is_forgotten_at_once() {
    let mut tracker = Tracker::new(TrackerOptions::default(), 1);
    announce(&mut tracker, 0, 1, AnnounceEvent::Started);
    assert_eq!(announce(&mut tracker, 0, 1, AnnounceEvent::Stopped).peers, []);
    assert_eq!(announce(&mut tracker, 0, 2, AnnounceEvent::Started).peers, []);
    assert_eq!(tracker.stats().left, 1);
}

#[test]
fn who_is_silent_for_two_intervals_is_forgotten() {
    let mut tracker = Tracker::new(TrackerOptions::default(), 1);
    announce(&mut tracker, 0, 1, AnnounceEvent::Started);
    announce(&mut tracker, 10, 2, AnnounceEvent::Started);
    let (due, _) = tracker.poll_timeout().unwrap();
    assert_eq!(due, at(30));
    tracker.handle_timeout(at(29));
    assert_eq!(tracker.members(content()), (2, 0));
    tracker.handle_timeout(at(30));
    assert_eq!(tracker.members(content()), (1, 0));
    assert_eq!(tracker.stats().expired, 1);
    tracker.handle_timeout(at(40));
    assert_eq!(tracker.poll_timeout(), None);
}

#[test]
fn seeds_are_not_named_to_seeds() {
    let mut tracker = Tracker::new(TrackerOptions::default(), 1);
    let seed = Announce { complete: true, ..message(AnnounceEvent::Started) };
    tracker.handle_announce(at(0), PeerId(1), address(1), seed).unwrap();
    announce(&mut tracker, 0, 2, AnnounceEvent::Started);
    let reply = tracker.handle_announce(at(0), PeerId(3), address(3), seed).unwrap();
    assert_eq!(numbers(&reply), [2]);
    assert_eq!(tracker.members(content()), (3, 2));
}

#[test]
fn a_full_table_refuses_newcomers_and_keeps_serving_members() {
    let options = TrackerOptions { members_max: 1, ..TrackerOptions::default() };
    let mut tracker = Tracker::new(options, 1);
    announce(&mut tracker, 0, 1, AnnounceEvent::Started);
    let refused = tracker.handle_announce(at(0), PeerId(2), address(2), message(AnnounceEvent::Started));
    assert_eq!(refused, Err(Refusal::Full { members: 1 }));
    assert_eq!(announce(&mut tracker, 1, 1, AnnounceEvent::Update).peers, []);
    assert_eq!(tracker.stats().refused, 1);
}

fn announce(tracker: &mut Tracker, second: u64, peer: u32, event: AnnounceEvent) -> AnnounceReply {
    tracker.handle_announce(at(second), PeerId(peer), address(peer), message(event)).unwrap()
}

fn message(event: AnnounceEvent) -> Announce {
    Announce { content: content(), event, complete: false, want: 50 }
}

fn content() -> ContentId {
    ContentId(Hash::of(b"content"))
}

fn address(peer: u32) -> SocketAddr {
    SocketAddr::from(([198, 18, 0, peer as u8], 4_433))
}

fn at(second: u64) -> Time {
    Time::ZERO + Duration::from_secs(second)
}

fn numbers(reply: &AnnounceReply) -> Vec<u32> {
    reply.peers.iter().map(|entry| entry.peer.0).collect()
}
