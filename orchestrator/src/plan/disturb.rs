//! Steps that disturb the network, resolved: absolute figures for each class of link, flaps step by step, sides as peers.

use std::collections::BTreeSet;

use peerbed_proto::PeerId;

use super::{
    Action, Changes, LinkChange, LinkState, Partition,
    course::{Course, State},
};
use crate::topology::{self, Written};

impl Course<'_> {
    /// One change for each class of link among the chosen peers.
    pub(super) fn change_links(&mut self, index: usize, change: &topology::LinkChange) -> Vec<LinkChange> {
        let chosen: BTreeSet<PeerId> = self.choose(index, &change.selection, "link", State::Any).into_iter().collect();
        let mut changes = Vec::new();
        for link in &self.topology.links {
            let peers: Vec<PeerId> =
                chosen.iter().copied().filter(|peer| self.link_of(*peer) == Some(&link.name.value)).collect();
            if peers.is_empty() {
                continue;
            }
            let ([up, down], problems) = topology::resolve_both(link, change);
            self.problems.extend(problems);
            changes.push(LinkChange { peers, reset: change.reset, up, down });
        }
        changes
    }

    /// Down, wait, up, wait …, without the last wait.
    pub(super) fn flap(&mut self, index: usize, flap: &topology::Flap) -> Vec<Action> {
        let (Some(down_for), Some(up_for)) = (flap.down_for, flap.up_for) else { return Vec::new() };
        let peers = self.choose(index, &flap.selection, "flap", State::Any);
        let turn = |state| {
            let changes = Changes { state: Some(state), ..Changes::default() };
            Action::Link(vec![LinkChange { peers: peers.clone(), reset: false, up: changes, down: changes }])
        };
        let mut actions = Vec::new();
        for _ in 0..flap.times {
            let once = [turn(LinkState::Down), Action::Wait(down_for), turn(LinkState::Up), Action::Wait(up_for)];
            actions.extend(once);
        }
        actions.pop();
        actions
    }

    pub(super) fn partition(&self, index: usize, partition: &topology::Partition) -> Partition {
        let is_partition = |step: &&topology::Step| matches!(step.action, Some(topology::Action::Partition(_)));
        let number = self.topology.scenario[..index].iter().filter(is_partition).count();
        let mut sides: Vec<Vec<PeerId>> = partition.sides.iter().map(|names| self.side(names)).collect();
        if let [only] = sides.as_slice() {
            let everybody = self.roster.groups().flat_map(|(_, peers)| peers).map(PeerId);
            let others = everybody.filter(|peer| !only.contains(peer)).collect();
            sides.push(others);
        }
        Partition {
            name: partition.name.as_ref().map_or_else(|| format!("p{number}"), |name| name.value.clone()),
            sides,
            direction: partition.direction,
        }
    }

    /// The peers of a side, in the order of the plan; names of nobody else are those of regions.
    fn side(&self, names: &[Written<String>]) -> Vec<PeerId> {
        let mut peers = BTreeSet::new();
        for name in names {
            let own = self.roster.range(&name.value);
            if own.is_empty() {
                peers.extend(self.roster.region(&name.value).flatten());
            } else {
                peers.extend(own);
            }
        }
        peers.into_iter().map(PeerId).collect()
    }

    fn link_of(&self, peer: PeerId) -> Option<&String> {
        self.roster.group_of(peer.0)?.link.as_ref().map(|link| &link.value)
    }
}
