//! Plays the scenario on a testbed: carries its orders out and tells it what happens.
//!
//! Every order becomes a future; the loop waits for whatever comes first. What an order means to a peer is the
//! testbed's business, when it is given the scenario's.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, anyhow};
use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use peerbed_peer::{
    events::{Event as PeerEvent, EventKind},
    status::Status,
};
use peerbed_proto::{content::Manifest, id::PeerId, time::Time};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{Early, Job, Stop, assemble};
use crate::{
    measure::{Note, Recorder, host::HostSampler, read_back},
    plan::Distribute,
    progress::Progress,
    results::Results,
    scenario::{self, Order, Scenario},
    testbed::{self, Event, Testbed},
};

/// Plays the whole scenario and fills `results` with what came of it, also when it ends early.
pub(super) async fn play(
    job: &Job<'_>,
    testbed: &Testbed,
    events: mpsc::Receiver<Event>,
    stop: &Stop,
    progress: &mut Progress,
    results: &mut Results,
) -> Result<(), Early> {
    let mut play = Play::new(job, testbed, events)?;
    let ended = play.until_the_end(stop, progress).await;
    let reason = match &ended {
        Ok(()) => None,
        Err(Early::Stopped) => Some("stopped".to_owned()),
        Err(Early::Failed(error)) => Some(format!("{error:#}")),
    };
    if let Some(reason) = reason {
        // The first error is the one that counts; a disk that takes no note is reported by nothing better.
        let _ = play.recorder.note(testbed::now(), &Note::Stopped { reason });
    }
    let flushed = play.recorder.flush();
    let observed = assemble::Observed {
        scenario: &play.scenario,
        windows: play.recorder.windows(),
        begin_lateness: play.begin_lateness,
        wasted: &play.wasted,
        contents: testbed.contents(),
    };
    assemble::fill(results, job.plan, &observed);
    ended?;
    flushed?;
    assemble::judge(results, job.plan, &play.scenario)?;
    Ok(())
}

struct Play<'a> {
    job: &'a Job<'a>,
    testbed: &'a Testbed,
    events: mpsc::Receiver<Event>,
    names: BTreeMap<PeerId, &'a str>,
    scenario: Scenario,
    recorder: Recorder,
    host: HostSampler,
    pending: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    /// Participants of each common begin and its instant, until they have reported it.
    begins: BTreeMap<(usize, PeerId), f64>,
    begin_lateness: f64,
    /// Bytes received in vain, by distribution.
    wasted: BTreeMap<usize, u64>,
    ticks: u64,
    is_sampling: bool,
}

/// An order that has been carried out, or could not be.
enum Done {
    Ready(PeerId, anyhow::Result<()>),
    /// The end of a process itself arrives as an event.
    TakenDown(anyhow::Result<()>),
    Prepared(usize, PeerId, anyhow::Result<()>),
    Begun(PeerId, anyhow::Result<()>),
    Closed(usize, anyhow::Result<Closed>),
    Sampled(BTreeMap<PeerId, Status>),
}

struct Closed {
    read_back: BTreeMap<PeerId, bool>,
    statuses: BTreeMap<PeerId, Status>,
}

impl<'a> Play<'a> {
    fn new(job: &'a Job<'a>, testbed: &'a Testbed, events: mpsc::Receiver<Event>) -> anyhow::Result<Self> {
        let mut pieces = BTreeMap::new();
        for (name, content) in testbed.contents() {
            let text = std::fs::read(&content.manifest)
                .with_context(|| format!("cannot read {}", content.manifest.display()))?;
            let manifest: Manifest = serde_json::from_slice(&text)
                .with_context(|| format!("{} is not a manifest", content.manifest.display()))?;
            pieces.insert(name.clone(), manifest.pieces());
        }
        Ok(Self {
            job,
            testbed,
            events,
            names: job.plan.peers.iter().map(|p| (p.id, p.name.as_str())).collect(),
            scenario: Scenario::new(job.plan, &pieces),
            recorder: Recorder::create(job.directory)?,
            host: HostSampler::start(testbed::now()),
            pending: FuturesUnordered::new(),
            begins: BTreeMap::new(),
            begin_lateness: 0.0,
            wasted: BTreeMap::new(),
            ticks: 0,
            is_sampling: false,
        })
    }

