//! Repeated runs as one table in Markdown: a row per program, way and size, with the medians of what it took.
//!
//! Reads results alone, of as many runs as there are. Runs whose verdict is invalid are counted and left out, because
//! their figures are the host's; what a host lacked is a row of its own with the reason. Differences between builds are
//! judged in `compare`.

use std::fmt::Write;

use super::{figures, markdown::cell};
use crate::{
    results::{Distribution, Found, Outcome, Results},
    verdict::State,
};

/// The table of `found`, with the hosts and engines that the figures come from below it.
#[must_use]
pub fn medians(found: &[Found]) -> String {
    let runs: Vec<&Results> = found.iter().flat_map(runs_of).collect();
    let mut rows: Vec<Row> = Vec::new();
    for run in &runs {
        for distribution in &run.distributions {
            row_of(&mut rows, distribution).add(run, distribution);
        }
    }
    let mut text = HEADER.to_owned();
    rows.iter().for_each(|row| text.push_str(&row.line()));
    for left_out in skipped(&runs) {
        text.push_str(&left_out);
    }
    text.push('\n');
    for sentence in origins(&runs) {
        let _ = writeln!(text, "{}", cell(&sentence));
    }
    text
}

fn runs_of(found: &Found) -> Vec<&Results> {
    match found {
        Found::Run(results) => vec![results.as_ref()],
        Found::Sweep(sweep) => sweep.runs.iter().map(|run| &run.results).collect(),
    }
}

/// One distribution in all of its runs.
struct Row {
    name: String,
    via: String,
    kind: String,
    peers: usize,
    bytes: u64,
    bound: Option<f64>,
    seconds: Vec<f64>,
    ratios: Vec<f64>,
    middles: Vec<f64>,
    tally: Tally,
}

/// What became of the runs of a row.
#[derive(Default)]
struct Tally {
    valid: usize,
    suspect: usize,
    invalid: usize,
    unfinished: usize,
}

/// The row that a distribution belongs to, made where there is none yet.
fn row_of<'a>(rows: &'a mut Vec<Row>, it: &Distribution) -> &'a mut Row {
    let is_same = |row: &Row| {
        (&row.name, &row.via, &row.kind, row.peers, row.bytes) == (&it.name, &it.via, &it.kind, it.peers, it.bytes)
    };
    let place = rows.iter().position(is_same).unwrap_or_else(|| {
        rows.push(Row {
            name: it.name.clone(),
            via: it.via.clone(),
            kind: it.kind.clone(),
            peers: it.peers,
            bytes: it.bytes,
            bound: it.bound_seconds,
            seconds: Vec::new(),
            ratios: Vec::new(),
            middles: Vec::new(),
            tally: Tally::default(),
        });
        rows.len() - 1
    });
    &mut rows[place]
}

impl Row {
    fn add(&mut self, run: &Results, it: &Distribution) {
        match (run.outcome, run.verdict.state, it.seconds) {
            (Outcome::Failed | Outcome::Interrupted, ..) | (_, _, None) => return self.tally.unfinished += 1,
            (Outcome::Finished, State::Invalid, _) => return self.tally.invalid += 1,
            (Outcome::Finished, State::Suspect, _) => self.tally.suspect += 1,
            (Outcome::Finished, State::Valid, _) => self.tally.valid += 1,
        }
        self.seconds.extend(it.seconds);
        self.ratios.extend(it.ratio);
        self.middles.extend(it.p50_seconds);
    }

    fn line(&self) -> String {
        let program = if self.via == self.kind { "Peerbed" } else { &self.via };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            cell(&self.name),
            cell(program),
            cell(&self.kind),
            self.peers,
            figures::bytes(self.bytes),
            figures::spread(&self.seconds, figures::seconds),
            figures::seconds(self.bound),
            figures::spread(&self.ratios, figures::ratio),
            figures::seconds(figures::median(&mut self.middles.clone())),
            self.tally.words()
        )
    }
}

impl Tally {
    /// `2 valid, 1 invalid (left out)`.
    fn words(&self) -> String {
        let all = [
            (self.valid, "valid"),
            (self.suspect, "suspect"),
            (self.invalid, "invalid (left out)"),
            (self.unfinished, "not finished"),
        ];
        let some = all.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }
}

