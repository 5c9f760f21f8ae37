//! Simulated rings with hostile members, up to a quarter of all: what they may break and what not.
//!
//! Every node has the list of who sits where, as real peers have. Lookups are those of honest members.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test where it stands")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use peerbed_proto::Random;
use peerbed_proto::ring::conduct::Lie;
use peerbed_proto::ring::{
    Action, Circle, Command, Conduct, Contact, Event, Key, Lookup, LookupError, Options, Point, Stats,
};
use peerbed_proto::sim::ring::{Health, RingSim, random_point, random_points};
use peerbed_proto::sim::{Latency, NodeId, Paths};

#[test]
fn a_quarter_of_liars_makes_no_honest_member_pass_over_another() {
    for (lie, seed) in Lie::ALL.into_iter().flat_map(|lie| (0..6).map(move |seed| (lie, seed))) {
        let mut ring = ring(32, seed);
        for liar in hostile(&mut ring, 8, seed) {
            let tampering = ring.conduct(liar, Conduct::FalseSuccessors, seed).with_lie(lie);
            ring.tamper(liar, tampering);
        }
        stay_sound(&mut ring, Duration::from_secs(30), &format!("{lie:?} SEED={seed}"));
        let found = look_up(&mut ring, 200, seed);
        assert_eq!((found.wrong_elsewhere, found.wrong), (0, 0), "{lie:?} SEED={seed}: {found:?}");
        // Nobody else knows who is between two that name nobody but themselves.
        let least = if lie == Lie::Itself { 170 } else { 200 };
        assert!(found.right >= least, "{lie:?} SEED={seed}: {found:?}");
    }
}

#[test]
fn when_a_liar_crashes_the_ring_is_right_again_within_six_seconds() {
    for (lie, seed) in Lie::ALL.into_iter().flat_map(|lie| (0..10).map(move |seed| (lie, seed))) {
        let mut ring = ring(24, seed);
        let liar = hostile(&mut ring, 1, seed)[0];
        let tampering = ring.conduct(liar, Conduct::FalseSuccessors, seed).with_lie(lie);
        ring.tamper(liar, tampering);
        // Somebody that a stale liar goes on naming.
        ring.run_for(Duration::from_secs(3));
        let dead = ring.members().find(|node| !ring.is_hostile(*node)).unwrap();
        ring.crash(dead);
        ring.run_for(Duration::from_secs(20));
        ring.crash(liar);
        let took =
            until(&mut ring, &format!("{lie:?} SEED={seed}"), |ring| ring.health().is_right(), Duration::from_secs(30));
        assert!(took <= Duration::from_secs(6), "{lie:?} SEED={seed}: {took:?}");
        assert_eq!(look_up(&mut ring, 50, seed), Found { right: 50, ..Found::default() }, "{lie:?} SEED={seed}");
    }
}

#[test]
fn liars_that_crash_one_after_the_other_leave_one_ring_and_no_key_is_lost() {
    for seed in 0..6 {
        let mut ring = ring(24, seed);
        let liars = hostile(&mut ring, 6, seed);
        for (liar, place) in liars.iter().zip(0..) {
            let lie = Lie::ALL[(place + seed as usize) % Lie::ALL.len()];
            let tampering = ring.conduct(*liar, Conduct::FalseSuccessors, seed).with_lie(lie);
            ring.tamper(*liar, tampering);
        }
        let keys = fill(&mut ring, 60, seed);
        for liar in liars {
            ring.run_for(Duration::from_secs(12));
            ring.crash(liar);
        }
        until(&mut ring, &format!("SEED={seed}"), |ring| ring.health().is_right(), Duration::from_secs(20));
        ring.run_for(Duration::from_secs(15));
        let missing: Vec<&Key> = keys
            .iter()
            .filter(|(key, value)| get(&mut ring, key) != Some((*value).clone()))
            .map(|(key, _)| key)
            .collect();
        assert!(missing.is_empty(), "SEED={seed}: {missing:?}");
    }
}

