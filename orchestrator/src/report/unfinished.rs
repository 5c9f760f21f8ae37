//! What is there of a run that wrote no results: it was killed, or goes on still.

use std::fs;

use anyhow::Context;
use serde_json::Value;

use crate::{live::LiveRun, plan::Plan, run_directory::RunDirectory, scenario};

/// What `directory`, which holds a plan and no results, has of its run, and what is missing.
///
/// # Errors
///
/// When its plan cannot be read.
pub fn unfinished(directory: &RunDirectory) -> anyhow::Result<String> {
    let path = directory.plan();
    let plan = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let plan = Plan::from_yaml(&plan).with_context(|| format!("{} is not a plan", path.display()))?;
    let state = match LiveRun::at(directory) {
        Some(run) => format!("still going on (process {})", run.publication.process.pid),
        None => "killed before it wrote its results".to_owned(),
    };
    let mut text = format!("{} · seed {}\noutcome: {state}\nthere is:\n", plan.name, plan.seed);
    let steps = plan.steps.len();
    text.push_str(&format!("  {}  ({} peers, {steps} steps)\n", path.display(), plan.peers.len()));
    let events = fs::read_to_string(directory.events()).unwrap_or_default();
    let events: Vec<Value> = events.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    text.push_str(&format!("  {}  ({})\n", directory.events().display(), course(&plan, &events)));
    for (path, what) in
        [(directory.peer_samples(), "samples of peers"), (directory.host_samples(), "samples of the host")]
    {
        let lines = fs::read_to_string(&path).unwrap_or_default().lines().count();
        if lines > 0 {
            text.push_str(&format!("  {}  ({lines} {what})\n", path.display()));
        }
    }
    text.push_str(&format!("  {}  (configuration and log of each peer)\n", directory.peers().display()));
    text.push_str(
        "missing: results.json, and with it distribution times, the verdict and what became of the expectations\n",
    );
    Ok(text)
}

/// How far the scenario came, by its events.
fn course(plan: &Plan, events: &[Value]) -> String {
    let time = |event: &Value| event["t"].as_f64();
    let is = |event: &&Value, kind: &str| event["event"] == kind;
    let Some(begun) = events.iter().find(|event| is(event, "scenario-begun")).and_then(time) else {
        return "the scenario had not begun".to_owned();
    };
    let last = events.iter().filter_map(time).fold(begun, f64::max) - begun;
    let ended = events.iter().filter(|event| is(event, "step-ended")).count();
    let completed = events.iter().filter(|event| is(event, "completed") || is(event, "program-completed")).count();
    let mut current = events.iter().filter(|event| is(event, "step-begun")).filter_map(|event| event["step"].as_u64());
    let current = current.next_back().and_then(|step| plan.steps.get(usize::try_from(step).ok()?));
    let current = current.map(|step| format!(", the last begun was `{}`", scenario::word(&step.action)));
    format!(
        "{} events up to {last:.1} s; {ended} of {} steps had ended{}; {completed} completions",
        events.len(),
        plan.steps.len(),
        current.unwrap_or_default()
    )
}
