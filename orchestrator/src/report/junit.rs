//! `junit.xml`: what a run or a sweep means to a pipeline, in the form that CI servers read.
//!
//! Each run is a test suite. Its cases are the run itself, the verdict, and each expectation. What is told apart:
//!
//! | case | passes | else |
//! |---|---|---|
//! | `the run is carried out` | it finished | `error` of type `failed` or `interrupted` |
//! | `the host could measure this run` | verdict `valid` or `suspect` | `error` of type `invalid-verdict` |
//! | an expectation | it held | `failure`; `skipped` where the verdict is invalid: neither pass nor fail |
//!
//! So a `failure` is always the overlay's, and an `error` always the host's or the testbed's.

use std::fmt::Write;
use std::path::PathBuf;

use super::{escape::escape, figures, swept};
use crate::{
    results::{Expectation, Found, Outcome, Results, SweepRun},
    run_directory::RunDirectory,
    verdict::State,
};

/// Writes `junit.xml` into `directory` and says where it is.
///
/// # Errors
///
/// When the directory holds no readable results, or the file cannot be written.
pub fn write(directory: &RunDirectory) -> anyhow::Result<PathBuf> {
    let path = directory.junit();
    directory.write_whole(&path, document(&suites(&Found::read(directory)?)).as_bytes())?;
    Ok(path)
}

/// A test suite: one run, or something that stands in the place of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suite {
    /// What was run.
    pub name: String,
    /// When it began, UTC; empty where that is unknown.
    pub started_at: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Further facts by name.
    pub properties: Vec<(&'static str, String)>,
    /// Its cases in order.
    pub cases: Vec<Case>,
}

/// One thing that was judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What.
    pub name: String,
    /// What became of it.
    pub ending: Ending,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It is as it should be.
    Passed,
    /// It is not, and what was measured is to blame.
    Failure {
        /// What was found.
        message: String,
    },
    /// Whether it is cannot be said: something else went wrong.
    Error {
        /// What kind of thing: `failed`, `interrupted`, `invalid-verdict`.
        kind: &'static str,
        /// What went wrong.
        message: String,
    },
    /// Nobody looked.
    Skipped {
        /// Why.
        message: String,
    },
}

/// One suite per run.
#[must_use]
pub fn suites(found: &Found) -> Vec<Suite> {
    match found {
        Found::Run(results) => vec![suite(&results.name, results)],
        Found::Sweep(sweep) => {
            let mut all: Vec<Suite> =
                sweep.runs.iter().map(|run| suite(&label(&sweep.name, run), &run.results)).collect();
            if sweep.runs.len() < sweep.planned {
                let message = format!("{} of {} runs were made", sweep.runs.len(), sweep.planned);
                let case = Case {
                    name: "the sweep is carried out".into(),
                    ending: Ending::Error { kind: Outcome::Interrupted.as_str(), message },
                };
                all.push(Suite { name: sweep.name.clone(), cases: vec![case], ..Suite::default() });
            }
            all
        }
    }
}

/// The whole file.
#[must_use]
pub fn document(suites: &[Suite]) -> String {
    let total = |is: fn(&Ending) -> bool| suites.iter().map(|suite| suite.count(is)).sum::<usize>();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"peerbed\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
        suites.iter().map(|suite| suite.cases.len()).sum::<usize>(),
        total(Ending::is_failure),
        total(Ending::is_error),
        total(Ending::is_skipped),
        suites.iter().map(|suite| suite.seconds).sum::<f64>()
    );
    for suite in suites {
        suite.write(&mut out);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(name: &str, results: &Results) -> Suite {
    let mut cases = vec![carried_out(results)];
    if results.outcome == Outcome::Finished {
        cases.push(measured(results));
        cases.extend(results.expectations.iter().map(|expectation| judged(expectation, results)));
    }
    let origin = &results.provenance;
    Suite {
        name: name.to_owned(),
        started_at: origin.started_at.clone(),
        seconds: origin.wall_seconds,
        properties: vec![
            ("seed", results.seed.to_string()),
            ("engine", results.engine.clone()),
            ("verdict", results.verdict.state.as_str().to_owned()),
            ("version", origin.version.clone()),
        ],
        cases,
    }
}

/// `seed-figure[count=10,via=swarm] #2`.
fn label(name: &str, run: &SweepRun) -> String {
    let paths: Vec<&str> = run.values.keys().map(String::as_str).collect();
    let words = |(path, value)| format!("{path}={}", figures::value(value));
    let values: Vec<String> = swept::short(&paths).into_iter().zip(run.values.values()).map(words).collect();
    let values = if values.is_empty() { String::new() } else { format!("[{}]", values.join(",")) };
    format!("{name}{values} #{}", run.repeat)
}

fn carried_out(results: &Results) -> Case {
    let ending = match results.outcome {
        Outcome::Finished => Ending::Passed,
        Outcome::Failed | Outcome::Interrupted => Ending::Error {
            kind: results.outcome.as_str(),
            message: results.error.clone().unwrap_or_else(|| "no reason was given".into()),
        },
    };
    Case { name: "the run is carried out".into(), ending }
}

fn measured(results: &Results) -> Case {
    let ending = match results.verdict.state {
        State::Valid | State::Suspect => Ending::Passed,
        State::Invalid => Ending::Error { kind: "invalid-verdict", message: results.verdict.reasons.join("; ") },
    };
    Case { name: "the host could measure this run".into(), ending }
}

fn judged(expectation: &Expectation, results: &Results) -> Case {
    let found = figures::value(&expectation.value);
    let ending = match (results.verdict.state, expectation.held) {
        (State::Invalid, _) => Ending::Skipped { message: format!("the verdict is invalid (found {found})") },
        (State::Valid | State::Suspect, true) => Ending::Passed,
        (State::Valid | State::Suspect, false) => Ending::Failure { message: format!("found {found}") },
    };
    Case { name: expectation.text.clone(), ending }
}

impl Suite {
    /// The case that says that it was not carried out, if there is one.
    pub(crate) fn not_carried_out(&mut self) -> Option<&mut Case> {
        let kinds = [Outcome::Failed.as_str(), Outcome::Interrupted.as_str()];
        self.cases.iter_mut().find(|case| matches!(case.ending, Ending::Error { kind, .. } if kinds.contains(&kind)))
    }

    fn count(&self, is: fn(&Ending) -> bool) -> usize {
        self.cases.iter().filter(|case| is(&case.ending)).count()
    }

    fn write(&self, out: &mut String) {
        // The format's timestamps have no zone; ours are UTC.
        let started = self.started_at.trim_end_matches('Z');
        let timestamp = if started.is_empty() { String::new() } else { format!(" timestamp=\"{}\"", escape(started)) };
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\"{timestamp}>",
            escape(&self.name),
            self.cases.len(),
            self.count(Ending::is_failure),
            self.count(Ending::is_error),
            self.count(Ending::is_skipped),
            self.seconds
        );
        if !self.properties.is_empty() {
            out.push_str("    <properties>\n");
            for (name, value) in &self.properties {
                let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", escape(value));
            }
            out.push_str("    </properties>\n");
        }
        for (index, case) in self.cases.iter().enumerate() {
            // All that took time is the run.
            let seconds = if index == 0 { self.seconds } else { 0.0 };
            let (name, class) = (escape(&case.name), escape(&self.name));
            let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{class}\" time=\"{seconds:.3}\"");
            out.push_str(&case.ending.element());
        }
        out.push_str("  </testsuite>\n");
    }
}

