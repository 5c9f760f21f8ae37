//! When a step begins, what it orders, and when it has ended.
//!
//! The part of the scenario's state machine that walks over steps. Reports from peers come in through `scenario.rs`.

use std::{collections::BTreeSet, time::Duration};

use peerbed_proto::{id::PeerId, time::Time};

use super::{Awaited, Order, Phase, Process, Scenario, Stage, Stall, rings};
use crate::{
    expect::Facts,
    plan::{Action, CutDirection, Entrance, When},
};

impl Scenario {
    /// Lets every step that can move do so once; says whether one did.
    pub(super) fn advance(&mut self, now: Time) -> bool {
        let mut moved = false;
        for step in 0..self.steps.len() {
            let stage = self.steps[step].stage;
            if let (Stage::Running { since }, Action::Churn(_)) = (stage, &self.steps[step].step.action) {
                self.advance_churn(step, since, now);
            }
            match stage {
                Stage::Waiting if self.is_due(step, now) => {
                    self.begin_step(step, now);
                    moved = true;
                }
                Stage::Running { since } if self.arrive(step, since, now) => moved = true,
                Stage::Running { since } if self.has_ended(step, since, now) => {
                    self.steps[step].stage = Stage::Ended;
                    self.orders.push(Order::StepEnded { step });
                    moved = true;
                }
                Stage::Waiting | Stage::Running { .. } | Stage::Ended => {}
            }
            if self.failure.is_some() {
                return false;
            }
        }
        for distribution in 0..self.distributions.len() {
            moved |= self.advance_distribution(distribution, now);
        }
        if !moved {
            self.fail_when_stuck();
        }
        moved
    }

    /// Something that steps may have waited for has come.
    pub(super) fn arrived(&mut self, what: Awaited) {
        for state in &mut self.steps {
            state.awaited.remove(&what);
        }
    }

    /// Lets a peer that is up enter every distribution under way that is addressed to it or starts from it.
    pub(super) fn enter(&mut self, step: usize, peer: PeerId) {
        for distribution in 0..self.distributions.len() {
            let state = &mut self.distributions[distribution];
            // Programs prepare nothing; their start was all.
            if !state.enter(peer) || state.spec().program.is_some() {
                continue;
            }
            let awaited = Awaited::Prepared { distribution, peer };
            self.steps[step].awaited.insert(awaited);
            if state.phase() == Phase::Preparing {
                let own_step = state.step();
                self.steps[own_step].awaited.insert(awaited);
            }
            self.orders.push(Order::Prepare { distribution, peers: vec![peer] });
        }
    }

    /// Whether a step still to come brings `peer` into the distribution with this index.
    ///
    /// Joins that happen only after the distribution has ended do not count: waiting for them would wait for itself.
    pub(super) fn is_awaited(&self, distribution: usize, peer: PeerId) -> bool {
        let state = &self.distributions[distribution];
        if matches!(state.phase(), Phase::Closing | Phase::Ended) {
            return false;
        }
        let own_step = state.step();
        if (0..self.steps.len()).any(|index| self.will_come_back(index, peer)) {
            return true;
        }
        let joining = self.steps.iter().enumerate().filter(|(_, other)| other.step.action.joins(peer));
        joining.into_iter().any(|(index, other)| match other.stage {
            // Whom a churn will bring back has been looked at above.
            Stage::Waiting => other.step.action.churn().is_none() && !self.follows(index, own_step),
            Stage::Running { .. } => other.awaited.contains(&Awaited::Ready(peer)) || other.is_still_to_come(peer),
            Stage::Ended => false,
        })
    }

    fn is_due(&self, step: usize, now: Time) -> bool {
        match &self.steps[step].step.when {
            When::At(span) => now >= self.started + span.0,
            When::AfterStep(before) => self.steps.get(*before).is_some_and(|s| s.stage == Stage::Ended),
            When::Condition(_) => self.holds(step),
        }
    }

    fn holds(&self, step: usize) -> bool {
        let Some(condition) = &self.steps[step].condition else { return false };
        let distributions = (0..self.distributions.len()).filter_map(|d| self.facts(d)).collect();
        condition.evaluate(&Facts { distributions, ..Facts::default() }).held
    }

