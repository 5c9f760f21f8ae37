//! The deadlines of a swarm core.

use crate::time::Time;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// When to rank the neighbours.
    ChokeRound,
    /// When to choose another optimistic neighbour.
    Optimistic,
    /// When to tell neighbours the news.
    Announce,
    /// When to look whether a neighbour has kept us waiting too long.
    Snub,
    /// When to look whether a slot is held by somebody who asks for nothing.
    IdleSlot,
    /// When to look again whether a leaf comes sooner from somebody else.
    Steal,
    /// When to tell a neighbour that it no longer interests us.
    Dull,
    /// When to dial a candidate again.
    Dial,
    /// When a super-seed looks whether it gets on.
    Unmask,
    /// When to tell neighbours of each other.
    Exchange,
    /// When to stop waiting for runs under way and leave.
    Leave,
}

impl Timer {
    pub(super) const ALL: [Timer; 11] = [
        Self::ChokeRound,
        Self::Optimistic,
        Self::Announce,
        Self::Snub,
        Self::IdleSlot,
        Self::Steal,
        Self::Dull,
        Self::Dial,
        Self::Unmask,
        Self::Exchange,
        Self::Leave,
    ];

    fn reason(self) -> &'static str {
        match self {
            Self::ChokeRound => "rank the neighbours",
            Self::Optimistic => "choose an optimistic neighbour",
            Self::Announce => "tell neighbours the news",
            Self::Snub => "look for neighbours that keep us waiting",
            Self::IdleSlot => "look for slots that are not used",
            Self::Steal => "look for leaves that would come sooner from elsewhere",
            Self::Dull => "tell a neighbour that it no longer interests us",
            Self::Dial => "dial a candidate again",
            Self::Unmask => "look whether a super-seed gets on",
            Self::Exchange => "tell neighbours of each other",
            Self::Leave => "stop waiting for runs under way",
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

    /// Sets the deadline unless an earlier one stands.
    pub(super) fn set_earlier(&mut self, timer: Timer, due: Time) {
        let slot = &mut self.0[timer as usize];
        *slot = Some(slot.map_or(due, |standing| standing.min(due)));
    }

    /// Whether a timer's deadline has come.
    pub(super) fn is_due(&self, timer: Timer, now: Time) -> bool {
        self.0[timer as usize].is_some_and(|due| due <= now)
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// Takes a timer whose deadline has come.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let due = Timer::ALL.into_iter().find(|&timer| self.0[timer as usize].is_some_and(|due| due <= now))?;
        self.stop(due);
        Some(due)
    }

    pub(super) fn earliest(&self) -> Option<(Time, &'static str)> {
        let due = Timer::ALL.into_iter().filter_map(|timer| Some((self.0[timer as usize]?, timer.reason())));
        due.min_by_key(|&(due, _)| due)
    }
}
