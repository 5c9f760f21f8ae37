//! The scenario resolved step by step: which step waits for which, and who is chosen.

use std::{collections::BTreeSet, ops::Range};

use peerbed_proto::{PeerId, Random};

use super::{Action, Arrivals, Churn, Distribute, Entrance, Exception, MoveKind, RingStep, Step, Via, When};
use crate::{
    diagnose::Problem,
    topology::{self, Roster, Selection, Timing, Topology, Written},
    units::Span,
};

/// The scenario played through in the order of its steps: who is up, and what was distributed.
pub(super) struct Course<'a> {
    pub(super) topology: &'a Topology,
    pub(super) roster: &'a Roster<'a>,
    down: BTreeSet<u32>,
    paused: BTreeSet<u32>,
    /// For each step of the topology so far, the last step of the plan that it became.
    last: Vec<usize>,
    /// Steps for more peers than there are in the right state.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Course<'a> {
    pub(super) fn begin(topology: &'a Topology, roster: &'a Roster<'a>) -> Self {
        let absent = roster.groups().filter(|(group, _)| !group.present).flat_map(|(_, peers)| peers);
        Self {
            topology,
            roster,
            down: absent.collect(),
            paused: BTreeSet::new(),
            last: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Resolves the next step of the topology into steps of the plan; none where it could not be read.
    pub(super) fn step(&mut self, index: usize, step: &topology::Step) -> Vec<Step> {
        let actions = step.action.as_ref().map_or(Vec::new(), |action| self.actions(index, action));
        let first = self.last.last().map_or(0, |last| last + 1);
        let when = match &step.timing {
            Timing::At(at) => When::At(at.value),
            Timing::After(name) => When::AfterStep(self.last_of(self.ended(index, &name.value))),
            Timing::When(condition) => When::Condition(condition.value.text.clone()),
            Timing::Next if index == 0 => When::At(Span::default()),
            Timing::Next => When::AfterStep(self.last_of(index - 1)),
        };
        self.last.push((first + actions.len()).saturating_sub(1));
        let next = |(number, action)| match number {
            0 => Step { when: when.clone(), action },
            _ => Step { when: When::AfterStep(first + number - 1), action },
        };
        actions.into_iter().enumerate().map(next).collect()
    }

    /// The last step of the plan that a step of the topology became.
    fn last_of(&self, index: usize) -> usize {
        self.last.get(index).copied().unwrap_or(index)
    }

    fn actions(&mut self, index: usize, action: &topology::Action) -> Vec<Action> {
        let action = match action {
            topology::Action::Distribute(distribute) => match self.distribute(index, distribute) {
                Some(distribute) => {
                    if distribute.program.is_some() {
                        // Whoever gets the file is started by the distribution.
                        distribute.to.iter().for_each(|peer| _ = self.down.remove(&peer.0));
                    }
                    Action::Distribute(Box::new(distribute))
                }
                None => return Vec::new(),
            },
            topology::Action::Start(selection) => self.entrance(index, selection, Entrance::Start),
            topology::Action::Join(selection) => self.entrance(index, selection, Entrance::Join),
            topology::Action::Crash(selection) => Action::Crash(self.take_down(index, selection, "crash")),
            topology::Action::Leave(selection) => Action::Leave(self.take_down(index, selection, "leave")),
            topology::Action::Churn(churn) => match self.churn(index, churn) {
                Some(churn) => Action::Churn(churn),
                None => return Vec::new(),
            },
            topology::Action::Wait(span) => Action::Wait(span.value),
            topology::Action::Await(names) => Action::Await(self.named(names).map(PeerId).collect()),
            topology::Action::Query(queries) => match self.queries(index, queries) {
                Some(step) => Action::Ring(step),
                None => return Vec::new(),
            },
            topology::Action::Settle(name) => Action::Ring(RingStep::Settle { ring: name.value.clone() }),
            topology::Action::Link(change) => Action::Link(self.change_links(index, change)),
            topology::Action::Flap(flap) => return self.flap(index, flap),
            topology::Action::Partition(partition) => Action::Partition(self.partition(index, partition)),
            topology::Action::Heal(heal) => {
                Action::Heal { partition: heal.partition.as_ref().map(|name| name.value.clone()) }
            }
            topology::Action::Pause(selection) => {
                let chosen = self.choose(index, selection, "pause", State::Up);
                self.paused.extend(chosen.iter().map(|peer| peer.0));
                Action::Pause(chosen)
            }
            topology::Action::Resume(selection) => {
                let chosen = self.choose(index, selection, "resume", State::Paused);
                chosen.iter().for_each(|peer| _ = self.paused.remove(&peer.0));
                Action::Resume(chosen)
            }
        };
        vec![action]
    }

    /// Peers that come, at once or one after another.
    fn entrance(&mut self, index: usize, selection: &Selection, into: Entrance) -> Action {
        let verb = match into {
            Entrance::Start => "start",
            Entrance::Join => "join",
        };
        let peers = self.bring_up(index, selection, verb);
        match (&selection.arrivals, into) {
            (Some(how), _) => Action::Arrive(Arrivals::draw(into, &peers, how.value, self.topology.seed, index)),
            (None, Entrance::Start) => Action::Start(peers),
            (None, Entrance::Join) => Action::Join(peers),
        }
    }

    /// Churn drawn; none where it could not be read.
    fn churn(&mut self, index: usize, churn: &topology::Churn) -> Option<Churn> {
        let (length, habits) = (churn.length?.value, churn.habits.as_ref()?);
        let staying: BTreeSet<u32> = self.named(&churn.protect).collect();
        let is_there = |peer: &u32| {
            let region = self.roster.group_of(*peer).and_then(|group| group.region.as_ref());
            churn.region.as_ref().is_none_or(|wanted| region.is_some_and(|region| region.value == wanted.value))
        };
        let moving = self.named(&churn.peers).filter(|peer| !staying.contains(peer)).filter(is_there);
        let peers: Vec<(PeerId, bool)> = moving.map(|peer| (PeerId(peer), !self.down.contains(&peer))).collect();
        let drawn = Churn::draw(&peers, habits, length, self.topology.seed, &format!("step {index}"));
        for it in &drawn.moves {
            self.paused.remove(&it.peer.0);
            match it.what {
                MoveKind::Join => self.down.remove(&it.peer.0),
                MoveKind::Crash | MoveKind::Leave => self.down.insert(it.peer.0),
            };
        }
        Some(drawn)
    }

    /// The step that `after:` names; the topology's check has found it.
    fn ended(&self, index: usize, name: &str) -> usize {
        let called = self.topology.distributions().find(|(_, it)| it.is_called(name));
        called.map_or(index.saturating_sub(1), |(step, _)| step)
    }

    fn distribute(&self, index: usize, distribute: &topology::Distribute) -> Option<Distribute> {
        let number = self.topology.distributions().position(|(step, _)| step == index)?;
        let via = distribute.via?.value;
        let program = self.program(distribute);
        let is_swarm = via == Via::Swarm && program.is_none();
        Some(Distribute {
            id: format!("d{number}"),
            name: distribute.name()?.to_owned(),
            file: distribute.file.as_ref()?.value.clone(),
            from: self.named(&distribute.from).map(PeerId).collect(),
            to: self.named(&distribute.to).map(PeerId).collect(),
            via,
            tracker: self.tracker(distribute).filter(|_| is_swarm && !distribute.is_trackerless()).map(PeerId),
            options: is_swarm.then(|| topology::resolve_options([&distribute.options])),
            exceptions: if is_swarm { self.exceptions(distribute) } else { Vec::new() },
            program,
        })
    }

    /// What tables call the program of whoever gets the file, where it is a program of its own.
    fn program(&self, distribute: &topology::Distribute) -> Option<String> {
        let first = self.named(&distribute.to).next()?;
        self.roster.group_of(first)?.exec.as_ref().map(super::programs::name)
    }

    /// The groups among the participants that have options of their own.
    fn exceptions(&self, distribute: &topology::Distribute) -> Vec<Exception> {
        let participants: BTreeSet<u32> = self.named(&distribute.from).chain(self.named(&distribute.to)).collect();
        let groups = self.roster.groups().filter(|(group, _)| !group.options.is_empty());
        let exceptions = groups.map(|(group, peers)| Exception {
            peers: peers.filter(|peer| participants.contains(peer)).map(PeerId).collect(),
            options: topology::resolve_options([&distribute.options, &group.options]),
        });
        exceptions.filter(|exception| !exception.peers.is_empty()).collect()
    }

    fn tracker(&self, distribute: &topology::Distribute) -> Option<u32> {
        match &distribute.tracker {
            Some(name) => self.roster.range(&name.value).next(),
            None => self.roster.groups().find(|(group, _)| group.tracker.is_some()).map(|(_, peers)| peers.start),
        }
    }

    /// Peers that names stand for, in the order of the plan.
    pub(super) fn named(&self, names: &[Written<String>]) -> impl Iterator<Item = u32> {
        let mut ranges: Vec<Range<u32>> = names.iter().map(|name| self.roster.range(&name.value)).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.into_iter().flatten()
    }

    fn bring_up(&mut self, index: usize, selection: &Selection, verb: &str) -> Vec<PeerId> {
        let chosen = self.choose(index, selection, verb, State::Down);
        for peer in &chosen {
            self.down.remove(&peer.0);
            self.paused.remove(&peer.0);
        }
        chosen
    }

    fn take_down(&mut self, index: usize, selection: &Selection, verb: &str) -> Vec<PeerId> {
        let chosen = self.choose(index, selection, verb, State::Up);
        for peer in &chosen {
            self.down.insert(peer.0);
            self.paused.remove(&peer.0);
        }
        chosen
    }

    /// All peers of a selection, or so many of those in the right state, by the seed.
    pub(super) fn choose(&mut self, index: usize, selection: &Selection, verb: &str, state: State) -> Vec<PeerId> {
        let named: Vec<u32> = self.named(&selection.peers).collect();
        let Some(count) = selection.count else { return named.into_iter().map(PeerId).collect() };
        let is_fit = |peer: &u32| match state {
            State::Any => true,
            State::Down => self.down.contains(peer),
            State::Paused => self.paused.contains(peer),
            // Who is to be paused must not be so already.
            State::Up => !self.down.contains(peer) && (verb != "pause" || !self.paused.contains(peer)),
        };
        let mut fit: Vec<u32> = named.into_iter().filter(is_fit).collect();
        if (fit.len() as u64) < count.value {
            let state = match state {
                State::Down => "down",
                State::Paused => "paused",
                State::Up | State::Any => "up",
            };
            let message =
                format!("cannot {verb} {} peers: only {} of these are {state} by then", count.value, fit.len());
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

/// What a peer's process is, as far as the steps before say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Up,
    Down,
    Paused,
    /// Whatever it is: its link is there all the same.
    Any,
}
