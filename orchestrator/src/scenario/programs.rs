//! Programs of somebody else's in the scenario: which have completed, who waits for them, and distributions among them.
//!
//! Such a distribution has nothing to prepare: its begin is the start of the programs that get the file, and its
//! completions are theirs.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_proto::{id::PeerId, time::Time};

use super::{Awaited, Order, Phase, Process, Scenario, Stage};
use crate::plan::Plan;

/// What is known of all programs.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// Peers whose program has something to complete.
    completing: BTreeSet<PeerId>,
    /// When programs first completed.
    completed: BTreeMap<PeerId, Time>,
    /// Peers whose program this host cannot run, and why.
    unavailable: BTreeMap<PeerId, String>,
    /// Peers that the scenario has taken away at some time.
    taken: BTreeSet<PeerId>,
}

impl Programs {
    pub(super) fn of(plan: &Plan) -> Self {
        let completes = |peer: &&crate::plan::Peer| peer.exec.as_ref().is_some_and(|exec| exec.complete.is_some());
        Self { completing: plan.peers.iter().filter(completes).map(|peer| peer.id).collect(), ..Self::default() }
    }

    pub(super) fn is_available(&self, peer: PeerId) -> bool {
        !self.unavailable.contains_key(&peer)
    }

    pub(super) fn on_taken(&mut self, peer: PeerId) {
        self.taken.insert(peer);
    }
}

impl Scenario {
    /// These peers' programs cannot be run here, for these reasons: they are never started, and steps are left out as far
    /// as they are about them. To be called before the first [`Self::due`].
    pub fn leave_out(&mut self, unavailable: &BTreeMap<PeerId, String>) {
        self.programs.unavailable.clone_from(unavailable);
        for peer in unavailable.keys() {
            self.processes.insert(*peer, Process::Down);
        }
    }

    /// The program of a peer had done its work at `at`.
    pub fn handle_program_completed(&mut self, at: Time, peer: PeerId) {
        self.programs.completed.entry(peer).or_insert(at);
        self.arrived(Awaited::Completed(peer));
        for distribution in &mut self.distributions {
            if distribution.spec().program.is_some() && distribution.phase() == Phase::Running {
                distribution.handle_completed(at, peer);
            }
        }
    }

    /// When the programs of peers completed, by peer.
    #[must_use]
    pub fn completed_programs(&self) -> &BTreeMap<PeerId, Time> {
        &self.programs.completed
    }

    /// Why the distribution with this index is left out; none when it is not.
    #[must_use]
    pub fn left_out(&self, distribution: usize) -> Option<&str> {
        let spec = self.distributions[distribution].spec();
        let mut peers = spec.from.iter().chain(&spec.to);
        peers.find_map(|peer| self.programs.unavailable.get(peer)).map(String::as_str)
    }

    /// A program has ended by itself and as it may. One that has left its work undone fails the scenario.
    pub(super) fn on_program_exit(&mut self, peer: PeerId) {
        let was_wanted = matches!(self.processes.get(&peer), Some(Process::Up | Process::Starting));
        let is_undone = self.programs.completing.contains(&peer) && !self.programs.completed.contains_key(&peer);
        if was_wanted && is_undone && self.failure.is_none() {
            self.failure = Some(format!("the program of {} ended before it had completed", self.name(peer)));
        }
    }

    /// Begins a distribution among programs: whoever runs is told, whoever does not is started.
    pub(super) fn begin_among_programs(&mut self, step: usize, distribution: usize, now: Time) {
        if let Some(why) = self.left_out(distribution).map(str::to_owned) {
            self.steps[step].stage = Stage::Ended;
            self.orders.push(Order::LeaveOut { distribution, why });
            self.orders.push(Order::StepEnded { step });
            return;
        }
        let is_up = |peer: &PeerId| self.processes.get(peer) == Some(&Process::Up);
        let up: BTreeSet<PeerId> = self.processes.keys().copied().filter(is_up).collect();
        let state = &mut self.distributions[distribution];
        if let Err(why) = state.begin(&up) {
            self.failure = Some(format!("step {step}: {why}"));
            return;
        }
        let to = state.spec().to.clone();
        to.iter().for_each(|peer| _ = state.enter(*peer));
        state.run(now);
        let told: Vec<PeerId> = to.iter().copied().filter(|peer| up.contains(peer)).collect();
        // Work that was done before the common begin is done at it.
        for (peer, at) in to.iter().filter_map(|peer| Some((*peer, *self.programs.completed.get(peer)?))) {
            state.handle_completed(at, peer);
        }
        if !told.is_empty() {
            self.orders.push(Order::Begin { distribution, peers: told, at: now });
        }
        let idle: Vec<PeerId> = to.into_iter().filter(|peer| !self.programs.completed.contains_key(peer)).collect();
        self.bring_up(step, &idle);
    }

    /// Begins to wait for programs.
    pub(super) fn await_programs(&mut self, step: usize, peers: &[PeerId]) {
        for peer in peers.iter().copied() {
            if self.programs.completed.contains_key(&peer) || !self.programs.is_available(peer) {
                continue;
            }
            let is_there = matches!(self.processes.get(&peer), Some(Process::Up | Process::Starting));
            if is_there || self.is_brought_up_later(peer) {
                self.steps[step].awaited.insert(Awaited::Completed(peer));
            } else if !self.programs.taken.contains(&peer) {
                let name = self.name(peer);
                self.failure = Some(format!("step {step} waits for the program of {name}, which does not run"));
                return;
            }
        }
    }

