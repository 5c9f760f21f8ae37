//! What happens when: plays the plan's steps as a state machine without I/O.
//!
//! Told the time and what the peers reported, it answers with [`Order`]s that somebody else carries out. It owns the
//! rules for when a step begins and ends; one distribution's own course lives in `distribution`, talking to peers and
//! measuring the host live in `run` and `measure`.
//!
//! Call order: [`Scenario::begin`] once; then any `handle_*` as things happen and [`Scenario::due`] after each of them
//! and whenever [`Scenario::next_deadline`] has passed; carry the orders out; stop when [`Scenario::status`] says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use peerbed_proto::{id::PeerId, time::Time};

use self::programs::Programs;
use crate::{
    expect::{Condition, DistributionFacts},
    plan::{Action, Plan, Step, When},
};

mod changes;
mod churn;
mod distribution;
mod explain;
mod order;
mod programs;
mod recovery;
pub mod rings;
mod stall;
mod steps;
#[cfg(test)]
mod tests;
mod view;

use changes::InForce;

pub use changes::Change;
pub use distribution::{Distribution, Phase};
pub use order::Order;
pub use recovery::Fault;
pub use rings::Rings;
pub use stall::Stall;
pub use steps::{describe, is_fault, is_turn, word};
pub use view::View;
pub(crate) use view::via;

/// The scenario of one run.
#[derive(Debug)]
pub struct Scenario {
    names: BTreeMap<PeerId, String>,
    steps: Vec<StepState>,
    processes: BTreeMap<PeerId, Process>,
    programs: Programs,
    /// In the order in which the plan has them, whether begun or not.
    distributions: Vec<Distribution>,
    rings: Rings,
    in_force: InForce,
    /// What has been ordered and not yet been taken by [`Scenario::due`].
    orders: Vec<Order>,
    timeout: Duration,
    started: Time,
    failure: Option<String>,
}

/// Where a scenario stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is more to come.
    Playing,
    /// Every step has ended.
    Finished,
    /// It cannot go on; the sentence says why.
    Failed(String),
}

/// What is known of one peer's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    Down,
    Starting,
    Up,
    /// Killed by the scenario; the end has not been seen yet.
    Dying,
    Leaving,
}

#[derive(Debug)]
struct StepState {
    step: Step,
    /// Read once from the step's text; none where the step waits for something else.
    condition: Option<Condition>,
    stage: Stage,
    /// What must come before a running step can end, besides time and the end of a distribution.
    awaited: BTreeSet<Awaited>,
    /// How many have come, where peers come one after another.
    arrived: usize,
    /// How far it has come, where it is churn.
    churn: churn::Cursor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running { since: Time },
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Awaited {
    Ready(PeerId),
    Exited(PeerId),
    Completed(PeerId),
    Prepared { distribution: usize, peer: PeerId },
    Joined(PeerId),
    Changed { step: usize },
}

impl Scenario {
    /// The scenario of `plan`; `pieces` tells how many pieces each file (by name) has.
    #[must_use]
    pub fn new(plan: &Plan, pieces: &BTreeMap<String, u32>) -> Self {
        let states = plan.peers.iter().map(|p| (p.id, if p.present { Process::Up } else { Process::Down }));
        let distributions = plan.steps.iter().enumerate().filter_map(|(index, step)| {
            let spec = step.action.distribute()?;
            Some(Distribution::new(spec.clone(), index, pieces.get(&spec.file).copied().unwrap_or(0)))
        });
        let steps = plan.steps.iter().map(StepState::new);
        Self {
            names: plan.peers.iter().map(|p| (p.id, p.name.clone())).collect(),
            steps: steps.collect(),
            processes: states.collect(),
            programs: Programs::of(plan),
            distributions: distributions.collect(),
            rings: Rings::new(plan),
            in_force: InForce::default(),
            orders: Vec::new(),
            timeout: plan.timeout.0,
            started: Time::ZERO,
            failure: None,
        }
    }

    /// Starts the scenario's clock; all peers that the plan calls present are up.
    pub fn begin(&mut self, now: Time) {
        self.started = now;
        self.rings.found(now);
    }

    /// What shall be done now; empty when nothing.
    pub fn due(&mut self, now: Time) -> Vec<Order> {
        if self.failure.is_none() && now - self.started >= self.timeout && self.status() == Status::Playing {
            self.failure = Some(self.unfinished());
        }
        while self.failure.is_none() && self.advance(now) {}
        self.orders.extend(self.rings.due(now));
        std::mem::take(&mut self.orders)
    }

