//! Reading the runs of a build from directories.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{
    report::{figures::median, swept},
    results::{Found, Outcome, Recovery, Results},
    verdict::State,
};

/// The runs of one build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Build {
    /// What it is called: its directory, as given.
    pub name: String,
    /// What was measured, in order of first appearance.
    pub measured: Vec<Measured>,
    /// Runs that do not count, one sentence each.
    pub left_out: Vec<String>,
}

/// One thing that took time, over all repeats of a build that count.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Which distribution, fault or lookups, with which swept values.
    pub what: String,
    /// Seconds of every repeat in which it came to its end.
    pub seconds: Vec<f64>,
    /// Repeats in which it did not.
    pub unfinished: usize,
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

impl Measured {
    /// Of no repeats.
    #[must_use]
    pub fn nothing(what: String) -> Self {
        Self { what, seconds: Vec::new(), unfinished: 0 }
    }

    /// Whether more repeats did not come to their end, by number and, where the builds have not as many, by share.
    pub(super) fn is_less_complete_than(&self, first: &Self) -> bool {
        let runs = |of: &Self| of.unfinished + of.seconds.len();
        self.unfinished > first.unfinished && self.unfinished * runs(first).max(1) > first.unfinished * runs(self)
    }
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
        let called =
            |what: &str, keys: &dyn Fn(&str) -> bool| format!("{}: {what}{}", results.name, swept(values, keys));
        for distribution in &results.distributions {
            let what = format!("{} via {}", distribution.name, distribution.via);
            // The way of spreading is told already.
            self.took(called(&what, &|path| !path.ends_with(".via")), distribution.seconds);
        }
        for (what, all) in faults(results) {
            self.took(called(&what, &|_| true), middle(&all));
        }
        for lookups in results.lookups.iter().filter(|lookups| lookups.count > 0) {
            let what = format!("{} of {}", lookups.action, lookups.name);
            self.took(called(&what, &|_| true), lookups.latency_seconds.map(|latency| latency.p50));
        }
    }

    /// One more repeat took so long, or did not come to its end.
    fn took(&mut self, what: String, seconds: Option<f64>) {
        let at = self.measured.iter().position(|measured| measured.what == what).unwrap_or_else(|| {
            self.measured.push(Measured::nothing(what));
            self.measured.len() - 1
        });
        match seconds {
            Some(seconds) => self.measured[at].seconds.push(seconds),
            None => self.measured[at].unfinished += 1,
        }
    }
}

/// The faults of each kind that a ring or a distribution had to recover from, as they are called in the table.
fn faults(results: &Results) -> Vec<(String, Vec<&Recovery>)> {
    let mut all: Vec<(String, Vec<&Recovery>)> = Vec::new();
    for recovery in &results.recoveries {
        let hit = results.distributions.iter().find(|it| !it.id.is_empty() && it.id == recovery.distribution);
        let name = match hit {
            Some(distribution) => format!("{} via {}", distribution.name, distribution.via),
            None => format!("{}{}", recovery.ring, recovery.distribution),
        };
        let what = format!("{name} after {}", recovery.fault);
        match all.iter_mut().find(|(known, _)| *known == what) {
            Some((_, faults)) => faults.push(recovery),
            None => all.push((what, vec![recovery])),
        }
    }
    all
}

/// The median of the times to recover: of a ring, until the pointers to the fault's own peers were right, because where faults
/// overlap a ring may never be right as a whole. None where half of them or more were never recovered from.
fn middle(recoveries: &[&Recovery]) -> Option<f64> {
    let time = |it: &&Recovery| it.mended_seconds.or(it.recovered_seconds).map_or(f64::INFINITY, |it| it.max(MEND_MIN));
    median(&mut recoveries.iter().map(time).collect::<Vec<f64>>()).filter(|seconds| seconds.is_finite())
}

/// `, count 10`: the swept values that `keys` takes, each by the shortest name that tells it from the others.
fn swept(values: &Map<String, Value>, keys: &dyn Fn(&str) -> bool) -> String {
    let taken: Vec<(&String, &Value)> = values.iter().filter(|(path, _)| keys(path)).collect();
    let paths: Vec<&str> = taken.iter().map(|(path, _)| path.as_str()).collect();
    let word = |(path, (_, value)): (&str, (&String, &Value))| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!(", {path} {value}")
    };
    swept::short(&paths).into_iter().zip(taken).map(word).collect()
}

