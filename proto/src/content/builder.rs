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
}

impl ManifestBuilder {
    /// Starts a manifest.
    ///
    /// # Errors
    /// [`ManifestError::PieceSize`] when the piece size is no power of two from 16 KiB to 16 MiB.
    pub fn new(name: impl Into<String>, piece_size: u32) -> Result<Self, ManifestError> {
        check_piece_size(piece_size)?;
        Ok(Self { name: name.into(), piece_size, size: 0, partial: Vec::new(), pieces: Vec::new() })
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
    pub fn finish(mut self) -> Result<Manifest, ManifestError> {
        if !self.partial.is_empty() {
            self.end_piece();
        }
        Manifest::new(self.name, self.size, self.piece_size, self.pieces)
    }

    fn end_piece(&mut self) {
        let width = (self.piece_size / super::LEAF) as u16;
        self.pieces.push(LeafHashes::of_piece(&self.partial).root(width));
        self.partial.clear();
    }
}
