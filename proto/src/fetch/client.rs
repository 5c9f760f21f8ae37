//! The client's core: asks for what is missing, verifies pieces, connects again after a failure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::message::Get;
use crate::bits::PieceSet;
use crate::content::{LeafHashes, Manifest};
use crate::random::Random;
use crate::time::{Time, seconds};

/// Fetches one content from one server, front to back. Holds at most one piece.
///
/// ```text
///            Connect            handle_connected: Get          handle_data … last piece
/// Waiting ───────────▶ Dialling ─────────────────────▶ Reading ────────────────────────▶ Done
///    ▲                    │ handle_failed                 │ handle_failed, or a bad piece
///    └────────────────────┴───────────────────────────────┘
/// ```
#[derive(Debug)]
pub struct FetchClient {
    manifest: Arc<Manifest>,
    options: FetchClientOptions,
    random: Random,
    have: PieceSet,
    state: State,
    /// Failures since a piece was last completed.
    failures: u32,
    /// Bytes of the piece being read.
    partial: BytesMut,
    outputs: VecDeque<FetchOutput>,
    stats: FetchClientStats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Connects at this time.
    Waiting(Time),
    Dialling,
    /// Reads this piece.
    Reading(u32),
    Done,
}

/// What the client asks of the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchOutput {
    /// Connect to the server and open a stream; answered by `handle_connected` or `handle_failed`.
    Connect,
    /// Write this to the stream as one frame, then read and report.
    Get(Get),
    /// Close the connection. Nothing is reported about it any more.
    Hangup,
    /// Write a verified piece to the file.
    Store {
        /// The piece.
        piece: u32,
        /// All its bytes.
        data: Bytes,
    },
    /// Something worth telling the outside.
    Event(FetchEvent),
}

/// Something that happened while fetching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchEvent {
    /// A piece was verified.
    PieceCompleted {
        /// Which.
        piece: u32,
    },
    /// The file became whole. Once, and not for a client that began with the whole file.
    Completed,
}

impl FetchClient {
    /// Starts fetching what is not on disk yet, at once; `seed` is the run's.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>, have: PieceSet, options: FetchClientOptions, seed: u64, now: Time) -> Self {
        let mut client = Self {
            state: if have.is_full() { State::Done } else { State::Waiting(now) },
            manifest,
            options,
            random: Random::new(seed, "fetch client"),
            have,
            failures: 0,
            partial: BytesMut::new(),
            outputs: VecDeque::new(),
            stats: FetchClientStats::default(),
        };
        client.handle_timeout(now);
        client
    }

    /// A connection and a stream to the server stand.
    pub fn handle_connected(&mut self, now: Time) {
        let _ = now;
        let State::Dialling = self.state else { return };
        let Some(piece) = self.next_missing(0) else { return };
        self.state = State::Reading(piece);
        let from = self.manifest.piece_range(piece).start;
        self.outputs.push_back(FetchOutput::Get(Get { content: self.manifest.id(), from }));
    }

    /// Bytes came off the stream.
    pub fn handle_data(&mut self, now: Time, mut data: &[u8]) {
        while let State::Reading(piece) = self.state
            && !data.is_empty()
        {
            let missing = self.manifest.piece_len(piece) as usize - self.partial.len();
            let (part, rest) = data.split_at(missing.min(data.len()));
            self.partial.extend_from_slice(part);
            data = rest;
            if part.len() == missing {
                self.end_piece(now, piece);
            }
        }
    }

    /// The connection could not be made, was refused, or ended before the file did.
    pub fn handle_failed(&mut self, now: Time) {
        if matches!(self.state, State::Dialling | State::Reading(_)) {
            self.stats.failures += 1;
            self.retry(now);
        }
    }

    /// The deadline of [`FetchClient::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        if let State::Waiting(due) = self.state
            && due <= now
        {
            self.state = State::Dialling;
            self.stats.connects += 1;
            self.outputs.push_back(FetchOutput::Connect);
        }
    }

    /// Takes the next thing to do.
    pub fn poll_output(&mut self) -> Option<FetchOutput> {
        self.outputs.pop_front()
    }

    /// When to connect again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        match self.state {
            State::Waiting(due) => Some((due, "connect to the server again")),
            State::Dialling | State::Reading(_) | State::Done => None,
        }
    }

    /// Whether the whole content is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// The pieces that are there.
    #[must_use]
    pub fn have(&self) -> &PieceSet {
        &self.have
    }

    /// What this client has counted.
    #[must_use]
    pub fn stats(&self) -> FetchClientStats {
        self.stats
    }

    fn end_piece(&mut self, now: Time, piece: u32) {
        let data = self.partial.split().freeze();
        let root = LeafHashes::of_piece(&data).root(self.manifest.leaves_per_piece());
        if self.have.contains(piece) {
            // The server sends everything from the first gap on; what resumed behind it comes a second time.
            self.stats.wasted_bytes += data.len() as u64;
        } else if self.manifest.root(piece) == Some(root) {
            self.stats.downloaded_bytes += data.len() as u64;
            self.failures = 0;
            self.have.insert(piece);
            self.outputs.push_back(FetchOutput::Store { piece, data });
            self.outputs.push_back(FetchOutput::Event(FetchEvent::PieceCompleted { piece }));
        } else {
            self.stats.bad_pieces += 1;
            self.stats.wasted_bytes += data.len() as u64;
            self.outputs.push_back(FetchOutput::Hangup);
            self.retry(now);
            return;
        }
        if self.have.is_full() {
            self.state = State::Done;
            self.outputs.push_back(FetchOutput::Event(FetchEvent::Completed));
            self.outputs.push_back(FetchOutput::Hangup);
        } else {
            self.state = State::Reading(piece + 1);
        }
    }

    fn retry(&mut self, now: Time) {
        self.partial.clear();
        self.failures += 1;
        let doubled = self.options.retry_min.saturating_mul(1 << (self.failures - 1).min(16));
        let wait = doubled.min(self.options.retry_max).mul_f64(0.75 + 0.5 * self.random.fraction());
        self.state = State::Waiting(now + wait);
    }

    fn next_missing(&self, from: u32) -> Option<u32> {
        (from..self.manifest.pieces()).find(|&piece| !self.have.contains(piece))
    }
}

/// What can be set about a client. In JSON, durations are numbers of seconds and every field may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FetchClientOptions {
    /// Wait after the first failure; doubles with each. Default 500 ms.
    #[serde(with = "seconds")]
    pub retry_min: Duration,
    /// Longest wait after a failure. Default 15 s.
    #[serde(with = "seconds")]
    pub retry_max: Duration,
}

impl Default for FetchClientOptions {
    fn default() -> Self {
        Self { retry_min: Duration::from_millis(500), retry_max: Duration::from_secs(15) }
    }
}

/// Counters of a client; each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchClientStats {
    /// Bytes of pieces that passed their hash and were new.
    pub downloaded_bytes: u64,
    /// Bytes received in vain.
    pub wasted_bytes: u64,
    /// Pieces that failed their hash.
    pub bad_pieces: u64,
    /// Attempts to connect.
    pub connects: u64,
    /// Connections that failed or broke off.
    pub failures: u64,
}

#[cfg(test)]
mod tests;
