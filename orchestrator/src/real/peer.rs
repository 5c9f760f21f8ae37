//! One peer of the run: its place on disk, its process while it has one, and what it reports.
//!
//! How a process is watched lives in `process`, how it is asked in `control`. Which peer does what and when is decided
//! above, in `real` and the scenario.

use std::{
    fs::{File, OpenOptions},
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use peerbed_peer::commands;
use peerbed_proto::id::PeerId;
use rustix::process::Signal;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    live::{PeerProcess, ProcessRef},
    real::{
        cell::{self, Replacements},
        control::Control,
        process::{self, Intent, Pattern, Process},
        program::{self, Program},
        supervisor::Supervisor,
    },
    testbed::{Event, Exit, now},
};

/// One peer of the run.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) name: String,
    /// Where its QUIC endpoint listens.
    pub(super) address: SocketAddr,
    /// Asks and tells its process.
    pub(super) control: Control,
    directory: PathBuf,
    config: PathBuf,
    log: PathBuf,
    /// What runs in the place of Peerbed's own peer.
    program: Option<Program>,
    /// Files that programs see in the place of others.
    files: Replacements,
    /// Where its latest process stands written, for those outside.
    published: PathBuf,
    events: mpsc::Sender<Event>,
    /// The process, ended or not; none before the first start.
    process: Mutex<Option<Arc<Process>>>,
    /// Whether the process has been stopped on purpose.
    pub(super) paused: watch::Sender<bool>,
    /// Distributions that ended while it was stopped, and which it still has to end.
    unended: Mutex<Vec<String>>,
}

/// A process on its way up.
#[derive(Debug)]
pub(super) struct Starting {
    process: Arc<Process>,
    /// The line that shows readiness, where it is one.
    ready: oneshot::Receiver<()>,
    /// The line that shows completion, where it is one.
    complete: oneshot::Receiver<()>,
}

/// Where a peer keeps what.
#[derive(Debug)]
pub(super) struct Place {
    /// Working directory of its processes.
    pub(super) directory: PathBuf,
    /// Its configuration.
    pub(super) config: PathBuf,
    /// What its processes print.
    pub(super) log: PathBuf,
    /// Its latest process.
    pub(super) process: PathBuf,
    /// Files that programs of somebody else's see in the place of others.
    pub(super) files: Replacements,
}

