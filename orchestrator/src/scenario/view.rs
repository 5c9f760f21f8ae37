//! How far a distribution is, as displays and conditions see it.

use std::collections::BTreeSet;

use peerbed_proto::{id::PeerId, time::Time};

use super::{Distribution, Phase};
use crate::plan::Via;

/// One distribution at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The name that expectations use.
    pub name: String,
    /// `swarm` or `client-server`.
    pub via: &'static str,
    /// How far it is.
    pub phase: Phase,
    /// The common begin, once it is fixed.
    pub begun: Option<Time>,
    /// Pieces that the required peers have.
    pub pieces_done: u64,
    /// Pieces that the required peers want.
    pub pieces: u64,
    /// Required peers that have completed.
    pub peers_done: usize,
    /// Required peers.
    pub peers: usize,
}

impl View {
    pub(super) fn of(distribution: &Distribution, required: &BTreeSet<PeerId>) -> Self {
        Self {
            name: distribution.spec().name.clone(),
            via: via(distribution.via()),
            phase: distribution.phase(),
            begun: distribution.begun(),
            pieces_done: required.iter().map(|peer| u64::from(distribution.have(*peer))).sum(),
            pieces: required.len() as u64 * u64::from(distribution.pieces()),
            peers_done: required.iter().filter(|peer| distribution.has_completed(**peer)).count(),
            peers: required.len(),
        }
    }

    /// Share of the wanted pieces that are there, 0 to 1; 0 before the begin.
    #[must_use]
    pub fn progress(&self) -> f64 {
        if self.phase == Phase::Waiting {
            0.0
        } else if self.pieces == 0 {
            1.0
        } else {
            self.pieces_done as f64 / self.pieces as f64
        }
    }
}

/// The word that files and messages have for a way to spread a file.
pub(crate) fn via(via: Via) -> &'static str {
    match via {
        Via::Swarm => "swarm",
        Via::ClientServer => "client-server",
    }
}
