//! Nodes, links, packets and alarms in virtual time.

use std::collections::VecDeque;
use std::time::Duration;

use super::paths::{Fate, Paths};
use super::schedule::Schedule;
use crate::time::Time;

/// A node of the network, numbered from 0 in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// An access link. Rates are bytes per second in each direction; `delay` is one way, between the node and the core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// From the node to the core, in bytes per second.
    pub up: f64,
    /// From the core to the node, in bytes per second.
    pub down: f64,
    /// One way.
    pub delay: Duration,
}

impl Link {
    /// A link with rates in Mbit/s.
    #[must_use]
    pub fn mbit(up: f64, down: f64, delay: Duration) -> Self {
        Self { up: up * 125_000.0, down: down * 125_000.0, delay }
    }

    /// A link without a rate: packets take the delay and nothing else.
    #[must_use]
    pub fn unlimited(delay: Duration) -> Self {
        Self { up: f64::INFINITY, down: f64::INFINITY, delay }
    }

    fn is_unlimited(&self) -> bool {
        self.up.is_infinite() && self.down.is_infinite()
    }
}

/// Which of a node's packets go first. Packets of one priority keep their order; one being sent is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Before all bulk packets.
    Control,
    /// After all control packets.
    Bulk,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening<P> {
    /// A packet reached its destination.
    Arrived {
        /// Who sent it.
        from: NodeId,
        /// Whom it reached.
        to: NodeId,
        /// What it is.
        packet: P,
    },
    /// A node's alarm went off, see [`Network::set_alarm`].
    Alarm(NodeId),
    /// A note to self came due, see [`Network::note`].
    Note(P),
}

/// A network of nodes joined by a core that is never the bottleneck, but may delay and lose packets (`sim/paths.rs`).
///
/// ```text
/// send ─▶ control queue ┐                                                       ┌─▶ Arrived
///         bulk queue  ──┴▶ uplink (rate) ─▶ delay of both ─▶ downlink (rate) ───┘
/// ```
///
/// A packet is on the uplink for its length over the rate. The downlink passes it on as it comes in (it does not wait for
/// the packet's end), so that it adds time only where it is slower or busy. Both queues are unlimited.
#[derive(Debug)]
pub struct Network<P> {
    now: Time,
    nodes: Vec<Node<P>>,
    events: Schedule<Event<P>>,
    paths: Paths,
}

#[derive(Debug)]
struct Node<P> {
    link: Link,
    control: VecDeque<Queued<P>>,
    bulk: VecDeque<Queued<P>>,
    sending: bool,
    /// When the downlink has passed on all it has been given.
    down_free: Time,
    alarm: Option<Time>,
    /// How long the uplink has been in use.
    busy: Duration,
    /// Bytes the uplink has carried.
    sent: u64,
}

#[derive(Debug)]
struct Queued<P> {
    to: NodeId,
    bytes: u64,
    packet: P,
}

#[derive(Debug)]
enum Event<P> {
    UplinkFree(NodeId),
    AtDownlink { from: NodeId, queued: Queued<P> },
    Arrived { from: NodeId, to: NodeId, packet: P },
    Alarm(NodeId),
    Note(P),
}

impl<P> Default for Network<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> Network<P> {
    /// Makes a network without nodes at time zero.
    #[must_use]
    pub fn new() -> Self {
        Self::with_paths(Paths::default())
    }

    /// Makes a network without nodes at time zero, whose core delays and loses packets.
    #[must_use]
    pub fn with_paths(paths: Paths) -> Self {
        Self { now: Time::ZERO, nodes: Vec::new(), events: Schedule::new(), paths }
    }

    /// What the core does to packets, to change it.
    pub fn paths_mut(&mut self) -> &mut Paths {
        &mut self.paths
    }

