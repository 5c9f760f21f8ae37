//! The server's core: who may fetch, and what was sent.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::message::Get;
use crate::content::Manifest;
use crate::id::PeerId;

/// Decides whom a server serves. It needs no time and no timer.
#[derive(Debug)]
pub struct FetchServer {
    manifest: Arc<Manifest>,
    options: FetchServerOptions,
    /// Clients being served; at most `options.clients_max`.
    clients: BTreeSet<PeerId>,
    stats: FetchServerStats,
}

impl FetchServer {
    /// Makes a server of one content.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>, options: FetchServerOptions) -> Self {
        Self { manifest, options, clients: BTreeSet::new(), stats: FetchServerStats::default() }
    }

    /// Answers a client's request with the bytes of the file to send. Every answer is followed by `handle_ended`, once.
    ///
    /// # Errors
    /// [`RefusedGet`]: the driver resets the stream and the client counts as not served.
    pub fn handle_get(&mut self, client: PeerId, get: Get) -> Result<GetAnswer, RefusedGet> {
        let refusal = if get.content != self.manifest.id() {
            Some(RefusedGet::UnknownContent)
        } else if get.from > self.manifest.size() {
            Some(RefusedGet::BeyondEnd { from: get.from })
        } else if self.clients.contains(&client) {
            Some(RefusedGet::AlreadyServed)
        } else if self.clients.len() >= self.options.clients_max {
            Some(RefusedGet::Full { clients: self.clients.len() })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.stats.refused += 1;
            return Err(refusal);
        }
        self.clients.insert(client);
        self.stats.gets += 1;
        Ok(GetAnswer { range: get.from..self.manifest.size() })
    }

    /// A client's stream ended: all was acknowledged, or the client or its connection went away. `bytes` were written.
    pub fn handle_ended(&mut self, client: PeerId, bytes: u64) {
        if self.clients.remove(&client) {
            self.stats.ended += 1;
            self.stats.sent_bytes += bytes;
        }
    }

    /// How many clients are being served.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// What this server has counted.
    #[must_use]
    pub fn stats(&self) -> FetchServerStats {
        self.stats
    }
}

/// What to send to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetAnswer {
    /// Bytes of the file; may be empty.
    pub range: Range<u64>,
}

/// Why a client is not served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefusedGet {
    /// It wants another content.
    #[error("the content asked for is not served here")]
    UnknownContent,
    /// It wants bytes behind the end.
    #[error("byte {from} lies behind the end")]
    BeyondEnd {
        /// The first byte it wants.
        from: u64,
    },
    /// It is being served already.
    #[error("the client is being served already")]
    AlreadyServed,
    /// As many clients are being served as may be.
    #[error("{clients} clients are being served already")]
    Full {
        /// How many.
        clients: usize,
    },
}

impl RefusedGet {
    /// The application error code of the stream reset, from 1 on.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::UnknownContent => 1,
            Self::BeyondEnd { .. } => 2,
            Self::AlreadyServed => 3,
            Self::Full { .. } => 4,
        }
    }
}

/// What can be set about a server. In JSON every field may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FetchServerOptions {
    /// Most clients served at a time; more are refused and try again. Default 1 000.
    pub clients_max: usize,
}

impl Default for FetchServerOptions {
    fn default() -> Self {
        Self { clients_max: 1_000 }
    }
}

/// Counters of a server; each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchServerStats {
    /// Requests answered.
    pub gets: u64,
    /// Requests refused.
    pub refused: u64,
    /// Streams that ended, for whatever reason.
    pub ended: u64,
    /// Bytes written to streams that ended.
    pub sent_bytes: u64,
}

#[cfg(test)]
mod tests;
