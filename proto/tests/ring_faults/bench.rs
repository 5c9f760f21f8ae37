//! One real node on a bench: the test reads its questions and answers them by hand, except pings, which all answer who
//! are not silent.

use std::time::Duration;

use peerbed_proto::ring::{Answer, Circle, Contact, Entry, Message, Note, Options, Output, Point, Question, Ring};
use peerbed_proto::{PeerId, Time};

pub(crate) struct Bench {
    pub(crate) ring: Ring,
    pub(crate) now: Time,
    questions: Vec<(Contact, u32, Question)>,
    notes: Vec<(Contact, Note)>,
    silent: Vec<Contact>,
}

impl Bench {
    /// A member between a predecessor and its successors.
    pub(crate) fn new(me: u128, predecessor: u128, successors: &[u128], options: Options) -> Self {
        let successors: Vec<Contact> = successors.iter().copied().map(at).collect();
        let circle = Circle::new(6).unwrap();
        let options = Options { audit: Duration::ZERO, ..options };
        let ring = Ring::placed(at(me), circle, Some(at(predecessor)), &successors, options, 1, Time::ZERO);
        Self { ring, now: Time::ZERO, questions: Vec::new(), notes: Vec::new(), silent: Vec::new() }
    }

    /// Lets somebody answer no pings from now on.
    pub(crate) fn silence(&mut self, contact: Contact) {
        self.silent.push(contact);
    }

    /// Lets time go on until the node asks its successor; returns whom, and the question's number. What it asked before
    /// counts no more.
    pub(crate) fn stabilise(&mut self) -> (Contact, u32) {
        self.questions.clear();
        self.notes.clear();
        loop {
            self.tick();
            let asked = self.questions.iter().position(|(_, _, question)| *question == Question::State);
            if let Some(place) = asked {
                let (to, number, _) = self.questions.swap_remove(place);
                return (to, number);
            }
        }
    }

    /// Takes the first question of a kind that was not taken before.
    pub(crate) fn next_question(&mut self, kind: &Question) -> (Contact, u32) {
        self.collect();
        let place = self.questions.iter().position(|(_, _, question)| question == kind).expect("the node asks this");
        let (to, number, _) = self.questions.remove(place);
        (to, number)
    }

    /// Takes the first question of a kind to somebody that was not taken before.
    pub(crate) fn question_to(&mut self, to: Contact, kind: &Question) -> u32 {
        self.collect();
        let is_it = |(asked, _, question): &(Contact, u32, Question)| *asked == to && question == kind;
        let place = self.questions.iter().position(is_it).expect("the node asks this");
        self.questions.remove(place).1
    }

    pub(crate) fn answer(&mut self, from: Contact, number: u32, answer: Answer) {
        self.ring.handle_message(self.now, from, Message::Answer { number, answer });
        self.collect();
    }

    pub(crate) fn note(&mut self, from: Contact, note: Note) {
        self.ring.handle_message(self.now, from, Message::Note(note));
        self.collect();
    }

    /// Lets time go on until the node holds somebody for dead who has not answered.
    pub(crate) fn wait_for_a_death(&mut self) {
        let before = self.ring.stats().deaths;
        self.wait_until(|ring| ring.stats().deaths > before);
    }

    /// Lets time go on until something is so.
    pub(crate) fn wait_until(&mut self, is_so: impl Fn(&Ring) -> bool) {
        for _ in 0..1_000 {
            if is_so(&self.ring) {
                return;
            }
            self.tick();
        }
        panic!("not so after a thousand deadlines, at {}", self.now);
    }

    /// Takes what the node said since the last call without wanting an answer.
    pub(crate) fn notes(&mut self) -> Vec<(Contact, Note)> {
        self.collect();
        std::mem::take(&mut self.notes)
    }

    fn tick(&mut self) {
        let (due, _) = self.ring.poll_timeout().expect("a member always has something to do");
        self.now = self.now.max(due);
        self.ring.handle_timeout(self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.ring.poll_output() {
            match output {
                Output::Send { to, message: Message::Question { number, question: Question::Ping } }
                    if !self.silent.contains(&to) =>
                {
                    self.ring.handle_message(self.now, to, Message::Answer { number, answer: Answer::Alive });
                }
                Output::Send { to, message: Message::Question { number, question } } => {
                    self.questions.push((to, number, question));
                }
                Output::Send { to, message: Message::Note(note) } => self.notes.push((to, note)),
                Output::Send { .. } | Output::Event(_) => {}
            }
        }
    }
}

pub(crate) fn at(point: u128) -> Contact {
    Contact { point: Point(point), peer: PeerId(u32::try_from(point).unwrap() + 1) }
}

pub(crate) fn entries(points: &[u128]) -> Vec<Entry> {
    points.iter().map(|&point| Entry::Contact(at(point))).collect()
}

pub(crate) fn points(entries: &[Entry]) -> Vec<u128> {
    entries.iter().map(|entry| entry.point().0).collect()
}
