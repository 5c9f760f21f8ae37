//! Iterative and recursive lookups, and fingers chosen by nearness.

use std::time::Duration;

use peerbed_proto::Random;
use peerbed_proto::ring::{Finish, Forwarding};
use peerbed_proto::sim::Latency;
use peerbed_proto::sim::ring::{LookupFigures, figures, mean};

use super::{row, table, two};

pub(crate) fn section() -> String {
    let mut rows = vec![row([&"N", &"ends with", &"hops", &"½ log2 N", &"iterative", &"recursive", &"ratio"])];
    for peers in [64, 128, 1_000] {
        let half = two((peers as f64).log2() / 2.0);
        for (finish, name) in [(Finish::Predecessor, "the predecessor's word"), (Finish::Owner, "the owner's")] {
            let slow = figures::timed(peers, 5_000, 0, Forwarding::Iterative, finish, &even());
            let fast = figures::timed(peers, 5_000, 0, Forwarding::Recursive, finish, &even());
            rows.push(compared(&[&peers, &name, &two(mean(&slow.hops)), &half], &slow, &fast));
        }
    }
    let mut near = vec![row([&"candidates", &"hops", &"iterative", &"recursive", &"ratio"])];
    for candidates in [0, 4, 16] {
        let slow = figures::timed(1_000, 5_000, candidates, Forwarding::Iterative, Finish::Owner, &plane(1_000));
        let fast = figures::timed(1_000, 5_000, candidates, Forwarding::Recursive, Finish::Owner, &plane(1_000));
        near.push(compared(&[&candidates, &two(mean(&slow.hops))], &slow, &fast));
    }
    format!(
        "## Iterative and recursive\n\nMean time of a lookup, r = 4, one-way delay 40 ms. Hops are those of the iterative one, up to the key's predecessor.\n\n{}\nFingers chosen by round \
         trip among so many peers; 1,000 peers spread over a square of 100 ms by 100 ms, r = 16, after 100 s of upkeep.\n\n{}",
        table(&rows),
        table(&near)
    )
}

fn compared(head: &[&dyn std::fmt::Display], slow: &LookupFigures, fast: &LookupFigures) -> Vec<String> {
    let millis = |figures: &LookupFigures| 1_000.0 * figures.mean_elapsed().as_secs_f64();
    let mut cells: Vec<String> = head.iter().map(ToString::to_string).collect();
    cells.push(format!("{:.0} ms", millis(slow)));
    cells.push(format!("{:.0} ms", millis(fast)));
    cells.push(two(millis(fast) / millis(slow)));
    cells
}

fn even() -> Latency {
    Latency::Constant(Duration::from_millis(40))
}

fn plane(peers: usize) -> Latency {
    let mut random = Random::new(1, "places");
    let places = (0..peers).map(|_| (random.fraction(), random.fraction())).collect();
    Latency::Plane { places, unit: Duration::from_millis(100) }
}
