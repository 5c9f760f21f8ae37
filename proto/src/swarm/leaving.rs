//! Leaving a swarm without cutting off what neighbours are being sent.

use std::time::Duration;

use super::options::Leaving;
use super::timer::Timer;
use super::{Event, Output, Reason, Swarm};
use crate::id::PeerId;
use crate::time::Time;

/// ```text
///  handle_leave, or done by itself   nothing is under way, or too late
/// Staying ────────────────▶ Leaving ──────────────────────────────────▶ Gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    /// A member like any other.
    Staying,
    /// Begins nothing new; finishes runs under way.
    Leaving,
    /// Has no neighbours and takes none.
    Gone,
}

impl Swarm {
    pub(super) fn is_leaving(&self) -> bool {
        self.membership != Membership::Staying
    }

    pub(super) fn on_leave(&mut self, now: Time) {
        if self.is_leaving() {
            return;
        }
        self.membership = Membership::Leaving;
        self.timers.stop_all();
        self.timers.set(Timer::Leave, now + DRAIN_MAX);
        let peers: Vec<PeerId> = self.neighbours.keys().copied().collect();
        for peer in peers {
            self.choke(peer);
            self.release_all(peer);
        }
    }

    /// Leaves by itself once it has everything and has given what the options ask for.
    pub(super) fn leave_when_done(&mut self, now: Time) {
        let Some(before) = self.completed_after else { return };
        let since = self.stats.uploaded_bytes - before;
        let done = match self.options.leaving {
            Leaving::Stay => false,
            Leaving::OnCompletion => true,
            Leaving::Linger => since >= u64::from(self.options.linger_pieces) * u64::from(self.manifest.piece_size()),
        };
        if done {
            self.on_leave(now);
        }
    }

    /// Hangs up on every neighbour that waits for nothing more.
    pub(super) fn leave_if_idle(&mut self) {
        if self.membership != Membership::Leaving {
            return;
        }
        let idle = self.neighbours.iter().filter(|(_, neighbour)| neighbour.uploads.under_way() == 0);
        let idle: Vec<PeerId> = idle.map(|(&peer, _)| peer).collect();
        idle.into_iter().for_each(|peer| self.hang_up(peer, Reason::Leaving));
        if self.neighbours.is_empty() {
            self.membership = Membership::Gone;
            self.timers.stop_all();
            self.outputs.push_back(Output::Event(Event::Left));
        }
    }

    /// Leaves although runs are under way.
    pub(super) fn stop_waiting(&mut self) {
        let peers: Vec<PeerId> = self.neighbours.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.hang_up(peer, Reason::Leaving));
    }
}

/// Longest wait for runs under way: as long as a thin uplink takes for what may be under way on it.
const DRAIN_MAX: Duration = Duration::from_secs(5);