    fn begin_step(&mut self, step: usize, now: Time) {
        self.steps[step].stage = Stage::Running { since: now };
        self.orders.push(Order::StepBegun { step });
        match self.steps[step].step.action.clone() {
            Action::Distribute(_) => self.begin_distribution(step, now),
            Action::Start(peers) => self.bring_up(step, &peers),
            Action::Join(peers) => self.join(step, &peers),
            Action::Arrive(_) => _ = self.arrive(step, now, now),
            Action::Crash(peers) => self.crash(step, now, &peers),
            Action::Leave(peers) => self.leave(step, now, &peers),
            Action::Churn(_) | Action::Wait(_) => {}
            Action::Await(peers) => self.await_programs(step, &peers),
            Action::Ring(ring_step) => self.rings.begin(step, &ring_step, now),
            action @ (Action::Link(_)
            | Action::Partition(_)
            | Action::Heal { .. }
            | Action::Pause(_)
            | Action::Resume(_)) => {
                self.note_fault(&action, now);
                self.begin_change(step, &action);
            }
        }
    }

    /// Remembers a change of the network as what a recovery counts from.
    fn note_fault(&mut self, action: &Action, now: Time) {
        if let Action::Heal { .. } = action {
            self.rings.handle_heal(now);
        } else if let Action::Pause(peers) = action {
            self.handle_fault(now, "pause", peers);
        } else if let Action::Partition(_) | Action::Link(_) = action {
            self.handle_fault(now, word(action), &[]);
        }
    }

    fn begin_distribution(&mut self, step: usize, now: Time) {
        let Some(distribution) = self.distributions.iter().position(|d| d.step() == step) else { return };
        if self.distributions[distribution].spec().program.is_some() {
            return self.begin_among_programs(step, distribution, now);
        }
        // Who is paused hears nothing of it, like those who are down.
        let takes_part =
            |(peer, state): &(&PeerId, &Process)| **state == Process::Up && !self.in_force.is_paused(**peer);
        let up: BTreeSet<PeerId> = self.processes.iter().filter(takes_part).map(|(peer, _)| *peer).collect();
        let state = &mut self.distributions[distribution];
        match state.begin(&up) {
            Ok(peers) => {
                let awaited = peers.iter().map(|peer| Awaited::Prepared { distribution, peer: *peer });
                self.steps[step].awaited = awaited.collect();
                self.orders.push(Order::Prepare { distribution, peers });
            }
            Err(why) => self.failure = Some(format!("step {step}: {why}")),
        }
    }

    fn join(&mut self, step: usize, peers: &[PeerId]) {
        self.refuse_paused(step, peers);
        for peer in peers.iter().copied().filter(|p| self.is_up(*p)).collect::<Vec<_>>() {
            self.enter(step, peer);
            self.enter_ring(step, peer);
        }
        self.bring_up(step, peers);
    }

    /// Brings up whoever's time has come in a step that began at `since`; says whether there was somebody.
    fn arrive(&mut self, step: usize, since: Time, now: Time) -> bool {
        let state = &mut self.steps[step];
        let Action::Arrive(arrivals) = &state.step.action else { return false };
        let waiting = &arrivals.peers[state.arrived..];
        let due: Vec<PeerId> =
            waiting.iter().take_while(|it| since + it.after.0 <= now).map(|arrival| arrival.peer).collect();
        let into = arrivals.into;
        state.arrived += due.len();
        match into {
            _ if due.is_empty() => return false,
            Entrance::Start => self.bring_up(step, &due),
            Entrance::Join => self.join(step, &due),
        }
        true
    }

    pub(super) fn bring_up(&mut self, step: usize, peers: &[PeerId]) {
        let mut starting = Vec::new();
        for peer in peers.iter().filter(|peer| self.programs.is_available(**peer)).collect::<Vec<_>>() {
            match self.processes.get(peer) {
                Some(Process::Down) => {
                    self.processes.insert(*peer, Process::Starting);
                    starting.push(*peer);
                }
                Some(Process::Up) | None => continue,
                Some(Process::Starting) => {}
                Some(Process::Dying | Process::Leaving) => {
                    let name = self.name(*peer);
                    self.failure = Some(format!("step {step} brings up {name}, which is still on its way out"));
                    return;
                }
            }
            self.steps[step].awaited.insert(Awaited::Ready(*peer));
        }
        if !starting.is_empty() {
            self.orders.push(Order::Start { peers: starting });
        }
    }

    pub(super) fn crash(&mut self, step: usize, now: Time, peers: &[PeerId]) {
        self.rings.handle_crash(now, peers);
        self.handle_fault(now, "crash", peers);
        self.take_down(now, step, peers, Process::Dying);
    }

