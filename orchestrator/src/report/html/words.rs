//! What a page says in words: outcome and verdict, expectations, and where the run came from.

use std::{fmt::Write, fs};

use super::{
    markup::{count, escape},
    page::{Badge, Mood},
};
use crate::{
    record::Record,
    report::{figures, verdict_line},
    results::{Conclusion, NO_ENGINE, Outcome, Results},
    run_directory::RunDirectory,
    verdict::State,
    verify::found,
};

/// What was run, when, for how `long`, and on what links, in a line.
pub(super) fn subtitle(results: &Results, long: &str) -> String {
    let mut text = format!("seed {}", results.seed);
    if results.engine != NO_ENGINE {
        let _ = write!(text, " · {} links", results.engine);
    }
    let origin = &results.provenance;
    if !origin.started_at.is_empty() {
        let _ = write!(text, " · {} · {long}", origin.started_at);
    }
    if !origin.host.kernel.is_empty() {
        let _ = write!(text, " · {}, Linux {}", count(origin.host.cores, "processor"), origin.host.kernel);
    }
    text
}

/// How long a run took that is over.
pub(super) fn in_all(results: &Results) -> String {
    format!("{} s in all", figures::seconds(Some(results.provenance.wall_seconds)))
}

/// How far a run is that goes on.
pub(super) fn so_far(record: &Record) -> String {
    format!("{:.0} s into the scenario", record.since_start(record.seen))
}

/// What the run means, and what the host was.
pub(super) fn badge(results: &Results) -> Vec<Badge> {
    let meaning = match results.conclusion() {
        Conclusion::Held if results.expectations.is_empty() => Badge { word: "finished", mood: Mood::Good },
        Conclusion::Held => Badge { word: "expectations hold", mood: Mood::Good },
        Conclusion::ExpectationFailed => Badge { word: "an expectation failed", mood: Mood::Bad },
        Conclusion::NotCarriedOut => Badge { word: results.outcome.as_str(), mood: Mood::Bad },
        Conclusion::Invalid => Badge { word: "neither pass nor fail", mood: Mood::Doubtful },
    };
    if results.outcome == Outcome::Finished { vec![meaning, verdict(results)] } else { vec![meaning] }
}

/// What there is to say of a run that goes on: nothing is decided, and a verdict counts the share of bad seconds, which may
/// yet fall.
pub(super) fn running(results: &Results) -> Vec<Badge> {
    let host = match results.verdict.state {
        State::Valid => Badge { word: "valid so far", mood: Mood::Open },
        State::Suspect => Badge { word: "suspect so far", mood: Mood::Doubtful },
        State::Invalid => Badge { word: "invalid so far", mood: Mood::Doubtful },
    };
    vec![Badge { word: "running", mood: Mood::Open }, host]
}

fn verdict(results: &Results) -> Badge {
    match results.verdict.state {
        State::Valid => Badge { word: "verdict: valid", mood: Mood::Good },
        State::Suspect => Badge { word: "verdict: suspect", mood: Mood::Doubtful },
        State::Invalid => Badge { word: "verdict: invalid", mood: Mood::Bad },
    }
}

/// Why the run ended early, or what the verdict says in full.
pub(super) fn outcome(results: &Results) -> String {
    if results.outcome != Outcome::Finished {
        let error = results.error.as_deref().unwrap_or("no reason was given");
        return format!(
            "<p class=\"notice bad\"><strong>The run was {}.</strong> {}</p>\n",
            results.outcome.as_str(),
            escape(error)
        );
    }
    let class = match results.verdict.state {
        State::Valid => "good",
        State::Suspect => "doubtful",
        State::Invalid => "bad",
    };
    format!("<p class=\"notice {class}\">{}</p>\n", escape(&sentence(&verdict_line(results))))
}

/// Why the host is in doubt while the run goes on; nothing while it is not.
pub(super) fn doubts(results: &Results) -> String {
    if results.verdict.state == State::Valid {
        return String::new();
    }
    format!("<p class=\"notice doubtful\">So far: {}</p>\n", escape(&sentence(&verdict_line(results))))
}

/// The first paragraph of the summary: how many peers, and what is missing.
pub(super) fn notes(record: &Record) -> String {
    let groups = record.outline.groups();
    let mut text = String::new();
    if !groups.is_empty() {
        let peers = groups.iter().map(|(_, peers)| peers).sum();
        let all: Vec<String> = groups.iter().map(|(name, peers)| format!("{name} ({peers})")).collect();
        let _ = write!(text, "{}: {}.", count(peers, "peer"), super::markup::names(&all));
    }
    if record.missed > 0 {
        let _ = write!(
            text,
            " {} events were discarded by peers before they were taken; pictures of pieces lack them.",
            record.missed
        );
    }
    text
}

