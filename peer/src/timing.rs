//! How long things took that happen too often for events: one histogram of high dynamic range for each quantity.
//!
//! `Timings` is what a peer's drivers record into, for as long as the process lives. `GET /histograms` hands them over as
//! text, which the orchestrator reads with [`decode`] and merges over peers: percentiles of what was merged are exact to the
//! three digits, which means of percentiles are not. The same values in coarse classes for Prometheus are written by
//! `metrics::timing`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Counter;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use thiserror::Error;

/// Times in microseconds, as they are merged.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// A quantity that peers measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timing {
    /// From the request for a run of leaves to the verified arrival of each of them, at the leecher. Leaves that came after
    /// the request had been given up are not in it.
    SwarmLeaf,
    /// From a question to another node, when it went onto a connection, to its answer; questions of every kind. Those that
    /// were never answered are not in it.
    RingAnswer,
}

impl Timing {
    /// Every quantity.
    pub const ALL: [Self; 2] = [Self::SwarmLeaf, Self::RingAnswer];

    /// Its name in answers, results and expectations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SwarmLeaf => "swarm.leaf",
            Self::RingAnswer => "ring.answer",
        }
    }

    /// The quantity of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|timing| timing.name() == name)
    }
}

/// Everything that one process has measured.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    swarm_leaf: Mutex<Recorded>,
    ring_answer: Mutex<Recorded>,
}

/// What was measured of one quantity.
#[derive(Debug, Clone, Default)]
struct Recorded {
    /// Made when the first value comes: it takes 94 KB, and most peers take part in one thing only.
    histogram: Option<hdrhistogram::Histogram<u32>>,
    classes: Classes,
}

/// Times in coarse classes, for Prometheus.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classes {
    /// How many took at most as long as each of [`SECONDS_BOUNDS`], and not as short as the one before; longer ones last.
    pub(crate) counts: [u64; SECONDS_BOUNDS.len() + 1],
    /// All together.
    pub(crate) sum: Duration,
}

impl Classes {
    /// Takes a time in.
    pub(crate) fn record(&mut self, took: Duration) {
        self.counts[SECONDS_BOUNDS.partition_point(|bound| *bound < took.as_secs_f64())] += 1;
        self.sum += took;
    }
}

impl Timings {
    /// Takes a measured time in. Allocates for the first of a quantity only.
    pub(crate) fn record(&self, timing: Timing, took: Duration) {
        self.of(timing).record(took);
    }

    /// The classes of a quantity, for Prometheus.
    pub(crate) fn classes(&self, timing: Timing) -> Classes {
        self.of(timing).classes.clone()
    }

    /// The histograms of what was measured at all, by name; each as text for [`decode`].
    pub(crate) fn encoded(&self) -> BTreeMap<String, String> {
        let encoded = |timing: Timing| Some((timing.name().to_owned(), encode(self.of(timing).histogram.as_ref()?)));
        Timing::ALL.into_iter().filter_map(encoded).collect()
    }

    /// Nobody waits here: all of a peer's drivers share one thread.
    fn of(&self, timing: Timing) -> MutexGuard<'_, Recorded> {
        let recorded = match timing {
            Timing::SwarmLeaf => &self.swarm_leaf,
            Timing::RingAnswer => &self.ring_answer,
        };
        recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, MICROS_MAX);
        self.histogram.get_or_insert_with(histogram).saturating_record(micros);
        self.classes.record(took);
    }
}

/// An empty histogram from 1 µs to [`MICROS_MAX`] with three significant digits. Shorter times count as 1 µs, longer ones as
/// the longest.
///
/// # Panics
///
/// Never: the bounds are constants in the right order.
#[must_use]
pub fn histogram<T: Counter>() -> hdrhistogram::Histogram<T> {
    hdrhistogram::Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).expect("the bounds are constants in order")
}

/// A histogram as text: HdrHistogram's second format, not compressed, in base64.
///
/// # Panics
///
/// Never: memory takes everything, and no count is beyond 2⁶³.
#[must_use]
pub fn encode<T: Counter>(histogram: &hdrhistogram::Histogram<T>) -> String {
    STANDARD.encode(plain(histogram))
}

fn plain<T: Counter>(histogram: &hdrhistogram::Histogram<T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).expect("memory takes everything, and counts are no larger");
    bytes
}

