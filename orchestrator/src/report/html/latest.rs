//! The latest events of a run that goes on, as a list: steps, faults, recoveries, completions and what processes reported.
//!
//! The report has all of them in its timeline and in `events.ndjson`.

use std::fmt::Write;

use super::{faults::Fault, markup::escape};
use crate::{record::Record, report::figures::seconds, results::Recovery};

/// The last [`EVENTS_MAX`] events, the latest first.
pub(super) fn card(record: &Record, recoveries: &[Recovery], faults: &[Fault]) -> String {
    let all = events(record, recoveries, faults);
    let mut out = String::from(
        "<div class=\"card\" id=\"latest\"><h3>Latest events</h3><div class=\"scroll\"><table><thead><tr>\
         <th scope=\"col\" class=\"n\">second</th><th scope=\"col\">event</th></tr></thead><tbody>\n",
    );
    for event in all.iter().rev().take(EVENTS_MAX) {
        let at = seconds(Some(event.at));
        let _ = writeln!(out, "<tr><th scope=\"row\" class=\"n\">{at}</th><td>{}</td></tr>", escape(&event.words));
    }
    out.push_str("</tbody></table></div></div>\n");
    out
}

/// Something that happened, in seconds since the scenario's start.
#[derive(Debug)]
struct Event {
    at: f64,
    words: String,
}

/// Everything worth a line, in order of time.
fn events(record: &Record, recoveries: &[Recovery], faults: &[Fault]) -> Vec<Event> {
    let mut all = Vec::new();
    let mut say = |at: f64, words: String| all.push(Event { at, words });
    for (index, step) in &record.steps {
        let words = record.outline.step(*index).unwrap_or_else(|| step.action.clone());
        say(record.since_start(step.begun), format!("step {index} begins: {words}"));
        if let Some(ended) = step.ended {
            say(record.since_start(ended), format!("step {index} has ended: {words}"));
        }
    }
    for fault in faults.iter().filter(|fault| fault.to > fault.from && fault.to < record.length()) {
        say(fault.to, format!("over: {}", fault.words));
    }
    for recovery in recoveries {
        if let Some(took) = recovery.recovered_seconds {
            let of = super::markup::names(&recovery.peers);
            let words = format!("recovered from {} {of} in {} s", recovery.fault, seconds(Some(took)));
            say(recovery.at_seconds + took, words);
        }
    }
    for (id, course) in &record.courses {
        for (name, part) in &course.parts {
            if let (Some(begun), Some(completed)) = (course.begun, part.completed) {
                say(record.since_start(begun + completed), format!("{name} has all of {id}"));
            }
        }
    }
    for mark in &record.marks {
        let kind = mark.kind.replace('-', " ");
        say(record.since_start(mark.t), format!("{kind}: {}", mark.words));
    }
    all.sort_by(|a, b| a.at.total_cmp(&b.at));
    all
}

/// More than this is no longer the latest.
const EVENTS_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Mark, StepSeen};

    #[test]
    fn the_latest_events_come_first_and_are_no_more_than_fifty() {
        let mut record = Record { started: 100.0, ended: 190.0, ..Record::default() };
        record.steps.insert(0, StepSeen { action: "crash".into(), begun: 101.0, ended: Some(102.0) });
        let mark = |n: u32| Mark { t: 103.0 + f64::from(n), kind: "peer-dropped".into(), words: format!("<{n}>") };
        record.marks = (0..60).map(mark).collect();
        let html = card(&record, &[], &[]);
        assert_eq!(html.matches("<td>").count(), 50);
        assert!(html.find("peer dropped: &lt;59&gt;") < html.find("peer dropped: &lt;10&gt;"), "{html}");
        assert!(!html.contains("&lt;9&gt;") && !html.contains("step 0"), "the oldest are left out: {html}");
        record.marks.truncate(1);
        let html = card(&record, &[], &[]);
        assert!(html.contains(">2.00</th><td>step 0 has ended: crash</td>"), "{html}");
    }
}
