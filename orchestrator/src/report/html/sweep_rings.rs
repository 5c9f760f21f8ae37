//! Figures of a sweep of rings: recoveries, hops and lookup times against what was swept, or repetition by repetition.

use std::fmt::Write;

use super::{
    curves,
    figure::{Figure, Key, Shape, series_class},
    frame::Frame,
    markup::Table,
    sweep::dots,
};
use crate::{
    report::figures::{median, value},
    results::{Results, SweepRun},
};

/// What there is of recoveries, hops and lookup times.
pub(super) fn figures(runs: &[SweepRun]) -> [Option<Figure>; 3] {
    [
        figure(runs, "recoveries", "Recovery from faults", "seconds until right again, median", recovered),
        figure(runs, "hops", "Hops of lookups", "hops to the key's predecessor, mean", hops),
        figure(runs, "latency", "How long lookups took", "milliseconds, median", latency),
    ]
}

/// A point per run and label, medians where several fall on one place.
fn figure(
    runs: &[SweepRun],
    id: &str,
    title: &str,
    y: &str,
    measured: impl Fn(&Results) -> Vec<(String, f64)>,
) -> Option<Figure> {
    let (axis, all) = curves::of_rings(runs, measured);
    let highest = all.iter().flat_map(curves::Series::heights).reduce(f64::max)?;
    let furthest = all.iter().flat_map(|series| &series.points).map(|point| point.x).fold(0.0, f64::max);
    let frame = Frame::half(furthest * 1.04, highest * 1.02);
    let mut drawing = frame.axes(&axis, y);
    let mut table = Table::new(title, &["what", axis.as_str(), y, "runs"], 1);
    for (index, series) in all.iter().enumerate() {
        let _ = write!(drawing, "<g class=\"{}\">", series_class(index));
        for point in &series.points {
            dots(&mut drawing, &frame, point, &point.seconds);
            let middle = median(&mut point.seconds.clone()).map_or(serde_json::Value::Null, Into::into);
            let runs = point.seconds.len().to_string();
            table.row([series.label.clone(), value(&point.x.into()), value(&middle), runs]);
        }
        drawing.push_str("</g>\n");
    }
    Some(Figure {
        id: id.into(),
        title: title.into(),
        description: format!("{y}, at most {}.", value(&highest.into())),
        caption:
            "A point for each run, or the median and range of several at one place. Hollow: the host was in the way."
                .into(),
        legend: all.iter().enumerate().map(|(index, it)| Key::series(index, Shape::Dot, &it.label)).collect(),
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table),
    })
}

/// The median of a run's recoveries from each kind of fault.
fn recovered(results: &Results) -> Vec<(String, f64)> {
    let mut kinds: Vec<(String, Vec<f64>)> = Vec::new();
    for it in results.recoveries.iter().filter(|it| !it.ring.is_empty()) {
        let Some(took) = it.recovered_seconds else { continue };
        match kinds.iter_mut().find(|(kind, _)| *kind == it.fault) {
            Some((_, all)) => all.push(took),
            None => kinds.push((it.fault.clone(), vec![took])),
        }
    }
    kinds.into_iter().filter_map(|(kind, mut all)| Some((kind, median(&mut all)?))).collect()
}

/// Mean hops of each step's lookups.
fn hops(results: &Results) -> Vec<(String, f64)> {
    results.lookups.iter().filter_map(|it| Some((it.name.clone(), it.hops?.mean))).collect()
}

/// The median time of each step's questions, in milliseconds.
fn latency(results: &Results) -> Vec<(String, f64)> {
    results.lookups.iter().filter_map(|it| Some((it.name.clone(), it.latency_seconds?.p50 * 1e3))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn a_repeated_ring_shows_recoveries_hops_and_times() {
        let run = |repeat: usize| {
            let mut results = fixture::results(Vec::new());
            let crash = json!({ "ring": "ring", "fault": "crash", "peers": ["a"], "at_seconds": 1.0, "recovered_seconds": 2.0 });
            results.recoveries = vec![serde_json::from_value(crash).unwrap()];
            let spread = json!({ "mean": 2.5, "p50": 0.02, "p99": 3.0, "max": 4.0 });
            let lookups = json!({ "name": "after", "ring": "ring", "count": 9, "correct": 9, "failed": 0, "hops": spread,
                "latency_seconds": spread });
            results.lookups = vec![serde_json::from_value(lookups).unwrap()];
            SweepRun { values: serde_json::Map::new(), repeat, directory: repeat.to_string(), results }
        };
        let drawn = figures(&[run(1), run(2), run(3)]).map(Option::unwrap);
        assert!(drawn.iter().all(|figure| figure.drawing.matches("<circle").count() == 3));
        assert!(drawn[2].description.contains("at most 20."), "{}", drawn[2].description);
        assert!(figures(&[]).iter().all(Option::is_none));
    }
}
