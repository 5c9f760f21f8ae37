//! What all parts of a ring node share: who it is, whom it knows, its open questions and its outputs.
//!
//! The parts themselves (`stabilise.rs`, `lookup.rs`, …) change it through the methods here, and talk to one another
//! through [`Task`]s, so that none needs to know the others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::acquaintances::Acquaintances;
use super::calls::Calls;
use super::circle::{Circle, Point};
use super::contact::{Contact, Entry};
use super::finger_table::FingerTable;
use super::message::{Answer, Message, Note, Ownership, Question};
use super::options::Options;
use super::output::{Event, Output};
use super::purpose::{Purpose, Task};
use super::stats::Stats;
use super::successors::{Adoption, SuccessorList};
use super::suspects::{Doubt, Suspects};
use super::timer::{Timer, Timers};
use crate::random::Random;
use crate::time::Time;

#[derive(Clone, Debug)]
pub(super) struct Core {
    pub(super) me: Contact,
    pub(super) circle: Circle,
    pub(super) options: Arc<Options>,
    pub(super) standing: Standing,
    pub(super) introduced: Introduced,
    pub(super) successors: SuccessorList,
    pub(super) predecessor: Option<Contact>,
    pub(super) fingers: FingerTable,
    pub(super) acquaintances: Acquaintances,
    pub(super) suspects: Suspects,
    pub(super) calls: Calls,
    pub(super) timers: Timers,
    pub(super) random: Random,
    pub(super) stats: Stats,
    pub(super) outputs: VecDeque<Output>,
    pub(super) tasks: VecDeque<Task>,
    /// Until when hints wait.
    hints_from: Time,
}

/// Where a node stands towards the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It looks for its place.
    Joining,
    /// It is a member.
    Member,
    /// It hands its records over; still a member.
    Leaving,
    /// It has left.
    Gone,
}

/// Whether a new member has made itself known to those beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Introduced {
    /// Its successor has not heard of it.
    No,
    /// Its successor has been notified.
    Yes,
}

impl Standing {
    /// Returns whether others may count on the node.
    #[must_use]
    pub fn is_member(self) -> bool {
        matches!(self, Self::Member | Self::Leaving)
    }
}

impl Core {
    pub(super) fn new(me: Contact, circle: Circle, mut options: Options, mut random: Random) -> Self {
        options.shortcuts.truncate(SHORTCUTS_MAX);
        if !options.stabilise.is_zero() {
            options.stabilise = options.stabilise.max(INTERVAL_MIN);
        }
        options.data.repair = options.data.repair.max(INTERVAL_MIN);
        let successors = SuccessorList::new(circle, me.point, options.list_len());
        Self {
            me,
            circle,
            options: Arc::new(options),
            standing: Standing::Joining,
            introduced: Introduced::Yes,
            successors,
            predecessor: None,
            fingers: FingerTable::default(),
            acquaintances: Acquaintances::default(),
            suspects: Suspects::default(),
            calls: Calls::new(&mut random),
            timers: Timers::default(),
            random,
            stats: Stats::default(),
            outputs: VecDeque::new(),
            tasks: VecDeque::new(),
            hints_from: Time::ZERO,
        }
    }

    /// Asks a question; its answer comes back under `purpose`. At the limit nobody is asked.
    pub(super) fn ask(&mut self, now: Time, to: Contact, question: Question, purpose: Purpose) {
        if self.calls.len() >= self.options.calls_max as usize {
            self.stats.questions_withheld += 1;
            self.tasks.push_back(Task::Withheld { to, purpose });
            return;
        }
        self.stats.questions += 1;
        let number = self.calls.start(now, to, question.clone(), purpose, &self.options.patience);
        self.send(to, Message::Question { number, question });
    }

    pub(super) fn answer(&mut self, to: Contact, number: u32, answer: Answer) {
        self.send(to, Message::Answer { number, answer });
    }

    pub(super) fn tell(&mut self, to: Contact, note: Note) {
        self.send(to, Message::Note(note));
    }

