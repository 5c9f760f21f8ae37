//! What one direction of a link does to packets, as the model reads it.
//!
//! [`Settings`] are the figures of a plan's [`Direction`] that hold at one time. What the model makes of each is written
//! here, how it does that in the other files of the model.

use std::time::Duration;

use crate::{
    links::course::Figures,
    plan::{Direction, Discipline, Jitter, LinkState, Loss, Order, Queue, Shape},
    units::{Rate, Share, Size, Span},
};

/// One direction of a link. Every figure is one way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// A link that is down loses every packet that comes; what has been taken already goes on.
    pub state: LinkState,
    /// Bits per second over whole IP packets plus [`overhead`](Self::overhead); none means unshaped, zero lets nothing
    /// out until the next change.
    pub rate: Option<Rate>,
    /// Bytes that each packet takes at the rate beside its own; a queue's length in bytes does not count them.
    pub overhead: u32,
    /// Time added to every packet after it has left the bottleneck.
    pub delay: Duration,
    /// Variation of the delay. A delay never becomes negative, whatever is drawn.
    pub jitter: Jitter,
    /// Packets lost before the bottleneck, as netem does: they take no time at the rate.
    pub loss: Loss,
    /// Share of packets that skip delay and jitter and so overtake their predecessors; without a delay it does nothing.
    pub reorder: Share,
    /// Share of packets that enter the bottleneck twice.
    pub duplicate: Share,
    /// Share of packets in which one bit behind the IP header is flipped.
    pub corrupt: Share,
    /// How much may wait at the bottleneck; without a rate nothing ever waits. A packet that finds the link idle is
    /// always taken, so that no limit is too small for any traffic at all.
    pub queue: Queue,
    /// Who is dropped when the queue is long.
    pub discipline: Discipline,
}

impl Settings {
    /// A direction that does nothing to packets.
    pub const UNSHAPED: Self = Self {
        state: LinkState::Up,
        rate: None,
        overhead: 0,
        delay: Duration::ZERO,
        jitter: Jitter { amount: Span(Duration::ZERO), shape: Shape::Uniform, order: Order::Free },
        loss: Loss { average: Share(0), burst: 1 },
        reorder: Share(0),
        duplicate: Share(0),
        corrupt: Share(0),
        queue: Queue::Packets(u32::MAX),
        discipline: Discipline::DropTail,
    };

    /// The shortest delay that jitter can make of it.
    #[must_use]
    pub(super) fn delay_min(&self) -> Duration {
        let most = match self.jitter.shape {
            Shape::Uniform => self.jitter.amount.0,
            Shape::Normal | Shape::Pareto => self.jitter.amount.0.mul_f64(DEVIATIONS_MAX),
        };
        self.delay.saturating_sub(most)
    }

    /// Most segments of `bytes` IP bytes each that may stay together in one train.
    ///
    /// A train leaves whole when its last bit has been sent, so a long train at a low rate would arrive as a burst after
    /// a gap; [`TRAIN_TIME_MAX`] bounds that. Jitter and CoDel are about single packets.
    #[must_use]
    pub(super) fn run_max(&self, bytes: u32) -> u32 {
        if !self.jitter.amount.0.is_zero() || self.discipline != Discipline::DropTail {
            return 1;
        }
        let Some(rate) = self.rate else { return u32::MAX };
        let bits = u128::from(bytes.saturating_add(self.overhead).max(1)) * 8;
        let fitting = u128::from(rate.0) * TRAIN_TIME_MAX.as_nanos() / (bits * 1_000_000_000);
        u32::try_from(fitting).unwrap_or(u32::MAX).max(1)
    }
}

impl From<&Figures> for Settings {
    /// Reads what holds at one moment of a run.
    fn from(figures: &Figures) -> Self {
        Self { state: figures.state, ..Self::from(&figures.direction) }
    }
}

impl From<&Direction> for Settings {
    /// Reads a plan, but for its trace; the link is up. A plan's queue of packets is room for so many full-sized ones.
    fn from(direction: &Direction) -> Self {
        let queue = match direction.queue {
            Queue::Packets(count) => Queue::Bytes(Size(u64::from(count) * FULL_PACKET)),
            queue @ (Queue::Time(_) | Queue::Bytes(_)) => queue,
        };
        Self {
            state: LinkState::Up,
            rate: direction.rate,
            overhead: direction.overhead,
            delay: direction.delay.0,
            jitter: direction.jitter,
            loss: direction.loss,
            reorder: direction.reorder,
            duplicate: direction.duplicate,
            corrupt: direction.corrupt,
            queue,
            discipline: direction.discipline,
        }
    }
}

/// Longest a train kept whole may take at the rate of a link.
///
/// Chosen at half the millisecond within which packets are promised to leave: at most 2000 trains a second and link
/// have to be handled whatever the rate, and pacing is exact to it. Below 24 Mbit/s every full-sized packet goes alone.
pub const TRAIN_TIME_MAX: Duration = Duration::from_micros(500);

/// Where the tails of jitter end, in standard deviations, so that no packet is held without bound.
///
/// Pareto loses 0.9 % of a deviation from its mean by it; netem's tables end at 4 and lose 2.3 %.
pub(super) const DEVIATIONS_MAX: f64 = 8.0;
/// Bytes of a full-sized packet: the MTU of every link.
pub(super) const FULL_PACKET: u64 = 1_500;
