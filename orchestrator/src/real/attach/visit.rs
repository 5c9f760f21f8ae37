//! One command in a joined namespace: started, watched over, and ended with the run.
//!
//! The command shares terminal, standard streams and process group with this process, so that keys reach it as if it
//! had been started by the shell. Signals sent to this process are handed on. What it leaves behind ends with it.

use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::signal::unix::{SignalKind, signal};

use super::{Door, end_visitors};
use crate::{
    live::{LiveRun, Place},
    real::{
        cell,
        pidfd::{self, PidFd},
    },
};

/// Runs `command` behind `door` to its end, or to the end of `run`; returns its exit code as
/// a shell gives it: 128 and the number of the signal that ended it, 127 and 126 where it could not be started.
///
/// `say` is told why it was ended when it was.
///
/// # Errors
///
/// When the run has ended already, or this process runs out of something.
pub fn visit(run: &LiveRun, place: &Place, door: Door, mut command: Command, say: impl Fn(&str)) -> anyhow::Result<u8> {
    // What loses its parent becomes a child of this process, by which it is found.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("adopting what is left behind")?;
    let holder = i32::try_from(run.publication.process.pid).ok().and_then(Pid::from_raw);
    let holder = holder.context("a process without number")?;
    let holder = PidFd::of(holder).ok().filter(|_| run.publication.process.is_alive());
    let holder = holder.with_context(|| format!("run {} has just ended", run.label()))?;
    pidfd::die_with_parent(&mut command);
    cell::enter(&mut command, door.namespace, door.names);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            say(&format!("cannot start {}: {error}", command.get_program().display()));
            return Ok(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let ended = runtime.block_on(watch(&child, holder));
    if ended? == Ended::Run {
        say(&format!("run {} has ended, and so does everything that had joined {}", run.label(), place.name));
        end_visitors([place.namespace])?;
    }
    let status = child.wait().context("waiting for the command")?;
    end_orphans()?;
    Ok(exit_code(status))
}

/// What came to its end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Command,
    Run,
}

/// Waits for the end of the command or of the run, and hands signals on meanwhile.
async fn watch(child: &Child, holder: PidFd) -> anyhow::Result<Ended> {
    let own = PidFd::open(child).and_then(|process| process.watch()).context("watching the command")?;
    let holder = holder.watch().context("watching the run")?;
    let child = Pid::from_child(child);
    let caught = HANDED_ON.map(|(kind, ours)| signal(kind).map(|stream| (stream, ours)));
    let caught = caught.into_iter().collect::<io::Result<Vec<_>>>().context("listening for signals")?;
    for (mut stream, ours) in caught {
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                // A key reaches the whole group, the command included, without our doing.
                let is_key = matches!(ours, Signal::INT | Signal::QUIT) && is_in_foreground();
                if !is_key {
                    // It may have ended just now.
                    let _ = kill_process(child, ours);
                }
            }
        });
    }
    tokio::select! {
        biased;
        ready = own.readable() => ready.map(|_| Ended::Command).context("watching the command"),
        ready = holder.readable() => ready.map(|_| Ended::Run).context("watching the run"),
    }
}

/// Whether the keys of a terminal go to this process's group.
fn is_in_foreground() -> bool {
    let group = rustix::process::getpgrp();
    rustix::termios::tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|foreground| foreground == group)
}

/// Ends what the command started and left behind; it has become ours.
fn end_orphans() -> anyhow::Result<()> {
    let own = std::process::id();
    loop {
        let orphans = children(own).context("looking for what was left behind")?;
        if orphans.is_empty() {
            return Ok(());
        }
        for orphan in orphans {
            // A child that nobody has waited for keeps its number.
            let _ = kill_process(orphan, Signal::KILL);
            let _ = waitpid(Some(orphan), WaitOptions::empty());
        }
    }
}

/// Processes whose parent is `parent`.
fn children(parent: u32) -> io::Result<Vec<Pid>> {
    let numbers = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name in brackets: the state, then the parent.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1).and_then(|field| field.parse().ok()) == Some(parent)
    };
    Ok(numbers.filter(is_child).filter_map(Pid::from_raw).collect())
}

/// What a shell makes of the end of a command.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Signals that mean the command when they are sent to us.
const HANDED_ON: [(SignalKind, Signal); 6] = [
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
];
/// What a shell says of a command that it cannot find.
const NOT_FOUND: u8 = 127;
/// What a shell says of a command that it cannot start.
const NOT_STARTED: u8 = 126;
