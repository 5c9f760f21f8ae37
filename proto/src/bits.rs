//! A set of small numbers as a bitmap: pieces of a file, leaves of a piece.

use std::fmt;

/// A set of numbers below a fixed length, one bit each.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Bits {
    /// Bits at `len` and above are always 0.
    words: Box<[u64]>,
    len: u32,
    /// How many bits are 1.
    count: u32,
}

/// Pieces of a file.
pub type PieceSet = Bits;

/// Leaves of a piece.
pub type LeafSet = Bits;

impl Bits {
    /// Makes a set of numbers below `len` with nothing in it.
    #[must_use]
    pub fn empty(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize].into(), len, count: 0 }
    }

    /// Makes a set of all numbers below `len`.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut words: Box<[u64]> = vec![u64::MAX; len.div_ceil(64) as usize].into();
        if let Some(last) = words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        Self { words, len, count: len }
    }

    /// Reads the wire form: number 0 is the highest bit of the first byte, as in BEP 3.
    ///
    /// Returns `None` when there are not exactly as many bytes as `len` needs, or a spare bit is 1.
    #[must_use]
    pub fn from_bytes(len: u32, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return None;
        }
        let mut set = Self::empty(len);
        for (word, chunk) in set.words.iter_mut().zip(bytes.chunks(8)) {
            for (at, byte) in chunk.iter().enumerate() {
                *word |= u64::from(byte.reverse_bits()) << (8 * at);
            }
        }
        set.count = set.words.iter().map(|word| word.count_ones()).sum();
        let spare = match (set.words.last(), len % 64) {
            (Some(last), used @ 1..) => last >> used,
            _ => 0,
        };
        (spare == 0).then_some(set)
    }

    /// Returns the wire form, see [`Bits::from_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(self.len.div_ceil(8) as usize).map(u8::reverse_bits).collect()
    }

    /// Adds a number; returns whether it was new. A number at or above the length is ignored.
    pub fn insert(&mut self, number: u32) -> bool {
        if number >= self.len || self.contains(number) {
            return false;
        }
        self.words[number as usize / 64] |= 1 << (number % 64);
        self.count += 1;
        true
    }

    /// Removes a number; returns whether it was there.
    pub fn remove(&mut self, number: u32) -> bool {
        if !self.contains(number) {
            return false;
        }
        self.words[number as usize / 64] &= !(1 << (number % 64));
        self.count -= 1;
        true
    }

    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        number < self.len && self.words[number as usize / 64] >> (number % 64) & 1 == 1
    }

    /// How many numbers there can be.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether all numbers below the length are in the set.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// The numbers in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(self.words.iter()).flat_map(|(at, &word)| ones(word).map(move |bit| 64 * at + bit))
    }

    /// Whether some number is in `self` and not in `other`; sets of different lengths compare over the shorter.
    #[must_use]
    pub fn has_beyond(&self, other: &Bits) -> bool {
        self.words.iter().zip(other.words.iter()).any(|(mine, theirs)| mine & !theirs != 0)
    }

    /// The 64 numbers from `64 * index` on as one word; 0 beyond the end.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// How many words there are.
    pub(crate) fn words(&self) -> usize {
        self.words.len()
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ", self.count, self.len)?;
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The positions of the 1 bits of a word, ascending.
pub(crate) fn ones(word: u64) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
        .take_while(|&rest| rest != 0)
        .map(u64::trailing_zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserting_and_removing_keep_the_count() {
        let mut set = Bits::empty(130);
        assert!(set.insert(0) && set.insert(64) && set.insert(129));
        assert!(!set.insert(129), "twice");
        assert!(!set.insert(130), "beyond the end");
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64, 129]);
        assert!(set.remove(64) && !set.remove(64));
        assert_eq!(set.count(), 2);
    }

    #[test]
    fn full_sets_have_every_number_and_no_more() {
        for len in [0, 1, 63, 64, 65, 128] {
            let set = Bits::full(len);
            assert!(set.is_full());
            assert_eq!(set.iter().count(), len as usize);
            assert_eq!(Bits::from_bytes(len, &set.to_bytes()), Some(set));
        }
    }

    #[test]
    fn the_first_number_is_the_highest_bit_of_the_first_byte() {
        let mut set = Bits::empty(10);
        set.insert(0);
        set.insert(9);
        assert_eq!(set.to_bytes(), [0x80, 0x40]);
    }

    #[test]
    fn wrong_lengths_and_spare_bits_are_refused() {
        assert_eq!(Bits::from_bytes(10, &[0xff]), None);
        assert_eq!(Bits::from_bytes(10, &[0xff, 0xff]), None, "six spare bits are 1");
        assert_eq!(Bits::from_bytes(10, &[0, 0, 0]), None);
    }
}
