//! Resolving a topology: every default is decided here and none later.

use std::{collections::BTreeSet, net::Ipv4Addr};

use peerbed_proto::{PeerId, Random};

use super::{
    Action, Content, Direction, Distribute, File, Latency, Link, Loss, Peer, Plan, Queue, Tracker, When,
    course::Course, programs, seats,
};
use crate::{
    diagnose::Problems,
    theory,
    topology::{self, Fields, Group, PACKET, PIECE_DEFAULT, Roster, Topology, Written},
    units::{Rate, Share, Span},
};

/// Version of the plan's format.
const SCHEMA: u32 = 1;
/// UDP port of every peer's endpoint: that of HTTP/3's alternative, easy to recognise in captures.
const PORT: u16 = 4433;
/// Queue of a direction whose topology gives none: what a home router or modem typically holds.
const QUEUE: Span = Span(std::time::Duration::from_millis(100));
/// ... but never fewer full packets, so that slow links can still hold one flight of a transport's initial window and a
/// few acknowledgements. With 100 ms this matters below 3.6 Mbit/s. Baseline measurements were made with the same rule.
const QUEUE_PACKETS_MIN: u32 = 30;
/// Time between two announcements of one peer, where none is given. Real trackers ask for half an hour; runs are short.
const TRACKER_INTERVAL: u64 = 30;
/// Most peers in one answer of a tracker, where none is given: BitTorrent's customary 50.
const TRACKER_ANSWER: u32 = 50;
/// A run may take this long beside its distributions and waits: set-up of participants, reading back, hand-shakes.
const TIMEOUT_BASE: u64 = 60;
/// Who comes back last in a churn may take this long to be in.
const TIMEOUT_JOIN: f64 = 60.0;
/// A distribution may take so many times its bound. Slow clients were seen to take four times.
const TIMEOUT_FACTOR: f64 = 10.0;
/// A distribution without a bound that planning can know (a real file, links without limit) may take this long.
const TIMEOUT_UNKNOWN: f64 = 600.0;

/// Resolves a topology into a plan: pure, and the same for the same topology byte for byte.
///
/// A topology with a sweep is resolved as it stands, without the swept values; `topology::sweep::expand` plans its
/// runs.
///
/// # Errors
///
/// What shows only when steps are played through in order: a step for more peers than are up or down by then.
pub fn resolve(topology: &Topology) -> Result<Plan, Problems> {
    let roster = Roster::new(&topology.groups);
    let mut plan = Plan {
        schema: SCHEMA,
        name: topology.name.clone(),
        seed: topology.seed,
        engine: topology.engine,
        timeout: Span::MAX,
        peers: peers(topology, &roster),
        links: links(topology),
        latencies: latencies(topology),
        files: topology.files.iter().map(|file| resolve_file(topology, file)).collect(),
        rings: seats::rings(topology, &roster),
        steps: Vec::new(),
        expectations: expectations(topology),
    };
    let mut course = Course::begin(topology, &roster);
    plan.steps = topology.scenario.iter().enumerate().flat_map(|(index, step)| course.step(index, step)).collect();
    if !course.problems.is_empty() {
        return Err(topology.problems(course.problems));
    }
    plan.timeout = topology.timeout.map_or_else(|| default_timeout(&plan), |timeout| timeout.value);
    Ok(plan)
}

fn peers(topology: &Topology, roster: &Roster<'_>) -> Vec<Peer> {
    let is_trackerless = topology.distributions().any(|(_, distribute)| distribute.is_trackerless());
    roster
        .peers()
        .map(|(id, group, name)| Peer {
            id: PeerId(id),
            seed: Random::new(topology.seed, &format!("peer {name}")).bits(),
            name,
            group: group.name.value.clone(),
            link: group.link.as_ref().map_or_else(String::new, |link| link.value.clone()),
            region: group.region.as_ref().map(|region| region.value.clone()),
            address: address(id),
            port: PORT,
            present: group.present,
            swarm: group.swarm,
            tracker: tracker(group, is_trackerless),
            congestion: group.congestion.unwrap_or_default(),
            exec: group.exec.as_ref().map(|program| programs::resolve(program, roster, group, id)),
        })
        .collect()
}

/// The tracker that the peers of a group serve: as it is written, or because any member of a ring may have to stand in for one.
fn tracker(group: &Group, is_trackerless: bool) -> Option<Tracker> {
    let stands_in = is_trackerless && group.ring.is_some();
    let (interval, answer) = match &group.tracker {
        Some(tracker) => (tracker.interval, tracker.answer),
        None if stands_in => (None, None),
        None => return None,
    };
    Some(Tracker {
        interval: interval.unwrap_or(Span::from_secs(TRACKER_INTERVAL)),
        answer_max: answer.unwrap_or(TRACKER_ANSWER),
    })
}

/// The address of the peer with this number: that host of the benchmarking network.
pub(super) fn address(id: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + id)
}

/// The links that groups use, in the topology's order.
fn links(topology: &Topology) -> Vec<Link> {
    let used: BTreeSet<&str> =
        topology.groups.iter().filter_map(|group| group.link.as_ref()).map(|link| link.value.as_str()).collect();
    topology
        .links
        .iter()
        .filter(|link| used.contains(link.name.value.as_str()))
        .map(|link| Link { name: link.name.value.clone(), up: direction(link.up()), down: direction(link.down()) })
        .collect()
}

