//! Resolving a topology: every default is decided here and none later.

use std::{collections::BTreeSet, net::Ipv4Addr, ops::Range};

use peerbed_proto::{PeerId, Random};

use super::{
    Action, Content, Direction, Distribute, File, Latency, Link, Loss, Peer, Plan, Queue, Step, Tracker, Via, When,
};
use crate::{
    diagnose::{Problem, Problems},
    theory,
    topology::{self, Fields, PACKET, PIECE_DEFAULT, Roster, Selection, Timing, Topology, Written},
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
        steps: Vec::new(),
        expectations: expectations(topology),
    };
    let mut course = Course::begin(topology, &roster);
    plan.steps = topology.scenario.iter().enumerate().filter_map(|(index, step)| course.step(index, step)).collect();
    if !course.problems.is_empty() {
        return Err(topology.problems(course.problems));
    }
    plan.timeout = topology.timeout.map_or_else(|| default_timeout(&plan), |timeout| timeout.value);
    Ok(plan)
}

fn peers(topology: &Topology, roster: &Roster<'_>) -> Vec<Peer> {
    let network = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    roster
        .peers()
        .map(|(id, group, name)| Peer {
            id: PeerId(id),
            seed: Random::new(topology.seed, &format!("peer {name}")).bits(),
            name,
            group: group.name.value.clone(),
            link: group.link.as_ref().map_or_else(String::new, |link| link.value.clone()),
            region: group.region.as_ref().map(|region| region.value.clone()),
            address: Ipv4Addr::from(network + id),
            port: PORT,
            present: group.present,
            swarm: group.swarm,
            tracker: group.tracker.as_ref().map(|tracker| Tracker {
                interval: tracker.interval.unwrap_or(Span::from_secs(TRACKER_INTERVAL)),
                answer_max: tracker.answer.unwrap_or(TRACKER_ANSWER),
            }),
        })
        .collect()
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
    let rate = value(fields.rate);
    Direction {
        rate,
        delay: value(fields.delay),
        jitter: value(fields.jitter),
        loss: fields.loss.map_or(Loss { average: Share(0), burst: 1 }, |loss| loss.value),
        reorder: value(fields.reorder),
        duplicate: value(fields.duplicate),
        queue: fields.queue.map_or_else(|| default_queue(rate), |queue| queue.value),
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
        Some(selector) => topology.distributions().any(|(_, it)| selector.selects(it.name(), it.via.value)),
        None => true,
    };
    let conditions = topology.expectations.iter().map(|condition| &condition.value);
    conditions.filter(|condition| looks_at_something(condition)).map(|condition| condition.text.clone()).collect()
}

