//! Partitions in force: whose packets the core does not pass on to whom.
//!
//! Packets are lost behind their sender's link and before their receiver's, so that they take their time on the former.

use crate::plan::CutDirection;

/// One partition, with the ports it divides.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    name: String,
    /// By port: the side it is on, if any. Sides count from 0.
    sides: Vec<Option<u8>>,
    direction: CutDirection,
    dropped: u64,
}

/// All partitions, those that have been healed included.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions {
    in_force: Vec<Cut>,
    healed: Vec<Cut>,
}

/// What a partition has kept from its receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionCount {
    /// The partition's name.
    pub name: String,
    /// Packets lost by it. One that nobody met has not been proved.
    pub dropped: u64,
}

impl Cut {
    /// A partition of `ports` ports into these sides.
    pub(super) fn new(name: String, ports: usize, sides: &[Vec<u32>], direction: CutDirection) -> Self {
        let mut side_of = vec![None; ports];
        for (side, members) in (0_u8..).zip(sides) {
            for &member in members {
                side_of[member as usize] = Some(side);
            }
        }
        Self { name, sides: side_of, direction, dropped: 0 }
    }

    fn parts(&self, from: u32, to: u32) -> bool {
        match (self.sides[from as usize], self.sides[to as usize]) {
            (Some(from), Some(to)) => match self.direction {
                CutDirection::Both => from != to,
                CutDirection::OneWay => (from, to) == (0, 1),
            },
            _ => false,
        }
    }
}

impl Partitions {
    pub(super) fn add(&mut self, cut: Cut) {
        self.in_force.push(cut);
    }

    /// Ends the partition of this name, if it is in force.
    pub(super) fn heal(&mut self, name: &str) {
        let (healed, rest) = std::mem::take(&mut self.in_force).into_iter().partition(|cut| cut.name == name);
        self.in_force = rest;
        self.healed.extend::<Vec<Cut>>(healed);
    }

    /// Whether so many packets are lost between these ports; counts them if so.
    pub(super) fn lose(&mut self, from: u32, to: u32, packets: u32) -> bool {
        let Some(cut) = self.in_force.iter_mut().find(|cut| cut.parts(from, to)) else { return false };
        cut.dropped += u64::from(packets);
        true
    }

    /// What each has lost, in the order in which they began to be healed, and then those in force.
    pub(super) fn counts(&self) -> Vec<PartitionCount> {
        let count = |cut: &Cut| PartitionCount { name: cut.name.clone(), dropped: cut.dropped };
        self.healed.iter().chain(&self.in_force).map(count).collect()
    }
}
