//! A summary in Markdown, for the pages where CI servers show what a job did.
//!
//! The same facts as the table of the terminal: distributions, what failed, the verdict.

use std::fmt::Write;

use super::figures;
use crate::{
    results::{Conclusion, Distribution, Found, Outcome, Results, SweepResults},
    verdict::State,
};

/// The summary of a run or a sweep.
#[must_use]
pub fn summary(found: &Found) -> String {
    match found {
        Found::Run(results) => run(results),
        Found::Sweep(results) => sweep(results),
    }
}

/// One word on what a conclusion means, with its sign.
#[must_use]
pub fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Held => "✅ expectations hold",
        Conclusion::ExpectationFailed => "❌ an expectation failed",
        Conclusion::NotCarriedOut => "💥 not carried out",
        Conclusion::Invalid => "⚠️ invalid: the host was in the way",
    }
}

/// `text` as it may stand in a cell of a table.
#[must_use]
pub fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('`', "\\`")
        .replace('*', "\\*")
        .replace('_', "\\_")
        .replace(['\n', '\r'], " ")
}

fn run(results: &Results) -> String {
    let mut out = format!("### {}: {}\n\n", cell(&results.name), word(results.conclusion()));
    if !results.distributions.is_empty() {
        out.push_str(HEADER);
        for distribution in &results.distributions {
            row(&mut out, "", distribution);
        }
        out.push('\n');
    }
    judged(&mut out, results);
    out
}

fn sweep(results: &SweepResults) -> String {
    let mut out = format!("### {}: {}\n\n", cell(&results.name), word(results.conclusion()));
    let _ = writeln!(out, "{} of {} runs.\n", results.runs.len(), results.planned);
    if results.runs.iter().any(|run| !run.results.distributions.is_empty()) {
        let _ = write!(out, "| run {}|---{}", &HEADER[..HEADER.find('\n').map_or(0, |at| at + 1)], RULE);
        for run in &results.runs {
            for distribution in &run.results.distributions {
                row(&mut out, &format!("| {} ", cell(&run.directory)), distribution);
            }
        }
        out.push('\n');
    }
    for run in &results.runs {
        let mut words = String::new();
        judged(&mut words, &run.results);
        if run.results.conclusion() != Conclusion::Held {
            let _ = write!(out, "**{}**\n\n{words}", cell(&run.directory));
        }
    }
    out
}

/// A row of the table of distributions, behind `first`.
fn row(out: &mut String, first: &str, d: &Distribution) {
    let _ = writeln!(
        out,
        "{first}| {} | {} | {} | {} | {} | {} | {} | {} |",
        cell(&d.name),
        cell(&d.via),
        d.peers,
        figures::bytes(d.bytes),
        figures::seconds(d.seconds),
        figures::seconds(d.bound_seconds),
        figures::ratio(d.ratio),
        figures::seconds(d.p95_seconds)
    );
}

/// What failed, and what the verdict says.
fn judged(out: &mut String, results: &Results) {
    if results.outcome != Outcome::Finished {
        let error = results.error.as_deref().and_then(|error| error.lines().next()).unwrap_or("no reason was given");
        let _ = writeln!(out, "The run was {}: {}\n", results.outcome.as_str(), cell(error));
        return;
    }
    for expectation in &results.expectations {
        let sign = if expectation.held { "✅" } else { "❌" };
        let found = figures::value(&expectation.value);
        let _ = writeln!(out, "- {sign} `{}` (found {})", expectation.text.replace('`', "'"), cell(&found));
    }
    let sign = match results.verdict.state {
        State::Valid => "✅",
        State::Suspect => "❔",
        State::Invalid => "⚠️",
    };
    let reasons = &results.verdict.reasons;
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", cell(&reasons.join("; "))) };
    let _ = writeln!(out, "- {sign} verdict {}{reasons}\n", results.verdict.state.as_str());
}

const HEADER: &str =
    "| distribution | via | peers | size | seconds | bound | ratio | p95 |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
const RULE: &str = "|---|---|--:|--:|--:|--:|--:|--:|\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::html::fixture, results::SweepRun};

    fn results() -> Results {
        let mut results = fixture::results(vec![fixture::distribution("swarm", &[Some(2.0), Some(3.0)])]);
        results.name = "a|b".into();
        results.expectations =
            vec![crate::results::Expectation { text: "x <= 1".into(), held: false, value: 2.5.into() }];
        results
    }

    #[test]
    fn a_run_is_a_table_and_what_was_judged() {
        let text = summary(&Found::Run(Box::new(results())));
        assert!(text.starts_with("### a\\|b: ❌ an expectation failed\n"), "{text}");
        assert!(text.contains("| release | swarm | 2 | 1 MiB | 3.00 | 1.50 | 2.00 | – |\n"), "{text}");
        assert!(text.contains("- ❌ `x <= 1` (found 2.5)\n- ✅ verdict valid\n"), "{text}");
    }

    #[test]
    fn every_row_of_a_sweep_has_as_many_cells_as_its_header() {
        let run = SweepRun { values: serde_json::Map::new(), repeat: 1, directory: "001".into(), results: results() };
        let sweep = SweepResults { schema: 1, name: "s".into(), planned: 2, runs: vec![run] };
        let text = summary(&Found::Sweep(sweep));
        let widths: Vec<usize> =
            text.lines().filter(|line| line.starts_with('|')).map(|line| line.matches('|').count()).collect();
        assert_eq!(widths, [10, 10, 10], "{text}");
        assert!(text.contains("💥 not carried out") && text.contains("**001**"), "{text}");
    }
}