    /// A process that was ordered to start answers.
    pub fn handle_ready(&mut self, peer: PeerId) {
        if self.processes.get(&peer) != Some(&Process::Starting) {
            return;
        }
        self.processes.insert(peer, Process::Up);
        self.arrived(Awaited::Ready(peer));
        for step in 0..self.steps.len() {
            let state = &self.steps[step];
            if state.step.action.joins(peer) && matches!(state.stage, Stage::Running { .. }) {
                self.enter(step, peer);
                self.enter_ring(step, peer);
            }
        }
    }

    /// A peer is ready for the distribution with this index.
    pub fn handle_prepared(&mut self, now: Time, distribution: usize, peer: PeerId) {
        self.arrived(Awaited::Prepared { distribution, peer });
        let Some(state) = self.distributions.get_mut(distribution) else { return };
        if state.is_late_entrant(now, peer) {
            self.orders.push(Order::Begin { distribution, peers: vec![peer], at: now });
        }
    }

    /// A peer has got this piece at `at` by its own monotonic clock, and has so many now.
    pub fn handle_piece(&mut self, at: Time, distribution: usize, peer: PeerId, piece: u32, have: u32) {
        if let Some(state) = self.distributions.get_mut(distribution) {
            state.handle_piece(at, peer, piece, have);
        }
    }

    /// A peer has found so many pieces on its disk.
    pub fn handle_found(&mut self, at: Time, distribution: usize, peer: PeerId, have: u32) {
        if let Some(state) = self.distributions.get_mut(distribution) {
            state.handle_found(at, peer, have);
        }
    }

    /// A peer has received so many bytes of payload by `at`.
    pub fn handle_received(&mut self, at: Time, distribution: usize, peer: PeerId, bytes: u64) {
        if let Some(state) = self.distributions.get_mut(distribution) {
            state.handle_received(at, peer, bytes);
        }
    }

    /// A peer had the whole file verified on disk at `at`, by its own monotonic clock.
    pub fn handle_completed(&mut self, at: Time, distribution: usize, peer: PeerId) {
        if let Some(state) = self.distributions.get_mut(distribution) {
            state.handle_completed(at, peer);
        }
    }

    /// A distribution has been ended at every participant and its files have been read back: who had the right one.
    pub fn handle_closed(&mut self, distribution: usize, verified: &BTreeSet<PeerId>) {
        if let Some(state) = self.distributions.get_mut(distribution) {
            state.handle_closed(verified);
        }
    }

    /// A process has ended because the scenario wanted it, or as a program may. (Any other end fails the run elsewhere.)
    pub fn handle_exited(&mut self, peer: PeerId) {
        self.on_program_exit(peer);
        self.processes.insert(peer, Process::Down);
        self.rings.handle_exited(peer);
        self.arrived(Awaited::Exited(peer));
        // A short program may have ended before anybody noticed that it could be used.
        self.arrived(Awaited::Ready(peer));
    }

    /// The next instant at which [`Self::due`] has something to do without a report, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Time, &'static str)> {
        let steps = self.steps.iter().filter_map(|state| match (state.stage, &state.step.when, &state.step.action) {
            (Stage::Waiting, When::At(span), _) => Some((self.started + span.0, "a step is due")),
            (Stage::Running { since }, _, Action::Wait(span)) => Some((since + span.0, "a wait is over")),
            (Stage::Running { since }, _, Action::Arrive(arrivals)) => {
                Some((since + arrivals.peers.get(state.arrived)?.after.0, "a peer arrives"))
            }
            _ => None,
        });
        let churns =
            self.steps.iter().enumerate().filter_map(|(index, state)| match (state.stage, &state.step.action) {
                (Stage::Running { since }, Action::Churn(churn)) => {
                    Some((self.churn_deadline(index, since, churn), "a peer comes or goes"))
                }
                _ => None,
            });
        let stalls = (0..self.distributions.len()).filter_map(|index| self.stall_deadline(index));
        let stalls = stalls.map(|at| (at, "a distribution may have stalled"));
        let rings = self.rings.next_deadline();
        let late = (self.started + self.timeout, "the scenario takes too long");
        steps.chain(churns).chain(stalls).chain(rings).chain([late]).min()
    }

    /// Where the scenario stands.
    #[must_use]
    pub fn status(&self) -> Status {
        if let Some(why) = &self.failure {
            Status::Failed(why.clone())
        } else if self.steps.iter().all(|s| s.stage == Stage::Ended) {
            Status::Finished
        } else {
            Status::Playing
        }
    }

