//! Operations that change a testbed while the scenario is played: links, partitions, stopped processes.
//!
//! Each returns when the change has been made. Whether it has bitten is found out by `prove`.

use peerbed_proto::id::PeerId;

use super::Testbed;
use crate::{
    links::{course::Figures, traces::Move, user::Losses},
    plan::{LinkChange, Partition},
};

impl Testbed {
    /// Gives links other figures, and looks whether the engine has them: the kernel's disciplines are read back, the
    /// user engine is asked for its settings. How many directions of links were looked at.
    ///
    /// # Errors
    ///
    /// When the engine refuses, or has not what it was given.
    pub async fn change_links(&self, changes: &[LinkChange]) -> anyhow::Result<usize> {
        match self {
            Self::Real(real) => real.supervised().await.get()?.change_links(changes).await,
        }
    }

    /// Takes links to where their traces are.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub async fn follow(&self, moves: Vec<Move>) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.supervised().await.get()?.follow(moves).await,
        }
    }

    /// What holds for a peer's link now, up and down.
    ///
    /// # Errors
    ///
    /// When there is no such peer.
    pub async fn link_figures(&self, peer: PeerId) -> anyhow::Result<[Figures; 2]> {
        match self {
            Self::Real(real) => real.supervised().await.get()?.figures(peer).await,
        }
    }

    /// Cuts sets of peers off from each other. Packets that have reached their receiver's link still arrive.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub async fn cut(&self, partition: &Partition) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.supervised().await.get()?.cut(partition).await,
        }
    }

    /// Ends the partition of this name; without one nothing happens.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub async fn heal(&self, partition: &str) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.supervised().await.get()?.heal(partition).await,
        }
    }

    /// What partitions and links that are down have lost so far.
    ///
    /// # Errors
    ///
    /// When the engine does not tell.
    pub async fn losses(&self) -> anyhow::Result<Losses> {
        match self {
            Self::Real(real) => real.supervised().await.get()?.losses().await,
        }
    }

    /// Stops the processes of `peers` where they are; returns when the kernel shows all of them as stopped.
    ///
    /// Until [`Testbed::resume`] they are up and answer nothing. What they are told meanwhile waits: preparing and
    /// beginning are told when they go on, and so is the end of a distribution, which returns at once.
    ///
    /// # Errors
    ///
    /// The first peer that is down or does not stop.
    pub async fn pause(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.pause(peers).await,
        }
    }

    /// Lets the processes of paused peers go on; returns when each of them answers.
    ///
    /// # Errors
    ///
    /// The first peer that does not answer.
    pub async fn resume(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        match self {
            Self::Real(real) => real.resume(peers).await,
        }
    }
}
