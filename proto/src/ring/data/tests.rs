//! The store against a plain map: arcs, pages, limits, expiry.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::record::{Key, RECORD_OVERHEAD, Record, Version};
use super::store::{Kept, Store};
use crate::id::PeerId;
use crate::random::Random;
use crate::ring::circle::{Arc, Circle, Point};
use crate::ring::options::DataOptions;
use crate::time::Time;

#[test]
fn an_arc_gives_exactly_its_records_clockwise_from_its_start_and_from_any_key_of_it() {
    let circle = circle();
    let mut store = Store::new(circle);
    let mut random = Random::new(1, "store");
    let mut all: BTreeMap<Key, ()> = BTreeMap::new();
    for n in 0..60 {
        let key = Key { point: Point(random.below(64) as u128), name: Bytes::from(format!("{}", n % 3)) };
        store.keep(Time::ZERO, &DataOptions::default(), record(&key, 1, 0));
        all.insert(key, ());
    }
    for (after, up_to) in (0..64).flat_map(|a| [(a, (a + 20) % 64), (a, a), (a, (a + 63) % 64)]) {
        let arc = Arc { after: Point(after), up_to: Point(up_to) };
        let mut expected: Vec<&Key> = all.keys().filter(|key| arc.contains(circle, key.point)).collect();
        expected.sort_by_key(|key| (circle.distance(arc.after, key.point).wrapping_sub(1), key.name.clone()));
        let found: Vec<&Key> = store.in_arc(arc).map(|(key, _)| key).collect();
        assert_eq!(found, expected, "{arc:?}");
        for (place, key) in expected.iter().enumerate() {
            let rest: Vec<&Key> = store.in_arc_after(arc, Some(key)).map(|(key, _)| key).collect();
            assert_eq!(rest, expected[place + 1..], "{arc:?} behind {key}");
        }
    }
}

#[test]
fn the_whole_of_the_widest_circle_is_an_arc_from_its_last_point() {
    let mut store = Store::new(Circle::new(128).unwrap());
    for point in [0, 5, u128::MAX] {
        store.keep(Time::ZERO, &DataOptions::default(), record(&Key::at(Point(point)), 1, 0));
    }
    let whole = Arc { after: Point(u128::MAX), up_to: Point(u128::MAX) };
    let points: Vec<u128> = store.in_arc(whole).map(|(key, _)| key.point.0).collect();
    assert_eq!(points, [0, 5, u128::MAX]);
}

#[test]
fn only_a_newer_version_replaces_a_record() {
    let mut store = Store::new(circle());
    let key = Key::at(Point(5));
    let options = DataOptions::default();
    assert_eq!(store.keep(Time::ZERO, &options, record(&key, 3, 1)), Kept::New);
    assert_eq!(store.keep(Time::ZERO, &options, record(&key, 2, 1)), Kept::Known);
    assert_eq!(store.keep(Time::ZERO, &options, record(&key, 3, 1)), Kept::Known);
    assert_eq!(store.keep(Time::ZERO, &options, record(&key, 4, 1)), Kept::New);
    assert_eq!(store.get(&key).map(|held| held.version.counter), Some(4));
}

#[test]
fn digests_are_equal_exactly_when_keys_and_versions_are() {
    let options = DataOptions::default();
    let arc = Arc { after: Point(60), up_to: Point(20) };
    let filled = |records: &[(u128, u64)]| {
        let mut store = Store::new(circle());
        for &(point, counter) in records {
            store.keep(Time::ZERO, &options, record(&Key::at(Point(point)), counter, 0));
        }
        store.digest(arc)
    };
    // The order of writing and what lies outside the arc do not count.
    assert_eq!(filled(&[(1, 1), (62, 2), (40, 9)]), filled(&[(62, 2), (30, 1), (1, 1)]));
    assert_ne!(filled(&[(1, 1), (62, 2)]), filled(&[(1, 1), (62, 3)]));
    assert_ne!(filled(&[(1, 1), (62, 2)]), filled(&[(1, 1)]));
}

#[test]
fn limits_count_what_is_replaced_and_what_was_dropped() {
    let options = DataOptions { records_max: 2, bytes_max: 2 * RECORD_OVERHEAD + 10, ..DataOptions::default() };
    let mut store = Store::new(circle());
    let keep = |store: &mut Store, point: u128, counter: u64, len: usize| {
        store.keep(Time::ZERO, &options, record(&Key::at(Point(point)), counter, len))
    };
    assert_eq!(keep(&mut store, 1, 1, 8), Kept::New);
    assert_eq!(keep(&mut store, 2, 1, 3), Kept::Refused, "one byte too many");
    assert_eq!(keep(&mut store, 2, 1, 2), Kept::New);
    assert_eq!(keep(&mut store, 3, 1, 0), Kept::Refused, "one record too many");
    assert_eq!(keep(&mut store, 1, 2, 9), Kept::Refused);
    assert_eq!(keep(&mut store, 1, 2, 1), Kept::New);
    store.drop_key(&Key::at(Point(2)));
    assert_eq!((store.len(), store.bytes()), (1, RECORD_OVERHEAD + 1));
}

#[test]
fn records_expire_in_their_order_and_count_their_remaining_life() {
    let options = DataOptions::default();
    let mut store = Store::new(circle());
    let second = |n: u64| Time::ZERO + Duration::from_secs(n);
    for n in [3, 1, 2] {
        let key = Key::at(Point(n.into()));
        let lasting = Some(Duration::from_secs(n));
        store.keep(Time::ZERO, &options, Record { lasting, ..record(&key, 1, 0) });
    }
    assert_eq!(store.earliest_expiry(), Some(second(1)));
    assert_eq!(store.expire(second(2)), 2);
    let left = store.record(second(2), &Key::at(Point(3))).unwrap();
    assert_eq!(left.lasting, Some(Duration::from_secs(1)));
    assert_eq!((store.expire(second(3)), store.len(), store.bytes()), (1, 0, 0));
}

fn circle() -> Circle {
    Circle::new(6).unwrap()
}

fn record(key: &Key, counter: u64, len: usize) -> Record {
    let version = Version { counter, owner: PeerId(1) };
    Record { key: key.clone(), version, value: Some(Bytes::from(vec![0; len])), lasting: None }
}
