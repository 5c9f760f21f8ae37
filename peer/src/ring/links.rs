//! The connections of a ring: one to each neighbour all the time, others while they are used, each dialled when something
//! is to be sent.
//!
//! Who dialled decides when to let go, so that nobody closes what the other side counts on. Two peers that dial each other
//! at once keep the connection of the lower number; a newcomer long after that means that the other side has lost its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use peerbed_proto::ring::Message;
use peerbed_proto::ring::conduct::Word;
use quinn::SendStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::Input;
use super::exchange::reply;
use super::seats::Seats;
use super::tampering;
use crate::distribution::{Paths, QuicCounts};
use crate::transport::{Close, PeerConnection, Protocol, Transport};

use self::link::{Asked, Dialled, Link, Open};
pub(super) use self::replies::Replies;

mod link;
mod replies;
mod tending;

/// All connections of a ring's driver.
#[derive(Debug)]
pub(super) struct Links {
    transport: Arc<Transport>,
    seats: Arc<Seats>,
    inbox: mpsc::Sender<Input>,
    /// At most one entry for each place of the roster.
    links: BTreeMap<u32, Link>,
    next_serial: u64,
    tasks: JoinSet<()>,
    /// What QUIC counted over connections that are gone.
    past: QuicCounts,
    pub(super) traffic: Traffic,
    pub(super) neighbours: usize,
    pub(super) connected: usize,
}

/// Counters of a driver, beside its core's. Each only grows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    /// Dials that failed.
    pub(crate) dials_failed: u64,
    /// Connections given up because nothing came over them any more.
    pub(crate) stale: u64,
    /// Connections closed because there were two to the same peer.
    pub(crate) duplicates: u64,
    /// Connections refused because of earlier offences.
    pub(crate) banned: u64,
    /// Messages not sent because a limit was reached.
    pub(crate) dropped: u64,
    /// Messages not sent because somebody else sits at their receiver's point.
    pub(crate) misdirected: u64,
    /// Streams that brought no whole message.
    pub(crate) broken: u64,
    /// Questions of others that were never answered.
    pub(crate) unanswered: u64,
}

/// Whether a peer is still connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// By another connection, or one is on its way.
    Another,
    /// Not at all, although it was.
    None,
    /// It does not matter: that connection was known to be gone.
    Known,
}

impl Links {
    pub(super) fn new(transport: Arc<Transport>, seats: Arc<Seats>, inbox: mpsc::Sender<Input>) -> Self {
        Self {
            transport,
            seats,
            inbox,
            links: BTreeMap::new(),
            next_serial: 0,
            tasks: JoinSet::new(),
            past: QuicCounts::default(),
            traffic: Traffic::default(),
            neighbours: 0,
            connected: 0,
        }
    }

    /// Sends a question or a note, now or when connected.
    pub(super) fn send(&mut self, peer: u32, word: Word) {
        self.drop_stale(peer, &word);
        let link = self.links.entry(peer).or_default();
        if let Some(open) = link.open.last_mut() {
            let line = open.line(peer, &self.inbox);
            let frame = tampering::frame(&word);
            let Some(tasks) = room(&mut self.tasks, &mut self.traffic) else { return };
            open.used = Instant::now();
            match word {
                Word::Message(Message::Question { number, .. }) => {
                    let datagrams = || open.connection.stats().udp_rx.datagrams;
                    open.asked.entry(number).or_insert_with(|| Asked { at: open.used, datagrams: datagrams() });
                    tasks.spawn(line.ask(number, frame));
                }
                Word::Message(Message::Answer { .. } | Message::Note(_)) | Word::Garbage => {
                    tasks.spawn(line.tell(frame));
                }
            }
            return;
        }
        if link.waiting.len() >= WAITING_MAX {
            self.traffic.dropped += 1;
            return;
        }
        link.waiting.push_back(word);
        self.dial(peer);
    }

    /// Answers a question.
    pub(super) fn reply(&mut self, stream: SendStream, frame: Bytes) {
        if let Some(tasks) = room(&mut self.tasks, &mut self.traffic) {
            tasks.spawn(reply(stream, frame));
        }
    }

    /// Takes a connection that somebody else opened, but none of an outlaw.
    pub(super) fn handle_accepted(&mut self, accepted: PeerConnection, is_outlaw: bool) {
        let peer = accepted.peer;
        if self.seats.contact(peer).is_none() {
            return self.transport.refuse_unserved(&accepted, "the ring has no place for this peer");
        }
        if is_outlaw {
            self.traffic.banned += 1;
            return Close::Violation.close(&accepted.connection);
        }
        self.open(accepted, Dialled::ByThem);
    }

    /// Takes the end of a dial.
    ///
    /// # Errors
    ///
    /// When the peer cannot be reached, and is not connected otherwise.
    pub(super) fn handle_dialled(&mut self, peer: u32, result: anyhow::Result<PeerConnection>) -> Result<(), ()> {
        let link = self.links.entry(peer).or_default();
        link.dial = None;
        match result {
            Ok(connection) => {
                self.open(connection, Dialled::ByUs);
                Ok(())
            }
            Err(error) => {
                tracing::debug!(peer, "ring: {error:#}");
                self.traffic.dials_failed += 1;
                link.waiting.clear();
                link.rest_until = Some(Instant::now() + REST);
                if link.open.is_empty() { Err(()) } else { Ok(()) }
            }
        }
    }

