//! The scenario resolved step by step: which step waits for which, and who is chosen.

use std::{collections::BTreeSet, ops::Range};

use peerbed_proto::{PeerId, Random};

use super::{Action, Distribute, Step, Via, When};
use crate::{
    diagnose::Problem,
    topology::{self, Roster, Selection, Timing, Topology, Written},
    units::Span,
};

/// The scenario played through in the order of its steps: who is up, and what was distributed.
pub(super) struct Course<'a> {
    topology: &'a Topology,
    roster: &'a Roster<'a>,
    down: BTreeSet<u32>,
    /// Steps for more peers than there are in the right state.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Course<'a> {
    pub(super) fn begin(topology: &'a Topology, roster: &'a Roster<'a>) -> Self {
        let absent = roster.groups().filter(|(group, _)| !group.present).flat_map(|(_, peers)| peers);
        Self { topology, roster, down: absent.collect(), problems: Vec::new() }
    }

    /// Resolves the next step; none where it could not be read.
    pub(super) fn step(&mut self, index: usize, step: &topology::Step) -> Option<Step> {
        let when = match &step.timing {
            Timing::At(at) => When::At(at.value),
            Timing::After(name) => When::AfterStep(self.ended(index, &name.value)),
            Timing::When(condition) => When::Condition(condition.value.text.clone()),
            Timing::Next if index == 0 => When::At(Span::default()),
            Timing::Next => When::AfterStep(index - 1),
        };
        let action = match step.action.as_ref()? {
            topology::Action::Distribute(distribute) => Action::Distribute(self.distribute(index, distribute)?),
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
        let called = self.topology.distributions().find(|(_, it)| it.is_called(name));
        called.map_or(index.saturating_sub(1), |(step, _)| step)
    }

    fn distribute(&self, index: usize, distribute: &topology::Distribute) -> Option<Distribute> {
        let number = self.topology.distributions().position(|(step, _)| step == index)?;
        let via = distribute.via?.value;
        let is_swarm = via == Via::Swarm;
        Some(Distribute {
            id: format!("d{number}"),
            name: distribute.name()?.to_owned(),
            file: distribute.file.as_ref()?.value.clone(),
            from: self.named(&distribute.from).map(PeerId).collect(),
            to: self.named(&distribute.to).map(PeerId).collect(),
            via,
            tracker: if is_swarm { self.tracker(distribute).map(PeerId) } else { None },
            options: is_swarm.then(|| distribute.options.clone()),
        })
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
        let chosen = self.choose(index, selection, verb, State::Down);
        for peer in &chosen {
            self.down.remove(&peer.0);
        }
        chosen
    }

    fn take_down(&mut self, index: usize, selection: &Selection, verb: &str) -> Vec<PeerId> {
        let chosen = self.choose(index, selection, verb, State::Up);
        self.down.extend(chosen.iter().map(|peer| peer.0));
        chosen
    }

    /// All peers of a selection, or so many of those in the right state, by the seed.
    fn choose(&mut self, index: usize, selection: &Selection, verb: &str, state: State) -> Vec<PeerId> {
        let named: Vec<u32> = self.named(&selection.peers).collect();
        let Some(count) = selection.count else { return named.into_iter().map(PeerId).collect() };
        let is_fit = |peer: &u32| self.down.contains(peer) == (state == State::Down);
        let mut fit: Vec<u32> = named.into_iter().filter(is_fit).collect();
        if (fit.len() as u64) < count.value {
            let state = if state == State::Down { "down" } else { "up" };
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
enum State {
    Up,
    Down,
}
