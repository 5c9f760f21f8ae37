//! The topologies that come with the program are free of problems, and planning them gives the same bytes each time.

#![expect(clippy::unwrap_used, reason = "what these tests read is part of the repository")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use peerbed_orchestrator::{
    diagnose::Problems,
    plan::{self, Plan},
    suite::Suite,
    topology::{self, sweep},
};

#[test]
fn every_ready_topology_is_read_and_planned() {
    let mut seen = 0;
    for (name, text) in ready() {
        let topology = read(&name, &text).unwrap_or_else(|problems| panic!("{problems}"));
        let runs = sweep::expand(&topology).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(!runs.is_empty(), "{name} makes no run");
        for (combination, plan) in &runs {
            assert!(!plan.steps.is_empty() && !plan.expectations.is_empty(), "{name} {combination}");
        }
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} topologies found");
}

#[test]
fn a_plan_made_twice_is_identical_byte_for_byte_and_survives_being_read() {
    for (name, text) in ready() {
        let plans = || {
            let topology = read(&name, &text).unwrap();
            sweep::expand(&topology).unwrap().into_iter().map(|(_, plan)| plan).collect::<Vec<_>>()
        };
        for (first, second) in plans().into_iter().zip(plans()) {
            let yaml = first.to_yaml().unwrap();
            assert_eq!(yaml, second.to_yaml().unwrap(), "{name}");
            let read = Plan::from_yaml(&yaml).unwrap_or_else(|error| panic!("{name}: {error:#}\n{yaml}"));
            assert_eq!(read, first, "{name}");
            assert_eq!(read.to_yaml().unwrap(), yaml, "{name}");
        }
    }
}

#[test]
fn the_demo_is_what_its_comment_says() {
    let plan = plan_of("demo.yaml");
    let names: Vec<&str> = plan.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(names[..3], ["origin", "home-1", "home-2"]);
    assert_eq!(names.len(), 11);
    assert_eq!(plan.peers[10].address.to_string(), "198.18.0.11");
    let timeout = plan.timeout.seconds();
    assert!((560.0..=570.0).contains(&timeout), "60 s + 10 × (33.6 s + 16.8 s), not {timeout}");
    let printed = plan::matrix(&plan);
    assert!(printed.contains("0s, 2mbit"), "{printed}");
}

#[test]
fn the_seed_figure_makes_a_run_for_each_number_of_peers_and_way() {
    let (name, text) = ready().into_iter().find(|(name, _)| name.ends_with("seed-figure.yaml")).unwrap();
    let runs = sweep::expand(&read(&name, &text).unwrap()).unwrap();
    assert_eq!(runs.len(), 16);
    let (combination, plan) = &runs[15];
    assert_eq!(combination.to_string(), "groups.peer.count=35 scenario.0.distribute.via=swarm");
    assert_eq!(plan.peers.len(), 36);
    assert_eq!(plan.expectations, ["distribution.video.swarm.ratio <= 1.45"]);
}

#[test]
fn both_suites_run_every_ready_topology() {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let all: BTreeSet<String> = ready().iter().map(|(path, _)| name(Path::new(path))).collect();
    for file in ["suite.yaml", "suite-full.yaml"] {
        let suite = Suite::read(&topologies().join(file)).unwrap();
        let run: BTreeSet<String> = suite.topologies.iter().map(|entry| name(&entry.file)).collect();
        assert_eq!(all, run, "{file} has others than topologies/");
    }
}

#[test]
fn what_the_short_suite_sets_makes_runs_that_can_be_planned_and_are_judged() {
    let mut shortened = 0;
    for entry in Suite::read(&topologies().join("suite.yaml")).unwrap().topologies {
        let (path, name) = (entry.file.display().to_string(), entry.name());
        let text = topology::with_settings(&fs::read_to_string(&entry.file).unwrap(), &entry.settings);
        let topology = read(&path, &text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let overrides = sweep::Overrides { seed: None, repeat: entry.repeat.map(|count| count as usize) };
        let runs = sweep::expand_with(&topology, overrides).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert!((1..=2).contains(&runs.len()), "{name} makes {} runs, and a quarter of an hour is short", runs.len());
        assert!(runs.iter().all(|(_, plan)| !plan.expectations.is_empty()), "{name}");
        shortened += usize::from(!entry.settings.is_empty());
    }
    assert!(shortened >= 10, "only {shortened} are shortened");
}

fn plan_of(file: &str) -> Plan {
    let (name, text) = ready().into_iter().find(|(name, _)| name.ends_with(file)).unwrap();
    plan::resolve(&read(&name, &text).unwrap()).unwrap()
}

/// Reads a topology with the traces beside it.
fn read(name: &str, text: &str) -> Result<topology::Topology, Problems> {
    let beside = Path::new(name).parent().unwrap();
    topology::read_with(name, text, &|file| fs::read_to_string(beside.join(file)))
}

/// The files in `topologies/`, by their paths.
fn ready() -> Vec<(String, String)> {
    let paths = fs::read_dir(topologies()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml") && !Suite::is_at(path))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn topologies() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../topologies")
}
