//! What a file is to the protocols: a manifest of piece roots, cut into pieces and 16 KiB leaves.
//!
//! Hash trees are in `content/merkle.rs`, making a manifest from bytes in `content/builder.rs`. Files are the driver's.

mod builder;
mod leaf;
mod merkle;

use std::fmt;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::builder::ManifestBuilder;
pub use self::leaf::HashedLeaf;
pub(crate) use self::merkle::decode_layer;
pub use self::merkle::{LayerError, LeafHashes};
use crate::hash::Hash;
use crate::wire::{Encode, put_varint};

/// Bytes of a leaf, the unit of transfer and verification: 16 KiB, BitTorrent's block and BEP 52's leaf.
/// Only a file's last leaf is shorter.
pub const LEAF: u32 = 16 * 1024;

/// Most leaves a piece has: that of the largest piece size.
pub const LEAVES_MAX: u16 = (PIECE_SIZE_MAX / LEAF) as u16;

/// The largest piece, 16 MiB as in common BitTorrent clients.
pub const PIECE_SIZE_MAX: u32 = 16 * 1024 * 1024;

/// Most pieces a file has: 2^20, so that a bitfield stays within 128 KiB.
pub const PIECES_MAX: u32 = 1 << 20;

/// What a file consists of: its name, size, and one SHA-256 Merkle root per piece.
///
/// The root of a piece is that of BEP 52's `pieces root` layer: SHA-256 over each 16 KiB leaf, missing leaves count as a
/// zero hash, the tree always as wide as a whole piece. Immutable once made; every value satisfies [`ManifestError`]'s rules.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "AsWritten", try_from = "AsWritten")]
pub struct Manifest {
    name: String,
    size: u64,
    piece_size: u32,
    pieces: Vec<Hash>,
}

impl Manifest {
    /// Makes a manifest of parts.
    ///
    /// # Errors
    /// When the parts do not fit together, see [`ManifestError`].
    pub fn new(name: String, size: u64, piece_size: u32, pieces: Vec<Hash>) -> Result<Self, ManifestError> {
        check_piece_size(piece_size)?;
        let needed = size.div_ceil(u64::from(piece_size));
        if size == 0 || needed > u64::from(PIECES_MAX) {
            return Err(ManifestError::Size { size, piece_size });
        }
        if needed != pieces.len() as u64 {
            return Err(ManifestError::PieceCount { needed, given: pieces.len() });
        }
        Ok(Self { name, size, piece_size, pieces })
    }

    /// The file's name, without directories.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's size in bytes, at least 1.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of every piece but the last: a power of two from 16 KiB to 16 MiB.
    #[must_use]
    pub fn piece_size(&self) -> u32 {
        self.piece_size
    }

    /// How many pieces there are, 1 to [`PIECES_MAX`].
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.pieces.len() as u32
    }

    /// The Merkle root of a piece; `None` beyond the last.
    #[must_use]
    pub fn root(&self, piece: u32) -> Option<Hash> {
        self.pieces.get(piece as usize).copied()
    }

    /// Bytes of a piece; 0 beyond the last.
    #[must_use]
    pub fn piece_len(&self, piece: u32) -> u32 {
        let range = self.piece_range(piece);
        (range.end - range.start) as u32
    }

    /// Where a piece lies in the file, in bytes; empty beyond the last.
    #[must_use]
    pub fn piece_range(&self, piece: u32) -> Range<u64> {
        let start = u64::from(piece) * u64::from(self.piece_size);
        start.min(self.size)..(start + u64::from(self.piece_size)).min(self.size)
    }

    /// Leaves of a whole piece, which is also the width of every piece's hash tree.
    #[must_use]
    pub fn leaves_per_piece(&self) -> u16 {
        (self.piece_size / LEAF) as u16
    }

    /// Leaves of a piece; 0 beyond the last.
    #[must_use]
    pub fn leaves_in(&self, piece: u32) -> u16 {
        self.piece_len(piece).div_ceil(LEAF) as u16
    }

    /// Bytes of a leaf; 0 beyond the last.
    #[must_use]
    pub fn leaf_len(&self, piece: u32, leaf: u16) -> u32 {
        let range = self.leaf_range(piece, leaf);
        (range.end - range.start) as u32
    }

    /// Where a leaf lies in the file, in bytes; empty when there is no such leaf.
    #[must_use]
    pub fn leaf_range(&self, piece: u32, leaf: u16) -> Range<u64> {
        let piece = self.piece_range(piece);
        let start = (piece.start + u64::from(leaf) * u64::from(LEAF)).min(piece.end);
        start..(start + u64::from(LEAF)).min(piece.end)
    }

    /// What names the content among all contents: SHA-256 over the manifest's wire form.
    #[must_use]
    pub fn id(&self) -> ContentId {
        ContentId(Hash::of(&Encode::to_bytes(self)))
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, size, piece_size, pieces } = self;
        write!(f, "Manifest({name:?}, {size} bytes in {} pieces of {piece_size})", pieces.len())
    }
}

impl Encode for Manifest {
    fn encode(&self, out: &mut BytesMut) {
        put_varint(out, self.name.len() as u64);
        out.put_slice(self.name.as_bytes());
        put_varint(out, self.size);
        put_varint(out, u64::from(self.piece_size));
        self.pieces.iter().for_each(|root| root.encode(out));
    }
}

/// What names a content: SHA-256 over its encoded manifest. Two distributions of one file share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentId(pub Hash);

impl crate::wire::Decode for ContentId {
    fn decode(input: &mut Bytes) -> Result<Self, crate::wire::DecodeError> {
        Hash::decode(input).map(Self)
    }
}

impl Encode for ContentId {
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

/// Why parts do not make a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// The piece size is no power of two from 16 KiB to 16 MiB.
    #[error("piece size {piece_size} is not a power of two from 16 KiB to 16 MiB")]
    PieceSize {
        /// The size given, in bytes.
        piece_size: u32,
    },
    /// The file is empty, or needs more than [`PIECES_MAX`] pieces.
    #[error("a file of {size} bytes cannot be cut into 1 to {PIECES_MAX} pieces of {piece_size} bytes")]
    Size {
        /// The file's size in bytes.
        size: u64,
        /// The piece size in bytes.
        piece_size: u32,
    },
    /// The number of piece roots does not match size and piece size.
    #[error("{given} piece roots where the size asks for {needed}")]
    PieceCount {
        /// How many the size asks for.
        needed: u64,
        /// How many there were.
        given: usize,
    },
}

/// The manifest file's JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AsWritten {
    name: String,
    size: u64,
    piece_size: u32,
    pieces: Vec<Hash>,
}

impl From<Manifest> for AsWritten {
    fn from(manifest: Manifest) -> Self {
        let Manifest { name, size, piece_size, pieces } = manifest;
        Self { name, size, piece_size, pieces }
    }
}

impl TryFrom<AsWritten> for Manifest {
    type Error = ManifestError;

    fn try_from(written: AsWritten) -> Result<Self, ManifestError> {
        Self::new(written.name, written.size, written.piece_size, written.pieces)
    }
}

fn check_piece_size(piece_size: u32) -> Result<(), ManifestError> {
    if piece_size.is_power_of_two() && (LEAF..=PIECE_SIZE_MAX).contains(&piece_size) {
        return Ok(());
    }
    Err(ManifestError::PieceSize { piece_size })
}

#[cfg(test)]
mod tests;
