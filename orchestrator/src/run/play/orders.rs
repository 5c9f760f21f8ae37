//! Carrying the scenario's orders out: each becomes a future that ends in a [`Done`].

use std::collections::BTreeMap;

use anyhow::Context;
use peerbed_proto::{PeerId, Time};

use super::{Closed, Done, Play, now};
use crate::{
    measure::{Note, read_back},
    plan::{Distribute, MoveKind},
    progress::Progress,
    scenario::{self, Order},
    testbed,
};

impl<'a> Play<'a> {
    pub(super) fn carry_out(&mut self, order: Order, progress: &mut Progress) -> anyhow::Result<()> {
        let testbed = self.testbed;
        match order {
            Order::StepBegun { step } => {
                let action = scenario::word(&self.job.plan.steps[step].action);
                self.recorder.note(testbed::now(), &Note::StepBegun { step, action })?;
                progress.say(&format!("step {step}: {}", self.describe(step)));
                if scenario::is_turn(action) {
                    self.captures.note_fault();
                }
                if let Some(board) = progress.board() {
                    board.step_begun(step, &self.job.plan.steps[step].action);
                }
            }
            Order::StepEnded { step } => {
                let action = scenario::word(&self.job.plan.steps[step].action);
                self.recorder.note(testbed::now(), &Note::StepEnded { step, action })?;
                progress.update(&self.scenario.view(), now());
                if let Some(board) = progress.board() {
                    board.step_ended(step, &self.job.plan.steps[step].action);
                }
            }
            Order::Moved { step, peer, what } => self.note_move(step, peer, what, progress)?,
            Order::Start { peers } => {
                for peer in peers {
                    self.later(async move { Done::Ready(peer, testbed.start(&[peer]).await) });
                }
            }
            Order::Kill { peers } => self.later(async move { Done::TakenDown(testbed.crash(&peers).await) }),
            Order::Leave { peers } => self.later(async move { Done::TakenDown(testbed.leave(&peers).await) }),
            Order::Prepare { distribution, peers } => {
                let spec = self.spec(distribution);
                for peer in peers {
                    self.later(async move { Done::Prepared(distribution, peer, testbed.prepare(spec, &[peer]).await) });
                }
            }
            Order::Begin { distribution, peers, at } => self.begin(distribution, &peers, at)?,
            Order::LeaveOut { distribution, why } => {
                let spec = self.spec(distribution);
                progress.say(&format!("left out: {} by {}: {why}", spec.name, spec.program.as_deref().unwrap_or("?")));
                let note = Note::LeftOut { distribution: spec.id.clone(), why };
                self.recorder.note(testbed::now(), &note)?;
            }
            Order::EnterRing { ring, peer, start } => self.enter_ring(ring, peer, start),
            Order::Ask { peer, command } => self.ask(peer, command),
            Order::Change { step, change } => self.change(step, change)?,
            Order::Close { distribution, peers, completed } => self.close(distribution, peers, &completed),
        }
        Ok(())
    }

    /// Each move of a churn is a fault of its own, or somebody's return.
    fn note_move(&mut self, step: usize, peer: PeerId, what: MoveKind, progress: &Progress) -> anyhow::Result<()> {
        let (action, name) = (what.word(), self.name(peer));
        self.recorder.note(testbed::now(), &Note::Moved { step, action, peer: name })?;
        if scenario::is_turn(action) {
            self.captures.note_fault();
        }
        if let Some(board) = progress.board() {
            board.moved(step, action, name);
        }
        Ok(())
    }

    fn begin(&mut self, distribution: usize, peers: &[PeerId], at: Time) -> anyhow::Result<()> {
        let (spec, testbed, at_seconds) = (self.spec(distribution), self.testbed, at.as_secs_f64());
        // Programs do not report their begin.
        if self.scenario.distributions()[distribution].begun() == Some(at) && spec.program.is_none() {
            self.begins.extend(peers.iter().map(|peer| ((distribution, *peer), at_seconds)));
            let id = spec.id.clone();
            let note = Note::BeginFixed { distribution: id, at: at_seconds, peers: peers.len() };
            self.recorder.note(testbed::now(), &note)?;
        }
        for peer in peers.iter().copied() {
            self.later(async move { Done::Begun(peer, testbed.begin(&spec.id, &[peer], at_seconds).await) });
        }
        Ok(())
    }

    /// Takes last figures, ends the distribution everywhere, and reads every finished file back.
    fn close(&mut self, distribution: usize, peers: Vec<PeerId>, completed: &[PeerId]) {
        let (spec, testbed) = (self.spec(distribution), self.testbed);
        let plan = self.job.plan;
        let file = |peer: &PeerId| match plan.peer(*peer).and_then(|it| it.exec.as_ref()) {
            Some(program) => self.job.directory.output(self.name(*peer), program.output(&spec.file)),
            None => self.job.directory.payload(self.name(*peer), &spec.id).join(&spec.file),
        };
        let files: Vec<_> = completed.iter().map(|peer| (*peer, file(peer))).collect();
        self.later(async move {
            let closed = async {
                let statuses = testbed.statuses().await;
                testbed.end(&spec.id, &peers).await?;
                let content = testbed.contents().get(&spec.file).context("a distributed file has no original")?;
                let expected = content.sha256;
                let read = move || -> anyhow::Result<BTreeMap<PeerId, bool>> {
                    let mut found = BTreeMap::new();
                    for (peer, path) in files {
                        let is_original = read_back::has_sha256(&path, &expected)
                            .with_context(|| format!("cannot read {} back", path.display()))?;
                        found.insert(peer, is_original);
                    }
                    Ok(found)
                };
                let read_back = tokio::task::spawn_blocking(read).await.context("reading files back")??;
                Ok(Closed { read_back, statuses })
            };
            Done::Closed(distribution, closed.await)
        });
    }

    /// One line about a step.
    fn describe(&self, step: usize) -> String {
        let action = &self.job.plan.steps[step].action;
        scenario::describe(action, |peer| self.name(peer).to_owned())
    }

    /// The distribution with this index, as the plan has it.
    pub(super) fn spec(&self, distribution: usize) -> &'a Distribute {
        let step = self.scenario.distributions()[distribution].step();
        let spec = self.job.plan.steps[step].action.distribute();
        spec.expect("the scenario made its distributions from these very steps")
    }
}
