//! A leaf's bytes together with their hash, so that the hash can be computed where there is time for it.

use bytes::Bytes;

use crate::hash::Hash;

/// The bytes of a leaf and their SHA-256, which is always right: it is computed when the value is made.
///
/// Hashing is most of what a core does with a leaf. A driver may do it on another thread and hand the result over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedLeaf {
    data: Bytes,
    hash: Hash,
}

impl HashedLeaf {
    /// The bytes.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Their hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The bytes, for keeping.
    #[must_use]
    pub fn into_data(self) -> Bytes {
        self.data
    }
}

impl From<Bytes> for HashedLeaf {
    /// Hashes the bytes.
    fn from(data: Bytes) -> Self {
        let hash = Hash::of(&data);
        Self { data, hash }
    }
}
