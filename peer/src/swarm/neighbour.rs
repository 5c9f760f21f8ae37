//! The neighbours of one swarm: their connections, and the queues towards the tasks that read and write them.
//!
//! Per neighbour there are three tasks: one reads everything, one writes control messages, one writes runs. They end
//! when the connection closes or their queue is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerbed_proto::swarm::{Conduct, Message, Reason, Run};
use peerbed_proto::tracker::Entry;
use peerbed_proto::wire::FrameReader;
use peerbed_proto::{Hash, HashedLeaf, LeafHashes, Manifest, PeerId};
use quinn::{RecvStream, VarInt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::distribution::{Paths, QuicCounts};
use crate::storage::Storage;
use crate::swarm::Input;
use crate::swarm::reading::{self, Receiving};
use crate::swarm::tampering;
use crate::swarm::writing::{self, Outgoing, Serving};
use crate::transport::{Close, PeerConnection};

/// What came from a neighbour's connection.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A control message.
    Message(Message),
    /// Leaf hashes on a run stream.
    Layer { piece: u32, layer: Vec<Hash> },
    /// A leaf on a run stream.
    Leaf { piece: u32, leaf: u16, data: HashedLeaf },
    /// A run stream ended before its last leaf.
    RunRefused(Run),
    /// A run of ours was acknowledged in full.
    RunSent { run: Run, bytes: u64 },
    /// A run of ours ended early; the error is ours, if there is one.
    RunStopped { run: Run, error: Option<anyhow::Error> },
    /// Something that no neighbour of ours would send.
    Violation(String),
    /// The connection is gone.
    Closed(String),
}

/// Where a neighbour's tasks report.
#[derive(Debug, Clone)]
pub(super) struct Report {
    peer: PeerId,
    serial: u64,
    inbox: mpsc::Sender<Input>,
}

impl Report {
    /// Waits for room in the driver's inbox. Reports to a driver that has ended are dropped.
    pub(super) async fn send(&self, arrival: Arrival) {
        let _ = self.inbox.send(Input::Arrived { peer: self.peer, serial: self.serial, arrival }).await;
    }
}

/// All neighbours of one swarm. How many there may be is the core's decision.
#[derive(Debug)]
pub(super) struct Neighbourhood {
    neighbours: BTreeMap<PeerId, Neighbour>,
    next_serial: u64,
    past: QuicCounts,
    inbox: mpsc::Sender<Input>,
    storage: Arc<Storage>,
    manifest: Arc<Manifest>,
    conduct: Conduct,
}

#[derive(Debug)]
struct Neighbour {
    serial: u64,
    since: Instant,
    connection: PeerConnection,
    control: mpsc::Sender<Outgoing>,
    runs: mpsc::Sender<Serving>,
    /// Dropping an entry stops serving that run.
    serving: BTreeMap<Run, oneshot::Sender<()>>,
    receiving: Arc<Receiving>,
}

/// A connection that stands while another one comes up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Earlier {
    pub(super) dialled_by: u32,
    pub(super) age: Duration,
}

/// Whether something found room in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    /// It did, or there is no such neighbour and nobody cares.
    Done,
    /// It did not.
    Overflow,
}

impl Neighbourhood {
    pub(super) fn new(
        inbox: mpsc::Sender<Input>,
        storage: Arc<Storage>,
        manifest: Arc<Manifest>,
        conduct: Conduct,
    ) -> Self {
        let past = QuicCounts::default();
        Self { neighbours: BTreeMap::new(), next_serial: 0, past, inbox, storage, manifest, conduct }
    }

    /// Starts reading and writing a connection. `opened` is its control stream, if that was read from before.
    pub(super) fn add(&mut self, connection: PeerConnection, opened: Option<(RecvStream, FrameReader)>) {
        let peer = PeerId(connection.peer);
        self.next_serial += 1;
        let serial = self.next_serial;
        let report = Report { peer, serial, inbox: self.inbox.clone() };
        let (control, frames) = mpsc::channel(CONTROL_MAX);
        let (runs, jobs) = mpsc::channel(RUNS_MAX);
        let receiving = Arc::new(Receiving::default());
        let raw = connection.connection.clone();
        tokio::spawn(writing::write_control(raw.clone(), frames));
        tokio::spawn(writing::write_runs(
            raw.clone(),
            jobs,
            self.storage.clone(),
            self.manifest.clone(),
            self.conduct,
            report.clone(),
        ));
        if self.conduct == Conduct::NeverReads {
            tokio::spawn(tampering::never_read(raw, opened, report));
        } else {
            tokio::spawn(reading::read(raw, opened, self.manifest.clone(), receiving.clone(), report));
        }
        let neighbour =
            Neighbour { serial, since: Instant::now(), connection, control, runs, serving: BTreeMap::new(), receiving };
        self.neighbours.insert(peer, neighbour);
    }

