//! What ring nodes say to one another. How it becomes bytes is in `message/wire.rs`; records and their messages are in
//! `data/message.rs`.

mod contacts;
pub(super) mod wire;

use std::fmt;

use super::circle::Point;
use super::contact::{Contact, Entry};
use super::data::message::{DataAnswer, DataQuestion};

/// A message between two ring nodes.
///
/// A driver may send a question and its answer over one stream of their own; the number makes them a pair on any transport.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants an answer.
    Question {
        /// Chosen by who asks; unique among its open questions.
        number: u32,
        /// The question.
        question: Question,
    },
    /// Answers a question.
    Answer {
        /// The question's number.
        number: u32,
        /// The answer.
        answer: Answer,
    },
    /// Wants no answer.
    Note(Note),
}

impl Message {
    /// Longest frame in bytes: a page of records and some room.
    pub const FRAME_MAX: usize = 512 * 1024;

    /// Returns whether only a member sends this, so that it proves its sender not only alive but back in its place. Who
    /// looks for its place asks, too, and must not be counted on before it has found it.
    pub(super) fn is_of_a_member(&self) -> bool {
        match self {
            Self::Question { question, .. } => matches!(question, Question::Ping | Question::Data(_)),
            Self::Answer { answer, .. } => !matches!(answer, Answer::NotMember | Answer::Busy),
            Self::Note(note) => !matches!(note, Note::Leaving | Note::Found(_)),
        }
    }
}

/// What one node asks another.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Are you a member? Answered at once, even in the middle of a step.
    Ping,
    /// Who are your predecessor and successors? Answered `Busy` in the middle of a step.
    State,
    /// Which fingers do you have?
    Fingers,
    /// Whom do you know between you and this key?
    Next {
        /// The key.
        key: Point,
        /// Leave out whom you know from here on; the key itself at first. Those were tried and are dead.
        short_of: Point,
    },
    /// Is this key yours?
    Owns {
        /// The key.
        key: Point,
    },
    /// Take this lookup a hop further (recursive routing).
    Forward(Forward),
    /// Something about records.
    Data(DataQuestion),
}

impl Question {
    /// How many times as long as a ping its answer may take: some are answered after asking a third node.
    pub(super) fn patience(&self) -> u32 {
        match self {
            Self::Ping | Self::State | Self::Fingers | Self::Next { .. } | Self::Owns { .. } | Self::Forward(_) => 1,
            Self::Data(_) => 4,
        }
    }

    /// Whether silence is a reason to go on with somebody else but no proof of death, because another node can be asked in
    /// place of this one, or because the answer takes long. A ping then tells.
    pub(super) fn is_replaceable(&self) -> bool {
        match self {
            Self::Next { .. } | Self::Data(_) => true,
            Self::Forward(forward) => !matches!(forward.leg, Leg::LastHop { .. }),
            // Nobody else is the owner, or the successor.
            Self::Owns { .. } | Self::Ping | Self::State | Self::Fingers => false,
        }
    }

    /// How often it is asked before its answer is given up. With another hop at hand, asking again is a waste of time.
    pub(super) fn attempts(&self, allowed: u8) -> u8 {
        match self {
            Self::Next { .. } | Self::Forward(_) if self.is_replaceable() => 1,
            Self::Next { .. }
            | Self::Forward(_)
            | Self::Owns { .. }
            | Self::Ping
            | Self::State
            | Self::Fingers
            | Self::Data(_) => allowed,
        }
    }
}

/// A lookup on its way from node to node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Who wants to know.
    pub origin: Contact,
    /// The origin's number for the lookup; random, so that only who saw the lookup can answer it.
    pub lookup: u64,
    /// What is looked for.
    pub key: Point,
    /// Hops so far.
    pub hops: u16,
    /// Dead nodes met so far.
    pub timeouts: u16,
    /// Where it is.
    pub leg: Leg,
}

/// Which part of its way a forwarded lookup is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// On the way to the key's predecessor, who answers the origin.
    ToPredecessor,
    /// On the way to the key's predecessor, who passes it on to the owner, who answers the origin.
    ToOwner,
    /// From the key's predecessor, named here, to the owner.
    LastHop {
        /// Who holds the receiver for the owner.
        predecessor: Contact,
    },
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To `Ping`: I am a member.
    Alive,
    /// To anything: I am no member (not yet, or no longer).
    NotMember,
    /// To `State`: I am in the middle of a step. To anything: I am about to become a member. Counts as alive.
    Busy,
    /// To `State`.
    State {
        /// Who is before me, if I know.
        predecessor: Option<Contact>,
        /// My successor list.
        successors: Vec<Entry>,
    },
    /// To `Fingers`, each once.
    Fingers(Vec<Contact>),
    /// To `Next`.
    Step {
        /// Whom I know strictly between me and the key, nearest to the key first. Empty: the key belongs to my successor.
        closer: Vec<Contact>,
        /// Whether I know more of them, further from the key.
        more: More,
        /// My successor list.
        successors: Vec<Entry>,
    },
    /// To `Owns`.
    Owns {
        /// Whether the key is mine.
        mine: Ownership,
        /// Who is before me, if I know.
        predecessor: Option<Contact>,
        /// My successor list: whom to ask for copies.
        successors: Vec<Entry>,
    },
    /// To `Forward`: I take it from here.
    Accepted,
    /// To `Data`.
    Data(DataAnswer),
}

/// Whether a list was cut to fit a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// That was all.
    No,
    /// There is more.
    Yes,
}

/// Whether a key belongs to the node asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It lies between my predecessor and me.
    Mine,
    /// It does not.
    NotMine,
}

/// What a node says without wanting an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// I think you are my immediate successor.
    Notify,
    /// The lookup you sent out has ended.
    Found(Found),
    /// I am about to leave; look after your pointers soon.
    Leaving,
    /// I sit between you and your successor; others go past me because of you.
    Skipped,
}

/// How a recursive lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The origin's number.
    pub lookup: u64,
    /// Who owns the key.
    pub owner: Contact,
    /// Who said so.
    pub predecessor: Contact,
    /// Hops until the key's predecessor was reached.
    pub hops: u16,
    /// Dead nodes met.
    pub timeouts: u16,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question { number, question } => write!(f, "question {number} {question:?}"),
            Self::Answer { number, answer } => write!(f, "answer {number} {answer:?}"),
            Self::Note(note) => write!(f, "{note:?}"),
        }
    }
}

/// Most contacts or entries in a list of a message. Three times the largest list; more is refused as malformed.
pub(super) const LIST_MAX: usize = 192;

/// Most nodes a `Step` names. Enough that half of them may be dead and asking again stays rare.
pub(super) const CLOSER_MAX: usize = 8;
