//! The table of a sweep: one row per combination, medians over its repeats.
//!
//! Ways of spreading stand side by side, whether they were swept or are steps of one scenario, because comparing them
//! is what the table is for.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{figures, line, table};
use crate::{
    results::{Distribution, Outcome, SweepResults, SweepRun},
    run_directory::RunDirectory,
    verdict::State,
};

pub(super) fn summary(results: &SweepResults, directory: &RunDirectory) -> String {
    let mut text = format!("{} · {} of {} runs\n", results.name, results.runs.len(), results.planned);
    let rows = rows(&results.runs);
    if !rows.is_empty() {
        text.push_str(&format!("{}\n", render(&rows)));
        if rows.iter().any(|row| row.cells.values().any(|cell| cell.has_invalid)) {
            line(&mut text, &format!("{INVALID_MARK} some of these runs are invalid: the host was in the way"));
        }
    }
    counts(&mut text, results);
    line(&mut text, "files:");
    line(&mut text, &format!("  {}  (what was found)", directory.results().display()));
    if directory.report().exists() {
        line(&mut text, &format!("  {}  (the same in pictures, for a browser)", directory.report().display()));
    }
    line(&mut text, &format!("  {}  (one directory per run)", directory.root().display()));
    text
}

/// Runs that differ in nothing but repeat and way of spreading.
struct Row {
    /// What they have in common.
    values: Vec<(String, Value)>,
    cells: BTreeMap<Column, Cell>,
}

/// One distribution of the scenario, by way of spreading.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    via: String,
    name: String,
}

#[derive(Default)]
struct Cell {
    seconds: Vec<f64>,
    ratios: Vec<f64>,
    bound: Option<f64>,
    has_invalid: bool,
}

fn rows(runs: &[SweepRun]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for run in runs {
        let values = common(&run.values);
        let index = rows.iter().position(|row| row.values == values).unwrap_or_else(|| {
            rows.push(Row { values, cells: BTreeMap::new() });
            rows.len() - 1
        });
        for distribution in &run.results.distributions {
            let column = Column { via: distribution.via.clone(), name: distribution.name.clone() };
            let is_invalid = run.results.outcome == Outcome::Finished && run.results.verdict.state == State::Invalid;
            rows[index].cells.entry(column).or_default().add(distribution, is_invalid);
        }
    }
    rows
}

/// The swept values without those that choose the way of spreading.
fn common(values: &Map<String, Value>) -> Vec<(String, Value)> {
    values.iter().filter(|(path, _)| !path.ends_with(".via")).map(|(p, v)| (p.clone(), v.clone())).collect()
}

impl Cell {
    fn add(&mut self, distribution: &Distribution, is_invalid: bool) {
        self.seconds.extend(distribution.seconds);
        self.ratios.extend(distribution.ratio);
        self.bound = self.bound.or(distribution.bound_seconds);
        self.has_invalid |= is_invalid;
    }

    /// Median, and the range where there are several.
    fn seconds(&self) -> String {
        let mut sorted = self.seconds.clone();
        let mut text = figures::seconds(figures::median(&mut sorted));
        if let [least, .., most] = sorted.as_slice() {
            text = format!("{text} ({}–{})", figures::seconds(Some(*least)), figures::seconds(Some(*most)));
        }
        if self.has_invalid {
            text.push_str(INVALID_MARK);
        }
        text
    }
}

fn render(rows: &[Row]) -> comfy_table::Table {
    let mut columns: Vec<Column> = rows.iter().flat_map(|row| row.cells.keys().cloned()).collect();
    columns.sort();
    columns.dedup();
    let one_name = columns.iter().all(|c| c.name == columns[0].name);
    let mut header: Vec<String> = rows[0].values.iter().map(|(path, _)| path.clone()).collect();
    for column in &columns {
        let what = if one_name { column.via.clone() } else { format!("{} {}", column.name, column.via) };
        header.extend([format!("{what}\nseconds"), format!("{what}\nbound"), format!("{what}\nratio")]);
    }
    let mut table = table(&header);
    for row in rows {
        let mut cells: Vec<String> = row.values.iter().map(|(_, value)| figures::value(value)).collect();
        for column in &columns {
            match row.cells.get(column) {
                Some(cell) => cells.extend([
                    cell.seconds(),
                    figures::seconds(cell.bound),
                    figures::ratio(figures::median(&mut cell.ratios.clone())),
                ]),
                None => cells.extend([figures::NONE; 3].map(String::from)),
            }
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    table
}

/// Expectations, verdicts and early ends, over all runs.
fn counts(text: &mut String, results: &SweepResults) {
    let early: Vec<&SweepRun> = results.runs.iter().filter(|r| r.results.outcome != Outcome::Finished).collect();
    for run in &early {
        let why = run.results.error.as_deref().and_then(|e| e.lines().next()).unwrap_or("");
        line(text, &format!("{}: {}: {why}", run.directory, run.results.outcome.as_str()));
    }
    let finished = || results.runs.iter().filter(|r| r.results.outcome == Outcome::Finished);
    let all: usize = finished().map(|r| r.results.expectations.len()).sum();
    let held: usize = finished().map(|r| r.results.expectations.iter().filter(|e| e.held).count()).sum();
    if all > 0 {
        line(text, &format!("expectations: {held} held, {} failed", all - held));
    }
    for run in finished() {
        for failed in run.results.expectations.iter().filter(|e| !e.held) {
            let found = figures::value(&failed.value);
            line(text, &format!("  failed in {}: {} (found {found})", run.directory, failed.text));
        }
    }
    let count = |state: State| finished().filter(|r| r.results.verdict.state == state).count();
    line(
        text,
        &format!(
            "verdicts: {} valid, {} suspect, {} invalid",
            count(State::Valid),
            count(State::Suspect),
            count(State::Invalid)
        ),
    );
}

/// Stands behind figures that some invalid run went into.
const INVALID_MARK: &str = " (!)";
