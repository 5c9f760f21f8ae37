//! Whatever is done to a valid topology, reading and planning it never panic, and agree with themselves.
//!
//! `SEED=n cargo test -p peerbed-orchestrator --test plan_mutations` repeats a run.

#![expect(clippy::unwrap_used, reason = "what these tests read is part of the repository")]

use std::{fs, path::PathBuf};

use peerbed_orchestrator::{
    diagnose::Colour,
    plan::{self, Plan},
    suite::Suite,
    topology::{self, sweep},
};
use peerbed_proto::Random;

/// Mutants of each topology. A few seconds in a debug build.
const MUTANTS: usize = 600;

#[test]
#[expect(clippy::print_stdout, reason = "the seed repeats a failure")]
fn no_mutation_of_a_valid_topology_panics() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random::new(seed, "mutations");
    let (mut fine, mut refused) = (0, 0);
    for (_, text) in ready() {
        for _ in 0..MUTANTS {
            let mut mutant = text.clone();
            for _ in 0..=random.below(3) {
                mutant = mutate(&mut random, &mutant);
            }
            match check(&mutant) {
                Ok(()) => fine += 1,
                Err(()) => refused += 1,
            }
        }
    }
    // Both ends of the road are travelled.
    assert!(fine > 100 && refused > 100, "{fine} fine, {refused} refused");
}

/// Reads and plans a text; panics where the program disagrees with itself.
fn check(text: &str) -> Result<(), ()> {
    let topology = match topology::read("mutant.yaml", text) {
        Ok(topology) => topology,
        Err(problems) => {
            assert!(!problems.items.is_empty());
            let lines = u32::try_from(text.lines().count()).unwrap().max(1) + 1;
            for problem in &problems.items {
                assert!(
                    !problem.message.is_empty() && (1..=lines).contains(&problem.place.line),
                    "{problem:?}\n{text}"
                );
                assert!(problem.place.column >= 1, "{problem:?}\n{text}");
            }
            assert!(problems.render(Colour::On).len() > problems.render(Colour::Off).len());
            return Err(());
        }
    };
    let again = topology::read("mutant.yaml", text).unwrap();
    // Large groups make plans of megabytes; their like is checked at ordinary sizes.
    if topology.groups.iter().filter_map(|group| group.count).any(|count| count.value > 200) {
        return Ok(());
    }
    if let Ok(first) = plan::resolve(&topology) {
        let yaml = first.to_yaml().unwrap();
        assert_eq!(yaml, plan::resolve(&again).unwrap().to_yaml().unwrap(), "{text}");
        let read = Plan::from_yaml(&yaml).unwrap_or_else(|error| panic!("{error:#}\n{yaml}"));
        assert_eq!(read, first);
        assert!(plan::matrix(&first).contains("Round-trip"));
    }
    if let Ok(runs) = sweep::expand(&topology) {
        assert_eq!(sweep::listing(&runs).lines().count(), runs.len() + 1);
    }
    Ok(())
}

/// One change: to bytes, to lines, or of one value for another.
fn mutate(random: &mut Random, text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.below(lines.len());
    match random.below(8) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[random.below(lines.len())].clone()),
        2 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
        }
        3 => return flip(random, text),
        4 => lines[at] = lines[at].replacen("  ", ["", " ", "    ", "\t"][random.below(4)], 1),
        _ => lines[at] = replace_word(random, &lines[at]),
    }
    lines.join("\n") + "\n"
}

/// Replaces one character by another.
fn flip(random: &mut Random, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = random.below(chars.len());
    let odd =
        [':', '{', '}', '[', ']', '"', '\'', '&', '*', '#', '-', '\n', '\t', 'ü', '\u{0}', '9', ' ', '|', '!', '%'];
    chars[at] = odd[random.below(odd.len())];
    chars.into_iter().collect()
}

/// Replaces one word or value of a line by an odd one, or by one from elsewhere.
fn replace_word(random: &mut Random, line: &str) -> String {
    let odd = [
        "",
        "0",
        "-1",
        "1",
        "2",
        "3",
        "131069",
        "131070",
        "18446744073709551615",
        "1e9",
        ".nan",
        "~",
        "true",
        "home",
        "origin",
        "home-1",
        "swarm",
        "client-server",
        "0mbit",
        "1gbit",
        "5ms",
        "0s",
        "1000h",
        "100%",
        "50%",
        "16KiB",
        "1024GiB",
        "previous",
        "release",
        "[]",
        "{}",
        "[home, home]",
        "*x",
        "&x",
        "<<",
        "x-y",
        "verdict is valid",
        "seed",
        "leecher",
        "present: false",
        "distribution.release.progress >= 50%",
        "{ average: 1%, burst: 3 }",
        "\"\\u0000\"",
        "30 packets",
    ];
    let is_word = |c: char| c.is_alphanumeric() || "-.%_".contains(c);
    let mut words = Vec::new();
    let mut start = None;
    for (index, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (is_word(c), start) {
            (true, None) => start = Some(index),
            (false, Some(begin)) => {
                words.push(begin..index);
                start = None;
            }
            _ => {}
        }
    }
    match random.pick(&words) {
        Some(word) => format!("{}{}{}", &line[..word.start], odd[random.below(odd.len())], &line[word.end..]),
        None => line.to_owned(),
    }
}

/// The topologies that come with the program, without their comments, which no mutation could make matter.
fn ready() -> Vec<(String, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../topologies");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let without_comments = |text: String| {
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect::<String>()
    };
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml") && !Suite::is_at(path))
        .map(|path| (path.display().to_string(), without_comments(fs::read_to_string(&path).unwrap())))
        .collect();
    files.sort();
    files
}
