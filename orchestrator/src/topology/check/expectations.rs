//! Whether what is expected can come true at all: faults that some step makes, peers that measure, figures that are possible.
//!
//! Names of distributions, groups and rings are checked beside those of steps. What only some runs of a sweep have is not held
//! against the others.

use peerbed_peer::timing::Timing;
use peerbed_proto::swarm::Upload;

use super::{Reader, Roster, Topology, Written, first_common, knows_distributions, steps::is_by_programs};
use crate::{
    diagnose::Problem,
    expect::{
        Condition, Metric, Operator, Selector, Subject, Value,
        over::{Healed, Over, Series},
    },
    plan::Via,
    scenario::rings::FaultKind,
    topology::{Action, Distribute, resolve_options, roster::Found},
};

pub(super) fn check(reader: &mut Reader, topology: &Topology, roster: &Roster<'_>) {
    if topology.sweep.is_some() || topology.unread.groups || !knows_distributions(topology) {
        return;
    }
    for condition in &topology.expectations {
        let why = match &condition.value.subject {
            Subject::Over(Over::Within { fault, healed, .. }) => faultless(topology, fault, healed),
            Subject::Over(Over::Folded { series: Series::Timing(timing, group), .. }) => {
                unmeasured(topology, roster, *timing, group.as_deref())
            }
            Subject::Distribution { selector, metric: Metric::RidersRatio, .. } => {
                without_riders(topology, roster, selector)
            }
            Subject::Distribution { .. } | Subject::Over(_) | Subject::Ring { .. } | Subject::Verdict { .. } => {
                impossible(topology, roster, &condition.value)
                    .map(|it| ("this never holds".to_owned(), format!("the file goes to {}", counted(roster, &it.to))))
            }
        };
        if let Some((message, hint)) = why {
            reader.problem(Problem::new(condition.place, message).hint(hint));
        }
    }
}

/// What is wrong, and a hint.
type Why = (String, String);

/// Why there is nothing to get over.
fn faultless(topology: &Topology, fault: &str, healed: &Healed) -> Option<Why> {
    let actions = || topology.scenario.iter().filter_map(|step| step.action.as_ref());
    let is_step = actions().any(|action| makes(action, fault));
    let is_churn = matches!(fault, "crash" | "leave" | "join") && actions().any(|it| matches!(it, Action::Churn(_)));
    let is_start = fault == "join" && actions().any(|it| matches!(it, Action::Start(_)));
    let has_ring = topology.groups.iter().any(|group| group.ring.is_some());
    let is_of_rings = FaultKind::ALL.into_iter().any(|kind| kind.word() == fault);
    let is_of_distributions = matches!(fault, "crash" | "leave" | "link" | "partition" | "pause");
    match healed {
        Healed::Series(..) if !is_step => {
            let hint = format!("add a step `{fault}`; what churn does is no step, and only `recovered` looks at it");
            Some((format!("no step makes a fault `{fault}`"), hint))
        }
        Healed::Recovered | Healed::Ring(_) if !(is_step || is_churn || is_start) => {
            Some((format!("no step makes a fault `{fault}`"), format!("add a step `{fault}`, or take another fault")))
        }
        Healed::Recovered if !is_of_distributions && !has_ring => {
            let hint = "take crash, leave, link, partition or pause, or give a group `ring: {}`";
            Some((format!("only rings are watched getting over `{fault}`"), hint.to_owned()))
        }
        Healed::Recovered if !is_of_rings && topology.distributions().next().is_none() => {
            let hint = "take crash, leave, join or heal, or add a step `distribute`";
            Some((format!("only distributions are watched getting over `{fault}`"), hint.to_owned()))
        }
        Healed::Recovered | Healed::Ring(_) | Healed::Series(..) => None,
    }
}

/// Whether an action becomes a step of this word; a flap becomes changes of links.
fn makes(action: &Action, fault: &str) -> bool {
    let word = match action {
        Action::Crash(_) => "crash",
        Action::Leave(_) => "leave",
        Action::Join(_) => "join",
        Action::Link(_) | Action::Flap(_) => "link",
        Action::Partition(_) => "partition",
        Action::Heal(_) => "heal",
        Action::Pause(_) => "pause",
        Action::Distribute(_)
        | Action::Start(_)
        | Action::Churn(_)
        | Action::Wait(_)
        | Action::Await(_)
        | Action::Query(_)
        | Action::Settle(_)
        | Action::Resume(_) => return false,
    };
    word == fault
}

