//! Changes of the network and of processes: made, noted, proved; and traces, followed as time goes on.
//!
//! A change's proof goes on while the scenario does. The next change of the network waits for it, because datagrams that
//! are still on their way would prove something else then. What proves what is known to `prove`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use peerbed_proto::PeerId;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Done, Play, now};
use crate::{
    links::traces::Traces,
    measure::Note,
    prove::{self, Made, Proof},
    results,
    scenario::{self, Change},
    testbed,
};

/// What is known of changes and traces while a run goes on.
pub(super) struct Changing {
    /// Whoever changes the network, until it is proved.
    turn: Arc<Mutex<()>>,
    /// In order of the asking.
    pub(super) changes: Vec<results::Change>,
    /// Changes that have not been proved yet.
    unproved: usize,
    pub(super) traces: Traces,
    is_following: bool,
    /// Peers that were paused: what their sockets dropped meanwhile was asked for and says nothing about the host.
    excused: BTreeSet<PeerId>,
}

/// A change that has been made, or could not be.
pub(super) struct Changed {
    /// Its place among the changes of the run.
    index: usize,
    /// When it had been made.
    at: f64,
    made: anyhow::Result<Made>,
    /// Nobody else changes the network as long as this is held; none for processes.
    turn: Option<OwnedMutexGuard<()>>,
}

/// A change that has been proved, or not.
pub(super) struct Proved {
    index: usize,
    proof: anyhow::Result<Proof>,
}

impl Changing {
    pub(super) fn new(traces: Traces) -> Self {
        Self {
            turn: Arc::default(),
            changes: Vec::new(),
            unproved: 0,
            traces,
            is_following: false,
            excused: BTreeSet::new(),
        }
    }

    /// Whether what this peer's socket has dropped lately is no trouble; true once for each pause and each resumption.
    pub(super) fn excuses(&mut self, peer: PeerId) -> bool {
        self.excused.remove(&peer)
    }

    /// Whether the scenario may end: nothing is left to be proved.
    pub(super) fn is_settled(&self) -> bool {
        self.unproved == 0
    }
}

impl Play<'_> {
    /// Has a change made as soon as those before it have been proved.
    pub(super) fn change(&mut self, step: usize, change: Change) -> anyhow::Result<()> {
        let asked = testbed::now();
        let action = scenario::word(&self.job.plan.steps[step].action);
        let (peers, partitions) = self.about(&change);
        self.recorder.note(asked, &Note::ChangeAsked { step, action, peers: &peers, partitions: &partitions })?;
        if let Change::Pause(paused) = &change {
            self.changing.excused.extend(paused);
        }
        let index = self.changing.changes.len();
        self.changing.unproved += 1;
        self.changing.changes.push(results::Change {
            step,
            action: action.to_owned(),
            peers,
            partitions,
            asked_at: self.since_start(asked),
            applied_seconds: None,
            proved_seconds: None,
            proof: None,
        });
        let (testbed, turn) = (self.testbed, Arc::clone(&self.changing.turn));
        let is_of_network = !matches!(change, Change::Pause(_) | Change::Resume(_));
        self.later(async move {
            let turn = if is_of_network { Some(turn.lock_owned().await) } else { None };
            let made = prove::make(testbed, change).await;
            Done::Changed(Changed { index, at: testbed::now(), made, turn })
        });
        Ok(())
    }

    pub(super) fn handle_changed(&mut self, changed: Changed) -> anyhow::Result<()> {
        let Changed { index, at, made, turn } = changed;
        let step = self.changing.changes[index].step;
        let made = made.map_err(|error| self.blame(step, error))?;
        self.changing.excused.extend(made.resumed());
        let seconds = self.since_start(at) - self.changing.changes[index].asked_at;
        self.changing.changes[index].applied_seconds = Some(seconds);
        self.recorder.note(at, &Note::ChangeApplied { step, seconds })?;
        self.scenario.handle_changed(step);
        let (testbed, plan) = (self.testbed, self.job.plan);
        self.later(async move {
            let proof = made.prove(testbed, plan).await;
            drop(turn);
            Done::Proved(Proved { index, proof })
        });
        Ok(())
    }

    pub(super) fn handle_proved(&mut self, proved: Proved) -> anyhow::Result<()> {
        let Proved { index, proof } = proved;
        let step = self.changing.changes[index].step;
        let proof = proof.map_err(|error| self.blame(step, error))?;
        let at = testbed::now();
        let seconds = self.since_start(at) - self.changing.changes[index].asked_at;
        self.recorder.note(at, &Note::ChangeProved { step, seconds, proof: &proof })?;
        self.changing.unproved -= 1;
        let change = &mut self.changing.changes[index];
        (change.proved_seconds, change.proof) = (Some(seconds), Some(proof));
        Ok(())
    }

    /// Takes links to where their traces are by now, one move after the other.
    pub(super) fn follow(&mut self) -> anyhow::Result<()> {
        if self.changing.is_following {
            return Ok(());
        }
        let elapsed = now() - self.scenario.started();
        let moves = self.changing.traces.due(elapsed);
        if moves.is_empty() {
            return Ok(());
        }
        for it in &moves {
            let (rate, delay, loss) = it.point.map_or((None, None, None), |point| {
                (
                    Some(point.rate.0),
                    point.delay.map(|delay| delay.0.as_secs_f64()),
                    point.loss.map(|loss| f64::from(loss.0) / 1e9),
                )
            });
            let note = Note::Traced {
                class: &it.class,
                direction: it.towards.word(),
                elapsed: elapsed.as_secs_f64(),
                rate_bps: rate,
                delay_s: delay,
                loss,
            };
            self.recorder.note(testbed::now(), &note)?;
        }
        self.changing.is_following = true;
        let testbed = self.testbed;
        self.later(async move { Done::Followed(testbed.follow(moves).await) });
        Ok(())
    }

    pub(super) fn handle_followed(&mut self, followed: anyhow::Result<()>) -> anyhow::Result<()> {
        self.changing.is_following = false;
        followed.map_err(|error| error.context("following a link's trace"))
    }

    /// Time until a trace moves on; none while one is doing so, and when all have come to their end.
    pub(super) fn until_next_move(&self) -> Option<Duration> {
        let next = self.changing.traces.next().filter(|_| !self.changing.is_following)?;
        Some(next.saturating_sub(now() - self.scenario.started()))
    }

    /// The peers that a change is about, and the partitions.
    fn about(&self, change: &Change) -> (Vec<String>, Vec<String>) {
        let names = |peers: &mut dyn Iterator<Item = &PeerId>| peers.map(|peer| self.name(*peer).to_owned()).collect();
        match change {
            Change::Links(changes) => (names(&mut changes.iter().flat_map(|change| &change.peers)), Vec::new()),
            Change::Cut(partition) => (names(&mut partition.sides.iter().flatten()), vec![partition.name.clone()]),
            Change::Heal { ended, .. } => {
                let peers = names(&mut ended.iter().flat_map(|partition| partition.sides.iter().flatten()));
                (peers, ended.iter().map(|partition| partition.name.clone()).collect())
            }
            Change::Pause(peers) | Change::Resume(peers) => (names(&mut peers.iter()), Vec::new()),
        }
    }

    fn blame(&self, step: usize, error: anyhow::Error) -> anyhow::Error {
        let word = scenario::word(&self.job.plan.steps[step].action);
        error.context(format!("step {step} ({word})"))
    }

    fn since_start(&self, at: f64) -> f64 {
        at - self.scenario.started().as_secs_f64()
    }
}
