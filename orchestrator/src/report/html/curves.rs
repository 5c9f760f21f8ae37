//! What the runs of a sweep measured, sorted into curves: one per way of spreading and combination of the other values.

use super::axis::Axis;
use crate::{
    record::outline::Outline,
    report::figures::{ratio, value},
    results::{Distribution, Outcome, Results, SweepRun},
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
    /// Seconds of distributions; whatever is measured of rings.
    pub(super) seconds: Vec<f64>,
    pub(super) ratios: Vec<f64>,
    pub(super) bound: Option<f64>,
    /// Whether the host was in the way of one of them.
    pub(super) has_invalid: bool,
}

/// The name of what x counts, and all curves in the order of their first run. Swept values that are no numbers tell
/// curves apart.
pub(super) fn series(runs: &[SweepRun], directory: &RunDirectory) -> (String, Vec<Series>) {
    let axis = Axis::of_distributions(runs);
    let mut all: Vec<Series> = Vec::new();
    for run in runs {
        for distribution in &run.results.distributions {
            let Some(x) = axis.place(run, distribution.peers) else { continue };
            let label = axis.label(run, &distribution_label(distribution));
            of_label(&mut all, label).add(x, run, distribution);
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

/// The name of what x counts, and a curve per label of what `measured` finds in the results of each run.
pub(super) fn of_rings(runs: &[SweepRun], measured: impl Fn(&Results) -> Vec<(String, f64)>) -> (String, Vec<Series>) {
    let axis = Axis::of_rings(runs);
    let mut all: Vec<Series> = Vec::new();
    for run in runs {
        for (what, value) in measured(&run.results) {
            let Some(x) = axis.place(run, 0) else { continue };
            let point = of_label(&mut all, axis.label(run, &what)).point(x, run);
            point.seconds.push(value);
        }
    }
    for series in &mut all {
        series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    (axis.name(), all)
}

/// The curve of this label, a new one where there is none.
fn of_label(all: &mut Vec<Series>, label: String) -> &mut Series {
    let place = all.iter().position(|series| series.label == label).unwrap_or_else(|| {
        all.push(Series { label, points: Vec::new(), bound: Vec::new() });
        all.len() - 1
    });
    &mut all[place]
}

/// The distribution and its way of spreading.
fn distribution_label(distribution: &Distribution) -> String {
    format!("{} via {}", distribution.name, distribution.via)
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
        let point = self.point(x, run);
        point.seconds.extend(distribution.seconds);
        point.ratios.extend(distribution.ratio);
        point.bound = point.bound.or(distribution.bound_seconds);
    }

    /// The point at `x`, into which this run goes.
    fn point(&mut self, x: f64, run: &SweepRun) -> &mut Point {
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
        point.has_invalid |= run.results.outcome == Outcome::Finished && run.results.verdict.state == State::Invalid;
        point
    }
}

/// The bound for every number of peers up to the largest; none where the peers are not all alike.
fn dense(axis: &Axis, series: &Series, runs: &[SweepRun], directory: &RunDirectory) -> Option<Vec<(f64, f64)>> {
    let all = runs.iter().flat_map(|run| run.results.distributions.iter().map(move |d| (run, d)));
    let (run, distribution) =
        all.filter(|(run, d)| axis.label(run, &distribution_label(d)) == series.label).max_by_key(|(_, d)| d.peers)?;
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
    use serde_json::{Value, json};

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
        assert_eq!(axis, "delay of link home, ms");
        let labels: Vec<&str> = all.iter().map(|s| s.label.as_str()).collect();
        assert_eq!(labels, ["release via swarm, order rarest", "release via swarm, order random"]);
        assert_eq!(all[0].points.iter().map(|p| p.x).collect::<Vec<_>>(), [20.0, 40.0]);
    }

    #[test]
    fn rates_of_any_unit_stand_on_one_axis() {
        let at = |up: &str| run(json!({ "links.home.up": up }), "swarm", 2, 2.0);
        let (axis, all) = series(&[at("500kbit"), at("1mbit"), at("2mbit")], &nowhere());
        assert_eq!(axis, "up rate of link home, Mbit/s");
        assert_eq!(all[0].points.iter().map(|p| p.x).collect::<Vec<_>>(), [0.5, 1.0, 2.0]);
    }

    #[test]
    fn repeats_of_a_ring_have_a_place_each() {
        let mut runs = [1, 2].map(|repeat| SweepRun { repeat, ..run(json!({}), "swarm", 2, 2.0) });
        runs.iter_mut().for_each(|run| run.results.distributions.clear());
        let (axis, all) = of_rings(&runs, |_| vec![("crash".into(), 3.0)]);
        assert_eq!((axis.as_str(), all.len(), all[0].label.as_str()), ("repetition", 1, "crash"));
        assert_eq!(all[0].points.iter().map(|p| p.x).collect::<Vec<_>>(), [1.0, 2.0]);
    }
}
