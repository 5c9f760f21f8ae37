//! What a run looks like at one moment, taken from the scenario and the testbed for those who watch.
//!
//! Plain figures; how they are written for Prometheus is the business of `text`. Nothing is asked of peers for this.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use peerbed_proto::{PeerId, Time};

use crate::{
    links::tally::Tally,
    plan::Plan,
    real::Towards,
    scenario::{
        Scenario, View,
        rings::{Course, Ended, FaultKind},
    },
    testbed, theory,
    verdict::{Verdict, Window},
};

/// What is known of a run at one moment, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The plan that is played.
    pub plan: &'a Plan,
    /// How far it is.
    pub scenario: &'a Scenario,
    /// What was seen of the host until now.
    pub windows: &'a [Window],
    /// How late the latest participant of a common begin began, in seconds.
    pub begin_lateness: f64,
    /// What each direction of the links had done when it was last asked.
    pub tallies: &'a BTreeMap<(PeerId, Towards), Tally>,
    /// Bytes of the distributed files, by name.
    pub bytes: &'a BTreeMap<String, u64>,
    /// Peers whose processes run.
    pub up: usize,
}

/// The figures of one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) seconds: f64,
    pub(super) up: usize,
    /// Partitions, stopped processes and links that are down.
    pub(super) disturbances: usize,
    /// Peers that export metrics, and whether they are to answer.
    pub(super) wanted: Vec<(String, bool)>,
    /// Packets that were dropped in all windows and nobody asked to drop, by cause.
    pub(super) dropped: [(&'static str, u64); 3],
    pub(super) distributions: Vec<Distributed>,
    pub(super) verdict: Option<Verdict>,
    pub(super) window: Option<Window>,
    /// By class of links and direction: how many were looked at, and what they did together.
    pub(super) links: BTreeMap<(String, &'static str), (usize, Tally)>,
    pub(super) rings: Vec<RingSeen>,
    /// Answers to questions of rings, by ring, step's word and outcome.
    pub(super) answers: BTreeMap<(String, &'static str, &'static str), u64>,
    /// Every kind of fault of every ring, whether it has befallen it or not. Changes of the network are steps.
    pub(super) recoveries: BTreeMap<(String, &'static str), Recoveries>,
}

/// A distribution at that moment.
#[derive(Clone, Debug)]
pub(super) struct Distributed {
    pub(super) view: View,
    /// The common begin, in seconds of Unix time.
    pub(super) begun: Option<f64>,
    pub(super) bound_seconds: Option<f64>,
}

/// A ring at that moment.
#[derive(Clone, Debug)]
pub(super) struct RingSeen {
    pub(super) name: String,
    pub(super) members: usize,
    pub(super) is_right: bool,
    /// Age of the oldest fault whose own pointers are not right yet, in seconds; 0 without one.
    pub(super) unmended_seconds: f64,
}

/// Faults of one kind that befell a ring.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recoveries {
    pub(super) faults: u64,
    pub(super) recovered: u64,
    /// Sum of the times that recovering took, in seconds.
    pub(super) seconds: f64,
}

impl Look {
    pub(super) fn at(sight: &Sight<'_>) -> Self {
        let mut look = Self {
            seconds: (time_of(testbed::now()) - sight.scenario.started()).as_secs_f64(),
            up: sight.up,
            disturbances: sight.scenario.disturbances(),
            wanted: wanted(sight),
            dropped: dropped(sight.windows),
            verdict: Some(Verdict::of(sight.windows, sight.begin_lateness)),
            window: sight.windows.last().copied(),
            ..Self::default()
        };
        look.distributions = sight
            .scenario
            .view()
            .into_iter()
            .enumerate()
            .map(|(index, view)| distributed(sight, index, view))
            .collect();
        look.add_links(sight);
        let rings = sight.scenario.rings();
        rings.courses().iter().for_each(|course| look.add_ring(course));
        for asking in rings.asked() {
            let ring = rings.courses()[asking.ring()].name();
            for answer in asking.answers() {
                let outcome = outcome(&answer.ended);
                *look.answers.entry((ring.to_owned(), asking.word(), outcome)).or_default() += 1;
            }
        }
        look
    }

    fn add_links(&mut self, sight: &Sight<'_>) {
        for ((peer, towards), tally) in sight.tallies {
            let Some(peer) = sight.plan.peer(*peer) else { continue };
            let (count, sum) = self.links.entry((peer.link.clone(), towards.word())).or_default();
            *count += 1;
            sum.add(tally);
        }
    }

    fn add_ring(&mut self, course: &Course) {
        let (name, members) = (course.name().to_owned(), course.members().len());
        let unmended_seconds =
            course.unmended_since().map_or(0.0, |since| (time_of(testbed::now()) - since).as_secs_f64());
        self.rings.push(RingSeen { name, members, is_right: course.is_right(), unmended_seconds });
        // A counter that begins at 1 has never grown.
        for kind in FaultKind::ALL {
            self.recoveries.entry((course.name().to_owned(), kind.word())).or_default();
        }
        for fault in course.faults() {
            let seen = self.recoveries.entry((course.name().to_owned(), fault.kind.word())).or_default();
            seen.faults += 1;
            if let Some(recovered) = fault.recovered {
                seen.recovered += 1;
                seen.seconds += (recovered - fault.at).as_secs_f64();
            }
        }
    }
}

fn wanted(sight: &Sight<'_>) -> Vec<(String, bool)> {
    let exporting = sight.plan.peers.iter().filter(|peer| peer.exec.is_none());
    exporting.map(|peer| (peer.name.clone(), sight.scenario.answers(peer.id))).collect()
}

fn dropped(windows: &[Window]) -> [(&'static str, u64); 3] {
    let sum = |of: fn(&Window) -> u64| windows.iter().map(of).sum();
    [
        ("receive-buffer", sum(|window| window.links.receive_dropped)),
        ("engine", sum(|window| window.links.engine_dropped)),
        ("backlog", sum(|window| window.softnet_dropped)),
    ]
}

fn distributed(sight: &Sight<'_>, index: usize, view: View) -> Distributed {
    let spec = sight.scenario.distributions()[index].spec();
    let bytes = sight.bytes.get(&spec.file).copied().unwrap_or(0);
    let bound = theory::bound(sight.plan, spec, &sight.scenario.required(index), bytes);
    let since = view.begun.map(|begun| (time_of(testbed::now()) - begun).as_secs_f64());
    Distributed { begun: since.map(|since| unix_now() - since), bound_seconds: bound.map(|bound| bound.seconds), view }
}

fn outcome(ended: &Ended) -> &'static str {
    match ended {
        Ended::Owner { .. } | Ended::Written { .. } | Ended::Read { .. } => "answered",
        Ended::Failed(_) => "failed",
        Ended::Abandoned => "abandoned",
    }
}

/// An instant of [`testbed::now`].
fn time_of(seconds: f64) -> Time {
    Time::ZERO + std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// This instant in seconds of Unix time, the clock of scrapers.
pub(crate) fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
