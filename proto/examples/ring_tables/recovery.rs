//! How long a ring takes to be right again.

use std::time::Duration;

use peerbed_proto::Random;
use peerbed_proto::ring::{Circle, Options};
use peerbed_proto::sim::NodeId;
use peerbed_proto::sim::ring::{RingSim, random_points};
use peerbed_proto::sim::{Latency, Paths};

use super::{row, table};

pub(crate) fn section() -> String {
    let mut rows = vec![row([&"fault", &"N", &"r", &"times", &"median", &"p99", &"longest", &"never"])];
    let faults: [(&str, usize, u8, u64, Fault); 5] = [
        ("one crashes", 64, 4, 100, crash_one),
        ("r - 1 neighbours crash at once", 64, 4, 50, crash_neighbours),
        ("half of all crash at once", 64, 8, 30, crash_half),
        ("half of all crash at once", 1_000, 8, 3, crash_half),
        ("parted into halves for 60 s, then joined", 64, 4, 20, part),
    ];
    for (name, peers, r, times, fault) in faults {
        let mut took: Vec<Option<Duration>> = (0..times).map(|seed| measure(peers, r, seed, fault)).collect();
        took.sort_by_key(|took| took.unwrap_or(Duration::MAX));
        let at = |fraction: f64| {
            let rank = ((fraction * took.len() as f64).ceil() as usize).clamp(1, took.len());
            took[rank - 1].map_or("never".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()))
        };
        let never = took.iter().filter(|took| took.is_none()).count();
        rows.push(row([&name, &peers, &r, &times, &at(0.5), &at(0.99), &at(1.0), &never]));
    }
    format!(
        "## Recovery\n\nFrom the fault (or the end of the parting) until every successor list and predecessor of every live \
         peer is what it should be. Default options: stabilisation every second, audits every ten; one-way delay 40 ms.\n\n{}",
        table(&rows)
    )
}

type Fault = fn(&mut RingSim, &mut Random);

fn crash_one(ring: &mut RingSim, random: &mut Random) {
    if let Some(victim) = ring.random_member(random) {
        ring.crash(victim);
    }
}

fn crash_neighbours(ring: &mut RingSim, random: &mut Random) {
    let members: Vec<NodeId> = ring.members().collect();
    let first = random.below(members.len());
    (0..3).for_each(|step| ring.crash(members[(first + step) % members.len()]));
}

fn crash_half(ring: &mut RingSim, random: &mut Random) {
    let mut members: Vec<NodeId> = ring.members().collect();
    random.shuffle(&mut members);
    members.truncate(members.len() / 2);
    members.into_iter().for_each(|node| ring.crash(node));
}

fn part(ring: &mut RingSim, random: &mut Random) {
    let mut members: Vec<NodeId> = ring.members().collect();
    random.shuffle(&mut members);
    for node in &members[..members.len() / 2] {
        ring.simulation.paths_mut().set_side(*node, 1);
    }
    ring.run_for(Duration::from_secs(60));
    ring.simulation.paths_mut().heal();
}

fn measure(peers: usize, r: u8, seed: u64, fault: Fault) -> Option<Duration> {
    let circle = Circle::new(64).expect("64 bits make a circle");
    let options = Options { successors: r, ..Options::default() };
    let paths = Paths::new(seed, Latency::Constant(Duration::from_millis(40)));
    let mut ring = RingSim::found(circle, &random_points(circle, peers, seed), options, seed, paths);
    let mut random = Random::new(seed, "faults");
    ring.run_for(Duration::from_secs(20) + Duration::from_secs(1).mul_f64(random.fraction()));
    fault(&mut ring, &mut random);
    let begun = ring.simulation.now();
    while ring.simulation.now() - begun < Duration::from_secs(300) {
        ring.run_for(Duration::from_millis(20));
        if ring.health().is_right() {
            return Some(ring.simulation.now() - begun);
        }
    }
    None
}
