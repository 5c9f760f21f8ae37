//! Whole swarms in virtual time: the swarm, tracker and announcer cores on a simulated network.
//!
//! The harness does what a driver does: it carries out outputs and reports what came of them, and while doing so checks what
//! must hold of every core at every step. Bad peers are correct cores whose outputs are tampered with (`sim/swarm/carry.rs`).

mod carry;
mod figures;
mod invariants;
mod loss;
mod world;

use std::sync::Arc;
use std::time::Duration;

pub use self::figures::{Costs, Figures};
pub use self::invariants::Watch;
pub use self::world::SwarmSim;
use super::Link;
use crate::bits::PieceSet;
use crate::content::{Manifest, ManifestBuilder};
use crate::random::Random;
pub use crate::swarm::Conduct;
use crate::swarm::Options;

/// One peer of a simulated swarm.
#[derive(Clone, Debug)]
pub struct PeerSpec {
    /// Its access link.
    pub link: Link,
    /// Share of the packets that its link loses, in each direction. 0.0 to below 1.0.
    pub loss: f64,
    /// What it has at the start.
    pub have: Start,
    /// Its options.
    pub options: Options,
    /// Whether it behaves.
    pub conduct: Conduct,
    /// When it joins.
    pub joins: Duration,
}

/// What a peer has at the start.
#[derive(Clone, Debug)]
pub enum Start {
    /// Nothing.
    Empty,
    /// The whole content.
    Whole,
    /// These pieces.
    Pieces(PieceSet),
}

impl PeerSpec {
    /// A correct peer with default options that joins at once.
    #[must_use]
    pub fn new(link: Link, have: Start) -> Self {
        Self { link, loss: 0.0, have, options: Options::default(), conduct: Conduct::Correct, joins: Duration::ZERO }
    }
}

/// A content of random bytes with its manifest.
#[derive(Clone, Debug)]
pub struct Content {
    /// What it consists of.
    pub manifest: Arc<Manifest>,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

impl Content {
    /// Makes `size` random bytes in pieces of `piece_size`.
    ///
    /// # Panics
    /// When the sizes do not make a manifest.
    #[must_use]
    pub fn random(size: usize, piece_size: u32, seed: u64) -> Self {
        let mut random = Random::new(seed, "content");
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            bytes.extend_from_slice(&random.bits().to_le_bytes());
        }
        bytes.truncate(size);
        let mut builder = ManifestBuilder::new("content", piece_size).expect("the caller gives a valid piece size");
        builder.feed(&bytes);
        let manifest = builder.finish().expect("the caller gives a valid size");
        Self { manifest: Arc::new(manifest), bytes: bytes.into() }
    }
}
