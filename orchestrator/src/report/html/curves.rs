//! What the runs of a sweep measured, sorted into curves: one per way of spreading and combination of the other values.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    record::outline::Outline,
    report::figures::{ratio, value},
    results::{Distribution, Outcome, SweepRun},
    run_directory::RunDirectory,
    theory::{self, Rates},
    units::Rate,
    verdict::State,
};

/// The runs that belong to one curve.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) label: String,
    /// In rising order of x.
    pub(super) points: Vec<Point>,
    /// Least possible seconds by x.
    pub(super) bound: Vec<(f64, f64)>,
}

/// Repeats of one run.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) label: String,
    pub(super) x: f64,
    pub(super) seconds: Vec<f64>,
    pub(super) ratios: Vec<f64>,
    pub(super) bound: Option<f64>,
    /// Whether the host was in the way of one of them.
    pub(super) has_invalid: bool,
}

/// The name of what x counts, and all curves in the order of their first run. Swept values that are no numbers tell
/// curves apart.
pub(super) fn series(runs: &[SweepRun], directory: &RunDirectory) -> (String, Vec<Series>) {
    let axis = Axis::of(runs);
    let mut all: Vec<Series> = Vec::new();
    for run in runs {
        for distribution in &run.results.distributions {
            let Some(x) = axis.place(run, distribution) else { continue };
            let label = axis.label(run, distribution);
            let place = all.iter().position(|series| series.label == label).unwrap_or_else(|| {
                all.push(Series { label: label.clone(), points: Vec::new(), bound: Vec::new() });
                all.len() - 1
            });
            all[place].add(x, run, distribution);
        }
    }
    for series in &mut all {
        series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        series.bound = series.points.iter().filter_map(|point| Some((point.x, point.bound?))).collect();
    }
    if matches!(axis, Axis::Peers) {
        for series in &mut all {
            if let Some(dense) = dense(&axis, series, runs, directory) {
                series.bound = dense;
            }
        }
    }
    (axis.name(), all)
}

impl Series {
    /// Everything that has to fit on the axis.
    pub(super) fn heights(&self) -> impl Iterator<Item = f64> {
        let measured = self.points.iter().flat_map(|point| point.seconds.iter().copied());
        measured.chain(self.bound.iter().map(|(_, bound)| *bound))
    }

    /// How the curve goes, in words.
    pub(super) fn sentence(&self) -> String {
        let measured: Vec<&Point> = self.points.iter().filter(|point| !point.seconds.is_empty()).collect();
        let ends = (measured.first(), measured.last());
        let (Some(first), Some(last)) = ends else { return format!("{}: nothing completed.", self.label) };
        let middle =
            |point: &Point| crate::report::figures::seconds(crate::report::figures::median(&mut point.seconds.clone()));
        let worst = self.points.iter().flat_map(|point| point.ratios.iter().copied()).reduce(f64::max);
        format!(
            "{}: from {} s at {} to {} s at {}, at most {} times the bound.",
            self.label,
            middle(first),
            value(&first.x.into()),
            middle(last),
            value(&last.x.into()),
            ratio(worst)
        )
    }

    fn add(&mut self, x: f64, run: &SweepRun, distribution: &Distribution) {
        let place = self.points.iter().position(|point| (point.x - x).abs() < 1e-12).unwrap_or_else(|| {
            let label = self.label.clone();
            self.points.push(Point {
                label,
                x,
                seconds: Vec::new(),
                ratios: Vec::new(),
                bound: None,
                has_invalid: false,
            });
            self.points.len() - 1
        });
        let point = &mut self.points[place];
        point.seconds.extend(distribution.seconds);
        point.ratios.extend(distribution.ratio);
        point.bound = point.bound.or(distribution.bound_seconds);
        point.has_invalid |= run.results.outcome == Outcome::Finished && run.results.verdict.state == State::Invalid;
    }
}

/// What x counts.
#[derive(Debug)]
enum Axis {
    /// The peers that a file is addressed to: the textbook's N.
    Peers,
    /// A swept value that is a number, with or without a unit.
    Value(String),
}

impl Axis {
    fn of(runs: &[SweepRun]) -> Self {
        let counts: BTreeSet<usize> = runs.iter().flat_map(|run| &run.results.distributions).map(|d| d.peers).collect();
        let varied = |path: &&String| {
            let values: BTreeSet<String> =
                runs.iter().filter_map(|run| run.values.get(*path)).map(Value::to_string).collect();
            let are_numbers = runs.iter().all(|run| run.values.get(*path).is_none_or(|v| number(v).is_some()));
            values.len() > 1 && are_numbers
        };
        let paths = runs.first().into_iter().flat_map(|run| run.values.keys());
        match paths.into_iter().find(varied) {
            Some(path) if counts.len() < 2 => Self::Value(path.clone()),
            _ => Self::Peers,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Peers => "peers that want the file, N".into(),
            Self::Value(path) => path.clone(),
        }
    }

