//! The process around its parts: opens them, carries out commands, and leaves in order.
//!
//! One loop owns the table of distributions. Each distribution runs in a task of its own (see `distribution`); this
//! loop only orders, inspects and ends them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::commands::{Command, Prepare};
use crate::config::PeerConfig;
use crate::control::{ControlSocket, Refused, Request};
use crate::distribution::{QuicCounts, Snapshot, Surroundings};
use crate::event_log::EventLog;
use crate::events::EventKind;
use crate::metrics::Metrics;
use crate::peer::seat::Seat;
use crate::peer::table::{Outcome, Table};
use crate::routes::Routes;
use crate::status::{PeerState, Status};
use crate::timing::Timings;
use crate::tracker::TrackerService;
use crate::transport::{PeerConnection, Protocol, Transport};
use crate::{clock, metrics, process};

mod seat;
mod table;

/// Runs a peer until it is told to leave or `shutdown` resolves. `on_ready` is called once it answers.
///
/// # Errors
///
/// When it cannot start (busy port, unusable credentials or control socket) or cannot go on (disk full): one sentence
/// with its causes. Neighbours have been told, and followers of the events have got the error, when this returns.
pub async fn run(
    config: PeerConfig,
    on_ready: impl FnOnce(),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    if let Some(parent) = config.parent {
        process::die_with_parent(parent)?;
    }
    let log = EventLog::new();
    let socket = ControlSocket::bind(&config.control)?;
    let (mut peer, requests) = Peer::open(config, log.clone())?;
    let (stop, stopped) = oneshot::channel::<()>();
    let control = tokio::spawn(socket.serve(peer.requests_sender(), log.clone(), async {
        let _ = stopped.await;
    }));
    log.record(EventKind::Ready { listen: peer.surroundings.transport.local_addr()? });
    on_ready();
    let ended = peer.run(requests, shutdown).await;
    match &ended {
        Ok(()) => log.record(EventKind::Left),
        Err(error) => {
            log.record(EventKind::Error { distribution: None, error: format!("{error:#}"), fatal: true });
        }
    }
    let _ = timeout(FAREWELL_MAX, peer.surroundings.transport.close()).await;
    log.close();
    drop((peer, stop));
    // A follower that does not read its events does not keep the process alive.
    let _ = timeout(FAREWELL_MAX, control).await;
    ended
}

struct Peer {
    surroundings: Surroundings,
    name: String,
    table: Table,
    seat: Seat,
    state: PeerState,
    /// When a peer that leaves stops waiting for its distributions.
    leave_until: Option<Instant>,
    requests: mpsc::Sender<Request>,
    admissions: tokio::task::AbortHandle,
}

impl Peer {
    fn open(config: PeerConfig, log: EventLog) -> anyhow::Result<(Self, mpsc::Receiver<Request>)> {
        std::fs::create_dir_all(&config.directory)
            .with_context(|| format!("cannot make the peer's directory {}", config.directory.display()))?;
        let metrics = Arc::new(Metrics::new());
        metrics.show_all_reasons();
        let transport = Arc::new(Transport::open(&config, metrics.clone(), log.clone())?);
        let tracker = config.tracker.map(|options| Arc::new(TrackerService::new(options, config.seed)));
        let routes = Arc::new(Routes::default());
        let surroundings = Surroundings {
            transport,
            tracker,
            routes,
            metrics,
            timings: Arc::new(Timings::default()),
            log,
            seed: config.seed,
            directory: config.directory,
        };
        let admissions = tokio::spawn(admit_all(surroundings.clone())).abort_handle();
        let (requests, received) = mpsc::channel(REQUESTS_MAX);
        let peer = Self {
            surroundings,
            name: config.name,
            table: Table::default(),
            seat: Seat::default(),
            state: PeerState::Ready,
            leave_until: None,
            requests,
            admissions,
        };
        Ok((peer, received))
    }

    fn requests_sender(&self) -> mpsc::Sender<Request> {
        self.requests.clone()
    }

