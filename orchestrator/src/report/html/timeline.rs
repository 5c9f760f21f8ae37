//! Figure: what happened when: steps of the scenario, faults, recoveries, and what peers and processes reported.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{
    faults::Fault,
    figure::{Figure, Key, Shape},
    frame::{WHOLE_WIDTH, ruler},
    markup::{Table, at, count, escape},
    scale::Scale,
};
use crate::{
    record::{Mark, Record},
    report::figures::seconds,
    results::Recovery,
    scenario::is_fault,
};

/// Steps as bars, faults in a colour of their own with the time to recover, and everything else as ticks.
pub(super) fn figure(record: &Record, recoveries: &[Recovery], faults: &[Fault]) -> Option<Figure> {
    let rows = rows(record, recoveries, faults);
    if rows.is_empty() {
        return None;
    }
    let last = rows.iter().flat_map(|row| &row.spans).map(|span| span.to).fold(record.length(), f64::max);
    let x = Scale::new(0.0, last * 1.02, LEFT, WHOLE_WIDTH - RIGHT);
    let bottom = TOP + rows.len() as f64 * ROW;
    let mut drawing = ruler(&x, (TOP - 6.0, bottom), "seconds since the scenario's start");
    for (index, row) in rows.iter().enumerate() {
        draw(&mut drawing, row, TOP + index as f64 * ROW, &x);
    }
    let key = |class: &str, shape, words: &str| Key { class: class.into(), shape, words: words.into() };
    Some(Figure {
        id: "timeline".into(),
        title: "What happened when".into(),
        description: describe(&rows),
        caption:
            "Steps of the scenario, faults and the time until the overlay had recovered, and what processes and peers \
                  reported besides."
                .into(),
        legend: vec![
            key("s0", Shape::Area, "step"),
            key("s1", Shape::Area, "fault"),
            key("s2", Shape::Area, "recovery"),
            key("s3", Shape::Dot, "report"),
        ],
        drawing,
        width: WHOLE_WIDTH,
        height: bottom + BOTTOM,
        table: Some(table(&rows)),
    })
}

/// One line of the figure.
#[derive(Debug)]
struct Row {
    name: String,
    class: &'static str,
    spans: Vec<Span>,
}

/// Something that lasted, or an instant where both ends are the same; in seconds since the scenario's start.
#[derive(Debug)]
struct Span {
    from: f64,
    to: f64,
    words: String,
}

fn rows(record: &Record, recoveries: &[Recovery], faults: &[Fault]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, step) in &record.steps {
        let words = record.outline.step(*index).unwrap_or_else(|| step.action.clone());
        let from = record.since_start(step.begun);
        let to = step.ended.map_or(record.length(), |t| record.since_start(t));
        let is_fault = is_fault(&step.action);
        let span = Span { from, to, words: words.clone() };
        rows.push(Row { name: words, class: if is_fault { "s1" } else { "s0" }, spans: vec![span] });
    }
    rows.extend(lasting(faults));
    rows.extend(recovery_row(record, recoveries));
    let mut kinds: BTreeMap<&str, Vec<&Mark>> = BTreeMap::new();
    for mark in &record.marks {
        kinds.entry(&mark.kind).or_default().push(mark);
    }
    for (kind, marks) in kinds {
        let span = |mark: &&Mark| {
            let at = record.since_start(mark.t);
            Span { from: at, to: at, words: mark.words.clone() }
        };
        let name = format!("{} ({})", kind.replace('-', " "), marks.len());
        rows.push(Row { name, class: "s3", spans: marks.iter().map(span).collect() });
    }
    rows
}

/// Faults that lasted, a row for each kind; what was over at once is seen in its step.
fn lasting(faults: &[Fault]) -> Vec<Row> {
    let mut kinds: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for fault in faults.iter().filter(|fault| fault.to > fault.from) {
        let span = Span { from: fault.from, to: fault.to, words: fault.words.clone() };
        kinds.entry(&fault.kind).or_default().push(span);
    }
    let row = |(kind, spans): (&str, Vec<Span>)| Row {
        name: format!("in force: {kind} ({})", spans.len()),
        class: "s1",
        spans,
    };
    kinds.into_iter().map(row).collect()
}

/// Recoveries as the results have them; one that never came lasts to the end.
fn recovery_row(record: &Record, recoveries: &[Recovery]) -> Option<Row> {
    let spans: Vec<Span> = recoveries
        .iter()
        .map(|recovery| {
            let from = recovery.at_seconds;
            let (to, how) = match recovery.recovered_seconds {
                Some(took) => (from + took, format!("recovered in {} s", seconds(Some(took)))),
                None => (record.length(), "not recovered".into()),
            };
            let words = format!("{} {}: {how}", recovery.fault, super::markup::names(&recovery.peers));
            Span { from, to, words }
        })
        .collect();
    (!spans.is_empty()).then(|| Row { name: format!("recoveries ({})", spans.len()), class: "s2", spans })
}

