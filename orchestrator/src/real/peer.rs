//! One peer of the run: its place on disk, its process while it has one, and what it reports.
//!
//! How a process is watched lives in `process`, how it is asked in `control`. Which peer does what and when is decided
//! above, in `real` and the scenario.

use std::{
    fs::OpenOptions,
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
    real::{
        control::Control,
        process::{self, Intent, Process},
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
    ready: oneshot::Receiver<()>,
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
}

impl Peer {
    pub(super) fn new(id: PeerId, name: &str, address: SocketAddr, place: Place, events: mpsc::Sender<Event>) -> Self {
        Self {
            id,
            name: name.to_owned(),
            address,
            control: Control::new(place.directory.clone()),
            directory: place.directory,
            config: place.config,
            log: place.log,
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

    /// Starts a process of `program`; none when one runs already.
    pub(super) async fn spawn(&self, supervisor: &Supervisor, program: &PathBuf) -> anyhow::Result<Option<Starting>> {
        if self.process().is_some_and(|process| !process.has_ended()) {
            return Ok(None);
        }
        let name = &self.name;
        let open = || OpenOptions::new().create(true).append(true).open(&self.log);
        let (log, errors) =
            open().and_then(|log| Ok((log, open()?))).with_context(|| format!("opening {name}'s log"))?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&self.config).current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let child = supervisor.spawn(self.id, command).await.with_context(|| format!("starting {name}"))?;
        let (process, ready) = Process::watch(child, log).with_context(|| format!("starting {name}"))?;
        let process = Arc::new(process);
        self.take_unended();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&process));
        Ok(Some(Starting { process, ready }))
    }

    /// Waits until a process on its way up answers, and follows its reports from then on.
    pub(super) async fn await_ready(&self, starting: Starting, within: Duration) -> anyhow::Result<()> {
        let Starting { process, ready } = starting;
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
                Ok(status) if status.success() => Ok(()),
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
        tokio::spawn(async move {
            let status = process.ended().await;
            let t = now();
            if let Some(reports) = reports {
                // The stream ends with the process; what it carried is on its way to the same receiver.
                let _ = timeout(REPORTS_WITHIN, reports).await;
            }
            let expected = process.ended_as_intended(status);
            let log_tail = if expected { Vec::new() } else { process::tail(&log) };
            let exit = Exit { peer, t, expected, status: process::describe(status), log_tail };
            // Nobody listens any more when the run is over.
            let _ = outbox.send(Event::Exit(exit)).await;
        });
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

/// A stream on a Unix socket ends at once with its process; this only bounds a receiver that is full.
const REPORTS_WITHIN: Duration = Duration::from_secs(10);