/// Why none of the peers, or of the group's, measures this.
fn unmeasured(topology: &Topology, roster: &Roster<'_>, timing: Timing, group: Option<&str>) -> Option<Why> {
    // A group that there is not was reported before.
    let own = match group {
        Some(group) => Some(topology.groups.iter().find(|it| it.name.value == group)?),
        None => None,
    };
    let of = group.map_or_else(|| "no peer".to_owned(), |group| format!("no peer of `{group}`"));
    match timing {
        Timing::RingAnswer => {
            let is_member =
                own.map_or_else(|| topology.groups.iter().any(|it| it.ring.is_some()), |it| it.ring.is_some());
            (!is_member).then(|| (format!("{of} is in a ring"), "give a group `ring: {}`".to_owned()))
        }
        Timing::SwarmLeaf => {
            let peers = group.map(|group| roster.range(group));
            let gets = |it: &Distribute| match &peers {
                None => true,
                Some(peers) => it.to.iter().any(|name| first_common(&roster.range(&name.value), peers).is_some()),
            };
            let swarms =
                topology.distributions().map(|(_, it)| it).filter(|it| is_swarm(it) && !is_by_programs(roster, it));
            let is_leecher = swarms.into_iter().any(gets);
            (!is_leecher).then(|| {
                let hint = "those in `to` of a `distribute` via swarm measure it".to_owned();
                (format!("{of} gets a file by a swarm"), hint)
            })
        }
    }
}

fn is_swarm(distribute: &Distribute) -> bool {
    distribute.via.is_some_and(|via| via.value == Via::Swarm)
}

/// Why there are not both free-riders and contributors.
fn without_riders(topology: &Topology, roster: &Roster<'_>, selector: &Selector) -> Option<Why> {
    let lacking =
        topology.distributions().map(|(_, it)| it).filter(|it| it.is_selected(selector)).find_map(|distribute| {
            let peers = distribute.to.iter().flat_map(|name| roster.range(&name.value));
            let rides = |peer: u32| {
                let options = roster.group_of(peer).map(|group| &group.options);
                is_swarm(distribute)
                    && resolve_options(std::iter::once(&distribute.options).chain(options)).upload == Upload::Never
            };
            let (riders, others): (Vec<u32>, Vec<u32>) = peers.partition(|peer| rides(*peer));
            match (riders.is_empty(), others.is_empty()) {
                (false, false) => None,
                (true, _) => Some("free-riders"),
                (false, true) => Some("contributors"),
            }
        })?;
    let hint = "give some of those who get the file by a swarm the option `upload: never`".to_owned();
    Some((format!("there are no {lacking} to compare"), hint))
}

/// A distribution that is looked at and for which the condition cannot hold.
pub(super) fn impossible<'a>(
    topology: &'a Topology,
    roster: &Roster<'_>,
    condition: &Condition,
) -> Option<&'a Distribute> {
    let Subject::Distribution { selector, metric, operator, value } = &condition.subject else { return None };
    let (Value::Number(wanted) | Value::Share(wanted)) = *value;
    let is_impossible = |distribute: &&Distribute| {
        let most = match (metric, value) {
            (Metric::Progress | Metric::Spread, _) | (Metric::Completed, Value::Share(_)) => Some(1.0),
            (Metric::Completed, Value::Number(_)) => size(roster, &distribute.to).map(|size| size as f64),
            _ => None,
        };
        most.is_some_and(|most| match operator {
            Operator::AtLeast | Operator::Equal => wanted > most,
            Operator::Above => wanted >= most,
            Operator::Below => wanted <= 0.0,
            Operator::AtMost | Operator::Unequal => false,
        })
    };
    topology.distributions().map(|(_, it)| it).filter(|it| it.is_selected(selector)).find(is_impossible)
}

/// How many peers names stand for, in words.
pub(super) fn counted(roster: &Roster<'_>, names: &[Written<String>]) -> String {
    match size(roster, names) {
        Some(1) => "1 peer".to_owned(),
        Some(size) => format!("{size} peers"),
        None => "its peers".to_owned(),
    }
}

/// How many peers names stand for, where all of them are known.
fn size(roster: &Roster<'_>, names: &[Written<String>]) -> Option<usize> {
    let sizes = names.iter().map(|name| match roster.find(&name.value) {
        Found::Peers(range) => Some(range.len()),
        Found::Nobody | Found::Unclear => None,
    });
    sizes.sum()
}
