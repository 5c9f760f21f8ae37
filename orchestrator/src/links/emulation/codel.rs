//! CoDel as RFC 8289 section 5 writes it.
//!
//! Names and order of steps are the RFC's pseudocode, so that both can be laid side by side. The clock is the instant
//! at which a packet could start to be sent, not the instant at which somebody looks.

use std::time::Duration;

use peerbed_proto::time::Time;

use super::settings::FULL_PACKET;

/// State of CoDel for one queue.
#[derive(Clone, Debug)]
pub(super) struct CoDel {
    /// Waiting time that is acceptable as a standing queue.
    target: Duration,
    /// How long the waiting time may stay above the target.
    interval: Duration,
    /// When the waiting time will have been above the target for an interval; none while it is below.
    first_above_time: Option<Time>,
    /// When to drop the next packet.
    drop_next: Time,
    /// Packets dropped since the dropping state was entered.
    count: u32,
    /// `count` when the dropping state was last entered.
    last_count: u32,
    /// Whether packets are being dropped to bring the waiting time down.
    dropping: bool,
}

/// The packet at the head of the queue, as CoDel sees it.
pub(super) struct Head<T> {
    /// The packet.
    pub(super) packet: T,
    /// How long it has waited.
    pub(super) sojourn: Duration,
    /// Bytes that wait behind it.
    pub(super) bytes_behind: u64,
}

impl CoDel {
    pub(super) fn new(target: Duration, interval: Duration) -> Self {
        Self {
            target,
            interval,
            first_above_time: None,
            drop_next: Time::ZERO,
            count: 0,
            last_count: 0,
            dropping: false,
        }
    }

    /// Takes the next packet to be sent at `now`; those that shall go before it are given to `drop`.
    pub(super) fn dequeue<T>(
        &mut self,
        now: Time,
        mut pop: impl FnMut() -> Option<Head<T>>,
        mut drop: impl FnMut(T),
    ) -> Option<T> {
        let (mut packet, mut ok_to_drop) = self.do_dequeue(now, pop());
        if self.dropping {
            self.dropping &= ok_to_drop;
            while self.dropping && now >= self.drop_next {
                packet.take().into_iter().for_each(&mut drop);
                self.count += 1;
                (packet, ok_to_drop) = self.do_dequeue(now, pop());
                if ok_to_drop {
                    self.drop_next = self.control_law(self.drop_next);
                } else {
                    self.dropping = false;
                }
            }
        } else if ok_to_drop {
            packet.take().into_iter().for_each(&mut drop);
            (packet, _) = self.do_dequeue(now, pop());
            self.dropping = true;
            // A queue that stood not long ago is dropped from at the rate that brought it down then.
            let delta = self.count - self.last_count;
            let recent = now - self.drop_next < 16 * self.interval;
            self.count = if delta > 1 && recent { delta } else { 1 };
            self.drop_next = self.control_law(now);
            self.last_count = self.count;
        }
        packet
    }

    /// Looks at one packet and says whether it may be dropped.
    fn do_dequeue<T>(&mut self, now: Time, head: Option<Head<T>>) -> (Option<T>, bool) {
        let Some(head) = head else {
            self.first_above_time = None;
            return (None, false);
        };
        let mut ok_to_drop = false;
        // With no more than a packet waiting the link would run dry.
        if head.sojourn < self.target || head.bytes_behind <= FULL_PACKET {
            self.first_above_time = None;
        } else if let Some(time) = self.first_above_time {
            ok_to_drop = now >= time;
        } else {
            self.first_above_time = Some(now + self.interval);
        }
        (Some(head.packet), ok_to_drop)
    }

    fn control_law(&self, time: Time) -> Time {
        time + self.interval.div_f64(f64::from(self.count).sqrt())
    }
}
