//! Figure: what the host did while it measured, beside the limits of the verdict.

use super::{
    figure::{Figure, Key, Shape},
    frame::Frame,
    markup::Table,
};
use crate::{
    record::Record,
    report::figures::{NONE, seconds},
    verdict::{BUSY_SHARE, PRESSURE_SHARE, Window},
};

/// Busy, waiting and stolen shares of the processors over time; none where nobody looked.
pub(super) fn figure(record: &Record) -> Option<Figure> {
    if record.windows.is_empty() {
        return None;
    }
    let end = record.windows.iter().map(|w| record.since_start(w.t)).fold(0.0, f64::max);
    let frame = Frame::half(end * 1.02, 100.0);
    let mut drawing = frame.axes("seconds since the scenario's start", "% of the time");
    for (class, limit) in [("s0", BUSY_SHARE), ("s1", PRESSURE_SHARE)] {
        let line = frame.line(&[(0.0, limit * 100.0), (frame.x.high(), limit * 100.0)]);
        drawing.push_str(&format!("<path class=\"{class} bound\" d=\"{line}\"/>\n"));
    }
    let mut draw = |class: &str, value: fn(&Window) -> f64| {
        let points = record.windows.iter().map(|w| (record.since_start(w.t), value(w) * 100.0));
        let path = frame.line(&points.collect::<Vec<_>>());
        drawing.push_str(&format!("<path class=\"{class} line\" d=\"{path}\"/>\n"));
    };
    draw("s0", |w| w.busy);
    draw("s1", |w| w.pressure.unwrap_or(0.0));
    draw("s3", |w| w.steal);
    let key = |class: &str, shape, words: &str| Key { class: class.into(), shape, words: words.into() };
    Some(Figure {
        id: "host".into(),
        title: "What the host was busy with".into(),
        description: describe(&record.windows),
        caption: "Windows of a second. Dashed: from here on a second counts against the verdict.".into(),
        legend: vec![
            key("s0", Shape::Line, "processors busy"),
            key("s1", Shape::Line, "tasks waiting for one"),
            key("s3", Shape::Line, "taken by the hypervisor"),
        ],
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(record)),
    })
}

fn describe(windows: &[Window]) -> String {
    let highest = |value: fn(&Window) -> f64| windows.iter().map(value).fold(0.0, f64::max);
    format!(
        "Processors were {:.0} % busy at most, tasks waited {:.0} % of a second at most, and a timer was {:.1} ms late at most.",
        highest(|w| w.busy) * 100.0,
        highest(|w| w.pressure.unwrap_or(0.0)) * 100.0,
        highest(|w| w.lateness) * 1e3
    )
}

fn table(record: &Record) -> Table {
    let header =
        ["until second", "measuring", "busy, %", "waiting, %", "stolen, %", "timer late, ms", "packets dropped"];
    let mut table = Table::new("The host, window by window", &header, 0);
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    for w in &record.windows {
        let dropped = w.softnet_dropped + w.links.receive_dropped + w.links.engine_dropped;
        table.row([
            seconds(Some(record.since_start(w.t))),
            if w.measuring { "yes".into() } else { "no".into() },
            percent(w.busy),
            w.pressure.map_or_else(|| NONE.into(), percent),
            percent(w.steal),
            format!("{:.1}", w.lateness * 1e3),
            dropped.to_string(),
        ]);
    }
    table
}
