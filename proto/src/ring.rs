//! The circular DHT: a ring of peers on a circle of 2^m points, each key owned by the first peer at or after it.
//!
//! Maintenance follows Zave's corrected Chord ("Reasoning about identifier spaces: how to make Chord correct", 2017), not
//! the published one, which loses its ring in corner cases. One file per part:
//!
//! - the circle: `circle.rs`, `contact.rs`, `successors.rs`;
//! - keeping the ring: `join.rs`, `stabilise.rs`, `rectify.rs`, `pings.rs`, `orphan.rs`, `audit.rs`;
//! - finding owners: `routing.rs`, `lookup.rs`, `recursive.rs`, `finger_table.rs`, `fingers.rs`;
//! - records: `data.rs`;
//! - questions and answers: `message.rs`, `calls.rs`, `rtt.rs`, `suspects.rs`, `flood.rs`; what all share: `core.rs`;
//! - the rest of [`Ring`]: how it begins `beginning.rs`, which part gets which input `dispatch.rs`, what it shows `view.rs`;
//! - how a member misbehaves, for tests of the others: `conduct.rs`.
//!
//! How messages travel, and proof of who sits where, are the driver's.

mod acquaintances;
mod audit;
mod beginning;
mod calls;
mod circle;
pub mod conduct;
mod contact;
mod core;
mod data;
mod dispatch;
mod finger_table;
mod fingers;
mod flood;
mod founders;
mod join;
mod lookup;
mod message;
mod options;
mod orphan;
mod output;
mod pings;
mod purpose;
mod rectify;
mod recursive;
mod routing;
mod rtt;
pub mod soundness;
mod stabilise;
mod stats;
mod successors;
mod suspects;
#[cfg(test)]
mod tests;
mod timer;
mod view;

use bytes::Bytes;

pub use self::circle::{Arc, Circle, CircleError, Point};
pub use self::conduct::Conduct;
pub use self::contact::{Contact, Entry};
pub use self::core::Standing;
pub use self::data::Action;
pub use self::data::message::{DataAnswer, DataQuestion, Refusal, Source};
pub use self::data::record::{Key, NAME_MAX, Record, Version};
pub use self::founders::{Founders, FoundersError};
pub use self::message::{Answer, Forward, Found, Leg, Message, More, Note, Ownership, Question};
pub use self::options::{DataOptions, Finish, Forwarding, Options, Patience, Routing};
pub use self::output::{DataError, Event, Lookup, LookupError, Output, Read, Written};
pub use self::stats::Stats;

use self::acquaintances::Acquaintances;
use self::calls::{Call, Due};
use self::core::Core;
use self::data::{Data, HandOver};
use self::fingers::Fingers;
use self::flood::Flood;
use self::join::Join;
use self::lookup::Lookups;
use self::orphan::Orphan;
use self::purpose::{Cause, Purpose, Reply, Silence, Task};
use self::rectify::Rectify;
use self::stabilise::{Begun, Stabilise};
use self::suspects::Offender;
use self::timer::Timer;
use crate::id::PeerId;
use crate::random::Random;
use crate::time::Time;

/// A node of the ring.
///
/// Made by [`Ring::found`] as one of the peers a ring starts with, or by [`Ring::join`] to enter one. Then, after every
/// input (`handle_*`), call [`Ring::poll_output`] until it returns `None`, and call [`Ring::handle_timeout`] when the
/// deadline of [`Ring::poll_timeout`] has come. `now` must not go back.
///
/// The sender given to [`Ring::handle_message`] must be proved: a point and a peer that a certificate ties together.
#[derive(Clone, Debug)]
pub struct Ring {
    core: Core,
    join: Join,
    stabilise: Stabilise,
    rectify: Rectify,
    orphan: Orphan,
    lookups: Lookups,
    fingers: Fingers,
    data: Data,
    flood: Flood,
    /// Notifications, which are counted by themselves.
    notices: Flood,
}

/// What users want of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Find the owner of a point. Ends with [`Event::LookedUp`].
    LookUp {
        /// The point.
        key: Point,
    },
    /// The same in this manner, whatever the options say: two manners compared on one ring.
    LookUpBy {
        /// The point.
        key: Point,
        /// Who moves the lookup from hop to hop.
        forwarding: Forwarding,
    },
    /// Put, get or delete. Ends with [`Event::Written`] or [`Event::Read`].
    Data {
        /// The key.
        key: Key,
        /// What to do with it.
        action: Action,
    },
    /// Hand all records over and leave. Ends with [`Event::Left`].
    Leave,
}

