//! How fast bytes have been moving lately.

use std::time::Duration;

use crate::time::Time;

/// Bytes per second over a sliding window of [`BUCKETS`] equal parts.
///
/// Before a window has passed since the first byte, the rate is taken over the time since then.
#[derive(Clone, Debug)]
pub(super) struct RateMeter {
    bucket: Duration,
    /// Bytes of the last parts; `sums[n % BUCKETS]` is part `n` since the epoch.
    sums: [u64; BUCKETS],
    /// The part of the latest byte; later parts are empty.
    latest: u64,
    first: Option<Time>,
}

impl RateMeter {
    pub(super) fn new(window: Duration) -> Self {
        let bucket = (window / BUCKETS as u32).max(Duration::from_millis(1));
        Self { bucket, sums: [0; BUCKETS], latest: 0, first: None }
    }

    pub(super) fn add(&mut self, now: Time, bytes: u64) {
        self.first.get_or_insert(now);
        let part = self.part(now);
        let stale = (part - self.latest.min(part)).min(BUCKETS as u64);
        (0..stale).for_each(|back| self.sums[slot(part - back)] = 0);
        self.latest = self.latest.max(part);
        self.sums[slot(part)] += bytes;
    }

    /// Bytes per second.
    pub(super) fn rate(&self, now: Time) -> f64 {
        let Some(first) = self.first else { return 0.0 };
        let sum: u64 = self.live(now).sum();
        let window = self.bucket * BUCKETS as u32;
        let span = (now - first).clamp(self.bucket, window);
        sum as f64 / span.as_secs_f64()
    }

    /// Bytes per second of the fastest part in the window.
    pub(super) fn peak(&self, now: Time) -> f64 {
        self.live(now).max().unwrap_or(0) as f64 / self.bucket.as_secs_f64()
    }

    fn live(&self, now: Time) -> impl Iterator<Item = u64> + '_ {
        let oldest = (self.part(now) + 1).saturating_sub(BUCKETS as u64);
        let held = (self.latest + 1).saturating_sub(BUCKETS as u64);
        (oldest.max(held)..=self.latest).map(|part| self.sums[slot(part)])
    }

    fn part(&self, now: Time) -> u64 {
        now.as_nanos() / u64::try_from(self.bucket.as_nanos()).expect("a window of centuries is no use").max(1)
    }
}

/// Parts of a window: enough that what leaves it leaves smoothly.
const BUCKETS: usize = 20;

fn slot(part: u64) -> usize {
    (part % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(20);

    #[test]
    fn a_steady_flow_has_its_rate_from_early_on() {
        let mut meter = RateMeter::new(WINDOW);
        for second in 1..=100_u64 {
            meter.add(at(second), 1_000);
            let rate = meter.rate(at(second));
            assert!((950.0..=2_000.0).contains(&rate), "{rate} after {second} s");
        }
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut meter = RateMeter::new(WINDOW);
        meter.add(at(1), 20_000);
        assert!((meter.rate(at(15)) - 20_000.0 / 14.0).abs() < 1.0);
        assert!(meter.rate(at(25)) < 1.0);
        meter.add(at(1_000), 2_000);
        assert!((meter.rate(at(1_000)) - 100.0).abs() < 1.0);
    }

    #[test]
    fn the_peak_is_that_of_the_fastest_part() {
        let mut meter = RateMeter::new(WINDOW);
        (1..=10).for_each(|second| meter.add(at(second), 1_000));
        meter.add(at(5), 4_000);
        assert!((meter.peak(at(10)) - 5_000.0).abs() < 1.0);
    }

    fn at(second: u64) -> Time {
        Time::ZERO + Duration::from_secs(second)
    }
}
