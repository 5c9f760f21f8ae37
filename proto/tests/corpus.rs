//! The fuzz targets' seeds, and random changes of them, as ordinary tests. `SEED=n` tries other changes.

#![expect(clippy::print_stdout, reason = "a failed test shows which input it was")]

#[path = "../../fuzz/entries.rs"]
#[expect(unreachable_pub, reason = "fuzz targets include the file as a module of their own")]
mod entries;

use std::path::{Path, PathBuf};

use peerbed_proto::swarm::{LayerWish, Message, Run};
use peerbed_proto::wire::Encode;
use peerbed_proto::{LeafSet, Random};

#[test]
fn every_seed_of_every_target_passes() {
    for (name, entry) in entries::ENTRIES {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "{name} has no corpus");
        for (path, data) in seeds {
            println!("{}", path.display());
            entry(&data);
        }
    }
}

#[test]
fn random_changes_of_the_seeds_pass() {
    let seed = seed();
    println!("SEED={seed}");
    for (name, entry) in entries::ENTRIES {
        let mut random = Random::new(seed, name);
        let seeds: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, data)| data).collect();
        for _ in 0..CHANGES {
            let mut data = random.pick(&seeds).cloned().unwrap_or_default();
            change(&mut data, &seeds, &mut random);
            entry(&data);
        }
    }
}

#[test]
fn long_random_conversations_keep_the_invariants() {
    let seed = seed();
    println!("SEED={seed}");
    for round in 0..CONVERSATIONS {
        let mut random = Random::new(seed, &format!("conversation {round}"));
        entries::swarm_inputs(&conversation(&mut random));
    }
}

/// Conversations held; each is some hundred inputs.
const CONVERSATIONS: usize = 150;

/// What the entry understands as a conversation in which neighbours mostly follow the protocol.
fn conversation(random: &mut Random) -> Vec<u8> {
    let mut data = vec![if random.below(3) == 0 { 15 } else { random.bits() as u8 }];
    let connect = |peer: u8, have: u8| [peer, 0, peer, 5, have];
    for peer in 0..5 {
        data.extend(connect(peer, random.bits() as u8));
    }
    for _ in 0..100 + random.below(600) {
        let peer = random.below(7) as u8;
        match random.below(100) {
            0..50 => {
                let message = message(random).to_bytes();
                data.extend([peer, 6, message.len() as u8]);
                data.extend_from_slice(&message);
            }
            50..75 => data.extend([peer, 8, random.bits() as u8]),
            75..83 => data.extend([peer, 12, random.bits() as u8]),
            83..91 => data.extend([peer, 14, random.below(60) as u8]),
            91..94 => data.extend(connect(peer, random.bits() as u8)),
            94..96 => data.extend([peer, 2]),
            96 => data.extend([peer, 13, random.bits() as u8]),
            97 => data.extend([peer, 11, random.bits() as u8, random.bits() as u8]),
            98 => data.extend([peer, 15, 1 + random.below(7) as u8]),
            _ => data.extend([peer, 10, random.bits() as u8]),
        }
    }
    data
}

/// Something a neighbour may say about the content of the entries: four pieces of four leaves, the last one of two.
fn message(random: &mut Random) -> Message {
    let piece = random.below(4) as u32;
    let leaves = if piece == 3 { 2 } else { 4 };
    let first = random.below(leaves) as u16;
    let run = Run { piece, first, count: 1 + random.below(leaves - usize::from(first)) as u16 };
    match random.below(12) {
        0 => Message::Have { pieces: vec![piece] },
        1 => Message::Started { pieces: vec![piece] },
        2 => {
            let mut set = LeafSet::empty(leaves as u32);
            set.insert(random.below(leaves) as u32);
            set.insert(random.below(leaves) as u32);
            Message::Partial { piece, leaves: set }
        }
        3 | 4 => Message::Interested,
        5 => Message::NotInterested,
        6 => Message::Choke,
        7 | 8 => Message::Unchoke,
        9 => Message::Cancel { run },
        _ => Message::Request { run, layer: if random.below(2) == 0 { LayerWish::Omit } else { LayerWish::Send } },
    }
}

/// Inputs tried per target; the whole file takes some seconds in a debug build.
const CHANGES: usize = 1_000;

fn change(data: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    for _ in 0..1 + random.below(8) {
        let at = random.below(data.len().max(1));
        match random.below(6) {
            0 if !data.is_empty() => data[at] = random.bits() as u8,
            1 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            2 if !data.is_empty() => data.truncate(at),
            3 => data.insert(at.min(data.len()), random.bits() as u8),
            4 if !data.is_empty() => drop(data.remove(at)),
            _ => {
                let other = random.pick(seeds).cloned().unwrap_or_default();
                data.extend_from_slice(&other[random.below(other.len().max(1)).min(other.len())..]);
            }
        }
    }
    data.truncate(4_096);
}

#[expect(clippy::disallowed_methods, reason = "tests read their corpus")]
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a readable seed"))).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test may be told which seed to repeat")]
fn seed() -> u64 {
    std::env::var("SEED").map_or(1, |seed| seed.parse().expect("SEED is a number"))
}
