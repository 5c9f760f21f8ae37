//! Distribution times of simulated swarms beside the bound, for the textbook's links: peers 2 Mbit/s up and 20 down, the
//! seed 20 Mbit/s both ways.
//!
//! `cargo run --release -p peerbed-proto --example swarm -- [none|quic|late] [MiB] [seeds] [N …] [options as JSON] [bad=…]
//! [delay=ms] [loss=%]`; delay and loss are those of each home's link, each way.

#![expect(clippy::print_stdout, reason = "an example's output is its purpose")]

use std::time::Duration;

use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Content, Costs, PeerSpec, Start, SwarmSim};
use peerbed_proto::swarm::{Conduct, Options};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let costs = match arguments.first().map(String::as_str) {
        Some("quic") => Costs::QUIC,
        Some("late") => Costs::LATE,
        _ => Costs::NONE,
    };
    // Options as JSON, of everybody: {"seeding": "super-seeding"}.
    let options: Options = match std::env::args().find(|argument| argument.starts_with('{')) {
        Some(json) => serde_json::from_str(&json).expect("options are JSON"),
        None => Options::default(),
    };
    let number = |at: usize, default| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (mib, seeds) = (number(1, 8), number(2, 3));
    let mut counts: Vec<usize> = arguments.iter().skip(3).filter_map(|text| text.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![5, 10, 20, 30];
    }
    let named = |name: &str, default: f64| {
        let value = std::env::args().find_map(|argument| Some(argument.strip_prefix(name)?.parse().ok()));
        value.flatten().unwrap_or(default)
    };
    let (delay, loss) = (Duration::from_secs_f64(named("delay=", 10.0) / 1e3), named("loss=", 0.0) / 100.0);
    // One more peer that misbehaves: bad=corrupt-leaves.
    let bad = std::env::args().find_map(|argument| argument.strip_prefix("bad=").map(|word| format!("\"{word}\"")));
    let bad: Option<Conduct> = bad.map(|word| serde_json::from_str(&word).expect("a kind of conduct"));
    let content = Content::random(mib << 20, 256 * 1024, 1);
    println!("{costs:?}, {mib} MiB, {seeds} seeds");
    println!("  N  last/bound (each seed)      mean/bound  uplinks  seed's  wasted   copy");
    for peers in counts {
        let bits = (mib << 20) as f64 * 8.0;
        let bound = (bits / 20e6).max(peers as f64 * bits / (20e6 + 2e6 * peers as f64));
        let (mut lasts, mut means, mut uses, mut seed_uses, mut waste) = (Vec::new(), 0.0, 0.0, 0.0, 0.0);
        let mut copies = 0.0;
        for seed in 0..seeds as u64 {
            let seeder = PeerSpec::new(Link::mbit(20.0, 20.0, Duration::from_millis(2)), Start::Whole);
            let home = PeerSpec::new(Link::mbit(2.0, 20.0, delay), Start::Empty);
            let home = PeerSpec { loss, ..home };
            let specs = std::iter::once(seeder).chain(std::iter::repeat_n(home, peers));
            let mut specs: Vec<_> = specs.map(|spec| PeerSpec { options: options.clone(), ..spec }).collect();
            specs.extend(bad.map(|conduct| {
                let link = Link::mbit(0.064, 20.0, Duration::from_millis(10));
                PeerSpec { conduct, ..PeerSpec::new(link, Start::Empty) }
            }));
            let figures = SwarmSim::new(content.clone(), specs, costs, seed).run(Duration::from_secs(3_600));
            let done: Vec<f64> = figures.completed[..=peers].iter().flatten().copied().collect();
            assert_eq!(done.len(), peers, "everybody completes");
            lasts.push(done.iter().copied().fold(0.0, f64::max) / bound);
            means += done.iter().sum::<f64>() / peers as f64 / bound / seeds as f64;
            uses += figures.uplink_use[1..].iter().sum::<f64>() / peers as f64 / seeds as f64;
            seed_uses += figures.uplink_use[0] / seeds as f64;
            copies += figures.second_copy.unwrap_or(f64::NAN) / seeds as f64;
            waste += figures.wasted as f64 / figures.downloaded as f64 / seeds as f64;
        }
        let lasts: Vec<String> = lasts.iter().map(|last| format!("{last:.3}")).collect();
        println!(
            "{peers:>3}  {:<28} {means:>9.3} {uses:>8.3} {seed_uses:>7.3} {waste:>7.4} {copies:>6.3}",
            lasts.join(" ")
        );
    }
}
