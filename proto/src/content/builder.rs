//! Making a manifest from a file's bytes, read once from front to back.

use super::{LeafHashes, Manifest, ManifestError, check_piece_size};
use crate::hash::Hash;

/// Computes a [`Manifest`] from sequential bytes. Holds at most one piece.
#[derive(Debug)]
pub struct ManifestBuilder {
    name: String,
    piece_size: u32,
    size: u64,
    /// Bytes of the piece that is not complete yet.
    partial: Vec<u8>,
    pieces: Vec<Hash>,
    /// The hashes of all leaves so far: 2 MiB for each GiB of the file.
    leaves: Vec<Hash>,
}

impl ManifestBuilder {
    /// Starts a manifest.
    ///
    /// # Errors
    /// [`ManifestError::PieceSize`] when the piece size is no power of two from 16 KiB to 16 MiB.
    pub fn new(name: impl Into<String>, piece_size: u32) -> Result<Self, ManifestError> {
        check_piece_size(piece_size)?;
        Ok(Self { name: name.into(), piece_size, size: 0, partial: Vec::new(), pieces: Vec::new(), leaves: Vec::new() })
    }

    /// Adds the file's next bytes, any number of them.
    pub fn feed(&mut self, mut data: &[u8]) {
        self.size += data.len() as u64;
        while !data.is_empty() {
            let missing = self.piece_size as usize - self.partial.len();
            let (now, rest) = data.split_at(missing.min(data.len()));
            self.partial.extend_from_slice(now);
            data = rest;
            if self.partial.len() == self.piece_size as usize {
                self.end_piece();
            }
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`ManifestError::Size`] when no byte was fed or the file has too many pieces.
    pub fn finish(self) -> Result<Manifest, ManifestError> {
        self.finish_with_leaves().map(|(manifest, _)| manifest)
    }

    /// Ends the file; also returns the hashes of its leaves, in the file's order. A seed that has them need not read and hash
    /// a piece to tell its leaf layer.
    ///
    /// # Errors
    /// As [`ManifestBuilder::finish`].
    pub fn finish_with_leaves(mut self) -> Result<(Manifest, Vec<Hash>), ManifestError> {
        if !self.partial.is_empty() {
            self.end_piece();
        }
        let manifest = Manifest::new(self.name, self.size, self.piece_size, self.pieces)?;
        Ok((manifest, self.leaves))
    }

    fn end_piece(&mut self) {
        let width = (self.piece_size / super::LEAF) as u16;
        let layer = LeafHashes::of_piece(&self.partial);
        self.pieces.push(layer.root(width));
        self.leaves.extend_from_slice(layer.hashes());
        self.partial.clear();
    }
}
