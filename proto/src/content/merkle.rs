//! The hash tree of one piece: its layer of leaf hashes, and the root the manifest holds (BEP 52).

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::{LEAF, Manifest};
use crate::hash::Hash;
use crate::wire::{Decode, Encode};

/// The leaf layer of one piece: the SHA-256 of each of its leaves, in order. At least one, at most 1 024.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafHashes(Box<[Hash]>);

impl LeafHashes {
    /// Hashes the leaves of a whole piece's bytes.
    #[must_use]
    pub fn of_piece(data: &[u8]) -> Self {
        Self(data.chunks(LEAF as usize).map(Hash::of).collect())
    }

    /// Accepts a layer that came from elsewhere, if it is the one the manifest's root stands for.
    ///
    /// # Errors
    /// [`LayerError`] when it has the wrong number of hashes or another root.
    pub fn verify(manifest: &Manifest, piece: u32, layer: &[Hash]) -> Result<Self, LayerError> {
        let needed = manifest.leaves_in(piece);
        if needed == 0 || layer.len() != usize::from(needed) {
            return Err(LayerError::Length { needed, given: layer.len() });
        }
        let layer = Self(layer.into());
        match manifest.root(piece) {
            Some(root) if layer.root(manifest.leaves_per_piece()) == root => Ok(layer),
            _ => Err(LayerError::Root { piece }),
        }
    }

    /// The root of the tree `width` leaves wide; leaves the piece does not have count as a zero hash.
    #[must_use]
    pub fn root(&self, width: u16) -> Hash {
        let mut row = self.0.to_vec();
        let mut padding = Hash::default();
        let mut width = usize::from(width);
        while width > 1 {
            if !row.len().is_multiple_of(2) {
                row.push(padding);
            }
            row = row.chunks_exact(2).map(|pair| Hash::of_pair(&pair[0], &pair[1])).collect();
            padding = Hash::of_pair(&padding, &padding);
            width /= 2;
        }
        row.first().copied().unwrap_or(padding)
    }

    /// Whether bytes with this hash are the leaf's.
    #[must_use]
    pub fn verify_leaf(&self, leaf: u16, hash: Hash) -> bool {
        self.0.get(usize::from(leaf)) == Some(&hash)
    }

    /// The hashes, in leaf order.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }
}

impl Encode for LeafHashes {
    fn encode(&self, out: &mut BytesMut) {
        self.0.iter().for_each(|hash| hash.encode(out));
    }
}

/// Takes `count` hashes off the front of `input`; they still have to be verified.
pub(crate) fn decode_layer(input: &mut Bytes, count: u16) -> Result<Vec<Hash>, crate::wire::DecodeError> {
    (0..count).map(|_| Hash::decode(input)).collect()
}

/// Why hashes are not the leaf layer of a piece.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayerError {
    /// Not one hash per leaf.
    #[error("{given} hashes for {needed} leaves")]
    Length {
        /// How many leaves the piece has; 0 when there is no such piece.
        needed: u16,
        /// How many hashes there were.
        given: usize,
    },
    /// They lead to another root than the manifest's.
    #[error("leaf hashes do not lead to the root of piece {piece}")]
    Root {
        /// The piece.
        piece: u32,
    },
}
