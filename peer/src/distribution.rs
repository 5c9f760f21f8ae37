//! What all drivers have in common: how the peer talks to one, and what it tells about itself.
//!
//! A driver is one task per distribution. It prepares, waits for its instant, runs its core, and ends when told. The
//! drivers are `swarm`, `fetch::server` and `fetch::client`.

use std::iter::Sum;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use peerbed_proto::{Manifest, fetch, swarm};
use quinn::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::commands::Prepare;
use crate::event_log::EventLog;
use crate::events::EventKind;
use crate::metrics::Metrics;
use crate::routes::Routes;
use crate::status::{DistributionState, DistributionStatus};
use crate::timing::Timings;
use crate::tracker::TrackerService;
use crate::transport::Transport;

/// What every driver may use of its peer.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) transport: Arc<Transport>,
    pub(crate) tracker: Option<Arc<TrackerService>>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) timings: Arc<Timings>,
    pub(crate) log: EventLog,
    /// Master seed of the run.
    pub(crate) seed: u64,
    /// The peer's directory; a distribution's own is below it, by its id.
    pub(crate) directory: PathBuf,
}

impl Surroundings {
    /// A seed for a core that does not mix the peer's number in by itself.
    pub(crate) fn own_seed(&self) -> u64 {
        self.seed ^ u64::from(self.transport.me()) << 32
    }
}

/// What the peer asks of a driver.
#[derive(Debug)]
pub(crate) enum Order {
    /// To start at an instant given in seconds of CLOCK_MONOTONIC.
    Begin(f64),
    /// How it is.
    Inspect(oneshot::Sender<Snapshot>),
    /// To drain, close and end. The driver's task then returns its last snapshot.
    End,
}

/// A driver at one instant: what `/status` shows, and what the counters of `/metrics` grow by.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) status: DistributionStatus,
    pub(crate) counts: Counts,
    pub(crate) paths: Paths,
}

/// Counters of a driver's cores. Each only grows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) swarm: swarm::Stats,
    pub(crate) announcer: peerbed_proto::tracker::AnnouncerStats,
    pub(crate) client: fetch::FetchClientStats,
    pub(crate) server: fetch::FetchServerStats,
    pub(crate) quic: QuicCounts,
}

/// What QUIC counted over a driver's connections, open and past.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QuicCounts {
    pub(crate) sent_bytes: u64,
    pub(crate) sent_datagrams: u64,
    pub(crate) received_bytes: u64,
    pub(crate) received_datagrams: u64,
    pub(crate) lost_packets: u64,
    pub(crate) lost_bytes: u64,
    pub(crate) congestion_events: u64,
}

impl QuicCounts {
    /// Adds what a connection has counted so far.
    pub(crate) fn add(&mut self, connection: &Connection) {
        let stats = connection.stats();
        self.sent_bytes += stats.udp_tx.bytes;
        self.sent_datagrams += stats.udp_tx.datagrams;
        self.received_bytes += stats.udp_rx.bytes;
        self.received_datagrams += stats.udp_rx.datagrams;
        self.lost_packets += stats.path.lost_packets;
        self.lost_bytes += stats.path.lost_bytes;
        self.congestion_events += stats.path.congestion_events;
    }
}

/// Gauges over a driver's open connections.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Paths {
    pub(crate) connections: u64,
    /// Sum of the smoothed round trips in microseconds.
    pub(crate) round_trip_micros: u64,
    /// Sum of the congestion windows in bytes.
    pub(crate) window_bytes: u64,
}

impl Paths {
    /// Adds an open connection.
    pub(crate) fn add(&mut self, connection: &Connection) {
        let path = connection.stats().path;
        self.connections += 1;
        self.round_trip_micros += u64::try_from(path.rtt.as_micros()).unwrap_or(u64::MAX);
        self.window_bytes += path.cwnd;
    }
}

impl Sum for Paths {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| Self {
            connections: sum.connections + it.connections,
            round_trip_micros: sum.round_trip_micros + it.round_trip_micros,
            window_bytes: sum.window_bytes + it.window_bytes,
        })
    }
}

/// Reads and checks the manifest of a distribution.
///
/// # Errors
///
/// When the file cannot be read or is no manifest; the message names it.
pub(crate) fn read_manifest(prepare: &Prepare) -> anyhow::Result<Arc<Manifest>> {
    let path = &prepare.manifest;
    let text = std::fs::read(path).with_context(|| format!("cannot read manifest {}", path.display()))?;
    let manifest = serde_json::from_slice(&text).with_context(|| format!("{} is no manifest", path.display()))?;
    Ok(Arc::new(manifest))
}

/// Waits for the order to begin and then for its instant, answering the others meanwhile.
pub(crate) async fn wait_for_begin(orders: &mut mpsc::Receiver<Order>, snapshot: impl Fn() -> Snapshot) -> Waited {
    let start = sleep_until(Instant::now());
    tokio::pin!(start);
    let mut begun = false;
    loop {
        tokio::select! {
            () = &mut start, if begun => return Waited::Begin,
            order = orders.recv() => match order {
                Some(Order::Begin(at)) => {
                    begun = true;
                    start.as_mut().reset(clock::instant_of_seconds(at));
                }
                Some(Order::Inspect(answer)) => {
                    let _ = answer.send(snapshot());
                }
                Some(Order::End) | None => return Waited::End,
            },
        }
    }
}

/// What became of a driver that was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// Its instant has come.
    Begin,
    /// It was told to end first.
    End,
}

impl Snapshot {
    /// A distribution that is not begun.
    pub(crate) fn of_idle(role: &str, state: DistributionState, have: u32, pieces: u32) -> Self {
        let status = DistributionStatus { state, ..prepared_status(role, have, pieces) };
        Self { status, counts: Counts::default(), paths: Paths::default() }
    }
}

/// The status of a distribution that is prepared and not begun.
pub(crate) fn prepared_status(role: &str, have: u32, pieces: u32) -> DistributionStatus {
    DistributionStatus {
        role: role.to_owned(),
        state: DistributionState::Prepared,
        have,
        pieces,
        bytes_down: 0,
        bytes_up: 0,
        bytes_wasted: 0,
        neighbours: 0,
        unchoked: 0,
        begun_at: None,
        completed_at: None,
        uplink: None,
        received: std::collections::BTreeMap::new(),
    }
}

/// Notes in the log that a distribution cannot go on although the process does.
pub(crate) fn record_error(log: &EventLog, distribution: &str, error: &anyhow::Error) {
    tracing::error!(distribution, "{error:#}");
    let distribution = Some(distribution.to_owned());
    log.record(EventKind::Error { distribution, error: format!("{error:#}"), fatal: false });
}
