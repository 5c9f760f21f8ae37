//! The one source of randomness of a core.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A random generator whose stream depends on nothing but a seed and a purpose.
///
/// Xoshiro256++ seeded by SHA-256 over the master seed and the purpose's text, so that two purposes of one run never
/// share a stream and adding a purpose leaves the others unchanged. Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Makes the generator for one purpose of a run, for example `swarm d0 peer 3`.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(seed.to_le_bytes());
        hasher.update(purpose.as_bytes());
        Self(Xoshiro256PlusPlus::from_seed(hasher.finalize().into()))
    }

    /// Returns 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Multiply-shift; its bias is below 2^-40 for every `end` a core uses.
        let wide = u128::from(self.bits()) * (end as u128);
        usize::try_from(wide >> 64).expect("the high half is below `end`")
    }

    /// Returns a number in 0.0..1.0.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Picks one of the items; `None` when there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len());
        items.get(index)
    }

    /// Puts the items into random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            items.swap(end - 1, self.below(end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_repeats_its_stream_and_differs_from_others() {
        let stream = |purpose| -> Vec<u64> {
            let mut random = Random::new(7, purpose);
            (0..4).map(|_| random.bits()).collect()
        };
        assert_eq!(stream("peer 1"), stream("peer 1"));
        assert_ne!(stream("peer 1"), stream("peer 2"));
    }

    #[test]
    fn numbers_below_an_end_reach_every_value_and_never_the_end() {
        let mut random = Random::new(1, "below");
        let mut seen = [0; 5];
        (0..1_000).for_each(|_| seen[random.below(5)] += 1);
        assert!(seen.iter().all(|&count| (140..=260).contains(&count)), "{seen:?} is far from 200 each");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn shuffling_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Random::new(3, "shuffle").shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
