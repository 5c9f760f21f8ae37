//! What one direction of a link has done so far, whichever engine shapes it: plain numbers for those who watch a run.
//!
//! How the engines come by them lives with the engines; who shows them, in `observe`.

use super::{
    emulation::counters::Counters,
    kernel::{Netem, NetemLoss, Qdisc, Tc, compare::Counts},
};

/// One direction of a link since it was made. All but what waits only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes that came through, over whole IP packets; with the kernel engine the link's overhead is counted too.
    pub sent_bytes: u64,
    /// Packets that came through.
    pub sent_packets: u64,
    /// Bytes that wait for the rate at this moment.
    pub waiting_bytes: u64,
    /// Packets that did not come through, by cause.
    pub dropped: Drops,
}

/// Packets dropped, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// As the link's loss asks for.
    pub loss: u64,
    /// The queue was full.
    pub queue: u64,
    /// By CoDel.
    pub codel: u64,
    /// The link was down. With the kernel engine such packets never reach it and are counted by the proof of the change.
    pub down: u64,
    /// The engine had no room for them: nobody asked for that.
    pub engine: u64,
}

impl Tally {
    /// Reads what the kernel's disciplines have counted, `of` by level from the root. None where nothing is shaped.
    pub(super) fn of_kernel(asked: &Tc, of: impl Fn(usize) -> Counts) -> Option<Self> {
        if asked.chain.is_empty() {
            return None;
        }
        let root = of(0);
        let mut tally = Self { sent_bytes: root.bytes, sent_packets: root.packets, ..Self::default() };
        for (level, qdisc) in asked.chain.iter().enumerate() {
            // A discipline counts what the one below it drops as its own too.
            let below = if level + 1 < asked.chain.len() { of(level + 1).drops } else { 0 };
            let own = of(level).drops.saturating_sub(below);
            let cause = match qdisc {
                Qdisc::Netem(Netem { loss: NetemLoss::Independent(0), .. }) | Qdisc::Cut => &mut tally.dropped.engine,
                Qdisc::Netem(_) => &mut tally.dropped.loss,
                Qdisc::Bucket { .. } => {
                    tally.waiting_bytes = of(level).backlog;
                    &mut tally.dropped.queue
                }
                Qdisc::CoDel { .. } => &mut tally.dropped.codel,
            };
            *cause += own;
        }
        Some(tally)
    }

    /// Reads what the user engine's model has counted, with so many bytes waiting.
    #[must_use]
    pub fn of_user(counters: &Counters, waiting_bytes: u64) -> Self {
        Self {
            sent_bytes: counters.left.bytes,
            sent_packets: counters.left.packets,
            waiting_bytes,
            dropped: Drops {
                loss: counters.dropped_loss,
                queue: counters.dropped_queue,
                codel: counters.dropped_codel,
                down: counters.dropped_down,
                engine: counters.dropped_memory,
            },
        }
    }

    /// Adds another direction's.
    pub fn add(&mut self, other: &Self) {
        self.sent_bytes += other.sent_bytes;
        self.sent_packets += other.sent_packets;
        self.waiting_bytes += other.waiting_bytes;
        for ((_, own), (_, more)) in self.dropped.by_cause_mut().into_iter().zip(other.dropped.by_cause()) {
            *own += more;
        }
    }
}

impl Drops {
    /// Every cause with its word.
    #[must_use]
    pub fn by_cause(&self) -> [(&'static str, u64); 5] {
        let mut copy = *self;
        copy.by_cause_mut().map(|(cause, packets)| (cause, *packets))
    }

    fn by_cause_mut(&mut self) -> [(&'static str, &mut u64); 5] {
        [
            ("loss", &mut self.loss),
            ("queue", &mut self.queue),
            ("codel", &mut self.codel),
            ("down", &mut self.down),
            ("engine", &mut self.engine),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_drop_counts_once_and_for_the_discipline_that_made_it() {
        let codel =
            Qdisc::CoDel { limit: 1000, target: Duration::from_millis(5), interval: Duration::from_millis(100) };
        let chain = vec![Qdisc::Cut, Qdisc::Bucket { rate: 250_000, burst: 2500, limit: 0 }, codel];
        let drops = [9, 9, 7];
        let counts =
            |level: usize| Counts { bytes: 3000, packets: 2, drops: drops[level], backlog: 1500, ..Counts::default() };
        let tally = Tally::of_kernel(&Tc { chain, overhead: 0 }, counts).unwrap();
        assert_eq!((tally.sent_bytes, tally.sent_packets, tally.waiting_bytes), (3000, 2, 1500));
        assert_eq!(tally.dropped, Drops { queue: 2, codel: 7, ..Drops::default() });
        assert_eq!(Tally::of_kernel(&Tc::default(), counts), None);
    }

    #[test]
    fn sums_hold_every_cause() {
        let one = Drops { loss: 1, queue: 2, codel: 3, down: 4, engine: 5 };
        let mut sum = Tally { dropped: one, waiting_bytes: 10, ..Tally::default() };
        sum.add(&Tally { dropped: one, waiting_bytes: 5, ..Tally::default() });
        assert_eq!(sum.dropped.by_cause().map(|(_, packets)| packets), [2, 4, 6, 8, 10]);
        assert_eq!(sum.waiting_bytes, 15);
    }
}
