//! The summary's words on what the scenario changed, and on traces.

use std::collections::BTreeMap;

use super::line;
use crate::results::Results;

/// One line about changes and one about traces; nothing where there were none.
pub(super) fn summary(text: &mut String, results: &Results) {
    if !results.changes.is_empty() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for change in &results.changes {
            *counts.entry(&change.action).or_default() += 1;
        }
        let words: Vec<String> = counts.into_iter().map(|(action, count)| format!("{count} {action}")).collect();
        let proved = results.changes.iter().filter(|change| change.proof.is_some()).count();
        line(text, &format!("changes: {proved} of {} proved ({})", results.changes.len(), words.join(", ")));
    }
    if !results.traces.is_empty() {
        let sum = |of: fn(&crate::links::traces::Followed) -> u64| results.traces.iter().map(of).sum::<u64>();
        let latest = results.traces.iter().map(|trace| trace.latest_seconds).fold(0.0, f64::max);
        let (changes, skipped) = (sum(|trace| trace.changes), sum(|trace| trace.skipped));
        line(text, &format!("traces: {changes} changes, {skipped} skipped, the latest {:.1} ms late", latest * 1e3));
    }
}
