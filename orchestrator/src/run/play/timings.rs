//! Asking the peers at the end of the scenario what they measured.

use super::{Play, Stop};
use crate::{progress::Progress, timings::Merged};

impl Play<'_> {
    /// Asks every peer that still lives, once, unless somebody stops the run meanwhile. What cannot be read is dropped, and
    /// the warning says how much that is.
    pub(super) async fn ask_for_timings(&mut self, stop: &Stop, progress: &mut Progress) {
        let answers = tokio::select! {
            answers = self.testbed.histograms() => answers,
            () = stop.wished() => return,
        };
        self.timings = Merged::of(self.job.plan, &answers);
        if let [first, ..] = self.timings.refused.as_slice() {
            let count = self.timings.refused.len();
            progress.say(&format!("warning: {count} histograms of peers are left out of the results ({first})"));
        }
    }

    /// Writes down what was merged, for expectations and for whoever wants other percentiles.
    pub(super) fn write_timings(&self) -> anyhow::Result<()> {
        if self.timings.texts.is_empty() {
            return Ok(());
        }
        let directory = self.job.directory;
        directory.write_json(&directory.timings(), &self.timings.texts)
    }
}
