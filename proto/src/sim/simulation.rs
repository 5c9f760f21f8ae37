//! Drives cores of one kind over the simulated network: does what a driver does, in virtual time, and nothing else.

use super::network::{Happening, Link, Network, NodeId, Priority};
use super::paths::Paths;
use crate::time::Time;

/// A core, or something made of cores, that can be driven.
///
/// The verbs are those all cores have; how a core's own types map to them is said where this is implemented.
pub trait Node {
    /// What travels between nodes.
    type Message;
    /// What the node tells the outside.
    type Event;

    /// Takes a message.
    fn handle_message(&mut self, now: Time, from: NodeId, message: Self::Message);

    /// Does what is due.
    fn handle_timeout(&mut self, now: Time);

    /// Returns the next thing to do for the node.
    fn poll_output(&mut self) -> Option<NodeOutput<Self::Message, Self::Event>>;

    /// Returns the earliest deadline and what it is for.
    fn poll_timeout(&self) -> Option<(Time, &'static str)>;
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeOutput<M, E> {
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// How long it is on the wire. Only matters on links with a rate.
        bytes: u64,
        /// What.
        message: M,
    },
    /// Tell this.
    Event(E),
}

/// Nodes on a network, in virtual time.
///
/// A node that crashed keeps its number and its link; messages to it vanish, as do those under way from it only if the
/// network loses them. Give it a new core with [`Simulation::restart`].
#[derive(Debug)]
pub struct Simulation<N: Node> {
    network: Network<N::Message>,
    nodes: Vec<Option<N>>,
    /// When each node's alarm goes off. May be earlier than its deadline, never later.
    alarms: Vec<Option<Time>>,
    events: Vec<(Time, NodeId, N::Event)>,
    happened: u64,
}

impl<N: Node> Simulation<N> {
    /// Makes a simulation without nodes.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self {
            network: Network::with_paths(paths),
            nodes: Vec::new(),
            alarms: Vec::new(),
            events: Vec::new(),
            happened: 0,
        }
    }

    /// Adds a node behind a link.
    pub fn add(&mut self, link: Link, node: N) -> NodeId {
        let id = self.network.add(link);
        self.nodes.push(Some(node));
        self.alarms.push(None);
        self.flush(id);
        id
    }

    /// Takes a node away without a word; returns what it was.
    pub fn crash(&mut self, id: NodeId) -> Option<N> {
        self.network.silence(id);
        self.alarms[id.0] = None;
        self.nodes[id.0].take()
    }

    /// Puts a new core in a node's place.
    pub fn restart(&mut self, id: NodeId, node: N) {
        self.nodes[id.0] = Some(node);
        self.flush(id);
    }

    /// Gives a live node an input and does what it then wants done.
    pub fn act<R>(&mut self, id: NodeId, input: impl FnOnce(&mut N, Time) -> R) -> Option<R> {
        let now = self.network.now();
        let result = input(self.nodes[id.0].as_mut()?, now);
        self.flush(id);
        Some(result)
    }

    /// Lets the next thing happen; `None` when nothing will. Returns the node it happened to.
    pub fn step(&mut self) -> Option<NodeId> {
        let happening = self.network.step()?;
        self.happened += 1;
        let now = self.network.now();
        let id = match happening {
            Happening::Arrived { from, to, packet } => {
                if let Some(node) = &mut self.nodes[to.0] {
                    node.handle_message(now, from, packet);
                }
                to
            }
            Happening::Alarm(id) => {
                self.alarms[id.0] = None;
                if let Some(node) = &mut self.nodes[id.0]
                    && node.poll_timeout().is_some_and(|(due, _)| due <= now)
                {
                    node.handle_timeout(now);
                }
                id
            }
            Happening::Note(_) => return Some(NodeId(0)),
        };
        self.flush(id);
        Some(id)
    }

    /// Lets everything happen until a time.
    pub fn run_until(&mut self, until: Time) {
        while self.network.next_at().is_some_and(|next| next <= until) {
            self.step();
        }
        self.network.idle_until(until);
    }

    /// Lets everything happen until a time, and checks after every event.
    ///
    /// # Errors
    /// What the first failed check says.
    pub fn run_checked<E>(
        &mut self,
        until: Time,
        mut check: impl FnMut(&Self, NodeId) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.network.next_at().is_some_and(|next| next <= until) {
            if let Some(id) = self.step() {
                check(self, id)?;
            }
        }
        self.network.idle_until(until);
        Ok(())
    }

    /// Takes what the nodes have told since the last call.
    pub fn take_events(&mut self) -> Vec<(Time, NodeId, N::Event)> {
        std::mem::take(&mut self.events)
    }

    /// What happens to packets between access links, to change it.
    pub fn paths_mut(&mut self) -> &mut Paths {
        self.network.paths_mut()
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.network.now()
    }

    /// A node, if it is alive.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&N> {
        self.nodes.get(id.0)?.as_ref()
    }

    /// All live nodes, in the order they were added.
    pub fn live(&self) -> impl Iterator<Item = (NodeId, &N)> {
        self.nodes.iter().enumerate().filter_map(|(place, node)| Some((NodeId(place), node.as_ref()?)))
    }

    /// How many messages arrived and deadlines came so far.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.happened
    }

    fn flush(&mut self, id: NodeId) {
        let Some(node) = &mut self.nodes[id.0] else { return };
        let now = self.network.now();
        while let Some(output) = node.poll_output() {
            match output {
                NodeOutput::Send { to, bytes, message } => {
                    self.network.send(id, to, bytes, Priority::Control, message);
                }
                NodeOutput::Event(event) => self.events.push((now, id, event)),
            }
        }
        // Deadlines mostly move back: an alarm that is too early looks again, which is cheaper than setting each anew.
        let due = node.poll_timeout().map(|(due, _)| due);
        if let Some(due) = due
            && self.alarms[id.0].is_none_or(|alarm| due < alarm)
        {
            self.alarms[id.0] = Some(due);
            self.network.set_alarm(id, Some(due));
        }
    }
}
