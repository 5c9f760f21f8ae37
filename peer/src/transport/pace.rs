//! Holds datagrams back while the own uplink has as much to carry as its queue should hold.
//!
//! Where a shaper below pushes back this changes little. Where nothing does (packets that go through a TUN device are off
//! the socket's account at once), datagrams would overflow the uplink's queue, and loss in one's own queue would halve the
//! congestion windows. Knows the ledger's view of the uplink and nothing of sockets.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::config::QuicOptions;

/// Whoever is next in line for the socket waits here.
#[derive(Debug)]
pub(super) struct Pace {
    /// Time that the uplink needs for what may be ahead.
    most: Duration,
    /// Whether somebody is held back; ends when a quarter of the room is free, so that not every datagram takes a timer.
    holding: bool,
    timer: Pin<Box<Sleep>>,
}

impl Pace {
    /// Pace for an uplink whose rate and queue are known; none for others. Call within a runtime.
    pub(super) fn new(options: &QuicOptions) -> Option<Self> {
        let rate = options.uplink.filter(|uplink| uplink.bits_per_second > 0)?;
        let most = Duration::from_secs_f64(f64::from(options.send_queue_bytes?) * 8.0 / rate.bits_per_second as f64);
        Some(Self { most, holding: false, timer: Box::pin(sleep(Duration::ZERO)) })
    }

    /// Whether a datagram may go when so much is ahead of it; if not, the task is woken when it may.
    pub(super) fn poll(&mut self, ahead: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let resume = self.most / 4 * 3;
        self.holding = ahead > if self.holding { resume } else { self.most };
        if !self.holding {
            return Poll::Ready(());
        }
        self.timer.as_mut().reset(Instant::now() + (ahead - resume));
        self.timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::config::UplinkRate;

    #[tokio::test]
    async fn datagrams_wait_while_the_queue_is_full_and_go_on_when_a_quarter_is_free() {
        let mut pace = pace(9_000);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pace.poll(Duration::from_millis(36), &mut cx).is_ready());
        assert!(pace.poll(Duration::from_millis(37), &mut cx).is_pending());
        assert!(pace.poll(Duration::from_millis(30), &mut cx).is_pending(), "only a sixth is free");
        assert!(pace.poll(Duration::from_millis(27), &mut cx).is_ready());
        assert!(pace.poll(Duration::from_millis(36), &mut cx).is_ready(), "it is not holding any more");
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_and_not_before_there_is_room() {
        let mut pace = pace(9_000);
        let began = Instant::now();
        let ahead = |now: Instant| Duration::from_millis(47).saturating_sub(now - began);
        std::future::poll_fn(|cx| pace.poll(ahead(Instant::now()), cx)).await;
        let waited = began.elapsed();
        assert!(waited >= Duration::from_millis(20), "{waited:?} until 27 of 47 ms are left");
    }

    #[tokio::test]
    async fn an_uplink_without_a_rate_or_a_queue_has_no_pace() {
        let uplink = Some(UplinkRate { bits_per_second: 2_000_000, packet_overhead: 0 });
        assert!(Pace::new(&QuicOptions::default()).is_none());
        assert!(Pace::new(&QuicOptions { uplink, ..QuicOptions::default() }).is_none());
    }

    /// 2 Mbit/s.
    fn pace(send_queue_bytes: u32) -> Pace {
        let uplink = Some(UplinkRate { bits_per_second: 2_000_000, packet_overhead: 0 });
        let options = QuicOptions { uplink, send_queue_bytes: Some(send_queue_bytes), ..QuicOptions::default() };
        Pace::new(&options).expect("rate and queue are known")
    }
}