#[test]
fn false_ids_and_garbage_cost_a_member_its_place_and_nobody_else_his() {
    for (conduct, seed) in
        [Conduct::ForeignId, Conduct::Garbage].into_iter().flat_map(|it| (0..8).map(move |seed| (it, seed)))
    {
        let mut ring = ring(32, seed);
        let bad = hostile(&mut ring, 8, seed);
        for node in &bad {
            let tampering = ring.conduct(*node, conduct, seed);
            ring.tamper(*node, tampering);
        }
        stay_on_one_cycle(&mut ring, Duration::from_secs(40), &format!("{conduct:?} SEED={seed}"));
        let health = ring.honest_health();
        assert!(health.is_right(), "{conduct:?} SEED={seed}: {health:?}");
        let counted = counted(&ring);
        assert!(counted.violations >= 8 && counted.outlawed >= 8, "{conduct:?} SEED={seed}: {counted:?}");
        assert_eq!(look_up(&mut ring, 200, seed), Found { right: 200, ..Found::default() }, "{conduct:?} SEED={seed}");
        bad.into_iter().for_each(|node| ring.crash(node));
        until(&mut ring, &format!("{conduct:?} SEED={seed}"), |ring| ring.health().is_right(), Duration::from_secs(30));
    }
}

#[test]
fn floods_are_cut_off_and_make_nobody_send_twice_as_much() {
    for seed in 0..2 {
        let play = |flooders: usize| {
            let mut ring = ring(16, seed);
            for flooder in hostile(&mut ring, flooders, seed) {
                let tampering = ring.conduct(flooder, Conduct::Flood, seed);
                ring.tamper(flooder, tampering);
            }
            stay_sound(&mut ring, Duration::from_secs(10), &format!("{flooders} SEED={seed}"));
            let found = look_up(&mut ring, 50, seed);
            assert_eq!((found.right, found.failed), (50, 0), "{flooders} SEED={seed}: {found:?}");
            counted(&ring)
        };
        let (quiet, flooded) = (play(0), play(4));
        assert!(flooded.flooded > 100_000 && flooded.hints_put_off > 100_000, "SEED={seed}: {flooded:?}");
        // Twelve of them here and sixteen there.
        assert!(flooded.sent / 12 <= 2 * quiet.sent / 16, "SEED={seed}: {} instead of {}", flooded.sent, quiet.sent);
    }
}

#[test]
fn honest_members_get_over_deaths_and_let_others_join_among_all_kinds_of_hostile_ones() {
    let mut wrong_elsewhere = 0;
    for seed in 0..6 {
        let mut ring = ring(32, seed);
        let conducts = [Conduct::FalseSuccessors, Conduct::ForeignId, Conduct::Flood, Conduct::Garbage];
        let bad = hostile(&mut ring, 8, seed);
        for (node, conduct) in bad.iter().zip(conducts.into_iter().cycle()) {
            let tampering = ring.conduct(*node, conduct, seed);
            ring.tamper(*node, tampering);
        }
        stay_on_one_cycle(&mut ring, Duration::from_secs(10), &format!("SEED={seed}"));
        let honest: Vec<NodeId> = ring.members().filter(|node| !ring.is_hostile(*node)).collect();
        let via: Vec<Contact> = honest[4..8].iter().map(|node| ring.contact(*node)).collect();
        honest.iter().step_by(8).for_each(|node| ring.crash(*node));
        for point in random_points(ring.circle(), 3, 1_000 + seed) {
            ring.join(point, &via);
        }
        ring.give_rosters();
        let is_sound = |ring: &RingSim| {
            let health = ring.honest_health();
            health.members == 24 && health.is_sound()
        };
        // Who has joined where a liar sent it waits for a look-up of itself by way of others.
        until(&mut ring, &format!("SEED={seed}"), is_sound, Duration::from_secs(60));
        let found = look_up(&mut ring, 200, seed);
        // A liar that names another, which names somebody dead as the one before it, is believed.
        wrong_elsewhere += found.wrong_elsewhere;
        assert!(found.right >= 120, "SEED={seed}: {found:?}");
        bad.into_iter().for_each(|node| ring.crash(node));
        until(&mut ring, &format!("SEED={seed}"), |ring| ring.health().is_right(), Duration::from_secs(30));
        assert_eq!(look_up(&mut ring, 200, seed), Found { right: 200, ..Found::default() }, "SEED={seed}");
    }
    // What a liar said may reach a lookup by somebody honest as well: two of twelve hundred.
    assert!(wrong_elsewhere <= 2, "{wrong_elsewhere} were wrong with nobody hostile on their way");
}

