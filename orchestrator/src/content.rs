//! The files that a run distributes.
use std::path::PathBuf;

/// One file of the plan, ready to be distributed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The original; read only for everybody.
    pub path: PathBuf,
    /// Its manifest as JSON.
    pub manifest: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 over all its bytes.
    pub sha256: [u8; 32],
}
