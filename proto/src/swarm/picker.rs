//! Which leaves to ask a neighbour for next: rarest first unless the options say otherwise, what is begun before what is
//! new, ties by chance.

use super::availability::Availability;
use super::neighbour::Neighbour;
use super::options::{PieceChoice, Ties};
use super::pieces::{InProgress, Pieces};
use super::run::Run;
use crate::bits::{LeafSet, ones};
use crate::random::Random;

/// Chooses up to `leaves_max` consecutive leaves that the neighbour has, we lack, and nobody is asked for.
///
/// `begin_max` is how many pieces may be in progress. The chosen piece may be one that is not begun yet.
///
/// The smallest rank wins. Rarest first, a leaf's rank is the number of neighbours known to have it. A begun piece wins over a new one unless the new one is
/// smaller: what is begun gets whole and can be announced to everybody.
pub(super) fn pick(
    pieces: &Pieces,
    availability: &Availability,
    neighbour: &Neighbour,
    limits: Limits,
    random: &mut Random,
) -> Option<Run> {
    let begun = best_begun(pieces, availability, neighbour, limits, random);
    let fresh = if pieces.progress.len() < limits.begun_max {
        best_fresh(availability, neighbour, limits, random)
    } else {
        None
    };
    let choice = match (begun, fresh) {
        (Some(begun), Some(fresh)) if fresh.rank < begun.rank => fresh,
        (Some(begun), _) => begun,
        (None, Some(fresh)) => fresh,
        (None, None) => return None,
    };
    Some(match (choice.leaf, pieces.progress.get(&choice.piece)) {
        (Some(leaf), Some(progress)) => extend(choice.piece, leaf, limits.leaves_max, |leaf| {
            progress.open.contains(u32::from(leaf)) && neighbour.has_leaf(choice.piece, leaf)
        }),
        _ => start(pieces, neighbour, choice.piece, limits, random),
    })
}

/// What bounds and rules a choice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Leaves of the run.
    pub(super) leaves_max: u16,
    /// Pieces in progress.
    pub(super) begun_max: usize,
    pub(super) choice: PieceChoice,
    pub(super) ties: Ties,
}

impl Limits {
    /// Whether the first of equals is taken.
    fn in_order(self) -> bool {
        self.ties == Ties::Lowest || self.choice == PieceChoice::Sequential
    }
}

#[derive(Clone, Copy, Debug)]
struct Choice {
    piece: u32,
    /// `None` for a piece that is not begun.
    leaf: Option<u16>,
    rank: u64,
}

/// The best open leaf of the pieces in progress.
fn best_begun(
    pieces: &Pieces,
    availability: &Availability,
    neighbour: &Neighbour,
    limits: Limits,
    random: &mut Random,
) -> Option<Choice> {
    let mut best: Option<Choice> = None;
    let mut ties = 0;
    for (&piece, progress) in &pieces.progress {
        let Some((at, word)) = open_at(piece, progress, neighbour, limits, random) else { continue };
        let whole = whole_holders(availability, progress, piece);
        for bit in ones(word) {
            let leaf = 64 * at + bit as usize;
            let rank = match limits.choice {
                PieceChoice::RarestFirst => u64::from(whole + u32::from(progress.spread[leaf])),
                PieceChoice::Random => 0,
                PieceChoice::Sequential => in_file(piece, leaf),
            };
            let smallest = best.map_or(u64::MAX, |best| best.rank);
            if rank > smallest {
                continue;
            }
            ties = if rank < smallest { 1 } else { ties + 1 };
            if ties == 1 || (!limits.in_order() && random.below(ties) == 0) {
                best = Some(Choice { piece, leaf: Some(leaf as u16), rank });
            }
        }
    }
    best
}

/// A leaf's place in the file, as a rank.
fn in_file(piece: u32, leaf: usize) -> u64 {
    (u64::from(piece) << 16) + leaf as u64
}

