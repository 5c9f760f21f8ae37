//! One ring node as the simulation drives it: what it is sent, what it sends, and what a hostile one makes of that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::node_of;
use crate::id::PeerId;
use crate::ring::conduct::{Tampering, Word};
use crate::ring::{Contact, Event, Message, Output, Point, Ring};
use crate::sim::{Node, NodeId, NodeOutput};
use crate::time::Time;

/// A ring node as the simulation drives it. Peer n is node n-1, and each message carries its true sender, as the
/// certificates of real peers do.
#[derive(Clone, Debug)]
pub struct RingNode {
    /// The node.
    pub ring: Ring,
    /// What a hostile peer makes of its messages; `None` sends them as they are.
    pub(super) hostility: Option<Box<Hostility>>,
    /// Who sits where, as a real peer's driver knows it: what contradicts it is an offence. `None` believes everything.
    pub(super) roster: Option<Arc<BTreeMap<PeerId, Point>>>,
}

/// A hostile peer's conduct, and what is still to go out of it.
#[derive(Clone, Debug)]
pub(super) struct Hostility {
    conduct: Misconduct,
    waiting: VecDeque<(Contact, Word)>,
}

/// What a hostile peer makes of its messages.
#[derive(Clone, Debug)]
pub(super) enum Misconduct {
    /// What real peers can be told to do, too.
    Tampering(Tampering),
    /// A lie of a single test.
    Falsified(Falsify),
}

/// Changes a message on its way out of a hostile peer, whose point is given.
pub type Falsify = fn(Point, Message) -> Message;

/// A message or other frame with whom it really is from and whom it is meant for.
#[derive(Clone, Debug)]
pub struct Sealed<W = Message> {
    /// Who sent it.
    pub from: Contact,
    /// Whom it is for; a node at another point drops it, as a connection to a stranger would be refused.
    pub to: Contact,
    /// What.
    pub message: W,
}

impl Hostility {
    pub(super) fn new(conduct: Misconduct) -> Self {
        Self { conduct, waiting: VecDeque::new() }
    }

    fn take(&mut self, me: Point, to: Contact, message: Message) {
        match &mut self.conduct {
            Misconduct::Tampering(tampering) => {
                self.waiting.extend(tampering.words(message).into_iter().map(|word| (to, word)));
            }
            Misconduct::Falsified(falsify) => self.waiting.push_back((to, Word::Message(falsify(me, message)))),
        }
    }
}

impl RingNode {
    /// Makes a node that behaves.
    #[must_use]
    pub fn new(ring: Ring) -> Self {
        Self { ring, hostility: None, roster: None }
    }

    fn sealed(&self, to: Contact, word: Word) -> NodeOutput<Sealed<Word>, Event> {
        NodeOutput::Send { to: node_of(to.peer), bytes: 0, message: Sealed { from: self.ring.me(), to, message: word } }
    }

    fn is_credible(&self, message: &Message) -> bool {
        self.roster.as_ref().is_none_or(|roster| {
            message.contacts().iter().all(|contact| roster.get(&contact.peer) == Some(&contact.point))
        })
    }
}

impl Node for RingNode {
    type Message = Sealed<Word>;
    type Event = Event;

    fn handle_message(&mut self, now: Time, _from: NodeId, sealed: Sealed<Word>) {
        if sealed.to != self.ring.me() {
            return;
        }
        match sealed.message {
            Word::Message(message) if self.is_credible(&message) => self.ring.handle_message(now, sealed.from, message),
            // As in a real peer's driver: an offence, and it costs the connection.
            Word::Message(_) | Word::Garbage => {
                self.ring.handle_violation(now, sealed.from.peer);
                self.ring.handle_unreachable(now, sealed.from.peer);
            }
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.ring.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<NodeOutput<Sealed<Word>, Event>> {
        loop {
            if let Some((to, word)) = self.hostility.as_mut().and_then(|it| it.waiting.pop_front()) {
                return Some(self.sealed(to, word));
            }
            match (self.ring.poll_output()?, &mut self.hostility) {
                (Output::Event(event), _) => return Some(NodeOutput::Event(event)),
                (Output::Send { to, message }, None) => return Some(self.sealed(to, Word::Message(message))),
                (Output::Send { to, message }, Some(it)) => it.take(self.ring.me().point, to, message),
            }
        }
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.ring.poll_timeout()
    }
}
