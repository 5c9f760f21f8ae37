//! How a ring's member misbehaves, for tests of the others: what its driver makes of the messages of a correct core.
//!
//! Plain words in, plain words out: peers and the simulator tell the same lies. The core knows nothing of it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::circle::Circle;
use super::contact::{Contact, Entry};
use super::message::{Answer, CLOSER_MAX, Message, More, Note, Ownership, Question};
use crate::id::PeerId;
use crate::random::Random;

/// What a member does to others. All but the first tamper with what a correct core says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    /// It follows the protocol.
    #[default]
    Correct,
    /// Its answers about who is beside it, whom it knows towards a key and whose the key is are false, in one of the ways of
    /// [`Lie`], chosen by its seed. Everybody it names sits where it says.
    FalseSuccessors,
    /// It says that it sits where others sit, that others sit where nobody does, and names peers that do not exist.
    ForeignId,
    /// With each question about somebody's pointers it sends [`FLOOD`] notes that it is about to leave.
    Flood,
    /// Its answers and notes cannot be decoded. Its questions can, so that it stays in touch.
    Garbage,
}

/// How a member lies about its successors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Real peers in a wrong order.
    Shuffled,
    /// Real peers in their order, but not those right behind it.
    Distant,
    /// Who was there when it was first asked, whoever has died or come since.
    Stale,
    /// Nobody but itself, and every key is its own.
    Itself,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shuffled, Self::Distant, Self::Stale, Self::Itself];
}

/// One frame of a member.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// A message.
    Message(Message),
    /// No message at all: [`GARBAGE`].
    Garbage,
}

/// What stands between a core and the network when its peer misbehaves.
#[derive(Clone, Debug)]
pub struct Tampering {
    conduct: Conduct,
    lie: Lie,
    me: Contact,
    circle: Circle,
    /// Everybody else who may be in the ring, clockwise from `me`.
    others: Vec<Contact>,
    /// What a stale liar said first about its predecessor and successors.
    first: Option<(Option<Contact>, Vec<Entry>)>,
    random: Random,
}

impl Tampering {
    /// Makes the conduct of a peer who knows where everybody may sit.
    #[must_use]
    pub fn new(conduct: Conduct, me: Contact, circle: Circle, everybody: &[Contact], seed: u64) -> Self {
        let mut random = Random::new(seed, &format!("conduct {}", me.peer));
        let mut others: Vec<Contact> = everybody.iter().copied().filter(|it| it.point != me.point).collect();
        others.sort_by_key(|it| circle.distance(me.point, it.point));
        let lie = Lie::ALL[random.below(Lie::ALL.len())];
        Self { conduct, lie, me, circle, others, first: None, random }
    }

    /// Chooses the lie.
    #[must_use]
    pub fn with_lie(self, lie: Lie) -> Self {
        Self { lie, ..self }
    }

    /// What goes out in place of a message, in this order.
    pub fn words(&mut self, message: Message) -> VecDeque<Word> {
        let is_question = matches!(message, Message::Question { .. });
        match self.conduct {
            Conduct::Garbage if !is_question => [Word::Garbage].into(),
            Conduct::Flood if matches!(message, Message::Question { question: Question::State, .. }) => {
                let notes = (0..FLOOD).map(|_| Word::Message(Message::Note(Note::Leaving)));
                [Word::Message(message)].into_iter().chain(notes).collect()
            }
            Conduct::FalseSuccessors | Conduct::ForeignId => [Word::Message(self.falsified(message))].into(),
            Conduct::Correct | Conduct::Flood | Conduct::Garbage => [Word::Message(message)].into(),
        }
    }

    fn falsified(&mut self, message: Message) -> Message {
        let Message::Answer { number, answer } = message else { return message };
        let answer = match answer {
            Answer::State { predecessor, successors } => {
                let (predecessor, successors) = self.beside(predecessor, successors);
                Answer::State { predecessor, successors }
            }
            Answer::Step { closer, more, successors } => {
                let (_, successors) = self.beside(None, successors);
                let (closer, more) = self.towards(closer, more, &successors);
                Answer::Step { closer, more, successors }
            }
            Answer::Owns { mine, predecessor, successors } => {
                let is_mine = self.conduct == Conduct::FalseSuccessors && self.lie == Lie::Itself;
                let mine = if is_mine { Ownership::Mine } else { mine };
                let (predecessor, successors) = self.beside(predecessor, successors);
                Answer::Owns { mine, predecessor, successors }
            }
            truth @ (Answer::Alive
            | Answer::NotMember
            | Answer::Busy
            | Answer::Fingers(_)
            | Answer::Accepted
            | Answer::Data(_)) => truth,
        };
        Message::Answer { number, answer }
    }

