//! Peers that join and leave with notice while lookups run.

use std::time::Duration;

use peerbed_proto::sim::ring::{figures, mean, percentile};

use super::{row, table, two};

/// Joins and leaves a second, then path and timeouts with p1 and p99, and failures in 10,000: Chord (ToN 2003), table III.
type PaperRow = (f64, f64, (u32, u32), f64, (u32, u32), u32);
const PAPER: [PaperRow; 8] = [
    (0.05, 3.90, (1, 9), 0.05, (0, 2), 0),
    (0.10, 3.83, (1, 9), 0.11, (0, 2), 0),
    (0.15, 3.84, (1, 9), 0.16, (0, 2), 2),
    (0.20, 3.81, (1, 9), 0.23, (0, 3), 5),
    (0.25, 3.83, (1, 9), 0.30, (0, 3), 6),
    (0.30, 3.91, (1, 9), 0.34, (0, 4), 8),
    (0.35, 3.94, (1, 10), 0.42, (0, 4), 16),
    (0.40, 4.06, (1, 10), 0.46, (0, 5), 15),
];

pub(crate) fn section() -> String {
    let mut rows = vec![row([
        &"joins and leaves a second",
        &"lookups",
        &"path (p1, p99)",
        &"paper",
        &"timeouts (p1, p99)",
        &"paper",
        &"failed or wrong in 10,000",
        &"paper",
    ])];
    for (rate, path, path_range, timeouts, timeouts_range, failures) in PAPER {
        let figures = figures::announced_churn(rate, 1, Duration::from_secs(600), Duration::from_secs(2_600), 5.0);
        let range = |numbers: &[u32]| (percentile(numbers, 0.01), percentile(numbers, 0.99));
        rows.push(row([
            &rate,
            &figures.count,
            &format!("{} {:?}", two(mean(&figures.hops)), range(&figures.hops)),
            &format!("{} {path_range:?}", two(path)),
            &format!("{} {:?}", two(mean(&figures.timeouts_published)), range(&figures.timeouts_published)),
            &format!("{} {timeouts_range:?}", two(timeouts)),
            &format!("{:.0}", 10_000.0 * figures.bad()),
            &failures,
        ]));
    }
    format!(
        "## Announced leaving and joining\n\nN = 1,000, r = 20, stabilisation every 15 to 45 s with one finger each, \
         Poisson joins and leaves, no retry, exponential one-way delays of mean 50 ms: table III of the paper, with five \
         lookups a second in place of one. Timeouts are counted as published (see above). All means lie inside the paper's \
         p1 to p99. Timeouts and failures are fewer than there: each stabilisation pings all successors, where the paper's \
         refreshes one entry of the table, and the owner confirms that the key is its own.\n\n{}",
        table(&rows)
    )
}
