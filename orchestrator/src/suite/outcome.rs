//! What came of a suite: a table, Markdown, JUnit, and what it all means.

use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};

use super::Entry;
use crate::{
    report::{
        figures::{self, NONE},
        junit::{self, Case, Ending},
        markdown,
    },
    results::{Conclusion, Found, Outcome, Results},
    verdict::State,
};

/// What came of all topologies of a suite.
#[derive(Clone, Debug)]
pub struct SuiteOutcome {
    /// Name of the suite.
    pub name: String,
    /// One entry per topology, in order.
    pub ended: Vec<Ended>,
}

/// What came of one topology.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it is called.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// What its last attempt means.
    pub conclusion: Conclusion,
    /// How often it was run.
    pub tries: u32,
    /// How long all attempts took, in seconds.
    pub seconds: f64,
    /// Why it was not run to its end; none where it was.
    pub why: Option<String>,
    /// Where the files of its last attempt are.
    pub directory: Option<PathBuf>,
    /// What its last attempt found, where it came to find something.
    pub found: Option<Found>,
}

impl Ended {
    /// A topology that was not run.
    pub(super) fn not_run(entry: &Entry, why: &str) -> Self {
        Self {
            name: entry.name(),
            tags: entry.tags.iter().cloned().collect(),
            conclusion: Conclusion::NotCarriedOut,
            tries: 0,
            seconds: 0.0,
            why: Some(why.to_owned()),
            directory: None,
            found: None,
        }
    }

    /// What became of it, in a line.
    pub(super) fn sentence(&self) -> String {
        let tries = if self.tries > 1 { format!(", {} tries", self.tries) } else { String::new() };
        let why = self.why.as_deref().and_then(|why| why.lines().next());
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        format!("{} ({} s{tries}){why}", word(self.conclusion), figures::seconds(Some(self.seconds)))
    }

    fn runs(&self) -> Vec<&Results> {
        match &self.found {
            None => Vec::new(),
            Some(Found::Run(results)) => vec![results.as_ref()],
            Some(Found::Sweep(sweep)) => sweep.runs.iter().map(|run| &run.results).collect(),
        }
    }

    /// The worst verdict of its finished runs.
    fn verdict(&self) -> &'static str {
        let finished = self.runs().into_iter().filter(|run| run.outcome == Outcome::Finished);
        finished.map(|run| run.verdict.state).max().map_or(NONE, State::as_str)
    }

    fn expectations(&self) -> String {
        let all: Vec<bool> = self.runs().iter().flat_map(|run| run.expectations.iter().map(|e| e.held)).collect();
        if all.is_empty() {
            return NONE.into();
        }
        format!("{} of {}", all.iter().filter(|held| **held).count(), all.len())
    }

    fn cells(&self) -> [String; 7] {
        [
            self.name.clone(),
            self.tags.join(" "),
            word(self.conclusion).to_owned(),
            self.verdict().to_owned(),
            self.expectations(),
            self.tries.to_string(),
            figures::seconds(Some(self.seconds)),
        ]
    }

    /// Its test suites: those of its runs, one of which says why it was not run to its end; where none can, one more does.
    fn suites(&self) -> Vec<junit::Suite> {
        let mut all = self.found.as_ref().map(junit::suites).unwrap_or_default();
        for suite in &mut all {
            // Topologies of one name may stand in one suite under several.
            suite.name = format!("{}: {}", self.name, suite.name);
            suite.properties.push(("tries", self.tries.to_string()));
        }
        if let Some(why) = &self.why {
            let ending = if self.tries == 0 {
                Ending::Skipped { message: why.clone() }
            } else {
                Ending::Error { kind: "failed", message: why.clone() }
            };
            // One event is one error, also where the run was there to write down its own end.
            if let Some(case) = all.iter_mut().rev().find_map(junit::Suite::not_carried_out) {
                case.ending = ending;
                return all;
            }
            let case = Case { name: "the topology is run to its end".into(), ending };
            all.push(junit::Suite {
                name: self.name.clone(),
                seconds: self.seconds,
                cases: vec![case],
                ..junit::Suite::default()
            });
        }
        all
    }
}

