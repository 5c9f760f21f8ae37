//! What the cores cost, and how near the bound they come in the simulator. Plain lines on standard output.

#![expect(clippy::print_stdout, reason = "a bench's output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerbed_proto::sim::Link;
use peerbed_proto::sim::swarm::{Content, Costs, PeerSpec, Start, SwarmSim};
use peerbed_proto::swarm::{Message, Options, Output, Run, Swarm};
use peerbed_proto::{Hash, LEAF, LeafHashes, Manifest, PeerId, PieceSet, Random, Time};

fn main() {
    leaf_cost();
    for (label, costs) in [("payload only", Costs::NONE), ("with QUIC's costs", Costs::QUIC)] {
        for homes in [5, 10, 20, 30] {
            near_the_bound(label, costs, homes);
        }
    }
}

/// A gigabyte from fifty neighbours, half of which have everything and half a part.
fn leaf_cost() {
    let (leaf, manifest) = zeros(4_096);
    let layer = LeafHashes::of_piece(&leaf.repeat(usize::from(LEAVES)));
    let mut now = Time::ZERO;
    let options = Options { degree: 50, ..Options::default() };
    let mut core = Swarm::new(PeerId(1_000), Arc::clone(&manifest), PieceSet::empty(4_096), options, 1, now);
    let mut random = Random::new(1, "bench");
    for number in 1..=50 {
        let mut have = PieceSet::full(4_096);
        (0..4_096).filter(|_| number > 25 && random.below(2) == 0).for_each(|piece| drop_piece(&mut have, piece));
        core.handle_connected(now, PeerId(number));
        core.handle_message(now, PeerId(number), Message::Hello { content: manifest.id(), have });
        core.handle_message(now, PeerId(number), Message::Unchoke);
    }
    let (mut asked, mut leaves) = (VecDeque::new(), 0_u32);
    let began = Instant::now();
    loop {
        while let Some(output) = core.poll_output() {
            if let Output::Message { peer, message: Message::Request { run, .. } } = output {
                asked.push_back((peer, run));
            }
        }
        let Some((peer, run)): Option<(PeerId, Run)> = asked.pop_front() else { break };
        // Fifty uplinks that bring a leaf each in 20 ms.
        now = now + Duration::from_micros(400);
        core.handle_layer(now, peer, run.piece, layer.hashes());
        for number in run.leaves() {
            core.handle_leaf(now, peer, run.piece, number, leaf.clone());
            leaves += 1;
        }
        if core.poll_timeout().is_some_and(|(due, _)| due <= now) {
            core.handle_timeout(now);
        }
    }
    let each = began.elapsed() / leaves;
    let began = Instant::now();
    for _ in 0..10_000 {
        std::hint::black_box(Hash::of(&leaf));
    }
    let hash = began.elapsed() / 10_000;
    assert!(core.is_complete());
    println!("swarm core: {each:?} a leaf, of which its hash {hash:?}; {leaves} leaves, 4096 pieces, 50 neighbours");
}

fn near_the_bound(label: &str, costs: Costs, homes: usize) {
    let content = Content::random(8 << 20, 256 * 1024, 1);
    let bits = content.bytes.len() as f64 * 8.0;
    let bound = (bits / 20e6).max(homes as f64 * bits / (20e6 + 2e6 * homes as f64));
    let seeder = PeerSpec::new(Link::mbit(20.0, 20.0, Duration::from_millis(2)), Start::Whole);
    let home = PeerSpec::new(Link::mbit(2.0, 20.0, Duration::from_millis(10)), Start::Empty);
    let specs = std::iter::once(seeder).chain(std::iter::repeat_n(home, homes)).collect();
    let began = Instant::now();
    let figures = SwarmSim::new(content, specs, costs, 1).run(Duration::from_secs(3_600));
    let ratio = figures.last().map_or(f64::NAN, |last| last / bound);
    let took = began.elapsed();
    println!("simulated swarm, 8 MiB to {homes} homes, {label}: {ratio:.3} of the bound; took {took:.1?}");
}

/// A content of nothing but zeros, whose pieces are all alike.
fn zeros(pieces: u32) -> (Bytes, Arc<Manifest>) {
    let leaf = Bytes::from(vec![0; LEAF as usize]);
    let root = LeafHashes::of_piece(&leaf.repeat(usize::from(LEAVES))).root(LEAVES);
    let piece_size = u32::from(LEAVES) * LEAF;
    let size = u64::from(pieces) * u64::from(piece_size);
    let manifest = Manifest::new("zeros".into(), size, piece_size, vec![root; pieces as usize]);
    (leaf, Arc::new(manifest.expect("a valid manifest")))
}

fn drop_piece(set: &mut PieceSet, piece: u32) {
    set.remove(piece);
}

/// Leaves of a piece of 256 KiB.
const LEAVES: u16 = 16;