#[test]
fn who_joins_by_a_liar_finds_its_place_all_the_same() {
    for (lie, seed) in Lie::ALL.into_iter().flat_map(|lie| (0..6).map(move |seed| (lie, seed))) {
        let mut ring = ring(16, seed);
        for liar in hostile(&mut ring, 3, seed) {
            let tampering = ring.conduct(liar, Conduct::FalseSuccessors, seed).with_lie(lie);
            ring.tamper(liar, tampering);
        }
        ring.run_for(Duration::from_secs(5));
        let via: Vec<Contact> = ring.members().map(|node| ring.contact(node)).collect();
        for point in random_points(ring.circle(), 3, 1_000 + seed) {
            ring.join(point, &via);
        }
        ring.give_rosters();
        let is_sound = |ring: &RingSim| {
            let health = ring.honest_health();
            health.members == 16 && health.is_sound()
        };
        let took = until(&mut ring, &format!("{lie:?} SEED={seed}"), is_sound, Duration::from_secs(120));
        assert!(took <= Duration::from_secs(90), "{lie:?} SEED={seed}: {took:?}");
    }
}

/// Lets time go on and looks after each tenth of a second whether lists are right as far as honest members say, too.
fn stay_sound(ring: &mut RingSim, time: Duration, what: &str) {
    stay(ring, time, Health::is_sound, what);
}

/// The same, but a list may have a gap while a hostile member loses its place on it.
fn stay_on_one_cycle(ring: &mut RingSim, time: Duration, what: &str) {
    stay(ring, time, Health::is_one_cycle, what);
}

fn stay(ring: &mut RingSim, time: Duration, holds: impl Fn(&Health) -> bool, what: &str) {
    let begun = ring.simulation.now();
    while ring.simulation.now() - begun < time {
        ring.run_for(Duration::from_millis(100));
        let health = ring.honest_health();
        assert!(holds(&health), "{what} after {:?}: {health:?}", ring.simulation.now() - begun);
    }
}

/// What came of lookups of honest members.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    right: usize,
    /// Wrong although no hostile member was asked.
    wrong_elsewhere: usize,
    wrong: usize,
    failed: usize,
    /// Answers that a hostile member had a part in, right or wrong.
    by_liars: usize,
}

fn look_up(ring: &mut RingSim, count: usize, seed: u64) -> Found {
    let mut random = Random::new(seed, "honest lookups");
    let honest: Vec<NodeId> = ring.members().filter(|node| !ring.is_hostile(*node)).collect();
    let mut open = BTreeMap::new();
    let mut found = Found::default();
    for _ in 0..count {
        let from = *random.pick(&honest).unwrap();
        let key = random_point(ring.circle(), &mut random);
        open.insert(ring.command(from, Command::LookUp { key }), key);
        take(ring, &mut open, &mut found, Duration::from_millis(50));
    }
    take(ring, &mut open, &mut found, Duration::from_secs(60));
    assert!(open.is_empty(), "{} lookups never ended", open.len());
    found
}

fn take(ring: &mut RingSim, open: &mut BTreeMap<u64, Point>, found: &mut Found, time: Duration) {
    for (_, _, event) in ring.run_for(time) {
        let Event::LookedUp { request, result } = event else { continue };
        let Some(key) = open.remove(&request) else { continue };
        judge(ring, key, result, found);
    }
}

