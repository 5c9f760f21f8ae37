//! The UDP socket as quinn sees it: held back by the interface, and shared fairly between connections.
//!
//! Two things differ from quinn's own socket. The kernel's send buffer can be made so small that the peer's shaped
//! interface pushes back instead of dropping ([`QuicOptions::send_queue_bytes`]). And when it does, connections take
//! turns, one datagram each, in the order in which they began to wait. Left to themselves, the connection that wakes
//! first would win every time, and the acknowledgements of all others would starve behind its bulk.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use anyhow::Context as _;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use tokio::io::Interest;

use crate::config::QuicOptions;

/// The socket of one endpoint.
#[derive(Debug)]
pub(crate) struct Uplink {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    segments: usize,
    turns: Mutex<Turns>,
    held_back: AtomicU64,
}

/// Who waits for room in the socket. The queue is empty unless the kernel said that it is full.
///
/// Invariant: `granted` is a connection that was told to send and has not done so yet; it is never in `waiting`.
#[derive(Debug, Default)]
struct Turns {
    waiting: VecDeque<(u64, Waker)>,
    granted: Option<u64>,
    next_turn_id: u64,
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
        Ok(Self { io, state, segments, turns: Mutex::default(), held_back: AtomicU64::new(0) })
    }

    /// How often the socket was full and a connection had to wait.
    pub(crate) fn held_back(&self) -> u64 {
        self.held_back.load(Ordering::Relaxed)
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_turn(&self, id: u64, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut turns = self.turns();
        if turns.granted == Some(id) {
            // Told to send, and found the socket full after all: the turn is not lost.
            turns.granted = None;
            turns.waiting.push_front((id, cx.waker().clone()));
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        match turns.waiting.iter().position(|(waiting, _)| *waiting == id) {
            Some(0) => {}
            Some(place) => {
                turns.waiting[place].1.clone_from(cx.waker());
                return Poll::Pending;
            }
            None if turns.waiting.is_empty() => {}
            None => {
                turns.waiting.push_back((id, cx.waker().clone()));
                return Poll::Pending;
            }
        }
        let ready = self.io.poll_send_ready(cx);
        match (&ready, turns.waiting.front_mut()) {
            (Poll::Ready(_), Some(_)) => {
                turns.waiting.pop_front();
            }
            (Poll::Ready(_), None) => {}
            (Poll::Pending, Some(front)) => front.1.clone_from(cx.waker()),
            (Poll::Pending, None) => {
                turns.waiting.push_back((id, cx.waker().clone()));
                self.held_back.fetch_add(1, Ordering::Relaxed);
            }
        }
        turns.granted = ready.is_ready().then_some(id);
        ready
    }

    fn on_sent(&self) {
        let mut turns = self.turns();
        turns.granted = None;
        turns.wake_front();
    }

    fn on_gone(&self, id: u64) {
        let mut turns = self.turns();
        turns.waiting.retain(|(waiting, _)| *waiting != id);
        if turns.granted == Some(id) {
            turns.granted = None;
        }
        turns.wake_front();
    }
}

impl Turns {
    fn wake_front(&self) {
        if let Some((_, waker)) = self.waiting.front() {
            waker.wake_by_ref();
        }
    }
}

impl AsyncUdpSocket for Uplink {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        let id = {
            let mut turns = self.turns();
            turns.next_turn_id += 1;
            turns.next_turn_id
        };
        Box::pin(Turn { id, uplink: self })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.io.try_io(Interest::WRITABLE, || self.state.send((&self.io).into(), transmit));
        if sent.is_ok() {
            self.on_sent();
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
        self.uplink.poll_turn(self.id, cx)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.uplink.on_gone(self.id);
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
