//! Ready sets of regions, each with the source of its figures.

use std::time::Duration;

use crate::units::Span;

/// A ready set of regions.
#[derive(Debug, PartialEq, Eq)]
pub struct Places {
    /// Its name in the topology.
    pub name: &'static str,
    /// Where the figures come from.
    pub source: &'static str,
    /// Regions, each with the round-trip times to those before it: milliseconds measured from either end, added up.
    rows: &'static [(&'static str, &'static [u16])],
}

impl Places {
    /// Its regions.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().map(|(name, _)| *name)
    }

    /// One-way latencies: for every pair a quarter of the two round trips, which takes both ways for equally long.
    pub fn latencies(&self) -> impl Iterator<Item = (&'static str, &'static str, Span)> {
        self.rows.iter().flat_map(|(from, sums)| {
            let pairs = self.rows.iter().zip(*sums);
            pairs.map(|((to, _), sum)| (*from, *to, Span(Duration::from_micros(u64::from(*sum) * 250))))
        })
    }
}

/// Every set.
pub const PLACES: &[Places] = &[Places {
    name: "world-16",
    source: "round-trip times between Amazon's regions in these places, medians collected by cloudping.co, as the \
             simulator of jvm-libp2p keeps them (AwsLatencies.kt, 21 regions; these 16 are chosen to lie apart). A \
             provider's own backbone: what homes see is longer by their access links, and sometimes by detours",
    rows: WORLD_16,
}];

#[rustfmt::skip]
const WORLD_16: &[(&str, &[u16])] = &[
    ("cape-town", &[]),
    ("hong-kong", &[481]),
    ("tokyo", &[711, 92]),
    ("seoul", &[766, 75, 67]),
    ("mumbai", &[317, 178, 249, 250]),
    ("singapore", &[406, 75, 137, 139, 112]),
    ("sydney", &[823, 254, 213, 283, 291, 186]),
    ("montreal", &[449, 372, 287, 344, 373, 419, 395]),
    ("frankfurt", &[321, 378, 446, 446, 220, 315, 498, 184]),
    ("stockholm", &[355, 421, 486, 483, 261, 355, 589, 215, 44]),
    ("ireland", &[316, 423, 402, 459, 240, 363, 512, 140, 53, 83]),
    ("london", &[294, 406, 421, 476, 222, 342, 529, 156, 34, 65, 26]),
    ("bahrain", &[290, 243, 323, 315, 70, 172, 355, 325, 172, 210, 191, 174]),
    ("sao-paulo", &[685, 598, 513, 570, 595, 644, 623, 250, 408, 430, 353, 372, 544]),
    ("virginia", &[463, 376, 292, 348, 371, 424, 397, 29, 183, 223, 139, 152, 320, 227]),
    ("oregon", &[547, 272, 195, 238, 435, 323, 280, 120, 281, 315, 238, 256, 423, 348, 127]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_has_sixteen_regions_and_a_latency_for_every_pair() {
        let world = &PLACES[0];
        assert_eq!(world.names().count(), 16);
        assert_eq!(world.latencies().count(), 16 * 15 / 2);
        let find = |a, b| world.latencies().find(|(from, to, _)| (*from, *to) == (a, b)).map(|(.., span)| span);
        // 146 ms and 146 ms there and back.
        assert_eq!(find("virginia", "tokyo"), Some(Span(Duration::from_millis(73))));
        // 76 ms from one end, 76 ms from the other.
        assert_eq!(find("virginia", "london"), Some(Span(Duration::from_millis(38))));
        assert!(world.latencies().all(|(.., span)| span > Span::default()));
    }
}
