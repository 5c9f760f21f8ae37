//! Rings while the scenario is played: who is in them, whether they are right, and what is asked of them.
//!
//! Knows every member and all that peers report of their pointers, so it knows each key's true owner and when a ring has
//! recovered from a fault (`course`, `fault`; what is right is in `pointing`). Questions and what came of them are in `asking`,
//! their judgement in `judge`.

use std::{collections::BTreeMap, time::Duration};

use peerbed_peer::ring_control::{RingReport, RingStatus, Start};
use peerbed_proto::{PeerId, Random, Time};

use super::{Awaited, Order, Scenario};
use crate::plan::{Plan, RingStep};

pub use self::{
    asking::{Answer, Asking, Ended},
    course::{Course, Pointers},
    fault::{Fault, FaultKind},
    judge::{Judged, judge, still_wrong},
};

mod asking;
mod course;
mod fault;
mod judge;
mod pointing;
#[cfg(test)]
mod tests;

/// All rings of a run and all questions to them.
#[derive(Debug)]
pub struct Rings {
    rings: Vec<Course>,
    /// By the index of their step.
    asking: BTreeMap<usize, Asking>,
    /// Rings that steps wait for.
    settling: BTreeMap<usize, usize>,
    random: Random,
    now: Time,
}

impl Rings {
    pub(super) fn new(plan: &Plan) -> Self {
        let present = |peer: PeerId| plan.peer(peer).is_some_and(|it| it.present);
        Self {
            rings: plan.rings.iter().map(|ring| Course::new(ring, present)).collect(),
            asking: BTreeMap::new(),
            settling: BTreeMap::new(),
            random: Random::new(plan.seed, "rings"),
            now: Time::ZERO,
        }
    }

    /// The rings in the order of the plan.
    #[must_use]
    pub fn courses(&self) -> &[Course] {
        &self.rings
    }

    /// What was asked, in the order of the steps.
    pub fn asked(&self) -> impl Iterator<Item = &Asking> {
        self.asking.values()
    }

    /// The ring of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Course> {
        self.rings.iter().find(|ring| ring.name() == name)
    }

    /// The founders are members from the beginning.
    pub(super) fn found(&mut self, now: Time) {
        self.now = now;
        self.rings.iter_mut().for_each(|ring| ring.found(now));
    }

    pub(super) fn begin(&mut self, step: usize, ring_step: &RingStep, now: Time) {
        let Some(ring) = self.rings.iter().position(|ring| ring.name() == ring_step.ring()) else { return };
        match ring_step.queries() {
            Some(queries) => {
                let circle = self.rings[ring].circle();
                self.asking.insert(step, Asking::new(step, ring, circle, ring_step.word(), queries.clone(), now));
            }
            None => {
                self.settling.insert(step, ring);
            }
        }
    }

    pub(super) fn has_ended(&self, step: usize) -> bool {
        let asked = self.asking.get(&step).is_none_or(Asking::has_ended);
        asked && self.settling.get(&step).is_none_or(|ring| self.rings[*ring].is_settled())
    }

    /// What is to be asked now, and notes questions whose time is over.
    pub(super) fn due(&mut self, now: Time) -> Vec<Order> {
        self.now = now;
        let mut orders = Vec::new();
        for asking in self.asking.values_mut().filter(|asking| !asking.has_ended()) {
            let course = &self.rings[asking.ring()];
            orders.extend(asking.due(now, course));
        }
        orders
    }

    pub(super) fn next_deadline(&self) -> Option<(Time, &'static str)> {
        self.asking.values().filter_map(Asking::next_deadline).min()
    }

    pub(super) fn is_measuring(&self) -> bool {
        self.asking.values().any(|asking| !asking.has_ended()) || self.rings.iter().any(Course::is_recovering)
    }

    pub(super) fn handle_crash(&mut self, now: Time, peers: &[PeerId]) {
        self.rings.iter_mut().for_each(|ring| ring.handle_crash(now, peers));
        self.asking.values_mut().for_each(|asking| asking.abandon(now, peers));
    }

    pub(super) fn handle_leave(&mut self, now: Time, peers: &[PeerId]) {
        self.rings.iter_mut().for_each(|ring| ring.handle_leave(now, peers));
        self.asking.values_mut().for_each(|asking| asking.abandon(now, peers));
    }

    pub(super) fn handle_heal(&mut self, now: Time) {
        self.rings.iter_mut().for_each(|ring| ring.handle_heal(now));
    }

    /// A process has ended; who left in order has said so before.
    pub(super) fn handle_exited(&mut self, peer: PeerId) {
        let now = self.now;
        self.rings.iter_mut().for_each(|ring| ring.handle_gone(now, peer));
    }

    /// As what a peer enters the ring that it may be a member of: by way of some members, or as its founder where there
    /// is none.
    fn entry(&mut self, peer: PeerId) -> Option<(usize, Start)> {
        let ring = self.rings.iter().position(|ring| ring.has_place_for(peer))?;
        let mut members = self.rings[ring].members();
        members.retain(|member| *member != peer);
        self.random.shuffle(&mut members);
        members.truncate(VIA_MAX);
        self.rings[ring].handle_entering(peer);
        let numbers: Vec<u32> = members.iter().map(|peer| peer.0).collect();
        Some((ring, if numbers.is_empty() { Start::Found(vec![peer.0]) } else { Start::Join(numbers) }))
    }
}

impl Scenario {
    /// The rings of the run.
    #[must_use]
    pub fn rings(&self) -> &Rings {
        &self.rings
    }

    /// A ring's node has reported something, at `at` by its own monotonic clock.
    pub fn handle_ring(&mut self, at: Time, peer: PeerId, report: &RingReport) {
        self.rings.rings.iter_mut().for_each(|ring| ring.handle_report(at, peer, report));
        self.rings.asking.values_mut().for_each(|asking| asking.handle_report(at, peer, report));
        if *report == RingReport::Joined {
            self.arrived(Awaited::Joined(peer));
        }
    }

    /// A ring's node had these pointers at `at`: catches what a full log of events has discarded.
    pub fn handle_ring_status(&mut self, at: Time, peer: PeerId, status: &RingStatus) {
        if let Some(ring) = self.rings.rings.iter_mut().find(|ring| ring.name() == status.ring) {
            ring.handle_status(at, peer, status);
        }
    }

    /// A question could not be asked, because the peer does not take it.
    pub fn handle_unasked(&mut self, at: Time, request: u64, error: &str) {
        self.rings.asking.values_mut().for_each(|asking| asking.handle_failed(at, request, error));
    }

    /// Lets a peer that is up enter the ring that it has a place in and is not a member of.
    pub(super) fn enter_ring(&mut self, step: usize, peer: PeerId) {
        if let Some((ring, start)) = self.rings.entry(peer) {
            self.steps[step].awaited.insert(Awaited::Joined(peer));
            self.orders.push(Order::EnterRing { ring, peer, start });
        }
    }
}

/// One line about a step for people.
pub(super) fn describe(step: &RingStep) -> String {
    match step {
        RingStep::Lookups(queries) => format!("{} lookups in {}", queries.count, queries.ring),
        RingStep::Put(queries) => format!("put {} records into {}", queries.count, queries.ring),
        RingStep::Get(queries) => format!("get {} records from {}", queries.count, queries.ring),
        RingStep::Settle { ring } => format!("wait until {ring} is right"),
    }
}

/// Members that a peer is told to join by. Any one that lives is enough.
const VIA_MAX: usize = 4;

/// Time after which a question counts as failed although its peer lives: longer than a ring's node takes in any case.
const ANSWER_MAX: Duration = Duration::from_secs(90);
