//! Figure and table: links as asked for and as measured before the scenario.

use std::fmt::Write;

use super::{
    figure::{Figure, Key, Shape},
    frame::HALF_WIDTH,
    markup::{Table, at, escape},
    scale::Scale,
};
use crate::{
    report::{figures::NONE, links as words},
    results::Results,
    verify::found::LinkFound,
};

/// How far measured rates are from those asked for, a dot per direction; none where no rate was measured.
pub(super) fn figure(results: &Results) -> Option<Figure> {
    let all: Vec<(&LinkFound, f64)> = results.links.iter().filter_map(|link| Some((link, deviation(link)?))).collect();
    if all.is_empty() {
        return None;
    }
    let widest = all.iter().map(|(_, d)| d.abs()).fold(TOLERANCE * 1.5, f64::max) * 1.1;
    let x = Scale::new(-widest, widest, LEFT, HALF_WIDTH - RIGHT);
    let shown: Vec<&(&LinkFound, f64)> = all.iter().take(ROWS_MAX).collect();
    let bottom = TOP + shown.len() as f64 * ROW;
    let mut drawing = ground(&x, bottom);
    for (index, (link, deviation)) in shown.iter().enumerate() {
        let y = at(TOP + (index as f64 + 0.5) * ROW);
        let class = if link.within_tolerance == Some(false) { "s1" } else { "s0" };
        let _ = writeln!(
            drawing,
            "<text x=\"{}\" y=\"{y}\" dy=\".32em\" text-anchor=\"end\">{} {}</text><circle class=\"{class} fill\" cx=\"{}\" \
             cy=\"{y}\" r=\"5\"><title>{deviation:+.2} %</title></circle>",
            at(LEFT - 10.0),
            escape(&link.class),
            escape(&link.direction),
            at(x.at(*deviation))
        );
    }
    let left_out = all.len() - shown.len();
    let mut caption = "Measured rate less the rate asked for; the band is the tolerance.".to_owned();
    if left_out > 0 {
        let _ = write!(caption, " {left_out} more directions are in the table.");
    }
    let worst = all.iter().map(|(_, d)| d.abs()).fold(0.0, f64::max);
    Some(Figure {
        id: "link-rates".into(),
        title: "Rates of the links".into(),
        description: format!("The measured rate furthest from what was asked for is {worst:.2} % away."),
        caption,
        legend: vec![Key::series(0, Shape::Dot, "in tolerance"), Key::series(1, Shape::Dot, "out of tolerance")],
        drawing,
        width: HALF_WIDTH,
        height: bottom + BOTTOM,
        table: None,
    })
}

/// Everything asked of links and measured at them; none where nothing was measured.
pub(super) fn table(results: &Results) -> Option<Table> {
    let header = [
        "link",
        "way",
        "in tolerance",
        "rate asked",
        "measured",
        "delay asked",
        "measured",
        "jitter asked",
        "loss asked",
        "measured",
    ];
    let mut table = Table::new("Links as asked for and as measured", &header, 3);
    for link in &results.links {
        let Some(measured) = &link.measured else { continue };
        let verdict = match link.within_tolerance {
            Some(true) => "yes",
            Some(false) => "no",
            None => NONE,
        };
        table.row([
            link.class.clone(),
            link.direction.clone(),
            verdict.to_owned(),
            words::rate(link.asked.rate_bps),
            words::rate(measured.rate_bps),
            words::milliseconds(Some(link.asked.delay_s)),
            words::milliseconds(measured.delay_s),
            words::milliseconds(Some(link.asked.jitter_s)),
            words::share(Some(link.asked.loss)),
            words::share(measured.loss),
        ]);
    }
    (!table.is_empty()).then_some(table)
}

/// Latencies between regions; none where there are none.
pub(super) fn latencies(results: &Results) -> Option<Table> {
    let header = ["from", "to", "in tolerance", "asked", "measured"];
    let mut table = Table::new("One-way latencies between regions", &header, 3);
    for latency in &results.latencies {
        let verdict = match latency.within_tolerance {
            Some(true) => "yes",
            Some(false) => "no",
            None => NONE,
        };
        let asked = words::milliseconds(Some(latency.asked_s));
        let measured = words::milliseconds(latency.measured_s);
        table.row([latency.from.clone(), latency.to.clone(), verdict.to_owned(), asked, measured]);
    }
    (!table.is_empty()).then_some(table)
}

/// Per cent that a measured rate is above the rate asked for.
fn deviation(link: &LinkFound) -> Option<f64> {
    let asked = link.asked.rate_bps? as f64;
    let measured = link.measured.as_ref()?.rate_bps? as f64;
    Some((measured / asked - 1.0) * 100.0)
}

/// The band of the tolerance and the axis.
fn ground(x: &Scale, bottom: f64) -> String {
    let (from, to) = (x.at(-TOLERANCE), x.at(TOLERANCE));
    let mut out = format!(
        "<rect class=\"band\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/><g class=\"axis\">",
        at(from),
        at(TOP),
        at(to - from),
        at(bottom - TOP)
    );
    for (value, text) in x.ticks() {
        let place = at(x.at(value));
        let sign = if value > 0.0 { "+" } else { "" };
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{place} {}V{}\"/><text x=\"{place}\" y=\"{}\" text-anchor=\"middle\">{sign}{text}</text>",
            at(TOP),
            at(bottom),
            at(bottom + 18.0)
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">% off the rate asked for</text></g>",
        at(HALF_WIDTH - RIGHT),
        at(bottom + 34.0)
    );
    out
}

/// Per cent within which a measured rate is as asked for; `verify` holds links to it.
const TOLERANCE: f64 = 3.0;
/// Directions drawn; topologies with more classes are read in the table.
const ROWS_MAX: usize = 16;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 40.0;
const ROW: f64 = 26.0;
