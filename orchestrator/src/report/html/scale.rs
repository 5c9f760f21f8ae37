//! Scales: from values to places in a drawing, with ticks at round values.

/// A linear scale from a range of values to a range of places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Values from `low` to `high` become places from `from` to `to`. A range without extent gets one of 1.
    pub(super) fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        let high = if high > low && high.is_finite() { high } else { low + 1.0 };
        Self { low, high, from, to }
    }

    /// From zero to the next round value that is not below `high`.
    pub(super) fn from_zero(high: f64, from: f64, to: f64) -> Self {
        let high = if high > 0.0 && high.is_finite() { high } else { 1.0 };
        let step = step(high, TICKS);
        Self::new(0.0, (high / step - 1e-9).ceil() * step, from, to)
    }

    /// The place of `value`; values outside the range stay at its ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// The largest value.
    pub(super) fn high(&self) -> f64 {
        self.high
    }

    /// Where the range begins and ends in the drawing.
    pub(super) fn places(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Round values within the range, each with its text.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let step = step(self.high - self.low, TICKS);
        let first = (self.low / step - 1e-9).ceil();
        let digits = digits(step);
        (0..=TICKS * 2)
            .map(|n| (first + n as f64) * step)
            .take_while(|value| *value <= self.high + step * 1e-6)
            .map(|value| (value, format!("{value:.digits$}")))
            .collect()
    }
}

/// The least step of 1, 2 or 5 times a power of ten that cuts `span` into at most `most` parts.
fn step(span: f64, most: usize) -> f64 {
    let least = span / most as f64;
    let power = 10_f64.powf(least.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= least * (1.0 - 1e-9));
    nice.unwrap_or(10.0) * power
}

/// Digits behind the point that tell multiples of `step` apart.
fn digits(step: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 9 and not negative")]
    let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    digits
}

/// Parts that an axis is cut into at most; more crowd each other.
const TICKS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(texts(Scale::new(0.0, 34.9, 0.0, 100.0)), ["0", "5", "10", "15", "20", "25", "30"]);
        assert_eq!(texts(Scale::from_zero(0.92, 0.0, 100.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(Scale::new(3.0, 8.0, 0.0, 1.0)), ["3", "4", "5", "6", "7", "8"]);
    }

    #[test]
    fn a_scale_from_zero_ends_at_a_round_value() {
        assert_eq!(Scale::from_zero(34.9, 0.0, 100.0).high(), 35.0);
        assert_eq!(Scale::from_zero(40.0, 0.0, 100.0).high(), 40.0);
        assert_eq!(Scale::from_zero(0.0, 0.0, 100.0).high(), 1.0);
    }

    #[test]
    fn places_follow_values_and_stay_inside() {
        let scale = Scale::new(0.0, 10.0, 100.0, 0.0);
        assert_eq!([0.0, 5.0, 10.0, 20.0, -1.0].map(|v| scale.at(v)), [100.0, 50.0, 0.0, 0.0, 100.0]);
        assert_eq!(Scale::new(4.0, 4.0, 0.0, 10.0).at(4.0), 0.0);
    }

    #[test]
    fn values_that_are_no_numbers_make_a_usable_scale() {
        for high in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Scale::from_zero(high, 0.0, 1.0).ticks().len() > 1, "{high}");
            assert!(Scale::new(0.0, high, 0.0, 1.0).at(0.5).is_finite(), "{high}");
        }
    }
}
