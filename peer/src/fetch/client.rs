//! Fetches one file from a server.
//!
//! When to connect, what to ask for and what to believe are the core's decisions.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use peerbed_proto::fetch::{FetchClient, FetchClientOptions, FetchEvent, FetchOutput, Get};
use peerbed_proto::wire::Encode;
use peerbed_proto::{Manifest, PieceSet};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::commands::{Endpoint, Prepare};
use crate::distribution::{
    Counts, Order, Paths, QuicCounts, Snapshot, Surroundings, Waited, prepared_status, wait_for_begin,
};
use crate::events::EventKind;
use crate::status::DistributionState;
use crate::storage::Storage;
use crate::transport::{Close, Protocol};

/// One client's driver, prepared. Once begun, [`Run`] adds the core.
#[derive(Debug)]
pub(crate) struct ClientDriver {
    surroundings: Surroundings,
    distribution: String,
    server: Endpoint,
    manifest: Arc<Manifest>,
    storage: Storage,
    have: PieceSet,
}

/// State and io side by side.
struct Run {
    driver: ClientDriver,
    core: FetchClient,
    line: Line,
    past: QuicCounts,
    begun_at: f64,
    completed_at: Option<f64>,
}

/// How far the connection to the server is.
enum Line {
    None,
    Dialling(Pin<Box<dyn Future<Output = anyhow::Result<Open>> + Send>>),
    Open(Open),
}

/// A connection with the stream on which the file comes.
struct Open {
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
}

/// What the driver waits for.
enum Happening {
    Ordered(Option<Order>),
    Dialled(anyhow::Result<Open>),
    Data(usize),
    Broken,
    Timeout,
}

impl ClientDriver {
    /// Opens the copy on disk and verifies what is there.
    ///
    /// # Errors
    ///
    /// When the copy cannot be opened.
    pub(crate) async fn prepare(
        surroundings: Surroundings,
        prepare: &Prepare,
        manifest: Arc<Manifest>,
        server: Endpoint,
    ) -> anyhow::Result<Self> {
        let directory = surroundings.directory.join(&prepare.id);
        let (storage, have) = Storage::of_copy(&directory, &prepare.file, manifest.clone()).await?;
        let distribution = prepare.id.clone();
        let prepared =
            EventKind::Prepared { distribution: distribution.clone(), have: have.count(), pieces: manifest.pieces() };
        surroundings.log.record(prepared);
        Ok(Self { surroundings, distribution, server, manifest, storage, have })
    }

    /// Fetches until told to end.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails: the process cannot go on.
    pub(crate) async fn run(self, mut orders: mpsc::Receiver<Order>) -> anyhow::Result<Snapshot> {
        let (have, pieces) = (self.have.count(), self.manifest.pieces());
        let idle = || Snapshot::of_idle("client", DistributionState::Prepared, have, pieces);
        if wait_for_begin(&mut orders, idle).await == Waited::End {
            return Ok(idle());
        }
        self.surroundings.log.record(EventKind::Begun { distribution: self.distribution.clone() });
        let now = clock::now();
        let (manifest, have) = (self.manifest.clone(), self.have.clone());
        let core = FetchClient::new(manifest, have, FetchClientOptions::default(), self.surroundings.own_seed(), now);
        let begun_at = clock::seconds();
        let run =
            Run { driver: self, core, line: Line::None, past: QuicCounts::default(), begun_at, completed_at: None };
        run.run(orders).await
    }
}

impl Run {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> anyhow::Result<Snapshot> {
        let mut chunks = vec![Bytes::new(); CHUNKS_AT_ONCE];
        if self.core.is_complete() {
            self.on_completed()?;
        }
        loop {
            self.perform().await?;
            match self.next(&mut orders, &mut chunks).await {
                Happening::Ordered(Some(Order::Begin(_))) => {}
                Happening::Ordered(Some(Order::Inspect(answer))) => {
                    let _ = answer.send(self.snapshot());
                }
                Happening::Ordered(Some(Order::End) | None) => {
                    self.hang_up();
                    return Ok(self.snapshot());
                }
                Happening::Dialled(Ok(open)) => {
                    self.line = Line::Open(open);
                    self.core.handle_connected(clock::now());
                }
                Happening::Dialled(Err(error)) => {
                    tracing::info!("no connection to the server: {error:#}");
                    self.driver.surroundings.metrics.quic_dials_failed_total.inc();
                    self.line = Line::None;
                    self.core.handle_failed(clock::now());
                }
                Happening::Data(count) => {
                    let now = clock::now();
                    for chunk in &mut chunks[..count] {
                        self.core.handle_data(now, &std::mem::take(chunk));
                    }
                }
                Happening::Broken => {
                    self.hang_up();
                    self.core.handle_failed(clock::now());
                }
                Happening::Timeout => self.core.handle_timeout(clock::now()),
            }
        }
    }

