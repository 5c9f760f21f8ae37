//! What one direction of a link has done, in numbers that only grow.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::train::Train;

/// Counters of one direction. Packets are single segments, never trains.
///
/// Every packet offered, and every copy made, has either left, been dropped for one of the causes, or still waits.
#[derive(Clone, Debug)]
pub struct Counters {
    /// What came in.
    pub offered: Volume,
    /// What went out, or is being sent.
    pub left: Volume,
    /// Dropped as the link's loss asks for.
    pub dropped_loss: u64,
    /// Dropped because the link was down.
    pub dropped_down: u64,
    /// Dropped because the queue was full.
    pub dropped_queue: u64,
    /// Dropped by CoDel.
    pub dropped_codel: u64,
    /// Dropped because the engine had no room to hold them: nobody asked for that.
    pub dropped_memory: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Packets in which a bit was flipped.
    pub corrupted: u64,
    /// Packets that skipped the delay.
    pub reordered: u64,
    /// How long packets waited before the bottleneck, in microseconds with two digits; empty without a rate.
    pub queue_time: Histogram<u32>,
}

/// A number of packets and their bytes, IP headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Counters {
    /// Everything that was dropped, for whatever cause.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped_loss + self.dropped_down + self.dropped_queue + self.dropped_codel + self.dropped_memory
    }

    pub(super) fn record_queue_time(&mut self, waited: Duration, packets: u32) {
        record(&mut self.queue_time, waited, packets);
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            offered: Volume::default(),
            left: Volume::default(),
            dropped_loss: 0,
            dropped_down: 0,
            dropped_queue: 0,
            dropped_codel: 0,
            dropped_memory: 0,
            duplicated: 0,
            corrupted: 0,
            reordered: 0,
            queue_time: times(),
        }
    }
}

impl Volume {
    /// Counts a whole train.
    pub fn add(&mut self, train: &Train) {
        self.add_packets(train.segments, train.bytes());
    }

    /// Counts packets that have these bytes together.
    pub fn add_packets(&mut self, packets: u32, bytes: u64) {
        self.packets += u64::from(packets);
        self.bytes += bytes;
    }
}

/// An empty histogram of times in microseconds with two significant digits; it grows with the longest time seen.
#[must_use]
pub fn times() -> Histogram<u32> {
    Histogram::new(2).expect("two digits are within the library's range of 0 to 5")
}

/// Records a time that `packets` packets took, rounded down to microseconds. A count that is full stays full.
pub fn record(histogram: &mut Histogram<u32>, time: Duration, packets: u32) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(TIME_MAX);
    // The histogram resizes itself up to the bound above, so there is no value it refuses.
    let _ = histogram.record_n(micros, packets);
}

/// Longest time kept apart, in microseconds: an hour. Bounds a histogram to about 12 kB.
const TIME_MAX: u64 = 3_600_000_000;
