//! What must hold in all settings of the table of distribution times: nobody is left far behind, and bad peers cost little.
//!
//! The textbook's links: peers with 2 Mbit/s up and 20 down, a seed with 20 Mbit/s both ways, 256 KiB pieces; with QUIC's
//! headers and acknowledgements. `SEED=n` repeats one seed.

use std::time::Duration;

use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Conduct, Content, Costs, Figures, PeerSpec, Start, SwarmSim};

#[test]
fn the_last_completes_before_one_and_a_half_times_the_median() {
    for peers in [5, 10, 20, 30] {
        for seed in seeds(1) {
            let mut completed: Vec<f64> = run(peers, &[], 4 << 20, seed).completed.into_iter().flatten().collect();
            assert_eq!(completed.len(), peers, "SEED={seed}");
            completed.sort_by(f64::total_cmp);
            let (median, last) = (completed[peers / 2], completed[peers - 1]);
            // With so few peers the 99th percentile is the last; 1.8 is what is asked for.
            assert!(last < 1.5 * median, "SEED={seed}: {last} s, the median of {peers} is {median} s");
        }
    }
}

#[test]
fn four_kinds_of_bad_peers_among_ten_good_ones_cost_less_than_five_per_cent() {
    let bad = [Conduct::CorruptLeaves, Conduct::EmptyPromises, Conduct::RequestFlood, Conduct::NeverReads];
    for seed in seeds(2) {
        let alone = last_good(&run(10, &[], 8 << 20, seed), seed);
        let among = last_good(&run(10, &bad, 8 << 20, seed), seed);
        assert!(among < 1.05 * alone, "SEED={seed}: {among} s among bad peers, {alone} s without");
    }
}

fn last_good(figures: &Figures, seed: u64) -> f64 {
    let good: Vec<f64> = figures.completed[1..=10].iter().flatten().copied().collect();
    assert_eq!(good.len(), 10, "SEED={seed}: bad peers keep nobody from completing");
    good.into_iter().fold(0.0, f64::max)
}

/// A seed, so many good peers, and these bad ones on thin uplinks.
fn run(peers: usize, bad: &[Conduct], bytes: usize, seed: u64) -> Figures {
    let link = |up, delay| Link::mbit(up, 20.0, Duration::from_millis(delay));
    let mut specs = vec![PeerSpec::new(link(20.0, 2), Start::Whole)];
    specs.extend((0..peers).map(|_| PeerSpec::new(link(2.0, 10), Start::Empty)));
    specs.extend(bad.iter().map(|&conduct| PeerSpec { conduct, ..PeerSpec::new(link(0.064, 10), Start::Empty) }));
    SwarmSim::new(Content::random(bytes, 256 * 1024, 1), specs, Costs::QUIC, seed).run(Duration::from_secs(600))
}

/// The seeds to try: `SEED` alone if it is set, else this many.
#[expect(clippy::disallowed_methods, reason = "a test may be told which seed to repeat")]
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}
