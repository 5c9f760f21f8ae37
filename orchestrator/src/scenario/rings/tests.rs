//! Rings as inputs and exact outputs: recovery times, askers, judgements.

use std::time::Duration;

use peerbed_peer::ring_control::{Found, Outcome, Read, RingCommand, Written};
use peerbed_proto::ring::{self, Conduct, Point};

use super::*;
use crate::{
    plan::{Key, Keys, Member, Queries, Ring},
    units::Span,
};

#[test]
fn a_ring_has_recovered_when_the_last_pointer_is_right() {
    let mut rings = founded(&[10, 20, 30, 40]);
    assert!(rings.rings[0].is_right());
    rings.handle_crash(at(1_000), &[PeerId(2)]);
    assert!(!rings.rings[0].is_right() && rings.is_measuring());
    point(&mut rings, 1_700, 1, 4, &[Some(3), None]);
    point(&mut rings, 1_900, 3, 1, &[Some(4), Some(1)]);
    point(&mut rings, 2_500, 1, 4, &[Some(3), Some(4)]);
    assert!(rings.is_measuring(), "4 still lists 2");
    // Its report comes late, but says when it was.
    point(&mut rings, 2_100, 4, 3, &[Some(1), Some(3)]);
    let fault = &rings.rings[0].faults()[0];
    assert_eq!((fault.kind, fault.at, fault.recovered), (FaultKind::Crash, at(1_000), Some(at(2_500))));
    assert!(rings.rings[0].is_settled());
}

#[test]
fn of_two_faults_that_overlap_each_is_mended_when_the_pointers_to_its_own_peer_are_right() {
    let mut rings = founded(&[10, 20, 30, 40, 50, 60]);
    rings.handle_crash(at(1_000), &[PeerId(2)]);
    rings.handle_crash(at(1_500), &[PeerId(5)]);
    point(&mut rings, 1_700, 1, 6, &[Some(3), Some(4)]);
    point(&mut rings, 1_800, 3, 1, &[Some(4), Some(5)]);
    assert_eq!(rings.rings[0].faults()[0].mended, None, "6 still lists 2");
    assert_eq!(rings.rings[0].unmended_since(), Some(at(1_000)));
    point(&mut rings, 1_900, 6, 5, &[Some(1), Some(3)]);
    assert_eq!(rings.rings[0].unmended_since(), Some(at(1_500)), "the second one is open");
    point(&mut rings, 2_600, 4, 3, &[Some(6), Some(1)]);
    point(&mut rings, 2_700, 6, 4, &[Some(1), Some(3)]);
    point(&mut rings, 3_000, 3, 1, &[Some(4), Some(6)]);
    let found: Vec<_> = rings.rings[0].faults().iter().map(|it| (it.mended, it.recovered)).collect();
    assert_eq!(found, [(Some(at(1_900)), Some(at(3_000))), (Some(at(3_000)), Some(at(3_000)))]);
    assert_eq!(rings.rings[0].unmended_since(), None);
}

#[test]
fn a_join_counts_from_membership_and_a_leave_from_its_end() {
    let mut rings = founded(&[10, 20, 30, 40]);
    rings.handle_leave(at(1_000), &[PeerId(2)]);
    assert!(rings.is_measuring() && rings.rings[0].is_right(), "it is a member until it has left");
    report(&mut rings, 1_400, 2, &RingReport::Left);
    point(&mut rings, 1_500, 1, 4, &[Some(3), Some(4)]);
    point(&mut rings, 1_500, 3, 1, &[Some(4), Some(1)]);
    point(&mut rings, 1_600, 4, 3, &[Some(1), Some(3)]);
    let (ring, start) = rings.entry(PeerId(2)).unwrap();
    assert_eq!(ring, 0);
    let Start::Join(via) = start else { panic!("{start:?}") };
    assert_eq!(via.len(), 3);
    report(&mut rings, 5_000, 2, &RingReport::Joined);
    for (peer, before, successors) in [(1, 4, [2, 3]), (2, 1, [3, 4]), (3, 2, [4, 1]), (4, 3, [1, 2])] {
        point(&mut rings, 5_000 + u64::from(peer), peer, before, &successors.map(Some));
    }
    let mended: Vec<_> = rings.rings[0].faults().iter().map(|it| it.mended).collect();
    assert_eq!(mended, [Some(at(1_600)), Some(at(5_004))]);
    let faults: Vec<_> = rings.rings[0].faults().iter().map(|it| (it.kind.word(), it.at, it.recovered)).collect();
    let expected = [("leave", at(1_400), Some(at(1_600))), ("join", at(5_000), Some(at(5_004)))];
    assert_eq!(faults, expected);
}

