//! Whether rings hold together: everybody on a point of their own, shortcuts and questions to members.

use std::collections::BTreeMap;

use peerbed_proto::ring::Point;

use super::{Reader, Roster, Topology, Written, peers};
use crate::{
    diagnose::{Place, Problem, suggestion},
    expect::{Condition, RingSubject},
    scenario::rings::FaultKind,
    topology::{
        Action, Keys, Queries, QueryKind,
        reader::unknown_name,
        rings::{self, RingOf},
    },
};

pub(super) fn check(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>) {
    if topology.unread.groups {
        return;
    }
    check_memberships(reader, topology);
    let rings = rings::rings(&topology.groups, roster);
    for ring in &rings {
        check_points(reader, roster, ring);
        check_shortcuts(reader, ring);
    }
    for step in &topology.scenario {
        match &step.action {
            Some(Action::Query(queries)) => check_queries(reader, topology, roster, &rings, queries),
            Some(Action::Settle(name)) => {
                ring_named(reader, &rings, Some(name), name.place);
            }
            _ => {}
        }
    }
    if topology.sweep.is_none() {
        for condition in &topology.expectations {
            check_expectation(reader, topology, &rings, condition);
        }
    }
}

/// Groups of another group's ring describe nothing, and there is such a ring.
fn check_memberships(reader: &mut Reader, topology: &Topology) {
    let described = || {
        let groups = topology.groups.iter();
        groups.filter(|group| group.ring.as_ref().is_some_and(|ring| ring.of.is_none()))
    };
    for group in &topology.groups {
        let Some(membership) = &group.ring else { continue };
        if let (Some(ids), Some(count)) = (&membership.ids, group.count)
            && ids.len() as u64 != count.value
        {
            let place = ids.first().map_or(membership.place, |id| id.place);
            let message = format!("{} ids for {} peers", ids.len(), count.value);
            reader.problem(Problem::new(place, message).hint("give one id for each peer, in their order"));
        }
        let Some(of) = &membership.of else { continue };
        if !described().any(|other| other.name.value == of.value) {
            reader.problem(unknown_name(of, "ring", described().map(|other| other.name.value.as_str())));
        }
        if let Some((key, place)) = membership.described {
            let message = format!("`{key}` belongs to the ring of `{}`", of.value);
            reader.problem(Problem::new(place, message).hint("say it there"));
        }
    }
}

fn check_points(reader: &mut Reader, roster: &Roster<'_>, ring: &RingOf<'_>) {
    let mut taken: BTreeMap<Point, u32> = BTreeMap::new();
    for seat in &ring.seats {
        if !ring.circle.contains(seat.point) {
            let message = format!("{} is not below 2^{}", seat.point, ring.circle.bits());
            reader.problem(Problem::new(seat.place, message).hint("raise `bits`, or choose another id"));
        } else if let Some(other) = taken.insert(seat.point, seat.peer) {
            let message = format!(
                "`{}` and `{}` sit on the same point {}",
                roster.name(other),
                roster.name(seat.peer),
                seat.point
            );
            let hint = if seat.membership.ids.is_some() { "choose another id" } else { "raise `bits`, or give `ids`" };
            reader.problem(Problem::new(seat.place, message).hint(hint));
        }
    }
}

fn check_shortcuts(reader: &mut Reader, ring: &RingOf<'_>) {
    for (from, to) in &ring.membership.shortcuts {
        for id in to.iter().chain([from]).filter(|id| ring.at(id.value).is_none()) {
            let problem = Problem::new(id.place, format!("nobody sits on {} in this ring", id.value));
            reader.problem(problem.hint("shortcuts lead from the ids of peers to the ids of peers"));
        }
        if let Some(own) = to.iter().find(|to| to.value == from.value) {
            reader.problem(Problem::new(own.place, "a shortcut to itself").hint("leave it out"));
        }
    }
}

