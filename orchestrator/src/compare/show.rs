//! A comparison as a table, for terminals and as Markdown, and as JSON for programs.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::{Change, Comparison, Judgement};
use crate::report::{
    figures::{self, NONE},
    markdown::cell,
};

/// The table for a terminal, with what was left out below.
#[must_use]
pub fn table(comparison: &Comparison) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header(comparison, "\n"));
    for row in &comparison.rows {
        table.add_row(cells(row));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    text.push_str(LEGEND);
    for sentence in &comparison.left_out {
        let _ = writeln!(text, "{sentence}");
    }
    text
}

/// The same as Markdown.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    let header = header(comparison, " ");
    let line = |cells: Vec<String>| format!("| {} |\n", cells.iter().map(|c| cell(c)).collect::<Vec<_>>().join(" | "));
    let mut text = line(header.clone());
    let _ = writeln!(text, "|---|{}", "--:|".repeat(header.len() - 1));
    for row in &comparison.rows {
        text.push_str(&line(cells(row)));
    }
    let _ = write!(text, "\n{LEGEND}");
    for sentence in &comparison.left_out {
        let _ = writeln!(text, "- {}", cell(sentence));
    }
    text
}

/// Everything a comparison knows, for programs: names of the `builds`, and for each of the `rows` what it is, the `seconds` of
/// every repeat by build, how many repeats by build did not come to their end (`unfinished`), and for each build but the first its `ratio` to the first, the interval `low` to `high`, and how it
/// was `judged`.
#[must_use]
pub fn json(comparison: &Comparison) -> String {
    let change = |change: &Change| {
        let (low, high) = (change.interval.map(|it| it.low), change.interval.map(|it| it.high));
        json!({ "ratio": change.ratio, "low": low, "high": high, "judged": change.judgement().as_str() })
    };
    let row = |row: &super::Row| {
        let changes: Vec<_> = row.changes.iter().map(change).collect();
        json!({ "what": row.what, "seconds": row.seconds, "unfinished": row.unfinished, "changes": changes })
    };
    let rows: Vec<_> = comparison.rows.iter().map(row).collect();
    let all = json!({ "schema": 1, "builds": comparison.names, "rows": rows, "left_out": comparison.left_out });
    format!("{all:#}\n")
}

fn header(comparison: &Comparison, gap: &str) -> Vec<String> {
    let mut header = vec!["seconds".to_owned()];
    for (index, name) in comparison.names.iter().enumerate() {
        header.push(name.clone());
        if index > 0 {
            header.extend([format!("ratio{gap}(95 % interval)"), "judged".to_owned()]);
        }
    }
    header
}

fn cells(row: &super::Row) -> Vec<String> {
    let mut cells = vec![row.what.clone()];
    for (index, (seconds, unfinished)) in row.seconds.iter().zip(&row.unfinished).enumerate() {
        cells.push(spread(seconds, *unfinished));
        if let Some(change) = index.checked_sub(1).and_then(|index| row.changes.get(index)) {
            cells.extend([ratio(change), judged(change)]);
        }
    }
    cells
}

/// `18.3 (18.2–18.5) of 5`: median, range, and how many repeats; `, 2 unfinished` where some did not come to their end.
fn spread(seconds: &[f64], unfinished: usize) -> String {
    let mut text = figures::spread(seconds, figures::seconds);
    if seconds.len() > 1 {
        let _ = write!(text, " of {}", seconds.len());
    }
    if unfinished > 0 {
        let _ = write!(text, ", {unfinished} unfinished");
    }
    text
}

fn ratio(change: &Change) -> String {
    let Some(ratio) = change.ratio else { return NONE.into() };
    match change.interval {
        Some(interval) => format!("{ratio:.3} ({:.3}–{:.3})", interval.low, interval.high),
        None => format!("{ratio:.3}"),
    }
}

fn judged(change: &Change) -> String {
    match (change.ratio, change.judgement()) {
        (None, Judgement::Slower | Judgement::Faster | Judgement::Alike | Judgement::TooFew) => NONE.into(),
        (_, judgement) => judgement.as_str().into(),
    }
}

const LEGEND: &str = "Medians with range and number of runs; a build is slower or faster where the bootstrap interval of the \
                      ratio of medians leaves out 1, and unfinished where more of its runs did not come to their end.\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Build, Measured, compare};

    fn measured(seconds: &[f64], unfinished: usize) -> Measured {
        Measured { what: "release via swarm".into(), seconds: seconds.to_vec(), unfinished }
    }

    fn comparison() -> Comparison {
        let build = |name: &str, seconds: &[f64]| Build {
            name: name.into(),
            measured: vec![measured(seconds, 0)],
            left_out: vec![format!("{name}: one is left out")],
        };
        compare(&[build("old", &[18.0, 18.2, 18.1]), build("new", &[20.0, 20.2, 20.1]), build("two", &[18.0, 18.2])], 1)
    }

    #[test]
    fn builds_stand_side_by_side_with_what_was_judged() {
        let text = table(&comparison());
        for part in ["18.1 (18.0–18.2) of 3", "1.110 (", "slower", "too few runs", "new: one is left out"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn runs_that_did_not_come_to_their_end_are_told_in_every_form() {
        let build = |name: &str, seconds: &[f64], unfinished: usize| Build {
            name: name.into(),
            measured: vec![measured(seconds, unfinished)],
            left_out: Vec::new(),
        };
        let compared = compare(&[build("old", &[2.0; 5], 0), build("new", &[2.0; 3], 2), build("none", &[], 5)], 1);
        for text in [table(&compared), markdown(&compared)] {
            for part in ["2.00 (2.00–2.00) of 3, 2 unfinished", "–, 5 unfinished"] {
                assert!(text.contains(part), "{part} in\n{text}");
            }
            // Twice as what was judged, once in the legend, and once with each number.
            assert_eq!(text.matches("unfinished").count(), 5, "{text}");
        }
        let all: serde_json::Value = serde_json::from_str(&json(&compared)).unwrap();
        assert_eq!(all["rows"][0]["unfinished"], serde_json::json!([0, 2, 5]));
    }

    #[test]
    fn every_row_of_the_markdown_has_as_many_cells() {
        let text = markdown(&comparison());
        let widths: Vec<usize> = text.lines().filter(|l| l.starts_with('|')).map(|l| l.matches('|').count()).collect();
        assert_eq!(widths, [9, 9, 9], "{text}");
    }

    #[test]
    fn programs_get_every_repeat_and_what_was_judged() {
        let all: serde_json::Value = serde_json::from_str(&json(&comparison())).unwrap();
        assert_eq!(all["builds"], serde_json::json!(["old", "new", "two"]));
        let row = &all["rows"][0];
        assert_eq!(row["seconds"][1], serde_json::json!([20.0, 20.2, 20.1]));
        assert_eq!((&row["changes"][0]["judged"], &row["changes"][1]["low"]), (&"slower".into(), &().into()));
        assert_eq!(all["left_out"].as_array().map(Vec::len), Some(3));
    }
}