impl Ending {
    /// Whether what was measured is not as expected.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failure { .. })
    }

    /// Whether something else went wrong.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error { .. })
    }

    /// Whether nobody looked.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        matches!(self, Self::Skipped { .. })
    }

    /// The rest of a case's element.
    fn element(&self) -> String {
        let with = |tag: &str, kind: &str, message: &str| {
            let first = message.lines().next().unwrap_or_default();
            let (short, long) = (escape(first), escape(message));
            format!(">\n      <{tag}{kind} message=\"{short}\">{long}</{tag}>\n    </testcase>\n")
        };
        match self {
            Self::Passed => "/>\n".into(),
            Self::Failure { message } => with("failure", " type=\"expectation\"", message),
            Self::Error { kind, message } => with("error", &format!(" type=\"{kind}\""), message),
            Self::Skipped { message } => with("skipped", "", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::html::fixture;

    fn results(state: &str, outcome: &str) -> Results {
        let mut value = serde_json::to_value(fixture::results(Vec::new())).unwrap();
        value["verdict"] = json!({ "state": state, "reasons": ["timers were \"late\" & more"] });
        value["outcome"] = json!(outcome);
        value["error"] =
            if outcome == "finished" { json!(null) } else { json!("peer home-1 died\nits log: <nothing>") };
        value["expectations"] = json!([
            { "text": "distribution.a.ratio <= 1.3", "held": true, "value": 1.1 },
            { "text": "distribution.b.ratio <= 1.3", "held": false, "value": 1.41234567 },
        ]);
        serde_json::from_value(value).unwrap()
    }

    fn endings(results: &Results) -> Vec<&'static str> {
        let word = |case: &Case| match case.ending {
            Ending::Passed => "passed",
            Ending::Failure { .. } => "failure",
            Ending::Error { kind, .. } => kind,
            Ending::Skipped { .. } => "skipped",
        };
        suite("x", results).cases.iter().map(word).collect()
    }

    #[test]
    fn a_failed_expectation_is_a_failure_and_a_busy_host_is_not() {
        assert_eq!(endings(&results("valid", "finished")), ["passed", "passed", "passed", "failure"]);
        assert_eq!(endings(&results("suspect", "finished")), ["passed", "passed", "passed", "failure"]);
        assert_eq!(endings(&results("invalid", "finished")), ["passed", "invalid-verdict", "skipped", "skipped"]);
        assert_eq!(endings(&results("invalid", "failed")), ["failed"]);
    }

    #[test]
    fn what_peers_and_topologies_say_is_escaped() {
        let text = document(&[suite("a<b", &results("valid", "failed")), suite("c", &results("valid", "finished"))]);
        assert!(
            text.contains("<testsuite name=\"a&lt;b\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\""),
            "{text}"
        );
        assert!(
            text.contains("message=\"peer home-1 died\">peer home-1 died\nits log: &lt;nothing&gt;</error>"),
            "{text}"
        );
        assert!(text.contains("name=\"distribution.b.ratio &lt;= 1.3\""), "{text}");
        assert!(
            text.contains("<testsuites name=\"peerbed\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"0\""),
            "{text}"
        );
    }

    #[test]
    fn cases_of_a_sweep_have_names_that_tell_their_values_apart() {
        let values = json!({ "groups.home.count": 5, "groups.far.count": 10 }).as_object().unwrap().clone();
        let run = SweepRun { values, repeat: 2, directory: "001".into(), results: results("valid", "finished") };
        assert_eq!(label("s", &run), "s[home.count=5,far.count=10] #2");
    }

    #[test]
    fn a_sweep_that_was_stopped_does_not_look_complete() {
        let sweep = crate::results::SweepResults { schema: 1, name: "s".into(), planned: 2, runs: Vec::new() };
        let all = suites(&Found::Sweep(sweep));
        assert!(matches!(&all[0].cases[0].ending, Ending::Error { message, .. } if message == "0 of 2 runs were made"));
    }
}
