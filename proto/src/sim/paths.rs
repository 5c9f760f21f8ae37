//! What happens to a packet between two access links: how long it takes, and whether it gets there.

use std::time::Duration;

use super::network::NodeId;
use crate::random::Random;

/// The paths between all pairs of nodes. By default packets take no time and none is lost.
#[derive(Clone, Debug)]
pub struct Paths {
    latency: Latency,
    /// 0.0 to 1.0.
    loss: f64,
    random: Random,
    /// Which side of a partition each node is on; nodes not listed are on side 0.
    sides: Vec<u8>,
    lost: u64,
}

/// One way, on top of the delays of both access links.
#[derive(Clone, Debug)]
pub enum Latency {
    /// Always the same.
    Constant(Duration),
    /// Anything between the two. Packets may overtake one another.
    Uniform {
        /// At least.
        min: Duration,
        /// At most.
        max: Duration,
    },
    /// Exponentially distributed, as in Chord's paper. Packets may overtake one another.
    Exponential {
        /// The mean.
        mean: Duration,
    },
    /// By the distance of the nodes' places on a plane.
    Plane {
        /// Each node's place, by its number.
        places: Vec<(f64, f64)>,
        /// For a distance of 1.0.
        unit: Duration,
    },
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It gets through.
    Arrives {
        /// The path's latency.
        after: Duration,
    },
    /// It does not.
    Lost,
}

impl Default for Paths {
    fn default() -> Self {
        Self::new(0, Latency::Constant(Duration::ZERO))
    }
}

impl Paths {
    /// Makes paths that lose nothing.
    #[must_use]
    pub fn new(seed: u64, latency: Latency) -> Self {
        Self { latency, loss: 0.0, random: Random::new(seed, "paths"), sides: Vec::new(), lost: 0 }
    }

    /// Sets the fraction of packets lost, each independently. 0.0 to 1.0.
    #[must_use]
    pub fn with_loss(mut self, loss: f64) -> Self {
        self.loss = loss;
        self
    }

    /// Changes the fraction of packets lost.
    pub fn set_loss(&mut self, loss: f64) {
        self.loss = loss;
    }

    /// Puts a node on a side. From then on packets reach only nodes on the same side; all start on side 0.
    pub fn set_side(&mut self, node: NodeId, side: u8) {
        if self.sides.len() <= node.0 {
            self.sides.resize(node.0 + 1, 0);
        }
        self.sides[node.0] = side;
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.sides.clear();
    }

    /// How many packets were lost, partitions included.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Decides what becomes of the next packet from node to node.
    pub fn fate(&mut self, from: NodeId, to: NodeId) -> Fate {
        let side = |node: NodeId| self.sides.get(node.0).copied().unwrap_or(0);
        let is_lost = side(from) != side(to) || (self.loss > 0.0 && self.random.fraction() < self.loss);
        if is_lost {
            self.lost += 1;
            return Fate::Lost;
        }
        let after = match &self.latency {
            Latency::Constant(latency) => *latency,
            Latency::Uniform { min, max } => *min + (*max - *min).mul_f64(self.random.fraction()),
            Latency::Exponential { mean } => mean.mul_f64(-(1.0 - self.random.fraction()).ln()),
            Latency::Plane { places, unit } => {
                let (a, b) = (places[from.0], places[to.0]);
                unit.mul_f64((a.0 - b.0).hypot(a.1 - b.1))
            }
        };
        Fate::Arrives { after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_cross_no_partition_until_it_is_healed() {
        let mut paths = Paths::default();
        paths.set_side(NodeId(1), 1);
        assert_eq!(paths.fate(NodeId(0), NodeId(1)), Fate::Lost);
        assert_eq!(paths.fate(NodeId(0), NodeId(2)), Fate::Arrives { after: Duration::ZERO });
        paths.heal();
        assert_eq!(paths.fate(NodeId(0), NodeId(1)), Fate::Arrives { after: Duration::ZERO });
        assert_eq!(paths.lost(), 1);
    }

    #[test]
    fn loss_and_latency_have_the_means_asked_for() {
        let mean = Duration::from_millis(50);
        let mut paths = Paths::new(1, Latency::Exponential { mean }).with_loss(0.25);
        let mut total = Duration::ZERO;
        let mut arrived = 0;
        for _ in 0..40_000 {
            if let Fate::Arrives { after } = paths.fate(NodeId(0), NodeId(1)) {
                total += after;
                arrived += 1;
            }
        }
        assert!((29_500..=30_500).contains(&arrived), "{arrived} of 40 000 arrived");
        let measured = total / arrived;
        assert!((49..=51).contains(&measured.as_millis()), "mean latency {measured:?}");
    }
}
