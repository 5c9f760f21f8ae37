//! Every option of the swarm is explained in docs/swarm.md with its default, and changed by some ready topology.

#![expect(clippy::unwrap_used, reason = "what these tests read is part of the repository")]

use std::{fs, path::Path, time::Duration};

use peerbed_orchestrator::units::Span;
use peerbed_proto::swarm::Options;
use serde_json::{Map, Value};

#[test]
fn every_option_is_explained_with_its_default() {
    let text = read("docs/swarm.md");
    for (name, default) in options() {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/swarm.md has no row for `{name}`"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let seconds = default.as_f64().filter(|_| default.is_f64());
        let written = match seconds {
            Some(seconds) => Span(Duration::from_secs_f64(seconds)).to_string(),
            None => default.as_str().map_or_else(|| default.to_string(), str::to_owned),
        };
        assert_eq!(cells[3], written, "the default of `{name}`");
        assert!(cells[2].len() > 2 && cells[4].len() > 10, "range and meaning of `{name}`: {row}");
    }
}

#[test]
fn every_option_is_changed_by_a_ready_topology() {
    let texts: Vec<String> = fs::read_dir(root().join("topologies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for (name, _) in options() {
        let inside =
            |line: &str| line.split_once("options:").is_some_and(|(_, rest)| rest.contains(&format!(" {name}: ")));
        let changed = texts.iter().any(|text| text.lines().any(inside));
        assert!(changed, "no ready topology changes `{name}`");
    }
}

/// The options by name, with their defaults.
fn options() -> Map<String, Value> {
    let Value::Object(options) = serde_json::to_value(Options::default()).unwrap() else {
        panic!("options are fields with names");
    };
    options
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