/// What is mended at once has no ratio to anything; times below this count as this. Samples of a run are coarser.
const MEND_MIN: f64 = 0.001;

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn results(seconds: impl Into<Value>, state: &str) -> Value {
        let seconds: Value = seconds.into();
        json!({
            "schema": 1, "name": "demo", "seed": 1, "engine": "kernel", "testbed": "real",
            "verdict": { "state": state, "reasons": [] }, "lookups": [], "recoveries": [], "links": [], "expectations": [],
            "distributions": [{ "name": "release", "file": "release", "via": "swarm", "bytes": 1, "peers": 1,
                "seconds": seconds, "bound_seconds": null, "bound_term": null, "ratio": null, "completions": [] }]
        })
    }

    fn measured(what: &str, seconds: &[f64], unfinished: usize) -> Measured {
        Measured { what: what.into(), seconds: seconds.to_vec(), unfinished }
    }

    fn built(runs: &[Value]) -> Build {
        let mut build = Build::default();
        runs.iter().for_each(|run| build.add(&Found::Run(Box::new(serde_json::from_value(run.clone()).unwrap()))));
        build
    }

    #[test]
    fn a_repeat_that_never_completed_is_counted_and_one_that_nobody_could_measure_is_not() {
        let build = built(&[results(1.0, "valid"), results(Value::Null, "valid"), results(Value::Null, "invalid")]);
        assert_eq!(build.measured, [measured("demo: release via swarm", &[1.0], 1)]);
    }

    #[test]
    fn a_ring_is_compared_by_how_soon_it_mends_and_answers() {
        let recovery = |fault: &str, mended: Option<f64>| json!({ "ring": "ring", "fault": fault, "peers": [], "at_seconds": 1.0, "recovered_seconds": null, "mended_seconds": mended });
        let latency = json!({ "mean": 0.2, "p50": 0.1, "p99": 0.3, "max": 0.4 });
        let ring = |crashes: [Option<f64>; 3], latency: Value| {
            let mut run = results(1.0, "valid");
            run["distributions"] = json!([]);
            let crashes = crashes.map(|mended| recovery("crash", mended));
            run["recoveries"] = crashes.into_iter().chain([recovery("join", Some(0.0))]).collect();
            run["lookups"] = json!([{ "name": "asked", "ring": "ring", "action": "lookups", "count": 9, "correct": 9, "failed": 0, "latency_seconds": latency }]);
            run
        };
        let runs = [ring([Some(2.0), Some(3.0), None], latency), ring([None, Some(3.0), None], Value::Null)];
        let expected = [
            measured("demo: ring after crash", &[3.0], 1),
            measured("demo: ring after join", &[MEND_MIN, MEND_MIN], 0),
            measured("demo: lookups of asked", &[0.1], 1),
        ];
        assert_eq!(built(&runs).measured, expected);
    }

    #[test]
    fn a_distribution_that_was_hit_is_called_by_its_name_and_values_by_what_tells_them_apart() {
        let mut run = results(1.0, "valid");
        run["distributions"][0]["id"] = json!("d0");
        run["recoveries"] = json!([{ "distribution": "d0", "fault": "crash", "peers": [], "at_seconds": 1.0, "recovered_seconds": 2.0 }]);
        let values = json!({ "groups.a.count": 5, "groups.b.count": 9, "scenario.0.distribute.via": "swarm" });
        let mut build = Build::default();
        build.run(&serde_json::from_value(run).unwrap(), values.as_object().unwrap(), "001");
        let whats: Vec<&str> = build.measured.iter().map(|measured| measured.what.as_str()).collect();
        assert_eq!(
            whats,
            [
                "demo: release via swarm, a.count 5, b.count 9",
                "demo: release via swarm after crash, a.count 5, b.count 9, via swarm"
            ]
        );
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
            measured("demo: release via swarm, count 5", &[1.0, 1.1], 0),
            measured("demo: release via swarm, count 9", &[2.0], 0),
        ];
        assert_eq!(build.measured, expected);
        assert!(build.left_out[0].ends_with("its verdict is invalid"), "{:?}", build.left_out);
    }

    #[test]
    fn a_directory_of_runs_is_read_as_repeats() {
        let place = tempfile::tempdir().unwrap();
        for (name, seconds) in [("a", 1.0), ("b", 2.0)] {
            fs::create_dir(place.path().join(name)).unwrap();
            fs::write(place.path().join(name).join("results.json"), results(seconds, "valid").to_string()).unwrap();
        }
        assert_eq!(read(place.path()).unwrap().measured, [measured("demo: release via swarm", &[1.0, 2.0], 0)]);
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path()).unwrap_err().to_string().contains("holds no runs"));
    }
}
