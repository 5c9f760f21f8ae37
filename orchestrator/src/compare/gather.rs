//! Reading the runs of a build from directories.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{
    results::{Found, Outcome, Results},
    verdict::State,
};

/// The runs of one build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Build {
    /// What it is called: its directory, as given.
    pub name: String,
    /// What was measured: which distribution with which swept values, and the seconds of every repeat, in order of first
    /// appearance.
    pub seconds: Vec<(String, Vec<f64>)>,
    /// Runs that do not count, one sentence each.
    pub left_out: Vec<String>,
}

/// Reads a build: a run, a sweep or `--repeat` of runs, or a directory that holds any of these.
///
/// # Errors
///
/// When there are no readable results in or directly below `path`.
pub fn read(path: &Path) -> anyhow::Result<Build> {
    let mut build = Build { name: path.display().to_string(), ..Build::default() };
    Found::read_all(path)?.iter().for_each(|found| build.add(found));
    Ok(build)
}

impl Build {
    /// Takes in what a results file holds.
    pub fn add(&mut self, found: &Found) {
        match found {
            Found::Run(results) => self.run(results, &Map::new(), &results.provenance.started_at),
            Found::Sweep(sweep) => {
                for run in &sweep.runs {
                    self.run(&run.results, &run.values, &run.directory);
                }
            }
        }
    }

    fn run(&mut self, results: &Results, values: &Map<String, Value>, label: &str) {
        let why = match (results.outcome, results.verdict.state) {
            (Outcome::Finished, State::Valid | State::Suspect) => None,
            (Outcome::Finished, State::Invalid) => Some("its verdict is invalid"),
            (Outcome::Failed | Outcome::Interrupted, _) => Some("it did not finish"),
        };
        if let Some(why) = why {
            self.left_out.push(format!("{}: run {label} of {} is left out: {why}", self.name, results.name));
            return;
        }
        for distribution in &results.distributions {
            let Some(seconds) = distribution.seconds else { continue };
            let what = what(&results.name, &distribution.name, &distribution.via, values);
            match self.seconds.iter_mut().find(|(known, _)| *known == what) {
                Some((_, all)) => all.push(seconds),
                None => self.seconds.push((what, vec![seconds])),
            }
        }
    }
}

/// `demo: release via swarm, count 10`.
fn what(topology: &str, name: &str, via: &str, values: &Map<String, Value>) -> String {
    let mut text = format!("{topology}: {name} via {via}");
    for (path, value) in values.iter().filter(|(path, _)| !path.ends_with(".via")) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!(", {} {value}", path.rsplit('.').next().unwrap_or(path)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn results(seconds: f64, state: &str) -> Value {
        json!({
            "schema": 1, "name": "demo", "seed": 1, "engine": "kernel", "testbed": "real",
            "verdict": { "state": state, "reasons": [] }, "lookups": [], "recoveries": [], "links": [], "expectations": [],
            "distributions": [{ "name": "release", "file": "release", "via": "swarm", "bytes": 1, "peers": 1,
                "seconds": seconds, "bound_seconds": null, "bound_term": null, "ratio": null, "completions": [] }]
        })
    }

    #[test]
    fn repeats_of_a_sweep_belong_together_and_invalid_ones_do_not_count() {
        let place = tempfile::tempdir().unwrap();
        let run = |count: u32, seconds: f64, state: &str| json!({ "values": { "groups.home.count": count }, "repeat": 1, "directory": "001", "results": results(seconds, state) });
        let runs = [run(5, 1.0, "valid"), run(9, 2.0, "suspect"), run(5, 1.1, "valid"), run(5, 9.9, "invalid")];
        let sweep = json!({ "schema": 1, "name": "demo", "planned": 4, "runs": runs });
        fs::write(place.path().join("results.json"), sweep.to_string()).unwrap();
        let build = read(place.path()).unwrap();
        let expected = [
            ("demo: release via swarm, count 5".to_owned(), vec![1.0, 1.1]),
            ("demo: release via swarm, count 9".to_owned(), vec![2.0]),
        ];
        assert_eq!(build.seconds, expected);
        assert!(build.left_out[0].ends_with("its verdict is invalid"), "{:?}", build.left_out);
    }

    #[test]
    fn a_directory_of_runs_is_read_as_repeats() {
        let place = tempfile::tempdir().unwrap();
        for (name, seconds) in [("a", 1.0), ("b", 2.0)] {
            fs::create_dir(place.path().join(name)).unwrap();
            fs::write(place.path().join(name).join("results.json"), results(seconds, "valid").to_string()).unwrap();
        }
        assert_eq!(read(place.path()).unwrap().seconds, [("demo: release via swarm".to_owned(), vec![1.0, 2.0])]);
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path()).unwrap_err().to_string().contains("holds no runs"));
    }
}
