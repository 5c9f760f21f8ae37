//! The peer's one QUIC endpoint: dials, accepts, and lets nobody in who is not of this run.
//!
//! Works on connections only; streams and what they carry belong to `swarm`, `tracker`, `fetch` and
//! `ring`. TLS settings come
//! from `identity`, the socket from `uplink`.

use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use anyhow::Context;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, Incoming, QlogStream, ServerConfig, TokioRuntime, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::{PeerConfig, QuicOptions, UplinkRate};
use crate::event_log::EventLog;
use crate::events::{EventKind, RefusedReason};
use crate::evidence;
use crate::identity::{Credentials, Identity};
use crate::metrics::Metrics;
pub(crate) use crate::transport::ledger::{Ledger, Reading};
use crate::transport::refusal::Refusal;
use crate::transport::uplink::Uplink;

mod congestion;
mod greater;
mod ledger;
mod pace;
mod refusal;
mod settings;
mod steady;
mod turns;
mod uplink;

/// Dials and accepts for all protocols of a peer. Shared by reference counting among its tasks.
#[derive(Debug)]
pub(crate) struct Transport {
    endpoint: Endpoint,
    uplink: Arc<Uplink>,
    run: String,
    me: u32,
    clients: [(Protocol, ClientConfig); 4],
    uplink_rate: Option<UplinkRate>,
    send_window: u64,
    handshake_timeout: Duration,
    connections_max: usize,
    handshakes: Semaphore,
    dials: Semaphore,
    metrics: Arc<Metrics>,
    log: EventLog,
}

impl Transport {
    /// Opens the endpoint.
    ///
    /// # Errors
    ///
    /// When credentials are unusable or the address is taken; one sentence that names the culprit.
    pub(crate) fn open(config: &PeerConfig, metrics: Arc<Metrics>, log: EventLog) -> anyhow::Result<Self> {
        let credentials = Credentials::read(config)?;
        let uplink = Arc::new(Uplink::bind(config.listen, &config.quic)?);
        let qlog = match &config.quic.qlog {
            Some(path) => evidence::qlog(path, &config.name)?,
            None => None,
        };
        let server = server_config(&credentials, config, qlog.clone())?;
        let endpoint = Endpoint::new_with_abstract_socket(
            settings::endpoint(),
            Some(server),
            uplink.clone(),
            Arc::new(TokioRuntime),
        )
        .context("cannot open the QUIC endpoint")?;
        let client =
            |protocol| anyhow::Ok((protocol, client_config(&credentials, protocol, &config.quic, qlog.clone())?));
        Ok(Self {
            endpoint,
            uplink,
            run: config.run.clone(),
            me: config.id,
            clients: [
                client(Protocol::Swarm)?,
                client(Protocol::Tracker)?,
                client(Protocol::Fetch)?,
                client(Protocol::Ring)?,
            ],
            uplink_rate: config.quic.uplink,
            send_window: config.quic.send_window_bytes.into(),
            handshake_timeout: Duration::from_millis(config.quic.handshake_timeout_ms.into()),
            connections_max: config.quic.connections_max.into(),
            handshakes: Semaphore::new(config.quic.handshakes_max.into()),
            dials: Semaphore::new(config.quic.dials_max.into()),
            metrics,
            log,
        })
    }

    /// Waits for the next attempt to connect; None when the endpoint is closed.
    pub(crate) async fn next_incoming(&self) -> Option<Incoming> {
        self.endpoint.accept().await
    }

    /// Takes an attempt through its handshake. None: it was refused, counted and told in an event.
    pub(crate) async fn admit(&self, incoming: Incoming) -> Option<PeerConnection> {
        let addr = incoming.remote_address();
        let Ok(_place) = self.handshakes.try_acquire() else {
            incoming.refuse();
            self.refuse(addr, &Refusal::new(RefusedReason::Busy, "too many handshakes at once"));
            return None;
        };
        if self.endpoint.open_connections() >= self.connections_max {
            incoming.refuse();
            self.refuse(addr, &Refusal::new(RefusedReason::Busy, "too many connections"));
            return None;
        }
        match self.complete(incoming).await {
            Ok(admitted) => Some(admitted),
            Err(refusal) => {
                self.refuse(addr, &refusal);
                None
            }
        }
    }

