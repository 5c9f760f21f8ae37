//! Serves one file to each client that asks, each on one stream.
//!
//! Whom to serve is the core's decision. The bytes are read from disk as the client's stream takes them, so that
//! memory does not depend on the file's size.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use peerbed_proto::fetch::{FetchServer, FetchServerOptions, Get};
use peerbed_proto::{Manifest, PeerId};
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::{Notify, mpsc, watch};

use crate::clock;
use crate::commands::Prepare;
use crate::distribution::{
    Counts, Order, Paths, QuicCounts, Snapshot, Surroundings, Waited, prepared_status, wait_for_begin,
};
use crate::events::EventKind;
use crate::status::DistributionState;
use crate::storage::Storage;
use crate::transport::{Close, PeerConnection};

/// A file being served, shared by the tasks of its clients.
#[derive(Debug)]
pub(crate) struct FetchService {
    distribution: String,
    core: Mutex<FetchServer>,
    storage: Storage,
    manifest: Arc<Manifest>,
    /// Most bytes that wait or are under way for one client.
    send_window_max: u64,
    /// Payload bytes written to clients, those still under way included.
    written: AtomicU64,
    connections: Mutex<Connections>,
    /// Told when a client's stream has ended.
    ended: Notify,
    stage: watch::Sender<Stage>,
}

/// Clients' connections, open ones by peer, and what the closed ones counted.
#[derive(Debug, Default)]
struct Connections {
    open: Vec<PeerConnection>,
    past: QuicCounts,
}

/// Clients may ask some milliseconds before this peer has begun; they wait then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prepared,
    Begun,
    Ended,
}

/// One server's driver, prepared.
#[derive(Debug)]
pub(crate) struct ServerDriver {
    service: Arc<FetchService>,
    surroundings: Surroundings,
    begun_at: Option<f64>,
}

impl ServerDriver {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or has the wrong size, or another distribution serves the same content.
    pub(crate) fn prepare(
        surroundings: Surroundings,
        prepare: &Prepare,
        manifest: Arc<Manifest>,
        content: &std::path::Path,
    ) -> anyhow::Result<Self> {
        let storage = Storage::of_content(content, manifest.clone())?;
        let service = Arc::new(FetchService {
            distribution: prepare.id.clone(),
            core: Mutex::new(FetchServer::new(manifest.clone(), FetchServerOptions::default())),
            storage,
            manifest: manifest.clone(),
            send_window_max: surroundings.transport.send_window(),
            written: AtomicU64::new(0),
            connections: Mutex::default(),
            ended: Notify::new(),
            stage: watch::Sender::new(Stage::Prepared),
        });
        if !surroundings.routes.add_server(manifest.id(), service.clone()) {
            anyhow::bail!("another distribution serves the same content");
        }
        let pieces = manifest.pieces();
        surroundings.log.record(EventKind::Prepared { distribution: prepare.id.clone(), have: pieces, pieces });
        Ok(Self { service, surroundings, begun_at: None })
    }

    /// Serves until told to end, and says what it counted.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Snapshot {
        if wait_for_begin(&mut orders, || self.snapshot()).await == Waited::Begin {
            self.begun_at = Some(clock::seconds());
            self.surroundings.log.record(EventKind::Begun { distribution: self.service.distribution.clone() });
            self.service.stage.send_replace(Stage::Begun);
            while let Some(order) = orders.recv().await {
                match order {
                    Order::Begin(_) => {}
                    Order::Inspect(answer) => {
                        let _ = answer.send(self.snapshot());
                    }
                    Order::End => break,
                }
            }
        }
        self.close();
        self.snapshot()
    }

    fn close(&self) {
        self.surroundings.routes.remove_server(self.service.manifest.id());
        self.service.stage.send_replace(Stage::Ended);
        let mut connections = self.service.connections();
        for client in std::mem::take(&mut connections.open) {
            connections.past.add(&client.connection);
            Close::Done.close(&client.connection);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let pieces = self.service.manifest.pieces();
        let connections = self.service.connections();
        let mut paths = Paths::default();
        let mut quic = connections.past;
        for client in &connections.open {
            paths.add(&client.connection);
            quic.add(&client.connection);
        }
        let core = self.service.core();
        let mut server = core.stats();
        server.sent_bytes = self.service.written.load(Ordering::Relaxed);
        let mut status = prepared_status("server", pieces, pieces);
        status.begun_at = self.begun_at;
        status.bytes_up = server.sent_bytes;
        status.neighbours = u32::try_from(core.clients()).unwrap_or(u32::MAX);
        if self.begun_at.is_some() {
            status.state = DistributionState::Complete;
        }
        Snapshot { status, counts: Counts { server, quic, ..Counts::default() }, paths }
    }
}

