//! The nodes of a run, the messages under way, and the steps that may be taken.

mod mending;
mod views;

use std::fmt::Write as _;
use std::time::Duration;

use self::views::is_decisive;
use super::choices::Choices;
use super::{Plan, Rule, Tally};
use crate::id::PeerId;
use crate::ring::{
    Answer, Circle, Command, Contact, DataOptions, Founders, Message, Options, Output, Point, Question, Ring, Routing,
};
use crate::sim::ring::Sealed;
use crate::sim::ring::invariant::{self, Broken, View};
use crate::time::Time;

/// One node and its clock.
#[derive(Debug)]
struct Actor {
    ring: Ring,
    now: Time,
    /// What it points at when every step already answered counts as taken, in the order of the answers' sending and the
    /// other way round: either may be the one they come in. `None` while it is no member.
    views: [Option<View>; 2],
}

#[derive(Debug)]
pub(super) struct World {
    plan: Plan,
    circle: Circle,
    options: Options,
    choices: Choices,
    /// By place; a failed node's place stays empty until it comes back.
    actors: Vec<Option<Actor>>,
    contacts: Vec<Contact>,
    founders: usize,
    in_flight: Vec<Sealed>,
    story: Option<String>,
    tally: Tally,
}

impl World {
    pub(super) fn new(plan: &Plan, mut choices: Choices) -> Self {
        let circle = Circle::new(BITS).expect("6 bits make a circle");
        let audit = if plan.audits { Duration::from_secs(3) } else { Duration::ZERO };
        let never = Duration::from_secs(1_000_000);
        let options = Options {
            successors: plan.list,
            routing: Routing::Successor,
            audit,
            data: DataOptions { replicas: 1, repair: never, ..DataOptions::default() },
            ..Options::default()
        };
        let founders = usize::from(plan.list) + 1 + choices.below(3);
        let mut contacts: Vec<Contact> = Vec::new();
        while contacts.len() < founders {
            let contact = draw(&mut choices, &contacts);
            contacts.push(contact);
        }
        let all = Founders::new(circle, contacts.clone()).expect("the points are distinct");
        let start = |me: &Contact| Actor {
            ring: Ring::found(*me, &all, options.clone(), u64::from(me.peer.0), Time::ZERO),
            now: Time::ZERO,
            views: [None, None],
        };
        let actors = contacts.iter().map(|me| Some(start(me))).collect();
        let mut world = Self {
            plan: *plan,
            circle,
            options,
            choices,
            actors,
            contacts,
            founders,
            in_flight: Vec::new(),
            story: None,
            tally: Tally::default(),
        };
        (0..founders).for_each(|place| world.refresh(place));
        world
    }

    /// Writes down every step from now on.
    pub(super) fn telling(mut self) -> Self {
        self.story = Some(String::new());
        self
    }

    pub(super) fn into_story(self) -> String {
        self.story.unwrap_or_default()
    }

    pub(super) fn into_choices(self) -> Vec<u32> {
        self.choices.made
    }

