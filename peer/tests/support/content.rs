//! A file to distribute, and its manifest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use peerbed_proto::Manifest;
use peerbed_proto::content::ManifestBuilder;

pub struct Content {
    pub bytes: Vec<u8>,
    pub path: PathBuf,
    pub manifest: Arc<Manifest>,
    pub manifest_path: PathBuf,
}

impl Content {
    /// Writes a file of bytes that look random and its manifest to a directory.
    pub fn make(directory: &Path, name: &str, size: usize, piece: u32) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(size);
        let mut builder = ManifestBuilder::new(name, piece).unwrap();
        builder.feed(&bytes);
        let manifest = builder.finish().unwrap();
        let path = directory.join(name);
        let manifest_path = directory.join(format!("{name}.manifest.json"));
        std::fs::write(&path, &bytes).unwrap();
        std::fs::write(&manifest_path, serde_json::to_vec(&manifest).unwrap()).unwrap();
        Self { bytes, path, manifest: Arc::new(manifest), manifest_path }
    }
}
