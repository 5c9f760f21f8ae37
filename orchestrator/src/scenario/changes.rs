//! Steps that change the network or stop processes: what they order, given what is in force.
//!
//! A change's step ends when the change has been made; whether it has bitten is proved meanwhile, and not waited for here.

use std::collections::BTreeSet;

use peerbed_proto::id::PeerId;

use super::{Awaited, Order, Process, Scenario};
use crate::plan::{Action, Changes, LinkChange, LinkState, Partition};

/// What somebody else shall change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Give links other figures.
    Links(Vec<LinkChange>),
    /// Cut sets of peers off from each other.
    Cut(Partition),
    /// End partitions.
    Heal {
        /// Those that end.
        ended: Vec<Partition>,
        /// Those that stay in force.
        staying: Vec<Partition>,
    },
    /// Stop these processes where they are.
    Pause(Vec<PeerId>),
    /// Let these processes go on.
    Resume(Vec<PeerId>),
}

/// What earlier steps have changed and none has undone.
#[derive(Debug, Default)]
pub(super) struct InForce {
    partitions: Vec<Partition>,
    paused: BTreeSet<PeerId>,
    /// Whose links let nothing through, in one direction at least.
    cut: BTreeSet<PeerId>,
}

impl InForce {
    /// Whether this peer's process has been stopped.
    pub(super) fn is_paused(&self, peer: PeerId) -> bool {
        self.paused.contains(&peer)
    }

    /// How many partitions, stopped processes and links that are down there are.
    pub(super) fn count(&self) -> usize {
        self.partitions.len() + self.paused.len() + self.cut.len()
    }

    /// Takes in which links go down and up.
    fn note_links(&mut self, changes: &[LinkChange]) {
        for change in changes {
            let is = |state: LinkState| move |way: &Changes| way.state == Some(state);
            let ways = [change.up, change.down];
            if ways.iter().any(is(LinkState::Down)) {
                self.cut.extend(&change.peers);
            } else if change.reset || ways.iter().all(is(LinkState::Up)) {
                self.cut.retain(|peer| !change.peers.contains(peer));
            }
        }
    }

    /// A peer's process is going away.
    pub(super) fn forget(&mut self, peer: PeerId) {
        self.paused.remove(&peer);
    }
}

impl Scenario {
    /// A change that was ordered has been made.
    pub fn handle_changed(&mut self, step: usize) {
        self.arrived(Awaited::Changed { step });
    }

    /// Orders what a step changes; nothing where all is so already.
    pub(super) fn begin_change(&mut self, step: usize, action: &Action) {
        let change = match action {
            Action::Link(changes) => {
                self.in_force.note_links(changes);
                Some(Change::Links(changes.clone())).filter(|_| !changes.is_empty())
            }
            Action::Partition(partition) => {
                self.in_force.partitions.push(partition.clone());
                Some(Change::Cut(partition.clone()))
            }
            Action::Heal { partition } => self.heal(partition.as_deref()),
            Action::Pause(peers) => self.pause(peers),
            Action::Resume(peers) => self.resume(peers),
            Action::Distribute(_)
            | Action::Start(_)
            | Action::Crash(_)
            | Action::Leave(_)
            | Action::Join(_)
            | Action::Arrive(_)
            | Action::Wait(_)
            | Action::Await(_)
            | Action::Churn(_)
            | Action::Ring(_) => None,
        };
        if let Some(change) = change {
            self.steps[step].awaited.insert(Awaited::Changed { step });
            self.orders.push(Order::Change { step, change });
        }
    }

    /// Fails the step where it lets somebody join who has been stopped.
    pub(super) fn refuse_paused(&mut self, step: usize, peers: &[PeerId]) {
        if let Some(peer) = peers.iter().find(|peer| self.in_force.is_paused(**peer)) {
            let name = self.name(*peer);
            self.failure = Some(format!("step {step} lets {name} join, which is paused; resume it first"));
        }
    }

    fn heal(&mut self, name: Option<&str>) -> Option<Change> {
        let is_meant = |partition: &Partition| name.is_none_or(|name| partition.name == name);
        let all = std::mem::take(&mut self.in_force.partitions);
        let (ended, staying): (Vec<_>, Vec<_>) = all.into_iter().partition(is_meant);
        self.in_force.partitions.clone_from(&staying);
        (!ended.is_empty()).then_some(Change::Heal { ended, staying })
    }

    /// Those that run; a process that is not there, or not yet, cannot be stopped.
    fn pause(&mut self, peers: &[PeerId]) -> Option<Change> {
        let is_running = |peer: &&PeerId| self.processes.get(peer) == Some(&Process::Up);
        let chosen: Vec<PeerId> =
            peers.iter().filter(is_running).filter(|peer| !self.in_force.is_paused(**peer)).copied().collect();
        self.in_force.paused.extend(&chosen);
        (!chosen.is_empty()).then_some(Change::Pause(chosen))
    }

    fn resume(&mut self, peers: &[PeerId]) -> Option<Change> {
        let chosen: Vec<PeerId> = peers.iter().filter(|peer| self.in_force.paused.remove(peer)).copied().collect();
        (!chosen.is_empty()).then_some(Change::Resume(chosen))
    }
}
