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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sim::Latency;

    /// Says its number of ticks to the next node every second, and tells what it hears.
    struct Ticker {
        next: NodeId,
        ticks: u32,
        due: Time,
        outputs: Vec<NodeOutput<u32, (NodeId, u32)>>,
    }

    impl Node for Ticker {
        type Message = u32;
        type Event = (NodeId, u32);

        fn handle_message(&mut self, _now: Time, from: NodeId, message: u32) {
            self.outputs.push(NodeOutput::Event((from, message)));
        }

        fn handle_timeout(&mut self, now: Time) {
            self.ticks += 1;
            self.due = now + Duration::from_secs(1);
            self.outputs.push(NodeOutput::Send { to: self.next, bytes: 10, message: self.ticks });
        }

        fn poll_output(&mut self) -> Option<NodeOutput<u32, (NodeId, u32)>> {
            self.outputs.pop()
        }

        fn poll_timeout(&self) -> Option<(Time, &'static str)> {
            Some((self.due, "tick"))
        }
    }

    fn ticker(next: usize) -> Ticker {
        Ticker { next: NodeId(next), ticks: 0, due: Time::ZERO + Duration::from_secs(1), outputs: Vec::new() }
    }

    fn three(loss: f64) -> Simulation<Ticker> {
        let latency = Latency::Uniform { min: Duration::from_millis(10), max: Duration::from_millis(50) };
        let mut simulation = Simulation::new(Paths::new(1, latency).with_loss(loss));
        for next in [1, 2, 0] {
            simulation.add(Link::unlimited(Duration::ZERO), ticker(next));
        }
        simulation
    }

    fn after(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn messages_arrive_after_the_paths_latency_and_the_same_seed_repeats_them() {
        let log = |loss| {
            let mut simulation = three(loss);
            simulation.run_until(after(10));
            (simulation.take_events(), simulation.happened())
        };
        let (events, happened) = log(0.0);
        assert_eq!(events.len(), 27, "three nodes tick at 1 to 10 s; the last ticks are under way");
        assert_eq!(happened, 27 + 30);
        let in_time = |at: &Time| (10..=50).contains(&(at.as_nanos() / 1_000_000 % 1_000));
        assert!(events.iter().all(|(at, _, _)| in_time(at)));
        assert_eq!(log(0.0), (events, happened));
        assert_eq!(log(0.5), log(0.5));
        assert!(log(0.5).0.len() < 20);
    }

    #[test]
    fn a_crashed_node_is_silent_until_it_is_restarted() {
        let mut simulation = three(0.0);
        simulation.run_until(after(2));
        assert_eq!(simulation.crash(NodeId(1)).map(|node| node.ticks), Some(2));
        simulation.take_events();
        simulation.run_until(after(4));
        let from_it = |events: Vec<(Time, NodeId, (NodeId, u32))>| {
            events.into_iter().filter(|(_, _, (from, _))| *from == NodeId(1)).map(|(_, _, (_, tick))| tick).collect()
        };
        let heard: Vec<u32> = from_it(simulation.take_events());
        assert_eq!(heard, [2], "what was under way arrives");
        assert_eq!(simulation.live().count(), 2);

        simulation.restart(NodeId(1), ticker(2));
        simulation.run_until(after(6));
        let heard: Vec<u32> = from_it(simulation.take_events());
        assert_eq!(heard[0], 1, "it begins anew");
    }

    #[test]
    fn a_check_runs_after_every_event_and_ends_the_run_when_it_fails() {
        let mut simulation = three(0.0);
        let mut checks = 0;
        let result = simulation.run_checked(after(10), |simulation, _| {
            checks += 1;
            match simulation.node(NodeId(0)).map(|node| node.ticks) {
                Some(3) => Err(simulation.now()),
                _ => Ok(()),
            }
        });
        assert_eq!(result, Err(after(3)));
        assert_eq!(checks, simulation.happened());
    }
}