impl Ring {
    /// Takes a message. Its sender is proved by the driver.
    pub fn handle_message(&mut self, now: Time, from: Contact, message: Message) {
        let is_self = from.peer == self.core.me.peer || from.point == self.core.me.point;
        if is_self || !self.core.circle.contains(from.point) {
            self.core.stats.violations += 1;
            return;
        }
        if self.core.suspects.is_outlaw(from.peer) {
            self.core.stats.outlawed_dropped += 1;
            return;
        }
        if self.is_flood(now, from, &message) {
            self.core.stats.flooded += 1;
            return;
        }
        self.core.stats.received += 1;
        if self.core.standing == Standing::Gone {
            if let Message::Question { number, .. } = message {
                self.core.answer(from, number, Answer::NotMember);
            }
            return;
        }
        if message.is_of_a_member() {
            self.core.suspects.clear(from.peer);
        }
        match message {
            Message::Question { number, question } => self.on_question(now, from, number, question),
            Message::Answer { number, answer } => match self.core.calls.take(now, from, number) {
                Some(call) => self.on_answer(now, call, answer),
                None => self.core.stats.answers_stray += 1,
            },
            Message::Note(note) => self.on_note(now, from, note),
        }
        self.run_tasks(now);
    }

    /// Takes a user's command. `request` comes back in the event that ends it.
    pub fn handle_command(&mut self, now: Time, request: u64, command: Command) {
        match command {
            Command::LookUp { key } => self.lookups.begin(now, &mut self.core, key, Cause::Command { request }, None),
            Command::LookUpBy { key, forwarding } => {
                self.lookups.begin_by(now, &mut self.core, key, Cause::Command { request }, None, forwarding);
            }
            Command::Data { key, action } => self.data.begin(now, &mut self.core, request, key, action),
            Command::Leave => match self.core.standing {
                Standing::Member => self.core.standing = Standing::Leaving,
                Standing::Joining => self.go(),
                Standing::Leaving | Standing::Gone => {}
            },
        }
        self.run_tasks(now);
    }

    /// Takes the news that a peer cannot be reached: a connection broke or none could be made. Whatever it was asked
    /// counts as not answered; a neighbour that was asked nothing is pinged.
    pub fn handle_unreachable(&mut self, now: Time, peer: PeerId) {
        if self.core.standing == Standing::Gone {
            return;
        }
        let calls = self.core.calls.take_all_to(peer);
        if calls.is_empty()
            && let Some(neighbour) = self.neighbours().into_iter().find(|neighbour| neighbour.peer == peer)
            && self.core.standing.is_member()
        {
            self.core.ask(now, neighbour, Question::Ping, Purpose::Probe);
        }
        for call in calls {
            self.core.bury(now, call.to);
            self.on_reply(now, call.to, call.purpose, Err(Silence::Dead));
        }
        self.run_tasks(now);
    }

    /// Takes the news that a peer sent something undecodable or oversized, or named somebody at a point that is not theirs. The
    /// message counts as not sent. After five of these nothing is asked of the peer or taken from it any more.
    pub fn handle_violation(&mut self, now: Time, peer: PeerId) {
        self.core.stats.violations += 1;
        if self.core.standing == Standing::Gone {
            return;
        }
        if self.core.suspects.offend(peer) == Offender::Outlaw {
            self.core.stats.outlawed += 1;
            if let Some(neighbour) = self.neighbours().into_iter().find(|neighbour| neighbour.peer == peer) {
                self.core.strike(neighbour);
            }
            self.run_tasks(now);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.core.standing == Standing::Gone {
            return;
        }
        while let Some(due) = self.core.calls.due(now, &self.core.options.patience) {
            match due {
                Due::Again { number, to, question } => {
                    self.core.stats.questions_repeated += 1;
                    self.core.send(to, Message::Question { number, question });
                }
                Due::Over(call) => self.on_silence(now, call),
            }
        }
        self.lookups.handle_timeout(now, &mut self.core);
        while let Some(timer) = self.core.timers.due(now) {
            self.on_timer(now, timer);
        }
        self.run_tasks(now);
    }

    /// Returns the next thing to do for the node.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.outputs.pop_front()
    }

    /// Returns the earliest deadline and what it is for; a node that has left has none.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        if self.core.standing == Standing::Gone {
            return None;
        }
        let calls = self.core.calls.earliest().map(|due| (due, "an answer is overdue"));
        let lookups = self.lookups.earliest().map(|due| (due, "try a lookup again or give it up"));
        [calls, lookups, self.core.timers.earliest()].into_iter().flatten().min_by_key(|&(due, _)| due)
    }

    /// Returns whether a message is one too many within a second. Answers that are waited for are as many as this node has asked.
    /// Notifications count by themselves, because a flooding predecessor's successor cannot do without them.
    fn is_flood(&mut self, now: Time, from: Contact, message: &Message) -> bool {
        let limit = self.core.options.questions_per_second;
        match message {
            Message::Answer { number, .. } if self.core.calls.is_awaited(from, *number) => false,
            Message::Note(Note::Notify) => self.notices.is_over(now, from.peer, limit),
            Message::Answer { .. } | Message::Question { .. } | Message::Note(_) => {
                self.flood.is_over(now, from.peer, limit)
            }
        }
    }

    /// Leaves. What is still under way ends here, as failed.
    fn go(&mut self) {
        let core = &mut self.core;
        core.standing = Standing::Gone;
        self.data.end_operations(core);
        core.calls.clear();
        core.timers = timer::Timers::default();
        core.tasks.clear();
        self.lookups.clear();
        self.stabilise = Stabilise::default();
        self.core.event(Event::Left);
    }
}