fn draw(out: &mut String, row: &Row, top: f64, x: &Scale) {
    let middle = top + ROW / 2.0;
    let name: String = if row.name.chars().count() > NAME_MAX {
        row.name.chars().take(NAME_MAX - 1).chain(['…']).collect()
    } else {
        row.name.clone()
    };
    let _ = write!(
        out,
        "<g class=\"{}\"><text x=\"{}\" y=\"{}\" dy=\".32em\" text-anchor=\"end\">{}</text>",
        row.class,
        at(LEFT - 10.0),
        at(middle),
        escape(&name)
    );
    for span in row.spans.iter().take(SPANS_MAX) {
        let (from, to) = (x.at(span.from), x.at(span.to));
        let words = escape(&format!("{} s: {}", seconds(Some(span.from)), span.words));
        if to - from < 3.0 {
            let _ = write!(
                out,
                "<circle class=\"fill\" cx=\"{}\" cy=\"{}\" r=\"4\"><title>{words}</title></circle>",
                at(from),
                at(middle)
            );
        } else {
            let _ = write!(
                out,
                "<rect class=\"fill\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"><title>{words}</title></rect>",
                at(from),
                at(middle - BAR / 2.0),
                at(to - from),
                at(BAR)
            );
        }
    }
    out.push_str("</g>\n");
}

fn describe(rows: &[Row]) -> String {
    let of = |class: &str| rows.iter().filter(|row| row.class == class).map(|row| row.spans.len()).sum::<usize>();
    let (steps, faults, recoveries, reports) = (of("s0"), of("s1"), of("s2"), of("s3"));
    let recoveries = if recoveries == 1 { "1 recovery".to_owned() } else { format!("{recoveries} recoveries") };
    format!("{}, {}, {recoveries}, {}.", count(steps, "step"), count(faults, "fault"), count(reports, "other report"))
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new("What happened, by its begin", &["what", "more", "from, s", "to, s"], 2);
    let mut all: Vec<(&Row, &Span)> =
        rows.iter().flat_map(|row| row.spans.iter().map(move |span| (row, span))).collect();
    all.sort_by(|a, b| a.1.from.total_cmp(&b.1.from));
    for (row, span) in all {
        let more = if span.words == row.name { String::new() } else { span.words.clone() };
        table.row([row.name.clone(), more, seconds(Some(span.from)), seconds(Some(span.to))]);
    }
    table
}

const LEFT: f64 = 300.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 42.0;
const ROW: f64 = 26.0;
const BAR: f64 = 14.0;
/// Letters of a name that fit left of the plot.
const NAME_MAX: usize = 44;
/// Ticks drawn in one row; more would be a bar. The table has them.
const SPANS_MAX: usize = 1_500;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::StepSeen;

    fn record() -> Record {
        let mut record = Record { started: 100.0, ended: 130.0, ..Record::default() };
        let step = |action: &str, begun, ended| StepSeen { action: action.into(), begun, ended };
        record.steps.insert(0, step("distribute", 100.0, Some(129.0)));
        record.steps.insert(1, step("crash", 110.0, Some(110.1)));
        record.marks.push(Mark { t: 110.1, kind: "exited".into(), words: "home-1 <x>".into() });
        record
    }

    #[test]
    fn steps_faults_and_recoveries_have_a_row_each() {
        let recoveries = [
            json!({ "fault": "crash", "peers": ["home-1"], "at_seconds": 10.0, "recovered_seconds": 3.1 }),
            json!({ "fault": "crash", "peers": ["home-2"], "at_seconds": 12.0, "recovered_seconds": null }),
        ]
        .map(|written| serde_json::from_value::<Recovery>(written).unwrap());
        let rows = rows(&record(), &recoveries, &[]);
        let classes: Vec<&str> = rows.iter().map(|row| row.class).collect();
        assert_eq!(classes, ["s0", "s1", "s2", "s3"]);
        assert_eq!((rows[2].spans[0].to, rows[2].spans[1].to), (13.1, 30.0));
        assert_eq!(rows[2].spans[0].words, "crash home-1: recovered in 3.10 s");
    }

    #[test]
    fn words_of_events_are_escaped() {
        let figure = figure(&record(), &[], &[]).unwrap();
        assert!(figure.drawing.contains("home-1 &lt;x&gt;"), "{}", figure.drawing);
        assert_eq!(figure.description, "1 step, 1 fault, 0 recoveries, 1 other report.");
    }

    #[test]
    fn nothing_that_happened_is_no_figure() {
        assert!(figure(&Record::default(), &[], &[]).is_none());
    }
}
