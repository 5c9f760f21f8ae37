//! Both ends of an announce: the tracker that this peer serves, and asking another peer's tracker.
//!
//! Who is in which swarm, and when to announce, is decided by the cores in `peerbed_proto::tracker`.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use peerbed_proto::PeerId;
use peerbed_proto::tracker::{Announce, AnnounceReply, Tracker, TrackerOptions, TrackerStats};
use peerbed_proto::wire::{Decode, Encode};
use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use crate::clock;
use crate::commands::Endpoint;
use crate::routes::read_frame;
use crate::transport::{Close, PeerConnection, Protocol, Transport};

/// The tracker of this peer. Outlives distributions: it serves whatever is announced.
#[derive(Debug)]
pub(crate) struct TrackerService {
    core: Mutex<Tracker>,
}

impl TrackerService {
    /// An empty tracker.
    pub(crate) fn new(options: TrackerOptions, seed: u64) -> Self {
        Self { core: Mutex::new(Tracker::new(options, seed)) }
    }

    /// Answers the announces on a connection, one after another, until its peer closes it.
    ///
    /// An undecodable announce ends the connection.
    pub(crate) async fn serve(&self, connection: PeerConnection) {
        let address = connection.connection.remote_address();
        while let Ok((send, receive)) = connection.connection.accept_bi().await {
            let answered = timeout(EXCHANGE_MAX, self.answer(PeerId(connection.peer), address, send, receive)).await;
            if let Ok(Err(error)) = answered {
                tracing::info!(peer = connection.peer, "announce refused: {error:#}");
                Close::Violation.close(&connection.connection);
            }
        }
    }

    /// Answers an announce of this peer itself, which listens at `address`.
    ///
    /// # Errors
    ///
    /// When the tracker's table is full.
    pub(crate) fn announce(
        &self,
        me: PeerId,
        address: SocketAddr,
        announce: Announce,
    ) -> anyhow::Result<AnnounceReply> {
        let now = clock::now();
        let mut core = self.core();
        // Expiry shows only in answers, so that it needs no timer of its own.
        if core.poll_timeout().is_some_and(|(deadline, _)| deadline <= now) {
            core.handle_timeout(now);
        }
        Ok(core.handle_announce(now, me, address, announce)?)
    }

    /// What the core has counted.
    pub(crate) fn stats(&self) -> TrackerStats {
        self.core().stats()
    }

    async fn answer(
        &self,
        peer: PeerId,
        address: SocketAddr,
        mut send: SendStream,
        mut receive: RecvStream,
    ) -> anyhow::Result<()> {
        let frame = read_frame(&mut receive, Announce::FRAME_MAX).await.context("no announce, or too long a one")?;
        let reply = self.announce(peer, address, Announce::from_bytes(frame)?)?;
        send.write_all(&reply.to_frame()).await?;
        send.finish()?;
        Ok(())
    }

    fn core(&self) -> MutexGuard<'_, Tracker> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends one announce to a tracker, over a connection of its own, and waits for the answer.
///
/// A connection per announce costs a handshake every interval and nothing in between.
///
/// # Errors
///
/// When the tracker cannot be reached, refuses, or does not answer in time.
pub(crate) async fn announce(
    transport: &Transport,
    tracker: Endpoint,
    announce: Announce,
) -> anyhow::Result<AnnounceReply> {
    let connection = transport.dial(Protocol::Tracker, tracker.peer, tracker.addr).await?;
    let reply = timeout(EXCHANGE_MAX, exchange(&connection, announce)).await;
    Close::Done.close(&connection.connection);
    match reply {
        Ok(reply) => reply,
        Err(_) => bail!("the tracker at {} does not answer", tracker.addr),
    }
}

async fn exchange(connection: &PeerConnection, announce: Announce) -> anyhow::Result<AnnounceReply> {
    let (mut send, mut receive) = connection.connection.open_bi().await?;
    send.write_all(&announce.to_frame()).await?;
    send.finish()?;
    let frame = read_frame(&mut receive, AnnounceReply::FRAME_MAX).await.context("the tracker refused the announce")?;
    Ok(AnnounceReply::from_bytes(frame)?)
}

/// Time that a question and its answer may take once connected.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