    pub(super) fn leave(&mut self, step: usize, now: Time, peers: &[PeerId]) {
        self.rings.handle_leave(now, peers);
        self.handle_fault(now, "leave", peers);
        self.take_down(now, step, peers, Process::Leaving);
    }

    /// Something happens to all that is under way; to nobody in particular where the network changes.
    fn handle_fault(&mut self, now: Time, kind: &'static str, peers: &[PeerId]) {
        self.distributions.iter_mut().for_each(|distribution| distribution.handle_fault(now, kind, peers));
    }

    /// Peers that are down already stay so; the others leave every distribution at once.
    fn take_down(&mut self, now: Time, step: usize, peers: &[PeerId], becoming: Process) {
        let mut taken = Vec::new();
        for peer in peers {
            match self.processes.get(peer) {
                Some(Process::Up | Process::Starting) => {}
                Some(Process::Leaving) if becoming == Process::Dying => {}
                _ => continue,
            }
            self.processes.insert(*peer, becoming);
            self.in_force.forget(*peer);
            taken.push(*peer);
            self.programs.on_taken(*peer);
            for state in &mut self.steps {
                state.awaited.retain(|a| a.peer() != Some(*peer) || matches!(a, Awaited::Exited(_)));
            }
            for distribution in &mut self.distributions {
                distribution.remove(now, *peer);
            }
            self.steps[step].awaited.insert(Awaited::Exited(*peer));
        }
        if taken.is_empty() {
            return;
        }
        self.orders.push(match becoming {
            Process::Leaving => Order::Leave { peers: taken },
            Process::Dying | Process::Down | Process::Starting | Process::Up => Order::Kill { peers: taken },
        });
    }

    fn has_ended(&self, step: usize, since: Time, now: Time) -> bool {
        let state = &self.steps[step];
        state.awaited.is_empty()
            && match &state.step.action {
                Action::Wait(span) => now >= since + span.0,
                Action::Arrive(arrivals) => state.arrived == arrivals.peers.len(),
                Action::Churn(churn) => self.has_churned(step, since, now, churn),
                Action::Ring(_) => self.rings.has_ended(step),
                Action::Distribute(_) => {
                    self.distributions.iter().any(|d| d.step() == step && d.phase() == Phase::Ended)
                }
                Action::Start(_)
                | Action::Crash(_)
                | Action::Leave(_)
                | Action::Join(_)
                | Action::Await(_)
                | Action::Link(_)
                | Action::Partition(_)
                | Action::Heal { .. }
                | Action::Pause(_)
                | Action::Resume(_) => true,
            }
    }

    /// From prepared to running, and from complete to closing.
    fn advance_distribution(&mut self, distribution: usize, now: Time) -> bool {
        let required = self.required(distribution);
        let state = &mut self.distributions[distribution];
        let is_prepared = self.steps[state.step()].awaited.is_empty();
        match state.phase() {
            Phase::Preparing if is_prepared => {
                let peers = state.participants();
                let at = now + lead(peers.len());
                state.run(at);
                self.orders.push(Order::Begin { distribution, peers, at });
                true
            }
            Phase::Running if required.iter().all(|peer| state.has_completed(*peer)) => {
                self.close(distribution, required, None);
                true
            }
            Phase::Running => {
                let stall = self.stall(distribution, now);
                let has_stalled = stall.is_some();
                if has_stalled {
                    self.close(distribution, required, stall);
                }
                has_stalled
            }
            Phase::Waiting | Phase::Preparing | Phase::Closing | Phase::Ended => false,
        }
    }

    fn close(&mut self, distribution: usize, required: BTreeSet<PeerId>, stall: Option<Stall>) {
        let state = &mut self.distributions[distribution];
        let (peers, completed) = (state.participants(), state.completed());
        self.orders.push(Order::Close { distribution, peers, completed });
        state.close(required, stall);
    }

    /// Whether `step` cannot begin before `other` has ended.
    fn follows(&self, step: usize, other: usize) -> bool {
        let mut at = step;
        // A chain of `after` is at most as long as the scenario.
        for _ in 0..self.steps.len() {
            match self.steps[at].step.when {
                When::AfterStep(before) if before == other => return true,
                When::AfterStep(before) if before < self.steps.len() => at = before,
                When::AfterStep(_) | When::At(_) | When::Condition(_) => return false,
            }
        }
        false
    }

