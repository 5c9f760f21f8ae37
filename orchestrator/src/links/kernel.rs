//! The kernel engine's reading of a link direction: a chain of queueing disciplines with every number computed.
//!
//! Why these disciplines in this order:
//!
//! - *Rates count IP bytes and the link's overhead.* The kernel counts the 14 bytes of Ethernet header as well; the root
//!   of every chain therefore has a size table that puts the asked overhead in their place. (Packets cut from a train are
//!   counted with their header all the same, so that a sender of trains gets 0.9 % less than its rate; peers send none.)
//! - *Trains are cut.* A sender may hand over up to 64 packets as one (GSO). A token bucket cuts a train when it is
//!   larger than the bucket of its *peak* rate, so that bucket has room for one packet and a peak rate without effect.
//!   Loss and full queues then hit packets, not trains.
//! - *The burst is one packet and what the rate carries in 4 ms.* The bucket makes up for a timer that fires late, up
//!   to 4 ms, which is one tick of a kernel at 250 Hz; no share of the rate is lost as long as timers are better than
//!   that. And a link that was idle runs ahead of its rate by at most 4 ms, so that short transfers are not too fast.
//! - *tbf, not htb.* htb does not cut trains, and its classes would have nothing to share.
//! - *Delay and loss come before the rate* when a direction has both: only so does the rate's queue hold nothing but
//!   waiting packets, its limit mean what the topology says, and CoDel see waiting alone. The time of a packet is the same
//!   in either order, with one difference: a queue that is never empty swallows jitter that comes before it.
//! - *CoDel hangs in the bucket* in place of its first-in-first-out queue.
//!
//! How a chain is sent to the kernel and read back lives in `real/qdisc`, whether both are the same in [`compare`].

pub mod compare;
mod distribution;
pub mod pace;
pub mod reach;

use std::time::Duration;

pub use self::distribution::table;
use self::reach::Reach;
use crate::plan::{Direction, Discipline, Jitter, Loss, Order, Queue, Shape};

/// The queueing disciplines of one direction, root first; empty when nothing is to be shaped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tc {
    /// Each hangs in the one before it.
    pub chain: Vec<Qdisc>,
    /// Bytes counted with every packet beside its own.
    pub overhead: u32,
}

/// One queueing discipline.
#[derive(Clone, Debug, PartialEq)]
pub enum Qdisc {
    /// Token bucket that lets everything pass and cuts trains into packets.
    Cut,
    /// Token bucket and the queue before it, which drops what does not fit (`tbf`).
    Bucket {
        /// Rate in bytes per second, over whole IP packets and their overhead.
        rate: u64,
        /// Size of the bucket in bytes.
        burst: u32,
        /// Size of the queue in bytes, over whole IP packets and their overhead; 0 when the next in the chain is the
        /// queue.
        limit: u32,
    },
    /// The queue of the bucket above it, which keeps waiting short (`codel`).
    CoDel {
        /// Most packets in the queue.
        limit: u32,
        /// Waiting time that is acceptable as a standing queue.
        target: Duration,
        /// How long the waiting time may stay above the target.
        interval: Duration,
    },
    /// Everything that happens to packets on their way (`netem`).
    Netem(Netem),
}

impl Tc {
    /// Whether this becomes `other` by new settings alone, with the same disciplines in the same places.
    ///
    /// netem cannot be told to forget a table of jitter's distribution, so that it has to be made anew for that.
    #[must_use]
    pub fn is_shaped_like(&self, other: &Self) -> bool {
        let alike = |pair: (&Qdisc, &Qdisc)| match pair {
            (Qdisc::Cut, Qdisc::Cut)
            | (Qdisc::Bucket { .. }, Qdisc::Bucket { .. })
            | (Qdisc::CoDel { .. }, Qdisc::CoDel { .. }) => true,
            (Qdisc::Netem(own), Qdisc::Netem(other)) => {
                own.jitter.shape == Shape::Uniform || other.jitter.shape != Shape::Uniform
            }
            _ => false,
        };
        self.chain.len() == other.chain.len() && self.chain.iter().zip(&other.chain).all(alike)
    }
}

/// Settings of netem. Probabilities in 1 / (2³² − 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Netem {
    /// Time added to every packet.
    pub delay: Duration,
    /// Variation of the delay, as in the plan.
    pub jitter: Jitter,
    /// Loss.
    pub loss: NetemLoss,
    /// Probability that a packet skips the delay.
    pub reorder: u32,
    /// Probability that a packet comes twice.
    pub duplicate: u32,
    /// Probability that one bit of a packet is flipped.
    pub corrupt: u32,
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
    read_within(direction, Reach::default(), seed)
}

/// Reads one direction of a link that may come to need more than it asks for now.
#[must_use]
pub fn read_within(direction: &Direction, reach: Reach, seed: u64) -> Tc {
    let mut chain = Vec::new();
    if needs_netem(direction) || reach.netem {
        chain.push(Qdisc::Cut);
        chain.push(Qdisc::Netem(netem(direction, seed)));
    }
    match direction.rate {
        Some(rate) => {
            let rate = (rate.0 / 8).max(1);
            let burst = burst(rate, direction.overhead);
            let bytes = queue_bytes(direction.queue, rate);
            match direction.discipline {
                Discipline::DropTail => {
                    let limit = with_overhead(bytes, direction.queue, direction.overhead);
                    chain.push(Qdisc::Bucket { rate, burst, limit });
                }
                Discipline::CoDel { target, interval } => {
                    chain.push(Qdisc::Bucket { rate, burst, limit: 0 });
                    // Counted in full packets, the queue is never longer than asked.
                    chain.push(Qdisc::CoDel { limit: (bytes / MTU).max(1), target: target.0, interval: interval.0 });
                }
            }
        }
        None if reach.bucket => {
            chain.push(Qdisc::Bucket { rate: NO_LIMIT, burst: frame(direction.overhead), limit: IDLE_QUEUE });
        }
        None => {}
    }
    Tc { chain, overhead: direction.overhead }
}

