//! All connections with one other peer: which is in use, and which of two goes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use peerbed_proto::ring::conduct::Word;
use quinn::Connection;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::ring::Input;
use crate::ring::exchange::Line;
use crate::transport::Close;

/// Everything about one other peer.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The one in use last; those before it are about to be closed.
    pub(super) open: Vec<Open>,
    pub(super) dial: Option<AbortHandle>,
    /// What is to be sent once connected. At most [`super::WAITING_MAX`].
    pub(super) waiting: VecDeque<Word>,
    /// No dial before this unless something is to be sent.
    pub(super) rest_until: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) serial: u64,
    pub(super) connection: Connection,
    pub(super) dialled: Dialled,
    pub(super) since: Instant,
    pub(super) used: Instant,
    /// Set on one that another has replaced.
    pub(super) close_at: Option<Instant>,
    /// Questions that are still open, by number.
    pub(super) asked: BTreeMap<u32, Asked>,
}

/// What was so when a question was asked for the first time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: Instant,
    /// Datagrams received before.
    pub(super) datagrams: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialled {
    ByUs,
    ByThem,
}

impl Link {
    /// Adds a connection; returns how many have to go because of it.
    pub(super) fn insert(&mut self, open: Open, ours_is_lower: bool) -> u64 {
        let Some(before) = self.open.last() else {
            self.open.push(open);
            return 0;
        };
        let is_at_once = open.since - before.since < AT_ONCE && before.dialled != open.dialled;
        let lower = if ours_is_lower { Dialled::ByUs } else { Dialled::ByThem };
        let keeps_before = is_at_once && before.dialled == lower;
        let place = if keeps_before { self.open.len() - 1 } else { self.open.len() };
        self.open.insert(place, open);
        let last = self.open.len() - 1;
        // What was asked over a loser is still answered there.
        for loser in &mut self.open[..last] {
            loser.close_at.get_or_insert(loser.used + GRACE);
        }
        // Somebody who dials again and again gets no more of them.
        if self.open.len() > OPEN_MAX {
            Close::Duplicate.close(&self.open[0].connection);
        }
        1
    }

    /// The last one left is used, even if another had replaced it.
    pub(super) fn keep_last(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.close_at = None;
        }
    }
}

impl Open {
    pub(super) fn line(&self, peer: u32, inbox: &mpsc::Sender<Input>) -> Line {
        Line { connection: self.connection.clone(), peer, serial: self.serial, inbox: inbox.clone() }
    }
}

/// Two connections made in opposite directions within this time are two dials that crossed.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Time for answers on a connection that another has replaced.
const GRACE: Duration = Duration::from_secs(5);

/// Connections with one peer at a time; with one more the oldest is closed at once.
const OPEN_MAX: usize = 3;
