//! The rules of ARCHITECTURE.md that no compiler or lint holds, over the sources of all crates.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[test]
fn proto_depends_on_nothing_that_does_io() {
    let manifest = read(&root().join("proto/Cargo.toml"));
    let section = manifest.split("[dependencies]").nth(1).expect("proto has dependencies");
    let section = section.split("\n[").next().unwrap_or(section);
    let found: BTreeSet<&str> =
        section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).collect();
    let allowed: BTreeSet<&str> = ["bytes", "rand", "rand_xoshiro", "serde", "sha2", "thiserror"].into();
    assert!(found.is_subset(&allowed), "proto may not depend on {:?}", found.difference(&allowed));
}

#[test]
fn proto_reads_no_clock_no_environment_and_no_operating_system_randomness() {
    let banned =
        ["Instant::now", "SystemTime", "std::env", "std::net::Udp", "std::net::Tcp", "std::fs", "tokio", "OsRng"];
    let offences = sources(&["proto/src"]).into_iter().flat_map(|(path, text)| {
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let hits: Vec<String> =
            banned.iter().filter(|b| code.contains(*b)).map(|b| format!("{}: {b}", path.display())).collect();
        hits
    });
    assert_none("reach outside", offences);
}

#[test]
fn crates_depend_in_one_direction_only() {
    assert!(!read(&root().join("proto/Cargo.toml")).contains("peerbed-peer"));
    for manifest in ["proto/Cargo.toml", "peer/Cargo.toml"] {
        assert!(!read(&root().join(manifest)).contains("peerbed-orchestrator"), "{manifest}");
    }
}

#[test]
fn every_file_says_first_what_lives_in_it() {
    let silent = all_sources().into_iter().filter(|(_, text)| !text.starts_with("//!"));
    assert_none("do not begin with `//!`", silent.map(|(path, _)| path.display().to_string()));
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long = all_sources().into_iter().filter(|(_, text)| text.lines().count() > LINES_MAX);
    assert_none("are too long", long.map(|(path, text)| format!("{}: {}", path.display(), text.lines().count())));
}

#[test]
fn nothing_is_left_to_be_done() {
    // Written in two parts, or this file would find itself.
    let words = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ig", "nore")];
    let left = all_sources().into_iter().filter(|(_, text)| words.iter().any(|word| text.contains(word)));
    assert_none("are unfinished or leave tests out", left.map(|(path, _)| path.display().to_string()));
}

#[test]
fn only_main_reads_arguments_and_environment() {
    let readers = sources(&["orchestrator/src", "peer/src"]).into_iter().filter(|(path, text)| {
        !path.ends_with("main.rs") && ["env::args", "env::var", "process::exit("].iter().any(|word| text.contains(word))
    });
    assert_none("read arguments or environment, or end the process", readers.map(|(p, _)| p.display().to_string()));
}

#[test]
fn dashboards_show_only_series_that_runs_export() {
    let exported: String = sources(&["peer/src", "orchestrator/src/observe"])
        .into_iter()
        .filter(|(path, _)| ["metrics", "observe"].iter().any(|part| path.to_string_lossy().contains(part)))
        .map(|s| s.1)
        .collect();
    assert!(!exported.is_empty(), "the peer's metrics have moved");
    let mut unknown = Vec::new();
    for (path, text) in files(&root().join("dashboards"), &["json", "yml", "yaml", "md"]) {
        for series in series_in(&text) {
            let field = series.trim_start_matches("peerbed_");
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| field.strip_suffix(end)).unwrap_or(field);
            let is_exported = [field, base].iter().any(|name| {
                exported.contains(&format!(" {name}:")) || exported.contains(&format!("\"peerbed_{name}\""))
            });
            if !is_exported {
                unknown.push(format!("{}: {series}", path.display()));
            }
        }
    }
    assert_none("are no series of a peer", unknown.into_iter());
}

#[test]
fn every_allowed_warning_is_expected_with_a_reason() {
    let allowed = all_sources().into_iter().filter(|(_, text)| text.contains(concat!("#[al", "low(")));
    assert_none(
        "silence a lint for good in place of expecting it",
        allowed.map(|(path, _)| path.display().to_string()),
    );
}

/// Longer files hold two subjects.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let mut places = Vec::new();
    for name in ["proto", "peer", "orchestrator"] {
        places.extend(["src", "tests", "benches"].map(|part| format!("{name}/{part}")));
    }
    places.push("fuzz/fuzz_targets".into());
    sources(&places.iter().map(String::as_str).collect::<Vec<_>>())
}

fn sources(places: &[&str]) -> Vec<(PathBuf, String)> {
    places.iter().flat_map(|place| files(&root().join(place), &["rs"])).collect()
}

/// All files with one of these endings below `directory`, with their texts; none where it does not exist.
fn files(directory: &Path, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|e| endings.iter().any(|ending| e == *ending)) {
            let text = read(&path);
            found.push((path, text));
        }
    }
    found
}

/// Words in `text` that look like the name of a series.
fn series_in(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| word.starts_with("peerbed_") && word.len() > "peerbed_".len())
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

fn assert_none(what: &str, offences: impl Iterator<Item = String>) {
    let offences: Vec<String> = offences.collect();
    assert!(offences.is_empty(), "these {what}:\n{}", offences.join("\n"));
}