/// Reads the latency from one region to another.
#[must_use]
pub fn read_latency(delay: Duration, seed: u64) -> Tc {
    let netem = Netem {
        delay,
        jitter: Jitter::default(),
        loss: NetemLoss::Independent(0),
        reorder: 0,
        duplicate: 0,
        corrupt: 0,
        limit: in_flight(UNSHAPED_RATE, delay, 0),
        seed,
    };
    Tc { chain: vec![Qdisc::Netem(netem)], overhead: 0 }
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
        ("jitter", direction.jitter.amount.0 > Duration::ZERO),
        ("loss", direction.loss.average.0 > 0),
        ("reorder", direction.reorder.0 > 0),
        ("duplicate", direction.duplicate.0 > 0),
        ("corrupt", direction.corrupt.0 > 0),
    ]
    .into_iter()
    .filter_map(|(word, asked)| asked.then_some(word))
    .collect()
}

/// Whether a direction's queue is CoDel's; without a rate there is no queue.
#[must_use]
pub fn needs_codel(direction: &Direction) -> bool {
    direction.rate.is_some() && direction.discipline != Discipline::DropTail
}

/// Length of the rate's queue in bytes of IP packets for a rate in bytes per second; room for at least one packet.
#[must_use]
pub fn queue_bytes(queue: Queue, rate: u64) -> u32 {
    let bytes = match queue {
        Queue::Time(span) => u128::from(rate) * span.0.as_nanos() / 1_000_000_000,
        Queue::Bytes(size) => u128::from(size.0),
        Queue::Packets(count) => u128::from(count) * u128::from(MTU),
    };
    u32::try_from(bytes).unwrap_or(u32::MAX).max(MTU)
}

/// The kernel counts overhead in the queue as well. A queue given as time has it in its figure already; to others it is
/// added as full packets have it.
fn with_overhead(bytes: u32, queue: Queue, overhead: u32) -> u32 {
    let full = u64::from(MTU + overhead);
    let bytes = match queue {
        Queue::Time(_) => u64::from(bytes),
        Queue::Bytes(_) | Queue::Packets(_) => u64::from(bytes) * full / u64::from(MTU),
    };
    u32::try_from(bytes.max(full)).unwrap_or(u32::MAX)
}

fn netem(direction: &Direction, seed: u64) -> Netem {
    let rate = direction.rate.map_or(UNSHAPED_RATE, |rate| rate.0 / 8);
    let queue = direction.rate.map_or(0, |_| queue_bytes(direction.queue, rate));
    // A packet can overtake others only where these wait.
    let reorder = if direction.delay.0.is_zero() { 0 } else { probability(share(direction.reorder.0)) };
    Netem {
        delay: direction.delay.0,
        jitter: direction.jitter,
        loss: loss(direction.loss),
        reorder,
        duplicate: probability(share(direction.duplicate.0)),
        corrupt: probability(share(direction.corrupt.0)),
        limit: in_flight(rate, longest_delay(direction), queue),
        seed,
    }
}

fn longest_delay(direction: &Direction) -> Duration {
    let jitter = direction.jitter.amount.0;
    direction.delay.0
        + match direction.jitter.shape {
            Shape::Uniform => jitter,
            Shape::Normal | Shape::Pareto => jitter * distribution::DEVIATIONS_MAX,
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

fn burst(rate: u64, overhead: u32) -> u32 {
    let late = rate / 1_000 * TIMER_LATENESS_MS;
    u32::try_from(late).unwrap_or(u32::MAX).saturating_add(frame(overhead))
}

/// Bytes that the kernel may count for one full packet: with the overhead, or with its Ethernet header when it has been
/// cut from a train.
#[must_use]
pub fn frame(overhead: u32) -> u32 {
    MTU + overhead.max(ETHERNET_HEADER)
}

/// Packets that may be on their way for `delay`, at a rate in bytes per second with a queue in bytes behind: a second's
/// worth more than that, because the other end's delay and queue belong to the sender's window as well, counted in small
/// packets.
fn in_flight(rate: u64, delay: Duration, queue: u32) -> u32 {
    let way = u128::from(rate) * (delay + Duration::from_secs(1)).as_nanos() / 1_000_000_000;
    let packets = (way + u128::from(queue)) / SMALL_PACKET;
    u32::try_from(packets).unwrap_or(u32::MAX).clamp(IN_FLIGHT_MIN, IN_FLIGHT_MAX)
}

/// Whether packets keep their order although their delays vary.
#[must_use]
pub fn keeps_order(jitter: Jitter) -> bool {
    !jitter.amount.0.is_zero() && jitter.order == Order::Kept
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
/// Bytes of Ethernet header that the kernel counts with every packet unless told otherwise.
pub const ETHERNET_HEADER: u32 = 14;
/// Bytes per second without effect: 4 Tbit/s, twice as fast as a full packet takes a nanosecond or two.
pub const NO_LIMIT: u64 = 500_000_000_000;
/// Queue of a bucket without effect, in which nothing ever waits.
const IDLE_QUEUE: u32 = 1 << 20;
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
mod tests;
