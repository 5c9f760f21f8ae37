//! Performs what the cores ask for, and decides which of two connections to one peer stays.

use std::sync::Arc;
use std::time::Duration;

use peerbed_proto::LeafHashes;
use peerbed_proto::PeerId;
use peerbed_proto::swarm::{Conduct, Event, Message, Output, Reason, Run as LeafRun, ServeLayer, dialler_to_keep};
use peerbed_proto::wire::Encode;

use crate::clock;
use crate::events::EventKind;
use crate::routes::Opening;
use crate::swarm::neighbour::Queued;
use crate::swarm::{Input, Run, tampering};
use crate::timing::Timing;
use crate::transport::{Close, PeerConnection, Protocol};

impl Run {
    /// Performs all that the cores ask for.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails.
    pub(super) fn perform(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(output) = self.core.poll_output() {
                self.perform_swarm(output)?;
            } else if let Some(output) = self.announcer.poll_output() {
                self.perform_announcing(output);
            } else {
                return Ok(());
            }
        }
    }

    fn perform_swarm(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Dial { peer } => self.dial(peer),
            Output::Hangup { peer, reason } => self.neighbourhood.hang_up(peer, reason),
            Output::Message { peer, message } => {
                let frames = tampering::frames(self.driver.options.conduct, &message);
                if frames.into_iter().any(|frame| self.neighbourhood.send(peer, frame) == Queued::Overflow) {
                    tracing::info!(%peer, "does not read its control stream");
                    self.driver.surroundings.metrics.swarm_control_overflows_total.inc();
                    self.neighbourhood.hang_up(peer, Reason::Flood);
                    self.core.handle_disconnected(clock::now(), peer);
                }
            }
            Output::Introduce { to, peers } => {
                let entries = peers.iter().filter_map(|peer| self.neighbourhood.entry(*peer)).collect();
                self.perform_swarm(Output::Message { peer: to, message: Message::Peers { peers: entries } })?;
            }
            Output::Serve { peer, run, layer } => self.serve(peer, run, layer)?,
            Output::StopServing { peer, run } => self.neighbourhood.stop_serving(peer, run),
            Output::StopReceiving { peer, run } => self.neighbourhood.stop_receiving(peer, run),
            Output::Store { piece, leaf, data, waited } => {
                if let Some(waited) = waited {
                    self.driver.surroundings.timings.record(Timing::SwarmLeaf, waited);
                }
                let start = self.driver.manifest.leaf_range(piece, leaf).start;
                self.unwritten.add(&self.driver.storage, start, data)?;
            }
            Output::Event(event) => self.perform_event(event)?,
        }
        Ok(())
    }

    fn perform_event(&mut self, event: Event) -> anyhow::Result<()> {
        let surroundings = &self.driver.surroundings;
        let distribution = self.driver.distribution.clone();
        match event {
            Event::PieceCompleted { piece } => {
                let have = self.core.progress().pieces;
                surroundings.log.record(EventKind::Piece { distribution, piece, have });
            }
            Event::Completed => self.on_completed()?,
            Event::PeerDropped { peer, reason } => {
                tracing::info!(distribution, %peer, reason = reason.name(), "dropped");
                surroundings.metrics.swarm_dropped_total.with_label_values(&[reason.name()]).inc();
                let reason = reason.name().to_owned();
                surroundings.log.record(EventKind::PeerDropped { distribution, peer: peer.0, reason });
            }
            Event::Left => {
                self.core_left = true;
                if self.ending.is_none() {
                    tracing::info!(distribution, "left the swarm, as its options say");
                    self.announcer.handle_leave(clock::now());
                }
            }
        }
        Ok(())
    }

    /// Names the file, tells the log and the tracker.
    pub(super) fn on_completed(&mut self) -> anyhow::Result<()> {
        self.unwritten.write(&self.driver.storage)?;
        let path = self.driver.storage.complete()?;
        self.completed_at = Some(clock::seconds());
        let (distribution, bytes) = (self.driver.distribution.clone(), self.driver.manifest.size());
        self.driver.surroundings.log.record(EventKind::Completed { distribution, bytes, path });
        self.announcer.handle_completed(clock::now());
        Ok(())
    }

    fn dial(&mut self, peer: PeerId) {
        let Some(&address) = self.addresses.get(&peer).or_else(|| self.hearsay.get(&peer)) else {
            return self.core.handle_dial_failed(clock::now(), peer);
        };
        let transport = self.driver.surroundings.transport.clone();
        let inbox = self.driver.inbox_sender.clone();
        let dial = tokio::spawn(async move {
            let result = transport.dial(Protocol::Swarm, peer.0, address).await;
            let _ = inbox.send(Input::Dialled { peer, result }).await;
        });
        if let Some(earlier) = self.dials.insert(peer, dial.abort_handle()) {
            earlier.abort();
        }
    }

    /// Hands a run to the task that writes to the peer; it reads the leaves when it gets to run.
    fn serve(&mut self, peer: PeerId, run: LeafRun, layer: ServeLayer) -> anyhow::Result<()> {
        let conduct = self.driver.options.conduct;
        if conduct == Conduct::Silent {
            return Ok(());
        } else if conduct == Conduct::EmptyPromises {
            self.neighbourhood.send(peer, Message::Reject { run }.to_frame());
            self.core.handle_run_stopped(clock::now(), peer, run);
            return Ok(());
        }
        let layer = match layer {
            ServeLayer::Omit => Some(None),
            ServeLayer::Attach(layer) => Some(Some(layer)),
            ServeLayer::Compute => self.find_layer(run.piece)?.map(Some),
        };
        let queued = layer.map_or(Queued::Overflow, |layer| self.neighbourhood.serve(peer, run, layer));
        if queued == Queued::Overflow {
            self.core.handle_run_stopped(clock::now(), peer, run);
        } else {
            self.account.on_serve(run.bytes(&self.driver.manifest));
        }
        Ok(())
    }

    /// The leaf layer of a whole piece; none where it cannot be read, which is told in an event.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails for what has to be written before.
    fn find_layer(&mut self, piece: u32) -> anyhow::Result<Option<Arc<LeafHashes>>> {
        self.unwritten.write(&self.driver.storage)?;
        Ok(match self.driver.storage.layer(piece) {
            Ok(layer) => {
                let layer = Arc::new(layer);
                self.core.handle_layer_computed(piece, layer.clone());
                Some(layer)
            }
            Err(error) => {
                crate::distribution::record_error(&self.driver.surroundings.log, &self.driver.distribution, &error);
                None
            }
        })
    }

    /// A dial ended. The core hears of it unless a connection that the peer opened was its answer before.
    pub(super) fn handle_dialled(&mut self, peer: PeerId, result: anyhow::Result<PeerConnection>) {
        let awaited = self.dials.remove(&peer).is_some();
        match result {
            Ok(connection) if awaited => self.connect(connection, None),
            Ok(connection) => Close::Duplicate.close(&connection.connection),
            Err(error) => {
                tracing::info!(distribution = self.driver.distribution, "{error:#}");
                self.driver.surroundings.metrics.quic_dials_failed_total.inc();
                // Whoever is told of it again may say another address.
                self.hearsay.remove(&peer);
                if awaited {
                    self.core.handle_dial_failed(clock::now(), peer);
                }
            }
        }
    }

    /// A neighbour connected while we may be dialling it. Both sides reckon alike who stays.
    pub(super) fn handle_accepted(&mut self, connection: PeerConnection, opening: Opening) {
        let peer = PeerId(connection.peer);
        let me = PeerId(self.driver.surroundings.transport.me());
        if let Some(dial) = self.dials.get(&peer) {
            if dialler_to_keep(me, peer) == me {
                return Close::Duplicate.close(&connection.connection);
            }
            dial.abort();
            self.dials.remove(&peer);
        }
        self.connect(connection, Some(opening));
    }

    fn connect(&mut self, connection: PeerConnection, opening: Option<Opening>) {
        let now = clock::now();
        let peer = PeerId(connection.peer);
        if let Some(earlier) = self.neighbourhood.earlier(peer) {
            let crossed = earlier.dialled_by != connection.dialled_by && earlier.age < CROSSING_MAX;
            let keep = dialler_to_keep(PeerId(earlier.dialled_by), PeerId(connection.dialled_by));
            if crossed && keep == PeerId(earlier.dialled_by) {
                return Close::Duplicate.close(&connection.connection);
            }
            // Otherwise the peer has lost the earlier one (it was started again, perhaps), and we have not noticed yet.
            self.neighbourhood.close(peer, Close::Duplicate);
            self.core.handle_disconnected(now, peer);
        }
        let round_trip = connection.connection.rtt();
        let (opened, first) = match opening {
            Some(Opening { first, stream, reader }) => (Some((stream, reader)), Some(first)),
            None => (None, None),
        };
        self.neighbourhood.add(connection, opened);
        self.core.handle_connected(now, peer);
        self.core.handle_round_trip(peer, round_trip);
        match first {
            Some(Ok(message)) => self.core.handle_message(now, peer, message),
            Some(Err(error)) => {
                tracing::info!(%peer, "protocol violation: {error}");
                self.core.handle_violation(now, peer);
            }
            None => {}
        }
    }
}

/// Age up to which an earlier connection and a new one are taken for two dials that crossed. A peer that is connected
/// does not dial, so that crossing dials are about a round trip apart.
const CROSSING_MAX: Duration = Duration::from_secs(2);
