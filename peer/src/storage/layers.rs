//! Leaf hashes that somebody wrote down when the manifest was made, so that a seed need not compute them.
//!
//! They are as good as the manifest's roots say: what does not lead there counts as not written.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use peerbed_proto::{Hash, LeafHashes, Manifest};

/// A file of leaf hashes: 32 bytes for each leaf of the content, in its order.
#[derive(Debug)]
pub(super) struct WrittenLayers {
    file: File,
}

impl WrittenLayers {
    /// Opens the file. Nothing is read yet.
    ///
    /// # Errors
    ///
    /// When it cannot be opened; the message names it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { file })
    }

    /// The leaf layer of a piece; none where the file says too little or something else than the manifest.
    pub(super) fn read(&self, manifest: &Manifest, piece: u32) -> Option<LeafHashes> {
        let mut bytes = vec![0; usize::from(manifest.leaves_in(piece)) * Hash::LEN];
        let leaves_before = u64::from(piece) * u64::from(manifest.leaves_per_piece());
        self.file.read_exact_at(&mut bytes, leaves_before * Hash::LEN as u64).ok()?;
        let (hashes, _) = bytes.as_chunks();
        let hashes: Vec<Hash> = hashes.iter().copied().map(Hash).collect();
        LeafHashes::verify(manifest, piece, &hashes).ok()
    }
}

#[cfg(test)]
mod tests {
    use peerbed_proto::content::ManifestBuilder;

    use super::*;

    #[test]
    fn a_written_layer_is_believed_only_where_it_leads_to_the_manifests_root() {
        let (place, manifest, leaves) = written();
        let mut bytes: Vec<u8> = leaves.iter().flat_map(|hash| hash.0).collect();
        let layers = write(place.path(), &bytes);
        assert_eq!(layers.read(&manifest, 0).unwrap().hashes(), &leaves[..2]);
        assert_eq!(layers.read(&manifest, 1).unwrap().hashes(), &leaves[2..], "the last piece is shorter");
        assert_eq!(layers.read(&manifest, 2), None, "there is no such piece");

        bytes[33] ^= 1;
        let layers = write(place.path(), &bytes);
        assert_eq!(layers.read(&manifest, 0), None);
        assert!(layers.read(&manifest, 1).is_some());
    }

    #[test]
    fn a_file_that_is_too_short_says_nothing_about_what_it_lacks() {
        let (place, manifest, leaves) = written();
        let bytes: Vec<u8> = leaves[..2].iter().flat_map(|hash| hash.0).collect();
        let layers = write(place.path(), &bytes);
        assert!(layers.read(&manifest, 0).is_some());
        assert_eq!(layers.read(&manifest, 1), None);
        assert!(WrittenLayers::open(&place.path().join("absent")).is_err());
    }

    /// A piece of two leaves and one of one.
    fn written() -> (tempfile::TempDir, Manifest, Vec<Hash>) {
        let mut builder = ManifestBuilder::new("file", 32 << 10).unwrap();
        builder.feed(&[7; 40_000]);
        let (manifest, leaves) = builder.finish_with_leaves().unwrap();
        (tempfile::tempdir().unwrap(), manifest, leaves)
    }

    fn write(place: &Path, bytes: &[u8]) -> WrittenLayers {
        let path = place.join("file.leaves");
        std::fs::write(&path, bytes).unwrap();
        WrittenLayers::open(&path).unwrap()
    }
}
