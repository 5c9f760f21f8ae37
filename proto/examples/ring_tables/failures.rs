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
const RINGS: u64 = 200;
const LOOKUPS: usize = 500;

pub(crate) fn section() -> String {
    let mut paths =
        vec![row([&"failed", &"lookups", &"path", &"p1, p99", &"p5, p95", &"paper", &"off", &"failed or wrong"])];
    let mut timeouts = vec![row([
        &"failed",
        &"as published",
        &"p1, p99",
        &"p5, p95",
        &"paper",
        &"off",
        &"path · p/(1 - p)",
        &"one ring",
        &"each dead once, owner's too",
    ])];
    for (fraction, path, path_range, dead, dead_range) in PAPER {
        let rings = figures::failed_fraction(fraction, RINGS, LOOKUPS);
        let (_, path_error) = spread(&rings, |ring| &ring.hops);
        let (of_a_ring, dead_error) = spread(&rings, |ring| &ring.timeouts_published);
        let mut all = LookupFigures::default();
        rings.into_iter().for_each(|ring| all.add(ring));
        let range = |numbers: &[u32], share: f64| {
            format!("{}, {}", percentile(numbers, share), percentile(numbers, 1.0 - share))
        };
        let (hops, published) = (mean(&all.hops), mean(&all.timeouts_published));
        paths.push(row([
            &fraction,
            &all.count,
            &format!("{} ± {path_error:.2}", two(hops)),
            &range(&all.hops, 0.01),
            &range(&all.hops, 0.05),
            &format!("{} {path_range:?}", two(path)),
            &off(hops, path),
            &(all.wrong + all.failed),
        ]));
        let model = hops * fraction / (1.0 - fraction);
        timeouts.push(row([
            &fraction,
            &format!("{} ± {dead_error:.2}", two(published)),
            &range(&all.timeouts_published, 0.01),
            &range(&all.timeouts_published, 0.05),
            &format!("{} {dead_range:?}", two(dead)),
            &if dead > 0.0 { off(published, dead) } else { String::new() },
            &two(model),
            &format!("± {}", two(of_a_ring)),
            &two(mean(&all.timeouts)),
        ]));
    }
    format!("{HEAD}\n\n{}\n{MIDDLE}\n\n{}", table(&paths), table(&timeouts))
}

/// How far the means of single rings lie from one another (standard deviation), and how far the mean of all of them may be
/// from the truth (standard error).
fn spread(rings: &[LookupFigures], of: impl Fn(&LookupFigures) -> &Vec<u32>) -> (f64, f64) {
    let means: Vec<f64> = rings.iter().map(|ring| mean(of(ring))).collect();
    let count = means.len() as f64;
    let middle = means.iter().sum::<f64>() / count;
    let variance = means.iter().map(|mean| (mean - middle).powi(2)).sum::<f64>() / (count - 1.0);
    (variance.sqrt(), (variance / count).sqrt())
}

const HEAD: &str = "\
## A fraction of all peers fails at once

N = 1,000, r = 20, no stabilisation, iterative, dead after 500 ms as in the paper (table II); one-way delays from 20 to 80 ms.
The paper made 10,000 lookups; here every row is 200 rings of 500 lookups, because how many dead nodes a lookup meets depends on
the ring. ± is the standard error of the mean.";

const MIDDLE: &str = "\
Timeouts are counted in two ways. The last column is what our lookups wait for: each dead node once, those between the key's
predecessor and the owner as well, because an answer must name a live owner. *As published* is the count the paper has. It
writes its timeouts as m p and its path as m (1 - p) of m nodes contacted: the dead met before each live node of the path, and
none after the last, the key's predecessor. And its authors' simulator (sit/dht, `simulator/request.c`, 2001) gives a lookup no
list of the dead, so that one named by two nodes on the way is met twice. With those between the predecessor and the key
counted, too, the means from 0.2 on would lie 19 to 21 % above the paper's. *One ring* is the standard deviation among the
means of single rings. The paper does not say over how many its figures are taken; its row for 0.1, the only one more than 5 %
away, lies about one such deviation from ours. A model without any protocol, the published search on ideal tables, gives what
ours gives and not that: 0.499 ± 0.008 for 0.1 and 1.152 ± 0.012 for 0.2, paths of 3.92 and 4.11, over 120 rings. The paper's p1
and p99 are narrower than ours and nearer to our p5 and p95.";
