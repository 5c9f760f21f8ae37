//! Running the topologies of a suite in order, each as often as it needs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{
    Entry, Suite,
    attempt::{self, Attempt},
    outcome::{Ended, SuiteOutcome},
};
use crate::{
    progress::Progress,
    results::{Conclusion, Found},
    run::Stop,
    run_directory::RunDirectory,
};

/// How a suite is carried out.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that runs topologies: this one.
    pub program: PathBuf,
    /// Further arguments of each run.
    pub arguments: Vec<OsString>,
}

/// Runs all topologies of `suite` with their files below `root`. One that fails does not keep the others from being run;
/// a wish to stop does.
///
/// # Errors
///
/// When nothing can be written below `root`, or no run can be started.
pub async fn carry_out(
    suite: &Suite,
    root: &Path,
    options: &Options,
    stop: &Stop,
    progress: &mut Progress,
) -> anyhow::Result<SuiteOutcome> {
    std::fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    let mut outcome = SuiteOutcome { name: suite.name.clone(), ended: Vec::new() };
    for (index, entry) in suite.topologies.iter().enumerate() {
        if stop.is_wished() {
            let why = "the suite was stopped before";
            outcome.ended.push(Ended::not_run(entry, why));
            continue;
        }
        progress.say(&format!("{} of {}: {}", index + 1, suite.topologies.len(), entry.name()));
        let ended = one(entry, root, options, stop, progress).await?;
        progress.say(&format!("  {}", ended.sentence()));
        outcome.ended.push(ended);
    }
    progress.finish();
    Ok(outcome)
}

/// Runs a topology until its verdict says something or its tries are used up.
async fn one(
    entry: &Entry,
    root: &Path,
    options: &Options,
    stop: &Stop,
    progress: &mut Progress,
) -> anyhow::Result<Ended> {
    let mut seconds = 0.0;
    for tries in 1..=entry.retries + 1 {
        let name = if tries == 1 { entry.name() } else { format!("{}-again-{}", entry.name(), tries - 1) };
        let directory = root.join(name);
        let attempt = attempt::attempt(entry, &directory, options, stop).await?;
        seconds += attempt.seconds;
        let is_last = tries > entry.retries || stop.is_wished();
        let conclusion = conclusion(&attempt);
        if conclusion == Conclusion::Invalid && !is_last {
            progress.say("  the verdict is invalid: once more");
            continue;
        }
        let found = RunDirectory::open(&directory).ok().and_then(|directory| Found::read(&directory).ok());
        return Ok(Ended {
            name: entry.name(),
            tags: entry.tags.iter().cloned().collect(),
            conclusion,
            tries,
            seconds,
            why: why(entry, &attempt),
            directory: Some(directory),
            found,
        });
    }
    unreachable!("the last try returns, and there is at least one")
}

/// What an exit code means.
fn conclusion(attempt: &Attempt) -> Conclusion {
    match attempt.code {
        _ if attempt.is_late || attempt.is_stopped => Conclusion::NotCarriedOut,
        Some(0) => Conclusion::Held,
        Some(1) => Conclusion::ExpectationFailed,
        Some(4) => Conclusion::Invalid,
        Some(_) | None => Conclusion::NotCarriedOut,
    }
}

/// Why a topology was not run to its end; none where it was.
fn why(entry: &Entry, attempt: &Attempt) -> Option<String> {
    if attempt.is_late {
        return Some(format!("it took longer than {} and was ended", entry.timeout));
    }
    if attempt.is_stopped {
        return Some("the suite was stopped".into());
    }
    match attempt.code {
        Some(0 | 1 | 4) => None,
        Some(code) => Some(format!("exit code {code}: {}", attempt.complaint)),
        None => Some(format!("a signal ended it: {}", attempt.complaint)),
    }
}
