//! How many neighbours have each piece, kept up to date piece by piece, and the rarest one a neighbour can give.

use crate::bits::{PieceSet, ones};
use crate::random::Random;

/// Counts holders of every piece and sorts the pieces nobody of us has begun by that count.
///
/// A neighbour that has only some leaves of a piece counts as a holder: it soon passes them on, and everybody fetching the
/// same piece from the seed would waste the seed's time.
#[derive(Debug)]
pub(super) struct Availability {
    holders: Vec<u16>,
    /// Pieces we lack and have not begun, by number of holders up to [`LEVEL_MAX`]. A piece is in at most one level.
    levels: Vec<PieceSet>,
}

impl Availability {
    /// Starts with no neighbours; every piece not in `have` is waiting to be begun.
    pub(super) fn new(have: &PieceSet) -> Self {
        let mut waiting = PieceSet::full(have.len());
        have.iter().for_each(|piece| {
            waiting.remove(piece);
        });
        Self { holders: vec![0; have.len() as usize], levels: vec![waiting] }
    }

    /// A neighbour has the piece, or a leaf of it.
    pub(super) fn add(&mut self, piece: u32) {
        self.shift(piece, self.holders[piece as usize].saturating_add(1));
    }

    /// A neighbour that counted as a holder is gone.
    pub(super) fn subtract(&mut self, piece: u32) {
        self.shift(piece, self.holders[piece as usize].saturating_sub(1));
    }

    /// We begin the piece, or have it.
    pub(super) fn begin(&mut self, piece: u32) {
        let level = self.level(piece);
        self.levels[level].remove(piece);
    }

    /// We gave the piece up before a leaf came.
    pub(super) fn put_back(&mut self, piece: u32) {
        let level = self.level(piece);
        self.levels[level].insert(piece);
    }

    /// How many neighbours have the piece or some of it.
    pub(super) fn holders(&self, piece: u32) -> u16 {
        self.holders[piece as usize]
    }

    /// Whether the piece waits to be begun.
    pub(super) fn is_waiting(&self, piece: u32) -> bool {
        self.levels.get(level_of(self.holders(piece))).is_some_and(|level| level.contains(piece))
    }

    /// One of the rarest waiting pieces that are in `offered`; of equals any, or the first where nothing is left to
    /// chance.
    ///
    /// Costs a word operation per 64 pieces and level looked at, not a step per piece.
    pub(super) fn rarest(&self, offered: &PieceSet, mut random: Option<&mut Random>) -> Option<u32> {
        let words = offered.words();
        let start = random.as_mut().map_or(0, |random| random.below(words));
        for level in self.levels.iter().filter(|level| !level.is_empty()) {
            for at in (start..words).chain(0..start) {
                let both = level.word(at) & offered.word(at);
                if both != 0 {
                    return one_of(at, both, random);
                }
            }
        }
        None
    }

    /// A waiting piece that is in `offered`, however rare; the first where nothing is left to chance.
    pub(super) fn any(&self, offered: &PieceSet, mut random: Option<&mut Random>) -> Option<u32> {
        let words = offered.words();
        let start = random.as_mut().map_or(0, |random| random.below(words));
        for at in (start..words).chain(0..start) {
            let waiting = self.levels.iter().fold(0, |word, level| word | level.word(at));
            let both = waiting & offered.word(at);
            if both != 0 {
                return one_of(at, both, random);
            }
        }
        None
    }

    fn shift(&mut self, piece: u32, holders: u16) {
        let (from, to) = (self.level(piece), level_of(holders));
        self.holders[piece as usize] = holders;
        if from != to && self.levels[from].remove(piece) {
            let level = self.level(piece);
            self.levels[level].insert(piece);
        }
    }

    /// The level a piece belongs to, made if need be.
    fn level(&mut self, piece: u32) -> usize {
        let level = level_of(self.holders(piece));
        while self.levels.len() <= level {
            self.levels.push(PieceSet::empty(self.holders.len() as u32));
        }
        level
    }
}

/// Pieces with more holders than this are equally common.
const LEVEL_MAX: u16 = 40;

/// A piece of those in one word: any, or the first where nothing is left to chance.
fn one_of(at: usize, word: u64, random: Option<&mut Random>) -> Option<u32> {
    let nth = random.map_or(0, |random| random.below(word.count_ones() as usize));
    ones(word).nth(nth).map(|bit| 64 * at as u32 + bit)
}

fn level_of(holders: u16) -> usize {
    usize::from(holders.min(LEVEL_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_offered_piece_comes_first() {
        let mut availability = Availability::new(&PieceSet::empty(200));
        (0..200).for_each(|piece| availability.add(piece));
        (0..199).filter(|piece| *piece != 70).for_each(|piece| availability.add(piece));
        let mut random = Random::new(1, "test");
        let mut offered = PieceSet::full(200);
        offered.remove(199);
        assert_eq!(availability.rarest(&offered, Some(&mut random)), Some(70));

        availability.begin(70);
        let next = availability.rarest(&offered, Some(&mut random)).unwrap();
        assert_eq!(availability.holders(next), 2);
        availability.put_back(70);
        assert_eq!(availability.rarest(&offered, Some(&mut random)), Some(70));
    }

    #[test]
    fn ties_are_broken_by_chance() {
        let mut availability = Availability::new(&PieceSet::empty(130));
        (0..130).for_each(|piece| availability.add(piece));
        let offered = PieceSet::full(130);
        let picks: std::collections::BTreeSet<_> =
            (0..200).filter_map(|seed| availability.rarest(&offered, Some(&mut Random::new(seed, "tie")))).collect();
        assert!(picks.len() > 60, "only {} different ones of 130", picks.len());
    }

    #[test]
    fn pieces_we_have_or_have_begun_are_never_named() {
        let mut have = PieceSet::empty(3);
        have.insert(0);
        let mut availability = Availability::new(&have);
        (0..3).for_each(|piece| availability.add(piece));
        availability.begin(1);
        let mut random = Random::new(1, "test");
        assert_eq!(availability.rarest(&PieceSet::full(3), Some(&mut random)), Some(2));
        assert!(availability.is_waiting(2) && !availability.is_waiting(1));
        availability.begin(2);
        (0..3).for_each(|piece| availability.subtract(piece));
        assert_eq!(availability.rarest(&PieceSet::full(3), Some(&mut random)), None);
    }

    #[test]
    fn counts_beyond_the_last_level_are_kept() {
        let mut availability = Availability::new(&PieceSet::empty(1));
        (0..100).for_each(|_| availability.add(0));
        assert_eq!(availability.holders(0), 100);
        (0..99).for_each(|_| availability.subtract(0));
        assert!(availability.is_waiting(0));
        assert_eq!(availability.holders(0), 1);
    }
}
