//! Whether every step can come, and finds the peers it is for in the right state.

use std::{collections::BTreeSet, ops::Range};

use super::{
    Reader, Roster, Topology,
    expectations::{counted, impossible},
    peers,
    steps::is_by_programs,
    unselected,
};
use crate::{
    diagnose::{Place, Problem, suggestion},
    expect::Condition,
    topology::{Action, Distribute, Selection, Timing, Written, roster::Found, scenario::PREVIOUS},
};

pub(super) fn check(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>) {
    check_times(reader, topology);
    check_order(reader, topology, roster);
    check_presence(reader, topology, roster);
}

fn check_times(reader: &mut Reader, topology: &Topology) {
    let Some(timeout) = topology.timeout else { return };
    for step in &topology.scenario {
        if let Timing::At(at) = &step.timing
            && at.value >= timeout.value
        {
            let message = format!("this step never comes: the run is ended after {}", timeout.value);
            reader.problem(Problem::new(at.place, message).hint("raise `timeout`, or let the step come sooner"));
        }
    }
}

/// Steps wait for steps; whoever waits in a circle, or for nothing, never comes.
fn check_order(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>) {
    let steps = &topology.scenario;
    let mut waits: Vec<Vec<usize>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        waits.push(match &step.timing {
            Timing::At(_) => Vec::new(),
            Timing::Next => index.checked_sub(1).into_iter().collect(),
            Timing::After(name) if name.value == PREVIOUS => match index.checked_sub(1) {
                Some(before) => vec![before],
                None => {
                    let problem = Problem::new(name.place, "there is no step before the first one");
                    reader.problem(problem.hint("leave it out; the first step comes at once"));
                    Vec::new()
                }
            },
            Timing::After(name) => after(topology, name).map_or_else(
                |problem| {
                    if let Some(problem) = problem {
                        reader.problem(problem);
                    }
                    Vec::new()
                },
                |step| vec![step],
            ),
            Timing::When(condition) => {
                check_condition(reader, topology, roster, condition);
                let selector = condition.value.selector();
                let selected = |it: &Distribute| selector.is_some_and(|selector| it.is_selected(selector));
                topology.distributions().filter(|(_, it)| selected(it)).map(|(step, _)| step).collect()
            }
        });
    }
    for (index, step) in steps.iter().enumerate().filter(|(index, _)| is_circular(&waits, *index)) {
        let place = match &step.timing {
            Timing::After(name) => name.place,
            Timing::When(condition) => condition.place,
            Timing::Next | Timing::At(_) => continue,
        };
        let message = match waits[index].contains(&index) {
            true => "this step waits for itself",
            false => "this step waits for one that waits for it",
        };
        reader.problem(Problem::new(place, message).hint("steps wait for what comes before them in the scenario"));
    }
}

/// Whether a step waits for itself, directly or by way of others.
fn is_circular(waits: &[Vec<usize>], step: usize) -> bool {
    let mut reached = BTreeSet::new();
    let mut next = waits[step].clone();
    while let Some(other) = next.pop() {
        if reached.insert(other) {
            next.extend(&waits[other]);
        }
    }
    reached.contains(&step)
}

/// The step with the distribution that `after:` names.
fn after(topology: &Topology, name: &Written<String>) -> Result<usize, Option<Problem>> {
    let found: Vec<usize> =
        topology.distributions().filter(|(_, it)| it.is_called(&name.value)).map(|(step, _)| step).collect();
    match found.as_slice() {
        [step] => Ok(*step),
        [] if !super::knows_distributions(topology) => Err(None),
        [] => {
            let names: BTreeSet<&str> = topology.distributions().filter_map(|(_, it)| it.name()).collect();
            let problem = Problem::new(name.place, format!("there is no distribution `{}`", name.value));
            let hint = suggestion(&name.value, names.into_iter().chain([PREVIOUS]));
            Err(Some(Problem { hint, ..problem }))
        }
        _ => {
            let message = format!("{} distributions are called `{}`", found.len(), name.value);
            let hint = "write NAME.swarm or NAME.client-server, or give one a `name:` of its own";
            Err(Some(Problem::new(name.place, message).hint(hint)))
        }
    }
}

fn check_condition(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, condition: &Written<Condition>) {
    let distributions: Vec<&Distribute> = topology.distributions().map(|(_, it)| it).collect();
    if let Some(problem) = unselected(condition, &distributions) {
        if super::knows_distributions(topology) {
            reader.problem(problem);
        }
        return;
    }
    if let Some(distribute) = impossible(topology, roster, &condition.value) {
        let problem = Problem::new(condition.place, "this never holds, so the step never comes");
        reader.problem(problem.hint(format!("the file goes to {}", counted(roster, &distribute.to))));
    }
}

/// Peers that some step names, by what it does.
#[derive(Default)]
struct Named {
    brought_up: Vec<Range<u32>>,
    taken_down: Vec<Range<u32>>,
    paused: Vec<Range<u32>>,
}