    /// A question got its answer, or never will. Returns the time since it was asked on that connection for the first time;
    /// none when it was answered before.
    pub(super) fn handle_answered(&mut self, peer: u32, serial: u64, number: u32) -> Option<Duration> {
        self.find(peer, serial)?.asked.remove(&number).map(|asked| asked.at.elapsed())
    }

    /// A connection is gone.
    pub(super) fn handle_closed(&mut self, peer: u32, serial: u64) -> Left {
        let Some(link) = self.links.get_mut(&peer) else { return Left::Known };
        let Some(place) = link.open.iter().position(|open| open.serial == serial) else { return Left::Known };
        self.past.add(&link.open.remove(place).connection);
        link.keep_last();
        match link.open.len() {
            0 if link.dial.is_none() => Left::None,
            _ => Left::Another,
        }
    }

    /// A peer broke the protocol: its connection is closed.
    pub(super) fn handle_violated(&mut self, peer: u32, serial: u64) {
        tracing::info!(peer, "ring: broke the protocol");
        if let Some(open) = self.find(peer, serial) {
            Close::Violation.close(&open.connection);
        }
    }

    /// Open connections.
    pub(super) fn count(&self) -> usize {
        self.links.values().map(|link| link.open.len()).sum()
    }

    /// What QUIC counted over all connections so far, and the gauges of the open ones.
    pub(super) fn quic(&self) -> (QuicCounts, Paths) {
        let (mut counts, mut paths) = (self.past, Paths::default());
        for open in self.links.values().flat_map(|link| &link.open) {
            counts.add(&open.connection);
            if open.connection.close_reason().is_none() {
                paths.add(&open.connection);
            }
        }
        (counts, paths)
    }

    /// Lets what is on its way out leave, and closes everything.
    pub(super) async fn finish(&mut self) {
        // Those that wait for an answer have nothing to send any more.
        let _ = timeout(FAREWELL_MAX, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.abort_all();
        for link in self.links.values_mut() {
            if let Some(dial) = link.dial.take() {
                dial.abort();
            }
            for open in &link.open {
                Close::Leaving.close(&open.connection);
            }
        }
    }

    fn open(&mut self, connection: PeerConnection, dialled: Dialled) {
        let (peer, now) = (connection.peer, Instant::now());
        self.next_serial += 1;
        let serial = self.next_serial;
        let open = Open {
            serial,
            connection: connection.connection,
            dialled,
            since: now,
            used: now,
            close_at: None,
            asked: BTreeMap::new(),
        };
        let line = open.line(peer, &self.inbox);
        self.tasks.spawn(line.serve());
        let ours_is_lower = self.transport.me() < peer;
        let link = self.links.entry(peer).or_default();
        self.traffic.duplicates += link.insert(open, ours_is_lower);
        for word in std::mem::take(&mut link.waiting) {
            self.send(peer, word);
        }
    }

    fn dial(&mut self, peer: u32) {
        let Some(addr) = self.seats.address(peer) else { return };
        let link = self.links.entry(peer).or_default();
        if link.dial.is_some() {
            return;
        }
        let (transport, inbox) = (self.transport.clone(), self.inbox.clone());
        let dialling = self.tasks.spawn(async move {
            let dial = timeout(DIAL_MAX, transport.dial(Protocol::Ring, peer, addr)).await;
            let result = dial.unwrap_or_else(|_| Err(anyhow::anyhow!("peer {peer} at {addr} does not answer")));
            let _ = inbox.send(Input::Dialled { peer, result }).await;
        });
        link.dial = Some(dialling);
    }

    /// A question asked again on a connection over which nothing has come since: the other side has lost it.
    fn drop_stale(&mut self, peer: u32, word: &Word) {
        let Word::Message(Message::Question { number, .. }) = word else { return };
        let Some(link) = self.links.get_mut(&peer) else { return };
        let is_stale = |open: &Open| {
            let before = open.asked.get(number);
            before.is_some_and(|before| open.connection.stats().udp_rx.datagrams <= before.datagrams)
        };
        if link.open.last().is_some_and(is_stale)
            && let Some(open) = link.open.pop()
        {
            self.traffic.stale += 1;
            self.past.add(&open.connection);
            Close::Done.close(&open.connection);
            link.keep_last();
        }
    }

    fn find(&mut self, peer: u32, serial: u64) -> Option<&mut Open> {
        self.links.get_mut(&peer)?.open.iter_mut().find(|open| open.serial == serial)
    }
}

/// The set of tasks, unless it is full: then what was to be sent is dropped and counted.
fn room<'a>(tasks: &'a mut JoinSet<()>, traffic: &mut Traffic) -> Option<&'a mut JoinSet<()>> {
    while tasks.len() >= TASKS_MAX {
        if tasks.try_join_next().is_none() {
            traffic.dropped += 1;
            return None;
        }
    }
    Some(tasks)
}

/// Messages that wait for a connection. A node asks a peer a handful of things before it takes it for dead.
const WAITING_MAX: usize = 64;

/// Tasks at a time: one per connection, dial, and question or answer on its way. More than the core's questions.
const TASKS_MAX: usize = 8_192;

/// Time a dial may take. Handshakes on the longest paths take two seconds, and more on a busy host; the core gives up sooner.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// Time after a failed dial in which a neighbour is not dialled for its own sake.
const REST: Duration = Duration::from_secs(1);

/// Time for the last messages to leave.
const FAREWELL_MAX: Duration = Duration::from_millis(300);