impl FetchService {
    /// Serves one request in a task of its own.
    pub(crate) fn serve(self: Arc<Self>, client: PeerConnection, get: Get, mut stream: SendStream) {
        tokio::spawn(async move {
            if !self.wait_for_begin().await {
                return Close::Done.close(&client.connection);
            }
            self.end_earlier(&client).await;
            let answer = self.core().handle_get(PeerId(client.peer), get);
            let range = match answer {
                Ok(answer) => answer.range,
                Err(refusal) => {
                    tracing::info!(peer = client.peer, "request refused: {refusal}");
                    let _ = stream.reset(VarInt::from_u32(refusal.code()));
                    return;
                }
            };
            self.connections().open.push(client.clone());
            let mut written = 0;
            if let Err(error) = self.write(range, &client.connection, &mut stream, &mut written).await {
                tracing::debug!(peer = client.peer, "client gone: {error:#}");
            }
            self.core().handle_ended(PeerId(client.peer), written);
            self.connections().on_ended(&client);
            self.ended.notify_waiters();
        });
    }

    /// Closes other connections of the same client and waits until their streams have ended: a client that connects
    /// again has lost them (it was started again, perhaps), long before we would notice.
    async fn end_earlier(&self, client: &PeerConnection) {
        let id = client.connection.stable_id();
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let mut earlier = false;
            for open in &self.connections().open {
                if open.peer == client.peer && open.connection.stable_id() != id {
                    Close::Duplicate.close(&open.connection);
                    earlier = true;
                }
            }
            if !earlier {
                return;
            }
            ended.await;
        }
    }

    /// Writes a range of the file, and waits until the client has all of it.
    async fn write(
        &self,
        range: Range<u64>,
        connection: &Connection,
        stream: &mut SendStream,
        written: &mut u64,
    ) -> anyhow::Result<()> {
        let mut next = range.start;
        while next < range.end {
            connection.set_send_window(send_window(connection.stats().path.cwnd).min(self.send_window_max));
            let end = range.end.min(next + READ_BYTES);
            let bytes = self.storage.read(next..end)?;
            stream.write_chunk(bytes).await.context("the stream was closed")?;
            *written += end - next;
            self.written.fetch_add(end - next, Ordering::Relaxed);
            next = end;
        }
        stream.finish()?;
        stream.stopped().await.context("the connection was closed")?;
        Ok(())
    }

    async fn wait_for_begin(&self) -> bool {
        let mut stage = self.stage.subscribe();
        stage.wait_for(|stage| *stage != Stage::Prepared).await.is_ok_and(|stage| *stage == Stage::Begun)
    }

    fn core(&self) -> MutexGuard<'_, FetchServer> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn on_ended(&mut self, client: &PeerConnection) {
        let id = client.connection.stable_id();
        let before = self.open.len();
        self.open.retain(|open| open.connection.stable_id() != id);
        if self.open.len() < before {
            self.past.add(&client.connection);
        }
    }
}

/// Bytes of a client that wait or are under way, at a congestion window of so many: what is under way, as much again so that
/// there is always something to send, and what is read at once. A fixed number is too much for a thin link or too little for
/// a fast one.
fn send_window(congestion_window: u64) -> u64 {
    2 * congestion_window + READ_BYTES
}

/// Bytes read from disk at once: enough to make the read cheap, little enough for a thousand clients.
const READ_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_client_follows_its_path() {
        // 64 KiB before anything is known; a tenth of a second at 20 Mbit/s.
        assert_eq!(send_window(64 << 10), 192 << 10);
        assert_eq!(send_window(250_000), 565_536);
    }
}