    /// Who it says is before and behind it.
    fn beside(&mut self, before: Option<Contact>, behind: Vec<Entry>) -> (Option<Contact>, Vec<Entry>) {
        let len = behind.len();
        let entries = |contacts: Vec<Contact>| contacts.into_iter().map(Entry::Contact).collect::<Vec<_>>();
        if self.conduct == Conduct::ForeignId {
            return (before, entries(self.displaced(len)));
        }
        match self.lie {
            Lie::Shuffled => {
                let mut others = self.others.clone();
                self.random.shuffle(&mut others);
                others.truncate(len);
                (before, entries(others))
            }
            Lie::Distant => {
                let first = self.others.len() / 2;
                (before, entries(self.others.iter().copied().skip(first).take(len).collect()))
            }
            Lie::Stale => {
                let (before, behind) = self.first.get_or_insert((before, behind));
                (*before, behind.clone())
            }
            Lie::Itself => (Some(self.me), vec![Entry::Contact(self.me); len]),
        }
    }

    /// Whom it says it knows towards a key.
    fn towards(&mut self, known: Vec<Contact>, more: More, behind: &[Entry]) -> (Vec<Contact>, More) {
        if self.conduct == Conduct::ForeignId {
            return (self.displaced(known.len().max(1)), more);
        }
        match self.lie {
            Lie::Stale => (known, more),
            Lie::Itself => (Vec::new(), More::No),
            Lie::Shuffled | Lie::Distant => {
                (behind.iter().filter_map(Entry::contact).take(CLOSER_MAX).collect(), More::Yes)
            }
        }
    }

    /// Contacts that are not: itself where somebody else sits, somebody else right behind itself, and peers nobody has heard of.
    fn displaced(&mut self, len: usize) -> Vec<Contact> {
        let first = self.random.below(3);
        let step = |place: usize| self.circle.advance(self.me.point, 1 + place as u128);
        let one = |place: usize| match (place % 3, self.others.get(place)) {
            (0, Some(other)) => Contact { point: other.point, peer: self.me.peer },
            (1, Some(other)) => Contact { point: step(place), peer: other.peer },
            _ => Contact { point: step(place), peer: NOBODY },
        };
        (first..first + len).map(one).collect()
    }
}

/// Bytes that are no message: a frame of one byte that is no tag.
pub const GARBAGE: &[u8] = &[1, 0xff];

/// Notes that a flooding peer sends with each question about pointers, about once a second to one other: more than
/// `questions_per_second` takes by default.
pub const FLOOD: usize = 2_500;

/// A number that no plan gives to a peer.
const NOBODY: PeerId = PeerId(u32::MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::circle::Point;

    fn contact(point: u128) -> Contact {
        Contact { point: Point(point), peer: PeerId(u32::try_from(point).unwrap()) }
    }

    fn tampering(conduct: Conduct, seed: u64) -> Tampering {
        let everybody: Vec<Contact> = (1..=8).map(|place| contact(6 * place)).collect();
        Tampering::new(conduct, contact(12), Circle::new(6).unwrap(), &everybody, seed)
    }

    fn state(points: &[u128]) -> Message {
        let successors = points.iter().map(|&point| Entry::Contact(contact(point))).collect();
        Message::Answer { number: 7, answer: Answer::State { predecessor: Some(contact(6)), successors } }
    }

    #[test]
    fn a_correct_member_passes_untouched() {
        let truth = state(&[18, 24, 30]);
        assert_eq!(tampering(Conduct::Correct, 1).words(truth.clone()), [Word::Message(truth)]);
    }

    #[test]
    fn a_liar_names_those_who_sit_where_it_says_and_another_id_is_nobodys() {
        let sits = |it: &Contact| it.point.0 == u128::from(it.peer.0) && it.point.0.is_multiple_of(6);
        for seed in 0..20 {
            for (conduct, honest) in [(Conduct::FalseSuccessors, true), (Conduct::ForeignId, false)] {
                let mut words = tampering(conduct, seed).words(state(&[18, 24, 30]));
                let Some(Word::Message(message)) = words.pop_front() else { panic!("{words:?}") };
                assert_eq!(message.contacts().iter().all(sits), honest, "{conduct:?} SEED={seed}: {message}");
                assert!(message.contacts().len() >= 3);
            }
        }
    }

    #[test]
    fn each_lie_differs_from_the_truth_and_the_stale_one_once_it_has_changed() {
        for lie in Lie::ALL {
            let mut liar = tampering(Conduct::FalseSuccessors, 3).with_lie(lie);
            liar.words(state(&[18, 24, 30]));
            let truth = state(&[24, 30, 36]);
            assert_ne!(liar.words(truth.clone()), [Word::Message(truth)], "{lie:?}");
        }
    }

    #[test]
    fn floods_and_garbage_leave_questions_as_they_are() {
        let ask = |question| Message::Question { number: 1, question };
        let flood = tampering(Conduct::Flood, 4).words(ask(Question::State));
        assert_eq!((flood.len(), flood.front()), (FLOOD + 1, Some(&Word::Message(ask(Question::State)))));
        let mut garbage = tampering(Conduct::Garbage, 5);
        assert_eq!(garbage.words(ask(Question::Ping)), [Word::Message(ask(Question::Ping))]);
        assert_eq!(garbage.words(Message::Note(Note::Notify)), [Word::Garbage]);
    }
}
