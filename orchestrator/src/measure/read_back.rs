//! Reads distributed files back and compares them with the original.
//!
//! Peers verify pieces against the manifest; this check trusts neither peers nor manifest.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

/// Whether the file at `path` has this SHA-256; a file that is not there has none.
///
/// # Errors
///
/// When it is there and cannot be read.
pub fn has_sha256(path: &Path, expected: &[u8; 32]) -> io::Result<bool> {
    match sha256(path) {
        Ok(found) => Ok(found == *expected),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// SHA-256 of the file at `path`.
///
/// # Errors
///
/// When it cannot be read.
pub fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..count]);
    }
}

/// Large enough that system calls do not count, small enough for a cache.
const BUFFER_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_original_is_the_original() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, b"abc").unwrap();
        let original = sha256(&path).unwrap();
        assert!(has_sha256(&path, &original).unwrap());
        std::fs::write(&path, b"abd").unwrap();
        assert!(!has_sha256(&path, &original).unwrap());
        assert!(!has_sha256(&place.path().join("absent"), &original).unwrap());
    }
}
