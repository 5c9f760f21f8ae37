//! Whose turn it is when several connections wait for one full socket: first come, first served, one datagram each.
//!
//! Knows nothing of sockets; `uplink` asks it before and tells it after every datagram.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

/// Who waits. The queue is empty unless the socket was found full.
///
/// Invariant: `granted` was told to send and has not done so yet; it is never among `waiting`.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// At most one entry per connection.
    waiting: VecDeque<(u64, Waker)>,
    granted: Option<u64>,
    next_id: u64,
    held_back: u64,
}

impl Turns {
    /// A number for one more connection.
    pub(super) fn add(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Whether connection `id` may send its next datagram. `socket` asks the socket itself; it is asked only when it is
    /// this connection's turn, and must then wake the connection when the socket has room.
    pub(super) fn poll(
        &mut self,
        id: u64,
        cx: &mut Context<'_>,
        socket: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if self.granted == Some(id) {
            // Told to send, and found the socket full after all: the turn is not lost.
            self.granted = None;
            self.waiting.push_front((id, cx.waker().clone()));
            self.held_back += 1;
        }
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == id);
        match place {
            Some(0) => {}
            None if self.waiting.is_empty() => {}
            Some(place) => {
                self.waiting[place].1.clone_from(cx.waker());
                return Poll::Pending;
            }
            None => {
                self.waiting.push_back((id, cx.waker().clone()));
                return Poll::Pending;
            }
        }
        let ready = socket(cx);
        if ready.is_ready() {
            if place.is_some() {
                self.waiting.pop_front();
            }
            self.granted = Some(id);
        } else if place.is_none() {
            self.waiting.push_back((id, cx.waker().clone()));
            self.held_back += 1;
        }
        ready
    }

    /// A datagram went out.
    pub(super) fn on_sent(&mut self) {
        self.granted = None;
        self.wake_front();
    }

    /// A connection is gone.
    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
        if self.granted == Some(id) {
            self.granted = None;
        }
        self.wake_front();
    }

    /// How often the socket was full and a connection had to wait.
    pub(super) fn held_back(&self) -> u64 {
        self.held_back
    }

    fn wake_front(&self) {
        if let Some((_, waker)) = self.waiting.front() {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[test]
    fn connections_that_wait_send_one_datagram_each_in_turn() {
        let mut socket = Socket::default();
        let [a, b] = [socket.turns.add(), socket.turns.add()];
        socket.room = 1;
        assert!(socket.send(a));
        assert!(!socket.send(a) && !socket.send(b));
        socket.room = 3;
        assert!(!socket.send(b), "a waits longer");
        assert!(socket.send(a));
        assert!(!socket.send(a), "now it is b's turn");
        assert!(socket.send(b));
        assert!(socket.send(a));
    }

    #[test]
    fn turn_is_not_lost_when_the_socket_turns_out_to_be_full() {
        let mut socket = Socket::default();
        let [a, b] = [socket.turns.add(), socket.turns.add()];
        assert!(!socket.send(a) && !socket.send(b));
        socket.room = 1;
        let mut cx = Context::from_waker(&socket.waker);
        assert!(socket.turns.poll(a, &mut cx, |_| Poll::Ready(Ok(()))).is_ready());
        // No datagram went out.
        assert!(socket.turns.poll(a, &mut cx, |_| Poll::Pending).is_pending());
        assert!(!socket.send(b));
        assert!(socket.send(a));
    }

    #[test]
    fn next_in_line_is_woken_when_a_datagram_went_out_and_when_the_first_is_gone() {
        let mut socket = Socket::default();
        let [a, b, c] = [socket.turns.add(), socket.turns.add(), socket.turns.add()];
        assert!(!socket.send(a) && !socket.send(b) && !socket.send(c));
        socket.room = 1;
        assert!(socket.send(a));
        assert_eq!(socket.woken.0.load(Ordering::Relaxed), 1);
        socket.turns.remove(b);
        assert_eq!(socket.woken.0.load(Ordering::Relaxed), 2);
        socket.room = 1;
        assert!(socket.send(c));
    }

    /// A socket with room for so many datagrams.
    struct Socket {
        turns: Turns,
        room: usize,
        woken: Arc<Count>,
        waker: Waker,
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Default for Socket {
        fn default() -> Self {
            let woken = Arc::new(Count::default());
            Self { turns: Turns::default(), room: 0, waker: woken.clone().into(), woken }
        }
    }

    impl Socket {
        fn send(&mut self, id: u64) -> bool {
            let room = self.room;
            let mut cx = Context::from_waker(&self.waker);
            let ready = self.turns.poll(id, &mut cx, |_| if room > 0 { Poll::Ready(Ok(())) } else { Poll::Pending });
            if ready.is_ready() {
                self.room -= 1;
                self.turns.on_sent();
            }
            ready.is_ready()
        }
    }
}
