//! What each option changes in a whole swarm: choking, free-riders, seeding, leaving, order, endgame.
//!
//! Thresholds are below what was found over many seeds (`examples/riders.rs`, `examples/swarm.rs`), by the margin that
//! single seeds need. `SEED=n` repeats one seed.

use std::time::Duration;

use peerbed_proto::PeerId;
use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Content, Costs, Figures, PeerSpec, Start, SwarmSim};
use peerbed_proto::swarm::{Choking, Endgame, Leaving, Options, PieceChoice, Seeding, Upload};

#[test]
fn free_riders_are_much_later_with_tit_for_tat_and_not_without_choking() {
    for seed in seeds(2) {
        // As the textbook's selfish peers, everybody leaves with the last piece; then contributors gain most.
        let with = riders_ratio(Choking::TitForTat, Leaving::OnCompletion, seed);
        let without = riders_ratio(Choking::None, Leaving::OnCompletion, seed);
        assert!(with > 1.15, "SEED={seed}: {with} with tit-for-tat");
        assert!(without < 1.02, "SEED={seed}: {without} without choking");
    }
}

#[test]
fn free_riders_are_later_even_if_contributors_stay_and_serve_them() {
    for seed in seeds(1) {
        let with = riders_ratio(Choking::TitForTat, Leaving::Stay, seed);
        assert!(with > 1.10, "SEED={seed}: {with} with tit-for-tat");
    }
}

#[test]
fn a_super_seed_sends_hardly_more_than_one_file_until_the_others_have_it() {
    for seed in seeds(3) {
        let copy = |seeding| -> f64 {
            let figures = swarm(8, 2 << 20, seed, &Options { seeding, ..Options::default() });
            assert_eq!(figures.completed.iter().flatten().count(), 8, "SEED={seed}");
            figures.second_copy.expect("everybody completes")
        };
        let (hiding, plain) = (copy(Seeding::SuperSeeding), copy(Seeding::FastestUpload));
        assert!(hiding <= 1.05, "SEED={seed}: {hiding} files");
        assert!(plain >= 1.2, "SEED={seed}: {plain} files");
    }
}

#[test]
fn super_seeding_takes_no_longer() {
    for seed in seeds(2) {
        let last = |seeding| swarm(8, 2 << 20, seed, &Options { seeding, ..Options::default() }).last().unwrap();
        let (hiding, usual) = (last(Seeding::SuperSeeding), last(Seeding::LeastServed));
        assert!(hiding < 1.06 * usual, "SEED={seed}: {hiding} s, otherwise {usual} s");
    }
}

#[test]
fn peers_that_leave_on_completion_are_gone_when_the_last_completes() {
    for seed in seeds(2) {
        let options = Options { leaving: Leaving::OnCompletion, ..Options::default() };
        let mut sim = SwarmSim::new(content(1 << 20), specs(6, &options), Costs::NONE, seed);
        let figures = sim.run(DEADLINE);
        assert_eq!(figures.completed.iter().flatten().count(), 6, "SEED={seed}");
        sim.run_until(Duration::from_secs(120));
        let here = (1..=7).filter(|&peer| sim.core(PeerId(peer)).is_some()).count();
        assert_eq!(here, 1, "SEED={seed}: only the seed stays");
    }
}

#[test]
fn peers_that_linger_give_some_pieces_more_before_they_go() {
    let mut specs = specs(4, &Options { leaving: Leaving::Linger, linger_pieces: 2, ..Options::default() });
    // A latecomer takes sixteen pieces, some three from each.
    specs[0].link = specs[1].link;
    specs.push(PeerSpec { joins: Duration::from_secs(30), ..specs[1].clone() });
    let mut sim = SwarmSim::new(content(1 << 20), specs, Costs::NONE, 3);
    sim.run(DEADLINE);
    let early: Vec<f64> = sim.figures().completed.iter().flatten().copied().collect();
    assert_eq!(early.len(), 5);
    sim.run_until(Duration::from_secs(120));
    let gone = (2..=5).filter(|&peer| sim.core(PeerId(peer)).is_none()).count();
    assert!(gone >= 3, "{gone} gave two pieces each and went");
    assert!(sim.core(PeerId(6)).is_some(), "nobody is left to take pieces of the last one");
}

