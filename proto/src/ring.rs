//! The circular DHT: a ring of peers on a circle of 2^m points, each key owned by the first peer at or after it.
//!
//! Maintenance follows Zave's corrected Chord ("Reasoning about identifier spaces: how to make Chord correct", 2017), not
//! the published one, which loses its ring in corner cases. One file per part:
//!
//! - the circle: `circle.rs`, `contact.rs`, `successors.rs`;
//! - keeping the ring: `join.rs`, `stabilise.rs`, `rectify.rs`, `pings.rs`, `orphan.rs`, `audit.rs`;
//! - finding owners: `routing.rs`, `lookup.rs`, `recursive.rs`, `finger_table.rs`, `fingers.rs`;
//! - records: `data.rs`;
//! - questions and answers: `message.rs`, `calls.rs`, `rtt.rs`, `suspects.rs`, `flood.rs`; what all share: `core.rs`.
//!
//! How messages travel, and proof of who sits where, are the driver's.

mod acquaintances;
mod audit;
mod calls;
mod circle;
mod contact;
mod core;
mod data;
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
mod stabilise;
mod stats;
mod successors;
mod suspects;
#[cfg(test)]
mod tests;
mod timer;

use bytes::Bytes;

pub use self::circle::{Arc, Circle, CircleError, Point};
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
    /// Makes a node of a ring that starts with all `founders` at once, with the pointers they all must have.
    ///
    /// Zave's proof needs at least one founder more than the list is long. With fewer the ring works, but is outside it.
    #[must_use]
    pub fn found(me: Contact, founders: &Founders, options: Options, seed: u64, now: Time) -> Self {
        let mut ring = Self::new(me, founders.circle(), options, seed);
        let core = &mut ring.core;
        core.standing = Standing::Member;
        core.copy_successors(now, &founders.after(me.point, core.options.list_len()));
        core.predecessor = founders.before(me.point);
        if core.options.routing == Routing::Fingers {
            founders.fill_fingers(me, &mut core.fingers);
        }
        core.acquaintances = Acquaintances::new(me, &founders.some(&mut core.random));
        core.tasks.clear();
        core.outputs.clear();
        ring.start_timers(now);
        ring.data.schedule_repair(now, &mut ring.core);
        ring
    }

    /// Makes a node that joins the ring of any of the `bootstrap` peers; the first 16 of them are remembered.
    #[must_use]
    pub fn join(me: Contact, circle: Circle, bootstrap: &[Contact], options: Options, seed: u64, now: Time) -> Self {
        let mut ring = Self::new(me, circle, options, seed);
        ring.core.acquaintances = Acquaintances::new(me, bootstrap);
        ring.join.begin(now, &mut ring.core);
        ring.run_tasks(now);
        ring
    }

    /// Makes a member with these pointers, right or wrong: for experiments with rings that have to be mended. Everyone
    /// named is remembered as a bootstrap peer.
    #[must_use]
    pub fn placed(
        me: Contact,
        circle: Circle,
        predecessor: Option<Contact>,
        successors: &[Contact],
        options: Options,
        seed: u64,
        now: Time,
    ) -> Self {
        let mut ring = Self::new(me, circle, options, seed);
        let core = &mut ring.core;
        core.standing = Standing::Member;
        let entries: Vec<Entry> = successors.iter().copied().map(Entry::Contact).collect();
        core.copy_successors(now, &entries);
        core.predecessor = predecessor;
        let known: Vec<Contact> = successors.iter().copied().chain(predecessor).collect();
        core.acquaintances = Acquaintances::new(me, &known);
        core.tasks.clear();
        core.outputs.clear();
        ring.start_timers(now);
        ring.data.schedule_repair(now, &mut ring.core);
        ring
    }

    /// Takes the news that only now everybody is there: puts the periodic work of a founder off to random moments of its
    /// first interval from here. Without it all that was due meanwhile would be done at once, by all founders together.
    pub fn handle_begin(&mut self, now: Time) {
        for timer in [Timer::Stabilise, Timer::Maintain, Timer::Audit, Timer::Repair] {
            self.core.timers.stop(timer);
        }
        self.start_timers(now);
        self.data.schedule_repair(now, &mut self.core);
    }

    /// Takes a message. Its sender is proved by the driver.
    pub fn handle_message(&mut self, now: Time, from: Contact, message: Message) {
        let limit = self.core.options.questions_per_second;
        let is_self = from.peer == self.core.me.peer || from.point == self.core.me.point;
        if is_self || !self.core.circle.contains(from.point) {
            self.core.stats.violations += 1;
            return;
        }
        if self.flood.is_over(now, from.peer, limit) {
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

    /// Takes the news that a peer sent something undecodable or oversized. The message counts as not sent.
    pub fn handle_violation(&mut self, _now: Time, _peer: PeerId) {
        self.core.stats.violations += 1;
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

    /// Returns the earliest deadline and what it is for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let calls = self.core.calls.earliest().map(|due| (due, "an answer is overdue"));
        let lookups = self.lookups.earliest().map(|due| (due, "try a lookup again or give it up"));
        [calls, lookups, self.core.timers.earliest()].into_iter().flatten().min_by_key(|&(due, _)| due)
    }

    /// Returns whose answers will be overdue at a time.
    pub fn overdue(&self, at: Time) -> impl Iterator<Item = Contact> {
        self.core.calls.overdue(at)
    }

    /// Returns the node itself.
    #[must_use]
    pub fn me(&self) -> Contact {
        self.core.me
    }

    /// Returns where the node stands towards the ring.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.core.standing
    }

    /// Returns who is before the node, as far as it knows.
    #[must_use]
    pub fn predecessor(&self) -> Option<Contact> {
        self.core.predecessor
    }

    /// Returns the successor list; always as long as the options say.
    #[must_use]
    pub fn successors(&self) -> &[Entry] {
        self.core.successors.entries()
    }

    /// Returns whether the node is in the middle of a step and keeps its pointers to itself.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.stabilise.is_busy()
    }

    /// Returns the fingers, nearest first, each once.
    #[must_use]
    pub fn fingers(&self) -> Vec<Contact> {
        let mut fingers: Vec<Contact> = self.core.fingers.contacts().collect();
        fingers.dedup();
        fingers
    }

    /// Returns whom to keep connections with: successors, predecessor, and fingers or shortcuts, each once, by peer.
    #[must_use]
    pub fn neighbours(&self) -> Vec<Contact> {
        let core = &self.core;
        let mut neighbours: Vec<Contact> = core.successors.contacts().chain(core.predecessor).collect();
        match core.options.routing {
            Routing::Successor => {}
            Routing::Fingers => neighbours.extend(core.fingers.contacts()),
            Routing::Shortcuts => neighbours.extend(core.options.shortcuts.iter()),
        }
        neighbours.sort_unstable_by_key(|contact| contact.peer);
        neighbours.dedup();
        neighbours
    }

    /// Returns every key held with its version and value (`None`: deleted), by point; copies for others included.
    pub fn held(&self) -> impl Iterator<Item = (&Key, Version, Option<&Bytes>)> {
        self.data.held()
    }

    /// Returns how many records are held, copies included, and how many bytes they count for.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.data.records(), self.data.bytes())
    }

    /// Returns whether the key is the node's, as far as it knows.
    #[must_use]
    pub fn owns(&self, key: Point) -> bool {
        self.core.ownership(key) == Ownership::Mine
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.core.stats
    }

    fn new(me: Contact, circle: Circle, options: Options, seed: u64) -> Self {
        let random = Random::new(seed, &format!("ring {}", me.peer));
        let mut core = Core::new(me, circle, options, random);
        let join = Join::new(&mut core);
        let data = Data::new(&core);
        Self {
            core,
            join,
            stabilise: Stabilise::default(),
            rectify: Rectify::default(),
            orphan: Orphan::default(),
            lookups: Lookups::default(),
            fingers: Fingers::default(),
            data,
            flood: Flood::default(),
        }
    }

    /// Sets the periodic timers to a random moment of their first interval.
    fn start_timers(&mut self, now: Time) {
        let core = &mut self.core;
        let interval = core.options.stabilise;
        if interval.is_zero() {
            return;
        }
        for timer in [Timer::Stabilise, Timer::Maintain] {
            let phase = interval.mul_f64(core.random.fraction());
            core.timers.hasten(timer, now + phase);
        }
        if !core.options.audit.is_zero() {
            let phase = core.options.audit.mul_f64(core.random.fraction());
            core.timers.set(Timer::Audit, now + phase);
        }
    }

    fn go(&mut self) {
        let core = &mut self.core;
        core.standing = Standing::Gone;
        core.calls.clear();
        core.timers = timer::Timers::default();
        core.tasks.clear();
        self.lookups.clear();
        self.stabilise = Stabilise::default();
        self.core.event(Event::Left);
    }
}

mod dispatch;