    /// Takes steps until the plan's number is reached, the choices are over, or the invariant is broken.
    pub(super) fn play(&mut self) -> Result<(), Broken> {
        for step in 0..self.plan.steps {
            if self.choices.are_over() {
                break;
            }
            self.step();
            if self.plan.rule == Rule::Kept {
                self.check()?;
                if step % 16 == 15 {
                    invariant::check_one_ring(&self.views(0))?;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self) {
        match self.choices.below(100) {
            0..=59 if !self.in_flight.is_empty() => {
                let place = self.choices.below(self.in_flight.len());
                let sealed = self.in_flight.swap_remove(place);
                let is_lost = self.plan.rule == Rule::Broken && self.choices.below(20) == 0;
                if !is_lost {
                    self.deliver(sealed);
                }
            }
            60..=65 => self.join(),
            66..=71 => self.fail(),
            72 | 73 => self.come_back(),
            _ => self.timer(),
        }
    }

    fn deliver(&mut self, sealed: Sealed) {
        let place = place_of(sealed.to);
        let contact = self.contacts[place];
        if sealed.to != contact {
            return;
        }
        self.tell(|| format!("{} -> {}: {}", sealed.from.point, sealed.to.point, sealed.message));
        if let Some(actor) = &mut self.actors[place] {
            self.tally.delivered += 1;
            actor.ring.handle_message(actor.now, sealed.from, sealed.message);
            self.flush(place);
        }
    }

    /// Lets a node's next timer go off, unless that would take a live node for dead.
    fn timer(&mut self) {
        let place = self.choices.below(self.actors.len());
        let Some(actor) = &self.actors[place] else { return };
        let Some((due, reason)) = actor.ring.poll_timeout() else { return };
        let me = actor.ring.me();
        let may_answer = |asked: Contact| {
            self.in_flight.iter().any(|sealed| {
                (sealed.from == asked && sealed.to == me && matches!(sealed.message, Message::Answer { .. }))
                    || (sealed.from == me && sealed.to == asked && self.actors[place_of(asked)].is_some())
            })
        };
        if self.plan.rule == Rule::Kept && actor.ring.overdue(due).any(may_answer) {
            return;
        }
        let point = self.contacts[place].point;
        self.tell(|| format!("{point}: {reason}"));
        self.tally.timers += 1;
        if let Some(actor) = &mut self.actors[place] {
            actor.now = actor.now.max(due);
            actor.ring.handle_timeout(actor.now);
            self.flush(place);
        }
    }

    fn join(&mut self) {
        if self.actors.iter().flatten().count() >= LIVE_MAX || self.contacts.len() >= EVER_MAX {
            return;
        }
        let me = draw(&mut self.choices, &self.contacts);
        self.tell(|| format!("{} joins", me.point));
        self.contacts.push(me);
        self.actors.push(None);
        self.start(self.contacts.len() - 1);
    }

    /// Lets a failed node join again at its point.
    fn come_back(&mut self) {
        let place = self.choices.below(self.actors.len());
        if self.actors[place].is_none() && self.actors.iter().flatten().count() < LIVE_MAX {
            let point = self.contacts[place].point;
            self.tell(|| format!("{point} comes back"));
            self.start(place);
        }
    }

    fn start(&mut self, place: usize) {
        let mut via = self.contacts[..self.founders].to_vec();
        let live: Vec<Contact> = self.actors.iter().flatten().map(|actor| actor.ring.me()).collect();
        if self.plan.rule == Rule::Kept && !live.is_empty() {
            via = vec![live[self.choices.below(live.len())]];
        }
        let now = self.actors.iter().flatten().map(|actor| actor.now).max().unwrap_or(Time::ZERO);
        let me = self.contacts[place];
        // A node that comes back numbers its questions otherwise, so it does not take answers to its former self for its own.
        let seed = u64::from(me.peer.0) + (self.tally.joins << 32);
        let ring = Ring::join(me, self.circle, &via, self.options.clone(), seed, now);
        self.actors[place] = Some(Actor { ring, now, views: [None, None] });
        self.tally.joins += 1;
        self.flush(place);
    }

    fn fail(&mut self) {
        let place = self.choices.below(self.actors.len());
        let leaves = self.choices.below(4) == 0;
        if self.actors[place].is_none() || !self.may_fail(place) {
            return;
        }
        let point = self.contacts[place].point;
        self.tell(|| format!("{point} {}", if leaves { "leaves" } else { "fails" }));
        self.tally.failures += 1;
        if leaves && let Some(actor) = &mut self.actors[place] {
            actor.ring.handle_command(actor.now, 0, Command::Leave);
            self.flush(place);
        }
        self.bury(place);
    }

    fn bury(&mut self, place: usize) {
        if let Some(actor) = self.actors[place].take() {
            self.tally.lists_cut += actor.ring.stats().lists_cut;
            self.tally.orphaned += actor.ring.stats().orphaned;
        }
        let dead = self.contacts[place];
        self.in_flight.retain(|sealed| sealed.to != dead);
    }

    /// Sends what a node wants sent. What cannot change any pointer arrives at once.
    fn flush(&mut self, place: usize) {
        let mut at_once = Vec::new();
        let mut answered = Vec::new();
        let there: Vec<bool> = self.actors.iter().map(Option::is_some).collect();
        if let Some(actor) = &mut self.actors[place] {
            let from = actor.ring.me();
            while let Some(output) = actor.ring.poll_output() {
                let Output::Send { to, message } = output else { continue };
                let sealed = Sealed { from, to, message };
                if is_aside(&sealed.message) {
                    at_once.push(sealed);
                    continue;
                }
                if is_decisive(&sealed.message) {
                    answered.push(place_of(to));
                }
                if there.get(place_of(to)) == Some(&true) {
                    self.in_flight.push(sealed);
                }
            }
        }
        self.refresh(place);
        answered.into_iter().for_each(|place| self.refresh(place));
        at_once.into_iter().for_each(|sealed| self.deliver(sealed));
    }

    pub(super) fn tally(&self) -> Tally {
        let mut tally = self.tally;
        for actor in self.actors.iter().flatten() {
            tally.lists_cut += actor.ring.stats().lists_cut;
            tally.orphaned += actor.ring.stats().orphaned;
        }
        tally
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.story.is_some() {
            let line = line();
            if let Some(story) = &mut self.story {
                // Writing to a string cannot fail.
                let _ = writeln!(story, "{line}");
            }
        }
    }
}

/// Records and fingers do not touch successors and predecessors.
fn is_aside(message: &Message) -> bool {
    match message {
        Message::Question { question, .. } => matches!(question, Question::Data(_) | Question::Fingers),
        Message::Answer { answer, .. } => matches!(answer, Answer::Data(_) | Answer::Fingers(_)),
        Message::Note(_) => false,
    }
}

fn draw(choices: &mut Choices, taken: &[Contact]) -> Contact {
    let peer = PeerId(u32::try_from(taken.len() + 1).expect("few peers"));
    let mut point = choices.below(1 << BITS) as u128;
    while taken.iter().any(|contact| contact.point == Point(point)) {
        point = (point + 1) % (1 << BITS);
    }
    Contact { point: Point(point), peer }
}

fn place_of(contact: Contact) -> usize {
    contact.peer.0 as usize - 1
}

/// Points are few, so that nodes often end up next to one another, and on points that placeholders name.
const BITS: u8 = 6;

/// Nodes at a time, and in all.
const LIVE_MAX: usize = 12;
const EVER_MAX: usize = 24;
