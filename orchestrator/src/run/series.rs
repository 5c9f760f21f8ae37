//! Many runs one after another: the combinations of a sweep, each repeated.
//!
//! Makes one run directory per run below the sweep's and keeps the sweep's `results.json` up to date after each, so
//! that what is there is never lost. Which combinations there are is decided when the topology is planned.

use serde_json::{Map, Value};

use super::{Job, Links, Payload, Stop, carry_out};
use crate::{
    plan::Plan,
    progress::Progress,
    report,
    results::{Outcome, Provenance, SCHEMA, SweepResults, SweepRun},
    run_directory::RunDirectory,
    testbed,
};

/// One run of a series.
#[derive(Clone, Debug)]
pub struct Member {
    /// The swept values: path in the topology and value.
    pub values: Map<String, Value>,
    /// Number of this repetition, from 1.
    pub repeat: usize,
    /// What to do.
    pub plan: Plan,
}

/// What all runs of a series have in common.
#[derive(Debug)]
pub struct Series<'a> {
    /// Name of the topology.
    pub name: &'a str,
    /// The topology as written; a copy goes into every run's directory.
    pub topology: &'a [u8],
    /// Directory of the series.
    pub directory: &'a RunDirectory,
    /// How to bring up a testbed.
    pub testbed: &'a testbed::Options,
    /// What becomes of the distributed files.
    pub payload: Payload,
    /// Whether links are measured before each scenario.
    pub links: Links,
    /// What the results say about their origin; start, times and set-up are filled in for each run.
    pub provenance: Provenance,
}

/// Makes all runs. A run that fails does not keep the others from being made; a wish to stop does.
///
/// # Errors
///
/// When a directory or results cannot be written.
pub async fn carry_out_all(
    series: &Series<'_>,
    members: &[Member],
    stop: &Stop,
    progress: &mut Progress,
) -> anyhow::Result<SweepResults> {
    let mut results =
        SweepResults { schema: SCHEMA, name: series.name.to_owned(), planned: members.len(), runs: Vec::new() };
    series.directory.write_json(&series.directory.results(), &results)?;
    for (index, member) in members.iter().enumerate() {
        if stop.is_wished() {
            break;
        }
        let label = label(&member.values, member.repeat);
        progress.say(&format!("run {} of {}: {label}", index + 1, members.len()));
        let directory = RunDirectory::create(&series.directory.combination(index + 1, &label))?;
        directory.begin(&member.plan, series.topology)?;
        let now = std::time::SystemTime::now();
        let started_at = crate::calendar::timestamp(now);
        let job = Job {
            plan: &member.plan,
            directory: &directory,
            testbed: series.testbed,
            payload: series.payload,
            links: series.links,
            provenance: Provenance { started_at, ..series.provenance.clone() },
        };
        let found = carry_out(job, stop, progress).await?;
        if let Err(error) = report::html::write(&directory) {
            progress.say(&format!("run {}: no pictures: {error:#}", index + 1));
        }
        if let (Outcome::Failed, Some(error)) = (found.outcome, &found.error) {
            progress.say(&format!("run {} failed: {error}", index + 1));
        }
        results.runs.push(SweepRun {
            values: member.values.clone(),
            repeat: member.repeat,
            directory: directory.root().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            results: found,
        });
        series.directory.write_json(&series.directory.results(), &results)?;
    }
    Ok(results)
}

/// `count=10,via=swarm,repeat=2`: the last words of the swept paths, short enough for a file name.
fn label(values: &Map<String, Value>, repeat: usize) -> String {
    let mut parts: Vec<String> = values
        .iter()
        .map(|(path, value)| {
            let last = path.rsplit('.').next().unwrap_or(path);
            value.as_str().map_or_else(|| format!("{last}={value}"), |text| format!("{last}={text}"))
        })
        .collect();
    parts.push(format!("repeat={repeat}"));
    let label = parts.join(",");
    label.chars().take(LABEL_MAX).collect()
}

/// File names end at 255 bytes; sockets of peers live deeper and end at 107.
const LABEL_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn directories_are_called_after_what_was_swept() {
        let swept = json!({ "groups.home.count": 10, "scenario.0.distribute.via": "swarm" });
        let values = swept.as_object().unwrap();
        assert_eq!(label(values, 2), "count=10,via=swarm,repeat=2");
    }
}