impl Peer {
    pub(super) fn new(
        id: PeerId,
        name: &str,
        address: SocketAddr,
        place: Place,
        program: Option<Program>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            address,
            control: Control::new(place.directory.clone()),
            directory: place.directory,
            config: place.config,
            log: place.log,
            program,
            files: place.files,
            published: place.process,
            events,
            process: Mutex::new(None),
            paused: watch::Sender::new(false),
            unended: Mutex::default(),
        }
    }

    /// Whether its process has been stopped on purpose.
    pub(super) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Waits until its process is not stopped.
    pub(super) async fn resumed(&self) {
        // It lives as long as the peer does.
        let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
    }

    /// Notes a distribution that it has to end when it goes on.
    pub(super) fn end_later(&self, id: &str) {
        self.unended.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
    }

    /// What it has to end, once.
    pub(super) fn take_unended(&self) -> Vec<String> {
        std::mem::take(&mut *self.unended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether its process runs and has answered.
    pub(super) fn is_up(&self) -> bool {
        self.process().is_some_and(|process| process.is_up())
    }

    /// Whether a program of somebody else's runs here.
    pub(super) fn is_program(&self) -> bool {
        self.program.is_some()
    }

    /// Starts a process, of `own` where this is one of Peerbed's own peers; none when one runs already.
    pub(super) async fn spawn(&self, supervisor: &Supervisor, own: &PathBuf) -> anyhow::Result<Option<Starting>> {
        if self.process().is_some_and(|process| !process.has_ended()) {
            return Ok(None);
        }
        let name = &self.name;
        let open = || OpenOptions::new().create(true).append(true).open(&self.log);
        let (log, errors) =
            open().and_then(|log| Ok((log, open()?))).with_context(|| format!("opening {name}'s log"))?;
        let started = match &self.program {
            Some(program) => self.spawn_program(supervisor, program, log).await,
            None => self.spawn_own(supervisor, own, log, errors).await,
        };
        let (process, [ready, complete]) = started.with_context(|| format!("starting {name}"))?;
        let process = Arc::new(process);
        self.publish(&process, false);
        self.take_unended();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&process));
        Ok(Some(Starting { process, ready, complete }))
    }

    async fn spawn_own(
        &self,
        supervisor: &Supervisor,
        own: &PathBuf,
        log: File,
        errors: File,
    ) -> anyhow::Result<(Process, Lines)> {
        let mut command = Command::new(own);
        command.arg("--config").arg(&self.config).current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        // A heap per thread would keep what leaves took while they were hashed; the threads are few and meet there seldom.
        command.env("MALLOC_ARENA_MAX", "1");
        let child = supervisor.spawn(self.id, command).await?;
        Process::watch(child, None, log, [Pattern::Is(READY.to_owned()), Pattern::Nothing])
    }

    /// Both streams of a program go through one pipe, so that their order is kept and lines of either count.
    async fn spawn_program(
        &self,
        supervisor: &Supervisor,
        program: &Program,
        log: File,
    ) -> anyhow::Result<(Process, Lines)> {
        let (output, input) = std::io::pipe().context("making a pipe")?;
        let mut command = program.command();
        command.stdout(input.try_clone().context("making a pipe")?).stderr(input);
        let child = supervisor.spawn_program(self.id, command, self.files.clone()).await?;
        Process::watch(child, Some(output.into()), log, program.patterns())
    }

    /// Waits until a process on its way up can be used, and follows what it does from then on. Peerbed's own peers have
    /// the time `within`, programs what their plan gives them.
    pub(super) async fn await_ready(
        &self,
        starting: Starting,
        within: Duration,
        supervisor: &Supervisor,
    ) -> anyhow::Result<()> {
        match &self.program {
            Some(program) => self.await_program(starting, program, supervisor).await,
            None => self.await_answer(starting, within).await,
        }
    }

    async fn await_program(
        &self,
        starting: Starting,
        program: &Program,
        supervisor: &Supervisor,
    ) -> anyhow::Result<()> {
        let Starting { process, ready, complete } = starting;
        let within = program.ready_within();
        let is_ready = async {
            tokio::select! {
                biased;
                () = program.ready(ready, supervisor, (self.id, self.address)) => Ok(()),
                status = process.ended() => {
                    let status = process::describe(status);
                    Err(anyhow!("{} ended before it was ready ({status}){}", self.name, self.last_words()))
                }
            }
        };
        let late = |_| anyhow!("{} was not ready within {within:?}{}", self.name, self.last_words());
        if let Err(error) = timeout(within, is_ready).await.map_err(late).flatten() {
            process.intend(Intent::Die);
            let _ = process.kill();
            self.report_end(process, None);
            return Err(error);
        }
        process.on_answer();
        self.publish(&process, true);
        let (peer, program, outbox) = (self.id, program.clone(), self.events.clone());
        let watched = Arc::clone(&process);
        let completion = tokio::spawn(async move {
            if let Some(t) = program.completed(complete, &watched).await {
                // Nobody listens any more when the run is over.
                let _ = outbox.send(Event::Completed { peer, t }).await;
            }
        });
        self.report_end(process, Some(completion));
        Ok(())
    }

    /// Waits until one of Peerbed's own peers answers, and follows its reports from then on.
    async fn await_answer(&self, starting: Starting, within: Duration) -> anyhow::Result<()> {
        let Starting { process, ready, .. } = starting;
        let events = async {
            if ready.await.is_err() {
                let status = process::describe(process.ended().await);
                bail!("{} ended before it was ready ({status}){}", self.name, self.last_words());
            }
            self.control.status().await.with_context(|| format!("{} does not answer", self.name))?;
            self.control.events().await.with_context(|| format!("{} does not report", self.name))
        };
        let late = |_| anyhow!("{} was not ready within {within:?}{}", self.name, self.last_words());
        let result = timeout(within, events).await.map_err(late).flatten();
        let reports = match result {
            Ok(mut events) => {
                process.on_answer();
                self.publish(&process, true);
                let (id, name, outbox) = (self.id, self.name.clone(), self.events.clone());
                Some(tokio::spawn(async move {
                    loop {
                        match events.next().await {
                            Ok(Some(event)) => match outbox.send(Event::Peer { peer: id, event }).await {
                                Ok(()) => {}
                                Err(_) => return,
                            },
                            Ok(None) => return,
                            // A peer that is killed in the middle of a line ends here.
                            Err(error) => return tracing::debug!(peer = name, "events ended: {error:#}"),
                        }
                    }
                }))
            }
            Err(error) => {
                process.intend(Intent::Die);
                let _ = process.kill();
                self.report_end(process, None);
                return Err(error);
            }
        };
        self.report_end(process, reports);
        Ok(())
    }

    /// Kills the process, if there is one, and waits until it is gone.
    pub(super) async fn crash(&self) -> anyhow::Result<()> {
        let Some(process) = self.process() else { return Ok(()) };
        process.intend(Intent::Die);
        process.kill().with_context(|| format!("killing {}", self.name))?;
        process.ended().await;
        self.paused.send_replace(false);
        Ok(())
    }

    /// Asks the process to leave and waits until it has.
    pub(super) async fn leave(&self, within: Duration) -> anyhow::Result<()> {
        let Some(process) = self.process().filter(|process| !process.has_ended()) else { return Ok(()) };
        if self.is_program() {
            return self.stop(within).await;
        }
        process.intend(Intent::Leave);
        // A process that is stopped hears nothing.
        self.go_on(&process)?;
        let asked = self.control.command(&commands::Command::Leave).await;
        self.finish(process, within, asked.with_context(|| format!("asking {} to leave", self.name))).await
    }

    /// Ends the process by signals: politely first, and by force at the deadline.
    pub(super) async fn stop(&self, within: Duration) -> anyhow::Result<()> {
        let Some(process) = self.process().filter(|process| !process.has_ended()) else { return Ok(()) };
        process.intend(Intent::Leave);
        let asked = process.signal(Signal::TERM).with_context(|| format!("ending {}", self.name));
        // A process that is stopped takes the signal when it goes on.
        let asked = asked.and_then(|()| self.go_on(&process));
        self.finish(process, within, asked).await
    }

    /// Waits for the end of a process that was asked to go; kills it when it stays or was not asked successfully.
    async fn finish(&self, process: Arc<Process>, within: Duration, asked: anyhow::Result<()>) -> anyhow::Result<()> {
        let left = match asked {
            Ok(()) => match timeout(within, process.ended()).await {
                // How a program ends that was asked to go is its own affair.
                Ok(status) if status.success() || self.is_program() => Ok(()),
                Ok(status) => {
                    Err(anyhow!("{} left with {}{}", self.name, process::describe(status), self.last_words()))
                }
                Err(_) => Err(anyhow!("{} did not leave within {within:?} and was killed", self.name)),
            },
            Err(error) => Err(error),
        };
        if left.is_err() {
            process.kill().with_context(|| format!("killing {}", self.name))?;
            process.ended().await;
        }
        left
    }

    /// Has the end of the process reported, behind everything it reported itself.
    fn report_end(&self, process: Arc<Process>, reports: Option<JoinHandle<()>>) {
        let (peer, log, outbox) = (self.id, self.log.clone(), self.events.clone());
        let program = self.program.clone();
        tokio::spawn(async move {
            let status = process.ended().await;
            let t = now();
            if let Some(reports) = reports {
                // The stream ends with the process; what it carried is on its way to the same receiver.
                let _ = timeout(REPORTS_WITHIN, reports).await;
            }
            let expected = match (process.intent(), &program) {
                (Intent::Die, _) | (Intent::Leave, Some(_)) => true,
                (Intent::Leave, None) => status.success(),
                (Intent::Stay, Some(program)) => program.may_end_with(status),
                (Intent::Stay, None) => false,
            };
            let log_tail = if expected { Vec::new() } else { process::tail(&log) };
            let exit = Exit { peer, t, expected, status: process::describe(status), log_tail };
            // Nobody listens any more when the run is over.
            let _ = outbox.send(Event::Exit(exit)).await;
        });
    }

    /// Tells a program that runs already that a distribution to it has begun.
    pub(super) fn begin(&self, at: f64) -> anyhow::Result<()> {
        program::write_begin(&self.directory, at)
    }

    /// Writes down which process this peer has now. A disk that takes no more keeps nobody from running.
    fn publish(&self, process: &Process, ready: bool) {
        let warden = self.program.as_ref().map(|_| process.id());
        let pid = warden.and_then(cell::program_of).unwrap_or_else(|| process.id());
        let written = ProcessRef::of(pid).and_then(|process| {
            let text = serde_json::to_vec(&PeerProcess { process, ready })?;
            std::fs::write(&self.published, text)
        });
        if let Err(error) = written {
            tracing::debug!(peer = self.name, "its process was not written down: {error}");
        }
    }

    pub(super) fn process(&self) -> Option<Arc<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The end of the log as the end of a sentence.
    fn last_words(&self) -> String {
        match process::tail(&self.log)[..] {
            [] => format!("; its log {} is empty", self.log.display()),
            ref lines => format!("; the end of its log {}:\n{}", self.log.display(), lines.join("\n")),
        }
    }
}

/// The lines that show readiness and completion.
type Lines = [oneshot::Receiver<()>; 2];

/// What one of Peerbed's own peers prints when it answers on its control socket.
const READY: &str = "ready";
/// A stream on a Unix socket ends at once with its process; this only bounds a receiver that is full.
const REPORTS_WITHIN: Duration = Duration::from_secs(10);