    /// Connects to a peer that must turn out to be `peer`.
    ///
    /// # Errors
    ///
    /// When it does not answer in time, refuses us, or is somebody else (which is counted and told in an event).
    pub(crate) async fn dial(&self, protocol: Protocol, peer: u32, addr: SocketAddr) -> anyhow::Result<PeerConnection> {
        let _place = self.dials.acquire().await.context("the endpoint is closed")?;
        let (_, config) = self.clients.iter().find(|(offered, _)| *offered == protocol).context("no such protocol")?;
        // No names exist in a run: the certificate is compared by its URI below.
        let connecting = self.endpoint.connect_with(config.clone(), addr, "peer.invalid")?;
        let connection = timeout(self.handshake_timeout, connecting)
            .await
            .with_context(|| format!("peer {peer} at {addr} does not answer"))?;
        let connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                if let Some(refusal) = Refusal::of_dialled(&error) {
                    self.refuse(addr, &refusal);
                }
                return Err(error).with_context(|| format!("cannot connect to peer {peer} at {addr}"));
            }
        };
        match self.check_identity(&connection, Some(peer)) {
            Ok(_) => Ok(PeerConnection { connection, peer, protocol, dialled_by: self.me }),
            Err(refusal) => {
                Close::Refused.close(&connection);
                self.refuse(addr, &refusal);
                anyhow::bail!("{addr} is not peer {peer}: {}", refusal.detail)
            }
        }
    }

    /// Closes a connection that nothing here serves, and counts it.
    pub(crate) fn refuse_unserved(&self, connection: &PeerConnection, detail: &str) {
        Close::Unserved.close(&connection.connection);
        self.refuse(connection.connection.remote_address(), &Refusal::new(RefusedReason::Unserved, detail));
    }

    /// Where the endpoint listens, with the port that the kernel chose.
    pub(crate) fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.endpoint.local_addr().context("the UDP socket has no address")
    }

    /// Number of this peer in the plan.
    pub(crate) fn me(&self) -> u32 {
        self.me
    }

    /// Open connections, handshakes included.
    pub(crate) fn open_connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// How often a full socket made a connection wait.
    pub(crate) fn held_back(&self) -> u64 {
        self.uplink.held_back()
    }

    /// What the own uplink carries, where that is known.
    pub(crate) fn uplink_rate(&self) -> Option<UplinkRate> {
        self.uplink_rate
    }

    /// Most bytes of one connection that may be sent and not yet acknowledged.
    pub(crate) fn send_window(&self) -> u64 {
        self.send_window
    }

    /// Where the time of the own uplink has gone.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.uplink.ledger()
    }

    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub(crate) fn receive_dropped(&self) -> u64 {
        self.uplink.receive_dropped()
    }

    /// Closes all connections, and waits until the other sides know or three round trips have passed.
    pub(crate) async fn close(&self) {
        self.endpoint.close(Close::Leaving.code(), b"leaving");
        self.endpoint.wait_idle().await;
    }

    async fn complete(&self, incoming: Incoming) -> Result<PeerConnection, Refusal> {
        let connecting = incoming.accept().map_err(|error| Refusal::of_accepted(&error))?;
        let connection = timeout(self.handshake_timeout, connecting)
            .await
            .map_err(|_| Refusal::new(RefusedReason::Handshake, "the handshake took too long"))?
            .map_err(|error| Refusal::of_accepted(&error))?;
        let checked = self.check_identity(&connection, None).and_then(|identity| {
            let protocol = Protocol::of(&connection)
                .ok_or_else(|| Refusal::new(RefusedReason::Protocol, "no protocol was agreed on"))?;
            Ok((identity, protocol))
        });
        match checked {
            Ok((identity, protocol)) => {
                Ok(PeerConnection { connection, peer: identity.id, protocol, dialled_by: identity.id })
            }
            Err(refusal) => {
                Close::Refused.close(&connection);
                Err(refusal)
            }
        }
    }

    fn check_identity(&self, connection: &Connection, expected: Option<u32>) -> Result<Identity, Refusal> {
        let chain = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificate = chain.as_ref().and_then(|chain| chain.first());
        let certificate = certificate.ok_or_else(|| Refusal::new(RefusedReason::NoCertificate, "no certificate"))?;
        let identity = Identity::of_certificate(certificate)
            .map_err(|error| Refusal::new(RefusedReason::Identity, error.to_string()))?;
        if identity.run != self.run {
            return Err(Refusal::new(RefusedReason::Run, format!("{identity} is of another run")));
        }
        if identity.id == self.me || expected.is_some_and(|expected| expected != identity.id) {
            return Err(Refusal::new(RefusedReason::Identity, format!("{identity} was not expected here")));
        }
        Ok(identity)
    }

    fn refuse(&self, addr: SocketAddr, refusal: &Refusal) {
        tracing::info!(%addr, reason = refusal.reason.as_str(), detail = refusal.detail, "refused a connection");
        self.metrics.quic_refused_total.with_label_values(&[refusal.reason.as_str()]).inc();
        let Refusal { reason, detail } = refusal.clone();
        self.log.record(EventKind::PeerRefused { reason, addr, detail });
    }
}

