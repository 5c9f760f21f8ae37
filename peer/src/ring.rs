//! Drives the ring core: waits for one thing to happen, feeds the core, performs what it asks for.
//!
//! No protocol decision is taken here. Connections and who keeps which are in `ring/links`, what comes and goes on their
//! streams in `ring/exchange`, who sits where in `ring/seats`, what is told about it in `ring/telling`, what a peer that is to
//! misbehave makes of it all in `ring/tampering`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use peerbed_proto::PeerId;
use peerbed_proto::ring::conduct::Tampering;
use peerbed_proto::ring::{Command, Contact, Entry, Event, Key, Message, Output, Question, Ring, Standing};
use quinn::SendStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::clock;
use crate::commands::Endpoint;
use crate::distribution::{Paths, QuicCounts, Surroundings};
use crate::ring::asking::Asking;
use crate::ring::links::{Links, Replies};
use crate::ring::seats::Seats;
use crate::ring::telling::{Teller, Told};
use crate::ring::warm_up::{Connected, Turn, WarmUp};
use crate::ring_control::{Enter, RecordKey, RingCommand, RingStatus, Start};
use crate::timing::Timing;
use crate::transport::PeerConnection;

pub(crate) use self::telling::{HOPS_BOUNDS, LookupCounts, RingCounts};

mod asking;
mod exchange;
mod links;
mod node;
mod seats;
mod tampering;
mod telling;
mod warm_up;

/// What the peer asks of a ring's driver.
#[derive(Debug)]
pub(crate) enum RingOrder {
    /// To do something. Never `Enter`, which makes a driver, nor `Connect`, which is answered later.
    Command(RingCommand),
    /// To make its first connections, and to say when they are there.
    Connect(Connected),
    /// How it is.
    Inspect(oneshot::Sender<RingSnapshot>),
    /// To hand over what it has and end.
    Leave,
    /// To end at once, without a word.
    End,
}

/// A driver at one instant.
#[derive(Debug, Clone)]
pub(crate) struct RingSnapshot {
    pub(crate) status: RingStatus,
    pub(crate) counts: RingCounts,
    pub(crate) quic: QuicCounts,
    pub(crate) paths: Paths,
}

/// What can happen to a driver, other than orders and deadlines. `serial` tells connections to one peer apart.
#[derive(Debug)]
pub(crate) enum Input {
    /// Somebody connected.
    Accepted(PeerConnection),
    /// A dial ended.
    Dialled { peer: u32, result: anyhow::Result<PeerConnection> },
    /// Somebody asked something, and waits for the answer on this stream.
    Asked { peer: u32, serial: u64, number: u32, question: Question, reply: SendStream },
    /// Something came that wants no answer: a note, or the answer to a question of ours.
    Came { peer: u32, serial: u64, message: Message },
    /// A question of ours will not be answered on this connection.
    Unanswered { peer: u32, serial: u64, number: u32 },
    /// Something came that is no message, or none that may come in this way.
    Violated { peer: u32, serial: u64 },
    /// A stream ended before its frame, had too long a one, or took too long. Its connection may be gone as well.
    Broken,
    /// A connection is gone.
    Closed { peer: u32, serial: u64 },
    /// Another part of this peer wants to know who owns a name.
    OwnerWanted { name: String, answer: oneshot::Sender<anyhow::Result<Endpoint>> },
}

/// One ring's driver.
#[derive(Debug)]
pub(crate) struct RingDriver {
    surroundings: Surroundings,
    core: Ring,
    seats: Arc<Seats>,
    links: Links,
    replies: Replies,
    /// None for a peer that follows the protocol.
    tampering: Option<Tampering>,
    teller: Teller,
    asking: Asking,
    inbox: mpsc::Receiver<Input>,
    /// No timer of the core goes off before the upkeep has begun.
    warm_up: WarmUp,
    /// When a driver that leaves stops waiting for its records to be taken.
    leave_until: Option<Instant>,
}