#[test]
fn questions_go_to_members_at_an_even_pace_and_the_step_ends_with_the_last_answer() {
    let mut rings = founded(&[10, 20, 30, 40]);
    rings.begin(3, &RingStep::Lookups(queries(Keys::Random, 3)), at(0));
    assert_eq!(rings.due(at(0)).len(), 1);
    assert_eq!(rings.next_deadline(), Some((at(100), "a ring is to be asked")));
    let asked = rings.due(at(250));
    assert_eq!(asked.len(), 2);
    assert!(!rings.has_ended(3));
    for request in 0..3 {
        answer(&mut rings, 300, (3 << 32) + request, 1);
    }
    assert!(rings.has_ended(3));
    assert_eq!(rings.asked().next().unwrap().answers().len(), 3);
}

#[test]
fn an_answer_is_right_when_it_names_the_owner_of_that_moment() {
    let mut rings = founded(&[10, 20, 30, 40]);
    let key = |point, owner| Key { name: None, point: Point(point), owner, value: None };
    let keys = vec![key(15, None), key(15, None), key(45, None), key(15, Some(PeerId(4)))];
    let queries = Queries { from: vec![PeerId(1)], ..queries(Keys::Given(keys), 4) };
    rings.begin(0, &RingStep::Lookups(queries), at(0));
    rings.due(at(1_000));
    answer(&mut rings, 1_100, 0, 2);
    rings.handle_crash(at(1_200), &[PeerId(2)]);
    answer(&mut rings, 1_300, 1, 2);
    answer(&mut rings, 1_300, 2, 1);
    answer(&mut rings, 1_300, 3, 3);
    let asking = rings.asked().next().unwrap();
    let judged: Vec<Judged> = judge(&rings, asking).into_iter().map(|(judged, _)| judged).collect();
    assert_eq!(judged, [Judged::Correct, Judged::Wrong, Judged::Correct, Judged::Wrong]);
}

#[test]
fn a_lookup_that_was_not_right_is_asked_once_more_of_the_same_peer() {
    let mut rings = founded(&[10, 20, 30, 40]);
    let key = Key { name: None, point: Point(15), owner: None, value: None };
    let again = Some(Span(Duration::from_secs(1)));
    let queries = Queries { from: vec![PeerId(1), PeerId(3)], again, ..queries(Keys::Given(vec![key]), 3) };
    rings.begin(0, &RingStep::Lookups(queries), at(0));
    let askers: Vec<PeerId> = rings.due(at(200)).iter().map(asker).collect();
    answer(&mut rings, 210, 0, 2);
    answer(&mut rings, 220, 1, 3);
    answer(&mut rings, 230, 2, 3);
    assert!(!rings.has_ended(0));
    assert_eq!(rings.next_deadline(), Some((at(1_210), "an answer of a ring is to be looked at")));
    assert_eq!(rings.due(at(1_215)), [], "the first was right");
    let second = rings.due(at(1_240));
    assert_eq!(second.iter().map(asker).collect::<Vec<_>>(), askers[1..]);
    answer(&mut rings, 1_300, 3 + 1, 2);
    answer(&mut rings, 1_310, 3 + 2, 3);
    assert!(rings.has_ended(0));
    let asking = rings.asked().next().unwrap();
    assert_eq!(judge(&rings, asking).iter().filter(|(judged, _)| *judged == Judged::Wrong).count(), 2);
    assert_eq!(still_wrong(&rings, asking), 1);
}

