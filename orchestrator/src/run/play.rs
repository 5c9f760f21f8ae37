//! Plays the scenario on a testbed: carries its orders out and tells it what happens.
//!
//! The loop waits for whatever comes first. How orders are carried out lives in `orders`, what is taken in from peers in
//! `reports`; what an order means to a peer is the testbed's business, and when it is given the scenario's.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, anyhow};
use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use peerbed_peer::status::Status;
use peerbed_proto::{Manifest, PeerId, Time};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{Early, Job, Stop, assemble};
use crate::{
    accounting::Word,
    evidence::capture::Captures,
    links::{
        kernel::pace::{Reading, Watch},
        tally::Tally,
        traces::Traces,
        user::Health,
    },
    measure::{Note, Recorder, copies::Copies, host::HostSampler},
    observe::{Sight, unix_now},
    progress::Progress,
    real::Towards,
    results::Results,
    scenario::{self, Scenario},
    testbed::{self, Event, Testbed},
    timings::Merged,
    verdict::LinkTrouble,
};

mod changes;
mod orders;
mod reports;
mod rings;
mod timings;

use changes::{Changed, Changing, Proved};

/// Plays the whole scenario and fills `results` with what came of it, also when it ends early.
pub(super) async fn play(
    job: &Job<'_>,
    testbed: &Testbed,
    events: mpsc::Receiver<Event>,
    stop: &Stop,
    progress: &mut Progress,
    results: &mut Results,
    captures: &Captures,
) -> Result<(), Early> {
    let mut play = Play::new(job, testbed, events, captures)?;
    play.before.clone_from(results);
    let ended = play.until_the_end(stop, progress).await;
    if !matches!(ended, Err(Early::Stopped)) {
        play.ask_for_timings(stop, progress).await;
    }
    play.show(progress);
    let reason = match &ended {
        Ok(()) => None,
        Err(Early::Stopped) => Some("stopped".to_owned()),
        Err(Early::Failed(error)) => Some(format!("{error:#}")),
    };
    if let Some(reason) = reason {
        // The first error is the one that counts; a disk that takes no note is reported by nothing better.
        let _ = play.recorder.note(testbed::now(), &Note::Stopped { reason });
    }
    let flushed = play.recorder.flush().and_then(|()| play.write_timings());
    assemble::fill(results, job.plan, &play.observed(assemble::Stage::Ended));
    ended?;
    flushed?;
    assemble::judge(results, job.plan, &play.scenario, job.directory)?;
    Ok(())
}

struct Play<'a> {
    job: &'a Job<'a>,
    /// The results before the scenario began.
    before: Results,
    captures: &'a Captures,
    testbed: &'a Testbed,
    events: mpsc::Receiver<Event>,
    names: BTreeMap<PeerId, &'a str>,
    scenario: Scenario,
    recorder: Recorder,
    host: HostSampler,
    pending: FuturesUnordered<LocalBoxFuture<'a, Done>>,
    changing: Changing,
    /// Participants of each common begin and its instant, until they have reported it.
    begins: BTreeMap<(usize, PeerId), f64>,
    begin_lateness: f64,
    /// Bytes received in vain, by distribution.
    wasted: BTreeMap<usize, u64>,
    /// What each participant said last of a distribution that was under way, by its index.
    said: BTreeMap<usize, BTreeMap<PeerId, Word>>,
    /// Neighbours dropped for what they did, by distribution and reason.
    dropped: BTreeMap<usize, BTreeMap<String, u64>>,
    /// How far the content of each distribution has spread.
    copies: BTreeMap<usize, Copies>,
    /// What peers had measured when the scenario had ended.
    timings: Merged,
    /// Most resident bytes that each peer said.
    memory: BTreeMap<PeerId, u64>,
    /// Datagrams that each peer's socket had dropped when it was last asked.
    receive_dropped: BTreeMap<PeerId, u64>,
    /// How the user engine did when it was last asked.
    engine: Health,
    /// What the kernel's disciplines had done when they were last looked at.
    paces: Watch<(PeerId, Towards)>,
    /// What each direction of the links had done when it was last asked.
    tallies: BTreeMap<(PeerId, Towards), Tally>,
    /// Bytes of the distributed files, by name.
    bytes: BTreeMap<String, u64>,
    /// What was seen of links and sockets in the current window.
    trouble: LinkTrouble,
    ticks: u64,
    is_sampling: bool,
    /// Whether something was being measured when the host's current window began.
    was_measuring: bool,
}

/// An order that has been carried out, or could not be.
enum Done {
    Ready(PeerId, anyhow::Result<()>),
    /// The end of a process itself arrives as an event.
    TakenDown(anyhow::Result<()>),
    Prepared(usize, PeerId, anyhow::Result<()>),
    Begun(PeerId, anyhow::Result<()>),
    Closed(usize, anyhow::Result<Closed>),
    /// A peer was asked to enter its ring.
    Entered(PeerId, anyhow::Result<()>),
    /// A ring was asked something; the answer is an event.
    Asked(u64, anyhow::Result<()>),
    Changed(Changed),
    Proved(Proved),
    /// Links are where their traces were.
    Followed(anyhow::Result<()>),
    Sampled(BTreeMap<PeerId, Status>),
    /// What the kernel's disciplines have done, where they shape the links.
    Paced(anyhow::Result<Vec<((PeerId, Towards), Reading)>>),
    /// What links have carried, where the user engine shapes them.
    Told(anyhow::Result<Vec<(PeerId, [Tally; 2])>>),
    /// How the user engine does, where there is one.
    Examined(anyhow::Result<Option<Health>>),
}

struct Closed {
    read_back: BTreeMap<PeerId, bool>,
    statuses: BTreeMap<PeerId, Status>,
}

