//! Peers whose processes are stopped and go on again, and what they are told in between.
//!
//! Signals and their proof are here; when somebody is paused is decided by the scenario.

use std::{fs, time::Duration};

use anyhow::{Context, anyhow, bail};
use futures_util::future::join_all;
use peerbed_peer::commands::{Command, End};
use peerbed_proto::id::PeerId;
use rustix::process::Signal;
use tokio::time::Instant;

use super::{Real, first_error, peer::Peer, process::Process};

impl Real {
    pub(crate) async fn pause(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        first_error(join_all(self.chosen(peers)?.into_iter().map(Peer::pause)).await)
    }

    pub(crate) async fn resume(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        first_error(join_all(self.chosen(peers)?.into_iter().map(Peer::resume)).await)
    }
}

impl Peer {
    /// Stops the process and all of its group; returns when it stands still.
    async fn pause(&self) -> anyhow::Result<()> {
        let process = self.process().filter(|process| process.is_up());
        let process = process.with_context(|| format!("{} is not up and cannot be paused", self.name))?;
        // Nobody shall wait for its answer from now on.
        self.paused.send_replace(true);
        process.signal_group(Signal::STOP).with_context(|| format!("pausing {}", self.name))?;
        self.await_state(&process, State::Stopped).await
    }

    /// Lets the process go on; returns when it answers and has been told what it missed, or
    /// runs, where it is a program of somebody else's.
    async fn resume(&self) -> anyhow::Result<()> {
        let process = self.process().filter(|process| process.is_up());
        let process = process.with_context(|| format!("{} is not up and cannot be resumed", self.name))?;
        self.go_on(&process)?;
        self.await_state(&process, State::Running).await?;
        if self.is_program() {
            return Ok(());
        }
        self.control.status().await.with_context(|| format!("{} does not answer after its pause", self.name))?;
        for id in self.take_unended() {
            let end = Command::End(End { id: id.clone() });
            self.control.command(&end).await.with_context(|| format!("ending {id} at {}", self.name))?;
        }
        Ok(())
    }

    /// Lets a stopped process go on; one that is not stopped does not notice.
    pub(super) fn go_on(&self, process: &Process) -> anyhow::Result<()> {
        process.signal_group(Signal::CONT).with_context(|| format!("resuming {}", self.name))?;
        self.paused.send_replace(false);
        Ok(())
    }

    async fn await_state(&self, process: &Process, wanted: State) -> anyhow::Result<()> {
        let deadline = Instant::now() + STATE_WITHIN;
        loop {
            if process.has_ended() {
                bail!("{} has ended while it was to be {}", self.name, wanted.word());
            }
            if State::of(process)? == wanted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(anyhow!("{} was to be {}, and is not after {STATE_WITHIN:?}", self.name, wanted.word()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopped,
    Running,
}

impl State {
    /// Reads a process's state, which is behind its name in parentheses: `T` where it is stopped.
    fn of(process: &Process) -> anyhow::Result<Self> {
        let path = format!("/proc/{}/stat", process.number());
        let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let state = text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        Ok(if state == Some('T') { Self::Stopped } else { Self::Running })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Stopped => "paused",
            Self::Running => "resumed",
        }
    }
}

/// A stopped process stops when it is scheduled for the next time; on a busy host that takes a while.
const STATE_WITHIN: Duration = Duration::from_secs(5);
/// How often the kernel is asked.
const LOOK: Duration = Duration::from_millis(1);
