//! The fuzz targets' seeds, and random changes of them, as ordinary tests. `SEED=n` tries other changes.

#[path = "../../fuzz/entries.rs"]
#[expect(unreachable_pub, reason = "fuzz targets include the file as a module of their own")]
mod entries;

use std::path::{Path, PathBuf};

use peerbed_proto::Random;

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
    for round in 0..60 {
        let mut random = Random::new(seed, &format!("conversation {round}"));
        let len = 200 + random.below(2_000);
        let data: Vec<u8> = (0..len).map(|_| random.bits() as u8).collect();
        entries::swarm_inputs(&data);
    }
}

/// Inputs tried per target; the whole file takes some seconds in a debug build.
const CHANGES: usize = 400;

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
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test may be told which seed to repeat")]
fn seed() -> u64 {
    std::env::var("SEED").map_or(1, |seed| seed.parse().expect("SEED is a number"))
}