impl<'a> Play<'a> {
    fn new(
        job: &'a Job<'a>,
        testbed: &'a Testbed,
        events: mpsc::Receiver<Event>,
        captures: &'a Captures,
    ) -> anyhow::Result<Self> {
        let mut pieces = BTreeMap::new();
        for (name, content) in testbed.contents() {
            let text = std::fs::read(&content.manifest)
                .with_context(|| format!("cannot read {}", content.manifest.display()))?;
            let manifest: Manifest = serde_json::from_slice(&text)
                .with_context(|| format!("{} is not a manifest", content.manifest.display()))?;
            pieces.insert(name.clone(), manifest.pieces());
        }
        let mut scenario = Scenario::new(job.plan, &pieces);
        scenario.leave_out(testbed.unavailable());
        Ok(Self {
            job,
            before: Results::begun(job.plan, job.provenance.clone()),
            captures,
            testbed,
            events,
            names: job.plan.peers.iter().map(|p| (p.id, p.name.as_str())).collect(),
            scenario,
            recorder: Recorder::create(job.directory)?,
            host: HostSampler::start(testbed::now()),
            pending: FuturesUnordered::new(),
            changing: Changing::new(Traces::of(job.plan)),
            begins: BTreeMap::new(),
            begin_lateness: 0.0,
            wasted: BTreeMap::new(),
            said: BTreeMap::new(),
            copies: BTreeMap::new(),
            dropped: BTreeMap::new(),
            timings: Merged::default(),
            memory: BTreeMap::new(),
            receive_dropped: BTreeMap::new(),
            engine: Health::default(),
            paces: Watch::default(),
            tallies: BTreeMap::new(),
            bytes: testbed.contents().iter().map(|(name, content)| (name.clone(), content.bytes)).collect(),
            trouble: LinkTrouble::default(),
            ticks: 0,
            is_sampling: false,
            was_measuring: false,
        })
    }

    async fn until_the_end(&mut self, stop: &Stop, progress: &mut Progress) -> Result<(), Early> {
        self.found_rings(stop, progress).await?;
        let begun = now();
        self.scenario.begin(begun);
        let peers = self.job.plan.peers.iter().filter(|p| p.present).count();
        self.recorder.note(begun.as_secs_f64(), &Note::ScenarioBegun { peers, unix: unix_now() })?;
        let first = tokio::time::Instant::now() + SAMPLE_INTERVAL;
        let mut ticker = tokio::time::interval_at(first, SAMPLE_INTERVAL);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.follow()?;
            for order in self.scenario.due(now()) {
                self.carry_out(order, progress)?;
            }
            if self.scenario.is_measuring() != self.was_measuring {
                self.end_window()?;
            }
            match self.scenario.status() {
                scenario::Status::Playing => {}
                scenario::Status::Finished if self.changing.is_settled() => return Ok(()),
                // What has not been proved may still fail the run.
                scenario::Status::Finished => {}
                scenario::Status::Failed(why) => return Err(anyhow!(why).into()),
            }
            let next = self.scenario.next_deadline().map_or(LONG, |(at, _)| at - now());
            let next = next.min(self.until_next_move().unwrap_or(LONG));
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

    /// Once a second: the host always, the peers as often as their number allows.
    fn sample(&mut self, progress: &mut Progress) -> anyhow::Result<()> {
        self.end_window()?;
        self.show(progress);
        let every = (self.names.len() as u64).div_ceil(STATUSES_PER_SECOND).max(1);
        if self.ticks.is_multiple_of(every) && !self.is_sampling {
            self.is_sampling = true;
            let testbed = self.testbed;
            self.later(async move { Done::Sampled(testbed.statuses().await) });
        }
        let testbed = self.testbed;
        self.later(async move { Done::Examined(testbed.engine_health().await) });
        self.later(async move { Done::Paced(testbed.paces().await) });
        if progress.board().is_some() {
            self.later(async move { Done::Told(testbed.tallies().await) });
        }
        self.ticks += 1;
        progress.update(&self.scenario.view(), now());
        Ok(())
    }

    /// Everything that results are made from.
    fn observed(&self, stage: assemble::Stage) -> assemble::Observed<'_> {
        assemble::Observed {
            stage,
            scenario: &self.scenario,
            windows: self.recorder.windows(),
            begin_lateness: self.begin_lateness,
            wasted: &self.wasted,
            said: &self.said,
            copies: &self.copies,
            dropped: &self.dropped,
            contents: self.testbed.contents(),
            changes: &self.changing.changes,
            memory: &self.memory,
            traces: self.changing.traces.followed(),
            timings: &self.timings.found,
        }
    }

    /// Lets watchers look, if there are any.
    fn show(&self, progress: &Progress) {
        let Some(board) = progress.board() else { return };
        board.look(&Sight {
            plan: self.job.plan,
            scenario: &self.scenario,
            windows: self.recorder.windows(),
            begin_lateness: self.begin_lateness,
            tallies: &self.tallies,
            bytes: &self.bytes,
            up: self.names.keys().filter(|peer| self.testbed.is_up(**peer)).count(),
        });
        if board.is_looked_at() {
            let mut results = self.before.clone();
            assemble::fill(&mut results, self.job.plan, &self.observed(assemble::Stage::Playing));
            board.results(results);
        }
    }

    /// Writes down what the host did in the window that ends now, and begins the next one.
    fn end_window(&mut self) -> anyhow::Result<()> {
        let links = std::mem::take(&mut self.trouble);
        let window = self.host.window(testbed::now(), self.was_measuring, links);
        self.was_measuring = self.scenario.is_measuring();
        self.recorder.window(window)
    }

    fn later(&mut self, what: impl Future<Output = Done> + 'a) {
        self.pending.push(what.boxed_local());
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
