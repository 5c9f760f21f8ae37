//! Who gets which connection that others opened: by protocol, and by the content that its first frame names.
//!
//! Handshakes are `transport`'s. What is on a connection after its first frame is the drivers'.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use peerbed_proto::ContentId;
use peerbed_proto::fetch::Get;
use peerbed_proto::swarm::Message;
use peerbed_proto::wire::{Decode, FrameReader};
use quinn::RecvStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::commands::Endpoint;
use crate::fetch::server::FetchService;
use crate::ring;
use crate::swarm::Input;
use crate::transport::{Close, PeerConnection, Transport};

/// Where connections go. An entry lasts from `prepare` to `end` of a distribution, or while the peer is in a ring.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    swarms: Mutex<BTreeMap<ContentId, mpsc::Sender<Input>>>,
    servers: Mutex<BTreeMap<ContentId, Arc<FetchService>>>,
    ring: Mutex<Option<mpsc::Sender<ring::Input>>>,
}

impl Routes {
    /// Sends swarm connections about a content to a driver. False: another distribution has that content already, and
    /// the two could not be told apart.
    pub(crate) fn add_swarm(&self, content: ContentId, inbox: mpsc::Sender<Input>) -> bool {
        add(&self.swarms, content, inbox)
    }

    /// Sends requests for a content to a server. False: another distribution serves it already.
    pub(crate) fn add_server(&self, content: ContentId, server: Arc<FetchService>) -> bool {
        add(&self.servers, content, server)
    }

    /// Forgets a swarm.
    pub(crate) fn remove_swarm(&self, content: ContentId) {
        locked(&self.swarms).remove(&content);
    }

    /// Forgets a server.
    pub(crate) fn remove_server(&self, content: ContentId) {
        locked(&self.servers).remove(&content);
    }

    /// Sends ring connections to a driver, or nowhere any more.
    pub(crate) fn set_ring(&self, inbox: Option<mpsc::Sender<ring::Input>>) {
        *locked(&self.ring) = inbox;
    }

    /// Hands a connection to the ring's driver; a peer is in at most one ring.
    pub(crate) async fn route_ring(&self, transport: &Transport, connection: PeerConnection) {
        let inbox = locked(&self.ring).clone();
        let Some(inbox) = inbox else {
            return transport.refuse_unserved(&connection, "this peer is in no ring");
        };
        if inbox.send(ring::Input::Accepted(connection.clone())).await.is_err() {
            Close::Done.close(&connection.connection);
        }
    }

    /// Asks the ring that this peer is in for the owner of a name.
    ///
    /// # Errors
    ///
    /// When the peer is in no ring, or the lookup fails.
    pub(crate) async fn owner_of(&self, name: String) -> anyhow::Result<Endpoint> {
        let inbox = locked(&self.ring).clone().context("this peer is in no ring")?;
        let (answer, answered) = oneshot::channel();
        inbox.send(ring::Input::OwnerWanted { name, answer }).await.context("this peer has left its ring")?;
        answered.await.context("this peer has left its ring")?
    }

    /// Finds out which swarm a connection is for, and hands it over.
    pub(crate) async fn route_swarm(&self, transport: &Transport, connection: PeerConnection) {
        let opening = timeout(FIRST_FRAME_MAX, Opening::read(&connection)).await;
        let Ok(Some(opening)) = opening else {
            return transport.refuse_unserved(&connection, "no first message came");
        };
        let inbox = self.swarm_for(&opening);
        let Some(inbox) = inbox else {
            return transport.refuse_unserved(&connection, "no such content is distributed here");
        };
        let accepted = Input::Accepted { connection: connection.clone(), opening };
        if inbox.send(accepted).await.is_err() {
            Close::Done.close(&connection.connection);
        }
    }

    /// Finds the server for each request on a connection.
    pub(crate) async fn route_fetch(&self, transport: &Transport, connection: PeerConnection) {
        while let Ok((send, mut receive)) = connection.connection.accept_bi().await {
            let frame = timeout(FIRST_FRAME_MAX, read_frame(&mut receive, Get::FRAME_MAX)).await;
            let get = frame.ok().flatten().and_then(|frame| Get::from_bytes(frame).ok());
            let server = get.and_then(|get| locked(&self.servers).get(&get.content).cloned());
            match (get, server) {
                (Some(get), Some(server)) => server.serve(connection.clone(), get, send),
                _ => return transport.refuse_unserved(&connection, "no such content is served here"),
            }
        }
    }

    /// A first message that is none goes to any swarm: its core counts and bans the sender.
    fn swarm_for(&self, opening: &Opening) -> Option<mpsc::Sender<Input>> {
        let swarms = locked(&self.swarms);
        match &opening.first {
            Ok(Message::Hello { content, .. }) => swarms.get(content).cloned(),
            Ok(_) | Err(_) => swarms.values().next().cloned(),
        }
    }
}

/// The beginning of a neighbour's control stream.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The first message, or that it was none.
    pub(crate) first: Result<Message, peerbed_proto::wire::DecodeError>,
    /// The stream it came on, and what was read beyond it.
    pub(crate) stream: RecvStream,
    pub(crate) reader: FrameReader,
}

impl Opening {
    /// Reads up to the end of the first message. None: the connection or stream ended before.
    async fn read(connection: &PeerConnection) -> Option<Self> {
        let mut stream = connection.connection.accept_uni().await.ok()?;
        let mut reader = FrameReader::new(Message::FRAME_MAX);
        let first = loop {
            match reader.next_frame() {
                Ok(Some(frame)) => break Message::from_bytes(frame),
                Ok(None) => {
                    let chunk = stream.read_chunk(CHUNK, true).await.ok()??;
                    reader.feed(&chunk.bytes);
                }
                Err(error) => break Err(error),
            }
        };
        Some(Self { first, stream, reader })
    }
}

/// Reads one frame off a stream. None: the stream ended before, or the frame is longer than `max`.
pub(crate) async fn read_frame(stream: &mut RecvStream, max: usize) -> Option<bytes::Bytes> {
    let mut reader = FrameReader::new(max);
    loop {
        if let Some(frame) = reader.next_frame().ok()? {
            return Some(frame);
        }
        let chunk = stream.read_chunk(CHUNK, true).await.ok()??;
        reader.feed(&chunk.bytes);
    }
}

fn add<T>(table: &Mutex<BTreeMap<ContentId, T>>, content: ContentId, entry: T) -> bool {
    let mut table = locked(table);
    let free = !table.contains_key(&content);
    if free {
        table.insert(content, entry);
    }
    free
}

fn locked<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time within which a connection must say what it is about. As long as a handshake may take.
const FIRST_FRAME_MAX: Duration = Duration::from_secs(10);

/// Bytes taken off a control stream at once.
const CHUNK: usize = 16 << 10;