#[test]
fn a_read_must_find_the_last_acknowledged_write() {
    let mut rings = founded(&[10, 20, 30, 40]);
    let key = |value: Option<&str>| Key {
        name: Some("Alien".into()),
        point: Point(15),
        owner: None,
        value: value.map(str::to_owned),
    };
    for (step, keys) in [(0, key(Some("a"))), (1, key(None))] {
        let queries = queries(Keys::Given(vec![keys]), 2);
        let step_of = if step == 0 { RingStep::Put(queries) } else { RingStep::Get(queries) };
        rings.begin(step, &step_of, at(step as u64 * 1_000));
        for order in rings.due(at(step as u64 * 1_000 + 500)) {
            let Order::Ask { peer, command: RingCommand::Data { request, .. } } = order else { panic!("{order:?}") };
            let found = if request % 2 == 0 { Some("a".to_owned()) } else { None };
            let report = if step == 0 {
                RingReport::Written {
                    request,
                    outcome: Outcome::Found(Written { owner: 2, replicas: 1, seconds: 0.1 }),
                }
            } else {
                let read = Read { value: found, from: None, seconds: 0.1 };
                RingReport::Read { request, outcome: Outcome::Found(read) }
            };
            let rings = &mut rings;
            rings.asking.values_mut().for_each(|it| it.handle_report(at(step as u64 * 1_000 + 600), peer, &report));
        }
    }
    let judged: Vec<Vec<Judged>> =
        rings.asked().map(|asking| judge(&rings, asking).into_iter().map(|(judged, _)| judged).collect()).collect();
    assert_eq!(judged, [[Judged::Correct, Judged::Correct], [Judged::Correct, Judged::Wrong]]);
}

#[test]
fn questions_of_a_peer_that_is_taken_away_are_abandoned_and_unanswered_ones_fail() {
    let mut rings = founded(&[10, 20]);
    rings.begin(0, &RingStep::Lookups(queries(Keys::Random, 20)), at(0));
    rings.due(at(5_000));
    rings.handle_crash(at(5_100), &[PeerId(1)]);
    rings.due(at(5_000) + ANSWER_MAX);
    assert!(rings.has_ended(0));
    let asking = rings.asked().next().unwrap();
    let count = |ended: fn(&Ended) -> bool| asking.answers().iter().filter(|answer| ended(&answer.ended)).count();
    let (abandoned, failed) =
        (count(|ended| *ended == Ended::Abandoned), count(|ended| matches!(ended, Ended::Failed(_))));
    assert!(abandoned > 0 && failed > 0 && abandoned + failed == 20, "{abandoned} and {failed}");
}

#[test]
fn where_a_member_is_hostile_only_passing_over_an_honest_one_is_wrong() {
    let mut rings = founded_with(&[10, 20, 30, 40], &[2]);
    // 1 has shut 2 out, 4 has not, and whatever 2 says counts for nothing.
    point(&mut rings, 100, 1, 4, &[Some(3), Some(4)]);
    point(&mut rings, 100, 4, 3, &[Some(1), Some(2)]);
    point(&mut rings, 100, 2, 4, &[None, None]);
    assert!(rings.rings[0].is_right());
    point(&mut rings, 200, 1, 4, &[Some(4), Some(3)]);
    assert!(!rings.rings[0].is_right(), "1 passes over 3");
    point(&mut rings, 300, 1, 4, &[Some(2), Some(4)]);
    assert!(rings.rings[0].is_right(), "a lying successor spoils the rest of the list");
    point(&mut rings, 310, 4, 3, &[Some(1), None]);
    assert!(!rings.rings[0].is_right(), "4 has its list from 1, which is honest");
    point(&mut rings, 320, 4, 3, &[Some(1), Some(3)]);
    assert!(rings.rings[0].is_right());
    point(&mut rings, 400, 3, 4, &[Some(4), Some(1)]);
    assert!(!rings.rings[0].is_right(), "3 takes 4 for the one before it");
}

