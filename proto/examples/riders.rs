//! Free-riders beside contributors in simulated swarms: how much later they complete, with tit-for-tat and without.
//!
//! `cargo run --release -p peerbed-proto --features sim --example riders -- [MiB] [seeds] [N] [seed's Mbit/s] [options as JSON]`;
//! every fifth peer never uploads.

#![expect(clippy::print_stdout, reason = "an example's output is its purpose")]

use std::time::Duration;

use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Content, Costs, PeerSpec, Start, SwarmSim};
use peerbed_proto::swarm::{Choking, Options, Upload};

fn main() {
    let number = |at: usize, default| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (mib, seeds, peers, seed_mbit) = (number(1, 8), number(2, 5), number(3, 30), number(4, 10));
    let given: Options = match std::env::args().find(|argument| argument.starts_with('{')) {
        Some(json) => serde_json::from_str(&json).expect("options are JSON"),
        None => Options::default(),
    };
    let content = Content::random(mib << 20, 256 * 1024, 1);
    println!("{mib} MiB, {peers} peers of which {} never upload, {seeds} seeds", peers / 5);
    println!("choking       contributors  riders  riders/contributors (each seed)");
    for choking in [Choking::TitForTat, Choking::None] {
        let (mut givers, mut riders, mut ratios) = (0.0, 0.0, Vec::new());
        for seed in 0..seeds as u64 {
            let options = Options { choking, ..given.clone() };
            let specs = (0..=peers).map(|at| {
                let (up, have) = if at == 0 { (seed_mbit as f64, Start::Whole) } else { (2.0, Start::Empty) };
                let mut spec = PeerSpec::new(Link::mbit(up, 20.0, Duration::from_millis(2)), have);
                spec.options = options.clone();
                if at > 0 && at <= peers / 5 {
                    spec.options.upload = Upload::Never;
                }
                spec
            });
            let figures = SwarmSim::new(content.clone(), specs.collect(), Costs::QUIC, seed).run(DEADLINE);
            let mean = |part: &[Option<f64>]| part.iter().flatten().sum::<f64>() / part.len() as f64;
            let (slow, fast) = (mean(&figures.completed[1..=peers / 5]), mean(&figures.completed[1 + peers / 5..]));
            (givers, riders) = (givers + fast / seeds as f64, riders + slow / seeds as f64);
            ratios.push(format!("{:.3}", slow / fast));
        }
        println!("{:<14}{givers:>12.1}  {riders:>6.1}  {}", format!("{choking:?}"), ratios.join(" "));
    }
}

/// Longer than any of these swarms takes.
const DEADLINE: Duration = Duration::from_secs(3_600);