    /// Queues a control frame.
    pub(super) fn send(&mut self, peer: PeerId, frame: Bytes) -> Queued {
        let Some(neighbour) = self.neighbours.get(&peer) else { return Queued::Done };
        queued(&neighbour.control.try_send(Outgoing::Frame(frame)))
    }

    /// Queues a run behind those that are being served.
    pub(super) fn serve(&mut self, peer: PeerId, run: Run, layer: Option<Arc<LeafHashes>>) -> Queued {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return Queued::Done };
        let (stop, stopped) = oneshot::channel();
        let result = queued(&neighbour.runs.try_send(Serving { run, layer, stopped }));
        if result == Queued::Done {
            neighbour.serving.insert(run, stop);
        }
        result
    }

    /// Resets the stream of a run, wherever it is in the queue.
    pub(super) fn stop_serving(&mut self, peer: PeerId, run: Run) {
        self.on_served(peer, run);
    }

    /// Forgets a run that was served to its end.
    pub(super) fn on_served(&mut self, peer: PeerId, run: Run) {
        if let Some(neighbour) = self.neighbours.get_mut(&peer) {
            neighbour.serving.remove(&run);
        }
    }

    /// Stops reading a run's stream, if it has arrived.
    pub(super) fn stop_receiving(&mut self, peer: PeerId, run: Run) {
        if let Some(neighbour) = self.neighbours.get(&peer) {
            neighbour.receiving.stop(run);
        }
    }

    /// Closes the connection once the control messages written before have arrived; for an offence, at once.
    pub(super) fn hang_up(&mut self, peer: PeerId, reason: Reason) {
        let Some(neighbour) = self.forget(peer) else { return };
        let code = VarInt::from_u32(reason.code());
        if reason.is_offence() || neighbour.control.try_send(Outgoing::Close(code)).is_err() {
            neighbour.connection.connection.close(code, reason.name().as_bytes());
        }
    }

    /// Closes a connection at once.
    pub(super) fn close(&mut self, peer: PeerId, close: Close) {
        if let Some(neighbour) = self.forget(peer) {
            close.close(&neighbour.connection.connection);
        }
    }

    /// Forgets a neighbour whose connection is gone.
    pub(super) fn remove(&mut self, peer: PeerId) {
        self.forget(peer);
    }

    /// Hangs up on everybody.
    pub(super) fn close_all(&mut self, reason: Reason) {
        while let Some(&peer) = self.neighbours.keys().next() {
            self.hang_up(peer, reason);
        }
    }

    /// Whether `serial` is the connection to `peer` that counts.
    pub(super) fn is_current(&self, peer: PeerId, serial: u64) -> bool {
        self.neighbours.get(&peer).is_some_and(|neighbour| neighbour.serial == serial)
    }

    /// The connection to `peer`, if there is one.
    pub(super) fn earlier(&self, peer: PeerId) -> Option<Earlier> {
        let neighbour = self.neighbours.get(&peer)?;
        Some(Earlier { dialled_by: neighbour.connection.dialled_by, age: neighbour.since.elapsed() })
    }

    /// A neighbour as others may be told of it: peers dial from where they listen.
    pub(super) fn entry(&self, peer: PeerId) -> Option<Entry> {
        let neighbour = self.neighbours.get(&peer)?;
        Some(Entry { peer, address: neighbour.connection.connection.remote_address() })
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.neighbours.len()).unwrap_or(u32::MAX)
    }

    /// The smoothed round trip to each neighbour.
    pub(super) fn round_trips(&self) -> impl Iterator<Item = (PeerId, Duration)> + use<'_> {
        self.neighbours.iter().map(|(peer, neighbour)| (*peer, neighbour.connection.connection.rtt()))
    }

    /// What QUIC counted over all connections so far, and the gauges of the open ones.
    pub(super) fn quic(&self) -> (QuicCounts, Paths) {
        let (mut counts, mut paths) = (self.past, Paths::default());
        for neighbour in self.neighbours.values() {
            counts.add(&neighbour.connection.connection);
            paths.add(&neighbour.connection.connection);
        }
        (counts, paths)
    }

    fn forget(&mut self, peer: PeerId) -> Option<Neighbour> {
        let neighbour = self.neighbours.remove(&peer)?;
        self.past.add(&neighbour.connection.connection);
        Some(neighbour)
    }
}

fn queued<T>(result: &Result<(), mpsc::error::TrySendError<T>>) -> Queued {
    match result {
        // Closed: the connection is gone, and the reading task is about to say so.
        Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Queued::Done,
        Err(mpsc::error::TrySendError::Full(_)) => Queued::Overflow,
    }
}

/// Control frames that wait for a neighbour to read. The core coalesces announcements, so that only a neighbour that
/// has stopped reading lets this many gather; it is dropped then.
const CONTROL_MAX: usize = 1_024;

/// Runs queued for one neighbour. The core keeps a few under way.
const RUNS_MAX: usize = 256;