    async fn run(
        &mut self,
        mut requests: mpsc::Receiver<Request>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        tokio::pin!(shutdown);
        loop {
            if self.state == PeerState::Leaving && self.table.is_empty() && self.seat.is_empty() {
                return Ok(());
            }
            let leave_until = self.leave_until;
            tokio::select! {
                request = requests.recv() => self.handle_request(request.context("the control socket is closed")?).await,
                outcome = self.table.next_outcome() => self.handle_outcome(outcome)?,
                ended = self.seat.ended() => {
                    self.seat.settle(ended)?;
                    self.count_ring(self.seat.last().map(|ring| ring.quic));
                }
                () = &mut shutdown, if self.state == PeerState::Ready => {
                    // All peers end now: whoever took over would end as well.
                    self.seat.end();
                    self.leave();
                }
                () = sleep_until(leave_until.unwrap_or_else(Instant::now)), if leave_until.is_some() => {
                    tracing::warn!("left without waiting for every distribution to drain");
                    return Ok(());
                }
            }
        }
    }

    async fn handle_request(&mut self, request: Request) {
        match request {
            Request::Command(command, answer) => self.handle_command(command, answer),
            Request::Status(answer) => {
                let _ = answer.send(self.status().await);
            }
            Request::Metrics(answer) => {
                let _ = answer.send(self.scrape().await);
            }
            Request::Histograms(answer) => {
                let _ = answer.send(self.surroundings.timings.encoded());
            }
        }
    }

    fn handle_command(&mut self, command: Command, answer: oneshot::Sender<Result<(), Refused>>) {
        if self.state == PeerState::Leaving && command != Command::Leave {
            let _ = answer.send(Err(Refused::new(StatusCode::CONFLICT, "the peer is leaving")));
            return;
        }
        match command {
            Command::Prepare(prepare) => self.prepare(prepare, answer),
            Command::Begin(begin) => {
                let _ = answer.send(self.table.begin(&begin.id, begin.at));
            }
            Command::End(end) => self.table.end(&end.id, answer),
            Command::Ring(command) => self.seat.command(&self.surroundings, command, answer),
            Command::Leave => {
                self.seat.leave();
                self.leave();
                let _ = answer.send(Ok(()));
            }
        }
    }

    fn prepare(&mut self, prepare: Prepare, answer: oneshot::Sender<Result<(), Refused>>) {
        if let Err(refused) = check_names(&prepare) {
            let _ = answer.send(Err(refused));
            return;
        }
        self.table.prepare(self.surroundings.clone(), prepare, answer);
    }

    /// A distribution's task has ended.
    fn handle_outcome(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        let Some((distribution, ended)) = self.table.settle(outcome) else { return Ok(()) };
        let (counted, snapshot) = ended.with_context(|| format!("distribution {distribution} cannot go on"))?;
        self.surroundings.metrics.grow(&counted, &snapshot.counts);
        self.surroundings.log.record(EventKind::Ended { distribution: distribution.clone() });
        self.table.answer_end(&distribution);
        Ok(())
    }

    fn leave(&mut self) {
        if self.state == PeerState::Leaving {
            return;
        }
        tracing::info!("leaving");
        self.state = PeerState::Leaving;
        self.leave_until = Some(Instant::now() + LEAVE_MAX);
        self.admissions.abort();
        self.table.end_all();
    }

    async fn status(&mut self) -> Status {
        let distributions = self.inspect().await;
        let resident = process::Resident::read();
        Status {
            t: clock::seconds(),
            name: self.name.clone(),
            id: self.surroundings.transport.me(),
            state: self.state,
            listen: self.surroundings.transport.local_addr().unwrap_or_else(|_| ([0; 4], 0).into()),
            resident_bytes: resident.now,
            resident_peak_bytes: resident.peak,
            connections: u32::try_from(self.surroundings.transport.open_connections()).unwrap_or(u32::MAX),
            receive_dropped: self.surroundings.transport.receive_dropped(),
            distributions: distributions.into_iter().map(|(id, snapshot)| (id, snapshot.status)).collect(),
            ring: self.seat.inspect().await.map(|ring| ring.status),
        }
    }

