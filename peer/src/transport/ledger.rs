//! Where the time of the own uplink goes: kept by the socket, which sees every datagram, for those who give account of it.
//!
//! The ledger knows the uplink's nominal rate and lets every datagram occupy it for its length on the wire. What is left
//! is idle time, told apart by whether anybody waited for us then. It knows nothing of sockets and reads no clock.

use std::time::Duration;

use peerbed_proto::time::Time;

use crate::config::UplinkRate;

/// The books of one uplink.
#[derive(Debug)]
pub(crate) struct Ledger {
    rate: Option<UplinkRate>,
    /// When everything sent so far has left an uplink of that rate.
    free_at: Time,
    /// Up to when idle time has been booked.
    booked: Time,
    /// Users of the uplink that have requests waiting.
    wanting: u32,
    /// Payload that was begun and, as far as datagrams tell, has not been sent.
    owed: u64,
    wire_bytes: u64,
    datagrams: u64,
    idle_wanted: Duration,
    idle_unwanted: Duration,
}

/// What the books say at one moment. Differences of two readings add up: bytes at the rate and both idle times are the
/// time between them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// When, in seconds of the ledger's clock.
    pub(crate) t: f64,
    /// Bytes that have left the uplink: IP packets and the link's overhead for each.
    pub(crate) wire_bytes: u64,
    /// Datagrams handed to the kernel.
    pub(crate) datagrams: u64,
    /// Idle while somebody waited for payload, in seconds.
    pub(crate) idle_wanted: f64,
    /// Idle while nobody did, in seconds.
    pub(crate) idle_unwanted: f64,
}

impl Ledger {
    /// Opens the books. Without a rate nothing is ever idle.
    pub(crate) fn new(rate: Option<UplinkRate>, now: Time) -> Self {
        Self {
            rate: rate.filter(|rate| rate.bits_per_second > 0),
            free_at: now,
            booked: now,
            wanting: 0,
            owed: 0,
            wire_bytes: 0,
            datagrams: 0,
            idle_wanted: Duration::ZERO,
            idle_unwanted: Duration::ZERO,
        }
    }

    /// Datagrams of together so many bytes of UDP payload were handed to the kernel.
    pub(crate) fn on_sent(&mut self, now: Time, bytes: u64, datagrams: u64) {
        self.book_idle(now);
        let overhead = self.rate.map_or(0, |rate| u64::from(rate.packet_overhead)) + IP_AND_UDP;
        let wire = bytes + datagrams * overhead;
        self.wire_bytes += wire;
        self.datagrams += datagrams;
        if let Some(rate) = self.rate {
            self.free_at = self.free_at.max(now) + Duration::from_secs_f64(wire as f64 / rate.bytes_per_second());
        }
        // Only payload makes large datagrams.
        if bytes > LARGE * datagrams {
            self.owed = self.owed.saturating_sub(bytes - datagrams * QUIC_OVERHEAD);
        }
    }

    /// So much payload was handed to QUIC.
    pub(crate) fn on_payload(&mut self, now: Time, bytes: u64) {
        self.book_idle(now);
        self.owed += bytes;
    }

    /// All payload was confirmed or given up.
    pub(crate) fn on_settled(&mut self, now: Time) {
        self.book_idle(now);
        self.owed = 0;
    }

    /// A user of the uplink begins or ceases to have requests waiting.
    pub(crate) fn on_wanting(&mut self, now: Time, wanting: bool) {
        self.book_idle(now);
        self.wanting = if wanting { self.wanting + 1 } else { self.wanting.saturating_sub(1) };
    }

    /// How long the uplink is going to need for what was sent; zero where its rate is not known.
    pub(crate) fn ahead(&self, now: Time) -> Duration {
        self.free_at - now
    }

    /// What the books say now.
    pub(crate) fn read(&mut self, now: Time) -> Reading {
        self.book_idle(now);
        let waits = (self.free_at - now).as_secs_f64();
        let queued = self.rate.map_or(0.0, |rate| waits * rate.bytes_per_second());
        Reading {
            t: now.as_secs_f64(),
            wire_bytes: self.wire_bytes.saturating_sub(queued.round() as u64),
            datagrams: self.datagrams,
            idle_wanted: self.idle_wanted.as_secs_f64(),
            idle_unwanted: self.idle_unwanted.as_secs_f64(),
        }
    }

    fn book_idle(&mut self, now: Time) {
        if self.rate.is_some() {
            let idle = now - self.free_at.max(self.booked);
            if self.wanting > 0 || self.owed > 0 {
                self.idle_wanted += idle;
            } else {
                self.idle_unwanted += idle;
            }
        }
        self.booked = self.booked.max(now);
    }
}

impl UplinkRate {
    fn bytes_per_second(self) -> f64 {
        self.bits_per_second as f64 / 8.0
    }
}

/// Headers of IPv4 and UDP.
const IP_AND_UDP: u64 = 28;

/// What QUIC adds to payload in a datagram: short header with a 4-byte connection id, packet number, tag, stream frame.
const QUIC_OVERHEAD: u64 = 30;

/// Datagrams with more UDP payload than this carry file content. Acknowledgements and messages are far smaller.
const LARGE: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: UplinkRate = UplinkRate { bits_per_second: 8_000, packet_overhead: 0 };

    #[test]
    fn sending_and_both_kinds_of_idleness_add_up_to_the_time() {
        let mut ledger = Ledger::new(Some(RATE), at(0));
        ledger.on_sent(at(1_000), 972, 1); // One second of unwanted idleness, one of sending.
        ledger.on_wanting(at(1_500), true);
        ledger.on_sent(at(2_500), 472, 1); // Half a second of wanted idleness, half of sending.
        ledger.on_wanting(at(2_600), false);
        let reading = ledger.read(at(4_000)); // One more second of unwanted idleness.
        assert_eq!((reading.idle_wanted, reading.idle_unwanted, reading.wire_bytes), (0.5, 2.0, 1_500));
        let sum = reading.idle_wanted + reading.idle_unwanted + reading.wire_bytes as f64 / 1_000.0;
        assert!((sum - 4.0).abs() < 1e-9, "{reading:?}");
    }

    #[test]
    fn what_is_still_in_the_queue_has_not_left() {
        let mut ledger = Ledger::new(Some(RATE), at(0));
        ledger.on_sent(at(0), 2_000 - 28, 1);
        assert_eq!(ledger.read(at(500)).wire_bytes, 500);
        assert_eq!(ledger.read(at(2_000)).wire_bytes, 2_000);
    }

    #[test]
    fn payload_that_was_begun_and_not_sent_is_wanted() {
        let mut ledger = Ledger::new(Some(RATE), at(0));
        ledger.on_payload(at(0), 1_000);
        ledger.on_sent(at(1_000), 700, 1);
        let reading = ledger.read(at(2_728));
        assert!((reading.idle_wanted - 2.0).abs() < 1e-9, "330 bytes are still owed: {reading:?}");
        ledger.on_settled(at(2_728));
        assert!((ledger.read(at(3_728)).idle_unwanted - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_uplink_without_a_rate_is_never_idle() {
        let mut ledger = Ledger::new(None, at(0));
        ledger.on_sent(at(10), 100, 1);
        let reading = ledger.read(at(5_000));
        assert_eq!((reading.idle_wanted, reading.idle_unwanted, reading.wire_bytes), (0.0, 0.0, 128));
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }
}
