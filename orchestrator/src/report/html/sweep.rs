//! The page of a sweep: distribution time against what was swept, measured points beside the curves of the bounds.
//!
//! Swept over the number of peers, with client-server beside the swarm, this is the textbook's figure.

use std::fmt::Write;

use super::{
    curves::{self, Series},
    figure::{Figure, Key, Shape, series_class},
    frame::Frame,
    markup::{Table, at, count, escape},
    page::{Badge, Mood, Page},
    sweep_rings,
};
use crate::{
    report::figures::{self, ratio, seconds, value},
    results::{Conclusion, Outcome, SweepResults, SweepRun},
    run_directory::{REPORT, RunDirectory},
    verdict::State,
};

pub(super) fn page(results: &SweepResults, directory: &RunDirectory) -> String {
    let (axis, all) = curves::series(&results.runs, directory);
    let subtitle = format!("sweep · {} of {}", results.runs.len(), count(results.planned, "run"));
    let mut page = Page::new(&results.name, &subtitle);
    page.badge(&[badge(results.conclusion())]);
    page.raw(&notice(results));
    page.section("summary", "Summary", "");
    let [recoveries, hops, latency] = sweep_rings::figures(&results.runs);
    page.figures([times(&axis, &all), ratios(&axis, &all), recoveries, hops, latency]);
    page.section("runs", "Runs", "Each run has a page of its own, with everything that happened.");
    page.raw(&runs(results, directory));
    page.html()
}

fn badge(conclusion: Conclusion) -> Badge {
    match conclusion {
        Conclusion::Held => Badge { word: "expectations hold", mood: Mood::Good },
        Conclusion::ExpectationFailed => Badge { word: "an expectation failed", mood: Mood::Bad },
        Conclusion::NotCarriedOut => Badge { word: "not all runs were made", mood: Mood::Bad },
        Conclusion::Invalid => Badge { word: "some verdicts are invalid", mood: Mood::Doubtful },
    }
}

/// How many verdicts of each kind there are.
fn notice(results: &SweepResults) -> String {
    let finished = || results.runs.iter().filter(|run| run.results.outcome == Outcome::Finished);
    let of = |state: State| finished().filter(|run| run.results.verdict.state == state).count();
    let (valid, suspect, invalid) = (of(State::Valid), of(State::Suspect), of(State::Invalid));
    let class = if invalid > 0 {
        "bad"
    } else if suspect > 0 {
        "doubtful"
    } else {
        "good"
    };
    format!(
        "<p class=\"notice {class}\">Verdicts: {valid} valid, {suspect} suspect, {invalid} invalid. Points of invalid runs are \
         hollow: the host was in the way.</p>\n"
    )
}

/// Distribution time over what was swept.
fn times(axis: &str, all: &[Series]) -> Option<Figure> {
    let highest = all.iter().flat_map(Series::heights).fold(0.0, f64::max);
    let furthest = all.iter().flat_map(|s| &s.points).map(|p| p.x).fold(0.0, f64::max);
    if all.is_empty() || furthest <= 0.0 {
        return None;
    }
    let frame = Frame::whole(460.0, furthest * 1.04, highest * 1.02);
    let mut drawing = frame.axes(axis, "seconds until the last peer has the file");
    for (index, series) in all.iter().enumerate() {
        let _ = write!(
            drawing,
            "<g class=\"{}\"><path class=\"bound\" d=\"{}\"/>",
            series_class(index),
            frame.line(&series.bound)
        );
        for point in series.points.iter().filter(|point| !point.seconds.is_empty()) {
            dots(&mut drawing, &frame, point, &point.seconds);
        }
        drawing.push_str("</g>\n");
    }
    Some(Figure {
        id: "distribution-time".into(),
        title: "Distribution time, measured on the curves of the bounds".into(),
        description: all.iter().map(Series::sentence).collect::<Vec<_>>().join(" "),
        caption: "Dashed: the least time possible with the nominal rates of the links. Points: medians of the runs, with the \
                  range where there are several."
            .into(),
        legend: legend(all),
        drawing,
        width: frame.width,
        height: frame.height,
        table: Some(table(axis, all)),
    })
}