    async fn scrape(&mut self) -> Vec<u8> {
        let distributions = self.inspect().await;
        let ring = self.seat.inspect().await;
        self.count_ring(ring.as_ref().map(|ring| ring.quic));
        let Surroundings { metrics, transport, tracker, .. } = &self.surroundings;
        let sum = |of: &dyn Fn(&Snapshot) -> u64| {
            i64::try_from(distributions.values().map(of).sum::<u64>()).unwrap_or(i64::MAX)
        };
        let resident = process::Resident::read();
        metrics.peer_resident_bytes.set(i64::try_from(resident.now).unwrap_or(i64::MAX));
        metrics.peer_resident_peak_bytes.set(i64::try_from(resident.peak).unwrap_or(i64::MAX));
        metrics.quic_connections.set(i64::try_from(transport.open_connections()).unwrap_or(i64::MAX));
        metrics::raise(&metrics.quic_held_back_total, transport.held_back());
        metrics.swarm_pieces.set(sum(&|snapshot| snapshot.status.have.into()));
        metrics.swarm_neighbours.set(sum(&|snapshot| snapshot.status.neighbours.into()));
        metrics.swarm_unchoked.set(sum(&|snapshot| snapshot.status.unchoked.into()));
        let paths =
            distributions.values().map(|snapshot| snapshot.paths).chain(ring.iter().map(|ring| ring.paths)).sum();
        metrics.show_paths(&paths);
        metrics::raise(&metrics.quic_receive_dropped_total, transport.receive_dropped());
        if let Some(tracker) = tracker {
            metrics.take_tracker(&tracker.stats());
        }
        let mut text = metrics.text();
        metrics::ring::write(&mut text, ring.as_ref());
        metrics::timing::write(&mut text, &self.surroundings.timings);
        text
    }

    /// Lets the counters grow by what QUIC counted for the ring since the last look.
    fn count_ring(&mut self, quic: Option<QuicCounts>) {
        if let Some(quic) = quic {
            let (before, after) = self.seat.grown(quic);
            self.surroundings.metrics.grow(&before, &after);
        }
    }

    /// Looks at every distribution, and lets the counters grow by what it counted since the last look.
    async fn inspect(&mut self) -> BTreeMap<String, Snapshot> {
        let metrics = self.surroundings.metrics.clone();
        self.table.inspect(|before, after| metrics.grow(before, after)).await
    }
}

/// Both become names of directories and files below the peer's own.
fn check_names(prepare: &Prepare) -> Result<(), Refused> {
    for name in [&prepare.id, &prepare.file] {
        let mut parts = std::path::Path::new(name).components();
        let single = matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None));
        if !single || name.ends_with('/') {
            return Err(Refused::new(StatusCode::BAD_REQUEST, format!("{name:?} is not a plain file name")));
        }
    }
    Ok(())
}

/// Takes in everybody who dials, each in a task of its own.
async fn admit_all(surroundings: Surroundings) {
    // Dropped with this task, and its tasks with it.
    let mut admitted = JoinSet::new();
    loop {
        tokio::select! {
            incoming = surroundings.transport.next_incoming() => {
                let Some(incoming) = incoming else { return };
                let surroundings = surroundings.clone();
                admitted.spawn(async move {
                    if let Some(connection) = surroundings.transport.admit(incoming).await {
                        hand_over(&surroundings, connection).await;
                    }
                });
            }
            Some(_) = admitted.join_next() => {}
        }
    }
}

async fn hand_over(surroundings: &Surroundings, connection: PeerConnection) {
    let Surroundings { transport, routes, tracker, .. } = surroundings;
    match (connection.protocol, tracker) {
        (Protocol::Swarm, _) => routes.route_swarm(transport, connection).await,
        (Protocol::Fetch, _) => routes.route_fetch(transport, connection).await,
        (Protocol::Ring, _) => routes.route_ring(transport, connection).await,
        (Protocol::Tracker, Some(tracker)) => tracker.serve(connection).await,
        (Protocol::Tracker, None) => transport.refuse_unserved(&connection, "this peer serves no tracker"),
    }
}

/// Requests that may wait for the loop; further ones wait in their HTTP connections.
const REQUESTS_MAX: usize = 16;

/// Time for all distributions to drain when the peer leaves. Longer than one may take.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// Time for connections to be closed in order, and again for followers to read the last events.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
