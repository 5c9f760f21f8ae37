//! Whether the peers that steps name are there and can do what is asked of them.

use std::{collections::BTreeSet, ops::Range};

use super::{Reader, Roster, Topology, Written, first_common, peers};
use crate::{
    diagnose::{Place, Problem},
    plan::{SwarmRole, Via},
    topology::{Action, Churn, Distribute, Program, Selection, reader::unknown_name, rings, roster::Found},
};

pub(super) fn check(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>) {
    for step in &topology.scenario {
        match &step.action {
            Some(Action::Distribute(distribute)) => check_distribute(reader, topology, roster, distribute),
            Some(Action::Start(selection)) => check_selection(reader, topology, roster, selection, "start"),
            Some(Action::Crash(selection)) => check_selection(reader, topology, roster, selection, "crash"),
            Some(Action::Leave(selection)) => check_selection(reader, topology, roster, selection, "leave"),
            Some(Action::Join(selection)) => check_selection(reader, topology, roster, selection, "join"),
            Some(Action::Churn(churn)) => check_churn(reader, topology, roster, churn),
            Some(Action::Pause(selection)) => check_selection(reader, topology, roster, selection, "pause"),
            Some(Action::Resume(selection)) => check_selection(reader, topology, roster, selection, "resume"),
            // Links, partitions, programs and rings have their own checks.
            Some(
                Action::Wait(_)
                | Action::Await(_)
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

fn check_distribute(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, distribute: &Distribute) {
    let files = topology.files.iter().map(|file| file.name.value.as_str());
    if let Some(file) = distribute.file.as_ref().filter(|file| !files.clone().any(|known| known == file.value))
        && !topology.unread.files
    {
        reader.problem(unknown_name(file, "file", files));
    }
    let from = peers(reader, topology, roster, &distribute.from);
    let to = peers(reader, topology, roster, &distribute.to);
    if let (Some(from), Some(to)) = (&from, &to) {
        check_overlap(reader, roster, distribute, from, to);
    }
    if is_by_programs(roster, distribute) {
        check_programs(reader, roster, distribute);
        return;
    }
    match distribute.via {
        Some(Written { value: Via::Swarm, place }) => {
            check_roles(reader, roster, distribute);
            match distribute.discovery.filter(|_| distribute.is_trackerless()) {
                Some(discovery) => check_ring(reader, topology, roster, distribute, discovery.place),
                None => check_tracker(reader, topology, roster, distribute, place),
            }
        }
        Some(Written { value: Via::ClientServer, .. }) => check_server(reader, distribute, from.as_deref()),
        None => {}
    }
}

fn check_overlap(
    reader: &mut Reader,
    roster: &Roster<'_>,
    distribute: &Distribute,
    from: &[Range<u32>],
    to: &[Range<u32>],
) {
    let common = from.iter().find_map(|from| to.iter().find_map(|to| first_common(from, to)));
    if let (Some(peer), Some(place)) = (common, first_place(&distribute.to)) {
        let message = format!("`{}` is both in `from` and in `to`", roster.name(peer));
        reader.problem(Problem::new(place, message).hint("who has the file already need not get it"));
    }
}

fn first_place(names: &[Written<String>]) -> Option<Place> {
    names.first().map(|name| name.place)
}

/// The program of the peers that a name stands for.
fn program_of<'a>(roster: &'a Roster<'_>, name: &Written<String>) -> Option<&'a Program> {
    let Found::Peers(range) = roster.find(&name.value) else { return None };
    roster.group_of(range.start)?.exec.as_ref()
}

/// Whether programs of somebody else's spread the file.
pub(super) fn is_by_programs(roster: &Roster<'_>, distribute: &Distribute) -> bool {
    distribute.from.iter().chain(&distribute.to).any(|name| program_of(roster, name).is_some())
}

/// Programs of somebody else's do not speak Peerbed's protocols, and have to say when they are done.
fn check_programs(reader: &mut Reader, roster: &Roster<'_>, distribute: &Distribute) {
    for name in distribute.from.iter().chain(&distribute.to) {
        let is_known = matches!(roster.find(&name.value), Found::Peers(_));
        if is_known && program_of(roster, name).is_none() {
            let message = format!("`{}` runs no program of its own, and others here do", name.value);
            reader.problem(Problem::new(name.place, message).hint("a file goes from programs to programs (`exec`)"));
        }
    }
    for name in &distribute.to {
        if program_of(roster, name).is_some_and(|program| program.complete.is_none()) {
            let problem = Problem::new(name.place, format!("the programs of `{}` never complete", name.value));
            reader.problem(problem.hint("give their `exec` a `complete`"));
        }
    }
    let ours = [
        ("tracker", distribute.tracker.as_ref().map(|tracker| tracker.place)),
        ("discovery", distribute.discovery.map(|discovery| discovery.place)),
    ];
    for (key, place) in ours.into_iter().filter_map(|(key, place)| Some((key, place?))) {
        let problem = Problem::new(place, format!("programs of their own have no use for `{key}`"));
        reader.problem(problem.hint("leave it out; give them addresses by their arguments"));
    }
}

/// In a swarm, files come from seeds and go to leechers.
fn check_roles(reader: &mut Reader, roster: &Roster<'_>, distribute: &Distribute) {
    let sides = [(&distribute.from, SwarmRole::Seed, "seed"), (&distribute.to, SwarmRole::Leecher, "leecher")];
    for (names, role, word) in sides {
        for name in names {
            let Found::Peers(range) = roster.find(&name.value) else { continue };
            let Some(group) = roster.group_of(range.start).filter(|group| group.swarm != Some(role)) else { continue };
            let is = match group.swarm {
                Some(SwarmRole::Seed) => "is a seed",
                Some(SwarmRole::Leecher) => "is a leecher",
                None => "takes no part in swarms",
            };
            let message = format!("`{}` {is}, but has to be a {word} here", name.value);
            let hint = match role {
                SwarmRole::Seed => "a swarm's file comes from seeds: give the group `swarm: seed`",
                SwarmRole::Leecher => "a swarm's file goes to leechers: give the group `swarm: leecher`",
            };
            reader.problem(Problem::new(name.place, message).hint(hint));
        }
    }
}

/// A swarm has one tracker: the named peer, or the only one there is.
fn check_tracker(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, distribute: &Distribute, place: Place) {
    if topology.unread.groups {
        return;
    }
    let trackers: Vec<Range<u32>> =
        roster.groups().filter(|(group, _)| group.tracker.is_some()).map(|(_, peers)| peers).collect();
    let names: Vec<String> = trackers.iter().map(|range| roster.name(range.start)).collect();
    let Some(name) = &distribute.tracker else {
        let count: usize = trackers.iter().map(ExactSizeIterator::len).sum();
        if trackers.is_empty() {
            let problem = Problem::new(place, "a swarm needs a tracker, and no group is one");
            reader.problem(problem.hint("give a group `tracker: {}`"));
        } else if count > 1 {
            let problem = Problem::new(place, format!("there are {count} trackers to choose from"));
            reader.problem(problem.hint(format!("name one with `tracker:`, such as `{}`", names[0])));
        }
        return;
    };
    match roster.find(&name.value) {
        Found::Peers(range) if range.len() == 1 => {
            if !trackers.iter().any(|tracker| tracker.contains(&range.start)) {
                let problem = Problem::new(name.place, format!("`{}` is not a tracker", name.value));
                let hint = match names.first() {
                    Some(known) => format!("`{known}` is one; or give its group `tracker: {{}}`"),
                    None => "give its group `tracker: {}`".to_owned(),
                };
                reader.problem(problem.hint(hint));
            }
        }
        Found::Peers(range) => {
            let message = format!("`{}` is {} peers, and a swarm has one tracker", name.value, range.len());
            reader.problem(Problem::new(name.place, message).hint(format!("such as `{}`", roster.name(range.start))));
        }
        Found::Nobody => reader.problem(unknown_name(name, "peer", names.iter().map(String::as_str))),
        Found::Unclear => {}
    }
}

/// A swarm without a tracker is in one ring.
fn check_ring(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, distribute: &Distribute, place: Place) {
    if topology.unread.groups {
        return;
    }
    if let Some(tracker) = &distribute.tracker {
        let problem = Problem::new(tracker.place, "a swarm that finds its peers by a ring has no tracker");
        reader.problem(problem.hint("leave out `tracker` or `discovery: ring`"));
    }
    let members: Vec<BTreeSet<u32>> = rings::rings(&topology.groups, roster)
        .iter()
        .map(|ring| ring.seats.iter().map(|seat| seat.peer).collect())
        .collect();
    let names = || distribute.from.iter().chain(&distribute.to);
    let known = |name: &Written<String>| matches!(roster.find(&name.value), Found::Peers(_));
    let is_in = |ring: &BTreeSet<u32>, name: &Written<String>| roster.range(&name.value).all(|it| ring.contains(&it));
    let outside = names().filter(|name| known(name)).find(|name| !members.iter().any(|ring| is_in(ring, name)));
    if let Some(name) = outside {
        let problem = Problem::new(name.place, format!("`{}` is in no ring", name.value));
        reader
            .problem(problem.hint("give its group `ring: {}`, or `ring: { of: GROUP }` for the ring of another group"));
    } else if !members.iter().any(|ring| names().filter(|name| known(name)).all(|name| is_in(ring, name))) {
        let problem = Problem::new(place, "those who take part are in several rings");
        reader.problem(problem.hint("say `ring: { of: GROUP }` in all groups but one"));
    }
}

fn check_server(reader: &mut Reader, distribute: &Distribute, from: Option<&[Range<u32>]>) {
    let Some(from) = from else { return };
    let servers: usize = from.iter().map(ExactSizeIterator::len).sum();
    if let Some(place) = first_place(&distribute.from).filter(|_| servers > 1) {
        let problem = Problem::new(place, format!("{servers} peers are one server too many: client-server has one"));
        reader.problem(problem.hint("name one peer"));
    }
}

/// Everybody named is there, and who is protected is one of those that come and go.
fn check_churn(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>, churn: &Churn) {
    let regions = topology.regions.names.iter().map(String::as_str);
    if let Some(region) = churn.region.as_ref().filter(|region| !regions.clone().any(|known| known == region.value)) {
        reader.problem(unknown_name(region, "region", regions));
    }
    let Some(peers) = peers(reader, topology, roster, &churn.peers) else { return };
    if super::peers(reader, topology, roster, &churn.protect).is_none() {
        return;
    }
    for name in &churn.protect {
        let Found::Peers(range) = roster.find(&name.value) else { continue };
        if !peers.iter().any(|peers| first_common(peers, &range).is_some()) {
            let problem = Problem::new(name.place, format!("`{}` does not come and go here", name.value));
            reader.problem(problem.hint("protected are some of those under `peers`"));
        }
    }
}

pub(super) fn check_selection(
    reader: &mut Reader,
    topology: &Topology,
    roster: &Roster<'_>,
    selection: &Selection,
    verb: &str,
) {
    let Some(peers) = peers(reader, topology, roster, &selection.peers) else { return };
    let there: usize = peers.iter().map(ExactSizeIterator::len).sum();
    if let Some(count) = selection.count.filter(|count| count.value > there as u64) {
        let problem = Problem::new(count.place, format!("cannot {verb} {} of {there} peers", count.value));
        reader.problem(problem.hint(format!("at most {there}")));
    }
}