#[test]
fn sequential_choice_makes_everybody_wait_for_the_same_piece() {
    let last = |pieces| swarm(8, 2 << 20, 1, &Options { pieces, ..Options::default() }).last().unwrap();
    let (rarest, sequential) = (last(PieceChoice::RarestFirst), last(PieceChoice::Sequential));
    assert!(sequential > 1.1 * rarest, "rarest first {rarest} s, sequential {sequential} s");
}

#[test]
fn without_the_endgame_a_slow_neighbour_holds_up_the_end() {
    let last = |endgame| {
        let options = Options { endgame, ..Options::default() };
        let mut specs = specs(4, &options);
        specs.push(PeerSpec { link: Link::mbit(0.05, 20.0, Duration::from_millis(10)), ..specs[1].clone() });
        SwarmSim::new(content(1 << 20), specs, Costs::NONE, 1).run(DEADLINE)
    };
    let (stealing, off) = (last(Endgame::Steal), last(Endgame::Off));
    assert!(off.last().unwrap() > 1.2 * stealing.last().unwrap(), "{off:?} {stealing:?}");
}

#[test]
fn a_swarm_of_nothing_but_free_riders_completes_from_the_seed() {
    let options = Options { upload: Upload::Never, ..Options::default() };
    let mut specs = specs(4, &options);
    specs[0].options.upload = Upload::Always;
    let figures = SwarmSim::new(content(1 << 20), specs, Costs::NONE, 1).run(DEADLINE);
    assert_eq!(figures.completed.iter().flatten().count(), 4);
    assert!(figures.second_copy.unwrap() > 0.99);
}

/// Four of sixteen never upload; the seed has five times a peer's rate.
fn riders_ratio(choking: Choking, leaving: Leaving, seed: u64) -> f64 {
    let options = Options { choking, leaving, ..Options::default() };
    let mut specs = specs(16, &options);
    specs[0].link = Link::mbit(10.0, 20.0, Duration::from_millis(2));
    specs[1..=4].iter_mut().for_each(|spec| spec.options.upload = Upload::Never);
    let figures = SwarmSim::new(content(4 << 20), specs, Costs::QUIC, seed).run(DEADLINE);
    let mean = |part: &[Option<f64>]| part.iter().map(|done| done.expect("completes")).sum::<f64>() / part.len() as f64;
    mean(&figures.completed[1..=4]) / mean(&figures.completed[5..])
}

fn swarm(peers: usize, bytes: usize, seed: u64, options: &Options) -> Figures {
    SwarmSim::new(content(bytes), specs(peers, options), Costs::NONE, seed).run(DEADLINE)
}

/// A seed with 20 Mbit/s and peers with 2 Mbit/s up and 20 down.
fn specs(peers: usize, options: &Options) -> Vec<PeerSpec> {
    let link = |up| Link::mbit(up, 20.0, Duration::from_millis(5));
    let seed = PeerSpec { options: options.clone(), ..PeerSpec::new(link(20.0), Start::Whole) };
    let peer = PeerSpec { options: options.clone(), ..PeerSpec::new(link(2.0), Start::Empty) };
    std::iter::once(seed).chain(std::iter::repeat_n(peer, peers)).collect()
}

fn content(bytes: usize) -> Content {
    Content::random(bytes, 65_536, 1)
}

/// The seeds to try: `SEED` alone if it is set, else this many.
#[expect(clippy::disallowed_methods, reason = "a test may be told which seed to repeat")]
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

/// Longer than any of these swarms takes.
const DEADLINE: Duration = Duration::from_secs(600);
