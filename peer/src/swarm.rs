//! Drives the swarm core: waits for one thing to happen, feeds the core, performs what it asks for.
//!
//! No protocol decision is taken here. What comes off and goes onto a neighbour's connection is in `reading` and
//! `writing`, the table of neighbours in `neighbour`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use peerbed_proto::swarm::{Message, Options, Reason, Swarm};
use peerbed_proto::tracker::{AnnounceReply, Announcer, AnnouncerOptions};
use peerbed_proto::{Manifest, PeerId, PieceSet};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::clock;
use crate::commands::{Endpoint, Prepare};
use crate::distribution::{Counts, Order, Snapshot, Surroundings, Waited, wait_for_begin};
use crate::events::EventKind;
use crate::routes::Opening;
use crate::status::{DistributionState, DistributionStatus};
use crate::storage::Storage;
use crate::swarm::accounting::Account;
use crate::swarm::neighbour::{Arrival, Neighbourhood};
use crate::swarm::storing::Unwritten;
use crate::transport::PeerConnection;

mod accounting;
mod announcing;
mod discovery;
mod hashing;
mod neighbour;
mod performing;
mod reading;
mod storing;
mod tampering;
mod writing;

/// What can happen to a driver, other than orders and deadlines.
#[derive(Debug)]
pub(crate) enum Input {
    /// A neighbour connected, and said which content it means.
    Accepted { connection: PeerConnection, opening: Opening },
    /// A dial ended.
    Dialled { peer: PeerId, result: anyhow::Result<PeerConnection> },
    /// Something came from a neighbour's connection.
    Arrived {
        peer: PeerId,
        /// Which of the connections to that peer, so that what a closed one still delivers is ignored.
        serial: u64,
        arrival: Arrival,
    },
    /// The announce under way ended.
    Announced(anyhow::Result<AnnounceReply>),
}

/// One swarm's driver, prepared. Once begun, [`Run`] adds the cores.
#[derive(Debug)]
pub(crate) struct SwarmDriver {
    surroundings: Surroundings,
    distribution: String,
    role: &'static str,
    options: Options,
    tracker: Option<Endpoint>,
    manifest: Arc<Manifest>,
    storage: Arc<Storage>,
    have: PieceSet,
    inbox: mpsc::Receiver<Input>,
    inbox_sender: mpsc::Sender<Input>,
}

/// State and io side by side.
struct Run {
    driver: SwarmDriver,
    core: Swarm,
    announcer: Announcer,
    neighbourhood: Neighbourhood,
    /// Tasks that connect, by whom they dial.
    dials: BTreeMap<PeerId, tokio::task::AbortHandle>,
    /// Where peers listen, as the tracker said. At most [`ADDRESSES_MAX`].
    addresses: BTreeMap<PeerId, std::net::SocketAddr>,
    /// Where neighbours say that others listen; believed where the tracker says nothing. At most [`ADDRESSES_MAX`].
    hearsay: BTreeMap<PeerId, std::net::SocketAddr>,
    /// Empty whenever the driver waits.
    unwritten: Unwritten,
    account: Account,
    begun_at: f64,
    completed_at: Option<f64>,
    /// Whether the core, and the announcer, have left: because they were told to, or by the core's own rules.
    core_left: bool,
    announcer_left: bool,
    /// When a driver that was told to end stops waiting for both.
    ending: Option<Instant>,
}

impl SwarmDriver {
    /// Opens storage, verifies what a leecher has on disk, and takes connections about this content from now on; they
    /// wait until it begins.
    ///
    /// # Errors
    ///
    /// When storage is unusable, or another distribution has the same content.
    pub(crate) async fn prepare(
        surroundings: Surroundings,
        prepare: &Prepare,
        manifest: Arc<Manifest>,
        content: Option<&std::path::Path>,
        tracker: Option<Endpoint>,
    ) -> anyhow::Result<Self> {
        let (role, storage, have) = match content {
            Some(path) => {
                let storage = Storage::of_content(path, manifest.clone())?;
                let storage = match &prepare.leaves {
                    Some(leaves) => storage.with_layers(leaves)?,
                    None => storage,
                };
                ("seed", storage, PieceSet::full(manifest.pieces()))
            }
            None => {
                let directory = surroundings.directory.join(&prepare.id);
                let (storage, have) = Storage::of_copy(&directory, &prepare.file, manifest.clone()).await?;
                ("leecher", storage, have)
            }
        };
        let (inbox_sender, inbox) = mpsc::channel(INBOX_MAX);
        if !surroundings.routes.add_swarm(manifest.id(), inbox_sender.clone()) {
            anyhow::bail!("another distribution shares the same content in a swarm");
        }
        let distribution = prepare.id.clone();
        let prepared =
            EventKind::Prepared { distribution: distribution.clone(), have: have.count(), pieces: manifest.pieces() };
        surroundings.log.record(prepared);
        let (options, storage) = (prepare.options.clone(), Arc::new(storage));
        Ok(Self { surroundings, distribution, role, options, tracker, manifest, storage, have, inbox, inbox_sender })
    }

