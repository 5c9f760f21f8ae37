//! Reads from a neighbour: its control stream, and the streams of the runs it sends.
//!
//! One task per connection. How many run streams there can be at once is QUIC's stream limit; each holds what it reads at once
//! and at most a leaf beside that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use peerbed_proto::Manifest;
use peerbed_proto::swarm::{Message, Run, RunPart, RunReader};
use peerbed_proto::wire::{Decode, DecodeError, FrameReader};
use quinn::{Connection, ReadError, RecvStream, VarInt};

use crate::swarm::hashing::hashed;
use crate::swarm::neighbour::{Arrival, Report};

/// The runs whose streams are being read.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    unwanted: Mutex<BTreeMap<Run, Arc<AtomicBool>>>,
}

impl Receiving {
    /// Lets a run's stream be stopped at its next bytes.
    pub(super) fn stop(&self, run: Run) {
        if let Some(unwanted) = self.table().get(&run) {
            unwanted.store(true, Ordering::Relaxed);
        }
    }

    fn add(&self, run: Run) -> Arc<AtomicBool> {
        let unwanted = Arc::new(AtomicBool::new(false));
        self.table().insert(run, unwanted.clone());
        unwanted
    }

    /// Forgets a run, unless another stream has taken its place meanwhile.
    fn remove(&self, run: Run, unwanted: &Arc<AtomicBool>) {
        let mut table = self.table();
        if table.get(&run).is_some_and(|current| Arc::ptr_eq(current, unwanted)) {
            table.remove(&run);
        }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Run, Arc<AtomicBool>>> {
        self.unwanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why reading a connection ended.
enum End {
    Violation(String),
    Closed(String),
}

/// Reads a connection to its end. `opened` is its control stream, if that was read from before.
pub(super) async fn read(
    connection: Connection,
    opened: Option<(RecvStream, FrameReader)>,
    manifest: Arc<Manifest>,
    receiving: Arc<Receiving>,
    report: Report,
) {
    let end = read_to_end(&connection, opened, manifest, &receiving, &report).await;
    match end {
        End::Violation(what) => report.send(Arrival::Violation(what)).await,
        End::Closed(why) => report.send(Arrival::Closed(why)).await,
    }
}

async fn read_to_end(
    connection: &Connection,
    opened: Option<(RecvStream, FrameReader)>,
    manifest: Arc<Manifest>,
    receiving: &Receiving,
    report: &Report,
) -> End {
    let (stream, reader) = match opened {
        Some(opened) => opened,
        // The first stream of either side is its control stream: quinn hands them out in the order of their numbers.
        None => match connection.accept_uni().await {
            Ok(stream) => (stream, FrameReader::new(Message::FRAME_MAX)),
            Err(error) => return End::Closed(error.to_string()),
        },
    };
    tokio::select! {
        end = read_control(connection, stream, reader, report) => end,
        end = read_runs(connection, &manifest, receiving, report) => end,
        stray = connection.accept_bi() => match stray {
            Ok(_) => End::Violation("a stream of both directions".to_owned()),
            Err(error) => End::Closed(error.to_string()),
        },
    }
}

async fn read_control(
    connection: &Connection,
    mut stream: RecvStream,
    mut reader: FrameReader,
    report: &Report,
) -> End {
    loop {
        loop {
            match reader.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => match Message::from_bytes(frame) {
                    Ok(message) => report.send(Arrival::Message(message)).await,
                    Err(error) => return End::Violation(error.to_string()),
                },
                Err(error) => return End::Violation(error.to_string()),
            }
        }
        match stream.read_chunk(CHUNK, true).await {
            Ok(Some(chunk)) => reader.feed(&chunk.bytes),
            // The neighbour hangs up: it closes the connection when we have acknowledged its last words.
            Ok(None) => return End::Closed(connection.closed().await.to_string()),
            Err(ReadError::ConnectionLost(error)) => return End::Closed(error.to_string()),
            Err(error) => return End::Violation(error.to_string()),
        }
    }
}

async fn read_runs(connection: &Connection, manifest: &Arc<Manifest>, receiving: &Receiving, report: &Report) -> End {
    let mut runs = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = connection.accept_uni() => match accepted {
                Ok(stream) => runs.push(read_run(stream, manifest.clone(), receiving, report)),
                // The runs read so far were reported; what is cut short now the core learns from the disconnect.
                Err(error) => return End::Closed(error.to_string()),
            },
            Some(read) = runs.next() => {
                if let Err(violation) = read {
                    return End::Violation(violation);
                }
            }
        }
    }
}

/// Reads one run. The error is a violation.
async fn read_run(
    mut stream: RecvStream,
    manifest: Arc<Manifest>,
    receiving: &Receiving,
    report: &Report,
) -> Result<(), String> {
    let mut reader = RunReader::new(manifest);
    let mut run: Option<(Run, Arc<AtomicBool>)> = None;
    let mut chunks = vec![Bytes::new(); CHUNKS_AT_ONCE];
    let result = loop {
        let Ok(Some(count)) = stream.read_chunks(&mut chunks).await else { break Ok(()) };
        for chunk in &mut chunks[..count] {
            reader.feed(&std::mem::take(chunk));
        }
        if let Err(error) = report_parts(&mut reader, &mut run, receiving, report).await {
            break Err(error.to_string());
        }
        if run.as_ref().is_some_and(|(_, unwanted)| unwanted.load(Ordering::Relaxed)) {
            let _ = stream.stop(STOP_CODE);
            break Ok(());
        }
    };
    if let Some((run, unwanted)) = run {
        receiving.remove(run, &unwanted);
        if result.is_ok() && !reader.is_complete() && !unwanted.load(Ordering::Relaxed) {
            report.send(Arrival::RunRefused(run)).await;
        }
    }
    result
}

/// Reports what is complete by now. What comes before an error counts.
async fn report_parts(
    reader: &mut RunReader,
    run: &mut Option<(Run, Arc<AtomicBool>)>,
    receiving: &Receiving,
    report: &Report,
) -> Result<(), DecodeError> {
    let mut leaves = Vec::new();
    let taken = loop {
        match (reader.next_part(), &run) {
            (Ok(None), _) => break Ok(()),
            (Err(error), _) => break Err(error),
            (Ok(Some(RunPart::Header(header))), _) => *run = Some((header.run, receiving.add(header.run))),
            (Ok(Some(RunPart::Layer(layer))), Some((run, _))) => {
                report.send(Arrival::Layer { piece: run.piece, layer }).await;
            }
            (Ok(Some(RunPart::Leaf { leaf, data })), Some(_)) => leaves.push((leaf, data)),
            (Ok(Some(RunPart::Layer(_) | RunPart::Leaf { .. })), None) => unreachable!("a header comes first"),
        }
    };
    if let Some((run, _)) = run {
        for (leaf, data) in hashed(leaves).await {
            report.send(Arrival::Leaf { piece: run.piece, leaf, data }).await;
        }
    }
    taken
}

/// Bytes taken off a control stream at once.
const CHUNK: usize = 16 << 10;

/// Pieces of a datagram's size taken off a run stream under one lock: up to eleven leaves.
const CHUNKS_AT_ONCE: usize = 128;

/// Code with which an unwanted run is stopped. The core's messages say why.
const STOP_CODE: VarInt = VarInt::from_u32(1);
