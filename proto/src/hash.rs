//! SHA-256 values: how they are computed, printed and written to JSON.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// A SHA-256 value. Printed and serialised as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Hashes bytes.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self(Sha256::digest(data).into())
    }

    /// Hashes two hashes, one after the other: an inner vertex of a Merkle tree.
    #[must_use]
    pub fn of_pair(left: &Hash, right: &Hash) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(left.0);
        hasher.update(right.0);
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * Self::LEN {
            return Err(ParseHashError::Length { digits: digits.len() });
        }
        let mut hash = [0; Self::LEN];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = 16 * digit(pair[0])? + digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Why a text is no hash.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseHashError {
    /// Not 64 digits long.
    #[error("a SHA-256 value has 64 hexadecimal digits, not {digits}")]
    Length {
        /// How many digits there were.
        digits: usize,
    },
    /// A character that is no hexadecimal digit.
    #[error("{0:?} is not a hexadecimal digit")]
    Digit(char),
}

fn digit(byte: u8) -> Result<u8, ParseHashError> {
    let character = char::from(byte);
    let value = character.to_digit(16).ok_or(ParseHashError::Digit(character))?;
    Ok(u8::try_from(value).expect("a hexadecimal digit is below 16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_text_has_its_well_known_hash() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Hash::of(b"").to_string(), expected);
        assert_eq!(expected.parse(), Ok(Hash::of(b"")));
    }

    #[test]
    fn wrong_texts_are_refused() {
        assert_eq!("12".parse::<Hash>(), Err(ParseHashError::Length { digits: 2 }));
        assert_eq!("g".repeat(64).parse::<Hash>(), Err(ParseHashError::Digit('g')));
    }
}
