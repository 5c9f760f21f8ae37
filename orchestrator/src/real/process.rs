//! One process of a peer: its output, its end, and signals to it.
//!
//! A process is known by its pidfd, and its group is signalled only while its leader has not been reaped, so that no
//! signal ever reaches a stranger that inherited a number. Where it is started is the business of `supervisor`; what is
//! said to it, of `control`.

use std::{
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{Child, ExitStatus},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt, unix::AsyncFd},
    net::unix::pipe,
    sync::{oneshot, watch},
};

use crate::real::pidfd::PidFd;

/// A process that was started; it may have ended meanwhile.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    descriptor: PidFd,
    reaped: Arc<Mutex<bool>>,
    end: watch::Receiver<Option<ExitStatus>>,
    intent: Mutex<Intent>,
    answers: AtomicBool,
}

/// How a process is meant to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Not at all.
    Stay,
    /// By itself and with success, because it was asked to.
    Leave,
    /// In any way, because it was killed.
    Die,
}

impl Process {
    /// Watches over `child`: what comes out of `output`, or of the pipe that is its standard output, goes to the end of `log`. Each receiver resolves at the first
    /// line that is as its `pattern` says; it fails when the output ends first.
    ///
    /// # Errors
    ///
    /// When file descriptors have run out. The child is killed then.
    pub(super) fn watch<const N: usize>(
        mut child: Child,
        output: Option<OwnedFd>,
        log: File,
        patterns: [Pattern; N],
    ) -> anyhow::Result<(Self, [oneshot::Receiver<()>; N])> {
        let parts = Self::descriptors(&mut child, output);
        let (descriptor, watched, output) = parts.inspect_err(|_| {
            // Not reaped yet, so that the number is still its own. What is left of it dies with this process.
            let _ = child.kill();
            let _ = child.wait();
        })?;
        let pid = Pid::from_child(&child);
        let mut waits = Vec::new();
        let lines = patterns.map(|pattern| {
            let (found, line) = oneshot::channel();
            waits.push(Wait { pattern, found });
            line
        });
        tokio::spawn(forward(output, log, waits));
        let reaped = Arc::new(Mutex::new(false));
        let (end, ended) = watch::channel(None);
        tokio::spawn(reap(child, watched, Arc::clone(&reaped), end));
        let (intent, answers) = (Mutex::new(Intent::Stay), AtomicBool::new(false));
        Ok((Self { pid, descriptor, reaped, end: ended, intent, answers }, lines))
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Says how the process is meant to end from now on; no effect on one that has ended.
    pub(super) fn intend(&self, intent: Intent) {
        if !self.has_ended() {
            *self.intent.lock().unwrap_or_else(PoisonError::into_inner) = intent;
        }
    }

    /// Notes that the process has answered.
    pub(super) fn on_answer(&self) {
        self.answers.store(true, Ordering::Release);
    }

    /// Sends a signal to the process; one that has ended is left alone.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        self.descriptor.signal(signal)
    }

    /// Kills the process and all that it started in its group; also when they are stopped.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.signal_group(Signal::KILL)
    }

    /// Sends a signal to the process and all that it started in its group; nobody gets it once the process has ended.
    pub(super) fn signal_group(&self, signal: Signal) -> io::Result<()> {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if *reaped { Ok(()) } else { Ok(kill_process_group(self.pid, signal)?) }
    }

    /// Its number, which is its own as long as it has not ended.
    pub(super) fn number(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    /// How the process ended, once it has.
    pub(super) async fn ended(&self) -> ExitStatus {
        let mut end = self.end.clone();
        let status = end.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        // Only when the runtime is shutting down does nobody watch any more; the process dies with us.
        status.unwrap_or_else(|| ExitStatus::from_raw(Signal::KILL.as_raw()))
    }

    /// How the process is meant to end.
    pub(super) fn intent(&self) -> Intent {
        *self.intent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the process has answered and not ended since.
    pub(super) fn is_up(&self) -> bool {
        self.answers.load(Ordering::Acquire) && !self.has_ended()
    }

    /// Whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    fn descriptors(
        child: &mut Child,
        output: Option<OwnedFd>,
    ) -> anyhow::Result<(PidFd, AsyncFd<Arc<OwnedFd>>, pipe::Receiver)> {
        let descriptor = PidFd::open(child).context("opening a process")?;
        let watched = descriptor.watch().context("watching a process")?;
        let output = output.or_else(|| child.stdout.take().map(OwnedFd::from)).context("a process without output")?;
        let output = pipe::Receiver::from_owned_fd(output).context("watching the output of a process")?;
        Ok((descriptor, watched, output))
    }
}

/// How a process ended, in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) if signal == Signal::KILL.as_raw() => "signal 9 (killed)".to_owned(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// The last lines of a log, at most [`TAIL_LINES`].
pub(crate) fn tail(log: &Path) -> Vec<String> {
    let bytes = std::fs::read(log).unwrap_or_default();
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    let text = String::from_utf8_lossy(&bytes[start..]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(ToString::to_string).collect()
}

/// A line that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This text and nothing else.
    Is(String),
    /// This text somewhere in it.
    Contains(String),
    /// None is waited for.
    Nothing,
}

