//! Distributions of jitter as netem takes them: tables of quantiles, from which it picks an entry for every packet.
//!
//! The user engine draws from the same distributions, clipped at the same place, without a table.

use crate::plan::Shape;

/// The table for a shape, in units of `SCALE` to one standard deviation; none for the shape that needs no table.
#[must_use]
pub fn table(shape: Shape) -> Option<Vec<i16>> {
    let quantiles = match shape {
        Shape::Uniform => return None,
        Shape::Normal => normal(),
        Shape::Pareto => pareto(),
    };
    Some(quantiles.into_iter().map(entry).collect())
}

/// Quantiles of the normal distribution, found by walking up its density from the middle; the lower half mirrors them.
fn normal() -> Vec<f64> {
    let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let half = ENTRIES / 2;
    let mut upper = Vec::with_capacity(half);
    let (mut x, mut below) = (0.0, 0.5);
    for index in 0..half {
        let share = 0.5 + middle(index);
        while below < share {
            below += density(x + STEP / 2.0) * STEP;
            x += STEP;
        }
        upper.push(x);
    }
    upper.iter().rev().map(|x| -x).chain(upper.iter().copied()).collect()
}

/// Quantiles of Pareto's distribution from 1 on with shape 3, whose mean is 3/2 and whose standard deviation is √3/2.
fn pareto() -> Vec<f64> {
    let quantile = |share: f64| (1.0 - share).powf(-1.0 / 3.0);
    (0..ENTRIES).map(|index| (quantile(middle(index)) - 1.5) / (3.0_f64.sqrt() / 2.0)).collect()
}

/// The share of all packets that lies below the middle of an entry's share.
#[expect(clippy::cast_precision_loss, reason = "there are some thousand entries")]
fn middle(index: usize) -> f64 {
    (index as f64 + 0.5) / ENTRIES as f64
}

#[expect(clippy::cast_possible_truncation, reason = "the value is clipped to the range before")]
fn entry(deviations: f64) -> i16 {
    (deviations * SCALE).round().clamp(f64::from(-i16::MAX), f64::from(i16::MAX)) as i16
}

/// One standard deviation in a table (NETEM_DIST_SCALE).
pub(super) const SCALE: f64 = 8192.0;
/// What fits into an entry: jitter is clipped at this many standard deviations. Of Pareto's, 0.8 % are.
pub(super) const DEVIATIONS_MAX: u32 = 4;
/// Entries of a table. The kernel takes up to 16384; a quarter of a percent of the packets share the last ones here, and
/// 64 tables fit into one message to the kernel.
const ENTRIES: usize = 1024;
/// Standard deviations per step of the walk: errors stay below an entry's rounding.
const STEP: f64 = 1e-4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_mean_zero_and_the_deviation_it_is_scaled_by() {
        // Clipping takes 2 % of a deviation off the mean of Pareto's distribution and a quarter off its deviation.
        for (shape, mean, deviation) in [(Shape::Normal, 0.0..1e-6, 0.99..1.0), (Shape::Pareto, 0.015..0.03, 0.7..0.8)]
        {
            let values: Vec<f64> = table(shape).unwrap().into_iter().map(|v| f64::from(v) / SCALE).collect();
            let count = values.len() as f64;
            let found = values.iter().sum::<f64>() / count;
            let spread = (values.iter().map(|v| (v - found).powi(2)).sum::<f64>() / count).sqrt();
            assert!(mean.contains(&found.abs()), "{shape:?}: mean {found}");
            assert!(deviation.contains(&spread), "{shape:?}: deviation {spread}");
            assert!(values.is_sorted());
        }
    }

    #[test]
    fn quantiles_are_those_of_the_books() {
        let normal = table(Shape::Normal).unwrap();
        // 84.13 % lie below one deviation, 97.72 % below two.
        for (share, deviations) in [(0.8413, 1.0), (0.9772, 2.0)] {
            let found = f64::from(normal[(share * 1024.0) as usize]) / SCALE;
            assert!((found - deviations).abs() < 0.01, "{found} in place of {deviations}");
        }
        let pareto = table(Shape::Pareto).unwrap();
        // The median is the cube root of 2.
        let median = f64::from(pareto[512]) / SCALE * (3.0_f64.sqrt() / 2.0) + 1.5;
        assert!((median - 2.0_f64.cbrt()).abs() < 0.001, "{median}");
        assert_eq!(table(Shape::Uniform), None);
    }
}