fn judge(ring: &RingSim, key: Point, result: Result<Lookup, LookupError>, found: &mut Found) {
    let is_hostile = |contact: &Contact| ring.is_hostile(peerbed_proto::sim::ring::node_of(contact.peer));
    let Ok(lookup) = result else {
        found.failed += 1;
        return;
    };
    let has_part = lookup.path.iter().chain([&lookup.predecessor, &lookup.owner]).any(is_hostile);
    found.by_liars += usize::from(has_part);
    // A hostile owner may have been shut out; then the next one is as right.
    let mut owner = ring.owner(key).unwrap();
    let mut is_right = owner == lookup.owner;
    while is_hostile(&owner) && !is_right {
        owner = ring.owner(ring.circle().advance(owner.point, 1)).unwrap();
        is_right = owner == lookup.owner;
    }
    match (is_right, has_part) {
        (true, _) => found.right += 1,
        (false, true) => found.wrong += 1,
        (false, false) => found.wrong_elsewhere += 1,
    }
}

fn counted(ring: &RingSim) -> Stats {
    let mut sum = Stats::default();
    for node in ring.members().filter(|node| !ring.is_hostile(*node)) {
        let stats = ring.ring(node).unwrap().stats();
        sum.sent += stats.sent;
        sum.violations += stats.violations;
        sum.outlawed += stats.outlawed;
        sum.flooded += stats.flooded;
        sum.hints_put_off += stats.hints_put_off;
    }
    sum
}

fn fill(ring: &mut RingSim, count: usize, seed: u64) -> Vec<(Key, Bytes)> {
    let honest: Vec<NodeId> = ring.members().filter(|node| !ring.is_hostile(*node)).collect();
    let mut random = Random::new(seed, "puts");
    let mut keys = Vec::new();
    for number in 0..count {
        let key = Key::named(ring.circle(), &format!("record-{number}"));
        let value = Bytes::from(format!("value-{number}"));
        let action = Action::Put { value: value.clone(), lasting: None };
        let request = ring.command(*random.pick(&honest).unwrap(), Command::Data { key: key.clone(), action });
        let end = (0..300).find_map(|_| {
            let events = ring.run_for(Duration::from_millis(100));
            events.into_iter().find_map(|(_, _, event)| {
                let Event::Written { request: ended, result, .. } = event else { return None };
                (ended == request).then_some(result)
            })
        });
        // What a liar keeps from being written is no loss.
        if end.unwrap().is_ok() {
            keys.push((key, value));
        }
    }
    assert!(keys.len() >= 3 * count / 5, "only {} of {count} were written", keys.len());
    keys
}

fn get(ring: &mut RingSim, key: &Key) -> Option<Bytes> {
    let from = ring.members().find(|node| !ring.is_hostile(*node)).unwrap();
    let request = ring.command(from, Command::Data { key: key.clone(), action: Action::Get });
    let events = ring.run_for(Duration::from_secs(5));
    events.into_iter().find_map(|(_, _, event)| {
        let Event::Read { request: ended, result, .. } = event else { return None };
        if ended == request { result.ok().flatten().map(|read| read.value) } else { None }
    })
}

/// Picks members by chance that are to be hostile.
fn hostile(ring: &mut RingSim, count: usize, seed: u64) -> Vec<NodeId> {
    let mut members: Vec<NodeId> = ring.members().collect();
    Random::new(seed, "hostile").shuffle(&mut members);
    members.truncate(count);
    members
}

/// Lets time go on until something holds, and says how long that took.
fn until(ring: &mut RingSim, what: &str, holds: impl Fn(&RingSim) -> bool, limit: Duration) -> Duration {
    let begun = ring.simulation.now();
    while !holds(ring) {
        let health = (ring.health(), ring.honest_health());
        assert!(ring.simulation.now() - begun < limit, "{what}: not after {limit:?}: {health:?}");
        ring.run_for(Duration::from_millis(100));
    }
    ring.simulation.now() - begun
}

fn ring(peers: usize, seed: u64) -> RingSim {
    let circle = Circle::new(64).unwrap();
    let paths = Paths::new(seed, Latency::Constant(Duration::from_millis(20)));
    let mut ring = RingSim::found(circle, &random_points(circle, peers, seed), Options::default(), seed, paths);
    ring.give_rosters();
    ring
}
