//! Random interleavings of the ring's steps, message by message, with Zave's invariant checked after each.
//!
//! Every step is a choice: deliver any one message, let any one node's next timer go off, let a node join, fail, leave or
//! come back. Time does not order anything: each node has a clock of its own that jumps to its next deadline. Within
//! the environment rule a question's time runs out only when its answer cannot come any more, and nobody fails whose
//! failure the proof does not allow. A failing run shrinks to fewer choices.

use std::fmt::Write as _;
use std::time::Duration;

use super::invariant::{self, Broken, View};
use super::{Health, Sealed};
use crate::id::PeerId;
use crate::random::Random;
use crate::ring::{
    Answer, Circle, Command, Contact, DataOptions, Entry, Founders, Message, Options, Output, Point, Question, Ring,
    Routing,
};
use crate::time::Time;

/// What a run may do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Length of the lists, 2 to 8.
    pub list: u8,
    /// Steps of the run.
    pub steps: usize,
    /// Whether nodes look themselves up in between.
    pub audits: bool,
    /// What may fail.
    pub rule: Rule,
}

/// What the environment may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What the proof allows.
    Kept,
    /// Any node but the first may fail, messages get lost, and live nodes are taken for dead.
    Broken,
}

/// A run that broke the invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was broken.
    pub broken: Broken,
    /// The choices that lead there; [`replay`] repeats them.
    pub choices: Vec<u32>,
    /// The steps, one a line.
    pub story: String,
}

/// What a run that broke nothing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages delivered.
    pub delivered: u64,
    /// Timers that went off.
    pub timers: u64,
    /// Members that came in.
    pub joins: u64,
    /// Members that failed or left.
    pub failures: u64,
    /// Times the invariant was checked.
    pub checks: u64,
    /// Lists cut because they were out of order: none while the rule is kept.
    pub lists_cut: u64,
    /// Nodes that found themselves without successors: none while the rule is kept.
    pub orphaned: u64,
}

/// Runs one interleaving; the seed makes all choices.
///
/// # Errors
/// The first broken invariant, shrunk.
pub fn run(plan: &Plan, seed: u64) -> Result<Tally, Box<Failure>> {
    let mut world = World::new(plan, Choices::random(seed));
    match world.play() {
        Ok(()) => Ok(world.tally()),
        Err(_) => Err(Box::new(shrink(plan, world.choices.made))),
    }
}

/// Repeats a run from its choices.
///
/// # Errors
/// The first broken invariant, as it is.
pub fn replay(plan: &Plan, choices: &[u32]) -> Result<Tally, Box<Failure>> {
    let mut world = World::new(plan, Choices::given(choices));
    world.story = Some(String::new());
    match world.play() {
        Ok(()) => Ok(world.tally()),
        Err(broken) => {
            Err(Box::new(Failure { broken, choices: choices.to_vec(), story: world.story.take().unwrap_or_default() }))
        }
    }
}

/// Plays a run that may break the rule, then leaves the ring alone; returns how long it took until every pointer was
/// right.
///
/// # Errors
/// What every node points at when that did not happen in `limit`.
pub fn recovery(plan: &Plan, seed: u64, limit: Duration) -> Result<Duration, String> {
    let mut world = World::new(plan, Choices::random(seed));
    // Whatever it broke is what is to be mended.
    let _ = world.play();
    world.mend(limit)
}

/// Takes choices away while the run still fails, and makes those that stay as small as can be.
fn shrink(plan: &Plan, choices: Vec<u32>) -> Failure {
    let fails = |choices: &[u32]| replay(plan, choices).err();
    let mut best = choices;
    let mut len = best.len() / 2;
    while len > 0 {
        let mut start = 0;
        while start < best.len() {
            let mut shorter = best.clone();
            shorter.drain(start..(start + len).min(best.len()));
            if fails(&shorter).is_some() {
                best = shorter;
            } else {
                start += len;
            }
        }
        len /= 2;
    }
    for place in 0..best.len() {
        let mut smaller = best.clone();
        smaller[place] = 0;
        if fails(&smaller).is_some() {
            best = smaller;
        }
    }
    *fails(&best).expect("only choices that fail were kept")
}

/// Where choices come from: chance, or a list; behind the list's end a run stops.
#[derive(Debug)]
struct Choices {
    random: Option<Random>,
    given: Vec<u32>,
    made: Vec<u32>,
}

impl Choices {
    fn random(seed: u64) -> Self {
        Self { random: Some(Random::new(seed, "interleaving")), given: Vec::new(), made: Vec::new() }
    }

    fn given(choices: &[u32]) -> Self {
        Self { random: None, given: choices.to_vec(), made: Vec::new() }
    }

    fn are_over(&self) -> bool {
        self.random.is_none() && self.made.len() >= self.given.len()
    }

