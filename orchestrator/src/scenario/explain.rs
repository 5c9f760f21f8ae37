//! Sentences about what has not happened.

use peerbed_proto::PeerId;

use super::{Awaited, Phase, Scenario, Stage, via, word};
use crate::units::Span;

impl Scenario {
    /// One sentence about what has not happened by the end of the time.
    pub(super) fn unfinished(&self) -> String {
        let mut parts = Vec::new();
        for (index, state) in self.distributions.iter().enumerate() {
            if matches!(state.phase(), Phase::Preparing | Phase::Running) {
                let required = self.required(index);
                let missing: Vec<PeerId> = required.iter().copied().filter(|p| !state.has_completed(*p)).collect();
                parts.push(format!(
                    "distribution {} via {}: {} of {} peers had not finished: {}",
                    state.spec().name,
                    via(state.spec().via),
                    missing.len(),
                    required.len(),
                    self.list(&missing)
                ));
            }
        }
        for (index, state) in self.steps.iter().enumerate() {
            if state.stage == Stage::Waiting {
                parts.push(format!("step {index} ({}) had not begun", word(&state.step.action)));
            }
        }
        for (index, state) in self.steps.iter().enumerate() {
            if state.awaited.contains(&Awaited::Changed { step: index }) {
                parts.push(format!("step {index} ({}) was still being carried out", word(&state.step.action)));
            }
            let peers: Vec<PeerId> = state.awaited.iter().filter_map(Awaited::peer).collect();
            if !peers.is_empty() {
                let what = word(&state.step.action);
                parts.push(format!("step {index} ({what}) still waited for {}", self.list(&peers)));
            }
        }
        format!("the scenario did not end within {}: {}", Span(self.timeout), parts.join("; "))
    }

    /// Names of peers, cut off where it gets long.
    fn list(&self, peers: &[PeerId]) -> String {
        let mut names: Vec<&str> = peers.iter().take(NAMES_MAX).map(|p| self.name(*p)).collect();
        if peers.len() > NAMES_MAX {
            names.push("…");
        }
        names.join(", ")
    }
}

/// Names listed in one sentence; more say nothing new.
const NAMES_MAX: usize = 12;