    /// Fails when nothing runs and no clock can start what is left.
    fn fail_when_stuck(&mut self) {
        let is_moving = |s: &super::StepState| {
            matches!(s.stage, Stage::Running { .. })
                || (s.stage == Stage::Waiting && matches!(s.step.when, When::At(_)))
        };
        if self.steps.iter().any(is_moving) {
            return;
        }
        let stuck = self.steps.iter().enumerate().find(|(_, s)| s.stage == Stage::Waiting);
        if let Some((index, state)) = stuck {
            let word = word(&state.step.action);
            self.failure = Some(match &state.step.when {
                When::Condition(text) => {
                    format!("step {index} ({word}) waits for `{text}`, which can no longer come true")
                }
                When::AfterStep(before) => format!("step {index} ({word}) waits for step {before}, which waits for it"),
                When::At(_) => return,
            });
        }
    }
}

/// The word that the topology has for an action.
#[must_use]
pub fn word(action: &Action) -> &'static str {
    match action {
        Action::Distribute(_) => "distribute",
        Action::Start(_) => "start",
        Action::Crash(_) => "crash",
        Action::Leave(_) => "leave",
        Action::Join(_) => "join",
        Action::Arrive(arrivals) => match arrivals.into {
            Entrance::Start => "start",
            Entrance::Join => "join",
        },
        Action::Churn(_) => "churn",
        Action::Wait(_) => "wait",
        Action::Await(_) => "wait",
        Action::Ring(step) => step.word(),
        Action::Link(_) => "link",
        Action::Partition(_) => "partition",
        Action::Heal { .. } => "heal",
        Action::Pause(_) => "pause",
        Action::Resume(_) => "resume",
    }
}

/// Whether a step with this [`word`] disturbs an overlay, rather than uses it.
#[must_use]
pub fn is_fault(word: &str) -> bool {
    matches!(word, "crash" | "leave" | "churn" | "link" | "partition" | "pause" | "flap")
}

/// Whether what passes on the wire around a step with this [`word`] is evidence of a disturbance: it begins there, or what
/// lasted ends and the overlay recovers.
#[must_use]
pub fn is_turn(word: &str) -> bool {
    is_fault(word) || matches!(word, "heal" | "resume")
}

/// One line about an action for people, with peers called by `name`.
#[must_use]
pub fn describe(action: &Action, name: impl Fn(PeerId) -> String) -> String {
    let list = |peers: &[PeerId]| match peers {
        [first, .., last] if peers.len() > 3 => format!("{} … {} ({} peers)", name(*first), name(*last), peers.len()),
        _ => peers.iter().map(|p| name(*p)).collect::<Vec<_>>().join(", "),
    };
    let word = word(action);
    match action {
        Action::Distribute(d) => {
            format!("{word} {} from {} to {} via {}", d.file, list(&d.from), list(&d.to), super::view::via(d.via))
        }
        Action::Start(peers)
        | Action::Crash(peers)
        | Action::Leave(peers)
        | Action::Join(peers)
        | Action::Await(peers)
        | Action::Pause(peers)
        | Action::Resume(peers) => format!("{word} {}", list(peers)),
        Action::Arrive(arrivals) => {
            format!("{word} {}, one after another within {}", list(&arrivals.everybody()), arrivals.length())
        }
        Action::Churn(churn) => {
            let (gone, back) = churn.counts();
            format!("{word} for {}: {gone} go, {back} come back", churn.length)
        }
        Action::Wait(span) => format!("{word} {span}"),
        Action::Ring(step) => rings::describe(step),
        Action::Link(changes) => {
            let peers: Vec<PeerId> = changes.iter().flat_map(|change| change.peers.iter().copied()).collect();
            format!("{word} of {}", list(&peers))
        }
        Action::Partition(partition) => {
            let way = match partition.direction {
                CutDirection::Both => " | ",
                CutDirection::OneWay => " -x-> ",
            };
            let sides: Vec<String> = partition.sides.iter().map(|side| list(side)).collect();
            format!("{word} {}: {}", partition.name, sides.join(way))
        }
        Action::Heal { partition } => format!("{word} {}", partition.as_deref().unwrap_or("everything")),
    }
}

/// How far ahead a begin is announced to so many peers: 50 ms, or what it takes to tell them all one after another on
/// a busy host (measured: about half a millisecond each), so that nobody hears of it too late.
fn lead(participants: usize) -> Duration {
    let all_told = Duration::from_millis(2) * u32::try_from(participants).unwrap_or(u32::MAX);
    all_told.max(Duration::from_millis(50))
}
