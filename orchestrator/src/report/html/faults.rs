//! Faults over time: when links, partitions and processes were disturbed, as bands behind other figures.

use std::fmt::Write;

use super::{
    frame::Frame,
    markup::{at, escape, names},
};
use crate::{
    plan,
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
    let mut all: Vec<Fault> =
        results.changes.iter().enumerate().filter_map(|(place, _)| changed(&results.changes, place, record)).collect();
    for (index, step) in record.steps.iter().filter(|(_, step)| matches!(step.action.as_str(), "crash" | "leave")) {
        let from = record.since_start(step.begun);
        let words = record.outline.step(*index).unwrap_or_else(|| step.action.clone());
        all.push(Fault { kind: step.action.clone(), from, to: from, words });
    }
    for (index, step) in record.steps.iter().filter(|(_, step)| step.action == "churn") {
        all.extend(churned(record, *index, step.begun));
    }
    all.sort_by(|a, b| a.from.total_cmp(&b.from));
    all
}

/// Crashes and leaves of one churn: those of its moves after which the process of the peer did end.
fn churned(record: &Record, step: usize, begun: f64) -> Vec<Fault> {
    let action = record.outline.action(step);
    let Some(churn) = action.as_ref().and_then(plan::Action::churn) else { return Vec::new() };
    let mut all = Vec::new();
    for (place, it) in churn.moves.iter().enumerate().filter(|(_, it)| it.what != plan::MoveKind::Join) {
        let Some(name) = record.outline.peer_name(it.peer.0) else { continue };
        let (from, next) = (begun + it.at.seconds(), churn.moves[place + 1..].iter().find(|next| next.peer == it.peer));
        let until = next.map_or(f64::INFINITY, |next| begun + next.at.seconds());
        // What another step had taken away before does not end once more.
        if record.exits.iter().any(|(t, who)| who == name && (from..until).contains(t)) {
            let kind = if it.what == plan::MoveKind::Crash { "crash" } else { "leave" };
            let from = record.since_start(from);
            all.push(Fault { kind: kind.into(), from, to: from, words: format!("{kind} {name}") });
        }
    }
    all
}

/// Whether a change of links takes earlier ones back and does nothing else.
fn is_reset(record: &Record, change: &Change) -> bool {
    let Some(plan::Action::Link(all)) = record.outline.action(change.step) else { return false };
    let up = plan::Changes { state: Some(plan::LinkState::Up), ..plan::Changes::default() };
    let none = plan::Changes::default();
    let is_plain = |way: &plan::Changes| *way == none || *way == up;
    all.iter().all(|it| is_plain(&it.up) && is_plain(&it.down) && (it.reset || it.up == up || it.down == up))
}

/// The change at this place as a fault, with its end in a later one; none of what ends others.
fn changed(changes: &[Change], place: usize, record: &Record) -> Option<Fault> {
    let end = record.length();
    let change = &changes[place];
    let later = &changes[place + 1..];
    let meets = |some: &[String], others: &[String]| some.iter().any(|name| others.contains(name));
    let to = match change.action.as_str() {
        "link" if is_reset(record, change) => return None,
        // What a later change of these links leaves of it is that change's.
        "link" => later
            .iter()
            .find(|other| other.action == "link" && meets(&other.peers, &change.peers))
            .map(|other| other.asked_at),
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
    let shown = || faults.iter().filter(|fault| fault.to >= begun && fault.from - begun <= frame.x.high());
    let class = if shown().count() > CROWD { "fault thin" } else { "fault" };
    for fault in shown().take(BANDS_MAX) {
        let (from, to) = (frame.x.at(fault.from - begun), frame.x.at(fault.to - begun));
        let tip = escape(&format!("{} s: {}", seconds(Some(fault.from)), fault.words));
        if to - from < 1.0 {
            let _ = writeln!(
                out,
                "<path class=\"s1 {class}\" d=\"M{} {}V{}\"><title>{tip}</title></path>",
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
const BANDS_MAX: usize = 1_000;
/// More lines than this are drawn thin, so that what they lie behind is still seen.
const CROWD: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::{
        record::{StepSeen, outline::Outline},
        report::html::fixture,
    };

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
            change("link", 8.0, &["b", "c"], &[]),
        ];
        results.changes[4].step = 1;
        let mut record = Record { started: 100.0, ended: 110.0, ..Record::default() };
        record.outline = Outline::of_steps(
            json!([{}, { "when": { "at": "8s" }, "action": { "link": [
                { "peers": [1], "reset": true, "up": {}, "down": {} }] } }]),
            3,
        );
        record.steps.insert(0, StepSeen { action: "crash".into(), begun: 104.0, ended: None });
        let all = of(&results, &record);
        let spans: Vec<(&str, f64, f64)> = all.iter().map(|f| (f.kind.as_str(), f.from, f.to)).collect();
        let expected = [("partition", 2.0, 5.0), ("pause", 3.0, 10.0), ("crash", 4.0, 4.0), ("link", 6.0, 8.0)];
        assert_eq!(spans, expected);
        let drawn = bands(&Frame::half(10.0, 1.0), &all, 1.0);
        assert_eq!((drawn.matches("<rect").count(), drawn.matches("<path").count()), (3, 1));
        assert!(drawn.contains("<title>2.00 s: partition p0</title>"), "{drawn}");
    }

    #[test]
    fn who_crashes_and_leaves_in_a_churn_has_a_mark_if_it_was_there() {
        let it = |at: &str, peer: u32, what: &str| json!({ "at": at, "peer": peer, "what": what });
        let moves = [it("1s", 1, "crash"), it("2s", 2, "leave"), it("3s", 1, "join"), it("4s", 3, "crash")];
        let churn = json!([{ "when": { "at": "0s" }, "action": { "churn": { "length": "9s", "moves": moves } } }]);
        let mut record = Record { started: 100.0, ended: 110.0, ..Record::default() };
        record.outline = Outline::of_steps(churn, 3);
        record.steps.insert(0, StepSeen { action: "churn".into(), begun: 100.5, ended: None });
        record.exits = vec![(101.5, "ring-1".into()), (103.1, "ring-2".into())];
        let all = of(&fixture::results(Vec::new()), &record);
        let found: Vec<(&str, f64, &str)> = all.iter().map(|f| (f.kind.as_str(), f.from, f.words.as_str())).collect();
        assert_eq!(found, [("crash", 1.5, "crash ring-1"), ("leave", 2.5, "leave ring-2")]);
    }
}