fn direction(fields: Fields) -> Direction {
    fn value<T: Default>(written: Option<Written<T>>) -> T {
        written.map(|written| written.value).unwrap_or_default()
    }
    let (rate, queue) = (value(fields.rate), value(fields.queue));
    Direction {
        rate,
        overhead: value(fields.overhead),
        delay: value(fields.delay),
        jitter: value(fields.jitter),
        loss: fields.loss.map_or(Loss { average: Share(0), burst: 1 }, |loss| loss.value),
        reorder: value(fields.reorder),
        duplicate: value(fields.duplicate),
        corrupt: value(fields.corrupt),
        queue: queue.length.unwrap_or_else(|| default_queue(rate)),
        discipline: queue.discipline,
        trace: fields.trace.map(|trace| trace.value),
    }
}

/// 100 ms at link rate, and at least 30 full packets.
fn default_queue(rate: Option<Rate>) -> Queue {
    let least = u64::from(QUEUE_PACKETS_MIN) * PACKET;
    match rate {
        Some(rate) if rate.time_for(least) > QUEUE.0 => Queue::Packets(QUEUE_PACKETS_MIN),
        Some(_) | None => Queue::Time(QUEUE),
    }
}

/// Every ordered pair of used regions that has a latency.
fn latencies(topology: &Topology) -> Vec<Latency> {
    let used: BTreeSet<&str> =
        topology.groups.iter().filter_map(|group| group.region.as_ref()).map(|region| region.value.as_str()).collect();
    let regions: Vec<&String> = topology.regions.names.iter().filter(|name| used.contains(name.as_str())).collect();
    let pairs = regions.iter().flat_map(|from| regions.iter().map(move |to| (*from, *to)));
    pairs
        .filter_map(|(from, to)| {
            let delay = topology.regions.latency(from, to)?;
            Some(Latency { from: from.clone(), to: to.clone(), delay })
        })
        .filter(|latency| !latency.delay.0.is_zero())
        .collect()
}

fn resolve_file(topology: &Topology, file: &topology::File) -> File {
    let name = &file.name.value;
    File {
        name: name.clone(),
        content: match &file.content {
            Some(topology::Content::Path(path)) => Content::Path(path.value.clone()),
            Some(topology::Content::Size(size)) => Content::Generated {
                size: size.value,
                seed: Random::new(topology.seed, &format!("file {name}")).bits(),
            },
            None => unreachable!("a topology without problems has read every file"),
        },
        piece: file.piece.map_or(PIECE_DEFAULT, |piece| piece.value),
    }
}

/// The expectations that look at a distribution of this run. In a sweep over ways to spread a file, a run has only some
/// of the distributions that the expectations of all runs together are about.
fn expectations(topology: &Topology) -> Vec<String> {
    let looks_at_something = |condition: &crate::expect::Condition| match condition.selector() {
        Some(selector) => topology.distributions().any(|(_, it)| it.is_selected(selector)),
        None => true,
    };
    let conditions = topology.expectations.iter().map(|condition| &condition.value);
    conditions.filter(|condition| looks_at_something(condition)).map(|condition| condition.text.clone()).collect()
}

/// 60 s, every wait and churn, the latest `at`, and ten times the bound of every distribution.
fn default_timeout(plan: &Plan) -> Span {
    let mut seconds = TIMEOUT_BASE as f64;
    let mut latest = 0.0_f64;
    for step in &plan.steps {
        if let When::At(at) = &step.when {
            latest = latest.max(at.seconds());
        }
        seconds += match &step.action {
            Action::Wait(span) => span.seconds(),
            Action::Arrive(arrivals) => arrivals.length().seconds(),
            Action::Churn(churn) => churn.length.seconds() + TIMEOUT_JOIN,
            Action::Distribute(distribute) => distribution_seconds(plan, distribute),
            Action::Await(_) => TIMEOUT_UNKNOWN,
            Action::Ring(step) => seats::step_seconds(step),
            Action::Start(_)
            | Action::Crash(_)
            | Action::Leave(_)
            | Action::Join(_)
            | Action::Link(_)
            | Action::Partition(_)
            | Action::Heal { .. }
            | Action::Pause(_)
            | Action::Resume(_) => 0.0,
        };
    }
    // Whole seconds read better, and the sum is at most a few steps of Span::MAX.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and cut at Span::MAX")]
    let whole = (seconds + latest).ceil() as u64;
    Span::from_secs(whole)
}

fn distribution_seconds(plan: &Plan, distribute: &Distribute) -> f64 {
    let file = plan.files.iter().find(|file| file.name == distribute.file);
    let Some(Content::Generated { size, .. }) = file.map(|file| &file.content) else { return TIMEOUT_UNKNOWN };
    let everyone = distribute.to.iter().copied().collect();
    let bound = theory::bound(plan, distribute, &everyone, size.0);
    bound.map_or(TIMEOUT_UNKNOWN, |bound| bound.seconds * TIMEOUT_FACTOR)
}
