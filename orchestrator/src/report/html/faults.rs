//! Faults over time: when links, partitions and processes were disturbed, as bands behind other figures.

use std::fmt::Write;

use super::{
    frame::Frame,
    markup::{at, escape, names},
};
use crate::{
    record::Record,
    report::figures::seconds,
    results::{Change, Results},
};

/// Something that disturbed the overlay, in seconds since the scenario's start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// `crash`, `leave`, `link`, `partition` or `pause`.
    pub(super) kind: String,
    pub(super) from: f64,
    /// When it was over; the same instant for what has no end of its own, such as a crash.
    pub(super) to: f64,
    pub(super) words: String,
}

/// All faults of a run, in order of time.
pub(super) fn of(results: &Results, record: &Record) -> Vec<Fault> {
    let mut all: Vec<Fault> = results
        .changes
        .iter()
        .enumerate()
        .filter_map(|(place, _)| changed(&results.changes, place, record.length()))
        .collect();
    for (index, step) in record.steps.iter().filter(|(_, step)| matches!(step.action.as_str(), "crash" | "leave")) {
        let from = record.since_start(step.begun);
        let words = record.outline.step(*index).unwrap_or_else(|| step.action.clone());
        all.push(Fault { kind: step.action.clone(), from, to: from, words });
    }
    all.sort_by(|a, b| a.from.total_cmp(&b.from));
    all
}

/// The change at this place as a fault, with its end in a later one; none of what ends others.
fn changed(changes: &[Change], place: usize, end: f64) -> Option<Fault> {
    let change = &changes[place];
    let later = &changes[place + 1..];
    let meets = |some: &[String], others: &[String]| some.iter().any(|name| others.contains(name));
    let to = match change.action.as_str() {
        "link" => Some(change.asked_at),
        "partition" => later
            .iter()
            .find(|other| other.action == "heal" && meets(&other.partitions, &change.partitions))
            .map(|other| other.asked_at),
        "pause" => later
            .iter()
            .find(|other| other.action == "resume" && meets(&other.peers, &change.peers))
            .map(|other| other.asked_at),
        _ => return None,
    };
    let about = if change.partitions.is_empty() { names(&change.peers) } else { names(&change.partitions) };
    let words = format!("{} {about}", change.action);
    Some(Fault { kind: change.action.clone(), from: change.asked_at, to: to.unwrap_or(end), words })
}

/// Bands and lines in a plot whose x counts from `begun`, in seconds since the scenario's start.
pub(super) fn bands(frame: &Frame, faults: &[Fault], begun: f64) -> String {
    let (bottom, top) = frame.y.places();
    let mut out = String::new();
    for fault in faults.iter().filter(|fault| fault.to >= begun && fault.from - begun <= frame.x.high()).take(BANDS_MAX)
    {
        let (from, to) = (frame.x.at(fault.from - begun), frame.x.at(fault.to - begun));
        let tip = escape(&format!("{} s: {}", seconds(Some(fault.from)), fault.words));
        if to - from < 1.0 {
            let _ = writeln!(
                out,
                "<path class=\"s1 fault\" d=\"M{} {}V{}\"><title>{tip}</title></path>",
                at(from),
                at(bottom),
                at(top)
            );
        } else {
            let _ = writeln!(
                out,
                "<rect class=\"s1 fill faint\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{tip}</title></rect>",
                at(from),
                at(top),
                at(to - from),
                at(bottom - top)
            );
        }
    }
    out
}

/// More bands than this are one grey area; the timeline has them.
const BANDS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::StepSeen, report::html::fixture};

    fn change(action: &str, asked_at: f64, peers: &[&str], partitions: &[&str]) -> Change {
        let owned = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        Change {
            step: 0,
            action: action.into(),
            peers: owned(peers),
            partitions: owned(partitions),
            asked_at,
            applied_seconds: None,
            proved_seconds: None,
            proof: None,
        }
    }

    #[test]
    fn faults_last_until_the_change_that_ends_them() {
        let mut results = fixture::results(Vec::new());
        results.changes = vec![
            change("partition", 2.0, &["a", "b"], &["p0"]),
            change("pause", 3.0, &["a"], &[]),
            change("heal", 5.0, &[], &["p0"]),
            change("link", 6.0, &["b"], &[]),
        ];
        let mut record = Record { started: 100.0, ended: 110.0, ..Record::default() };
        record.steps.insert(0, StepSeen { action: "crash".into(), begun: 104.0, ended: None });
        let all = of(&results, &record);
        let spans: Vec<(&str, f64, f64)> = all.iter().map(|f| (f.kind.as_str(), f.from, f.to)).collect();
        let expected = [("partition", 2.0, 5.0), ("pause", 3.0, 10.0), ("crash", 4.0, 4.0), ("link", 6.0, 6.0)];
        assert_eq!(spans, expected);
        let drawn = bands(&Frame::half(10.0, 1.0), &all, 1.0);
        assert_eq!((drawn.matches("<rect").count(), drawn.matches("<path").count()), (2, 2));
        assert!(drawn.contains("<title>2.00 s: partition p0</title>"), "{drawn}");
    }
}