    fn is_brought_up_later(&self, peer: PeerId) -> bool {
        let waiting = self.steps.iter().filter(|state| state.stage == Stage::Waiting);
        waiting.into_iter().any(|state| state.step.action.brings_up(peer))
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;
    use crate::{
        plan::{Action, Distribute, EngineChoice, ExpectedExit, Peer, Program, Ready, Step, Via, When},
        scenario::Status,
        units::Span,
    };

    #[test]
    fn a_distribution_among_programs_starts_who_is_down_and_counts_from_its_begin() {
        let mut scenario = begun(distribute());
        let orders = scenario.due(at(0));
        assert!(orders.contains(&Order::Begin { distribution: 0, peers: vec![PeerId(2)], at: at(0) }), "{orders:?}");
        assert!(orders.contains(&Order::Start { peers: vec![PeerId(3)] }), "{orders:?}");
        scenario.handle_ready(PeerId(3));
        scenario.handle_program_completed(at(2_000), PeerId(2));
        assert!(scenario.due(at(2_000)).is_empty());
        scenario.handle_program_completed(at(3_000), PeerId(3));
        // A client that has what it wants may go.
        scenario.handle_exited(PeerId(3));
        let completed = vec![PeerId(2), PeerId(3)];
        let orders = scenario.due(at(3_000));
        assert!(matches!(&orders[..], [Order::Close { completed: found, .. }] if *found == completed), "{orders:?}");
        scenario.handle_closed(0, &completed.into_iter().collect());
        scenario.due(at(3_100));
        assert_eq!(scenario.status(), Status::Finished);
        assert_eq!(scenario.distributions()[0].seconds(), Some(3.0));
    }

    #[test]
    fn a_program_that_ends_with_its_work_undone_fails_the_scenario() {
        let mut scenario = begun(Action::Await(vec![PeerId(2)]));
        scenario.due(at(0));
        scenario.handle_exited(PeerId(2));
        let Status::Failed(why) = scenario.status() else { panic!("{:?}", scenario.status()) };
        assert_eq!(why, "the program of peer-2 ended before it had completed");
    }

    #[test]
    fn a_program_that_nobody_starts_is_not_waited_for_in_silence() {
        let mut scenario = begun(Action::Await(vec![PeerId(3)]));
        scenario.due(at(0));
        let Status::Failed(why) = scenario.status() else { panic!("{:?}", scenario.status()) };
        assert_eq!(why, "step 0 waits for the program of peer-3, which does not run");
    }

    #[test]
    fn what_the_host_lacks_is_left_out_and_the_rest_goes_on() {
        let mut scenario = begun(distribute());
        scenario.leave_out(&[(PeerId(3), "no such program".to_owned())].into());
        let orders = scenario.due(at(0));
        let left_out = Order::LeaveOut { distribution: 0, why: "no such program".to_owned() };
        assert_eq!(orders, [Order::StepBegun { step: 0 }, left_out, Order::StepEnded { step: 0 }]);
        assert_eq!((scenario.status(), scenario.left_out(0)), (Status::Finished, Some("no such program")));
    }

    /// A source that runs, a client that runs, and one that does not.
    fn begun(action: Action) -> Scenario {
        let peers = (1..=3).map(|n| Peer {
            id: PeerId(n),
            name: format!("peer-{n}"),
            group: "peer".into(),
            link: "home".into(),
            region: None,
            address: Ipv4Addr::LOCALHOST,
            port: 4433,
            seed: 1,
            present: n < 3,
            swarm: None,
            tracker: None,
            congestion: peerbed_peer::config::Congestion::Cubic,
            exec: Some(program(n > 1)),
        });
        let plan = Plan {
            schema: 1,
            name: "test".into(),
            seed: 1,
            engine: EngineChoice::Auto,
            timeout: Span::from_secs(60),
            peers: peers.collect(),
            links: Vec::new(),
            latencies: Vec::new(),
            rings: Vec::new(),
            files: Vec::new(),
            steps: vec![Step { when: When::At(Span::default()), action }],
            expectations: Vec::new(),
        };
        let mut scenario = Scenario::new(&plan, &BTreeMap::new());
        scenario.begin(at(0));
        scenario
    }

    fn program(completes: bool) -> Program {
        Program {
            name: "program".into(),
            requires: None,
            output: None,
            command: "program".into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            ready: Ready::Started,
            ready_within: Span::from_secs(30),
            complete: completes.then_some(crate::plan::Completion::Exit),
            exit: ExpectedExit::Code(0),
        }
    }

    fn distribute() -> Action {
        Action::Distribute(Box::new(Distribute {
            id: "d0".into(),
            name: "release".into(),
            file: "release".into(),
            from: vec![PeerId(1)],
            to: vec![PeerId(2), PeerId(3)],
            via: Via::Swarm,
            tracker: None,
            exceptions: Vec::new(),
            options: None,
            program: Some("program".into()),
        }))
    }

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_secs(100) + Duration::from_millis(ms)
    }
}