impl RingDriver {
    /// Makes the node, and takes connections for it from now on.
    ///
    /// # Errors
    ///
    /// When the roster cannot be read, is no ring, or does not have this peer or one of those named.
    pub(crate) fn enter(surroundings: Surroundings, enter: Enter) -> anyhow::Result<Self> {
        let seats = Arc::new(Seats::read(&enter.roster)?);
        let me = seats.contact(surroundings.transport.me()).context("the roster has no place for this peer")?;
        let tampering = tampering::of(enter.options.conduct, me, &seats, surroundings.seed);
        let core = node::make(&seats, me, &enter.start, enter.options, surroundings.seed)?;
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        surroundings.routes.set_ring(Some(sender.clone()));
        let links = Links::new(surroundings.transport.clone(), seats.clone(), sender);
        let teller = Teller::new(enter.ring, surroundings.log.clone());
        let warm_up = match enter.start {
            Start::Found(_) => WarmUp::founder(enter.hold),
            Start::Join(_) => WarmUp::Live,
        };
        let replies = Replies::default();
        let asking = Asking::default();
        Ok(Self {
            surroundings,
            core,
            seats,
            links,
            replies,
            tampering,
            teller,
            asking,
            inbox,
            warm_up,
            leave_until: None,
        })
    }

    /// Takes part until told to end, or until it has left.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<RingOrder>) -> RingSnapshot {
        if self.core.standing() == Standing::Member {
            self.teller.joined();
        }
        self.perform();
        let mut inputs = Vec::with_capacity(INPUTS_AT_ONCE);
        let mut tending = interval(TEND_INTERVAL);
        tending.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let timer = sleep_until(Instant::now());
        tokio::pin!(timer);
        while self.core.standing() != Standing::Gone && self.leave_until.is_none_or(|until| Instant::now() < until) {
            let due = self.core.poll_timeout().filter(|_| self.warm_up.is_live());
            let deadline = due.map(|(due, _)| clock::instant(due));
            if let Some(deadline) = deadline
                && timer.deadline() != deadline
            {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                order = orders.recv() => match order {
                    Some(RingOrder::End) | None => break,
                    Some(order) => self.handle_order(order),
                },
                _ = self.inbox.recv_many(&mut inputs, INPUTS_AT_ONCE) => {
                    for input in inputs.drain(..) {
                        self.handle_input(input);
                        self.perform();
                    }
                }
                () = &mut timer, if deadline.is_some() => self.core.handle_timeout(clock::now()),
                _ = tending.tick() => self.tend(),
            }
            self.perform();
        }
        self.surroundings.routes.set_ring(None);
        self.links.finish().await;
        self.snapshot()
    }

    fn handle_order(&mut self, order: RingOrder) {
        match order {
            RingOrder::Command(command) => self.handle_command(command),
            RingOrder::Inspect(answer) => {
                let _ = answer.send(self.snapshot());
            }
            RingOrder::Connect(answer) => {
                self.warm_up.connect(answer);
                self.tend();
            }
            RingOrder::Leave => self.leave(),
            RingOrder::End => {}
        }
    }

    fn handle_command(&mut self, command: RingCommand) {
        let now = clock::now();
        match command {
            RingCommand::LookUp { request, key, forwarding } => {
                let command = match forwarding {
                    Some(forwarding) => Command::LookUpBy { key, forwarding },
                    None => Command::LookUp { key },
                };
                self.core.handle_command(now, request, command);
            }
            RingCommand::Data { request, key, action } => {
                let key = match key {
                    RecordKey::Name(name) => Key::named(self.seats.circle(), &name),
                    RecordKey::Point(point) => Key::at(point),
                };
                self.teller.begin(request, now);
                self.core.handle_command(now, request, Command::Data { key, action: node::action_of(action) });
            }
            RingCommand::Begin => {
                let turn = self.warm_up.begin();
                self.take_turn(turn);
            }
            RingCommand::Leave => self.leave(),
            // The peer makes a driver of the one, and an order of the other.
            RingCommand::Enter(_) | RingCommand::Connect => {}
        }
    }

    fn leave(&mut self) {
        self.leave_until.get_or_insert_with(|| Instant::now() + LEAVE_MAX);
        self.core.handle_command(clock::now(), 0, Command::Leave);
    }

    fn handle_input(&mut self, input: Input) {
        let now = clock::now();
        match input {
            Input::Accepted(connection) => {
                let is_outlaw = self.core.is_outlaw(PeerId(connection.peer));
                self.links.handle_accepted(connection, is_outlaw);
            }
            Input::Dialled { peer, result } => {
                let reached = self.links.handle_dialled(peer, result);
                if !self.warm_up.is_live() {
                    self.tend();
                } else if reached.is_err() {
                    self.core.handle_unreachable(now, PeerId(peer));
                }
            }
            Input::Asked { peer, serial, number, question, reply } => {
                let message = Message::Question { number, question };
                if let Some(from) = self.checked(peer, serial, &message) {
                    self.replies.keep(peer, number, reply);
                    self.core.handle_message(now, from, message);
                }
            }
            Input::Came { peer, serial, message } => {
                let took = match message {
                    Message::Answer { number, .. } => self.links.handle_answered(peer, serial, number),
                    Message::Question { .. } | Message::Note(_) => None,
                };
                if let Some(from) = self.checked(peer, serial, &message) {
                    if let Some(took) = took {
                        self.surroundings.timings.record(Timing::RingAnswer, took);
                    }
                    self.core.handle_message(now, from, message);
                }
            }
            Input::Unanswered { peer, serial, number } => {
                self.links.handle_answered(peer, serial, number);
            }
            Input::Violated { peer, serial } => self.violated(peer, serial),
            Input::Broken => self.links.traffic.broken += 1,
            Input::Closed { peer, serial } => {
                if self.links.handle_closed(peer, serial) == links::Left::None && self.warm_up.is_live() {
                    self.core.handle_unreachable(now, PeerId(peer));
                }
            }
            Input::OwnerWanted { name, answer } => {
                if let Some(request) = self.asking.add(answer) {
                    let key = self.seats.circle().hash(name.as_bytes());
                    self.core.handle_command(now, request, Command::LookUp { key });
                }
            }
        }
    }

    /// Who sent a message, unless it names somebody at a point that is not theirs.
    fn checked(&mut self, peer: u32, serial: u64, message: &Message) -> Option<Contact> {
        let from = self.seats.contact(peer)?;
        if message.contacts().iter().all(|contact| self.seats.contact(contact.peer.0) == Some(*contact)) {
            return Some(from);
        }
        self.violated(peer, serial);
        None
    }

    fn violated(&mut self, peer: u32, serial: u64) {
        self.core.handle_violation(clock::now(), PeerId(peer));
        self.links.handle_violated(peer, serial);
    }

    /// Does everything the core wants done.
    fn perform(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Send { to, message } if self.seats.contact(to.peer.0) == Some(to) => {
                    self.send(to.peer.0, message);
                }
                Output::Send { .. } => self.links.traffic.misdirected += 1,
                Output::Event(Event::LookedUp { request, result }) if Asking::is_own(request) => {
                    self.asking.answer(&self.seats, request, result);
                }
                Output::Event(event) => self.teller.event(event),
            }
        }
        if self.teller.pointers(&self.core) == Told::News {
            self.tend();
        }
    }

    fn send(&mut self, to: u32, message: Message) {
        let answered = if let Message::Answer { number, .. } = message { Some(number) } else { None };
        for word in tampering::words(&mut self.tampering, message) {
            match answered {
                None => self.links.send(to, word),
                Some(number) => {
                    if let Some(reply) = self.replies.take(to, number) {
                        self.links.reply(reply, tampering::frame(&word));
                    }
                }
            }
        }
    }

    /// Keeps connections to neighbours, and lets go of what is not needed any more.
    fn tend(&mut self) {
        // Who is before us keeps a connection with us as its successor.
        let predecessor = self.core.predecessor();
        let successors: Vec<Contact> = self.core.successors().iter().filter_map(Entry::contact).collect();
        let is_dialled = |contact: &Contact| Some(*contact) != predecessor || successors.contains(contact);
        let wanted: Vec<u32> = self.core.neighbours().iter().filter(|it| is_dialled(it)).map(|it| it.peer.0).collect();
        let at_once = self.warm_up.dials_at_once();
        self.links.tend(&wanted, at_once);
        let turn = self.warm_up.on_connections(self.links.connected, self.links.neighbours);
        self.take_turn(turn);
        self.links.traffic.unanswered += self.replies.forget_old();
    }

    fn take_turn(&mut self, turn: Turn) {
        if turn == Turn::Begins {
            self.core.handle_begin(clock::now());
        }
    }

    fn snapshot(&self) -> RingSnapshot {
        let status = self.teller.status(&self.core, &self.links);
        let lookups = self.teller.lookups().clone();
        let counts = RingCounts { core: self.core.stats().clone(), traffic: self.links.traffic, lookups };
        let (quic, paths) = self.links.quic();
        RingSnapshot { status, counts, quic, paths }
    }
}

/// Inputs that wait for the driver; tasks that have one wait with it, and so do the peers behind them.
const INBOX_MAX: usize = 1_024;

/// Inputs taken off the inbox at once.
const INPUTS_AT_ONCE: usize = 64;

/// Time between two looks at the connections, beside those when pointers change. A missing one is dialled at once when
/// something is to be sent.
const TEND_INTERVAL: Duration = Duration::from_secs(1);

/// Time to hand records over. Shorter than the process has to leave.
const LEAVE_MAX: Duration = Duration::from_secs(3);
