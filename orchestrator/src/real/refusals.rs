//! What a plan may ask for that this testbed does not carry out: refused in one sentence before anything is made.
//!
//! Each entry goes when its work arrives. What the kernel lacks is another matter and found by `features`.

use anyhow::bail;

use crate::plan::{Action, Direction, Discipline, Order, Plan, Shape};

/// Refuses a plan that asks for more than is carried out here, rather than to leave some of it away in silence.
///
/// # Errors
///
/// The first such thing, named as the topology names it.
pub(super) fn refuse(plan: &Plan) -> anyhow::Result<()> {
    if let Some(link) = plan.links.iter().find(|link| link.up.trace.is_some() || link.down.trace.is_some()) {
        bail!("link `{}`: `trace` is not carried out by this version", link.name);
    }
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
            | Action::Wait(_) => {}
            action @ (Action::Await(_)
            | Action::Link(_)
            | Action::Partition(_)
            | Action::Heal { .. }
            | Action::Pause(_)
            | Action::Resume(_)) => {
                bail!("step {index}: `{}` is not carried out by this version", crate::scenario::word(action));
            }
        }
    }
    Ok(())
}

/// What a plan's links ask for that only the user engine does, as the beginning of a sentence.
pub(super) fn beyond_kernel_engine(plan: &Plan) -> Option<String> {
    plan.links.iter().find_map(|link| {
        let key = [&link.up, &link.down].into_iter().find_map(unshapeable)?;
        Some(format!("link `{}` has `{key}`, which the kernel engine does not carry out", link.name))
    })
}

/// The first setting of a direction that the kernel engine does not read.
fn unshapeable(direction: &Direction) -> Option<&'static str> {
    let asked = [
        ("overhead", direction.overhead > 0),
        ("jitter: distribution", direction.jitter.shape != Shape::Uniform),
        ("jitter: keep-order", direction.jitter.order != Order::Free),
        ("corrupt", direction.corrupt.0 > 0),
        ("queue: codel", direction.discipline != Discipline::DropTail),
    ];
    asked.into_iter().find_map(|(key, is_asked)| is_asked.then_some(key))
}
