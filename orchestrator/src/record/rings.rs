//! What is known of rings over a run: who sits where and points at whom, as samples last saw it, and every lookup.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::EventLine;

/// All rings by name, and all lookups in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rings {
    /// Members by ring and name, as they were when they were last seen.
    pub(crate) seats: BTreeMap<String, BTreeMap<String, Seat>>,
    pub(crate) lookups: Vec<Lookup>,
    /// Who asked for a lookup that failed, by name.
    failed: Vec<String>,
    /// When each member was seen to be one, by ring and name, in seconds of CLOCK_MONOTONIC and in order.
    present: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

/// A node of a ring as it last said of itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Seat {
    ring: String,
    /// `member` of those who are; empty where that was not written.
    standing: String,
    /// The point it sits on, as text: decimal or hexadecimal.
    pub(crate) point: String,
    /// Numbers of its successors in the plan.
    pub(crate) successors: Vec<Option<u32>>,
    /// Numbers of its fingers.
    pub(crate) fingers: Vec<u32>,
}

/// A lookup that has ended with an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lookup {
    /// When, in seconds of CLOCK_MONOTONIC.
    pub(crate) t: f64,
    /// Who asked, by name.
    pub(crate) from: String,
    /// Index of the step that asked, in the plan.
    pub(crate) step: usize,
    pub(crate) found: Found,
}

/// What a lookup found; peers by their numbers in the plan.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Found {
    pub(crate) owner: u32,
    pub(crate) predecessor: u32,
    pub(crate) hops: u32,
    pub(crate) seconds: f64,
    /// Every peer that was contacted, in order; empty where that was not recorded.
    pub(crate) path: Vec<u32>,
}

impl Rings {
    /// Takes in what a peer reports of its ring; says whether it is worth a mark of its own.
    pub(crate) fn event(&mut self, line: &EventLine) -> bool {
        let what = line.rest.get("what").and_then(Value::as_str).unwrap_or_default();
        if what == "looked-up"
            && let Some(from) = line.peer.as_ref().and_then(Value::as_str)
        {
            // The upper half of a request's number is that of the step which asks.
            let request = line.rest.get("request").and_then(Value::as_u64).unwrap_or(0);
            let step = usize::try_from(request >> 32).unwrap_or(usize::MAX);
            match line.rest.get("found").and_then(|found| Found::deserialize(found).ok()) {
                Some(found) => self.lookups.push(Lookup { t: line.t, from: from.to_owned(), step, found }),
                None => self.failed.push(from.to_owned()),
            }
        }
        matches!(what, "orphaned" | "misplaced")
    }

    /// Takes in what a sample says of one peer.
    pub(crate) fn sample(&mut self, name: &str, t: f64, seat: &Seat) {
        if ["", "member"].contains(&seat.standing.as_str()) {
            let ring = self.present.entry(seat.ring.clone()).or_default();
            ring.entry(name.to_owned()).or_default().push(t);
        }
        self.seats.entry(seat.ring.clone()).or_default().insert(name.to_owned(), seat.clone());
    }

    /// Lookups of this ring's members.
    pub(crate) fn lookups_in<'a>(&'a self, ring: &str) -> impl Iterator<Item = &'a Lookup> {
        let seats = self.seats.get(ring);
        self.lookups.iter().filter(move |lookup| seats.is_some_and(|seats| seats.contains_key(&lookup.from)))
    }

    /// Lookups of this ring's members that failed.
    pub(crate) fn failed_in(&self, ring: &str) -> usize {
        let seats = self.seats.get(ring);
        self.failed.iter().filter(|from| seats.is_some_and(|seats| seats.contains_key(*from))).count()
    }

    /// Members that were sampled about the middle one of these instants; where they come and go, the number changes.
    pub(crate) fn members_about(&self, ring: &str, instants: &[f64]) -> usize {
        let Some(middle) = instants.get(instants.len() / 2) else { return 0 };
        let is_near = |seen: &&Vec<f64>| {
            let after = seen.partition_point(|t| *t < middle - NEAR);
            seen.get(after).is_some_and(|t| *t <= middle + NEAR)
        };
        self.present.get(ring).map_or(0, |members| members.values().filter(is_near).count())
    }
}

/// Seconds within which everybody who is there has been sampled; samples are a second apart.
const NEAR: f64 = 1.5;

impl Seat {
    /// Its place on a circle of 2^`bits` points, 0 to 1; none of a text that is no point.
    pub(crate) fn place(&self, bits: u8) -> Option<f64> {
        let number = match self.point.strip_prefix("0x") {
            Some(digits) => u128::from_str_radix(digits, 16),
            None => self.point.parse(),
        };
        Some((number.ok()? as f64 / 2_f64.powi(i32::from(bits))).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_as_they_are_written() {
        let seat = |point: &str| Seat { point: point.into(), ..Seat::default() };
        assert_eq!((seat("4").place(4), seat("0x8000000000").place(40)), (Some(0.25), Some(0.5)));
        assert_eq!(seat("nowhere").place(4), None);
    }

    #[test]
    fn lookups_are_taken_and_pointers_are_no_marks() {
        let mut rings = Rings::default();
        let line = |text: &str| serde_json::from_str::<EventLine>(text).unwrap();
        let looked = r#"{"t":5.0,"peer":"ring-1","event":"ring","what":"looked-up","request":1,
            "found":{"owner":3,"predecessor":2,"hops":1,"timeouts":0,"tries":1,"seconds":0.02}}"#;
        assert!(!rings.event(&line(looked)));
        assert!(rings.event(&line(r#"{"t":6.0,"peer":"ring-1","event":"ring","what":"orphaned"}"#)));
        assert_eq!((rings.lookups.len(), rings.lookups[0].found.owner), (1, 3));
        let seat = Seat { ring: "ring".into(), ..Seat::default() };
        rings.sample("ring-1", 5.0, &seat);
        assert_eq!((rings.lookups_in("ring").count(), rings.lookups_in("other").count()), (1, 0));
    }

    #[test]
    fn lookups_know_their_step_and_failures_are_counted() {
        let mut rings = Rings::default();
        let line = |text: &str| serde_json::from_str::<EventLine>(text).unwrap();
        rings.event(&line(
            r#"{"t":5.0,"peer":"ring-1","event":"ring","what":"looked-up","request":8589934593,"found":{}}"#,
        ));
        rings
            .event(&line(r#"{"t":5.0,"peer":"ring-1","event":"ring","what":"looked-up","request":7,"failed":"dead"}"#));
        rings.sample("ring-1", 5.0, &Seat { ring: "ring".into(), ..Seat::default() });
        assert_eq!((rings.lookups[0].step, rings.lookups.len(), rings.failed_in("ring")), (2, 1, 1));
    }

    #[test]
    fn who_crashed_before_is_no_member_any_more() {
        let mut rings = Rings::default();
        let seat = |standing: &str| Seat { ring: "ring".into(), standing: standing.into(), ..Seat::default() };
        for t in [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] {
            rings.sample("stays", t, &seat("member"));
            rings.sample("joins", t, &seat("joining"));
            if t < 2.0 {
                rings.sample("crashes", t, &seat("member"));
            }
        }
        assert_eq!((rings.members_about("ring", &[0.9, 1.0]), rings.members_about("ring", &[4.0, 4.1])), (2, 1));
    }
}
