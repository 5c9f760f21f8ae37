//! Simultaneous failure of a fraction of all peers, and lookups before anything is repaired.

use peerbed_proto::sim::ring::{LookupFigures, figures, mean, percentile};

use super::{off, row, table, two};

/// Failed fraction, then path and timeouts with p1 and p99: Chord (ToN 2003), table II.
type PaperRow = (f64, f64, (u32, u32), f64, (u32, u32));
const PAPER: [PaperRow; 6] = [
    (0.0, 3.84, (2, 5), 0.0, (0, 0)),
    (0.1, 4.03, (2, 6), 0.60, (0, 2)),
    (0.2, 4.22, (2, 6), 1.17, (0, 3)),
    (0.3, 4.44, (2, 6), 2.02, (0, 5)),
    (0.4, 4.69, (2, 7), 3.23, (0, 8)),
    (0.5, 5.09, (3, 8), 5.10, (0, 11)),
];

/// How many rings the lookups are spread over, and how many each has.
const RINGS: u64 = 40;
const LOOKUPS: usize = 1_000;

pub(crate) fn section() -> String {
    let mut rows = vec![row([
        &"failed",
        &"lookups",
        &"path (p1, p99)",
        &"paper",
        &"off",
        &"timeouts (p1, p99)",
        &"single rings",
        &"paper",
        &"off",
        &"failed or wrong",
    ])];
    for (fraction, path, path_range, timeouts, timeouts_range) in PAPER {
        let rings = figures::failed_fraction(fraction, RINGS, LOOKUPS);
        let mut of_rings: Vec<f64> = rings.iter().map(|figures| mean(&figures.timeouts)).collect();
        of_rings.sort_by(f64::total_cmp);
        let mut figures = LookupFigures::default();
        rings.into_iter().for_each(|ring| figures.add(ring));
        let range = |numbers: &[u32]| (percentile(numbers, 0.01), percentile(numbers, 0.99));
        let (hops, dead) = (mean(&figures.hops), mean(&figures.timeouts));
        rows.push(row([
            &fraction,
            &figures.count,
            &format!("{} {:?}", two(hops), range(&figures.hops)),
            &format!("{} {path_range:?}", two(path)),
            &off(hops, path),
            &format!("{} {:?}", two(dead), range(&figures.timeouts)),
            &format!("{} to {}", two(of_rings[0]), two(of_rings[of_rings.len() - 1])),
            &format!("{} {timeouts_range:?}", two(timeouts)),
            &if timeouts > 0.0 { off(dead, timeouts) } else { String::new() },
            &(figures.wrong + figures.failed),
        ]));
    }
    format!(
        "## A fraction of all peers fails at once\n\nN = 1,000, r = 20, no stabilisation, iterative, dead after 500 ms as in \
         the paper (table II); one-way delays from 20 to 80 ms. Paths are within 5 % of the paper's means. Timeouts depend \
         on the ring: the paper measured one, and its means lie among those of our single rings. Ours count the dead met \
         on the last step to the owner, too.\n\n{}",
        table(&rows)
    )
}
