//! The summary of a run or a sweep, made from the files of its directory alone.
//!
//! `run` prints it at its end and `report` makes it again, by the same code from the same file. The table of a sweep
//! lives in `sweep`, the writing of figures in `figures`. Nothing is measured or judged here.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    results::{Distribution, Expectation, Found, NO_ENGINE, Outcome, Results},
    run_directory::RunDirectory,
    verdict,
};

mod accounting;
mod changes;
mod escape;
pub(crate) mod figures;
pub mod html;
pub mod junit;
mod links;
pub mod markdown;
mod medians;
mod rings;
mod sweep;
pub(crate) mod swept;
mod timeline;
mod unfinished;

pub use medians::medians;
pub use timeline::timeline;
pub use unfinished::unfinished;

/// The summary of what `directory` holds, ready to be printed.
///
/// # Errors
///
/// When the directory holds no readable results.
pub fn summary(directory: &RunDirectory) -> anyhow::Result<String> {
    Ok(match Found::read(directory)? {
        Found::Run(results) => run(&results, directory),
        Found::Sweep(results) => sweep::summary(&results, directory),
    })
}

fn run(results: &Results, directory: &RunDirectory) -> String {
    let mut text = title(results);
    if !results.distributions.is_empty() {
        text.push_str(&format!("{}\n", distributions(&results.distributions)));
    }
    for distribution in &results.distributions {
        arrivals(&mut text, distribution);
        stalled(&mut text, distribution);
    }
    for left_out in &results.left_out {
        line(&mut text, &format!("left out: {} by {}: {}", left_out.name, left_out.via, left_out.reason));
    }
    rings::summary(&mut text, results);
    accounting::summary(&mut text, &results.distributions);
    links::summary(&mut text, results);
    changes::summary(&mut text, results);
    if let Some(most) = results.memory.iter().max_by_key(|it| it.peak_bytes) {
        line(&mut text, &format!("memory: no peer took more than {} ({})", figures::bytes(most.peak_bytes), most.peer));
    }
    if let Some(error) = &results.error {
        let first = error.lines().next().unwrap_or_default();
        line(&mut text, &format!("outcome: {}: {first}", results.outcome.as_str()));
    }
    if results.outcome == Outcome::Finished {
        expectations(&mut text, &results.expectations);
        line(&mut text, &verdict_line(results));
    }
    line(&mut text, "files:");
    let all = [
        (directory.results(), "what was found"),
        (directory.report(), "the same in pictures, for a browser"),
        (directory.junit(), "the same for pipelines"),
        (directory.plan(), "what was done, complete"),
        (directory.events(), "what happened, in order"),
        (directory.samples(), "peers and host over time"),
        (directory.peers(), "configuration and log of each peer"),
    ];
    for (path, what) in all.iter().filter(|(path, _)| path.exists()) {
        line(&mut text, &format!("  {}  ({what})", path.display()));
    }
    text
}

fn title(results: &Results) -> String {
    let setup = &results.provenance.setup_seconds;
    let mut text = format!("{} · seed {}", results.name, results.seed);
    if results.engine != NO_ENGINE {
        let _ = write!(text, " · {} links", results.engine);
    }
    if !setup.is_empty() {
        let _ = write!(text, " · set up in {:.1} s", setup.values().sum::<f64>());
    }
    text.push('\n');
    text
}

fn distributions(all: &[Distribution]) -> Table {
    let with_optimum = all.iter().any(|d| d.optimum_seconds.is_some());
    let mut header = vec!["distribution", "via", "peers", "size", "seconds", "bound", "bound by", "ratio"];
    if with_optimum {
        header.push("optimum");
    }
    let with_ideal = all.iter().any(|d| d.ideal_ratio.is_some());
    if with_ideal {
        header.push("ideal ratio");
    }
    header.extend(["p50", "p95"]);
    let mut table = table(&header);
    for distribution in all {
        let mut row = vec![
            distribution.name.clone(),
            distribution.via.clone(),
            peers(distribution),
            figures::bytes(distribution.bytes),
            figures::seconds(distribution.seconds),
            figures::seconds(distribution.bound_seconds),
            distribution.bound_term.clone().unwrap_or_else(|| figures::NONE.into()),
            figures::ratio(distribution.ratio),
        ];
        if with_optimum {
            row.push(figures::seconds(distribution.optimum_seconds));
        }
        if with_ideal {
            row.push(figures::ratio(distribution.ideal_ratio));
        }
        row.extend([figures::seconds(distribution.p50_seconds), figures::seconds(distribution.p95_seconds)]);
        table.add_row(row);
    }
    for (index, name) in header.iter().enumerate() {
        let is_text = matches!(*name, "distribution" | "via" | "bound by");
        if let (false, Some(column)) = (is_text, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Peers listed of those that a stalled distribution left incomplete.
const LACKING_MAX: usize = 10;

/// How long peers took from their own arrival, where some came later than others.
fn arrivals(text: &mut String, it: &Distribution) {
    let Some(spread) = it.from_arrival else { return };
    let last = it.completions.iter().filter_map(|it| it.arrived_seconds).max_by(f64::total_cmp);
    let sentence = format!(
        "{} via {}, each from its own arrival: p50 {} s, p99 {} s, mean {} s; the last came after {} s",
        it.name,
        it.via,
        figures::seconds(Some(spread.p50)),
        figures::seconds(Some(spread.p99)),
        figures::seconds(Some(spread.mean)),
        figures::seconds(last)
    );
    line(text, &sentence);
}

/// Who lacks what, where a distribution was given up.
fn stalled(text: &mut String, it: &Distribution) {
    let Some(stalled) = &it.stalled else { return };
    let since = figures::seconds(Some(stalled.since_seconds));
    line(text, &format!("{} via {} stalled at {since} s: nobody left has pieces {}", it.name, it.via, stalled.lost));
    for (peer, pieces) in stalled.lacking.iter().take(LACKING_MAX) {
        line(text, &format!("  {peer} lacks {pieces}"));
    }
    if stalled.lacking.len() > LACKING_MAX {
        line(text, &format!("  and {} more peers, in results.json", stalled.lacking.len() - LACKING_MAX));
    }
}

/// How many peers have the file: `10`, or `8 of 10` where some have not.
fn peers(distribution: &Distribution) -> String {
    let verified = distribution.completions.iter().filter(|c| c.verified).count();
    if verified == distribution.peers { verified.to_string() } else { format!("{verified} of {}", distribution.peers) }
}

fn expectations(text: &mut String, all: &[Expectation]) {
    if all.is_empty() {
        return;
    }
    let failed: Vec<&Expectation> = all.iter().filter(|e| !e.held).collect();
    line(text, &format!("expectations: {} held, {} failed", all.len() - failed.len(), failed.len()));
    for expectation in failed {
        line(text, &format!("  failed: {} (found {})", expectation.text, figures::value(&expectation.value)));
    }
}

fn verdict_line(results: &Results) -> String {
    let reasons = &results.verdict.reasons;
    let state = results.verdict.state.as_str();
    let meaning = match results.verdict.state {
        verdict::State::Valid => "this host could measure this run",
        verdict::State::Suspect => "look before trusting small differences",
        verdict::State::Invalid => "neither pass nor fail",
    };
    if reasons.is_empty() {
        format!("verdict: {state} ({meaning})")
    } else {
        format!("verdict: {state} ({meaning}): {}", reasons.join("; "))
    }
}

fn table(header: &[impl ToString]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header.iter().map(ToString::to_string));
    table
}

fn line(text: &mut String, words: &str) {
    text.push_str(words);
    text.push('\n');
}