/// Every expectation with what became of it, as a card; none of a run that did not come to judge them.
pub(super) fn expectations(results: &Results) -> Option<String> {
    if results.expectations.is_empty() {
        return None;
    }
    let mut out = String::from(
        "<div class=\"card\"><h3>Expectations</h3><div class=\"scroll\"><table><thead><tr><th scope=\"col\">expectation</th>\
         <th scope=\"col\">became</th><th scope=\"col\" class=\"n\">found</th></tr></thead><tbody>\n",
    );
    for expectation in &results.expectations {
        let (class, words) = match (results.verdict.state, expectation.held) {
            (State::Invalid, _) => ("doubtful", "? neither: the verdict is invalid"),
            (State::Valid | State::Suspect, true) => ("good", "✓ held"),
            (State::Valid | State::Suspect, false) => ("bad", "✗ failed"),
        };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><code>{}</code></th><td><span class=\"{class}\">{words}</span></td><td class=\"n\">{}</td></tr>",
            escape(&expectation.text),
            escape(&figures::value(&expectation.value))
        );
    }
    out.push_str("</tbody></table></div></div>\n");
    Some(out)
}

/// How links were shaped and measured, in a sentence or two.
pub(super) fn conditions(results: &Results) -> String {
    let mut text = format!("Links were shaped by the {} engine: {}.", results.engine, results.engine_reason);
    match results.verification.state {
        found::State::Done => {
            let took = figures::seconds(Some(results.verification.seconds));
            let _ = write!(text, " They were measured in {took} s before the scenario began.");
        }
        found::State::Skipped => text.push_str(" They were not measured (--no-verify)."),
        found::State::Unfinished => {}
    }
    for problem in &results.verification.problems {
        let _ = write!(text, " {}", sentence(problem));
    }
    text
}

/// Command line, versions, and the files that say what was done, folded.
pub(super) fn origin(results: &Results, directory: &RunDirectory) -> String {
    let origin = &results.provenance;
    let mut out = String::from("<dl>");
    let mut item = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(out, "<dt>{name}</dt><dd><code>{}</code></dd>", escape(value));
        }
    };
    item("command", &origin.command_line.join(" "));
    item("peerbed", &origin.version);
    item("host", &format!("{} · {} of memory", subtitle_host(results), figures::bytes(origin.host.memory_bytes)));
    item("set-up, s", &phases(results));
    item("SHA-256 of the topology", &origin.topology_sha256);
    out.push_str("</dl>\n");
    folded(&mut out, "The topology as written", &directory.topology());
    folded(&mut out, "The plan, complete", &directory.plan());
    out
}

fn subtitle_host(results: &Results) -> String {
    let host = &results.provenance.host;
    format!("{} · Linux {}", count(host.cores, "processor"), host.kernel)
}

fn phases(results: &Results) -> String {
    let all = results.provenance.setup_seconds.iter();
    all.map(|(phase, took)| format!("{phase} {took:.2}")).collect::<Vec<_>>().join(" · ")
}

/// A text file behind its title, cut off at [`TEXT_MAX`]; nothing where there is none.
fn folded(out: &mut String, title: &str, path: &std::path::Path) {
    let Ok(text) = fs::read_to_string(path) else { return };
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= TEXT_MAX).last().unwrap_or(0);
    let (shown, rest) = if text.len() > TEXT_MAX { text.split_at(end) } else { (text.as_str(), "") };
    let _ = write!(out, "<details><summary>{title}</summary><pre tabindex=\"0\"><code>{}</code></pre>", escape(shown));
    if !rest.is_empty() {
        let _ =
            write!(out, "<p>… and {} more; the whole is in the run directory.</p>", figures::bytes(rest.len() as u64));
    }
    out.push_str("</details>\n");
}

/// `text` with a capital first letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

/// Bytes of a file that a page shows; a plan of 500 peers has about 200 KB.
const TEXT_MAX: usize = 400_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::html::fixture;

    #[test]
    fn an_invalid_run_has_neither_kept_nor_failed_an_expectation() {
        let mut results = fixture::results(Vec::new());
        let written = json!([{ "text": "a", "held": true, "value": 1 }, { "text": "b", "held": false, "value": 2 }]);
        results.expectations = serde_json::from_value(written).unwrap();
        assert!(expectations(&results).unwrap().contains("✓ held"));
        results.verdict.state = State::Invalid;
        let card = expectations(&results).unwrap();
        assert_eq!(card.matches("? neither").count(), 2);
        assert!(!card.contains("held") && !card.contains("failed"), "{card}");
    }

    #[test]
    fn a_run_that_goes_on_is_neither_good_nor_bad() {
        let mut results = fixture::results(Vec::new());
        results.verdict.state = State::Invalid;
        let moods: Vec<Mood> = running(&results).iter().map(|badge| badge.mood).collect();
        assert_eq!(moods, [Mood::Open, Mood::Doubtful]);
        assert!(doubts(&results).contains("So far: "));
    }
}
