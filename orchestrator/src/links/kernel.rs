//! The kernel engine's reading of a link direction: a chain of queueing disciplines with every number computed.
//!
//! Why these disciplines in this order:
//!
//! - *Rates count IP bytes.* The kernel counts the 14 bytes of Ethernet header as well; the root of every chain
//!   therefore has a size table that subtracts them. (Packets cut from a train are counted with their header all the
//!   same, so that a sender of trains gets 0.9 % less than its rate; peers send none.)
//! - *Trains are cut.* A sender may hand over up to 64 packets as one (GSO). A token bucket cuts a train when it is
//!   larger than the bucket of its *peak* rate, so that bucket has room for one packet and a peak rate without effect.
//!   Loss and full queues then hit packets, not trains.
//! - *The burst is one packet and what the rate carries in 4 ms.* The bucket makes up for a timer that fires late, up
//!   to 4 ms, which is one tick of a kernel at 250 Hz; no share of the rate is lost as long as timers are better than
//!   that. And a link that was idle runs ahead of its rate by at most 4 ms, so that short transfers are not too fast.
//! - *Delay and loss come before the rate* when a direction has both: only so does the rate's queue hold nothing but
//!   waiting packets, and its limit mean what the topology says. The time of a packet is the same in either order.
//!
//! How a chain is sent to the kernel lives in `real/qdisc`.

use std::time::Duration;

use crate::plan::{Direction, Loss, Queue};

/// The queueing disciplines of one direction, root first; empty when nothing is to be shaped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tc {
    /// Each hangs in the one before it.
    pub chain: Vec<Qdisc>,
}

/// One queueing discipline.
#[derive(Clone, Debug, PartialEq)]
pub enum Qdisc {
    /// Token bucket that lets everything pass and cuts trains into packets.
    Cut,
    /// Token bucket and the queue before it, which drops what does not fit (`tbf`).
    Bucket {
        /// Rate in bytes per second, over whole IP packets.
        rate: u64,
        /// Size of the bucket in bytes.
        burst: u32,
        /// Size of the queue in bytes, over whole IP packets.
        limit: u32,
    },
    /// Everything that happens to packets on their way (`netem`).
    Netem(Netem),
}

/// Settings of netem.
#[derive(Clone, Debug, PartialEq)]
pub struct Netem {
    /// Time added to every packet.
    pub delay: Duration,
    /// Uniform variation of the delay, to both sides.
    pub jitter: Duration,
    /// Loss.
    pub loss: NetemLoss,
    /// Probability that a packet skips the delay, in 1 / (2³² − 1).
    pub reorder: u32,
    /// Probability that a packet comes twice, in 1 / (2³² − 1).
    pub duplicate: u32,
    /// Packets on their way at once; more are dropped. Large enough never to matter.
    pub limit: u32,
    /// Seed of its random numbers (kernels from 6.6 on; older ones draw their own).
    pub seed: u64,
}

/// How netem loses packets. Probabilities in 1 / (2³² − 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetemLoss {
    /// Each packet on its own.
    Independent(u32),
    /// Gilbert's model: nothing is lost in the good state, everything in the bad one.
    Bursty {
        /// Probability to turn bad, per packet.
        worsen: u32,
        /// Probability to turn good again, per packet.
        recover: u32,
    },
}

/// Reads one direction of a link. `seed` is the link's and direction's own.
#[must_use]
pub fn read(direction: &Direction, seed: u64) -> Tc {
    let mut chain = Vec::new();
    if needs_netem(direction) {
        chain.push(Qdisc::Cut);
        chain.push(Qdisc::Netem(netem(direction, seed)));
    }
    if let Some(rate) = direction.rate {
        let rate = (rate.0 / 8).max(1);
        chain.push(Qdisc::Bucket { rate, burst: burst(rate), limit: queue_bytes(direction.queue, rate) });
    }
    Tc { chain }
}

/// Reads the latency from one region to another.
#[must_use]
pub fn read_latency(delay: Duration, seed: u64) -> Tc {
    let netem = Netem {
        delay,
        jitter: Duration::ZERO,
        loss: NetemLoss::Independent(0),
        reorder: 0,
        duplicate: 0,
        limit: in_flight(UNSHAPED_RATE, delay),
        seed,
    };
    Tc { chain: vec![Qdisc::Netem(netem)] }
}

/// Whether a direction asks for more than a rate.
#[must_use]
pub fn needs_netem(direction: &Direction) -> bool {
    !netem_needs(direction).is_empty()
}

/// What a direction asks of netem, in the topology's words.
#[must_use]
pub fn netem_needs(direction: &Direction) -> Vec<&'static str> {
    [
        ("delay", direction.delay.0 > Duration::ZERO),
        ("jitter", direction.jitter.0 > Duration::ZERO),
        ("loss", direction.loss.average.0 > 0),
        ("reorder", direction.reorder.0 > 0),
        ("duplicate", direction.duplicate.0 > 0),
    ]
    .into_iter()
    .filter_map(|(word, asked)| asked.then_some(word))
    .collect()
}

/// Length of the rate's queue in bytes for a rate in bytes per second; room for at least one packet.
#[must_use]
pub fn queue_bytes(queue: Queue, rate: u64) -> u32 {
    let bytes = match queue {
        Queue::Time(span) => u128::from(rate) * span.0.as_nanos() / 1_000_000_000,
        Queue::Bytes(size) => u128::from(size.0),
        Queue::Packets(count) => u128::from(count) * u128::from(MTU),
    };
    u32::try_from(bytes).unwrap_or(u32::MAX).max(MTU)
}

