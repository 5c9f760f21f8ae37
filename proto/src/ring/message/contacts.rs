//! Whom a message names beside its sender and receiver, so that a driver who knows where everybody sits can check it.

use super::super::contact::{Contact, Entry};
use super::{Answer, Leg, Message, Note, Question};

impl Message {
    /// Returns every contact that the message claims to sit somewhere; its sender's own point is proved otherwise.
    ///
    /// A driver with a list of who sits where must drop a message that contradicts it: a node takes a peer that does not
    /// answer for dead whatever point it was asked at, so that a lie about an honest peer's point would do it harm.
    #[must_use]
    pub fn contacts(&self) -> Vec<Contact> {
        match self {
            Self::Question { question, .. } => match question {
                Question::Forward(forward) => match forward.leg {
                    Leg::ToPredecessor | Leg::ToOwner => vec![forward.origin],
                    Leg::LastHop { predecessor } => vec![forward.origin, predecessor],
                },
                Question::Ping
                | Question::State
                | Question::Fingers
                | Question::Next { .. }
                | Question::Owns { .. }
                | Question::Data(_) => Vec::new(),
            },
            Self::Answer { answer, .. } => match answer {
                Answer::State { predecessor, successors } | Answer::Owns { predecessor, successors, .. } => {
                    in_entries(successors).chain(*predecessor).collect()
                }
                Answer::Fingers(fingers) => fingers.clone(),
                Answer::Step { closer, successors, .. } => {
                    in_entries(successors).chain(closer.iter().copied()).collect()
                }
                Answer::Alive | Answer::NotMember | Answer::Busy | Answer::Accepted | Answer::Data(_) => Vec::new(),
            },
            Self::Note(note) => match note {
                Note::Found(found) => vec![found.owner, found.predecessor],
                Note::Notify | Note::Leaving | Note::Skipped => Vec::new(),
            },
        }
    }
}

fn in_entries(entries: &[Entry]) -> impl Iterator<Item = Contact> {
    entries.iter().filter_map(Entry::contact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;
    use crate::ring::{Found, Point};

    fn contact(point: u128) -> Contact {
        Contact { point: Point(point), peer: PeerId(1) }
    }

    #[test]
    fn everybody_a_message_names_is_returned_and_placeholders_are_nobody() {
        let successors = vec![Entry::Contact(contact(8)), Entry::Placeholder(Point(9))];
        let state = Answer::State { predecessor: Some(contact(3)), successors };
        assert_eq!(Message::Answer { number: 1, answer: state }.contacts(), [contact(8), contact(3)]);
        let found = Found { lookup: 1, owner: contact(5), predecessor: contact(4), hops: 0, timeouts: 0 };
        assert_eq!(Message::Note(Note::Found(found)).contacts(), [contact(5), contact(4)]);
        assert_eq!(Message::Question { number: 1, question: Question::Ping }.contacts(), []);
    }
}
