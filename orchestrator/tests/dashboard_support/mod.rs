//! The dashboards of `dashboards/`, read as JSON, for the tests that judge them and those that ask a Prometheus.
#![allow(dead_code, reason = "every test file takes what it needs")]

use std::{fs, path::PathBuf};

use serde_json::Value;

/// One dashboard.
pub(crate) struct Dashboard {
    /// Its file's name.
    pub(crate) file: String,
    pub(crate) json: Value,
}

/// A query of a panel or of an annotation.
#[derive(Debug)]
pub(crate) struct Query {
    /// File, panel and letter, for messages.
    pub(crate) place: String,
    /// As written.
    pub(crate) written: String,
}

impl Dashboard {
    /// All panels that draw something.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        self.json["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
    }

    pub(crate) fn variables(&self) -> &[Value] {
        self.json["templating"]["list"].as_array().unwrap()
    }

    /// Queries of all panels, and of the annotations.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let of = |place: String, expr: &Value| Query { place, written: expr.as_str().unwrap().to_owned() };
        let panels = self.panels().flat_map(|panel| {
            let targets = panel["targets"].as_array().unwrap().iter();
            targets.map(move |target| {
                let place = format!("{}: {} {}", self.file, panel["title"], target["refId"]);
                of(place, &target["expr"])
            })
        });
        let annotations = self.json["annotations"]["list"].as_array().unwrap().iter();
        panels.chain(annotations.map(|it| of(format!("{}: {}", self.file, it["name"]), &it["expr"]))).collect()
    }
}

impl Query {
    /// With everything chosen for the variables, as Grafana would send it for samples of every second.
    pub(crate) fn sent(&self) -> String {
        let mut text = self.written.replace("$__rate_interval", "5s").replace("$__range", "60s");
        for variable in ["$run", "$group", "$peer"] {
            text = text.replace(variable, ".*");
        }
        assert!(!text.contains('$'), "{}: an unknown variable in {text}", self.place);
        text
    }
}

/// All dashboards, by name.
pub(crate) fn all() -> Vec<Dashboard> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let read = |path: &PathBuf| Dashboard {
        file: path.file_name().unwrap().to_string_lossy().into_owned(),
        json: serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
    };
    paths.iter().map(read).collect()
}

/// Where dashboards, rules and configuration are.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}
