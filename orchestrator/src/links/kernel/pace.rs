//! Whether saturated links of the kernel engine keep their rate, and whether disciplines drop what nobody asked them to.
//!
//! Pure: readings come in, about a second apart; how they are taken lives in `real/network/paces`. The user engine needs
//! none of this: it knows of every packet how late it was.

use std::collections::BTreeMap;

use super::{
    NetemLoss, Qdisc, Tc,
    compare::{Counts, Found},
};
use crate::links::tally::Tally;

/// What one direction of a link had done at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// When, in seconds of CLOCK_MONOTONIC.
    pub t: f64,
    /// How often the direction had been given other settings.
    pub changes: u32,
    /// Bytes per second; none where the direction has no rate.
    rate: Option<u64>,
    /// What the rate's bucket had done.
    bucket: Counts,
    /// Packets that netem had dropped for want of room; 0 where losses that were asked for hide them.
    unasked: u64,
    /// All that the direction had done; none where nothing is shaped.
    pub tally: Option<Tally>,
}

/// The last reading of every direction, by a key of the caller's.
#[derive(Clone, Debug)]
pub struct Watch<K> {
    last: BTreeMap<K, Reading>,
}

/// What is not as it was asked for, between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Directions that were saturated and carried less than 90 % of their rate, or more than 105 % of it.
    pub off_pace: u32,
    /// Packets dropped for want of room.
    pub dropped: u64,
}

impl Reading {
    /// Reads a direction that was asked for as `asked` and is as `found` at `t`.
    #[must_use]
    pub fn of(asked: &Tc, found: &[Found], t: f64, changes: u32) -> Self {
        let counts = |level: usize| {
            let handle = u32::try_from(level + 1).unwrap_or(0) << 16;
            found.iter().find(|found| found.handle == handle).map(|found| found.counts).unwrap_or_default()
        };
        let tally = Tally::of_kernel(asked, counts);
        let mut reading = Self { t, changes, rate: None, bucket: Counts::default(), unasked: 0, tally };
        for (level, qdisc) in asked.chain.iter().enumerate() {
            match qdisc {
                Qdisc::Bucket { rate, .. } => {
                    (reading.rate, reading.bucket) = (Some(*rate), counts(level));
                }
                // netem counts what the discipline below it drops as its own too.
                Qdisc::Netem(netem) if netem.loss == NetemLoss::Independent(0) => {
                    reading.unasked = counts(level).drops.saturating_sub(counts(level + 1).drops);
                }
                Qdisc::Netem(_) | Qdisc::Cut | Qdisc::CoDel { .. } => {}
            }
        }
        reading
    }

    /// The share of its rate that the direction carried since `before`; none unless it was saturated: packets waited at
    /// both times, and some found the queue full in between.
    fn share_since(&self, before: &Self) -> Option<Share> {
        let rate = self.rate.filter(|_| self.rate == before.rate && self.changes == before.changes)?;
        let seconds = self.t - before.t;
        let is_saturated =
            self.bucket.backlog > 0 && before.bucket.backlog > 0 && self.bucket.drops > before.bucket.drops;
        if !is_saturated || seconds <= 0.0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "bytes of a second are far below 2^52")]
        let (asked, carried) = (rate as f64 * seconds, self.bucket.bytes.saturating_sub(before.bucket.bytes) as f64);
        Some(Share { carried: carried / asked, packet: PACKET / asked })
    }
}

/// Shares of what a rate carries in the time between two readings.
#[derive(Clone, Copy, Debug)]
struct Share {
    carried: f64,
    packet: f64,
}

impl<K: Ord> Watch<K> {
    /// Takes the readings of about one moment, and compares each with the one before it.
    pub fn take(&mut self, readings: impl IntoIterator<Item = (K, Reading)>) -> Trouble {
        let mut trouble = Trouble::default();
        for (key, reading) in readings {
            if let Some(before) = self.last.get(&key) {
                // What has been made anew counts from nothing.
                trouble.dropped += reading.unasked.saturating_sub(before.unasked);
                let share = reading.share_since(before);
                trouble.off_pace += u32::from(share.is_some_and(Share::is_off));
            }
            self.last.insert(key, reading);
        }
        trouble
    }
}