    /// When the scenario began.
    #[must_use]
    pub fn started(&self) -> Time {
        self.started
    }

    /// All distributions of the plan in its order, whether begun or not.
    #[must_use]
    pub fn distributions(&self) -> &[Distribution] {
        &self.distributions
    }

    /// The index of the distribution that peers know as `id`.
    #[must_use]
    pub fn distribution(&self, id: &str) -> Option<usize> {
        self.distributions.iter().position(|d| d.spec().id == id)
    }

    /// Whether some distribution is between its begin and its last completion, or a ring is asked or recovers.
    #[must_use]
    pub fn is_measuring(&self) -> bool {
        self.distributions.iter().any(|d| d.phase() == Phase::Running) || self.rings.is_measuring()
    }

    /// Whether the scenario wants this peer's process to be there, or on its way up.
    #[must_use]
    pub fn is_wanted(&self, peer: PeerId) -> bool {
        matches!(self.processes.get(&peer), Some(Process::Up | Process::Starting))
    }

    /// Whether this peer is up as far as the scenario goes, and has not been stopped: whoever asks it gets an answer.
    #[must_use]
    pub fn answers(&self, peer: PeerId) -> bool {
        self.processes.get(&peer) == Some(&Process::Up) && !self.in_force.is_paused(peer)
    }

    /// How many disturbances that last are in force: partitions, stopped processes, links that are down.
    #[must_use]
    pub fn disturbances(&self) -> usize {
        self.in_force.count()
    }

    /// How far everything is, for progress displays and conditions.
    #[must_use]
    pub fn view(&self) -> Vec<View> {
        (0..self.distributions.len()).map(|d| View::of(&self.distributions[d], &self.required(d))).collect()
    }

    /// Addressed peers whose completion the distribution with this index waits or waited for.
    ///
    /// Those are the peers that take part, those that completed before they were taken away, and those that a step
    /// still to come brings back. Peers that misbehave on purpose are not among them. A peer that the scenario crashes or lets leave for good is not waited for.
    #[must_use]
    pub fn required(&self, distribution: usize) -> BTreeSet<PeerId> {
        let state = &self.distributions[distribution];
        let is_required =
            |peer: &PeerId| !state.is_hostile(*peer) && (state.counts(*peer) || self.is_awaited(distribution, *peer));
        state.spec().to.iter().copied().filter(is_required).collect()
    }

    /// What conditions may know of the distribution with this index; none before its begin.
    #[must_use]
    pub fn facts(&self, distribution: usize) -> Option<DistributionFacts> {
        let state = &self.distributions[distribution];
        state.begun()?;
        let required = self.required(distribution);
        let view = View::of(state, &required);
        Some(DistributionFacts {
            name: view.name.clone(),
            via: state.spec().via,
            seconds: state.seconds(),
            bound_seconds: None,
            riders_ratio: None,
            second_copy: None,
            completions: required.iter().filter_map(|peer| state.completion_seconds(*peer)).collect(),
            completed: view.peers_done,
            required: view.peers,
            progress: view.progress(),
            spread: state.spread(),
        })
    }

    fn is_up(&self, peer: PeerId) -> bool {
        self.processes.get(&peer) == Some(&Process::Up)
    }

    fn name(&self, peer: PeerId) -> &str {
        self.names.get(&peer).map_or("?", String::as_str)
    }
}

impl StepState {
    fn new(step: &Step) -> Self {
        let condition = match &step.when {
            When::Condition(text) => Condition::parse(text).ok(),
            When::At(_) | When::AfterStep(_) => None,
        };
        Self {
            step: step.clone(),
            condition,
            stage: Stage::Waiting,
            awaited: BTreeSet::new(),
            arrived: 0,
            churn: churn::Cursor::default(),
        }
    }

    /// Whether `peer` is among those who come one after another, and has not come yet.
    fn is_still_to_come(&self, peer: PeerId) -> bool {
        matches!(&self.step.action, Action::Arrive(arrivals)
            if arrivals.peers[self.arrived..].iter().any(|arrival| arrival.peer == peer))
    }
}

impl Awaited {
    /// Whose doing it is; nobody's where the network changes.
    fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Ready(peer)
            | Self::Exited(peer)
            | Self::Completed(peer)
            | Self::Joined(peer)
            | Self::Prepared { peer, .. } => Some(*peer),
            Self::Changed { .. } => None,
        }
    }
}
