//! One attempt at one topology: a `peerbed run` of its own, watched and ended in time.

use std::{
    fs::{self, File},
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::{Entry, Options};
use crate::run::Stop;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attempt {
    /// Exit code of the run; none where a signal ended it.
    pub(super) code: Option<i32>,
    /// Whether it took too long and was ended.
    pub(super) is_late: bool,
    /// Whether somebody stopped the suite meanwhile.
    pub(super) is_stopped: bool,
    /// How long it took, in seconds.
    pub(super) seconds: f64,
    /// The last lines of what it complained about.
    pub(super) complaint: String,
}

/// Runs `entry` with its files in `directory` and what it says beside it.
///
/// # Errors
///
/// When the run cannot be started.
pub(super) async fn attempt(
    entry: &Entry,
    directory: &Path,
    options: &Options,
    stop: &Stop,
) -> anyhow::Result<Attempt> {
    let began = Instant::now();
    let log = directory.with_extension("log");
    let mut child = start(entry, directory, &log, options)?;
    let (mut is_late, mut is_stopped) = (false, false);
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        () = tokio::time::sleep(entry.timeout.0) => { is_late = true; None }
        () = stop.wished() => { is_stopped = true; None }
    };
    let status = match ended {
        Some(ended) => ended,
        None => end(&mut child).await,
    };
    let status = status.context("waiting for a run")?;
    let complaint = tail(&fs::read_to_string(&log).unwrap_or_default());
    Ok(Attempt { code: status.code(), is_late, is_stopped, seconds: began.elapsed().as_secs_f64(), complaint })
}

fn start(entry: &Entry, directory: &Path, log: &Path, options: &Options) -> anyhow::Result<Child> {
    let said =
        File::create(directory.with_extension("txt")).with_context(|| format!("beside {}", directory.display()))?;
    let complained = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(&options.program);
    command.arg("run").arg(&entry.file).arg("--out").arg(directory).arg("--quiet");
    if let Some(repeat) = entry.repeat {
        command.arg("--repeat").arg(repeat.to_string());
    }
    for setting in &entry.settings {
        command.arg("--set").arg(setting.to_string());
    }
    command.args(&options.arguments);
    // The suite writes one summary of all runs.
    command.env_remove("PEERBED_SUMMARY");
    command.stdin(Stdio::null()).stdout(said).stderr(complained).kill_on_drop(true);
    command.spawn().with_context(|| format!("cannot start {}", options.program.display()))
}

/// Asks a run to end, so that it leaves its results, and ends it by force when it does not.
async fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A process that has ended meanwhile needs no signal.
        let _ = kill_process(pid, Signal::TERM);
    }
    match tokio::time::timeout(END_MAX, child.wait()).await {
        Ok(ended) => ended,
        Err(_) => {
            child.start_kill()?;
            child.wait().await
        }
    }
}

/// The last few lines of a log.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

/// A run that is asked to end takes its testbed down within 5 s; this is for a host that does not answer.
const END_MAX: Duration = Duration::from_secs(30);
/// Lines of a log that are repeated in reports.
const LINES_MAX: usize = 10;