/// Reads a histogram that a peer sent.
///
/// # Errors
///
/// When the text is longer than any, or is no histogram with the bounds of [`histogram`].
pub fn decode(text: &str) -> Result<Histogram, Unreadable> {
    if text.len() > TEXT_MAX {
        return Err(Unreadable::TooLong(text.len()));
    }
    let bytes = STANDARD.decode(text).map_err(|_| Unreadable::Garbled)?;
    let Some((head, counts)) = bytes.split_at_checked(HEAD) else { return Err(Unreadable::Garbled) };
    // The reader believes the length and the bounds in front, and takes as much memory as they say.
    let mut expected = plain(&histogram::<u64>())[..HEAD].to_vec();
    expected[LENGTH].copy_from_slice(&u32::try_from(counts.len()).unwrap_or(u32::MAX).to_be_bytes());
    if head != expected {
        return Err(Unreadable::OtherBounds);
    }
    // The one number that the reader cannot negate; as a count it would be beyond any.
    if counts.windows(LEAST_NUMBER.len()).any(|bytes| bytes == LEAST_NUMBER) {
        return Err(Unreadable::BadCounts);
    }
    let read: Result<Histogram, _> = Deserializer::new().deserialize(&mut bytes.as_slice());
    read.ok().filter(|histogram| histogram.len() <= COUNT_MAX).ok_or(Unreadable::BadCounts)
}

/// Why a text is no histogram of a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Longer than [`TEXT_MAX`].
    #[error("{0} bytes are more than a histogram has")]
    TooLong(usize),
    /// No base64, or too short.
    #[error("it is no histogram")]
    Garbled,
    /// Not made by [`histogram`], or cut off.
    #[error("its length or bounds are not those of a peer's histogram")]
    OtherBounds,
    /// Counts that do not belong to its bounds, or are larger than anybody can have counted.
    #[error("its counts are impossible")]
    BadCounts,
}

/// The longest time told apart from longer ones: an hour, in microseconds. Nothing here is waited for as long.
pub const MICROS_MAX: u64 = 3_600_000_000;

/// Significant digits: percentiles are off by a thousandth at most.
const DIGITS: u8 = 3;

/// Upper bounds of the classes for Prometheus, in seconds. They begin below an answer over a switched network (measured in a
/// textbook's ring: half of the lookups took 0.7 ms) and end beyond the time after which a neighbour is snubbed. Steps are
/// finest where most values lie on links as the topologies have them: answers over 80 to 100 ms, leaves in 0.6 to 2 s. One list
/// for all quantities, and short, because every peer writes every class at every scrape.
pub(crate) const SECONDS_BOUNDS: [f64; 24] = [
    0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.025, 0.04, 0.06, 0.08, 0.09, 0.12, 0.17, 0.25, 0.4, 0.6,
    0.85, 1.2, 1.7, 2.5, 5.0, 15.0, 60.0,
];

/// Longest text that is read. There are 23,552 classes, and a peer's count takes 5 bytes of each at most.
pub const TEXT_MAX: usize = 160 << 10;

/// Values that all peers together cannot exceed.
const COUNT_MAX: u64 = 1 << 48;

/// Bytes in front of the counts, and where among them the length of the counts stands.
const HEAD: usize = 40;
const LENGTH: std::ops::Range<usize> = 4..8;
const LEAST_NUMBER: [u8; 9] = [0xff; 9];

#[cfg(test)]
mod tests {
    use super::*;

    fn timings(millis: &[u64]) -> Timings {
        let timings = Timings::default();
        millis.iter().for_each(|millis| timings.record(Timing::SwarmLeaf, Duration::from_millis(*millis)));
        timings
    }

    fn sent(timings: &Timings) -> String {
        timings.encoded().remove("swarm.leaf").expect("something was measured")
    }

