//! The deadlines of a ring node, apart from those of single questions (`calls.rs`) and lookups (`lookup.rs`).

use crate::time::Time;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// When to stabilise.
    Stabilise,
    /// When to ping the other successors and refresh a finger.
    Maintain,
    /// When to look ourselves up from elsewhere.
    Audit,
    /// When to try to join again.
    Join,
    /// When to compare replicas.
    Repair,
    /// When to go on with operations and transfers that were put off.
    Resume,
    /// When to drop records that have expired.
    Expire,
}

impl Timer {
    pub(super) const ALL: [Timer; 7] =
        [Self::Stabilise, Self::Maintain, Self::Audit, Self::Join, Self::Repair, Self::Resume, Self::Expire];

    fn reason(self) -> &'static str {
        match self {
            Self::Stabilise => "stabilise",
            Self::Maintain => "ping successors and refresh a finger",
            Self::Audit => "look ourselves up",
            Self::Join => "try to join again",
            Self::Repair => "compare replicas",
            Self::Resume => "go on with what was put off",
            Self::Expire => "drop expired records",
        }
    }
}

/// At most one deadline per timer.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers([Option<Time>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, due: Time) {
        self.0[timer as usize] = Some(due);
    }

    /// Brings a deadline forward, or sets it.
    pub(super) fn hasten(&mut self, timer: Timer, due: Time) {
        let slot = &mut self.0[timer as usize];
        *slot = Some(slot.map_or(due, |set| set.min(due)));
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Takes a timer whose deadline has come.
    pub(super) fn due(&mut self, now: Time) -> Option<Timer> {
        let timer = Timer::ALL.into_iter().find(|&timer| self.0[timer as usize].is_some_and(|due| due <= now))?;
        self.0[timer as usize] = None;
        Some(timer)
    }

    pub(super) fn earliest(&self) -> Option<(Time, &'static str)> {
        let due = Timer::ALL.into_iter().filter_map(|timer| Some((self.0[timer as usize]?, timer.reason())));
        due.min_by_key(|&(due, _)| due)
    }
}