    fn below(&mut self, end: usize) -> usize {
        let choice = match &mut self.random {
            Some(random) => u32::try_from(random.below(1 << 16)).expect("below 2^16"),
            None => self.given.get(self.made.len()).copied().unwrap_or(0),
        };
        self.made.push(choice);
        choice as usize % end.max(1)
    }
}

/// One node and its clock.
#[derive(Debug)]
struct Actor {
    ring: Ring,
    now: Time,
    /// What it points at when every step already answered counts as taken; `None` while it is no member.
    view: Option<View>,
}

#[derive(Debug)]
struct World {
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
    fn new(plan: &Plan, mut choices: Choices) -> Self {
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
            view: None,
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

    fn play(&mut self) -> Result<(), Broken> {
        for step in 0..self.plan.steps {
            if self.choices.are_over() {
                break;
            }
            self.step();
            if self.plan.rule == Rule::Kept {
                self.check()?;
                if step % 16 == 15 {
                    invariant::check_one_ring(&self.views())?;
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
        self.actors[place] = Some(Actor { ring, now, view: None });
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

    /// The environment rule: every other member keeps a live successor, and there are principals to spare.
    fn may_fail(&self, place: usize) -> bool {
        if self.plan.rule == Rule::Broken {
            return place != 0;
        }
        let views = self.views();
        let dead = self.contacts[place].point;
        let principals = invariant::principals(self.circle, &views);
        if principals.contains(&dead) && principals.len() <= usize::from(self.plan.list) + 1 {
            return false;
        }
        let live = |entry: &Entry| {
            entry
                .contact()
                .is_some_and(|contact| contact.point != dead && views.iter().any(|view| view.me == contact.point))
        };
        views.iter().filter(|view| view.me != dead).all(|view| view.successors.iter().any(live))
    }

    fn check(&mut self) -> Result<(), Broken> {
        self.tally.checks += 1;
        invariant::check(self.circle, self.plan.list.into(), &self.views())
    }

    fn views(&self) -> Vec<View> {
        self.actors.iter().flatten().filter_map(|actor| actor.view.clone()).collect()
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
                if matches!(sealed.message, Message::Answer { answer: Answer::State { .. }, .. }) {
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

    /// Works out a member's view: a step counts as taken when the other node has answered.
    fn refresh(&mut self, place: usize) {
        let Some(actor) = &mut self.actors[place] else { return };
        let me = actor.ring.me();
        let answer = self.in_flight.iter().find(|sealed| {
            sealed.to == me && matches!(sealed.message, Message::Answer { answer: Answer::State { .. }, .. })
        });
        let view = |ring: &Ring| {
            let successors = ring.successors().to_vec();
            ring.standing().is_member().then_some(View { me: me.point, successors })
        };
        actor.view = match answer {
            None => view(&actor.ring),
            Some(sealed) => {
                let mut later = actor.ring.clone();
                later.handle_message(actor.now, sealed.from, sealed.message.clone());
                view(&later)
            }
        };
    }

    /// Lets all clocks agree, delivers everything promptly and kills nobody, until every pointer is right.
    fn mend(&mut self, limit: Duration) -> Result<Duration, String> {
        let start = self.actors.iter().flatten().map(|actor| actor.now).max().unwrap_or(Time::ZERO);
        let mut now = start;
        loop {
            while let Some(sealed) = self.in_flight.pop() {
                let place = place_of(sealed.to);
                if let Some(actor) = &mut self.actors[place] {
                    actor.now = now;
                }
                self.deliver(sealed);
            }
            let mut members: Vec<&Ring> = self.actors.iter().flatten().map(|actor| &actor.ring).collect();
            members.sort_by_key(|ring| ring.me().point);
            let all_in = members.iter().all(|ring| ring.standing().is_member());
            if all_in && Health::of(members.into_iter()).is_right() {
                return Ok(now - start);
            }
            let next = self
                .actors
                .iter()
                .enumerate()
                .filter_map(|(place, actor)| Some((actor.as_ref()?.ring.poll_timeout()?.0, place)));
            let Some((due, place)) = next.min() else { return Err(self.picture()) };
            now = now.max(due);
            if now - start > limit {
                return Err(self.picture());
            }
            if let Some(actor) = &mut self.actors[place] {
                actor.now = now;
                actor.ring.handle_timeout(now);
                self.flush(place);
            }
        }
    }

    /// What every node points at, one a line.
    fn picture(&self) -> String {
        let mut picture = String::new();
        for ring in self.actors.iter().flatten().map(|actor| &actor.ring) {
            let entry = |entry: &Entry| match entry {
                Entry::Contact(contact) => contact.point.to_string(),
                Entry::Placeholder(point) => format!("({point})"),
            };
            let list: Vec<String> = ring.successors().iter().map(entry).collect();
            let before = ring.predecessor().map(|contact| contact.point);
            // Writing to a string cannot fail.
            let _ = writeln!(picture, "{} {:?}: {before:?} < > {list:?}", ring.me().point, ring.standing());
        }
        picture
    }

    fn tally(&self) -> Tally {
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