    #[test]
    fn what_a_peer_measured_is_read_as_it_was() {
        let all: Vec<u64> = (1..=1_000).collect();
        let timings = timings(&all);
        let read = decode(&sent(&timings)).unwrap();
        assert_eq!(read.len(), 1_000);
        for (quantile, expected) in [(0.5, 500_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
            let found = read.value_at_quantile(quantile) as f64;
            assert!((found / expected - 1.0).abs() <= 0.001, "{quantile}: {found}");
        }
        assert!(!timings.encoded().contains_key("ring.answer"), "nothing was measured of it");
    }

    #[test]
    fn times_out_of_bounds_count_as_the_bound() {
        let timings = Timings::default();
        for took in [Duration::ZERO, Duration::MAX / 4, Duration::from_secs(3_600)] {
            timings.record(Timing::SwarmLeaf, took);
        }
        let read = decode(&sent(&timings)).unwrap();
        assert_eq!((read.count_at(1), read.count_at(MICROS_MAX), read.len()), (1, 2, 3));
    }

    #[test]
    fn classes_for_prometheus_are_of_the_same_values() {
        let Classes { counts, sum } = timings(&[1, 3, 61_000]).classes(Timing::SwarmLeaf);
        assert_eq!((counts[2], counts[4], counts[SECONDS_BOUNDS.len()]), (1, 1, 1));
        assert_eq!((counts.iter().sum::<u64>(), sum), (3, Duration::from_millis(61_004)));
    }

    #[test]
    fn the_median_of_what_was_measured_is_in_another_class_than_its_tail() {
        // Medians and 99th percentiles of runs: lookups of a textbook's ring, answers over 40 ms each way, leaves over 2 Mbit/s.
        for (median, tail) in [(0.7, 2.6), (81.0, 96.0), (650.0, 1_900.0)] {
            let mut classes = Classes::default();
            [median, tail].iter().for_each(|millis| classes.record(Duration::from_secs_f64(millis / 1e3)));
            let taken = classes.counts.iter().filter(|count| **count > 0).count();
            assert_eq!(taken, 2, "{median} and {tail} ms");
        }
        assert!(SECONDS_BOUNDS.is_sorted() && SECONDS_BOUNDS.len() <= 24, "every peer writes them at every scrape");
    }

    #[test]
    fn a_full_histogram_fits_into_the_longest_text() {
        let mut full = histogram::<u32>();
        let last = full.distinct_values();
        let values: Vec<u64> = full.iter_all().map(|it| it.value_iterated_to().min(MICROS_MAX)).collect();
        values.into_iter().for_each(|value| full.record_n(value, u32::MAX).expect("in bounds"));
        let text = encode(&full);
        assert!(last <= 23_552 && text.len() <= TEXT_MAX, "{last} classes, {} bytes", text.len());
        assert!(decode(&text).is_ok());
    }

    #[test]
    fn what_is_no_histogram_is_refused_and_takes_no_memory() {
        let good = STANDARD.decode(sent(&timings(&[5, 50, 500]))).unwrap();
        let changed = |at: usize, to: &[u8]| {
            let mut bytes = good.clone();
            bytes[at..at + to.len()].copy_from_slice(to);
            decode(&STANDARD.encode(bytes)).map(|read| read.len())
        };
        let decode = |text: &str| decode(text).map(|read| read.len());
        assert_eq!(decode(&"A".repeat(TEXT_MAX + 4)), Err(Unreadable::TooLong(TEXT_MAX + 4)));
        assert_eq!(decode("no base64!"), Err(Unreadable::Garbled));
        assert_eq!(decode(""), Err(Unreadable::Garbled));
        // A gigabyte of counts, a histogram of five digits up to the end of time, another format.
        assert_eq!(changed(4, &0x4000_0000_u32.to_be_bytes()), Err(Unreadable::OtherBounds));
        assert_eq!(changed(12, &5_u32.to_be_bytes()), Err(Unreadable::OtherBounds));
        assert_eq!(changed(24, &u64::MAX.to_be_bytes()), Err(Unreadable::OtherBounds));
        assert_eq!(changed(0, &[1, 2, 3, 4]), Err(Unreadable::OtherBounds));
        assert_eq!(decode(&STANDARD.encode(&good[..good.len() - 1])), Err(Unreadable::OtherBounds));
        // More counts than classes, too many of one kind, and a number that is none.
        let too_far = vec![0xff, 0xff, 0x03, 2];
        let too_many = vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f];
        for counts in [too_far, too_many, vec![0xff; 9]] {
            let mut bytes = good[..HEAD].to_vec();
            bytes[LENGTH].copy_from_slice(&(counts.len() as u32).to_be_bytes());
            let text = STANDARD.encode([bytes, counts].concat());
            assert_eq!(decode(&text), Err(Unreadable::BadCounts), "{text}");
        }
    }
}
