//! What the sections of a topology say of each other: names that nothing has, peers without addresses, roles that do
//! not fit.
//!
//! Form is judged by the readers before. A section that could not be read is not held against the others.

use std::{collections::BTreeSet, ops::Range};

use super::{
    Action, Distribute, Group, Roster, Step, Topology, Written, conditions,
    groups::PEERS_MAX,
    links, programs,
    reader::{Reader, unknown_name},
    roster::Found,
};
use crate::{
    diagnose::{Problem, suggestion},
    expect::Condition,
};

mod course;
mod expectations;
mod faults;
mod rings;
mod steps;

/// Reports everything that does not fit together.
pub(super) fn check(reader: &mut Reader, topology: &Topology) {
    for link in &topology.links {
        links::check(reader, link);
    }
    let roster = Roster::new(&topology.groups);
    for group in &topology.groups {
        check_group(reader, topology, group);
        check_program(reader, topology, &roster, group);
    }
    check_addresses(reader, &topology.groups);
    check_collisions(reader, topology);
    steps::check(reader, topology, &roster);
    faults::check(reader, topology, &roster);
    course::check(reader, topology, &roster);
    rings::check(reader, topology, &roster);
    groups_of_expectations(reader, topology);
    expectations::check(reader, topology, &roster);
    if topology.sweep.is_none() && knows_distributions(topology) {
        let distributions: Vec<_> = topology.distributions().map(|(_, distribute)| distribute).collect();
        expectations(reader, topology, &distributions);
    }
}

fn check_group(reader: &mut Reader, topology: &Topology, group: &Group) {
    let links = topology.links.iter().map(|link| link.name.value.as_str());
    if let Some(link) = group.link.as_ref().filter(|link| !links.clone().any(|known| known == link.value))
        && !topology.unread.links
    {
        reader.problem(unknown_name(link, "link", links));
    }
    let regions = topology.regions.names.iter().map(String::as_str);
    if let Some(region) = group.region.as_ref().filter(|region| !regions.clone().any(|known| known == region.value)) {
        reader.problem(unknown_name(region, "region", regions));
    }
}

/// A program of its own leaves no room for Peerbed's protocols.
fn check_program(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, group: &Group) {
    let Some(program) = &group.exec else { return };
    let parts =
        [("swarm", group.swarm.is_some()), ("tracker", group.tracker.is_some()), ("ring", group.ring.is_some())];
    for (key, _) in parts.into_iter().filter(|(_, is_given)| *is_given) {
        let message = format!("group `{}` runs a program of its own and cannot have `{key}`", group.name.value);
        reader.problem(Problem::new(program.place, message).hint(format!("leave `exec` or `{key}` out")));
    }
    if !topology.unread.groups && !topology.unread.files {
        let files = topology.files.iter().map(|file| file.name.value.as_str());
        programs::check(reader, program, roster, files);
    }
}

fn check_addresses(reader: &mut Reader, groups: &[Group]) {
    let mut total = 0_u64;
    for count in groups.iter().filter_map(|group| group.count) {
        let before = total;
        total = total.saturating_add(count.value);
        if before <= PEERS_MAX && total > PEERS_MAX {
            let message = format!("{total} peers are more than the {PEERS_MAX} addresses of 198.18.0.0/15");
            reader.problem(Problem::new(count.place, message).hint("make some group smaller"));
        }
    }
}

/// A group named like another one's peer would make names ambiguous.
fn check_collisions(reader: &mut Reader, topology: &Topology) {
    for group in &topology.groups {
        let name = &group.name;
        let Some((prefix, number)) = name.value.rsplit_once('-') else { continue };
        let others = topology.groups.iter().find(|other| other.name.value == prefix);
        let Some(count) = others.and_then(|other| other.count) else { continue };
        if count.value > 1 && number.parse().is_ok_and(|number: u64| (1..=count.value).contains(&number)) {
            let message = format!("group `{}` is named like a peer of group `{prefix}`", name.value);
            reader.problem(Problem::new(name.place, message).hint("rename one of the groups"));
        }
    }
}

/// Whether every step could be read, so that a name which none of them has is wrong.
pub(super) fn knows_distributions(topology: &Topology) -> bool {
    let is_known = |step: &Step| match &step.action {
        Some(Action::Distribute(distribute)) => distribute.name().is_some() && distribute.via.is_some(),
        action => action.is_some(),
    };
    !topology.unread.scenario && topology.scenario.iter().all(is_known)
}

/// Reports expectations that look at none of the distributions.
pub(super) fn expectations(reader: &mut Reader, topology: &Topology, distributions: &[&Distribute]) {
    for condition in &topology.expectations {
        if let Some(problem) = unselected(condition, distributions) {
            reader.problem(problem);
        }
    }
}

/// Reports expectations on what the peers of a group measure that is not there.
fn groups_of_expectations(reader: &mut Reader, topology: &Topology) {
    let known: Vec<&str> = topology.groups.iter().map(|group| group.name.value.as_str()).collect();
    for condition in topology.expectations.iter().filter(|_| !topology.unread.groups) {
        let Some(group) = condition.value.group().filter(|group| !known.contains(group)) else { continue };
        let problem = Problem::new(condition.place, format!("there is no group `{group}`"));
        let hint = suggestion(group, known.iter().copied());
        reader.problem(Problem { hint, ..problem });
    }
}

/// The problem of a condition that looks at none of the distributions.
fn unselected(condition: &Written<Condition>, distributions: &[&Distribute]) -> Option<Problem> {
    let selector = condition.value.selector()?;
    if distributions.iter().any(|distribute| distribute.is_selected(selector)) {
        return None;
    }
    let place = conditions::part(condition.place, &condition.value.text, &selector.name_range);
    let names: BTreeSet<&str> = distributions.iter().filter_map(|distribute| distribute.name()).collect();
    if names.contains(selector.name.as_str()) {
        let problem = Problem::new(place, format!("`{}` is not distributed in this way", selector.name));
        return Some(problem.hint("leave the way out, or add a step that distributes it so"));
    }
    let problem = Problem::new(place, format!("there is no distribution `{}`", selector.name));
    let hint = suggestion(&selector.name, names);
    Some(Problem { hint, ..problem })
}

/// The peers that names stand for, as ranges that do not overlap; names of nobody are reported.
///
/// Nothing where one of the names is of nobody or unclear.
fn peers(
    reader: &mut Reader,
    topology: &Topology,
    roster: &Roster<'_>,
    names: &[Written<String>],
) -> Option<Vec<Range<u32>>> {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    let mut is_known = !topology.unread.groups;
    for name in names {
        match roster.find(&name.value) {
            Found::Peers(range) => match ranges.iter().find_map(|known| first_common(known, &range)) {
                Some(peer) => {
                    let message = format!("`{}` is named twice here", roster.name(peer));
                    reader.problem(Problem::new(name.place, message).hint("a group stands for all of its peers"));
                }
                None => ranges.push(range),
            },
            Found::Nobody if !topology.unread.groups => {
                let problem = unknown_name(name, "group or peer", roster.names());
                let hint = roster.hint(&name.value).or(problem.hint.clone());
                reader.problem(Problem { hint, ..problem });
                is_known = false;
            }
            Found::Nobody | Found::Unclear => is_known = false,
        }
    }
    is_known.then_some(ranges)
}

/// The first peer in both ranges.
fn first_common(a: &Range<u32>, b: &Range<u32>) -> Option<u32> {
    let first = a.start.max(b.start);
    (first < a.end.min(b.end)).then_some(first)
}
