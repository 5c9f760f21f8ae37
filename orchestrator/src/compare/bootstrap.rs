//! The bootstrap interval of a ratio of medians.

use peerbed_proto::random::Random;

use crate::report::figures::median;

/// Between which bounds a ratio lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// 2.5 % of the drawn ratios lie below.
    pub low: f64,
    /// 2.5 % of the drawn ratios lie above.
    pub high: f64,
}

/// Median of `other` over median of `first`; none where one has no median or the first's is zero.
pub(super) fn ratio(first: &[f64], other: &[f64]) -> Option<f64> {
    let below = median(&mut first.to_vec())?;
    median(&mut other.to_vec()).map(|above| above / below).filter(|ratio| ratio.is_finite())
}

/// The percentile interval of [`ratio`] over [`DRAWS`] draws of repeats with replacement. `what` tells the draws of one
/// row from those of another.
pub(super) fn interval(first: &[f64], other: &[f64], seed: u64, what: &str) -> Option<Interval> {
    let mut random = Random::new(seed, &format!("bootstrap of {what}"));
    let mut ratios = Vec::with_capacity(DRAWS);
    let (mut below, mut above) = (vec![0.0; first.len()], vec![0.0; other.len()]);
    for _ in 0..DRAWS {
        draw(&mut random, first, &mut below);
        draw(&mut random, other, &mut above);
        let ratio = median(&mut above)? / median(&mut below)?;
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let (low, high) = (ratios[DRAWS / 40], ratios[DRAWS - 1 - DRAWS / 40]);
    (low.is_finite() && high.is_finite()).then_some(Interval { low, high })
}

fn draw(random: &mut Random, from: &[f64], into: &mut [f64]) {
    for place in into {
        *place = from[random.below(from.len())];
    }
}

/// Enough for bounds that do not move in the third digit from one seed to another.
const DRAWS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_lies_around_the_ratio_and_follows_the_seed() {
        let (first, other) = ([10.0, 10.1, 9.9, 10.2, 9.8], [11.0, 11.2, 10.9, 11.1, 10.8]);
        let ratio = ratio(&first, &other).unwrap();
        let found = interval(&first, &other, 1, "x").unwrap();
        assert!(found.low > 1.05 && found.low < ratio && ratio < found.high && found.high < 1.15, "{found:?}");
        assert_eq!(interval(&first, &other, 1, "x"), Some(found));
    }

    #[test]
    fn three_repeats_give_the_whole_range_of_ratios() {
        let found = interval(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0], 1, "x").unwrap();
        assert_eq!((found.low, found.high), (2.0 / 3.0, 6.0));
    }

    #[test]
    fn nothing_has_no_ratio() {
        assert_eq!(ratio(&[], &[1.0]), None);
        assert_eq!(ratio(&[0.0], &[1.0]), None);
    }
}