impl Pattern {
    fn fits(&self, line: &[u8]) -> bool {
        match self {
            Self::Is(text) => line == text.as_bytes(),
            Self::Contains(text) => String::from_utf8_lossy(line).contains(text),
            Self::Nothing => false,
        }
    }
}

struct Wait {
    pattern: Pattern,
    found: oneshot::Sender<()>,
}

/// Copies output to the log and tells of the lines that are waited for.
async fn forward(mut output: pipe::Receiver, mut log: File, mut waits: Vec<Wait>) {
    waits.retain(|wait| wait.pattern != Pattern::Nothing);
    let mut line = Vec::new();
    let mut block = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut block).await {
        let block = &block[..length];
        // A full disk must not stop a peer that only wants to talk; what counts is reported by other ways.
        let _ = log.write_all(block);
        for &byte in block {
            if waits.is_empty() {
                break;
            }
            // Programs that draw their progress go back to the line's beginning.
            if byte != b'\n' && byte != b'\r' {
                if line.len() < LINE_MAX {
                    line.push(byte);
                }
                continue;
            }
            for wait in waits.extract_if(.., |wait| wait.pattern.fits(&line)) {
                // Nobody waits any more for a process that is being killed.
                let _ = wait.found.send(());
            }
            line.clear();
        }
    }
}

/// Waits for the end and takes the status; kills what the process left behind in its group.
async fn reap(
    mut child: Child,
    descriptor: AsyncFd<Arc<OwnedFd>>,
    reaped: Arc<Mutex<bool>>,
    end: watch::Sender<Option<ExitStatus>>,
) {
    let pid = Pid::from_child(&child);
    // The descriptor stays readable once the process has ended, so that an error leaves only the blocking wait.
    let _ = descriptor.readable().await;
    let status = {
        let mut reaped = reaped.lock().unwrap_or_else(PoisonError::into_inner);
        // Usually nobody is left. The number is the group's until the leader is reaped below.
        let _ = kill_process_group(pid, Signal::KILL);
        *reaped = true;
        child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0))
    };
    let _ = end.send(Some(status));
}

/// Of longer lines the beginning is looked at.
const LINE_MAX: usize = 4096;
/// Enough for a panic with its backtrace's head, and still readable in a terminal.
const TAIL_LINES: usize = 20;
/// Lines are not longer than some hundred bytes.
const TAIL_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn start(script: &str, pattern: Pattern) -> (tempfile::NamedTempFile, Process, oneshot::Receiver<()>) {
        use std::os::unix::process::CommandExt;
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stdin(Stdio::null()).process_group(0);
        let (process, [line]) =
            Process::watch(command.spawn().unwrap(), None, log.reopen().unwrap(), [pattern]).unwrap();
        (log, process, line)
    }

    #[tokio::test]
    async fn readiness_is_the_line_and_nothing_like_it() {
        let ready = || Pattern::Is("ready".to_owned());
        let (_log, process, line) = start("echo already; echo 'ready?'; echo readyready; exit 3", ready());
        assert!(line.await.is_err());
        assert_eq!(describe(process.ended().await), "exit code 3");
        let script = "echo booting; printf rea; printf 'dy\\n'; echo more; kill -9 $$";
        let (log, process, line) = start(script, ready());
        line.await.unwrap();
        assert_eq!(describe(process.ended().await), "signal 9 (killed)");
        assert!(tail(log.path()).starts_with(&["booting".to_owned(), "ready".to_owned()]));
    }

    #[tokio::test]
    async fn killing_takes_the_whole_group_and_may_be_repeated() {
        let (_log, process, ready) = start("sleep 1000 & echo ready; wait", Pattern::Is("ready".to_owned()));
        ready.await.unwrap();
        assert!(!process.has_ended());
        process.kill().unwrap();
        assert_eq!(describe(process.ended().await), "signal 9 (killed)");
        process.kill().unwrap();
        process.signal(Signal::TERM).unwrap();
        assert!(process.has_ended());
    }

    #[tokio::test]
    async fn a_text_is_found_in_a_line_that_is_drawn_over() {
        let drawn = Pattern::Contains("100% done".to_owned());
        let (_log, process, line) =
            start("printf '10%% done\\r'; printf 'now 100%% done.\\r'; sleep 1000", drawn.clone());
        line.await.unwrap();
        process.kill().unwrap();
        process.ended().await;
        let (_log, _process, line) = start("echo 100%; echo done", drawn);
        assert!(line.await.is_err());
    }

    #[test]
    fn a_tail_is_the_last_lines_that_say_something() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..100).map(|n| format!("line {n}\n\n")).collect();
        std::fs::write(log.path(), text).unwrap();
        let lines = tail(log.path());
        assert_eq!((lines.len(), lines[19].as_str()), (20, "line 99"));
        assert!(tail(Path::new("/nonexistent")).is_empty());
    }
}
