//! What a peer reports as it happens (`GET /events`): newline-delimited JSON, shared with the orchestrator.
//!
//! Each line is `{"t": <seconds of CLOCK_MONOTONIC>, "event": "<kind>", …}`. The log that keeps and replays them is in
//! `event_log`; counters are in `metrics`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ring_control::RingReport;

/// One thing that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, in seconds of CLOCK_MONOTONIC.
    pub t: f64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The peer listens and answers on its control socket.
    Ready {
        /// Address of its QUIC endpoint, with the port the kernel chose.
        listen: SocketAddr,
    },
    /// A distribution's storage and manifest are ready.
    Prepared {
        /// The distribution.
        distribution: String,
        /// Pieces verified on disk (all of them for a seed or server).
        have: u32,
        /// Pieces of the file.
        pieces: u32,
    },
    /// A distribution has started.
    Begun {
        /// The distribution.
        distribution: String,
    },
    /// A piece has been verified and written.
    Piece {
        /// The distribution.
        distribution: String,
        /// Index of the piece.
        piece: u32,
        /// Pieces that the peer has now.
        have: u32,
    },
    /// The whole file is verified, on disk, under its final name.
    Completed {
        /// The distribution.
        distribution: String,
        /// Its size in bytes.
        bytes: u64,
        /// Where it is.
        path: PathBuf,
    },
    /// A distribution has been closed and its memory freed.
    Ended {
        /// The distribution.
        distribution: String,
    },
    /// A stranger or a wrong peer was refused before any protocol began.
    PeerRefused {
        /// Why.
        reason: RefusedReason,
        /// Its address.
        addr: SocketAddr,
        /// More words.
        detail: String,
    },
    /// A neighbour was dropped.
    PeerDropped {
        /// The distribution.
        distribution: String,
        /// Its number in the plan.
        peer: u32,
        /// Why: the core's word.
        reason: String,
    },
    /// Something about the ring that the peer is in.
    Ring(RingReport),
    /// Older events were discarded because the log is bounded.
    Missed {
        /// How many.
        count: u64,
    },
    /// The peer has left: told its neighbours, drained, and is about to exit.
    Left,
    /// Something failed. The process goes on unless `fatal`.
    Error {
        /// The distribution, when it concerns one. That distribution has stopped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        distribution: Option<String>,
        /// One sentence for people.
        error: String,
        /// The process ends with a non-zero exit code because of it.
        fatal: bool,
    },
}

/// Why a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedReason {
    /// The certificate was not signed by this run's authority, or is unreadable or expired.
    Certificate,
    /// No certificate was presented.
    NoCertificate,
    /// The certificate names another run.
    Run,
    /// The certificate names another peer than the one that was dialled, or none that can be read.
    Identity,
    /// No protocol in common.
    Protocol,
    /// The protocol is known, but nothing here serves it now (no such distribution, no tracker).
    Unserved,
    /// Too many handshakes or connections at once.
    Busy,
    /// The handshake failed in another way, or took too long.
    Handshake,
}

impl RefusedReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Certificate,
        Self::NoCertificate,
        Self::Run,
        Self::Identity,
        Self::Protocol,
        Self::Unserved,
        Self::Busy,
        Self::Handshake,
    ];

    /// The word used in events, and as the metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::NoCertificate => "no-certificate",
            Self::Run => "run",
            Self::Identity => "identity",
            Self::Protocol => "protocol",
            Self::Unserved => "unserved",
            Self::Busy => "busy",
            Self::Handshake => "handshake",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_one_flat_object() {
        let event = Event { t: 1.5, kind: EventKind::Begun { distribution: "d0".into() } };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(line, r#"{"t":1.5,"event":"begun","distribution":"d0"}"#);
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn reason_reads_the_same_in_events_and_labels() {
        for reason in RefusedReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
