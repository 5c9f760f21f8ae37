//! Figure: how long a ring took to be right again after each crash, leave and join, over the course of the run.

use std::fmt::Write;

use super::{
    faults::{self, Fault},
    figure::{Figure, Key, Shape, series_class},
    frame::Frame,
    markup::{Table, at, count, escape, names},
};
use crate::{
    record::Record,
    report::figures::{NONE, seconds},
    results::Recovery,
};

/// A stem per fault, as high as its recovery took; none where nothing befell the ring.
pub(super) fn figure(record: &Record, recoveries: &[Recovery], ring: &str, faults: &[Fault]) -> Option<Figure> {
    let own: Vec<&Recovery> = recoveries.iter().filter(|it| it.ring == ring).collect();
    let last = own.iter().map(|it| it.at_seconds).reduce(f64::max)?;
    let longest = own.iter().filter_map(|it| it.recovered_seconds).fold(0.0, f64::max);
    let frame = Frame::half(record.length().max(last) * 1.02, longest.max(0.1));
    let mut drawing = frame.axes("seconds since the scenario's start", "seconds until right again");
    drawing.push_str(&faults::bands(&frame, faults, 0.0));
    let (bottom, top) = frame.y.places();
    let mut seen = Vec::new();
    for recovery in own.iter().take(STEMS_MAX) {
        let series = KINDS.iter().position(|kind| *kind == recovery.fault).unwrap_or(KINDS.len());
        if !seen.contains(&series) {
            seen.push(series);
        }
        let (class, x) = (series_class(COLOURS[series]), at(frame.x.at(recovery.at_seconds)));
        let (y, head) = match recovery.recovered_seconds {
            Some(took) => (frame.y.at(took), "fill"),
            None => (top, "hollow"),
        };
        let tip = escape(&sentence(recovery));
        let _ = writeln!(
            drawing,
            "<g class=\"{class}\"><title>{tip}</title><path class=\"line\" d=\"M{x} {}V{y}\"/><circle class=\"{head}\" cx=\"{x}\" \
             cy=\"{y}\" r=\"4\"/></g>",
            at(bottom),
            y = at(y)
        );
    }
    seen.sort_unstable();
    let word = |series: &usize| KINDS.get(*series).copied().unwrap_or("other");
    let open = own.iter().filter(|it| it.recovered_seconds.is_none()).count();
    Some(Figure {
        id: format!("{ring}-recoveries"),
        title: "Recovery from faults".into(),
        description: format!(
            "{}; the longest recovery took {} s, and {open} had not ended.",
            count(own.len(), "fault"),
            seconds(Some(longest))
        ),
        caption: "From the fault until every live member's predecessor and successors were right. Hollow: not within the run.".into(),
        legend: seen.iter().map(|series| Key::series(COLOURS[*series], Shape::Dot, word(series))).collect(),
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(&own)),
    })
}

fn sentence(recovery: &Recovery) -> String {
    let (kind, who) = (&recovery.fault, names(&recovery.peers));
    match recovery.recovered_seconds {
        Some(took) => format!("{kind} of {who}: right again after {} s", seconds(Some(took))),
        None => format!("{kind} of {who}: not right again within the run"),
    }
}

fn table(own: &[&Recovery]) -> Table {
    let mut table = Table::new("Faults and recoveries", &["fault", "peers", "at second", "recovered in, s"], 2);
    for it in own {
        let took = it.recovered_seconds.map_or_else(|| NONE.into(), |took| seconds(Some(took)));
        table.row([it.fault.clone(), names(&it.peers), seconds(Some(it.at_seconds)), took]);
    }
    table
}

const KINDS: &[&str] = &["crash", "leave", "join"];
/// By place in [`KINDS`], and of what is none of them.
const COLOURS: [usize; 4] = [1, 3, 2, 0];
/// More would be a carpet; the table has them.
const STEMS_MAX: usize = 1_500;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_never_recovered_is_hollow_and_other_rings_are_left_out() {
        let made = |ring: &str, fault: &str, took: Option<f64>| -> Recovery {
            let written =
                json!({ "ring": ring, "fault": fault, "peers": ["a"], "at_seconds": 1.0, "recovered_seconds": took });
            serde_json::from_value(written).unwrap()
        };
        let all = [made("ring", "crash", Some(2.0)), made("ring", "join", None), made("other", "crash", None)];
        let figure = figure(&Record::default(), &all, "ring", &[]).unwrap();
        let count = |mark: &str| figure.drawing.matches(mark).count();
        assert_eq!((count("class=\"fill\""), count("class=\"hollow\""), figure.legend.len()), (1, 1, 2));
        assert!(super::figure(&Record::default(), &all, "third", &[]).is_none());
    }

    #[test]
    fn ten_minutes_of_churn_are_drawn_to_their_end() {
        let made = |n: u32| -> Recovery {
            let written =
                json!({ "ring": "ring", "fault": "crash", "peers": ["a"], "at_seconds": n, "recovered_seconds": 1.0 });
            serde_json::from_value(written).unwrap()
        };
        let all: Vec<Recovery> = (0..700).map(made).collect();
        assert_eq!(figure(&Record::default(), &all, "ring", &[]).unwrap().drawing.matches("<circle").count(), 700);
    }
}
