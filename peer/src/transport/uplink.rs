//! The UDP socket as quinn sees it: held back by the interface, and shared fairly between connections.
//!
//! Two things differ from quinn's own socket. The kernel's send buffer can be made so small that the peer's shaped
//! interface pushes back instead of dropping ([`QuicOptions::send_queue_bytes`]); where the interface cannot, `pace` holds
//! datagrams back. And when either does, connections take turns, one datagram each, in the order in which they began to
//! wait. Left to themselves, the connection that wakes first would win every time, and the acknowledgements of all others
//! would starve behind its bulk.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anyhow::Context as _;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use tokio::io::Interest;

use crate::clock;
use crate::config::QuicOptions;
use crate::process;
use crate::transport::ledger::Ledger;
use crate::transport::pace::Pace;
use crate::transport::turns::Turns;

/// The socket of one endpoint.
#[derive(Debug)]
pub(crate) struct Uplink {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    segments: usize,
    turns: Mutex<Turns>,
    ledger: Mutex<Ledger>,
    pace: Option<Mutex<Pace>>,
}

impl Uplink {
    /// Binds a socket and sets its buffers.
    ///
    /// # Errors
    ///
    /// When the address is taken or not ours; the message names it.
    pub(crate) fn bind(listen: SocketAddr, options: &QuicOptions) -> anyhow::Result<Self> {
        let socket =
            std::net::UdpSocket::bind(listen).with_context(|| format!("cannot listen on UDP address {listen}"))?;
        socket.set_nonblocking(true).context("cannot make the UDP socket non-blocking")?;
        let receive = options.receive_buffer_bytes as usize;
        // The forced form passes net.core.rmem_max and needs CAP_NET_ADMIN over the namespace; the plain one is capped.
        if set_socket_recv_buffer_size_force(&socket, receive).is_err() {
            socket2::SockRef::from(&socket).set_recv_buffer_size(receive).context("cannot set SO_RCVBUF")?;
        }
        if let Some(queue) = options.send_queue_bytes {
            let buffer = send_buffer_for(queue);
            socket2::SockRef::from(&socket).set_send_buffer_size(buffer).context("cannot set SO_SNDBUF")?;
        }
        let state = UdpSocketState::new((&socket).into()).context("cannot prepare the UDP socket for QUIC")?;
        let segments = if options.segmentation_offload { state.max_gso_segments() } else { 1 };
        let io = tokio::net::UdpSocket::from_std(socket).context("cannot watch the UDP socket")?;
        let ledger = Mutex::new(Ledger::new(options.uplink, clock::now()));
        let pace = Pace::new(options).map(Mutex::new);
        Ok(Self { io, state, segments, turns: Mutex::default(), ledger, pace })
    }

    /// How often the socket was full and a connection had to wait.
    pub(crate) fn held_back(&self) -> u64 {
        self.turns().held_back()
    }

    /// Datagrams that the kernel dropped because the socket's receive buffer was full.
    pub(crate) fn receive_dropped(&self) -> u64 {
        process::receive_dropped(&self.io)
    }

    /// Where the uplink's time has gone.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a datagram may go now: the socket takes it, and the uplink's queue has room for it.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.io.poll_send_ready(cx))?;
        let Some(pace) = &self.pace else { return Poll::Ready(Ok(())) };
        let ahead = self.ledger().ahead(clock::now());
        pace.lock().unwrap_or_else(PoisonError::into_inner).poll(ahead, cx).map(Ok)
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncUdpSocket for Uplink {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        let id = self.turns().add();
        Box::pin(Turn { id, uplink: self })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit));
        if sent.is_ok() {
            self.turns().on_sent();
            let bytes = transmit.contents.len();
            let datagrams = transmit.segment_size.map_or(1, |segment| bytes.div_ceil(segment.max(1)));
            self.ledger().on_sent(clock::now(), bytes as u64, datagrams as u64);
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            std::task::ready!(self.io.poll_recv_ready(cx))?;
            let read = self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), buffers, meta));
            if let Ok(count) = read {
                return Poll::Ready(Ok(count));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.segments
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// One connection's place among those that wait for the socket.
#[derive(Debug)]
struct Turn {
    id: u64,
    uplink: Arc<Uplink>,
}

impl UdpPoller for Turn {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.uplink.turns().poll(self.id, cx, |cx| self.uplink.poll_room(cx))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.uplink.turns().remove(self.id);
    }
}

/// SO_SNDBUF for a queue of full datagrams. The kernel doubles the value it is given and charges each datagram with the
/// memory it takes, 2 304 bytes for one of 1 500.
fn send_buffer_for(queue_bytes: u32) -> usize {
    queue_bytes as usize * (KERNEL_DATAGRAM / 2) / LINK_DATAGRAM
}

/// What the kernel charges to a socket for one full datagram: a 2 KiB block and 256 bytes of bookkeeping.
const KERNEL_DATAGRAM: usize = 2_304;

/// Link-level bytes of a full datagram.
const LINK_DATAGRAM: usize = 1_500;