/// The ring of a step: the named one, or the only one there is.
fn ring_named<'a, 'r>(
    reader: &mut Reader,
    rings: &'r [RingOf<'a>],
    name: Option<&Written<String>>,
    place: Place,
) -> Option<&'r RingOf<'a>> {
    match (name, rings) {
        (Some(name), _) => {
            let found = rings.iter().find(|ring| ring.name == name.value);
            if found.is_none() {
                reader.problem(unknown_name(name, "ring", rings.iter().map(|ring| ring.name)));
            }
            found
        }
        (None, [only]) => Some(only),
        (None, []) => {
            let problem = Problem::new(place, "there is no ring");
            reader.problem(problem.hint("give a group `ring: {}`"));
            None
        }
        (None, [first, ..]) => {
            let problem = Problem::new(place, format!("there are {} rings to choose from", rings.len()));
            reader.problem(problem.hint(format!("name one with `ring:`, such as `{}`", first.name)));
            None
        }
    }
}

fn check_queries(
    reader: &mut Reader,
    topology: &Topology,
    roster: &Roster<'_>,
    rings: &[RingOf<'_>],
    queries: &Queries,
) {
    let Some(ring) = ring_named(reader, rings, queries.ring.as_ref(), queries.place) else { return };
    if let Some(from) = peers(reader, topology, roster, &queries.from) {
        let outsider = from.into_iter().flatten().find(|peer| !ring.seats.iter().any(|seat| seat.peer == *peer));
        if let (Some(outsider), Some(first)) = (outsider, queries.from.first()) {
            let message = format!("`{}` is not in the ring `{}`", roster.name(outsider), ring.name);
            reader.problem(Problem::new(first.place, message).hint("only members ask"));
        }
    }
    let Some(Keys::Given(keys)) = &queries.keys else { return };
    for (key, value) in keys {
        if let Ok(point) = key.value.parse::<Point>()
            && !ring.circle.contains(point)
        {
            let message = format!("{point} is not below 2^{}", ring.circle.bits());
            reader.problem(Problem::new(key.place, message).hint("quote nothing: what reads as a number is a point"));
        }
        if key.value.len() > NAME_MAX {
            let problem = Problem::new(key.place, format!("a key of {} bytes is too long", key.value.len()));
            reader.problem(problem.hint(format!("at most {NAME_MAX}")));
        }
        if let (Some(owner), QueryKind::Lookups) = (value, queries.kind) {
            let known = owner.value.parse::<Point>().ok().and_then(|point| ring.at(point.0));
            if known.is_none() {
                let problem = Problem::new(owner.place, format!("nobody sits on `{}` in this ring", owner.value));
                reader.problem(problem.hint("give the id of the peer that has to own the key"));
            }
        }
    }
}

/// Reports a condition on lookups that no step makes, or on a ring that is not there.
fn check_expectation(reader: &mut Reader, topology: &Topology, rings: &[RingOf<'_>], condition: &Written<Condition>) {
    for (what, name) in condition.value.ring_subjects() {
        check_subject(reader, topology, rings, condition.place, what, name);
    }
}

fn check_subject(
    reader: &mut Reader,
    topology: &Topology,
    rings: &[RingOf<'_>],
    place: Place,
    what: RingSubject,
    name: &str,
) {
    let only = if let [only] = rings { Some(only.name) } else { None };
    let known: Vec<&str> = match what {
        RingSubject::Lookups => {
            let queries = topology.scenario.iter().filter_map(|step| match &step.action {
                Some(Action::Query(queries)) => Some(queries),
                _ => None,
            });
            queries.filter_map(|queries| queries.known_as(only)).collect()
        }
        RingSubject::Recoveries | RingSubject::Rings => rings.iter().map(|ring| ring.name).collect(),
    };
    let (of, kind) = name.split_once('.').map_or((name, None), |(of, kind)| (of, Some(kind)));
    if let Some(kind) = kind.filter(|kind| !FaultKind::ALL.iter().any(|known| known.word() == *kind)) {
        let problem = Problem::new(place, format!("`{kind}` is no fault of a ring"));
        let hint = suggestion(kind, FaultKind::ALL.into_iter().map(FaultKind::word));
        reader.problem(Problem { hint, ..problem });
    }
    let name = of;
    if !known.contains(&name) {
        let problem = Problem::new(place, format!("nothing in this file is called `{name}` there"));
        let hint = suggestion(name, known);
        reader.problem(Problem { hint, ..problem });
    }
}

/// Longest key that a ring takes.
const NAME_MAX: usize = 255;
