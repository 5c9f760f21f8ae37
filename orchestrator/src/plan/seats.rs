//! Rings resolved: everybody on a point, shortcuts as peers, questions with their keys.

use peerbed_proto::{
    PeerId, Random,
    ring::{Circle, Conduct, Point},
};

use super::{Key, Keys, Member, Queries, Ring, RingStep, course::Course};
use crate::{
    topology::{
        self, QueryKind, Roster, Topology, Written,
        rings::{self, RingOf},
    },
    units::Span,
};

/// The rings of a topology.
pub(super) fn rings(topology: &Topology, roster: &Roster<'_>) -> Vec<Ring> {
    let resolve = |ring: RingOf<'_>| {
        let shortcuts = |point: Point| {
            let own = ring.membership.shortcuts.iter().filter(|(from, _)| from.value == point.0);
            own.flat_map(|(_, to)| to).filter_map(|to| ring.at(to.value)).map(PeerId).collect()
        };
        let member = |seat: &rings::SeatOf<'_>| Member {
            peer: PeerId(seat.peer),
            point: seat.point,
            shortcuts: shortcuts(seat.point),
            conduct: seat.membership.conduct,
        };
        let mut members: Vec<Member> = ring.seats.iter().map(member).collect();
        members.sort_by_key(|member| member.peer);
        let options = ring.membership.options.clone();
        Ring { name: ring.name.to_owned(), bits: ring.circle.bits(), members, options }
    };
    rings::rings(&topology.groups, roster).into_iter().map(resolve).collect()
}

impl Course<'_> {
    /// A step that asks something of a ring; none where the ring could not be read.
    pub(super) fn queries(&self, index: usize, queries: &topology::Queries) -> Option<RingStep> {
        let rings = rings::rings(&self.topology.groups, self.roster);
        let ring = match &queries.ring {
            Some(name) => rings.iter().find(|ring| ring.name == name.value)?,
            None => rings.first()?,
        };
        let keys = match &queries.keys {
            None => Keys::Random,
            Some(topology::Keys::Numbered(count)) => Keys::Numbered(count.value),
            Some(topology::Keys::Given(keys)) => {
                Keys::Given(keys.iter().map(|(key, value)| given(ring, queries.kind, key, value.as_ref())).collect())
            }
        };
        let of_each = match &keys {
            Keys::Random => 1,
            Keys::Given(keys) => keys.len() as u64,
            Keys::Numbered(count) => *count,
        };
        let from = match queries.from.as_slice() {
            [] => honest(ring),
            names => self.named(names).map(PeerId).collect(),
        };
        let seconds = 1.0 / queries.rate as f64;
        let resolved = Queries {
            name: queries.known_as(Some(ring.name))?.to_owned(),
            ring: ring.name.to_owned(),
            count: queries.count.map_or(of_each, |count| count.value),
            interval: Span(std::time::Duration::from_secs_f64(seconds)),
            from,
            keys,
            again: queries.again,
            forwarding: queries.forwarding,
            seed: Random::new(self.topology.seed, &format!("step {index} {}", queries.kind.word())).bits(),
        };
        Some(match queries.kind {
            QueryKind::Lookups => RingStep::Lookups(resolved),
            QueryKind::Put => RingStep::Put(resolved),
            QueryKind::Get => RingStep::Get(resolved),
        })
    }
}

/// Who asks where nobody is named: those that follow the protocol.
fn honest(ring: &RingOf<'_>) -> Vec<PeerId> {
    let honest = ring.seats.iter().filter(|seat| seat.membership.conduct == Conduct::Correct);
    honest.map(|seat| PeerId(seat.peer)).collect()
}

fn given(ring: &RingOf<'_>, kind: QueryKind, key: &Written<String>, value: Option<&Written<String>>) -> Key {
    let (name, point) = key_of(ring.circle, &key.value);
    let owner = value.filter(|_| kind == QueryKind::Lookups).and_then(|owner| owner.value.parse::<Point>().ok());
    Key {
        name,
        point,
        owner: owner.and_then(|point| ring.at(point.0)).map(PeerId),
        value: value.filter(|_| kind == QueryKind::Put).map(|value| value.value.clone()),
    }
}

/// What reads as a number is a point, anything else a name.
fn key_of(circle: Circle, text: &str) -> (Option<String>, Point) {
    match text.parse::<Point>() {
        Ok(point) => (None, point),
        Err(_) => (Some(text.to_owned()), circle.hash(text.as_bytes())),
    }
}

/// A step may take this long: its pace, and what its last question may take; or a ring's recovery.
pub(super) fn step_seconds(step: &RingStep) -> f64 {
    let pace = step.queries().map_or(0.0, |queries| queries.count as f64 * queries.interval.seconds());
    pace + LAST_SECONDS
}

/// Time for the last answer, or for a ring to be right.
const LAST_SECONDS: f64 = 120.0;
