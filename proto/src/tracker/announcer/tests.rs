//! Tests of when a peer announces itself.

use std::net::SocketAddr;

use super::*;
use crate::hash::Hash;
use crate::id::PeerId;

#[test]
fn it_announces_at_once_and_then_every_interval() {
    let mut announcer = announcer(false);
    assert_eq!(events(&mut announcer), [AnnounceEvent::Started]);
    assert_eq!(announcer.poll_timeout(), None, "one at a time");
    announcer.handle_reply(at(1), reply(&[3]));
    let peers = vec![Entry { peer: PeerId(3), address: address() }];
    assert_eq!(announcer.poll_output(), Some(AnnouncerOutput::Peers(peers)));
    for second in [16, 31, 46] {
        assert_eq!(announcer.poll_timeout().unwrap().0, at(second));
        announcer.handle_timeout(at(second - 1));
        assert_eq!(events(&mut announcer), []);
        announcer.handle_timeout(at(second));
        assert_eq!(events(&mut announcer), [AnnounceEvent::Update]);
        announcer.handle_reply(at(second), reply(&[]));
    }
}

#[test]
fn completion_is_announced_at_once() {
    let mut announcer = announcer(false);
    events(&mut announcer);
    announcer.handle_reply(at(0), reply(&[]));
    announcer.handle_completed(at(5));
    let announce = Announce { content: content(), event: AnnounceEvent::Completed, complete: true, want: 50 };
    assert_eq!(announcer.poll_output(), Some(AnnouncerOutput::Announce(announce)));
    announcer.handle_completed(at(6));
    assert_eq!(events(&mut announcer), []);
}

#[test]
fn completion_while_an_announce_is_under_way_follows_it() {
    let mut announcer = announcer(false);
    events(&mut announcer);
    announcer.handle_completed(at(1));
    assert_eq!(events(&mut announcer), []);
    announcer.handle_reply(at(2), reply(&[]));
    assert_eq!(events(&mut announcer), [AnnounceEvent::Completed]);
}

#[test]
fn failures_are_retried_later_and_later_up_to_a_limit() {
    let mut announcer = announcer(false);
    let mut now = at(0);
    for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0] {
        assert_eq!(events(&mut announcer), [AnnounceEvent::Started]);
        announcer.handle_failure(now);
        let (due, _) = announcer.poll_timeout().unwrap();
        let wait = (due - now).as_secs_f64();
        assert!((0.75 * expected..=1.25 * expected).contains(&wait), "{wait} s instead of about {expected}");
        now = due;
        announcer.handle_timeout(now);
    }
    announcer.handle_reply(now, reply(&[]));
    assert_eq!(announcer.poll_timeout().unwrap().0, now + Duration::from_secs(15));
    assert_eq!(announcer.stats().failures, 7);
}

#[test]
fn a_completion_that_failed_is_told_again() {
    let mut announcer = announcer(false);
    events(&mut announcer);
    announcer.handle_reply(at(0), reply(&[]));
    announcer.handle_completed(at(1));
    assert_eq!(events(&mut announcer), [AnnounceEvent::Completed]);
    announcer.handle_failure(at(2));
    announcer.handle_timeout(at(3));
    assert_eq!(events(&mut announcer), [AnnounceEvent::Completed]);
}

#[test]
fn leaving_is_told_after_what_is_under_way() {
    let mut announcer = announcer(false);
    events(&mut announcer);
    announcer.handle_leave(at(1));
    assert_eq!(events(&mut announcer), []);
    announcer.handle_reply(at(2), reply(&[4]));
    let stopped = Announce { content: content(), event: AnnounceEvent::Stopped, complete: false, want: 0 };
    assert_eq!(announcer.poll_output(), Some(AnnouncerOutput::Announce(stopped)));
    announcer.handle_reply(at(3), reply(&[]));
    assert_eq!(announcer.poll_output(), Some(AnnouncerOutput::Left));
    assert_eq!(announcer.poll_timeout(), None);
}

#[test]
fn leaving_does_not_wait_for_a_tracker_that_does_not_answer() {
    let mut silent = announcer(false);
    events(&mut silent);
    silent.handle_failure(at(1));
    silent.handle_leave(at(2));
    assert_eq!(silent.poll_output(), Some(AnnouncerOutput::Left), "it was never told that we came");

    let mut known = announcer(true);
    events(&mut known);
    known.handle_reply(at(1), reply(&[]));
    known.handle_leave(at(2));
    assert_eq!(events(&mut known), [AnnounceEvent::Stopped]);
    known.handle_failure(at(3));
    assert_eq!(known.poll_output(), Some(AnnouncerOutput::Left));
}

#[test]
fn answers_nobody_waits_for_are_ignored() {
    let mut announcer = announcer(false);
    events(&mut announcer);
    announcer.handle_reply(at(1), reply(&[]));
    announcer.handle_reply(at(2), reply(&[7]));
    announcer.handle_failure(at(2));
    assert_eq!(announcer.poll_output(), None);
    assert_eq!(announcer.stats().replies, 1);
}

fn announcer(complete: bool) -> Announcer {
    Announcer::new(content(), complete, AnnouncerOptions::default(), 1, at(0))
}

fn events(announcer: &mut Announcer) -> Vec<AnnounceEvent> {
    let outputs = std::iter::from_fn(|| announcer.poll_output());
    outputs
        .filter_map(|output| if let AnnouncerOutput::Announce(it) = output { Some(it.event) } else { None })
        .collect()
}

fn reply(peers: &[u32]) -> AnnounceReply {
    let peers = peers.iter().map(|&peer| Entry { peer: PeerId(peer), address: address() }).collect();
    AnnounceReply { interval: Duration::from_secs(15), peers }
}

fn content() -> ContentId {
    ContentId(Hash::of(b"content"))
}

fn address() -> SocketAddr {
    SocketAddr::from(([198, 18, 0, 9], 4_433))
}

fn at(second: u64) -> Time {
    Time::ZERO + Duration::from_secs(second)
}
