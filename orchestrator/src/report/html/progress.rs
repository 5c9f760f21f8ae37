//! Figure: how far each peer was over time, between nothing and the whole file.

use super::{
    faults::{self, Fault},
    figure::{Figure, Key, Shape},
    frame::Frame,
    markup::{Table, count, escape},
};
use crate::{
    record::course::{Course, Part},
    report::figures::seconds,
    results::{Distribution, percentile},
};

/// Lines of all peers, or bands where they are many, beside what the fluid model allows.
pub(super) fn figure(id: &str, distribution: &Distribution, course: &Course, faults: &[Fault]) -> Option<Figure> {
    let peers: Vec<(&String, Vec<(f64, f64)>)> =
        course.receivers().map(|(name, part)| (name, shares(part, course.pieces))).collect();
    let end = course.length().max(distribution.bound_seconds.unwrap_or(0.0));
    if peers.is_empty() || course.pieces == 0 {
        return None;
    }
    let frame = Frame::half(end * 1.04, 100.0);
    let mut drawing = frame.axes("seconds since the begin", "% of the pieces");
    drawing.push_str(&faults::bands(&frame, faults, distribution.begun_seconds));
    let bands = Bands::of(&peers, course.length());
    if peers.len() > LINES_MAX {
        drawing.push_str(&format!("<path class=\"s0 fill faint\" d=\"{}\"/>\n", frame.area(&bands.most, &bands.least)));
        drawing.push_str(&format!("<path class=\"s0 fill light\" d=\"{}\"/>\n", frame.area(&bands.p90, &bands.p10)));
    } else {
        for (name, points) in &peers {
            let path = frame.stairs(points);
            let tip = escape(name);
            drawing.push_str(&format!("<path class=\"s0 line thin\" d=\"{path}\"><title>{tip}</title></path>\n"));
        }
    }
    drawing.push_str(&format!("<path class=\"s1 line thick\" d=\"{}\"/>\n", frame.line(&bands.median)));
    if let Some(bound) = distribution.bound_seconds {
        let ideal = frame.line(&[(0.0, 0.0), (bound, 100.0)]);
        drawing.push_str(&format!("<path class=\"ink bound\" d=\"{ideal}\"/>\n"));
    }
    Some(Figure {
        id: format!("{id}-progress"),
        title: "Progress of the peers".into(),
        description: describe(&peers, course),
        caption:
            "Verified pieces of each peer. The dashed line is everybody's progress in the fluid model that attains \
                  the bound."
                .into(),
        legend: legend(peers.len(), distribution),
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(&peers, course)),
    })
}

/// Per cent of the pieces over time.
fn shares(part: &Part, pieces: u32) -> Vec<(f64, f64)> {
    let share = |have: u32| f64::from(have.min(pieces)) / f64::from(pieces.max(1)) * 100.0;
    part.progress().into_iter().map(|(t, have)| (t, share(have))).collect()
}

/// The value of a stair at `t`.
fn value(points: &[(f64, f64)], t: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= t);
    if after == 0 { 0.0 } else { points[after - 1].1 }
}

/// Instant of the first value of at least `wanted`.
fn reached(points: &[(f64, f64)], wanted: f64) -> Option<f64> {
    points.iter().find(|(_, share)| *share >= wanted - 1e-9).map(|(t, _)| *t)
}

/// Percentiles over the peers at instants all over the time.
#[derive(Debug, Default)]
struct Bands {
    least: Vec<(f64, f64)>,
    p10: Vec<(f64, f64)>,
    median: Vec<(f64, f64)>,
    p90: Vec<(f64, f64)>,
    most: Vec<(f64, f64)>,
}

impl Bands {
    fn of(peers: &[(&String, Vec<(f64, f64)>)], end: f64) -> Self {
        let mut bands = Self::default();
        for instant in 0..=INSTANTS {
            let t = end * f64::from(instant) / f64::from(INSTANTS);
            let mut values: Vec<f64> = peers.iter().map(|(_, points)| value(points, t)).collect();
            values.sort_by(f64::total_cmp);
            let at = |share: f64| (t, percentile(&values, share).unwrap_or(0.0));
            bands.least.push(at(0.0));
            bands.p10.push(at(0.10));
            bands.median.push(at(0.50));
            bands.p90.push(at(0.90));
            bands.most.push(at(1.0));
        }
        bands
    }
}

fn legend(peers: usize, distribution: &Distribution) -> Vec<Key> {
    let mut legend = if peers > LINES_MAX {
        vec![
            Key { class: "s0 light".into(), shape: Shape::Area, words: "80 % of the peers".into() },
            Key { class: "s0 faint".into(), shape: Shape::Area, words: "all".into() },
        ]
    } else {
        vec![Key::series(0, Shape::Line, "a peer")]
    };
    legend.push(Key::series(1, Shape::Line, "median"));
    if distribution.bound_seconds.is_some() {
        legend.push(Key { class: "ink".into(), shape: Shape::Dashes, words: "fluid model".into() });
    }
    legend
}

fn describe(peers: &[(&String, Vec<(f64, f64)>)], course: &Course) -> String {
    let done = peers.iter().filter(|(_, points)| reached(points, 100.0).is_some()).count();
    let mut halves: Vec<f64> = peers.iter().filter_map(|(_, points)| reached(points, 50.0)).collect();
    halves.sort_by(f64::total_cmp);
    let half = seconds(percentile(&halves, 0.5));
    format!(
        "{} of {} got all {} pieces within {} s; half of the peers had half of them after {half} s.",
        done,
        count(peers.len(), "peer"),
        course.pieces,
        seconds(Some(course.length()))
    )
}

fn table(peers: &[(&String, Vec<(f64, f64)>)], course: &Course) -> Table {
    let header = ["peer", "25 %, s", "50 %, s", "75 %, s", "100 %, s", "pieces"];
    let mut table = Table::new("When each peer had so much of the file", &header, 1);
    for (name, points) in peers {
        let last = points.last().map_or(0.0, |(_, share)| share / 100.0 * f64::from(course.pieces));
        let cells = [25.0, 50.0, 75.0, 100.0].map(|wanted| seconds(reached(points, wanted)));
        table.row([(*name).clone()].into_iter().chain(cells).chain([format!("{last:.0}")]));
    }
    table
}

/// More lines than this are told apart by nobody, and bands are drawn.
const LINES_MAX: usize = 40;
/// Instants at which percentiles are taken.
const INSTANTS: u32 = 150;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn few_peers_get_a_line_each_and_many_get_bands() {
        let distribution = fixture::distribution("swarm", &[Some(4.0)]);
        let few = figure("d0", &distribution, &fixture::course(3, 4), &[]).unwrap();
        assert_eq!(few.drawing.matches("line thin").count(), 3);
        let many = figure("d0", &distribution, &fixture::course(50, 4), &[]).unwrap();
        assert_eq!((many.drawing.matches("line thin").count(), many.drawing.matches("fill ").count()), (0, 2));
    }

    #[test]
    fn a_share_is_reached_at_its_piece() {
        let course = fixture::course(1, 4);
        let points = shares(&course.parts["home-1"], 4);
        assert_eq!([0.0, 50.0, 100.0].map(|wanted| reached(&points, wanted)), [Some(0.0), Some(2.0), Some(4.0)]);
        assert_eq!(value(&points, 3.5), 75.0);
    }
}