/// 60 s, every wait, the latest `at`, and ten times the bound of every distribution.
fn default_timeout(plan: &Plan) -> Span {
    let mut seconds = TIMEOUT_BASE as f64;
    let mut latest = 0.0_f64;
    for step in &plan.steps {
        if let When::At(at) = &step.when {
            latest = latest.max(at.seconds());
        }
        seconds += match &step.action {
            Action::Wait(span) => span.seconds(),
            Action::Distribute(distribute) => distribution_seconds(plan, distribute),
            Action::Start(_) | Action::Crash(_) | Action::Leave(_) | Action::Join(_) => 0.0,
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

/// The scenario played through in the order of its steps: who is up, and what was distributed.
struct Course<'a> {
    topology: &'a Topology,
    roster: &'a Roster<'a>,
    down: BTreeSet<u32>,
    distributions: Vec<(String, Via, usize)>,
    problems: Vec<Problem>,
}

impl<'a> Course<'a> {
    fn begin(topology: &'a Topology, roster: &'a Roster<'a>) -> Self {
        let absent = roster.groups().filter(|(group, _)| !group.present).flat_map(|(_, peers)| peers);
        let distributions =
            topology.distributions().map(|(step, it)| (it.name().to_owned(), it.via.value, step)).collect();
        Self { topology, roster, down: absent.collect(), distributions, problems: Vec::new() }
    }

    fn step(&mut self, index: usize, step: &topology::Step) -> Option<Step> {
        let when = match &step.timing {
            Timing::At(at) => When::At(at.value),
            Timing::After(name) => When::AfterStep(self.ended(index, &name.value)),
            Timing::When(condition) => When::Condition(condition.value.text.clone()),
            Timing::Next if index == 0 => When::At(Span::default()),
            Timing::Next => When::AfterStep(index - 1),
        };
        let action = match step.action.as_ref()? {
            topology::Action::Distribute(distribute) => Action::Distribute(self.distribute(index, distribute)),
            topology::Action::Start(selection) => Action::Start(self.bring_up(index, selection, "start")),
            topology::Action::Join(selection) => Action::Join(self.bring_up(index, selection, "join")),
            topology::Action::Crash(selection) => Action::Crash(self.take_down(index, selection, "crash")),
            topology::Action::Leave(selection) => Action::Leave(self.take_down(index, selection, "leave")),
            topology::Action::Wait(span) => Action::Wait(span.value),
        };
        Some(Step { when, action })
    }

    /// The step that `after:` names; the topology's check has found it.
    fn ended(&self, index: usize, name: &str) -> usize {
        let selected = self.distributions.iter().find(|(known, via, _)| topology::is_called(name, known, *via));
        selected.map_or(index.saturating_sub(1), |(_, _, step)| *step)
    }

    fn distribute(&self, index: usize, distribute: &topology::Distribute) -> Distribute {
        let number = self.distributions.iter().position(|(_, _, step)| *step == index).unwrap_or_default();
        let is_swarm = distribute.via.value == Via::Swarm;
        Distribute {
            id: format!("d{number}"),
            name: distribute.name().to_owned(),
            file: distribute.file.value.clone(),
            from: self.named(&distribute.from).map(PeerId).collect(),
            to: self.named(&distribute.to).map(PeerId).collect(),
            via: distribute.via.value,
            tracker: if is_swarm { self.tracker(distribute).map(PeerId) } else { None },
            options: is_swarm.then(|| distribute.options.clone()),
        }
    }

    fn tracker(&self, distribute: &topology::Distribute) -> Option<u32> {
        match &distribute.tracker {
            Some(name) => self.roster.range(&name.value).next(),
            None => self.roster.groups().find(|(group, _)| group.tracker.is_some()).map(|(_, peers)| peers.start),
        }
    }

    /// Peers that names stand for, in the order of the plan.
    fn named(&self, names: &[Written<String>]) -> impl Iterator<Item = u32> {
        let mut ranges: Vec<Range<u32>> = names.iter().map(|name| self.roster.range(&name.value)).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.into_iter().flatten()
    }

    fn bring_up(&mut self, index: usize, selection: &Selection, verb: &str) -> Vec<PeerId> {
        let down: BTreeSet<u32> = self.down.clone();
        let chosen = self.choose(index, selection, verb, "down", |peer| down.contains(&peer));
        self.down.retain(|peer| !chosen.contains(&PeerId(*peer)));
        chosen
    }

    fn take_down(&mut self, index: usize, selection: &Selection, verb: &str) -> Vec<PeerId> {
        let down: BTreeSet<u32> = self.down.clone();
        let chosen = self.choose(index, selection, verb, "up", |peer| !down.contains(&peer));
        self.down.extend(chosen.iter().map(|peer| peer.0));
        chosen
    }

    /// All peers of a selection, or so many of those in the right state, by the seed.
    fn choose(
        &mut self,
        index: usize,
        selection: &Selection,
        verb: &str,
        state: &str,
        is_fit: impl Fn(u32) -> bool,
    ) -> Vec<PeerId> {
        let named: Vec<u32> = self.named(&selection.peers).collect();
        let Some(count) = selection.count else { return named.into_iter().map(PeerId).collect() };
        let mut fit: Vec<u32> = named.into_iter().filter(|peer| is_fit(*peer)).collect();
        if (fit.len() as u64) < count.value {
            let message = format!("cannot {verb} {} peers: {} of them are {state} by then", count.value, fit.len());
            let problem = Problem::new(count.place, message);
            self.problems.push(problem.hint("earlier steps of the scenario are counted"));
            return Vec::new();
        }
        Random::new(self.topology.seed, &format!("step {index} {verb}")).shuffle(&mut fit);
        fit.truncate(usize::try_from(count.value).unwrap_or(usize::MAX));
        fit.sort_unstable();
        fit.into_iter().map(PeerId).collect()
    }
}
