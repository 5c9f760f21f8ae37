//! Iterative and recursive lookups, and fingers chosen by nearness.

use std::time::Duration;

use peerbed_proto::Random;
use peerbed_proto::ring::{Circle, Finish, Forwarding, Options};
use peerbed_proto::sim::ring::{LookupFigures, RingSim, mean, random_points};
use peerbed_proto::sim::{Latency, Paths};

use super::{row, table, two};

pub(crate) fn section() -> String {
    let mut rows = vec![row([&"N", &"ends with", &"hops", &"iterative", &"recursive", &"ratio"])];
    for peers in [64, 128, 1_000] {
        for (finish, name) in [(Finish::Predecessor, "the predecessor's word"), (Finish::Owner, "the owner's")] {
            let slow = measure(peers, 0, Forwarding::Iterative, finish, &even());
            let fast = measure(peers, 0, Forwarding::Recursive, finish, &even());
            rows.push(compared(&[&peers, &name, &two(mean(&slow.hops))], &slow, &fast));
        }
    }
    let mut near = vec![row([&"candidates", &"hops", &"iterative", &"recursive", &"ratio"])];
    for candidates in [0, 4, 16] {
        let slow = measure(1_000, candidates, Forwarding::Iterative, Finish::Owner, &plane(1_000));
        let fast = measure(1_000, candidates, Forwarding::Recursive, Finish::Owner, &plane(1_000));
        near.push(compared(&[&candidates, &two(mean(&slow.hops))], &slow, &fast));
    }
    format!(
        "## Iterative and recursive\n\nMean time of a lookup, r = 4, one-way delay 40 ms.\n\n{}\nFingers chosen by round \
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

fn measure(peers: usize, proximity: u8, forwarding: Forwarding, finish: Finish, latency: &Latency) -> LookupFigures {
    let circle = Circle::new(64).expect("64 bits make a circle");
    let is_plane = matches!(latency, Latency::Plane { .. });
    let options = Options {
        successors: if is_plane { 16 } else { 4 },
        proximity,
        forwarding,
        finish,
        audit: Duration::ZERO,
        ..Options::default()
    };
    let paths = Paths::new(1, latency.clone());
    let mut ring = RingSim::found(circle, &random_points(circle, peers, 1), options, 1, paths);
    ring.run_for(Duration::from_secs(if is_plane { 100 } else { 5 }));
    ring.look_up_many(5_000, Duration::from_millis(1), 1)
}
