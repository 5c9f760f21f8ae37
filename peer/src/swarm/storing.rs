//! Verified leaves on their way to the disk: those that lie next to each other are written at once.
//!
//! A leaf by itself costs a call into the kernel, and memory of the page cache in pieces of its size; on a fast path both
//! are dearer than the copying. The driver writes everything before it waits for the next thing to happen, so that nobody
//! reads what is not written, and on a thin link each leaf is written as it comes.

use bytes::Bytes;

use crate::storage::Storage;

/// Leaves that follow one another in the file and are not written yet; at most [`LEAVES_MAX`].
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    leaves: Vec<Bytes>,
    /// Where the first begins and the last ends, in bytes of the file.
    start: u64,
    end: u64,
}

impl Unwritten {
    /// Takes a verified leaf that begins at `start`. What it does not continue is written first.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails.
    pub(super) fn add(&mut self, storage: &Storage, start: u64, data: Bytes) -> anyhow::Result<()> {
        if self.end != start || self.leaves.len() >= LEAVES_MAX {
            self.write(storage)?;
        }
        if self.leaves.is_empty() {
            self.start = start;
        }
        self.end = start + data.len() as u64;
        self.leaves.push(data);
        Ok(())
    }

    /// Writes what is there.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails.
    pub(super) fn write(&mut self, storage: &Storage) -> anyhow::Result<()> {
        if !self.leaves.is_empty() {
            storage.write_leaves(self.start, &self.leaves)?;
            self.leaves.clear();
        }
        Ok(())
    }
}

/// A megabyte, a whole piece of most sizes; the kernel takes up to 1 024 parts at once.
const LEAVES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use peerbed_proto::LEAF;
    use peerbed_proto::content::ManifestBuilder;

    use super::*;

    #[tokio::test]
    async fn leaves_are_in_the_file_in_their_places_once_written_whatever_order_they_came_in() {
        let place = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..150 * LEAF as usize + 5).map(|at| (at / 999) as u8).collect();
        let storage = storage(place.path(), &content).await;
        let mut unwritten = Unwritten::default();
        let leaves: Vec<(u64, &[u8])> =
            content.chunks(LEAF as usize).enumerate().map(|(at, leaf)| (at as u64 * u64::from(LEAF), leaf)).collect();
        // Two leaves, then the rest from the back in strides that are too long to be written at once.
        let (first, rest) = leaves.split_at(2);
        let strides = rest.rchunks(70).flatten();
        for &(start, leaf) in first.iter().chain(strides) {
            unwritten.add(&storage, start, Bytes::copy_from_slice(leaf)).unwrap();
        }
        assert!(unwritten.leaves.len() <= LEAVES_MAX && !unwritten.leaves.is_empty());
        unwritten.write(&storage).unwrap();
        assert!(unwritten.leaves.is_empty());
        assert_eq!(storage.read(0..content.len() as u64).unwrap(), content);
    }

    async fn storage(place: &Path, content: &[u8]) -> Storage {
        let mut builder = ManifestBuilder::new("file", 4 * LEAF).unwrap();
        builder.feed(content);
        Storage::of_copy(place, "file", Arc::new(builder.finish().unwrap())).await.unwrap().0
    }
}
