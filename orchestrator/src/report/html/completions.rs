//! Figure: how many peers had the whole file by when, one stair per distribution.

use super::{
    figure::{Figure, Key, Shape, series_class},
    frame::Frame,
    markup::Table,
};
use crate::{report::figures::seconds, results::Distribution};

/// The share of peers with the file over time; none where nothing was distributed.
pub(super) fn figure(all: &[Distribution]) -> Option<Figure> {
    let latest = all.iter().flat_map(|d| times(d).into_iter().chain(d.bound_seconds)).fold(0.0, f64::max);
    if all.iter().all(|d| d.completions.is_empty()) {
        return None;
    }
    let frame = Frame::half(latest * 1.04, 100.0);
    let mut drawing = frame.axes("seconds since the begin", "% of peers");
    for (index, distribution) in all.iter().enumerate() {
        let class = series_class(index);
        if let Some(bound) = distribution.bound_seconds {
            let words = format!("bound {} s", seconds(Some(bound)));
            drawing.push_str(&frame.marker(bound, &class, &words, index % 3));
        }
    }
    for (index, distribution) in all.iter().enumerate() {
        let path = frame.stairs(&stairs(distribution, frame.x.high()));
        let tip = super::times::sentence(distribution);
        drawing.push_str(&format!(
            "<g class=\"{}\"><path class=\"line thick\" d=\"{path}\"><title>{}</title></path></g>\n",
            series_class(index),
            super::markup::escape(&tip)
        ));
    }
    let name = |d: &Distribution| format!("{} via {}", d.name, d.via);
    Some(Figure {
        id: "completions".into(),
        title: "Who had the file by when".into(),
        description: all.iter().map(describe).collect::<Vec<_>>().join(" "),
        caption: "Share of the addressed peers whose whole file was verified on disk; dashed lines are the bounds."
            .into(),
        legend: all.iter().enumerate().map(|(i, d)| Key::series(i, Shape::Line, &name(d))).collect(),
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(all)),
    })
}

fn times(distribution: &Distribution) -> Vec<f64> {
    let mut times: Vec<f64> = distribution.completions.iter().filter_map(|c| c.seconds).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Per cent of the addressed peers over time, up to the end of the axis.
fn stairs(distribution: &Distribution, end: f64) -> Vec<(f64, f64)> {
    let all = distribution.completions.len().max(1) as f64;
    let mut points = vec![(0.0, 0.0)];
    points.extend(times(distribution).into_iter().zip(1..).map(|(t, n)| (t, f64::from(n) / all * 100.0)));
    let last = points.last().map_or(0.0, |(_, share)| *share);
    points.push((end, last));
    points
}

fn describe(distribution: &Distribution) -> String {
    let times = times(distribution);
    let head = format!(
        "{} via {}: {} of {} peers completed",
        distribution.name,
        distribution.via,
        times.len(),
        distribution.completions.len()
    );
    match (times.first(), times.last()) {
        (Some(first), Some(last)) => {
            format!("{head}, the first after {} s, the last after {} s.", seconds(Some(*first)), seconds(Some(*last)))
        }
        _ => format!("{head}."),
    }
}

/// One row per peer, one column per distribution.
fn table(all: &[Distribution]) -> Table {
    let mut header = vec!["peer".to_owned()];
    header.extend(all.iter().map(|d| format!("{} via {}, s", d.name, d.via)));
    let mut table = Table::new("Completion of each peer", &header.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    let mut peers: Vec<&str> = Vec::new();
    for completion in all.iter().flat_map(|d| &d.completions) {
        // Distributions mostly address the same peers in the same order.
        if !peers.contains(&completion.peer.as_str()) {
            peers.push(&completion.peer);
        }
    }
    for peer in peers {
        let cells = all.iter().map(|d| seconds(d.completions.iter().find(|c| c.peer == peer).and_then(|c| c.seconds)));
        table.row(std::iter::once(peer.to_owned()).chain(cells));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn the_stair_climbs_by_one_peer_at_each_completion() {
        let distribution = fixture::distribution("swarm", &[Some(4.0), None, Some(2.0), Some(3.0)]);
        assert_eq!(stairs(&distribution, 5.0), [(0.0, 0.0), (2.0, 25.0), (3.0, 50.0), (4.0, 75.0), (5.0, 75.0)]);
        let words = describe(&distribution);
        assert!(words.contains("3 of 4 peers completed, the first after 2.00 s, the last after 4.00 s"), "{words}");
    }

    #[test]
    fn a_distribution_that_nobody_completed_is_drawn_flat() {
        let figure = figure(&[fixture::distribution("swarm", &[None, None])]).unwrap();
        assert!(figure.description.ends_with("0 of 2 peers completed."));
        assert_eq!(figure.drawing.matches("class=\"line thick\"").count(), 1);
    }
}
