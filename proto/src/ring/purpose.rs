//! What a question was asked for, and what sub-machines tell one another.

use super::circle::Point;
use super::contact::Contact;
use super::lookup::Outcome;
use super::message::{Answer, Forward, Found};
use super::output::LookupError;

/// What a question was asked for: decides who gets the answer.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Step 1 of stabilise.
    StabiliseSuccessor,
    /// Step 4 of stabilise: the successor's predecessor, or a better successor found by an audit.
    StabilisePredecessor,
    /// Is this successor alive?
    PingSuccessor,
    /// Is the predecessor alive, now that somebody further away notified us?
    PingPredecessor,
    /// Is a peer alive that did not answer something slow?
    Probe,
    /// How near is a candidate for a finger?
    PingFinger,
    /// Who of those remembered is alive, now that all successors are dead?
    PingAcquaintance,
    /// The list to join with.
    JoinState,
    /// Fingers to start with.
    JoinFingers,
    /// A hop of an iterative lookup.
    Step {
        /// Which lookup.
        lookup: u64,
    },
    /// The owner's confirmation.
    Confirm {
        /// Which lookup.
        lookup: u64,
    },
    /// Passing on a recursive lookup.
    Forward(Box<Passing>),
    /// A put, get or delete of our own.
    Operation {
        /// Which.
        operation: u64,
    },
    /// A copy of a write.
    Replica {
        /// Which write.
        write: u64,
    },
    /// Comparing records with another node.
    Sync {
        /// Which comparison.
        sync: u64,
    },
    /// Returning a copy to its owner.
    Return,
}

/// A recursive lookup being passed on, and whom to try next.
#[derive(Clone, Debug)]
pub(super) struct Passing {
    pub(super) forward: Forward,
    /// Live candidates not tried yet, best first.
    pub(super) rest: Vec<Contact>,
}

/// The answer to a question, or why there is none.
pub(super) type Reply = Result<Answer, Silence>;

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The peer is dead or no member.
    Dead,
    /// The peer may live but did not answer something slow in time.
    Slow,
    /// The question was never asked: too many are under way.
    Withheld,
}

/// What one sub-machine wants of another. Handled in order after each input.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// Somebody may be a nearer successor.
    Suggest(Contact),
    /// Somebody says that we are its successor.
    Notified(Contact),
    /// A successor died: the list has a gap that only a stabilisation fills.
    SuccessorLost,
    /// The successor list was replaced or filled up.
    SuccessorsChanged,
    /// The predecessor is another one.
    PredecessorChanged {
        /// Who it was.
        before: Option<Contact>,
    },
    /// We are a member now.
    Joined,
    /// Look a key up.
    Lookup {
        /// The key.
        key: Point,
        /// What for.
        cause: Cause,
        /// Whom to start at; `None` starts with what we know.
        via: Option<Contact>,
    },
    /// A lookup has ended.
    LookupEnded {
        /// What it was for.
        cause: Cause,
        /// How.
        result: Result<Outcome, LookupError>,
    },
    /// A recursive lookup of our own ended here.
    Found(Found),
    /// A question could not be asked.
    Withheld {
        /// Of whom.
        to: Contact,
        /// What for.
        purpose: Purpose,
    },
}

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A command.
    Command {
        /// Its number.
        request: u64,
    },
    /// Our place in the ring.
    Join,
    /// A finger.
    Finger {
        /// It starts 2^exponent away.
        exponent: u8,
    },
    /// Do others find us?
    Audit,
    /// A put, get or delete.
    Operation {
        /// Which.
        operation: u64,
    },
    /// The owner of a copy we hold.
    Return,
    /// Somebody nearer than the distant node an orphan has adopted.
    Homing,
}
