//! A hundred thousand nodes in one process.

use std::time::Duration;

use peerbed_proto::ring::{Circle, Options};
use peerbed_proto::sim::ring::{RingSim, mean, random_points};
use peerbed_proto::sim::{Latency, Paths};

use super::{clock, row, table, two};

pub(crate) fn section() -> String {
    let mut rows = vec![row([
        &"nodes",
        &"lookups",
        &"correct",
        &"mean hops",
        &"½ log2 N",
        &"making them",
        &"lookups took",
        &"on the processor",
        &"events",
        &"peak memory",
    ])];
    let nodes = 100_000;
    let circle = Circle::new(64).expect("64 bits make a circle");
    // Upkeep as in Chord's paper goes on meanwhile.
    let options =
        Options { stabilise: Duration::from_secs(30), jitter: 0.5, audit: Duration::ZERO, ..Options::default() };
    let paths = Paths::new(1, Latency::Exponential { mean: Duration::from_millis(50) });
    let begun = clock();
    let mut ring = RingSim::found(circle, &random_points(circle, nodes, 1), options, 1, paths);
    let made = begun.elapsed();
    let (begun, used) = (clock(), processor_time());
    let figures = ring.look_up_many(100_000, Duration::from_micros(100), 1);
    let took = begun.elapsed();
    let used = processor_time().zip(used).map_or("unknown".to_owned(), |(end, start)| format!("{:.1} s", end - start));
    rows.push(row([
        &nodes,
        &figures.count,
        &(figures.count - figures.wrong - figures.failed),
        &two(mean(&figures.hops)),
        &two((nodes as f64).log2() / 2.0),
        &format!("{:.1} s", made.as_secs_f64()),
        &format!("{:.1} s", took.as_secs_f64()),
        &used,
        &ring.simulation.happened(),
        &peak_memory(),
    ]));
    format!(
        "## A hundred thousand nodes\n\nr = 4, stabilisation every 15 to 45 s while the lookups run, 10,000 lookups a second \
         of virtual time. Times and memory are those of the host that made this page; on a busy one only the time on the processor \
         says something.\n\n{}",
        table(&rows)
    )
}

/// Seconds this thread has spent on a processor, as Linux counts them.
fn processor_time() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = status.split(' ').next()?.parse().ok()?;
    Some(nanos / 1e9)
}

/// The most memory this process had, as Linux counts it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<f64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.map_or("unknown".to_owned(), |kib| format!("{:.2} GiB", kib / 1024.0 / 1024.0))
}
