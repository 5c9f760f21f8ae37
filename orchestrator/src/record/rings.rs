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
}

/// A node of a ring as it last said of itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Seat {
    ring: String,
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
            && let Some(found) = line.rest.get("found").and_then(|found| Found::deserialize(found).ok())
            && let Some(from) = line.peer.as_ref().and_then(Value::as_str)
        {
            self.lookups.push(Lookup { t: line.t, from: from.to_owned(), found });
        }
        matches!(what, "orphaned" | "misplaced")
    }

    /// Takes in what a sample says of one peer.
    pub(crate) fn sample(&mut self, name: &str, seat: &Seat) {
        self.seats.entry(seat.ring.clone()).or_default().insert(name.to_owned(), seat.clone());
    }

    /// Lookups of this ring's members.
    pub(crate) fn lookups_in<'a>(&'a self, ring: &str) -> impl Iterator<Item = &'a Lookup> {
        let seats = self.seats.get(ring);
        self.lookups.iter().filter(move |lookup| seats.is_some_and(|seats| seats.contains_key(&lookup.from)))
    }
}

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
        rings.sample("ring-1", &seat);
        assert_eq!((rings.lookups_in("ring").count(), rings.lookups_in("other").count()), (1, 0));
    }
}