/// A connection whose other end is known.
#[derive(Debug, Clone)]
pub(crate) struct PeerConnection {
    /// The connection.
    pub(crate) connection: Connection,
    /// Who is at the other end.
    pub(crate) peer: u32,
    /// What it is for.
    pub(crate) protocol: Protocol,
    /// Who dialled: decides which of two simultaneous connections stays.
    pub(crate) dialled_by: u32,
}

/// What a connection is for, agreed on by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Pieces among equals.
    Swarm,
    /// Announces.
    Tracker,
    /// A whole file from a server.
    Fetch,
    /// Questions and answers of a ring's nodes.
    Ring,
}

impl Protocol {
    /// Its name on the wire.
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Swarm => b"peerbed-swarm/1",
            Self::Tracker => b"peerbed-tracker/1",
            Self::Fetch => b"peerbed-fetch/1",
            Self::Ring => b"peerbed-ring/1",
        }
    }

    fn of(connection: &Connection) -> Option<Self> {
        let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
        let agreed = data.protocol?;
        [Self::Swarm, Self::Tracker, Self::Fetch, Self::Ring].into_iter().find(|protocol| protocol.alpn() == agreed)
    }
}

/// Why a connection is closed by us; the code travels in CONNECTION_CLOSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// The exchange or distribution is over.
    Done,
    /// The peer leaves.
    Leaving,
    /// Another connection between the same two peers stays.
    Duplicate,
    /// The other end is not who it should be.
    Refused,
    /// The other end broke the protocol.
    Violation,
    /// Nothing here serves this.
    Unserved,
}

impl Close {
    /// Its number on the wire.
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(CLOSE_CODES + self as u32)
    }

    /// Closes at once; what was not acknowledged may be lost.
    pub(crate) fn close(self, connection: &Connection) {
        connection.close(self.code(), b"");
    }
}

/// First of the codes of [`Close`]. Those below are the swarm core's, when it hangs up on a neighbour.
const CLOSE_CODES: u32 = 0x100;

fn server_config(
    credentials: &Credentials,
    config: &PeerConfig,
    qlog: Option<QlogStream>,
) -> anyhow::Result<ServerConfig> {
    let mut protocols = vec![Protocol::Swarm.alpn(), Protocol::Fetch.alpn(), Protocol::Ring.alpn()];
    if config.tracker.is_some() {
        protocols.push(Protocol::Tracker.alpn());
    }
    let crypto = QuicServerConfig::try_from(credentials.server(&protocols)?).context("TLS lacks QUIC's cipher")?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(Arc::new(settings::transport(&config.quic, None, qlog)));
    server.migration(false);
    server.max_incoming(config.quic.handshakes_max.into());
    Ok(server)
}

fn client_config(
    credentials: &Credentials,
    protocol: Protocol,
    quic: &QuicOptions,
    qlog: Option<QlogStream>,
) -> anyhow::Result<ClientConfig> {
    let crypto = QuicClientConfig::try_from(credentials.client(protocol.alpn())?).context("TLS lacks QUIC's cipher")?;
    let mut client = ClientConfig::new(Arc::new(crypto));
    let keep_alive = match protocol {
        // Only the dialler keeps a connection alive: one ping per interval is enough for both ends.
        Protocol::Swarm | Protocol::Fetch | Protocol::Ring => Some(Duration::from_millis(quic.keep_alive_ms.into())),
        Protocol::Tracker => None,
    };
    client.transport_config(Arc::new(settings::transport(quic, keep_alive, qlog)));
    Ok(client)
}
