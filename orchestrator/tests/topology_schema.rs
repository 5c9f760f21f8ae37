//! The committed JSON Schema is the program's own, and fits the topologies that come with it.

#![expect(clippy::unwrap_used, reason = "what these tests read is part of the repository")]

use std::{fs, path::PathBuf};

use peerbed_orchestrator::{reference, schema, suite::Suite};
use serde_json::Value;

#[test]
fn the_committed_schema_is_current() {
    let path = topologies().join("schema.json");
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == schema::text(),
        "topologies/schema.json is out of date; write it anew with `peerbed schema > topologies/schema.json`"
    );
}

#[test]
fn the_committed_reference_is_current() {
    let committed = fs::read_to_string(topologies().join("../docs/topology.md")).unwrap();
    assert!(
        committed == reference::text(),
        "docs/topology.md is out of date; write it anew with `peerbed schema --markdown > docs/topology.md`"
    );
}

#[test]
fn every_ready_topology_fits_the_schema() {
    let validator = jsonschema::validator_for(&schema::schema()).unwrap();
    let mut seen = 0;
    for (name, instance) in ready() {
        let errors: Vec<String> =
            validator.iter_errors(&instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} topologies found");
}

#[test]
fn the_schema_refuses_what_the_readers_refuse_by_form() {
    let validator = jsonschema::validator_for(&schema::schema()).unwrap();
    let demo = ready().into_iter().find(|(name, _)| name.ends_with("demo.yaml")).unwrap().1;
    let broken = |change: fn(&mut Value)| {
        let mut instance = demo.clone();
        change(&mut instance);
        !validator.is_valid(&instance)
    };
    assert!(validator.is_valid(&demo));
    assert!(broken(|it| it["links"]["home"]["up"] = "20".into()));
    assert!(broken(|it| it["links"]["home"]["lost"] = "1%".into()));
    assert!(broken(|it| it["groups"]["home"]["count"] = 0.into()));
    assert!(broken(|it| it["groups"]["home"]["swarm"] = "seeder".into()));
    assert!(broken(|it| it["scenario"][0]["wait"] = serde_json::json!({ "for": "5s" })));
    assert!(broken(|it| it["scenario"][0]["distribute"]["options"] = serde_json::json!({ "slots": 1 })));
    assert!(broken(|it| it["grups"] = Value::Null));
    assert!(!broken(|it| it["x-anything"] = Value::Null));
    assert!(!broken(|it| it["set"] = serde_json::json!({ "links.home.up": "4mbit", "groups.home.count": [1, 2] })));
    assert!(broken(|it| it["set"] = serde_json::json!({ "no path": 1 })));
    assert!(!broken(|it| it["scenario"][1]["distribute"]["options"] = serde_json::json!({ "regular-slots": 1 })));
}

fn topologies() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../topologies")
}

fn ready() -> Vec<(String, Value)> {
    let paths = fs::read_dir(topologies()).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml") && !Suite::is_at(path))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.display().to_string(), serde_saphyr::from_str(&text).unwrap())
        })
        .collect()
}