/// Distribution time over its bound, over what was swept.
fn ratios(axis: &str, all: &[Series]) -> Option<Figure> {
    let highest = all.iter().flat_map(|s| &s.points).flat_map(|p| p.ratios.iter().copied()).fold(1.0, f64::max);
    let furthest = all.iter().flat_map(|s| &s.points).map(|p| p.x).fold(0.0, f64::max);
    if furthest <= 0.0 || all.iter().flat_map(|s| &s.points).all(|p| p.ratios.is_empty()) {
        return None;
    }
    let frame = Frame::half(furthest * 1.04, highest * 1.02);
    let mut drawing = frame.axes(axis, "times the bound");
    let one = frame.line(&[(0.0, 1.0), (frame.x.high(), 1.0)]);
    let _ = writeln!(drawing, "<path class=\"ink bound\" d=\"{one}\"/>");
    for (index, series) in all.iter().enumerate() {
        let _ = write!(drawing, "<g class=\"{}\">", series_class(index));
        for point in series.points.iter().filter(|point| !point.ratios.is_empty()) {
            dots(&mut drawing, &frame, point, &point.ratios);
        }
        drawing.push_str("</g>\n");
    }
    Some(Figure {
        id: "ratio".into(),
        title: "How close to the bound".into(),
        description: format!("The largest ratio is {}.", ratio(Some(highest))),
        caption: "Distribution time over its bound; 1 is perfect.".into(),
        legend: legend(all),
        drawing,
        width: frame.width,
        height: frame.height,
        table: None,
    })
}

/// The median of `values` as a point, and their range as a line.
pub(super) fn dots(out: &mut String, frame: &Frame, point: &curves::Point, values: &[f64]) {
    let mut sorted = values.to_vec();
    let Some(middle) = figures::median(&mut sorted) else { return };
    let x = at(frame.x.at(point.x));
    if let [least, .., most] = sorted.as_slice() {
        let _ =
            write!(out, "<path class=\"whisker\" d=\"M{x} {}V{}\"/>", at(frame.y.at(*least)), at(frame.y.at(*most)));
    }
    let class = if point.has_invalid { "hollow" } else { "fill" };
    let tip = format!("{} at {}: {}", point.label, value(&point.x.into()), seconds(Some(middle)));
    let _ = write!(
        out,
        "<circle class=\"{class}\" cx=\"{x}\" cy=\"{}\" r=\"5\"><title>{}</title></circle>",
        at(frame.y.at(middle)),
        escape(&tip)
    );
}

fn legend(all: &[Series]) -> Vec<Key> {
    all.iter().enumerate().map(|(index, series)| Key::series(index, Shape::Dot, &series.label)).collect()
}

fn table(axis: &str, all: &[Series]) -> Table {
    let header = ["what", axis, "seconds", "least", "most", "bound", "ratio", "runs"];
    let mut table = Table::new("Distribution time, medians", &header, 1);
    for series in all {
        for point in &series.points {
            let mut sorted = point.seconds.clone();
            let middle = figures::median(&mut sorted);
            table.row([
                series.label.clone(),
                value(&point.x.into()),
                seconds(middle),
                seconds(sorted.first().copied()),
                seconds(sorted.last().copied()),
                seconds(point.bound),
                ratio(figures::median(&mut point.ratios.clone())),
                sorted.len().to_string(),
            ]);
        }
    }
    table
}

/// All runs with what was swept, what they took, and the way to their pages.
fn runs(results: &SweepResults, directory: &RunDirectory) -> String {
    let mut out = String::from(
        "<div class=\"scroll\"><table><caption>All runs</caption><thead><tr><th scope=\"col\">run</th>\
         <th scope=\"col\">outcome</th><th scope=\"col\">verdict</th><th scope=\"col\">expectations</th>\
         <th scope=\"col\" class=\"n\">seconds</th></tr></thead><tbody>\n",
    );
    for run in &results.runs {
        let name = escape(&run.directory);
        let has_page =
            RunDirectory::open(&directory.root().join(&run.directory)).is_ok_and(|run| run.report().is_file());
        let name = if has_page { format!("<a href=\"{name}/{REPORT}\">{name}</a>") } else { name };
        let verdict =
            if run.results.outcome == Outcome::Finished { run.results.verdict.state.as_str() } else { figures::NONE };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{verdict}</td><td>{}</td><td class=\"n\">{}</td></tr>",
            run.results.outcome.as_str(),
            escape(&judged(run)),
            escape(&taken(run))
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn judged(run: &SweepRun) -> String {
    let failed: Vec<&str> = run.results.expectations.iter().filter(|e| !e.held).map(|e| e.text.as_str()).collect();
    if run.results.expectations.is_empty() {
        figures::NONE.into()
    } else if run.results.verdict.state == State::Invalid {
        "neither".into()
    } else if failed.is_empty() {
        "all held".into()
    } else {
        format!("failed: {}", failed.join("; "))
    }
}

fn taken(run: &SweepRun) -> String {
    run.results.distributions.iter().map(|d| seconds(d.seconds)).collect::<Vec<_>>().join(" · ")
}
