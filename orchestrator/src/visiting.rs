//! `exec`, `shell` and `ps`: commands about runs that are live.
//!
//! Finding runs lives in the library's `live`, joining in its `real::attach`; here arguments become calls, and errors
//! exit codes.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process,
    time::SystemTime,
};

use peerbed_orchestrator::{
    live::{self, LiveRun},
    real::attach,
    run_directory::RUNS,
};

use super::{ExitCode, Problem, complain, print};
use crate::arguments::{Exec, Ps, Shell, WhichRun};

/// Runs a command in a peer's network; its exit code becomes ours.
pub(crate) fn exec(arguments: &Exec) -> Result<ExitCode, Problem> {
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Problem::Input("error: no command is given".to_owned()));
    };
    let mut command = process::Command::new(program);
    command.args(rest);
    visit(&arguments.which, &arguments.peer, command)
}

/// Starts `shell`, or one that is everywhere, in a peer's network.
pub(crate) fn shell(arguments: &Shell, shell: Option<OsString>) -> Result<ExitCode, Problem> {
    let shell = shell.filter(|shell| Path::new(shell).is_file());
    let mut command = process::Command::new(shell.as_deref().unwrap_or(OsStr::new("/bin/sh")));
    // Shells that read no prompt from a file of their own show where they are.
    command.env("PS1", format!("{} \\$ ", arguments.peer));
    visit(&arguments.which, &arguments.peer, command)
}

/// Lists live runs and their peers.
pub(crate) fn ps(arguments: &Ps) -> Result<ExitCode, Problem> {
    let runs = match &arguments.which.run {
        Some(_) => vec![chosen(&arguments.which)?],
        None => live::all_below(Path::new(RUNS)),
    };
    let now = SystemTime::now();
    let listings: Vec<_> = runs.iter().map(|run| live::listing(run, now)).collect();
    if arguments.json {
        let text = serde_json::to_string_pretty(&listings).map_err(anyhow::Error::from)?;
        print(&format!("{text}\n"));
    } else if listings.is_empty() {
        complain(&format!("no run is live below {RUNS}; name another place with --run DIR"));
    } else {
        print(&live::table(&listings));
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen(which: &WhichRun) -> Result<LiveRun, Problem> {
    live::find(which.run.as_deref(), Path::new(RUNS)).map_err(|error| Problem::Input(format!("error: {error:#}")))
}

fn visit(which: &WhichRun, peer: &str, mut command: process::Command) -> Result<ExitCode, Problem> {
    let run = chosen(which)?;
    let place = run.peer(peer).map_err(|error| Problem::Input(format!("error: {error:#}")))?;
    // What is asked of peerbed from in there means this run.
    command.env("PEERBED_RUN", run.directory.root());
    let door = attach::Door::open(&run, place)?;
    let code = attach::visit(&run, place, door, command, |words| complain(&format!("peerbed: {words}")))?;
    Ok(ExitCode::from(code))
}