impl SuiteOutcome {
    /// What the suite means: a topology that was not carried out weighs most, then a failed expectation, then an invalid
    /// verdict.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        [Conclusion::NotCarriedOut, Conclusion::ExpectationFailed, Conclusion::Invalid]
            .into_iter()
            .find(|worst| self.ended.iter().any(|ended| ended.conclusion == *worst))
            .unwrap_or(Conclusion::Held)
    }

    /// The table for a terminal, and below it what went wrong.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(HEADER);
        for ended in &self.ended {
            table.add_row(ended.cells());
        }
        for column in table.column_iter_mut().skip(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = format!("{table}\n");
        for (name, wrong) in self.wrong() {
            text.push_str(&format!("{name}: {wrong}\n"));
        }
        text
    }

    /// The same as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}: {}\n\n", markdown::cell(&self.name), markdown::word(self.conclusion()));
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        text.push_str(&line(HEADER.map(str::to_owned).to_vec()));
        text.push_str("|---|---|---|---|--:|--:|--:|\n");
        for ended in &self.ended {
            let mut cells = ended.cells().map(|cell| markdown::cell(&cell));
            cells[2] = markdown::word(ended.conclusion).to_owned();
            text.push_str(&line(cells.to_vec()));
        }
        text.push('\n');
        for (name, wrong) in self.wrong() {
            text.push_str(&format!("- **{}**: {}\n", markdown::cell(&name), markdown::cell(&wrong)));
        }
        text
    }

    /// All test suites as one file.
    #[must_use]
    pub fn junit(&self) -> String {
        junit::document(&self.ended.iter().flat_map(Ended::suites).collect::<Vec<_>>())
    }

    /// What went wrong, by topology.
    fn wrong(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for ended in &self.ended {
            all.extend(ended.why.iter().map(|why| (ended.name.clone(), why.clone())));
            for run in ended.runs() {
                let failed = run.expectations.iter().filter(|expectation| !expectation.held);
                all.extend(
                    failed.map(|e| (ended.name.clone(), format!("{} (found {})", e.text, figures::value(&e.value)))),
                );
                if run.outcome == Outcome::Finished && run.verdict.state == State::Invalid {
                    all.push((ended.name.clone(), format!("verdict invalid: {}", run.verdict.reasons.join("; "))));
                }
            }
        }
        all
    }
}

fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Held => "passed",
        Conclusion::ExpectationFailed => "failed",
        Conclusion::NotCarriedOut => "not carried out",
        Conclusion::Invalid => "invalid",
    }
}

const HEADER: [&str; 7] = ["topology", "tags", "outcome", "verdict", "expectations held", "tries", "seconds"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::fixture;

    fn ended(name: &str, conclusion: Conclusion, state: State, why: Option<&str>) -> Ended {
        let mut results = fixture::results(Vec::new());
        results.verdict.state = state;
        results.expectations =
            vec![crate::results::Expectation { text: "x <= 1".into(), held: false, value: 2.0.into() }];
        Ended {
            name: name.into(),
            tags: vec!["quick".into()],
            conclusion,
            tries: 1,
            seconds: 12.0,
            why: why.map(str::to_owned),
            directory: None,
            found: why.is_none().then(|| Found::Run(Box::new(results))),
        }
    }

    fn outcome() -> SuiteOutcome {
        SuiteOutcome {
            name: "s".into(),
            ended: vec![
                ended("a", Conclusion::ExpectationFailed, State::Valid, None),
                ended("b", Conclusion::Invalid, State::Invalid, None),
                ended("c", Conclusion::NotCarriedOut, State::Valid, Some("exit code 3: no\nmore <words>")),
            ],
        }
    }

    #[test]
    fn a_suite_is_as_bad_as_its_worst_topology() {
        let mut outcome = outcome();
        let mut found = Vec::new();
        while !outcome.ended.is_empty() {
            found.push(outcome.conclusion());
            outcome.ended.pop();
        }
        found.push(outcome.conclusion());
        use Conclusion::{ExpectationFailed, Held, NotCarriedOut};
        assert_eq!(found, [NotCarriedOut, ExpectationFailed, ExpectationFailed, Held]);
    }

    #[test]
    fn only_a_failed_expectation_is_a_failure_to_junit() {
        let text = outcome().junit();
        let head = "<testsuites name=\"peerbed\" tests=\"7\" failures=\"1\" errors=\"2\" skipped=\"1\"";
        assert!(text.contains(head), "{text}");
        assert!(text.contains("<testsuite name=\"a: made-up\""), "{text}");
        assert!(text.contains("more &lt;words&gt;</error>"), "{text}");
    }

    #[test]
    fn one_event_is_one_error_also_where_the_run_wrote_down_its_end() {
        let mut late = ended("late", Conclusion::NotCarriedOut, State::Valid, None);
        let Some(Found::Run(results)) = &mut late.found else { panic!("it has no run") };
        results.outcome = Outcome::Interrupted;
        late.why = Some("it took longer than 4s and was ended".into());
        let text = SuiteOutcome { name: "s".into(), ended: vec![late] }.junit();
        assert!(text.contains("tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\""), "{text}");
        assert!(text.contains("<error type=\"failed\" message=\"it took longer than 4s and was ended\">"), "{text}");
    }

    #[test]
    fn table_and_markdown_say_what_went_wrong() {
        let (table, text) = (outcome().table(), outcome().markdown());
        for words in ["a: x <= 1 (found 2)", "b: verdict invalid", "c: exit code 3: no"] {
            assert!(table.contains(words), "{words} in\n{table}");
        }
        assert!(
            text.starts_with("## s: 💥 not carried out\n") && text.contains("- **a**: x &lt;= 1 (found 2)"),
            "{text}"
        );
    }
}
