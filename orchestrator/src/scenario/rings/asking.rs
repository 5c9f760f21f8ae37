//! Many questions to one ring: when each is asked, of whom, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_peer::ring_control::{Outcome, RecordAction, RecordKey, RingCommand, RingReport};
use peerbed_proto::{
    PeerId, Random, Time,
    ring::{Circle, Point},
};

use super::{ANSWER_MAX, Course, judge::is_right};
use crate::{
    plan::{Key, Keys, Queries},
    scenario::Order,
};

/// The questions of one step.
#[derive(Debug)]
pub struct Asking {
    word: &'static str,
    ring: usize,
    circle: Circle,
    queries: Queries,
    begun: Time,
    asked: u64,
    /// First number of its requests: its step tells its numbers from those of others.
    base: u64,
    open: BTreeMap<u64, Question>,
    answers: Vec<Answer>,
    /// Answers that are to be looked at, by index, and when: who was not right is asked once more.
    to_review: BTreeSet<(Time, usize)>,
    /// What came of those, with the index of the first answer.
    second: Vec<(usize, Answer)>,
    random: Random,
}

/// A question under way.
#[derive(Clone, Debug)]
struct Question {
    asker: PeerId,
    key: Key,
    at: Time,
    /// Set on one that is asked once more: the index of its first answer.
    first: Option<usize>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Who was asked by us, and asked the ring.
    pub asker: PeerId,
    /// What for.
    pub key: Key,
    /// When it was asked.
    pub begun: Time,
    /// When it ended, by the asker's clock.
    pub at: Time,
    /// How.
    pub ended: Ended,
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// A lookup found this peer.
    Owner {
        /// Who owns the key.
        owner: PeerId,
        /// The nodes contacted on the way, as far as the asker knows them.
        path: Vec<PeerId>,
        /// Nodes contacted up to the key's predecessor.
        hops: u16,
        /// Dead nodes met.
        timeouts: u16,
        /// What it took.
        seconds: f64,
    },
    /// A write was taken by this peer.
    Written {
        /// Who owns the key.
        owner: PeerId,
        /// What it took.
        seconds: f64,
    },
    /// A read found this.
    Read {
        /// The value; none when there is none.
        value: Option<String>,
        /// What it took.
        seconds: f64,
    },
    /// It failed: in the node's words.
    Failed(String),
    /// The asker was taken away by the scenario.
    Abandoned,
}

impl Asking {
    pub(super) fn new(
        step: usize,
        ring: usize,
        circle: Circle,
        word: &'static str,
        queries: Queries,
        begun: Time,
    ) -> Self {
        let random = Random::new(queries.seed, "questions");
        let base = (step as u64) << 32;
        Self {
            word,
            ring,
            circle,
            queries,
            begun,
            asked: 0,
            base,
            open: BTreeMap::new(),
            answers: Vec::new(),
            to_review: BTreeSet::new(),
            second: Vec::new(),
            random,
        }
    }

