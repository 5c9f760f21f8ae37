//! Writes to a neighbour: the control stream, ahead of everything else, and one stream per run.
//!
//! Runs are written one after another in the order of serving, so that the first is complete early instead of all
//! being complete late. Leaves are read from disk when their stream takes them, not before.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use peerbed_proto::swarm::{Conduct, LayerWish, Run, RunHeader};
use peerbed_proto::wire::Encode;
use peerbed_proto::{LeafHashes, Manifest};
use quinn::{Connection, SendStream, VarInt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::storage::Storage;
use crate::swarm::neighbour::{Arrival, Report};
use crate::swarm::tampering;

/// What goes onto a control stream.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// One frame.
    Frame(Bytes),
    /// Nothing more: when all is acknowledged, the connection is closed with this code.
    Close(VarInt),
}

/// A run to be written.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) run: Run,
    /// Leaf hashes that go in front.
    pub(super) layer: Option<Arc<LeafHashes>>,
    /// Resolves, either way, when the run is not wanted any more.
    pub(super) stopped: oneshot::Receiver<()>,
}

/// Writes control frames until told to close or the queue is dropped.
pub(super) async fn write_control(connection: Connection, mut queue: mpsc::Receiver<Outgoing>) {
    let Ok(mut stream) = connection.open_uni().await else { return };
    let _ = stream.set_priority(CONTROL_PRIORITY);
    let mut waiting = Vec::new();
    let mut bytes = BytesMut::new();
    while queue.recv_many(&mut waiting, FRAMES_AT_ONCE).await > 0 {
        let mut close = None;
        for outgoing in waiting.drain(..) {
            match outgoing {
                Outgoing::Frame(frame) => bytes.extend_from_slice(&frame),
                Outgoing::Close(code) => close = Some(code),
            }
        }
        // What is behind a broken connection is told by the task that reads.
        if stream.write_chunk(bytes.split().freeze()).await.is_err() {
            return;
        }
        if let Some(code) = close {
            let _ = stream.finish();
            let _ = timeout(LAST_WORDS_MAX, stream.stopped()).await;
            connection.close(code, b"");
            return;
        }
    }
}

/// Writes runs until the queue is dropped, and reports each.
pub(super) async fn write_runs(
    connection: Connection,
    mut queue: mpsc::Receiver<Serving>,
    storage: Arc<Storage>,
    manifest: Arc<Manifest>,
    conduct: Conduct,
    report: Report,
) {
    let mut unacknowledged = FuturesUnordered::new();
    let mut current = None;
    loop {
        tokio::select! {
            job = queue.recv(), if current.is_none() => {
                let Some(job) = job else { return };
                current = Some(Box::pin(write_run(&connection, job, &storage, &manifest, conduct)));
            }
            written = async { current.as_mut().expect("the branch's condition holds").await }, if current.is_some() => {
                current = None;
                match written {
                    Ok(written) => unacknowledged.push(wait_until_acknowledged(written, &manifest)),
                    Err(Some(arrival)) => report.send(arrival).await,
                    Err(None) => {}
                }
            }
            Some(acknowledged) = unacknowledged.next() => {
                if let Some(arrival) = acknowledged {
                    report.send(arrival).await;
                }
            }
        }
    }
}

/// A run whose last byte was handed to QUIC.
struct Written {
    stream: SendStream,
    run: Run,
    stopped: oneshot::Receiver<()>,
}

/// Writes one run. The error is what there is to report; None when nobody wants to hear of the run any more.
async fn write_run(
    connection: &Connection,
    job: Serving,
    storage: &Storage,
    manifest: &Manifest,
    conduct: Conduct,
) -> Result<Written, Option<Arrival>> {
    let Serving { run, layer, mut stopped } = job;
    let mut stream = tokio::select! {
        biased;
        _ = &mut stopped => return Err(None),
        stream = connection.open_uni() => match stream {
            Ok(stream) => stream,
            Err(_) => return Err(Some(Arrival::RunStopped { run, error: None })),
        },
    };
    let written = tokio::select! {
        biased;
        _ = &mut stopped => None,
        written = write_leaves(&mut stream, (run, layer.as_deref()), storage, manifest, conduct) => Some(written),
    };
    match written {
        Some(Ok(())) => Ok(Written { stream, run, stopped }),
        Some(Err(error)) => {
            let _ = stream.reset(RESET_CODE);
            Err(Some(Arrival::RunStopped { run, error }))
        }
        None => {
            let _ = stream.reset(RESET_CODE);
            Err(None)
        }
    }
}

/// The error is None when the neighbour is to blame, and ours when the disk is.
async fn write_leaves(
    stream: &mut SendStream,
    (run, layer): (Run, Option<&LeafHashes>),
    storage: &Storage,
    manifest: &Manifest,
    conduct: Conduct,
) -> Result<(), Option<anyhow::Error>> {
    let mut head = BytesMut::new();
    let wish = if layer.is_some() { LayerWish::Send } else { LayerWish::Omit };
    RunHeader { run, layer: wish }.encode(&mut head);
    if let Some(layer) = layer {
        layer.encode(&mut head);
    }
    tampering::spoil_head(conduct, wish, &mut head);
    stream.write_chunk(head.freeze()).await.map_err(|_| None)?;
    let mut rest = run.range(manifest);
    while rest.start < rest.end {
        let end = rest.end.min(rest.start + READ_BYTES);
        let bytes = tampering::spoil_leaves(conduct, storage.read(rest.start..end).map_err(Some)?);
        stream.write_chunk(bytes).await.map_err(|_| None)?;
        rest.start = end;
    }
    stream.finish().map_err(|_| None)
}

async fn wait_until_acknowledged(written: Written, manifest: &Manifest) -> Option<Arrival> {
    let Written { mut stream, run, mut stopped } = written;
    let acknowledged = tokio::select! {
        biased;
        _ = &mut stopped => None,
        acknowledged = stream.stopped() => Some(acknowledged),
    };
    match acknowledged {
        Some(Ok(None)) => Some(Arrival::RunSent { run, bytes: run.bytes(manifest) }),
        Some(Ok(Some(_)) | Err(_)) => Some(Arrival::RunStopped { run, error: None }),
        None => {
            let _ = stream.reset(RESET_CODE);
            None
        }
    }
}

/// Above the runs, which have quinn's default of 0: a message about a leaf is worth more than the next leaf.
const CONTROL_PRIORITY: i32 = 100;

/// Frames put into one write.
const FRAMES_AT_ONCE: usize = 64;

/// Bytes of leaves read from disk at once.
const READ_BYTES: u64 = 64 << 10;

/// Time that the last control messages may take before the connection is closed anyway.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Code of a run stream that is reset. The core's messages say why.
const RESET_CODE: VarInt = VarInt::from_u32(1);