fn netem(direction: &Direction, seed: u64) -> Netem {
    let rate = direction.rate.map_or(UNSHAPED_RATE, |rate| rate.0 / 8);
    Netem {
        delay: direction.delay.0,
        jitter: direction.jitter.0,
        loss: loss(direction.loss),
        reorder: probability(share(direction.reorder.0)),
        duplicate: probability(share(direction.duplicate.0)),
        limit: in_flight(rate, direction.delay.0 + direction.jitter.0),
        seed,
    }
}

/// Gilbert's model has two figures that the topology gives directly: bad spells last 1 / recover packets, and their
/// share of all packets is worsen / (worsen + recover).
fn loss(loss: Loss) -> NetemLoss {
    let average = share(loss.average.0);
    if loss.burst <= 1 || average >= 1.0 {
        return NetemLoss::Independent(probability(average));
    }
    let recover = 1.0 / f64::from(loss.burst);
    let worsen = recover * average / (1.0 - average);
    NetemLoss::Bursty { worsen: probability(worsen), recover: probability(recover) }
}

fn burst(rate: u64) -> u32 {
    let late = rate / 1_000 * TIMER_LATENESS_MS;
    u32::try_from(late).unwrap_or(u32::MAX).saturating_add(MTU)
}

/// Packets that may be on their way for `delay`, at a rate in bytes per second: a second's worth more than the delay,
/// because the other end's delay and queue belong to the sender's window as well, counted in small packets.
fn in_flight(rate: u64, delay: Duration) -> u32 {
    let bytes = u128::from(rate) * (delay + Duration::from_secs(1)).as_nanos() / 1_000_000_000;
    u32::try_from(bytes / SMALL_PACKET).unwrap_or(u32::MAX).clamp(IN_FLIGHT_MIN, IN_FLIGHT_MAX)
}

fn share(parts_per_billion: u32) -> f64 {
    f64::from(parts_per_billion) / 1e9
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the value lies between 0 and u32::MAX")]
fn probability(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
}

/// Size of a full IP packet on every link.
pub const MTU: u32 = 1_500;
/// One tick at 250 Hz; see above.
const TIMER_LATENESS_MS: u64 = 4;
/// What an unshaped link is taken to carry: 10 Gbit/s, more than two cores move through namespaces.
const UNSHAPED_RATE: u64 = 1_250_000_000;
/// Most packets are full ones or acknowledgements; their mean in a download is above this.
const SMALL_PACKET: u128 = 256;
/// netem's own default.
const IN_FLIGHT_MIN: u32 = 1_000;
/// A million packets: memory is taken only by what is really on its way, at most 2 GiB.
const IN_FLIGHT_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Loss, Queue},
        units::{Rate, Share, Size, Span},
    };

    fn direction(rate: Option<u64>) -> Direction {
        Direction {
            rate: rate.map(Rate),
            delay: Span::default(),
            jitter: Span::default(),
            loss: Loss { average: Share(0), burst: 1 },
            reorder: Share(0),
            duplicate: Share(0),
            queue: Queue::Time(Span(Duration::from_millis(50))),
        }
    }

    #[test]
    fn a_rate_is_a_bucket_with_its_queue() {
        let tc = read(&direction(Some(2_000_000)), 1);
        // 250 kB/s: 1 000 bytes in 4 ms, 12 500 bytes in 50 ms.
        assert_eq!(tc.chain, [Qdisc::Bucket { rate: 250_000, burst: 2_500, limit: 12_500 }]);
    }

    #[test]
    fn nothing_asked_is_nothing_done() {
        assert_eq!(read(&direction(None), 1), Tc::default());
    }

    #[test]
    fn delay_goes_before_the_rate_and_behind_the_cut() {
        let mut asked = direction(Some(8_000_000));
        asked.delay = Span(Duration::from_millis(20));
        let tc = read(&asked, 7);
        assert!(matches!(tc.chain[..], [Qdisc::Cut, Qdisc::Netem(_), Qdisc::Bucket { .. }]), "{tc:?}");
        let Qdisc::Netem(netem) = &tc.chain[1] else { panic!() };
        assert_eq!((netem.delay, netem.seed), (Duration::from_millis(20), 7));
        // 1 MB/s for 1.02 s in packets of 256 bytes.
        assert_eq!(netem.limit, 3_984);
    }

    #[test]
    fn bursty_loss_keeps_its_average_and_its_length() {
        let NetemLoss::Bursty { worsen, recover } = loss(Loss { average: Share(10_000_000), burst: 8 }) else {
            panic!("not bursty")
        };
        let (worsen, recover) = (f64::from(worsen) / f64::from(u32::MAX), f64::from(recover) / f64::from(u32::MAX));
        assert!((worsen / (worsen + recover) - 0.01).abs() < 1e-6);
        assert!((1.0 / recover - 8.0).abs() < 1e-6);
        assert_eq!(loss(Loss { average: Share(500_000_000), burst: 1 }), NetemLoss::Independent(2_147_483_648));
    }

    #[test]
    fn a_queue_has_room_for_one_packet_at_least() {
        assert_eq!(queue_bytes(Queue::Time(Span(Duration::from_millis(1))), 1_000), MTU);
        assert_eq!(queue_bytes(Queue::Bytes(Size(64_000)), 1), 64_000);
        assert_eq!(queue_bytes(Queue::Packets(30), 1), 45_000);
    }
}