    /// Notifies our successor. A new member makes itself known to its predecessor, too, which would otherwise hear of it
    /// only at its next stabilisation, and is fully in from now on.
    pub(super) fn notify(&mut self, successor: Contact) {
        self.tell(successor, Note::Notify);
        if self.introduced == Introduced::No {
            self.introduced = Introduced::Yes;
            if let Some(predecessor) = self.predecessor {
                self.tell(predecessor, Note::Skipped);
            }
            self.event(Event::Joined);
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn send(&mut self, to: Contact, message: Message) {
        self.stats.sent += 1;
        self.outputs.push_back(Output::Send { to, message });
    }

    /// Puts a live node at the head of the successor list and its own list behind it.
    pub(super) fn adopt_successors(&mut self, now: Time, head: Contact, rest: &[Entry]) {
        let before = self.successors.entries().to_vec();
        let suspects = &self.suspects;
        let adoption = self.successors.adopt(head, rest, |contact| suspects.is_dead(now, contact.peer));
        self.note_successors(&before, adoption);
    }

    /// Takes over the whole list of the node before us: how a node joins.
    pub(super) fn copy_successors(&mut self, now: Time, entries: &[Entry]) {
        let before = self.successors.entries().to_vec();
        let suspects = &self.suspects;
        let adoption = self.successors.copy(entries, |contact| suspects.is_dead(now, contact.peer));
        self.note_successors(&before, adoption);
    }

    pub(super) fn set_predecessor(&mut self, predecessor: Contact) {
        let before = self.predecessor.replace(predecessor);
        if before != Some(predecessor) {
            self.event(Event::PredecessorChanged { predecessor });
            self.tasks.push_back(Task::PredecessorChanged { before });
        }
    }

    /// Treats a peer as dead: nobody is sent there until it is heard again.
    ///
    /// The predecessor stays, because only `rectify.rs` may replace it (fault 5 of the published protocol).
    pub(super) fn bury(&mut self, now: Time, dead: Contact) {
        self.stats.deaths += 1;
        self.suspects.insert(now, dead.peer, SUSPICION_ROUNDS * self.options.stabilise, Doubt::Dead);
        self.acquaintances.remember(dead, &mut self.random);
        self.strike(dead);
    }

    /// Takes a peer off the pointers. The predecessor stays, see above.
    pub(super) fn strike(&mut self, contact: Contact) {
        self.fingers.remove(contact);
        self.acquaintances.forget_former(contact);
        let head = self.successors.head();
        if self.successors.remove(contact).is_some() {
            self.note_head(head);
            self.tasks.push_back(Task::SuccessorLost);
        }
    }

    /// Takes the hint that pointers are about to change. They are looked after at once, but not for every hint, since each
    /// costs a round of pings: one that comes within an eighth of an interval of the last that was followed waits until its
    /// end, which makes sixteen an interval at most, however many hints there are.
    pub(super) fn take_hint(&mut self, now: Time) {
        if self.options.stabilise.is_zero() {
            return;
        }
        let at = if now < self.hints_from {
            self.stats.hints_put_off += 1;
            self.hints_from
        } else {
            self.hints_from = now + self.options.stabilise / HINTS_PER_INTERVAL;
            now
        };
        self.timers.hasten(Timer::Stabilise, at);
        self.timers.hasten(Timer::Maintain, at);
    }

    /// Sends nobody to a silent peer until it is heard or found dead.
    pub(super) fn suspect(&mut self, now: Time, contact: Contact) {
        self.suspects.insert(now, contact.peer, SUSPICION_ROUNDS * self.options.stabilise, Doubt::Silent);
    }

    /// Returns whether a peer was found dead lately.
    pub(super) fn is_dead(&self, now: Time, contact: Contact) -> bool {
        self.suspects.is_dead(now, contact.peer)
    }

    /// Picks a peer remembered for bad times.
    pub(super) fn pick_acquaintance(&mut self, now: Time) -> Option<Contact> {
        let suspects = &self.suspects;
        self.acquaintances.pick(&mut self.random, |contact| suspects.contains(now, contact.peer))
    }

    /// Returns whether a peer was found dead or silent lately.
    pub(super) fn is_suspect(&self, now: Time, contact: Contact) -> bool {
        !self.suspects.is_empty() && self.suspects.contains(now, contact.peer)
    }

    /// Returns whether a key is ours, as far as we know: it lies between our predecessor and us.
    pub(super) fn ownership(&self, key: Point) -> Ownership {
        let ours = match self.predecessor {
            Some(predecessor) => self.circle.is_up_to(predecessor.point, key, self.me.point),
            None => true,
        };
        if ours && self.standing.is_member() { Ownership::Mine } else { Ownership::NotMine }
    }

    /// Varies an interval, so that nodes do not fall into step.
    pub(super) fn jittered(&mut self, interval: Duration) -> Duration {
        let jitter = self.options.jitter.clamp(0.0, 0.9);
        interval.mul_f64(1.0 + jitter * (2.0 * self.random.fraction() - 1.0))
    }

    fn note_successors(&mut self, before: &[Entry], adoption: Adoption) {
        if adoption == Adoption::Cut {
            self.stats.lists_cut += 1;
        }
        if before != self.successors.entries() {
            let successors = &self.successors;
            let gone = before.iter().filter_map(Entry::contact);
            let gone = gone.filter(|contact| !successors.contacts().any(|kept| kept == *contact));
            self.acquaintances.remember_former(gone, self.options.list_len(), self.circle, self.me.point);
            self.note_head(before[0].contact());
            self.tasks.push_back(Task::SuccessorsChanged);
        }
    }

    fn note_head(&mut self, before: Option<Contact>) {
        let successor = self.successors.head();
        if before != successor {
            self.event(Event::SuccessorChanged { successor });
        }
    }

    /// Brings the next stabilisation forward to now.
    pub(super) fn stabilise_soon(&mut self, now: Time) {
        if !self.options.stabilise.is_zero() {
            self.timers.hasten(Timer::Stabilise, now);
        }
    }
}

/// Most explicit shortcuts. More would make a node one of those that know everybody.
const SHORTCUTS_MAX: usize = 64;

/// The shortest interval between periodic steps; shorter ones would only measure the host.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// The part of a stabilisation interval in which hints are gathered. Wild guess.
const HINTS_PER_INTERVAL: u32 = 8;

/// For how many stabilisation intervals a death is believed. Longer saves waiting for the same dead peer; shorter heals
/// a wrong suspicion sooner. Wild guess.
const SUSPICION_ROUNDS: u32 = 3;
