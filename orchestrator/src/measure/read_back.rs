//! Reads distributed files back and compares them with the original.
//!
//! Peers verify leaves against the manifest; this check trusts neither peers nor manifest.

use std::{io, path::Path};

use crate::content;

/// Whether the file at `path` has this SHA-256; a file that is not there has none.
///
/// # Errors
///
/// When it is there and cannot be read.
pub fn has_sha256(path: &Path, expected: &[u8; 32]) -> io::Result<bool> {
    match content::digest(path) {
        Ok(found) => Ok(found == *expected),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_original_is_the_original() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, b"abc").unwrap();
        let original = content::digest(&path).unwrap();
        assert!(has_sha256(&path, &original).unwrap());
        std::fs::write(&path, b"abd").unwrap();
        assert!(!has_sha256(&path, &original).unwrap());
        assert!(!has_sha256(&place.path().join("absent"), &original).unwrap());
    }
}