    /// `lookups`, `put` or `get`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.word
    }

    /// Index of its ring in the plan.
    #[must_use]
    pub fn ring(&self) -> usize {
        self.ring
    }

    /// What the plan says about it.
    #[must_use]
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// What came of the questions, in the order of their ends.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// What came of the questions that were asked once more, each with the index of its first answer.
    #[must_use]
    pub fn second(&self) -> &[(usize, Answer)] {
        &self.second
    }

    pub(super) fn has_ended(&self) -> bool {
        self.asked >= self.queries.count && self.open.is_empty() && self.to_review.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<(Time, &'static str)> {
        let next = (self.asked < self.queries.count).then(|| (self.due_at(self.asked), "a ring is to be asked"));
        let overdue = self.open.values().map(|question| question.at + ANSWER_MAX).min();
        let review = self.to_review.first().map(|(at, _)| (*at, "an answer of a ring is to be looked at"));
        next.into_iter().chain(review).chain(overdue.map(|at| (at, "an answer of a ring is overdue"))).min()
    }

    /// What is to be asked now. A question that nobody can ask, because no asker is a member, has failed.
    pub(super) fn due(&mut self, now: Time, course: &Course) -> Vec<Order> {
        let members = course.members();
        let late: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, question)| question.at + ANSWER_MAX <= now)
            .map(|(number, _)| *number)
            .collect();
        for request in late {
            self.end(now, request, Ended::Failed("there was no answer".to_owned()));
        }
        let mut orders = self.ask_again(now, course, &members);
        while self.asked < self.queries.count && self.due_at(self.asked) <= now {
            let (key, request) = (self.key(self.asked), self.base + self.asked);
            self.asked += 1;
            let askers: Vec<PeerId> = self.queries.from.iter().filter(|peer| members.contains(peer)).copied().collect();
            let Some(asker) = self.random.pick(&askers).copied() else {
                let ended = Ended::Failed("nobody who could ask is in the ring".to_owned());
                self.answers.push(Answer { asker: PeerId(0), key, begun: now, at: now, ended });
                continue;
            };
            let command = self.command(request, &key);
            self.open.insert(request, Question { asker, key, at: now, first: None });
            orders.push(Order::Ask { peer: asker, command });
        }
        orders
    }

    pub(super) fn handle_report(&mut self, at: Time, peer: PeerId, report: &RingReport) {
        let (request, ended) = match report {
            RingReport::LookedUp { request, outcome } => {
                let found = |it: &peerbed_peer::ring_control::Found| Ended::Owner {
                    owner: PeerId(it.owner),
                    path: it.path.iter().copied().map(PeerId).collect(),
                    hops: it.hops,
                    timeouts: it.timeouts,
                    seconds: it.seconds,
                };
                (*request, ended(outcome, found))
            }
            RingReport::Written { request, outcome } => {
                let written = |it: &peerbed_peer::ring_control::Written| Ended::Written {
                    owner: PeerId(it.owner),
                    seconds: it.seconds,
                };
                (*request, ended(outcome, written))
            }
            RingReport::Read { request, outcome } => {
                let read = |it: &peerbed_peer::ring_control::Read| Ended::Read {
                    value: it.value.clone(),
                    seconds: it.seconds,
                };
                (*request, ended(outcome, read))
            }
            RingReport::Joined
            | RingReport::Left
            | RingReport::Pointers { .. }
            | RingReport::Orphaned
            | RingReport::Misplaced { .. } => return,
        };
        if self.open.get(&request).is_some_and(|question| question.asker == peer) {
            self.end(at, request, ended);
        }
    }

    /// A question that its peer did not take.
    pub(super) fn handle_failed(&mut self, at: Time, request: u64, error: &str) {
        self.end(at, request, Ended::Failed(error.to_owned()));
    }

    /// These peers are taken away, and their questions with them.
    pub(super) fn abandon(&mut self, now: Time, peers: &[PeerId]) {
        let gone = |question: &Question| peers.contains(&question.asker);
        let requests: Vec<u64> = self.open.iter().filter(|(_, it)| gone(it)).map(|(number, _)| *number).collect();
        requests.into_iter().for_each(|request| self.end(now, request, Ended::Abandoned));
    }

    /// Looks at answers whose time for that has come, and asks those that were not right once more: the same peer, or where it
    /// has gone another one.
    fn ask_again(&mut self, now: Time, course: &Course, members: &[PeerId]) -> Vec<Order> {
        let mut orders = Vec::new();
        while let Some((at, index)) = self.to_review.first().copied()
            && at <= now
        {
            self.to_review.remove(&(at, index));
            let answer = &self.answers[index];
            if is_right(course, answer) {
                continue;
            }
            let asker = if members.contains(&answer.asker) { Some(&answer.asker) } else { self.random.pick(members) };
            let Some(asker) = asker.copied() else { continue };
            let key = answer.key.clone();
            let request = self.base + self.queries.count + index as u64;
            let command = self.command(request, &key);
            self.open.insert(request, Question { asker, key, at: now, first: Some(index) });
            orders.push(Order::Ask { peer: asker, command });
        }
        orders
    }

    fn due_at(&self, number: u64) -> Time {
        self.begun + self.queries.interval.0 * u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn key(&mut self, number: u64) -> Key {
        let place = |len: u64| number % len.max(1);
        match &self.queries.keys {
            Keys::Random => {
                let wide = (u128::from(self.random.bits()) << 64) | u128::from(self.random.bits());
                let point = Point(wide >> (128 - u32::from(self.circle.bits())));
                Key { name: None, point, owner: None, value: None }
            }
            Keys::Given(keys) => keys[usize::try_from(place(keys.len() as u64)).unwrap_or(0)].clone(),
            Keys::Numbered(count) => {
                let number = place(*count) + 1;
                let name = format!("record-{number}");
                let point = self.circle.hash(name.as_bytes());
                Key { name: Some(name), point, owner: None, value: Some(format!("value-{number}")) }
            }
        }
    }

    fn command(&self, request: u64, key: &Key) -> RingCommand {
        let action = match self.word {
            "put" => RecordAction::Put { value: key.value.clone().unwrap_or_default(), lasting_seconds: None },
            "get" => RecordAction::Get,
            _ => return RingCommand::LookUp { request, key: key.point, forwarding: self.queries.forwarding },
        };
        let key = key.name.clone().map_or(RecordKey::Point(key.point), RecordKey::Name);
        RingCommand::Data { request, key, action }
    }

    fn end(&mut self, at: Time, request: u64, ended: Ended) {
        let Some(Question { asker, key, at: begun, first }) = self.open.remove(&request) else { return };
        let answer = Answer { asker, key, begun, at: at.max(begun), ended };
        if let Some(first) = first {
            self.second.push((first, answer));
            return;
        }
        if let Some(again) = self.queries.again.filter(|_| answer.ended != Ended::Abandoned) {
            self.to_review.insert((answer.at + again.0, self.answers.len()));
        }
        self.answers.push(answer);
    }
}

fn ended<T>(outcome: &Outcome<T>, found: impl Fn(&T) -> Ended) -> Ended {
    match outcome {
        Outcome::Found(it) => found(it),
        Outcome::Failed(error) => Ended::Failed(error.clone()),
    }
}