    async fn next(&mut self, orders: &mut mpsc::Receiver<Order>, chunks: &mut [Bytes]) -> Happening {
        let deadline = self.core.poll_timeout().map(|(deadline, _)| clock::instant(deadline));
        let line = async {
            match &mut self.line {
                Line::None => std::future::pending().await,
                Line::Dialling(dial) => Happening::Dialled(dial.await),
                Line::Open(open) => match open.receive.read_chunks(chunks).await {
                    Ok(Some(count)) => Happening::Data(count),
                    Ok(None) | Err(_) => Happening::Broken,
                },
            }
        };
        tokio::select! {
            order = orders.recv() => Happening::Ordered(order),
            happening = line => happening,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Happening::Timeout,
        }
    }

    async fn perform(&mut self) -> anyhow::Result<()> {
        while let Some(output) = self.core.poll_output() {
            match output {
                FetchOutput::Connect => self.dial(),
                FetchOutput::Get(get) => self.ask(get).await,
                FetchOutput::Hangup => self.hang_up(),
                FetchOutput::Store { piece, data } => self.driver.storage.write_piece(piece, data)?,
                FetchOutput::Event(FetchEvent::PieceCompleted { piece }) => {
                    let distribution = self.driver.distribution.clone();
                    let have = self.core.have().count();
                    self.driver.surroundings.log.record(EventKind::Piece { distribution, piece, have });
                }
                FetchOutput::Event(FetchEvent::Completed) => self.on_completed()?,
            }
        }
        Ok(())
    }

    fn dial(&mut self) {
        let transport = self.driver.surroundings.transport.clone();
        let server = self.driver.server;
        self.line = Line::Dialling(Box::pin(async move {
            let dialled = transport.dial(Protocol::Fetch, server.peer, server.addr).await?;
            let connection = dialled.connection;
            let (send, receive) = connection.open_bi().await?;
            Ok(Open { connection, send, receive })
        }));
    }

    /// Writes the request. A failure shows when the answer is read.
    async fn ask(&mut self, get: Get) {
        if let Line::Open(open) = &mut self.line {
            let _ = open.send.write_all(&get.to_frame()).await;
            let _ = open.send.finish();
        }
    }

    fn hang_up(&mut self) {
        if let Line::Open(mut open) = std::mem::replace(&mut self.line, Line::None) {
            let _ = open.receive.stop(VarInt::from_u32(0));
            self.past.add(&open.connection);
            Close::Done.close(&open.connection);
        }
    }

    fn on_completed(&mut self) -> anyhow::Result<()> {
        let path = self.driver.storage.complete()?;
        self.completed_at = Some(clock::seconds());
        let (distribution, bytes) = (self.driver.distribution.clone(), self.driver.manifest.size());
        self.driver.surroundings.log.record(EventKind::Completed { distribution, bytes, path });
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let client = self.core.stats();
        let (mut quic, mut paths) = (self.past, Paths::default());
        if let Line::Open(open) = &self.line {
            quic.add(&open.connection);
            paths.add(&open.connection);
        }
        let mut status = prepared_status("client", self.core.have().count(), self.driver.manifest.pieces());
        status.state = if self.core.is_complete() { DistributionState::Complete } else { DistributionState::Running };
        status.bytes_down = client.downloaded_bytes;
        status.bytes_wasted = client.wasted_bytes;
        status.neighbours = u32::try_from(paths.connections).unwrap_or(u32::MAX);
        status.begun_at = Some(self.begun_at);
        status.completed_at = self.completed_at;
        Snapshot { status, counts: Counts { client, quic, ..Counts::default() }, paths }
    }
}

/// Pieces of a datagram's size taken off the stream under one lock.
const CHUNKS_AT_ONCE: usize = 32;
