//! What a plan may ask for that this testbed does not carry out: refused in one sentence before anything is made.
//!
//! Each entry goes when its work arrives. What the kernel lacks is another matter and found by `features`.

use anyhow::bail;

use crate::plan::{Action, Plan};

/// Refuses a plan that asks for more than is carried out here, rather than to leave some of it away in silence.
///
/// # Errors
///
/// The first such thing, named as the topology names it.
pub(super) fn refuse(plan: &Plan) -> anyhow::Result<()> {
    if let Some(peer) = plan.peers.iter().find(|peer| peer.exec.is_some()) {
        bail!("group `{}`: `exec` is not carried out by this version", peer.group);
    }
    for (index, step) in plan.steps.iter().enumerate() {
        match &step.action {
            Action::Distribute(_)
            | Action::Start(_)
            | Action::Crash(_)
            | Action::Leave(_)
            | Action::Join(_)
            | Action::Wait(_)
            | Action::Link(_)
            | Action::Partition(_)
            | Action::Heal { .. }
            | Action::Pause(_)
            | Action::Resume(_) => {}
            action @ Action::Await(_) => {
                bail!("step {index}: `{}` is not carried out by this version", crate::scenario::word(action));
            }
        }
    }
    Ok(())
}