    /// Takes part until told to end.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails: the process cannot go on.
    pub(crate) async fn run(self, mut orders: mpsc::Receiver<Order>) -> anyhow::Result<Snapshot> {
        let content = self.manifest.id();
        let routes = self.surroundings.routes.clone();
        let (have, pieces) = (self.have.count(), self.manifest.pieces());
        let idle = || Snapshot::of_idle(self.role, DistributionState::Prepared, have, pieces);
        let ended = match wait_for_begin(&mut orders, idle).await {
            Waited::Begin => Run::new(self).run(orders).await,
            Waited::End => Ok(idle()),
        };
        routes.remove_swarm(content);
        ended
    }
}

impl Run {
    fn new(driver: SwarmDriver) -> Self {
        let surroundings = &driver.surroundings;
        surroundings.log.record(EventKind::Begun { distribution: driver.distribution.clone() });
        let now = clock::now();
        let me = PeerId(surroundings.transport.me());
        let manifest = driver.manifest.clone();
        let claims = driver.options.conduct.claims_everything();
        let have = if claims { PieceSet::full(manifest.pieces()) } else { driver.have.clone() };
        let core = Swarm::new(me, manifest.clone(), have.clone(), driver.options.clone(), surroundings.seed, now);
        let announcer =
            Announcer::new(manifest.id(), have.is_full(), AnnouncerOptions::default(), surroundings.own_seed(), now);
        let neighbourhood =
            Neighbourhood::new(driver.inbox_sender.clone(), driver.storage.clone(), manifest, driver.options.conduct);
        let transport = driver.surroundings.transport.clone();
        Self {
            driver,
            core,
            announcer,
            neighbourhood,
            dials: BTreeMap::new(),
            addresses: BTreeMap::new(),
            hearsay: BTreeMap::new(),
            unwritten: Unwritten::default(),
            account: Account::open(transport),
            begun_at: clock::seconds(),
            completed_at: None,
            core_left: false,
            announcer_left: false,
            ending: None,
        }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> anyhow::Result<Snapshot> {
        if self.driver.have.is_full() && self.driver.role == "leecher" {
            self.on_completed()?;
        }
        self.perform()?;
        let mut inputs = Vec::with_capacity(INPUTS_AT_ONCE);
        let mut sampling = interval(SAMPLE_INTERVAL);
        sampling.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let timer = sleep_until(Instant::now());
        tokio::pin!(timer);
        while !self.has_ended() {
            let deadline = self.deadline();
            if let Some(deadline) = deadline
                && timer.deadline() != deadline
            {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                order = orders.recv() => self.handle_order(order),
                _ = self.driver.inbox.recv_many(&mut inputs, INPUTS_AT_ONCE) => {
                    for input in inputs.drain(..) {
                        self.handle_input(input);
                        self.perform()?;
                    }
                }
                () = &mut timer, if deadline.is_some() => self.handle_timeout(),
                _ = sampling.tick() => self.sample_round_trips(),
            }
            self.perform()?;
            self.unwritten.write(&self.driver.storage)?;
            self.account.note(&self.core);
        }
        Ok(self.finish())
    }

    fn handle_order(&mut self, order: Option<Order>) {
        match order {
            Some(Order::Begin(_)) => {}
            Some(Order::Inspect(answer)) => {
                let _ = answer.send(self.snapshot());
            }
            Some(Order::End) | None => self.leave(),
        }
    }

    fn handle_input(&mut self, input: Input) {
        match input {
            Input::Accepted { connection, opening } => self.handle_accepted(connection, opening),
            Input::Dialled { peer, result } => self.handle_dialled(peer, result),
            Input::Arrived { peer, serial, arrival } => self.handle_arrival(peer, serial, arrival),
            Input::Announced(Ok(reply)) => self.announcer.handle_reply(clock::now(), reply),
            Input::Announced(Err(error)) => {
                tracing::info!(distribution = self.driver.distribution, "announce failed: {error:#}");
                self.announcer.handle_failure(clock::now());
            }
        }
    }

    fn handle_arrival(&mut self, peer: PeerId, serial: u64, arrival: Arrival) {
        if !self.neighbourhood.is_current(peer, serial) {
            return;
        }
        let now = clock::now();
        match arrival {
            Arrival::Message(message) => {
                if let Message::Peers { peers } = &message {
                    self.take_hearsay(peers);
                }
                self.core.handle_message(now, peer, message);
            }
            Arrival::Layer { piece, layer } => self.core.handle_layer(now, peer, piece, &layer),
            Arrival::Leaf { piece, leaf, data } => self.core.handle_leaf(now, peer, piece, leaf, data),
            Arrival::RunRefused(run) => self.core.handle_run_refused(now, peer, run),
            Arrival::RunSent { run, bytes } => {
                self.neighbourhood.on_served(peer, run);
                self.core.handle_run_sent(now, peer, run, bytes);
            }
            Arrival::RunStopped { run, error } => {
                self.neighbourhood.on_served(peer, run);
                if let Some(error) = error {
                    crate::distribution::record_error(&self.driver.surroundings.log, &self.driver.distribution, &error);
                }
                self.core.handle_run_stopped(now, peer, run);
            }
            Arrival::Violation(what) => {
                tracing::info!(%peer, what, "protocol violation");
                self.core.handle_violation(now, peer);
            }
            Arrival::Closed(why) => {
                tracing::debug!(%peer, why, "connection closed");
                self.neighbourhood.remove(peer);
                self.core.handle_disconnected(now, peer);
            }
        }
    }

    fn handle_timeout(&mut self) {
        let now = clock::now();
        if self.core.poll_timeout().is_some_and(|(deadline, _)| deadline <= now) {
            self.core.handle_timeout(now);
        }
        if self.announcer.poll_timeout().is_some_and(|(deadline, _)| deadline <= now) {
            self.announcer.handle_timeout(now);
        }
    }

    fn sample_round_trips(&mut self) {
        for (peer, round_trip) in self.neighbourhood.round_trips() {
            self.core.handle_round_trip(peer, round_trip);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let cores = [self.core.poll_timeout(), self.announcer.poll_timeout()];
        let cores = cores.into_iter().flatten().map(|(deadline, _)| deadline).min().map(clock::instant);
        cores.into_iter().chain(self.ending).min()
    }

    fn leave(&mut self) {
        if self.ending.is_some() {
            return;
        }
        self.driver.surroundings.routes.remove_swarm(self.driver.manifest.id());
        self.ending = Some(Instant::now() + DRAIN_MAX);
        let now = clock::now();
        self.core.handle_leave(now);
        if !self.announcer_left {
            self.announcer.handle_leave(now);
        }
    }

    fn has_ended(&self) -> bool {
        self.ending.is_some_and(|deadline| self.core_left && self.announcer_left || deadline <= Instant::now())
    }

    fn finish(mut self) -> Snapshot {
        for dial in self.dials.values() {
            dial.abort();
        }
        self.neighbourhood.close_all(Reason::Leaving);
        self.snapshot()
    }

    fn snapshot(&self) -> Snapshot {
        let swarm = self.core.stats();
        let progress = self.core.progress();
        let unchoked = self.core.neighbours(clock::now()).filter(|neighbour| neighbour.unchoked).count();
        let complete = self.core.is_complete();
        let (quic, paths) = self.neighbourhood.quic();
        let status = DistributionStatus {
            role: self.driver.role.to_owned(),
            state: if complete { DistributionState::Complete } else { DistributionState::Running },
            have: progress.pieces,
            pieces: self.driver.manifest.pieces(),
            bytes_down: swarm.downloaded_bytes,
            bytes_up: swarm.uploaded_bytes,
            bytes_wasted: swarm.wasted_bytes,
            neighbours: self.neighbourhood.len(),
            unchoked: u32::try_from(unchoked).unwrap_or(u32::MAX),
            begun_at: Some(self.begun_at),
            completed_at: self.completed_at,
            uplink: self.account.used(quic.lost_bytes),
            received: accounting::received(&self.core),
        };
        let counts = Counts { swarm, announcer: self.announcer.stats(), quic, ..Counts::default() };
        Snapshot { status, counts, paths }
    }
}

/// Things that may wait for a driver. Leaves are the largest, 16 KiB: a megabyte in all. When it is full, connections
/// are not read on, and QUIC's flow control holds the neighbours back.
const INBOX_MAX: usize = 64;

/// Things handled between two looks at orders and deadlines.
const INPUTS_AT_ONCE: usize = 32;

/// How often the round trips of connections are told to the core.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Time that leaving may take, for runs that are being sent and for the tracker to answer.
const DRAIN_MAX: Duration = Duration::from_secs(3);

/// Addresses remembered. More than a run has peers; further ones are ignored.
const ADDRESSES_MAX: usize = 16_384;