/// Reports steps for peers that are never in the state that the step needs, whatever the order of the steps.
fn check_presence(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>) {
    let mut named = Named::default();
    // Names of nobody were reported before.
    let known = |names: &[Written<String>]| peers(&mut Reader::default(), topology, roster, names);
    for step in &topology.scenario {
        match &step.action {
            Some(Action::Start(selection) | Action::Join(selection)) => {
                named.brought_up.extend(known(&selection.peers).into_iter().flatten());
            }
            Some(Action::Crash(selection) | Action::Leave(selection)) => {
                named.taken_down.extend(known(&selection.peers).into_iter().flatten());
            }
            Some(Action::Churn(churn)) => {
                let moved: Vec<_> = known(&churn.peers).into_iter().flatten().collect();
                named.brought_up.extend(moved.clone());
                named.taken_down.extend(moved);
            }
            Some(Action::Pause(selection)) => {
                named.paused.extend(known(&selection.peers).into_iter().flatten());
            }
            Some(Action::Distribute(distribute)) if is_by_programs(roster, distribute) => {
                named.brought_up.extend(known(&distribute.to).into_iter().flatten());
            }
            Some(
                Action::Distribute(_)
                | Action::Wait(_)
                | Action::Await(_)
                | Action::Query(_)
                | Action::Settle(_)
                | Action::Link(_)
                | Action::Flap(_)
                | Action::Partition(_)
                | Action::Heal(_)
                | Action::Resume(_),
            )
            | None => {}
        }
    }
    if !super::knows_distributions(topology) {
        return;
    }
    for step in &topology.scenario {
        match &step.action {
            Some(Action::Start(selection)) => check_down(reader, roster, &named, selection),
            Some(Action::Crash(selection) | Action::Leave(selection) | Action::Pause(selection)) => {
                check_up(reader, roster, &named, &selection.peers);
            }
            Some(Action::Resume(selection)) => check_paused(reader, roster, &named, selection),
            Some(Action::Await(names)) => check_up(reader, roster, &named, names),
            Some(Action::Distribute(distribute)) => {
                check_up(reader, roster, &named, &distribute.from);
                check_addressees(reader, roster, &named, distribute);
            }
            Some(
                Action::Join(_)
                | Action::Churn(_)
                | Action::Wait(_)
                | Action::Query(_)
                | Action::Settle(_)
                | Action::Link(_)
                | Action::Flap(_)
                | Action::Partition(_)
                | Action::Heal(_),
            )
            | None => {}
        }
    }
}

fn check_down(reader: &mut Reader, roster: &Roster<'_>, named: &Named, selection: &Selection) {
    for (name, is_present, range) in states(roster, &selection.peers) {
        if is_present && !meets(&named.taken_down, &range) {
            let problem = Problem::new(name.place, format!("`{}` is up from the beginning", name.value));
            reader.problem(problem.hint("give the group `present: false`, or let it crash or leave first"));
        }
    }
}

fn check_paused(reader: &mut Reader, roster: &Roster<'_>, named: &Named, selection: &Selection) {
    for (name, _, range) in states(roster, &selection.peers) {
        if !meets(&named.paused, &range) {
            let problem = Problem::new(name.place, format!("`{}` is never paused", name.value));
            reader.problem(problem.hint("add a `pause` step, or leave this one out"));
        }
    }
}

fn check_up(reader: &mut Reader, roster: &Roster<'_>, named: &Named, names: &[Written<String>]) {
    for (name, is_present, range) in states(roster, names) {
        if !is_present && !meets(&named.brought_up, &range) {
            let problem = Problem::new(name.place, format!("`{}` is never up", name.value));
            reader.problem(problem.hint("its group has `present: false`; add a `start` or `join` step"));
        }
    }
}

fn check_addressees(reader: &mut Reader, roster: &Roster<'_>, named: &Named, distribute: &Distribute) {
    let mut states = states(roster, &distribute.to).peekable();
    let Some(place) = states.peek().map(|(name, ..)| name.place) else { return };
    if states.all(|(_, is_present, range)| !is_present && !meets(&named.brought_up, &range)) {
        report_nobody(reader, place);
    }
}

fn report_nobody(reader: &mut Reader, place: Place) {
    let problem = Problem::new(place, "this is distributed to nobody: none of these peers is ever up");
    reader.problem(problem.hint("add a `start` or `join` step, or leave out `present: false`"));
}

/// Names of known peers with whether they are up from the beginning.
fn states<'a>(
    roster: &'a Roster<'_>,
    names: &'a [Written<String>],
) -> impl Iterator<Item = (&'a Written<String>, bool, Range<u32>)> {
    names.iter().filter_map(|name| match roster.find(&name.value) {
        Found::Peers(range) => Some((name, roster.group_of(range.start)?.present, range)),
        Found::Nobody | Found::Unclear => None,
    })
}

fn meets(ranges: &[Range<u32>], range: &Range<u32>) -> bool {
    ranges.iter().any(|other| super::first_common(other, range).is_some())
}