    /// When the next thing happens; a stopped alarm counts, too.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.events.next_at()
    }

    /// Lets time pass in which nothing happens. Goes no further than to the next event.
    pub fn idle_until(&mut self, time: Time) {
        let limit = self.next_at().map_or(time, |next| next.min(time));
        self.now = self.now.max(limit);
    }

    /// Adds a node behind a link.
    pub fn add(&mut self, link: Link) -> NodeId {
        self.nodes.push(Node {
            link,
            control: VecDeque::new(),
            bulk: VecDeque::new(),
            sending: false,
            down_free: Time::ZERO,
            alarm: None,
            busy: Duration::ZERO,
            sent: 0,
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Queues a packet of `bytes` on the wire.
    pub fn send(&mut self, from: NodeId, to: NodeId, bytes: u64, priority: Priority, packet: P) {
        if self.nodes[from.0].link.is_unlimited() && self.nodes[to.0].link.is_unlimited() {
            self.nodes[from.0].sent += bytes;
            let delay = self.delay(from, to);
            if let Fate::Arrives { after } = self.paths.fate(from, to) {
                self.schedule(self.now + delay + after, Event::Arrived { from, to, packet });
            }
            return;
        }
        let node = &mut self.nodes[from.0];
        match priority {
            Priority::Control => node.control.push_back(Queued { to, bytes, packet }),
            Priority::Bulk => node.bulk.push_back(Queued { to, bytes, packet }),
        }
        if !node.sending {
            self.send_next(from);
        }
    }

    /// Takes back queued bulk packets whose sending has not begun; returns how many.
    pub fn take_back(&mut self, from: NodeId, matches: impl Fn(&P) -> bool) -> usize {
        let bulk = &mut self.nodes[from.0].bulk;
        let before = bulk.len();
        bulk.retain(|queued| !matches(&queued.packet));
        before - bulk.len()
    }

    /// Empties a node's queues, because it crashed.
    pub fn silence(&mut self, node: NodeId) {
        self.nodes[node.0].control.clear();
        self.nodes[node.0].bulk.clear();
        self.nodes[node.0].alarm = None;
    }

    /// Sets a node's one alarm, or stops it. An alarm in the past goes off at once.
    pub fn set_alarm(&mut self, node: NodeId, due: Option<Time>) {
        let due = due.map(|due| due.max(self.now));
        if self.nodes[node.0].alarm == due {
            return;
        }
        self.nodes[node.0].alarm = due;
        if let Some(due) = due {
            self.schedule(due, Event::Alarm(node));
        }
    }

    /// Hands something back after a while, without using any link.
    pub fn note(&mut self, after: Duration, note: P) {
        self.schedule(self.now + after, Event::Note(note));
    }

    /// Goes on to the next thing that happens; `None` when nothing will.
    pub fn step(&mut self) -> Option<Happening<P>> {
        loop {
            let (at, event) = self.events.pop()?;
            self.now = at;
            match event {
                Event::UplinkFree(node) => self.send_next(node),
                Event::AtDownlink { from, queued } => self.pass_down(from, queued),
                Event::Arrived { from, to, packet } => return Some(Happening::Arrived { from, to, packet }),
                Event::Alarm(node) if self.nodes[node.0].alarm == Some(at) => {
                    self.nodes[node.0].alarm = None;
                    return Some(Happening::Alarm(node));
                }
                Event::Alarm(_) => {}
                Event::Note(note) => return Some(Happening::Note(note)),
            }
        }
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// One way from node to node, without queues.
    #[must_use]
    pub fn delay(&self, from: NodeId, to: NodeId) -> Duration {
        self.nodes[from.0].link.delay + self.nodes[to.0].link.delay
    }

    /// How long a node's uplink has been in use, and the bytes it has carried.
    #[must_use]
    pub fn uplink_use(&self, node: NodeId) -> (Duration, u64) {
        (self.nodes[node.0].busy, self.nodes[node.0].sent)
    }

    fn send_next(&mut self, from: NodeId) {
        let node = &mut self.nodes[from.0];
        let next = node.control.pop_front().or_else(|| node.bulk.pop_front());
        node.sending = next.is_some();
        let Some(queued) = next else { return };
        let takes = Duration::from_secs_f64(queued.bytes as f64 / node.link.up);
        node.busy += takes;
        node.sent += queued.bytes;
        let delay = self.delay(from, queued.to);
        self.schedule(self.now + takes, Event::UplinkFree(from));
        if let Fate::Arrives { after } = self.paths.fate(from, queued.to) {
            self.schedule(self.now + takes + delay + after, Event::AtDownlink { from, queued });
        }
    }

    fn pass_down(&mut self, from: NodeId, queued: Queued<P>) {
        let Queued { to, bytes, packet } = queued;
        let node = &mut self.nodes[to.0];
        let takes = Duration::from_secs_f64(bytes as f64 / node.link.down);
        let on_uplink = Duration::from_secs_f64(bytes as f64 / self.nodes[from.0].link.up);
        // The first byte came when the uplink began to send it; the downlink began then, or when it was free.
        let node = &mut self.nodes[to.0];
        let first = Time::ZERO + (self.now - (Time::ZERO + on_uplink));
        let done = (first.max(node.down_free) + takes).max(self.now);
        node.down_free = done;
        self.schedule(done, Event::Arrived { from, to, packet });
    }

    fn schedule(&mut self, at: Time, event: Event<P>) {
        self.events.insert(at, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_takes_its_length_over_the_rate_and_both_delays() {
        let mut network = Network::new();
        let a = network.add(Link { up: 1_000.0, down: 1_000.0, delay: Duration::from_millis(10) });
        let b = network.add(Link { up: 1_000.0, down: 10_000.0, delay: Duration::from_millis(20) });
        network.send(a, b, 500, Priority::Bulk, "first");
        network.send(a, b, 500, Priority::Bulk, "second");
        network.send(a, b, 100, Priority::Control, "control");

        let mut arrivals = Vec::new();
        while let Some(Happening::Arrived { packet, .. }) = network.step() {
            arrivals.push((packet, network.now().as_nanos() / 1_000_000));
        }
        assert_eq!(arrivals, [("first", 530), ("control", 630), ("second", 1_130)]);
        assert_eq!(network.uplink_use(a), (Duration::from_millis(1_100), 1_100));
    }

    #[test]
    fn a_slow_downlink_is_shared_by_its_senders() {
        let mut network = Network::new();
        let link = Link { up: 1_000.0, down: 1_000.0, delay: Duration::ZERO };
        let nodes: Vec<NodeId> = (0..3).map(|_| network.add(link)).collect();
        network.send(nodes[0], nodes[2], 1_000, Priority::Bulk, 0);
        network.send(nodes[1], nodes[2], 1_000, Priority::Bulk, 1);
        while network.step().is_some() {}
        assert_eq!(network.now(), Time::ZERO + Duration::from_secs(2));
    }

    #[test]
    fn only_the_last_alarm_set_goes_off() {
        let mut network: Network<()> = Network::new();
        let node = network.add(Link::mbit(1.0, 1.0, Duration::ZERO));
        let at = |millis| Some(Time::ZERO + Duration::from_millis(millis));
        network.set_alarm(node, at(5));
        network.set_alarm(node, at(3));
        network.set_alarm(node, at(9));
        assert_eq!(network.step(), Some(Happening::Alarm(node)));
        assert_eq!(Some(network.now()), at(9));
        assert_eq!(network.step(), None);
    }

    #[test]
    fn bulk_that_is_not_begun_can_be_taken_back() {
        let mut network = Network::new();
        let node = network.add(Link::mbit(1.0, 1.0, Duration::ZERO));
        (0..5).for_each(|packet| network.send(node, node, 1_000, Priority::Bulk, packet));
        assert_eq!(network.take_back(node, |&packet| packet < 3), 2, "packet 0 is being sent");
    }
}
