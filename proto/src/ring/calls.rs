//! Questions that wait for their answer.
//!
//! A question is asked again, with the time doubled, until its attempts are used up; then its peer counts as dead.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::contact::Contact;
use super::message::Question;
use super::options::Patience;
use super::purpose::Purpose;
use super::rtt::RoundTrips;
use crate::id::PeerId;
use crate::random::Random;
use crate::time::Time;

/// All questions under way, and the round trips measured with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    next: u32,
    /// Boxed: most nodes have few under way, and an empty map keeps room for eleven.
    calls: BTreeMap<u32, Box<Call>>,
    /// Exactly one entry per call.
    deadlines: BTreeSet<(Time, u32)>,
    pub(super) round_trips: RoundTrips,
}

/// A question under way.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) to: Contact,
    pub(super) purpose: Purpose,
    pub(super) question: Question,
    asked: Time,
    wait: Duration,
    attempt: u8,
}

/// What to do about a question whose time is up.
#[derive(Debug)]
pub(super) enum Due {
    /// Ask again.
    Again { number: u32, to: Contact, question: Question },
    /// Give up.
    Over(Call),
}

impl Calls {
    /// Starts numbering anywhere, so that a node that comes back takes no answer to its former self for its own.
    pub(super) fn new(random: &mut Random) -> Self {
        Self { next: (random.bits() >> 32) as u32, ..Self::default() }
    }

    /// Notes a question down and returns its number.
    pub(super) fn start(
        &mut self,
        now: Time,
        to: Contact,
        question: Question,
        purpose: Purpose,
        patience: &Patience,
    ) -> u32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let wait = self.round_trips.patience(to.peer, patience) * question.patience();
        self.deadlines.insert((now + wait, number));
        self.calls.insert(number, Box::new(Call { to, purpose, question, asked: now, wait, attempt: 1 }));
        number
    }

    /// Takes the call an answer belongs to; `None` when nothing was asked of that contact under that number.
    pub(super) fn take(&mut self, now: Time, from: Contact, number: u32) -> Option<Call> {
        if self.calls.get(&number)?.to != from {
            return None;
        }
        let call = self.remove(number)?;
        // An answer to a question asked twice does not tell which one it answers (Karn's rule).
        if call.attempt == 1 && call.question.patience() == 1 {
            self.round_trips.record(from.peer, now - call.asked);
        }
        Some(call)
    }

    /// Returns whether something was asked of a contact under a number and is not answered yet.
    pub(super) fn is_awaited(&self, from: Contact, number: u32) -> bool {
        self.calls.get(&number).is_some_and(|call| call.to == from)
    }

    /// Takes the next question whose time is up; one to ask again stays under way.
    pub(super) fn due(&mut self, now: Time, patience: &Patience) -> Option<Due> {
        let &(deadline, number) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        let call = self.calls.get_mut(&number)?;
        if call.attempt >= call.question.attempts(patience.attempts) {
            return self.remove(number).map(Due::Over);
        }
        call.attempt += 1;
        call.wait = (2 * call.wait).min(patience.ceiling * call.question.patience());
        call.asked = now;
        let again = Due::Again { number, to: call.to, question: call.question.clone() };
        let next = now + call.wait;
        self.deadlines.remove(&(deadline, number));
        self.deadlines.insert((next, number));
        Some(again)
    }

    /// Takes all questions asked of a peer.
    pub(super) fn take_all_to(&mut self, peer: PeerId) -> Vec<Call> {
        let numbers: Vec<u32> =
            self.calls.iter().filter(|(_, call)| call.to.peer == peer).map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    pub(super) fn earliest(&self) -> Option<Time> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    pub(super) fn overdue(&self, at: Time) -> impl Iterator<Item = Contact> {
        let due = self.deadlines.iter().take_while(move |(deadline, _)| *deadline <= at);
        due.filter_map(|(_, number)| Some(self.calls.get(number)?.to))
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Drops every question: the node has left.
    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.deadlines.clear();
    }

    fn remove(&mut self, number: u32) -> Option<Call> {
        let call = self.calls.remove(&number)?;
        self.deadlines.remove(&(call.asked + call.wait, number));
        Some(*call)
    }
}