impl<K> Default for Watch<K> {
    fn default() -> Self {
        Self { last: BTreeMap::new() }
    }
}

impl Share {
    /// The counters move by whole packets: two of them may fall on either side of a reading.
    fn is_off(self) -> bool {
        let slack = 2.0 * self.packet;
        self.carried < LEAST - slack || self.carried > MOST + slack
    }
}

/// A queue that was full and still is may have been empty for a moment in between, when its sender backed off.
const LEAST: f64 = 0.90;
/// A bucket that was full carries 4 ms more than its rate.
const MOST: f64 = 1.05;
/// Bytes of a full packet.
const PACKET: f64 = 1500.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        links::kernel::{Netem, compare::Setting},
        plan::Jitter,
    };

    /// A direction of 2 Mbit/s at a time, having sent these bytes, with so many waiting and so many dropped.
    fn reading(t: f64, bytes: u64, backlog: u64, drops: u64) -> Reading {
        let chain = vec![Qdisc::Cut, Qdisc::Bucket { rate: 250_000, burst: 2500, limit: 12_500 }];
        let counts = Counts { bytes, backlog, drops, ..Counts::default() };
        let setting = Setting::Other("tbf".into());
        let found = Found { handle: 2 << 16, parent: 1 << 16 | 1, size_table: None, setting, counts };
        Reading::of(&Tc { chain, overhead: 0 }, &[found], t, 0)
    }

    fn between(before: Reading, after: Reading) -> Trouble {
        let mut watch = Watch::default();
        assert_eq!(watch.take([(1, before)]), Trouble::default());
        watch.take([(1, after)])
    }

    #[test]
    fn a_saturated_link_at_its_rate_is_no_trouble() {
        assert_eq!(between(reading(1.0, 0, 9_000, 5), reading(2.0, 250_000, 9_000, 6)), Trouble::default());
        assert_eq!(between(reading(1.0, 0, 9_000, 5), reading(3.0, 500_000, 9_000, 6)), Trouble::default());
    }

    #[test]
    fn a_saturated_link_below_or_above_its_rate_is_trouble() {
        for bytes in [200_000, 280_000] {
            assert_eq!(between(reading(1.0, 0, 9_000, 5), reading(2.0, bytes, 9_000, 6)).off_pace, 1, "{bytes}");
        }
    }

    #[test]
    fn a_link_that_may_have_been_idle_is_not_judged() {
        let before = reading(1.0, 0, 9_000, 5);
        for after in [reading(2.0, 100_000, 0, 6), reading(2.0, 100_000, 9_000, 5)] {
            assert_eq!(between(before, after).off_pace, 0);
        }
        let changed = Reading { changes: 1, ..reading(2.0, 100_000, 9_000, 6) };
        assert_eq!(between(before, changed).off_pace, 0);
    }

    #[test]
    fn what_netem_drops_unasked_is_what_its_bucket_did_not_drop() {
        let netem = Netem {
            delay: Duration::from_millis(10),
            jitter: Jitter::default(),
            loss: NetemLoss::Independent(0),
            reorder: 0,
            duplicate: 0,
            corrupt: 0,
            limit: 1000,
            seed: 1,
        };
        let chain = vec![Qdisc::Cut, Qdisc::Netem(netem), Qdisc::Bucket { rate: 250_000, burst: 2500, limit: 12_500 }];
        let asked = Tc { chain, overhead: 0 };
        let found = |level: u32, drops| Found {
            handle: level << 16,
            parent: 0,
            size_table: None,
            setting: Setting::Other(String::new()),
            counts: Counts { drops, ..Counts::default() },
        };
        let read = |t, netem, bucket| Reading::of(&asked, &[found(2, netem), found(3, bucket)], t, 0);
        assert_eq!(between(read(1.0, 10, 10), read(2.0, 17, 14)).dropped, 3);
    }
}
