//! Whether steps that disturb the network name peers, sides and partitions that there are, and figures that are possible.

use std::{collections::BTreeSet, ops::Range};

use super::{Reader, Roster, Topology, Written, first_common, peers, steps::check_selection};
use crate::{
    diagnose::{Problem, suggestion},
    topology::{Action, LinkChange, Partition, reader::unknown_name, resolve_both, roster::Found},
};

pub(super) fn check(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>) {
    for step in &topology.scenario {
        match &step.action {
            Some(Action::Link(change)) => {
                check_selection(reader, topology, roster, &change.selection, "change the links of");
                check_change(reader, topology, roster, change);
            }
            Some(Action::Flap(flap)) => check_selection(reader, topology, roster, &flap.selection, "flap the links of"),
            Some(Action::Partition(partition)) => check_sides(reader, topology, roster, partition),
            Some(Action::Await(names)) => check_programs(reader, topology, roster, names),
            Some(
                Action::Distribute(_)
                | Action::Start(_)
                | Action::Crash(_)
                | Action::Leave(_)
                | Action::Join(_)
                | Action::Churn(_)
                | Action::Wait(_)
                | Action::Query(_)
                | Action::Settle(_)
                | Action::Heal(_)
                | Action::Pause(_)
                | Action::Resume(_),
            )
            | None => {}
        }
    }
    check_names(reader, topology);
}

/// A figure may be possible for one class of link and not for another.
fn check_change(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, change: &LinkChange) {
    let ranges: Vec<Range<u32>> = change.selection.peers.iter().map(|name| roster.range(&name.value)).collect();
    for link in &topology.links {
        let is_used = roster.groups().any(|(group, peers)| {
            group.link.as_ref().is_some_and(|name| name.value == link.name.value)
                && ranges.iter().any(|range| first_common(range, &peers).is_some())
        });
        if is_used {
            let (_, problems) = resolve_both(link, change);
            reader.problems.extend(problems);
        }
    }
}

fn check_sides(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, partition: &Partition) {
    let mut taken: Vec<Range<u32>> = Vec::new();
    let mut is_known = !topology.unread.groups;
    for name in partition.sides.iter().flatten() {
        for range in side(reader, topology, roster, name).unwrap_or_else(|| {
            is_known = false;
            Vec::new()
        }) {
            if let Some(peer) = taken.iter().find_map(|other| first_common(other, &range)) {
                let message = format!("`{}` is on two sides, or named twice", roster.name(peer));
                reader.problem(Problem::new(name.place, message).hint("a peer is on one side of a partition"));
            } else {
                taken.push(range);
            }
        }
    }
    let everybody: usize = roster.groups().map(|(_, peers)| peers.len()).sum();
    let named: usize = taken.iter().map(ExactSizeIterator::len).sum();
    if is_known && partition.sides.len() == 1 && named == everybody {
        let problem = Problem::new(partition.place, "nobody is left on the other side");
        reader.problem(problem.hint("give two sides, or leave somebody out of the one"));
    }
}

/// The peers that a group, peer or region stands for; nothing where that is nobody, which is reported, or unclear.
fn side(
    reader: &mut Reader,
    topology: &Topology,
    roster: &Roster<'_>,
    name: &Written<String>,
) -> Option<Vec<Range<u32>>> {
    let is_region = topology.regions.names.contains(&name.value);
    let within: Vec<Range<u32>> = roster.region(&name.value).collect();
    match roster.find(&name.value) {
        Found::Peers(range) if is_region && within != [range.clone()] => {
            let message = format!("`{}` is a region and the name of other peers too", name.value);
            reader.problem(Problem::new(name.place, message).hint("rename the region or the group"));
            None
        }
        Found::Peers(range) => Some(vec![range]),
        Found::Nobody if is_region && within.is_empty() => {
            let problem = Problem::new(name.place, format!("nobody is in region `{}`", name.value));
            reader.problem(problem.hint("give a group this `region`"));
            None
        }
        Found::Nobody if is_region => Some(within),
        Found::Nobody if !topology.unread.groups => {
            let known = roster.names().chain(topology.regions.names.iter().map(String::as_str));
            let problem = unknown_name(name, "group, peer or region", known);
            let hint = roster.hint(&name.value).or(problem.hint.clone());
            reader.problem(Problem { hint, ..problem });
            None
        }
        Found::Nobody | Found::Unclear => None,
    }
}

/// Every partition has a name of its own, and what is healed is one of them.
fn check_names(reader: &mut Reader, topology: &Topology) {
    let mut names = BTreeSet::new();
    let partitions = || {
        let steps = topology.scenario.iter().map(|step| &step.action);
        steps.filter_map(|action| if let Some(Action::Partition(partition)) = action { Some(partition) } else { None })
    };
    for (number, partition) in partitions().enumerate() {
        let name = partition.name.as_ref().map_or_else(|| format!("p{number}"), |name| name.value.clone());
        if !names.insert(name.clone()) {
            let place = partition.name.as_ref().map_or(partition.place, |name| name.place);
            let problem = Problem::new(place, format!("there are two partitions called `{name}`"));
            reader.problem(problem.hint("those without a name are called p0, p1, … in order"));
        }
    }
    // A step that could not be read may be the partition that is meant.
    if !super::knows_distributions(topology) {
        return;
    }
    for step in &topology.scenario {
        let Some(Action::Heal(heal)) = &step.action else { continue };
        match &heal.partition {
            Some(name) if !names.contains(&name.value) => {
                let problem = Problem::new(name.place, format!("there is no partition `{}`", name.value));
                let hint = suggestion(&name.value, names.iter().map(String::as_str));
                reader.problem(Problem { hint, ..problem });
            }
            None if names.is_empty() => {
                let problem = Problem::new(heal.place, "there is no partition to heal");
                reader.problem(problem.hint("add a `partition` step, or leave this one out"));
            }
            Some(_) | None => {}
        }
    }
}

/// Whoever waits for programs names groups that have some, and some that end.
fn check_programs(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, names: &[Written<String>]) {
    // Names of nobody are reported there.
    let _ = peers(reader, topology, roster, names);
    for name in names {
        let group = roster.group_of(roster.range(&name.value).start);
        let problem = match group.map(|group| group.exec.as_ref()) {
            Some(None) => {
                let problem = Problem::new(name.place, format!("`{}` runs no program of its own", name.value));
                problem.hint("a group with `exec` does")
            }
            Some(Some(program)) if program.complete.is_none() => {
                let problem = Problem::new(name.place, format!("the programs of `{}` never complete", name.value));
                problem.hint("give their `exec` a `complete`")
            }
            Some(Some(_)) | None => continue,
        };
        reader.problem(problem);
    }
}
