//! A small part of docs/ring-tables.md in ordinary tests: hops, failures and churn stay what the tables say.

use std::time::Duration;

use peerbed_proto::ring::{Finish, Forwarding, Options, Routing};
use peerbed_proto::sim::ring::{LookupFigures, RingSim, figures, mean, percentile, random_points};
use peerbed_proto::sim::{Latency, Paths};

#[test]
fn mean_hops_are_within_three_per_cent_of_the_model() {
    // protocols.md section 3.2, column r = 2; the figure for 16 peers is the model's over 2,000 rings.
    for (peers, model) in [(8, 1.35), (16, 1.81), (32, 2.31), (64, 2.78), (128, 3.30)] {
        let figures = figures::quiet(peers, 2, Routing::Fingers, 6_000 / peers as u64, 60);
        assert_eq!(figures.wrong + figures.failed, 0);
        let off = mean(&figures.hops) / model - 1.0;
        assert!(off.abs() <= 0.03, "{peers} peers: {:.2} hops, off by {:.1} %", mean(&figures.hops), 100.0 * off);
    }
}

#[test]
fn from_successor_to_successor_it_is_half_way_round() {
    let figures = figures::quiet(64, 2, Routing::Successor, 10, 200);
    assert_eq!(figures.wrong + figures.failed, 0);
    let half = 63.0 / 2.0;
    assert!((mean(&figures.hops) / half - 1.0).abs() <= 0.05, "{:.1} hops", mean(&figures.hops));
}

#[test]
fn with_half_of_all_peers_dead_every_lookup_still_succeeds() {
    // Chord (ToN 2003), table II, last row: path 5.09, timeouts 5.10. The mean of three rings is within a third of it: four
    // standard errors, as docs/ring-tables.md has them.
    let mut all = LookupFigures::default();
    figures::failed_fraction(0.5, 3, 300).into_iter().for_each(|ring| all.add(ring));
    assert_eq!((all.count, all.wrong, all.failed), (900, 0, 0));
    let (path, timeouts) = (mean(&all.hops), mean(&all.timeouts_published));
    assert!((4.6..=5.6).contains(&path), "path {path:.2}");
    assert!((3.6..=6.6).contains(&timeouts), "timeouts {timeouts:.2}");
    assert!(percentile(&all.hops, 0.99) <= 12);
    assert!(mean(&all.timeouts) > timeouts, "nearly every lookup also meets dead nodes before the owner");
}

#[test]
fn with_peers_leaving_and_joining_all_the_time_nearly_every_lookup_is_right() {
    // Table III, last row: path 4.06, timeouts 0.46, 15 wrong in 10,000. In so short a time fewer fingers are stale.
    let figures = figures::announced_churn(0.4, 1, Duration::from_secs(20), Duration::from_secs(60), 20.0);
    assert!(figures.count >= 780, "{} lookups", figures.count);
    assert!(figures.bad() <= 0.01, "{} wrong, {} failed", figures.wrong, figures.failed);
    let (path, timeouts) = (mean(&figures.hops), mean(&figures.timeouts));
    assert!((3.5..=4.3).contains(&path), "path {path:.2}");
    assert!((0.01..=0.46).contains(&timeouts), "timeouts {timeouts:.2}");
}

#[test]
fn recursive_lookups_take_at_most_six_tenths_of_the_time() {
    let latency = Latency::Constant(Duration::from_millis(40));
    let mean_time = |forwarding| figures::timed(64, 500, 0, forwarding, Finish::Owner, &latency).mean_elapsed();
    let (iterative, recursive) = (mean_time(Forwarding::Iterative), mean_time(Forwarding::Recursive));
    assert!(recursive.as_secs_f64() <= 0.6 * iterative.as_secs_f64(), "{recursive:?} of {iterative:?}");
}

#[test]
fn ten_thousand_nodes_look_up_with_little_work() {
    let circle = figures::circle();
    let options = Options { stabilise: Duration::from_secs(30), audit: Duration::ZERO, ..Options::default() };
    let paths = Paths::new(1, Latency::Exponential { mean: Duration::from_millis(50) });
    let mut ring = RingSim::found(circle, &random_points(circle, 10_000, 1), options, 1, paths);
    let figures = ring.look_up_many(2_000, Duration::from_micros(100), 1);
    assert_eq!((figures.count, figures.wrong, figures.failed), (2_000, 0, 0));
    // Two messages a hop, and the upkeep of the seconds it takes. How long the host needs for an event is not asked here.
    let events = ring.simulation.happened();
    assert!(events <= 150_000, "{events} events");
}
