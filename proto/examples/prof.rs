#![allow(clippy::all)]
use peerbed_proto::PeerId;
use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Content, Costs, PeerSpec, Start, SwarmSim};
use std::time::Duration;
fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let content = Content::random(8 << 20, 256 * 1024, 1);
    let seeder = PeerSpec::new(Link::mbit(20.0, 20.0, Duration::from_millis(2)), Start::Whole);
    let home = PeerSpec::new(Link::mbit(2.0, 20.0, Duration::from_millis(10)), Start::Empty);
    let specs = std::iter::once(seeder).chain(std::iter::repeat_n(home, n)).collect();
    let mut sim = SwarmSim::new(content.clone(), specs, Costs::NONE, 0);
    let mut last = vec![Duration::ZERO; n + 1];
    for half in 1..80u32 {
        sim.run_until(Duration::from_millis(500 * half as u64));
        let mut line = String::new();
        let mut sum = 0.0;
        let mut seed = 0.0;
        let mut useful = 0;
        for i in 0..=n {
            let b = sim.uplink_busy(PeerId(i as u32 + 1));
            let u = (b - last[i]).as_secs_f64() / 0.5;
            last[i] = b;
            if i == 0 { seed = u } else { sum += u }
        }
        let mut prog = vec![];
        let mut unch = 0;
        let mut idle = 0;
        let mut inter = 0;
        let mut queued = 0;
        let mut serving = 0;
        for i in 1..=n {
            if let Some(c) = sim.core(PeerId(i as u32 + 1)) {
                prog.push(c.progress().bytes as f64 / c.progress().bytes_total as f64);
                for v in c.neighbours(sim.now()) {
                    if v.unchoked {
                        unch += 1;
                        if v.queued + v.serving == 0 {
                            idle += 1
                        }
                    }
                    if v.interested {
                        inter += 1
                    }
                    queued += v.queued;
                    serving += v.serving;
                }
            }
        }
        let done = prog.iter().filter(|p| **p >= 1.0).count();
        prog.sort_by(f64::total_cmp);
        println!(
            "{:5.1} seed {:.2} homes {:.3} prog {:.2}..{:.2} done {done} slots {:.1} idle {:.1} interested {:.1} queued {:.1} serving {:.1}",
            half as f64 * 0.5,
            seed,
            sum / n as f64,
            prog[0],
            prog[n - 1],
            unch as f64 / n as f64,
            idle as f64 / n as f64,
            inter as f64 / n as f64,
            queued as f64 / n as f64,
            serving as f64 / n as f64
        );
        if done == n {
            break;
        }
    }
    let mut t = peerbed_proto::swarm::Stats::default();
    println!("{:?}", sim.core(PeerId(2)).unwrap().stats());
}