/// A row for each distribution that some host could not make, once.
fn skipped(runs: &[&Results]) -> Vec<String> {
    let mut rows = Vec::new();
    for left_out in runs.iter().flat_map(|run| &run.left_out) {
        let reason = cell(&left_out.reason);
        let (name, via) = (cell(&left_out.name), cell(&left_out.via));
        let row = format!("| {name} | {via} | skipped: {reason} |{}\n", " |".repeat(COLUMNS - 3));
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

/// One sentence for each host, engine and version among the runs.
fn origins(runs: &[&Results]) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for run in runs {
        let made = &run.provenance;
        let day = made.started_at.get(..10).unwrap_or(&made.started_at);
        let sentence = format!(
            "{day}: {} processors, {}, Linux {}; {} engine; Peerbed {}.",
            made.host.cores,
            figures::bytes(made.host.memory_bytes >> 30 << 30),
            made.host.kernel,
            run.engine,
            made.version
        );
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

const COLUMNS: usize = 10;
const HEADER: &str = "\
| distribution | program | kind | peers | size | seconds | bound | ratio | p50 | runs |
|---|---|---|--:|--:|--:|--:|--:|--:|---|
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::html::fixture,
        results::{LeftOut, SweepResults, SweepRun},
        verdict::Verdict,
    };

    fn run(seconds: f64, state: State) -> Results {
        let mut own = fixture::distribution("swarm", &[Some(1.0), Some(seconds)]);
        own.kind = "swarm".into();
        own.seconds = Some(seconds);
        own.ratio = Some(seconds / 1.5);
        own.p50_seconds = Some(1.0);
        let program = Distribution { via: "aria2".into(), name: "aria".into(), ..own.clone() };
        let mut results = fixture::results(vec![own, program]);
        results.verdict = Verdict { state, ..results.verdict };
        results.provenance.started_at = "2026-11-23T05:54:09Z".into();
        results
    }

    fn sweep(runs: Vec<Results>) -> Found {
        let runs = runs.into_iter().map(|results| SweepRun {
            values: serde_json::Map::new(),
            repeat: 1,
            directory: "001".into(),
            results,
        });
        let runs: Vec<SweepRun> = runs.collect();
        Found::Sweep(SweepResults { schema: 1, name: "s".into(), planned: runs.len(), runs })
    }

    #[test]
    fn a_row_has_the_medians_of_the_runs_that_count() {
        let runs = [(3.0, State::Valid), (2.0, State::Valid), (9.9, State::Invalid), (2.5, State::Suspect)];
        let text = medians(&[sweep(runs.map(|(seconds, state)| run(seconds, state)).into())]);
        let expected = "| release | Peerbed | swarm | 2 | 1 MiB | 2.50 (2.00–3.00) | 1.50 | 1.67 (1.33–2.00) | 1.00 | \
                        2 valid, 1 suspect, 1 invalid (left out) |";
        assert!(text.lines().any(|line| line == expected), "{text}");
        assert!(text.lines().any(|line| line.starts_with("| aria | aria2 | swarm | 2 |")), "{text}");
    }

    #[test]
    fn what_a_host_lacked_is_a_row_with_the_reason_once() {
        let mut lacking = run(2.0, State::Valid);
        lacking.left_out.push(LeftOut {
            id: "d3".into(),
            name: "web".into(),
            via: "nginx".into(),
            reason: "nginx is not there: apt-get install nginx|light".into(),
        });
        let text = medians(&[Found::Run(Box::new(lacking.clone())), Found::Run(Box::new(lacking))]);
        assert_eq!(text.matches("skipped: nginx is not there").count(), 1, "{text}");
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(text.lines().filter(|line| line.starts_with('|')).all(|line| bars(line) == COLUMNS + 1), "{text}");
    }

    #[test]
    fn figures_of_one_host_say_once_where_they_come_from() {
        let text = medians(&[sweep(vec![run(2.0, State::Valid), run(2.1, State::Valid)])]);
        assert_eq!(text.matches("2026-11-23: ").count(), 1, "{text}");
    }

    #[test]
    fn runs_that_never_count_leave_no_figures() {
        let text = medians(&[sweep(vec![run(2.0, State::Invalid)])]);
        assert!(text.contains("| 1 MiB | – | 1.50 | – | – | 1 invalid (left out) |"), "{text}");
    }
}