    fn place(&self, run: &SweepRun, distribution: &Distribution) -> Option<f64> {
        match self {
            Self::Peers => Some(distribution.peers as f64),
            Self::Value(path) => number(run.values.get(path)?),
        }
    }

    /// The distribution and its way of spreading, and the values swept besides.
    fn label(&self, run: &SweepRun, distribution: &Distribution) -> String {
        let mut label = format!("{} via {}", distribution.name, distribution.via);
        for (path, swept) in &run.values {
            let is_axis = match self {
                Self::Peers => path.ends_with(".count"),
                Self::Value(axis) => path == axis,
            };
            if !is_axis && !path.ends_with(".via") {
                let last = path.rsplit('.').next().unwrap_or(path);
                label.push_str(&format!(", {last} {}", value(swept)));
            }
        }
        label
    }
}

/// The number that a swept value is or begins with: 20 of `20ms`.
fn number(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Number(number) => return number.as_f64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The bound for every number of peers up to the largest; none where the peers are not all alike.
fn dense(axis: &Axis, series: &Series, runs: &[SweepRun], directory: &RunDirectory) -> Option<Vec<(f64, f64)>> {
    let all = runs.iter().flat_map(|run| run.results.distributions.iter().map(move |d| (run, d)));
    let (run, distribution) = all.filter(|(run, d)| axis.label(run, d) == series.label).max_by_key(|(_, d)| d.peers)?;
    let plan = RunDirectory::open(&directory.root().join(&run.directory)).ok()?.plan();
    let outline = Outline::read(&plan);
    let (from, to) = outline.sides(&distribution.id)?;
    let first = to.first()?;
    let alike = |name: &String| outline.up(name) == outline.up(first) && outline.down(name) == outline.down(first);
    if !to.iter().all(alike) {
        return None;
    }
    let from_up: Vec<Option<Rate>> = from.iter().map(|name| outline.up(name).map(Rate)).collect();
    let bound = |peers: usize| {
        let rates = Rates {
            from_up: from_up.clone(),
            to_up: vec![outline.up(first).map(Rate); peers],
            to_down: vec![outline.down(first).map(Rate); peers],
        };
        let bound = match distribution.via.as_str() {
            "client-server" => theory::client_server(distribution.bytes, &rates),
            _ => theory::swarm(distribution.bytes, &rates),
        };
        Some((peers as f64, bound?.seconds))
    };
    (1..=distribution.peers.min(PEERS_MAX)).map(bound).collect()
}

/// Peers up to which a bound is reckoned for every number; beyond, points are drawn as they were swept.
const PEERS_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::html::fixture;

    fn run(values: Value, via: &str, peers: usize, seconds: f64) -> SweepRun {
        SweepRun {
            values: values.as_object().unwrap().clone(),
            repeat: 1,
            directory: "001".into(),
            results: fixture::results(vec![fixture::distribution(via, &vec![Some(seconds); peers])]),
        }
    }

    fn nowhere() -> RunDirectory {
        RunDirectory::create(tempfile::tempdir().unwrap().path()).unwrap()
    }

    #[test]
    fn a_swept_number_of_peers_gives_the_textbooks_figure() {
        let runs = [
            run(json!({ "groups.home.count": 5, "scenario.0.distribute.via": "swarm" }), "swarm", 5, 3.0),
            run(
                json!({ "groups.home.count": 5, "scenario.0.distribute.via": "client-server" }),
                "client-server",
                5,
                6.0,
            ),
            run(json!({ "groups.home.count": 2, "scenario.0.distribute.via": "swarm" }), "swarm", 2, 2.0),
            run(json!({ "groups.home.count": 2, "scenario.0.distribute.via": "swarm" }), "swarm", 2, 2.5),
        ];
        let (axis, all) = series(&runs, &nowhere());
        assert!(axis.starts_with("peers"), "{axis}");
        let labels: Vec<&str> = all.iter().map(|s| s.label.as_str()).collect();
        assert_eq!(labels, ["release via swarm", "release via client-server"]);
        let points: Vec<(f64, usize)> = all[0].points.iter().map(|p| (p.x, p.seconds.len())).collect();
        assert_eq!((points, all[0].bound.len()), (vec![(2.0, 2), (5.0, 1)], 2));
    }

    #[test]
    fn another_swept_number_is_the_axis_and_words_tell_curves_apart() {
        let runs = [
            run(json!({ "links.home.delay": "20ms", "x.order": "rarest" }), "swarm", 2, 2.0),
            run(json!({ "links.home.delay": "40ms", "x.order": "rarest" }), "swarm", 2, 3.0),
            run(json!({ "links.home.delay": "40ms", "x.order": "random" }), "swarm", 2, 4.0),
        ];
        let (axis, all) = series(&runs, &nowhere());
        assert_eq!(axis, "links.home.delay");
        let labels: Vec<&str> = all.iter().map(|s| s.label.as_str()).collect();
        assert_eq!(labels, ["release via swarm, order rarest", "release via swarm, order random"]);
        assert_eq!(all[0].points.iter().map(|p| p.x).collect::<Vec<_>>(), [20.0, 40.0]);
    }
}