/// Up to 64 open leaves of a piece that the neighbour has, as a word and its place; a piece of at most 1 MiB is seen whole.
fn open_at(
    piece: u32,
    progress: &InProgress,
    neighbour: &Neighbour,
    limits: Limits,
    random: &mut Random,
) -> Option<(usize, u64)> {
    let words = progress.open.words();
    let start = if words > 1 && !limits.in_order() { random.below(words) } else { 0 };
    let partial = neighbour.partial.get(&piece);
    let whole = neighbour.have.contains(piece);
    (start..words).chain(0..start).find_map(|at| {
        let theirs = match partial {
            _ if whole => u64::MAX,
            Some(leaves) => leaves.word(at),
            None => 0,
        };
        let both = progress.open.word(at) & theirs;
        (both != 0).then_some((at, both))
    })
}

/// Neighbours that count as holders of a piece, less those whose leaves are counted one by one.
fn whole_holders(availability: &Availability, progress: &InProgress, piece: u32) -> u32 {
    u32::from(availability.holders(piece).saturating_sub(progress.partial_holders))
}

/// The best piece not begun.
fn best_fresh(
    availability: &Availability,
    neighbour: &Neighbour,
    limits: Limits,
    random: &mut Random,
) -> Option<Choice> {
    let rank = |piece| match limits.choice {
        PieceChoice::RarestFirst => u64::from(availability.holders(piece)),
        PieceChoice::Random => 0,
        PieceChoice::Sequential => in_file(piece, 0),
    };
    let choice = |piece| Choice { piece, leaf: None, rank: rank(piece) };
    let chance = (!limits.in_order()).then_some(&mut *random);
    let whole = match limits.choice {
        PieceChoice::RarestFirst => availability.rarest(&neighbour.have, chance),
        PieceChoice::Random | PieceChoice::Sequential => availability.any(&neighbour.have, chance),
    };
    let whole = whole.map(choice);
    let partial =
        neighbour.partial.iter().filter(|(piece, leaves)| !leaves.is_empty() && availability.is_waiting(**piece));
    let partial = partial.map(|(&piece, _)| choice(piece));
    let partial =
        partial.min_by_key(|choice| (choice.rank, if limits.in_order() { choice.piece.into() } else { random.bits() }));
    match (whole, partial) {
        (Some(whole), Some(partial)) if partial.rank < whole.rank => Some(partial),
        (None, partial) => partial,
        (whole, _) => whole,
    }
}

/// A run somewhere in a piece not begun.
fn start(pieces: &Pieces, neighbour: &Neighbour, piece: u32, limits: Limits, random: &mut Random) -> Run {
    let leaves_max = limits.leaves_max;
    let leaves = pieces.manifest.leaves_in(piece);
    if neighbour.have.contains(piece) {
        let leaf = if limits.in_order() { 0 } else { random.below(usize::from(leaves)) as u16 };
        return extend(piece, leaf, leaves_max, |leaf| leaf < leaves);
    }
    let theirs: Vec<u32> = neighbour.partial.get(&piece).into_iter().flat_map(LeafSet::iter).collect();
    let leaf = if limits.in_order() { theirs.first() } else { random.pick(&theirs) };
    let leaf = leaf.copied().unwrap_or(0) as u16;
    extend(piece, leaf, leaves_max, |leaf| neighbour.has_leaf(piece, leaf))
}

/// Grows a run around a leaf, first towards the end of the piece, then towards its front.
fn extend(piece: u32, leaf: u16, leaves_max: u16, fits: impl Fn(u16) -> bool) -> Run {
    let mut run = Run { piece, first: leaf, count: 1 };
    while run.count < leaves_max && run.leaves().end < u16::MAX && fits(run.leaves().end) {
        run.count += 1;
    }
    while run.count < leaves_max && run.first > 0 && fits(run.first - 1) {
        run.first -= 1;
        run.count += 1;
    }
    run
}

#[cfg(test)]
mod tests;