#[test]
fn the_key_of_a_hostile_member_may_be_answered_with_it_or_the_next_honest_one() {
    let mut rings = founded_with(&[10, 20, 30, 40], &[2]);
    let key = Key { name: None, point: Point(15), owner: None, value: None };
    rings.begin(0, &RingStep::Lookups(queries(Keys::Given(vec![key]), 3)), at(0));
    assert_eq!(rings.due(at(1_000)).len(), 3);
    for (request, owner) in (0..).zip([2, 3, 4]) {
        answer(&mut rings, 1_100, request, owner);
    }
    let judged: Vec<Judged> = judge(&rings, rings.asked().next().unwrap()).into_iter().map(|(it, _)| it).collect();
    assert_eq!(judged, [Judged::Correct, Judged::Correct, Judged::Wrong]);
}

/// A ring of these points, all right, with lists of two.
fn founded(points: &[u128]) -> Rings {
    founded_with(points, &[])
}

/// The same with hostile members.
fn founded_with(points: &[u128], hostile: &[u32]) -> Rings {
    let members = points.iter().zip(1..).map(|(point, peer)| Member {
        peer: PeerId(peer),
        point: Point(*point),
        shortcuts: Vec::new(),
        conduct: if hostile.contains(&peer) { Conduct::FalseSuccessors } else { Conduct::Correct },
    });
    let options = ring::Options { successors: 2, ..ring::Options::default() };
    let ring = Ring { name: "ring".into(), bits: 6, members: members.collect(), options };
    let mut rings = Rings {
        rings: vec![Course::new(&ring, |_| true)],
        asking: BTreeMap::new(),
        settling: BTreeMap::new(),
        random: Random::new(1, "rings"),
        now: Time::ZERO,
    };
    rings.found(at(0));
    let count = u32::try_from(points.len()).unwrap();
    for peer in 1..=count {
        let next = |steps: u32| Some((peer - 1 + steps) % count + 1);
        let successors: Vec<Option<u32>> = (1..=2.min(count - 1)).map(next).collect();
        point(&mut rings, 0, peer, next(count - 1).unwrap(), &successors);
    }
    rings
}

fn queries(keys: Keys, count: u64) -> Queries {
    let from = (1..=4).map(PeerId).collect();
    let interval = Span(Duration::from_millis(100));
    Queries {
        name: "ring".into(),
        ring: "ring".into(),
        count,
        interval,
        from,
        keys,
        again: None,
        forwarding: None,
        seed: 1,
    }
}

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

fn point(rings: &mut Rings, millis: u64, peer: u32, predecessor: u32, successors: &[Option<u32>]) {
    let pointers = RingReport::Pointers { predecessor: Some(predecessor), successors: successors.to_vec() };
    report(rings, millis, peer, &pointers);
}

fn asker(order: &Order) -> PeerId {
    let Order::Ask { peer, .. } = order else { panic!("{order:?}") };
    *peer
}

fn report(rings: &mut Rings, millis: u64, peer: u32, report: &RingReport) {
    rings.rings[0].handle_report(at(millis), PeerId(peer), report);
}

/// Whoever was asked answers that `owner` owns the key.
fn answer(rings: &mut Rings, millis: u64, request: u64, owner: u32) {
    let found = Found { owner, predecessor: 1, path: Vec::new(), hops: 1, timeouts: 0, tries: 1, seconds: 0.1 };
    let report = RingReport::LookedUp { request, outcome: Outcome::Found(found) };
    for peer in 1..=4 {
        rings.asking.values_mut().for_each(|asking| asking.handle_report(at(millis), PeerId(peer), &report));
    }
}
