//! Rectify: who is before us. The only place that replaces a known predecessor.
//!
//! A notifier nearer than the predecessor takes its place at once; one further away only after the predecessor was
//! pinged and found dead (fault 5 of the published protocol: setting it to nil on a timer and then taking anybody). The
//! ping makes no step busy: nothing changes before its time is up, and then at once.

use super::contact::Contact;
use super::core::Core;
use super::message::{Answer, Question};
use super::purpose::{Purpose, Reply};
use crate::time::Time;

/// A predecessor being pinged, and who would take its place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rectify {
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    predecessor: Contact,
    /// The nearest of those who notified us since.
    candidate: Contact,
}

impl Rectify {
    /// Takes a notification. Its sender is known to be alive.
    pub(super) fn on_notify(&mut self, now: Time, core: &mut Core, from: Contact) {
        let Some(predecessor) = core.predecessor else { return core.set_predecessor(from) };
        if from == predecessor {
            return;
        }
        let is_nearer = |than: Contact| core.circle.is_between(than.point, from.point, core.me.point);
        if is_nearer(predecessor) || core.is_dead(now, predecessor) {
            core.set_predecessor(from);
        } else if let Some(pending) = &mut self.pending {
            if is_nearer(pending.candidate) {
                pending.candidate = from;
            }
        } else {
            self.pending = Some(Pending { predecessor, candidate: from });
            core.ask(now, predecessor, Question::Ping, Purpose::PingPredecessor);
        }
    }

    /// Takes the predecessor's answer, or that there is none.
    pub(super) fn on_predecessor(&mut self, core: &mut Core, reply: Reply) {
        let Some(Pending { predecessor, candidate }) = self.pending.take() else { return };
        let is_alive = matches!(reply, Ok(Answer::Alive | Answer::Busy));
        if !is_alive && core.predecessor == Some(predecessor) {
            core.set_predecessor(candidate);
        }
    }
}
