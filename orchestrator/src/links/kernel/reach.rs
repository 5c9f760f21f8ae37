//! What the links of a plan may come to need of the kernel in the course of a run: by their traces and the scenario's
//! steps, beside what their classes ask from the start.
//!
//! A chain is made with everything it will need, so that a change is a change of settings: to hang a discipline in later
//! would lose what waits at that moment.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_proto::id::PeerId;

use super::{needs_codel, netem_needs};
use crate::plan::{Action, Changes, Direction, Discipline, Link, NewRate, Plan};

/// Which disciplines a direction must have from the start, whether or not they do anything then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Delay, jitter, loss and their like.
    pub netem: bool,
    /// A rate.
    pub bucket: bool,
    /// CoDel at some time; it is hung in when its time comes.
    pub codel: bool,
}

/// The reach of both directions, up and down, of every class of links.
#[must_use]
pub fn reaches(plan: &Plan) -> BTreeMap<&str, [Reach; 2]> {
    plan.links.iter().map(|link| (link.name.as_str(), reach(plan, link))).collect()
}

/// What steps and traces ask of netem for a class of links beyond its own figures, in the topology's words.
#[must_use]
pub fn later_netem_needs(plan: &Plan, link: &Link) -> Vec<&'static str> {
    let mut words = Vec::new();
    for direction in [&link.up, &link.down] {
        let points = direction.trace.iter().flat_map(|trace| &trace.points);
        if points.clone().any(|point| point.delay.is_some_and(|delay| !delay.0.is_zero())) {
            words.push("delay");
        }
        if points.clone().any(|point| point.loss.is_some_and(|loss| loss.0 > 0)) {
            words.push("loss");
        }
    }
    words.extend(changes_of(plan, link).flatten().flat_map(changed_needs));
    words
}

fn reach(plan: &Plan, link: &Link) -> [Reach; 2] {
    let mut both = [&link.up, &link.down].map(own);
    for changes in changes_of(plan, link) {
        for (reach, changes) in both.iter_mut().zip(changes) {
            reach.netem |= !changed_needs(changes).is_empty();
            reach.bucket |= matches!(changes.rate, Some(NewRate::Limited(_)));
            reach.codel |= matches!(changes.discipline, Some(Discipline::CoDel { .. }));
        }
    }
    both
}

fn own(direction: &Direction) -> Reach {
    let points = direction.trace.iter().flat_map(|trace| &trace.points);
    let delayed = points.clone().any(|point| point.delay.is_some_and(|delay| !delay.0.is_zero()));
    let lost = points.clone().any(|point| point.loss.is_some_and(|loss| loss.0 > 0));
    Reach {
        netem: !netem_needs(direction).is_empty() || delayed || lost,
        bucket: direction.rate.is_some() || direction.trace.is_some(),
        codel: needs_codel(direction),
    }
}

/// The changes of steps for links of this class, up and down.
fn changes_of<'a>(plan: &'a Plan, link: &'a Link) -> impl Iterator<Item = [&'a Changes; 2]> {
    let steps = plan.steps.iter();
    let steps = steps.filter_map(|step| if let Action::Link(changes) = &step.action { Some(changes) } else { None });
    let own = plan.peers.iter().filter(|peer| peer.link == link.name);
    let members: BTreeSet<PeerId> = own.map(|peer| peer.id).collect();
    steps
        .flatten()
        .filter(move |change| change.peers.iter().any(|peer| members.contains(peer)))
        .map(|change| [&change.up, &change.down])
}

fn changed_needs(changes: &Changes) -> Vec<&'static str> {
    [
        ("delay", changes.delay.is_some_and(|delay| !delay.0.is_zero())),
        ("jitter", changes.jitter.is_some_and(|jitter| !jitter.amount.0.is_zero())),
        ("loss", changes.loss.is_some_and(|loss| loss.average.0 > 0)),
        ("reorder", changes.reorder.is_some_and(|share| share.0 > 0)),
        ("duplicate", changes.duplicate.is_some_and(|share| share.0 > 0)),
        ("corrupt", changes.corrupt.is_some_and(|share| share.0 > 0)),
    ]
    .into_iter()
    .filter_map(|(word, asked)| asked.then_some(word))
    .collect()
}
