//! Files of a distribution: read-only content, and the growing copy of a leecher or client.
//!
//! A growing copy is `<file>.part` until every piece is verified, and is then renamed to `<file>`: no reader ever finds
//! half a file under the final name. All access is positioned and goes through the page cache, so that one thread
//! suffices. What is verified when is the cores' business, except for what is found on disk at the start.

use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use peerbed_proto::{LeafHashes, Manifest, PieceSet};
use rustix::io::{Errno, pwritev};

use crate::storage::layers::WrittenLayers;

mod layers;

/// The bytes of one distribution on this peer's disk.
#[derive(Debug)]
pub(crate) struct Storage {
    manifest: Arc<Manifest>,
    file: File,
    path: PathBuf,
    /// Name that the file gets once it is complete; None when it has had that name from the start.
    becomes: Option<PathBuf>,
    /// Leaf hashes that need not be computed.
    layers: Option<WrittenLayers>,
}

impl Storage {
    /// Opens a file that is complete, for reading only. Its size is checked, its hashes are not.
    ///
    /// # Errors
    ///
    /// When it cannot be read or has another size than the manifest says.
    pub(crate) fn of_content(path: &Path, manifest: Arc<Manifest>) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let size = file.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
        if size != manifest.size() {
            bail!("{} has {size} bytes where its manifest says {}", path.display(), manifest.size());
        }
        Ok(Self { manifest, file, path: path.to_owned(), becomes: None, layers: None })
    }

    /// Takes leaf hashes from a file where they are right, in place of computing them.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) fn with_layers(self, path: &Path) -> anyhow::Result<Self> {
        Ok(Self { layers: Some(WrittenLayers::open(path)?), ..self })
    }

    /// Opens the copy in `directory`, and says which pieces of it are there already. What is on disk from an earlier
    /// process, complete or partial, is verified piece by piece; other peers get their turn in between.
    ///
    /// # Errors
    ///
    /// When the directory or file cannot be made, read or written.
    pub(crate) async fn of_copy(
        directory: &Path,
        file: &str,
        manifest: Arc<Manifest>,
    ) -> anyhow::Result<(Self, PieceSet)> {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let complete = directory.join(file);
        let part = directory.join(format!("{file}.part"));
        if complete.exists() {
            if let Ok(storage) = Self::of_content(&complete, manifest.clone()) {
                let have = storage.verify().await?;
                if have.is_full() {
                    return Ok((storage, have));
                }
            }
            // Not what the manifest says: as good as nothing, but its pieces may still be of use.
            std::fs::rename(&complete, &part).with_context(|| format!("cannot rename {}", complete.display()))?;
        }
        let resumes = part.exists();
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&part);
        let opened = opened.with_context(|| format!("cannot open {}", part.display()))?;
        opened.set_len(manifest.size()).with_context(|| format!("cannot size {}", part.display()))?;
        let storage = Self { manifest, file: opened, path: part, becomes: Some(complete), layers: None };
        let have = if resumes { storage.verify().await? } else { PieceSet::empty(storage.manifest.pieces()) };
        Ok((storage, have))
    }

    /// Writes verified leaves that follow one another in the file, the first at `start`.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails; the message names the file.
    pub(crate) fn write_leaves(&self, start: u64, leaves: &[Bytes]) -> anyhow::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = leaves.iter().map(|leaf| IoSlice::new(leaf)).collect();
        let (mut rest, mut at) = (slices.as_mut_slice(), start);
        while !rest.is_empty() {
            let written = match pwritev(&self.file, rest, at) {
                Ok(0) => Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(written) => Ok(written),
                Err(Errno::INTR) => Ok(0),
                Err(error) => Err(error.into()),
            };
            let written = written.with_context(|| format!("cannot write {}", self.path.display()))?;
            IoSlice::advance_slices(&mut rest, written);
            at += written as u64;
        }
        Ok(())
    }

    /// Reads bytes of the file.
    ///
    /// # Errors
    ///
    /// When the file fails or was shortened by somebody; the message names it.
    pub(crate) fn read(&self, range: Range<u64>) -> anyhow::Result<Bytes> {
        let length = usize::try_from(range.end - range.start).context("more bytes than memory")?;
        let mut bytes = BytesMut::zeroed(length);
        self.file
            .read_exact_at(&mut bytes, range.start)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(bytes.freeze())
    }

    /// The leaf hashes of a piece that is on disk: as they were written down beside the manifest, or computed.
    ///
    /// # Errors
    ///
    /// As [`Storage::read`].
    pub(crate) fn layer(&self, piece: u32) -> anyhow::Result<LeafHashes> {
        let written = self.layers.as_ref().and_then(|layers| layers.read(&self.manifest, piece));
        written.map_or_else(|| self.leaf_hashes(piece), Ok)
    }

    /// Writes one verified piece.
    ///
    /// # Errors
    ///
    /// As [`Storage::write_leaves`].
    pub(crate) fn write_piece(&self, piece: u32, data: Bytes) -> anyhow::Result<()> {
        self.write_leaves(self.manifest.piece_range(piece).start, &[data])
    }

    /// Gives the file its final name, and says which. To be called when every piece is verified and written; a second
    /// call changes nothing.
    ///
    /// The data is not forced to the disk first: a power failure of the host ends the run anyway, and 30 peers that
    /// sync at once would measure the host's disk.
    ///
    /// # Errors
    ///
    /// When the file cannot be renamed.
    pub(crate) fn complete(&self) -> anyhow::Result<PathBuf> {
        let Some(complete) = &self.becomes else { return Ok(self.path.clone()) };
        if self.path.exists() {
            std::fs::rename(&self.path, complete).with_context(|| format!("cannot rename {}", self.path.display()))?;
        }
        Ok(complete.clone())
    }

    /// Computes the leaf hashes of a piece from the bytes on disk.
    fn leaf_hashes(&self, piece: u32) -> anyhow::Result<LeafHashes> {
        Ok(LeafHashes::of_piece(&self.read(self.manifest.piece_range(piece))?))
    }

    async fn verify(&self) -> anyhow::Result<PieceSet> {
        let mut have = PieceSet::empty(self.manifest.pieces());
        let width = self.manifest.leaves_per_piece();
        for piece in 0..self.manifest.pieces() {
            if Some(self.leaf_hashes(piece)?.root(width)) == self.manifest.root(piece) {
                have.insert(piece);
            }
            tokio::task::yield_now().await;
        }
        Ok(have)
    }
}

/// Whether an error says that the disk, the quota or the file-size limit is exhausted.
pub(crate) fn is_out_of_space(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
    })
}
