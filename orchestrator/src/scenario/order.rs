//! What the scenario asks of whoever carries it out.

use peerbed_peer::ring_control::{RingCommand, Start};
use peerbed_proto::{PeerId, Time};

use super::Change;
use crate::plan::MoveKind;

/// What somebody else shall do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Note that a step has begun.
    StepBegun {
        /// Index of the step in the plan.
        step: usize,
    },
    /// Note that a step has ended.
    StepEnded {
        /// Index of the step in the plan.
        step: usize,
    },
    /// Note that a peer goes or comes back by a churn; what is to be done about it is another order.
    Moved {
        /// Index of the churn's step in the plan.
        step: usize,
        /// Who.
        peer: PeerId,
        /// How.
        what: MoveKind,
    },
    /// Bring up these processes; report each with [`super::Scenario::handle_ready`].
    Start {
        /// Who.
        peers: Vec<PeerId>,
    },
    /// Kill these processes; report each with [`super::Scenario::handle_exited`].
    Kill {
        /// Who.
        peers: Vec<PeerId>,
    },
    /// Ask these processes to leave; report each with [`super::Scenario::handle_exited`].
    Leave {
        /// Who.
        peers: Vec<PeerId>,
    },
    /// Let these peers make ready for a distribution; report each with [`super::Scenario::handle_prepared`].
    Prepare {
        /// Index in the order of the plan.
        distribution: usize,
        /// Who.
        peers: Vec<PeerId>,
    },
    /// Tell these peers to begin at one instant.
    Begin {
        /// Index in the order of the plan.
        distribution: usize,
        /// Who.
        peers: Vec<PeerId>,
        /// When.
        at: Time,
    },
    /// Note that a distribution is left out: this host lacks the programs for it.
    LeaveOut {
        /// Index in the order of the plan.
        distribution: usize,
        /// What is lacking.
        why: String,
    },
    /// Let a peer enter a ring; what it reports then goes to [`super::Scenario::handle_ring`].
    EnterRing {
        /// Index of the ring in the plan.
        ring: usize,
        /// Who.
        peer: PeerId,
        /// As what.
        start: Start,
    },
    /// Ask a ring something by way of this peer; what it reports then goes to [`super::Scenario::handle_ring`].
    Ask {
        /// Who is asked.
        peer: PeerId,
        /// What.
        command: RingCommand,
    },
    /// Change the network, or stop processes or let them go on; report with [`super::Scenario::handle_changed`] when it has
    /// been done. Whether it has bitten need not be known by then.
    Change {
        /// Index of the step in the plan.
        step: usize,
        /// What.
        change: Change,
    },
    /// End a distribution at its participants, read the finished files back, and report with
    /// [`super::Scenario::handle_closed`].
    Close {
        /// Index in the order of the plan.
        distribution: usize,
        /// Participants that still run.
        peers: Vec<PeerId>,
        /// Peers that completed.
        completed: Vec<PeerId>,
    },
}