    async fn until_the_end(&mut self, stop: &Stop, progress: &mut Progress) -> Result<(), Early> {
        let begun = now();
        self.scenario.begin(begun);
        let peers = self.job.plan.peers.iter().filter(|p| p.present).count();
        self.recorder.note(begun.as_secs_f64(), &Note::ScenarioBegun { peers })?;
        let mut ticker = tokio::time::interval(SAMPLE_INTERVAL);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            for order in self.scenario.due(now()) {
                self.carry_out(order, progress)?;
            }
            match self.scenario.status() {
                scenario::Status::Playing => {}
                scenario::Status::Finished => return Ok(()),
                scenario::Status::Failed(why) => return Err(anyhow!(why).into()),
            }
            let next = self.scenario.next_deadline().map_or(LONG, |(at, _)| at - now());
            tokio::select! {
                () = stop.wished() => return Err(Early::Stopped),
                event = self.events.recv() => match event {
                    Some(event) => self.handle_event(event)?,
                    None => return Err(anyhow!("the testbed reports no more").into()),
                },
                Some(done) = self.pending.next(), if !self.pending.is_empty() => self.handle_done(done).await?,
                _ = ticker.tick() => self.sample(progress)?,
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    fn carry_out(&mut self, order: Order, progress: &mut Progress) -> anyhow::Result<()> {
        let testbed = self.testbed;
        match order {
            Order::StepBegun { step } => {
                let action = scenario::word(&self.job.plan.steps[step].action);
                self.recorder.note(testbed::now(), &Note::StepBegun { step, action })?;
                progress.say(&format!("step {step}: {}", self.describe(step)));
            }
            Order::StepEnded { step } => {
                let action = scenario::word(&self.job.plan.steps[step].action);
                self.recorder.note(testbed::now(), &Note::StepEnded { step, action })?;
                progress.update(&self.scenario.view(), now());
            }
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
            Order::Close { distribution, peers, completed } => self.close(distribution, peers, &completed),
        }
        Ok(())
    }

    fn begin(&mut self, distribution: usize, peers: &[PeerId], at: Time) -> anyhow::Result<()> {
        let (spec, testbed, at_seconds) = (self.spec(distribution), self.testbed, at.as_secs_f64());
        if self.scenario.distributions()[distribution].begun() == Some(at) {
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
        let file = |peer: &PeerId| self.job.directory.payload(self.name(*peer), &spec.id).join(&spec.file);
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

    async fn handle_done(&mut self, done: Done) -> anyhow::Result<()> {
        match done {
            Done::Ready(peer, Ok(())) => self.scenario.handle_ready(peer),
            Done::Prepared(distribution, peer, Ok(())) => {
                self.scenario.handle_prepared(now(), distribution, peer);
            }
            Done::Begun(_, Ok(())) => {}
            Done::Ready(peer, Err(error)) | Done::Prepared(_, peer, Err(error)) | Done::Begun(peer, Err(error)) => {
                // A peer that the scenario took away meanwhile does not answer, and need not.
                if self.scenario.is_wanted(peer) {
                    return Err(self.explain(peer, error).await);
                }
            }
            Done::TakenDown(result) => result?,
            Done::Closed(distribution, closed) => self.handle_closed(distribution, closed?)?,
            Done::Sampled(statuses) => {
                self.is_sampling = false;
                self.handle_statuses(&statuses)?;
            }
        }
        Ok(())
    }

    fn handle_closed(&mut self, distribution: usize, closed: Closed) -> anyhow::Result<()> {
        self.handle_statuses(&closed.statuses)?;
        let id = self.spec(distribution).id.clone();
        let wasted = closed.statuses.values().filter_map(|s| s.distributions.get(&id)).map(|d| d.bytes_wasted).sum();
        self.wasted.insert(distribution, wasted);
        for (peer, verified) in &closed.read_back {
            let note =
                Note::ReadBack { distribution: id.clone(), peer: self.name(*peer).to_owned(), verified: *verified };
            self.recorder.note(testbed::now(), &note)?;
        }
        let verified: BTreeSet<PeerId> =
            closed.read_back.into_iter().filter(|(_, verified)| *verified).map(|(peer, _)| peer).collect();
        self.scenario.handle_closed(distribution, &verified);
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Peer { peer, event } => self.handle_peer_event(peer, &event),
            Event::Exit(exit) => {
                let name = self.name(exit.peer).to_owned();
                let (status, expected) = (exit.status.clone(), exit.expected);
                self.recorder.note(exit.t, &Note::Exited { peer: name, status, expected })?;
                if !exit.expected {
                    return Err(self.unexpected(&exit));
                }
                self.scenario.handle_exited(exit.peer);
                Ok(())
            }
        }
    }

    fn handle_peer_event(&mut self, peer: PeerId, event: &PeerEvent) -> anyhow::Result<()> {
        self.recorder.peer_event(self.name(peer), event)?;
        match &event.kind {
            EventKind::Begun { distribution } => {
                if let Some(index) = self.scenario.distribution(distribution)
                    && let Some(at) = self.begins.remove(&(index, peer))
                {
                    self.begin_lateness = self.begin_lateness.max(event.t - at);
                }
            }
            EventKind::Prepared { distribution, have, .. } | EventKind::Piece { distribution, have, .. } => {
                if let Some(index) = self.scenario.distribution(distribution) {
                    self.scenario.handle_piece(index, peer, *have);
                }
            }
            EventKind::Completed { distribution, .. } => {
                if let Some(index) = self.scenario.distribution(distribution) {
                    self.scenario.handle_completed(instant(event.t), index, peer);
                }
            }
            EventKind::Error { distribution, error, fatal } if distribution.is_some() || *fatal => {
                let name = self.name(peer);
                return Err(match distribution {
                    Some(id) => anyhow!("{name} could not go on with {id}: {error}"),
                    None => anyhow!("{name} could not go on: {error}"),
                });
            }
            EventKind::Ready { .. }
            | EventKind::Ended { .. }
            | EventKind::PeerRefused { .. }
            | EventKind::PeerDropped { .. }
            | EventKind::Missed { .. }
            | EventKind::Left
            | EventKind::Error { .. } => {}
        }
        Ok(())
    }

    /// Once a second: the host always, the peers as often as their number allows.
    fn sample(&mut self, progress: &mut Progress) -> anyhow::Result<()> {
        let window = self.host.window(testbed::now(), self.scenario.is_measuring());
        // The first tick comes at once: it opens the first window.
        if self.ticks > 0 {
            self.recorder.window(window)?;
        }
        let every = (self.names.len() as u64).div_ceil(STATUSES_PER_SECOND).max(1);
        if self.ticks.is_multiple_of(every) && !self.is_sampling {
            self.is_sampling = true;
            let testbed = self.testbed;
            self.later(async move { Done::Sampled(testbed.statuses().await) });
        }
        self.ticks += 1;
        progress.update(&self.scenario.view(), now());
        Ok(())
    }

    /// Also catches completions whose events a full log has discarded.
    fn handle_statuses(&mut self, statuses: &BTreeMap<PeerId, Status>) -> anyhow::Result<()> {
        for (peer, status) in statuses {
            self.recorder.status(status)?;
            for (id, state) in &status.distributions {
                if let (Some(index), Some(at)) = (self.scenario.distribution(id), state.completed_at) {
                    self.scenario.handle_completed(instant(at), index, *peer);
                }
            }
        }
        Ok(())
    }

    /// A peer that does not obey has often just died; its end says more than a broken connection.
    async fn explain(&mut self, peer: PeerId, error: anyhow::Error) -> anyhow::Error {
        let death = async {
            while let Some(event) = self.events.recv().await {
                if let Event::Exit(exit) = event
                    && exit.peer == peer
                    && !exit.expected
                {
                    return Some(exit);
                }
            }
            None
        };
        match tokio::time::timeout(DEATH_MAX, death).await {
            Ok(Some(exit)) => self.unexpected(&exit),
            Ok(None) | Err(_) => error.context(format!("{} did not obey", self.name(peer))),
        }
    }

    fn unexpected(&self, exit: &testbed::Exit) -> anyhow::Error {
        let name = self.name(exit.peer);
        let mut text = format!("{name} ended unexpectedly ({})", exit.status);
        if exit.log_tail.is_empty() {
            text.push_str("; its log is empty");
        } else {
            text.push_str("; the last lines of its log:");
            for line in &exit.log_tail {
                text.push_str("\n    ");
                text.push_str(line);
            }
        }
        anyhow!(text)
    }

    /// One line about a step.
    fn describe(&self, step: usize) -> String {
        let action = &self.job.plan.steps[step].action;
        scenario::describe(action, |peer| self.name(peer).to_owned())
    }

    fn later(&mut self, what: impl Future<Output = Done> + 'a) {
        self.pending.push(what.boxed_local());
    }

    /// The distribution with this index, as the plan has it.
    fn spec(&self, distribution: usize) -> &'a Distribute {
        let step = self.scenario.distributions()[distribution].step();
        match &self.job.plan.steps[step].action {
            crate::plan::Action::Distribute(spec) => spec,
            _ => unreachable!("the scenario made its distributions from these very steps"),
        }
    }

    fn name(&self, peer: PeerId) -> &'a str {
        self.names.get(&peer).copied().unwrap_or("?")
    }
}

fn now() -> Time {
    instant(testbed::now())
}

fn instant(seconds: f64) -> Time {
    Time::ZERO + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}

/// Time between two looks at the host, and between two looks at up to [`STATUSES_PER_SECOND`] peers.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Asking a peer costs about 0.2 ms of processor time on both sides together: at most 2 % of one core.
const STATUSES_PER_SECOND: u64 = 100;
/// How long the end of a process may take to be noticed after its socket broke.
const DEATH_MAX: Duration = Duration::from_millis(500);
/// Longer than anything a scenario waits for without a deadline of its own.
const LONG: Duration = Duration::from_secs(3600);
