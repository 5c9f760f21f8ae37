//! Whole rings in virtual time: ring nodes on a simulated network, and what is true of them.
//!
//! The harness knows who lives, so it knows each key's true owner and every pointer that should be. `sim/ring/health.rs`
//! compares, `sim/ring/invariant.rs` is Zave's invariant, `sim/ring/workload.rs` makes lookups and churn.

pub mod figures;
pub mod health;
pub mod interleaving;
pub mod invariant;
mod node;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use self::health::Health;
pub use self::node::{Falsify, RingNode, Sealed};
use self::node::{Hostility, Misconduct};
pub use self::workload::{Churn, Departure, Departures, LookupFigures, mean, percentile};
use super::{Link, NodeId, Paths, Simulation};
use crate::id::PeerId;
use crate::random::Random;
use crate::ring::conduct::Tampering;
use crate::ring::{Circle, Command, Conduct, Contact, Event, Founders, Options, Point, Ring};
use crate::time::Time;

/// A ring under simulation.
#[derive(Debug)]
pub struct RingSim {
    /// The nodes and the network.
    pub simulation: Simulation<RingNode>,
    circle: Circle,
    options: Options,
    seed: u64,
    /// Everyone who ever was, by node number.
    contacts: Vec<Contact>,
    /// Live members by point, as they told when they joined and left or as they were crashed.
    members: BTreeMap<Point, NodeId>,
    hostile: BTreeSet<PeerId>,
    requests: u64,
}

impl RingSim {
    /// Makes a ring that starts with peers at these points, peer 1 at the first.
    ///
    /// # Panics
    /// When the points do not make a ring, see [`crate::ring::FoundersError`].
    #[must_use]
    pub fn found(circle: Circle, points: &[Point], options: Options, seed: u64, paths: Paths) -> Self {
        Self::found_with(circle, points, &|_, _| options.clone(), seed, paths)
    }

    /// Makes a ring whose founders have options of their own, made from their point and everyone's contacts. Those who
    /// join later get what is made for the first founder.
    ///
    /// # Panics
    /// When the points do not make a ring, see [`crate::ring::FoundersError`].
    #[must_use]
    pub fn found_with(
        circle: Circle,
        points: &[Point],
        options: &dyn Fn(Point, &[Contact]) -> Options,
        seed: u64,
        paths: Paths,
    ) -> Self {
        let contacts: Vec<Contact> = points.iter().enumerate().map(|(place, &point)| contact(place, point)).collect();
        let founders = Founders::new(circle, contacts.clone()).expect("the caller gives distinct points");
        let mut sim = Self {
            simulation: Simulation::new(paths),
            circle,
            options: options(points[0], &contacts),
            seed,
            contacts: contacts.clone(),
            members: BTreeMap::new(),
            hostile: BTreeSet::new(),
            requests: 0,
        };
        for &me in &contacts {
            let ring = Ring::found(me, &founders, options(me.point, &contacts), seed, Time::ZERO);
            let node = sim.simulation.add(Link::unlimited(Duration::ZERO), RingNode::new(ring));
            sim.members.insert(me.point, node);
        }
        sim
    }

    /// Makes a ring in which each peer's successors are those behind it in `cycle`, right or wrong.
    ///
    /// # Panics
    /// When a point comes twice.
    #[must_use]
    pub fn placed(circle: Circle, cycle: &[Point], options: &Options, seed: u64, paths: Paths) -> Self {
        let contacts: Vec<Contact> = cycle.iter().enumerate().map(|(place, &point)| contact(place, point)).collect();
        let count = contacts.len();
        let mut sim = Self {
            simulation: Simulation::new(paths),
            circle,
            options: options.clone(),
            seed,
            contacts: contacts.clone(),
            members: BTreeMap::new(),
            hostile: BTreeSet::new(),
            requests: 0,
        };
        for (place, &me) in contacts.iter().enumerate() {
            let next = usize::from(options.successors).min(count - 1);
            let successors: Vec<Contact> = (1..=next).map(|step| contacts[(place + step) % count]).collect();
            let before = contacts[(place + count - 1) % count];
            let ring = Ring::placed(me, circle, Some(before), &successors, options.clone(), seed, Time::ZERO);
            let node = sim.simulation.add(Link::unlimited(Duration::ZERO), RingNode::new(ring));
            assert!(sim.members.insert(me.point, node).is_none(), "{me} comes twice");
        }
        sim
    }

    /// Lets a new peer join at a point, by way of some member.
    pub fn join(&mut self, point: Point, via: &[Contact]) -> NodeId {
        let me = contact(self.contacts.len(), point);
        self.contacts.push(me);
        let ring = Ring::join(me, self.circle, via, self.options.clone(), self.seed, self.simulation.now());
        self.simulation.add(Link::unlimited(Duration::ZERO), RingNode::new(ring))
    }

    /// Lets a peer that crashed or left join again at its old point.
    pub fn rejoin(&mut self, node: NodeId, via: &[Contact]) {
        let me = self.contacts[node.0];
        let ring = Ring::join(me, self.circle, via, self.options.clone(), self.seed, self.simulation.now());
        self.simulation.restart(node, RingNode::new(ring));
    }

    /// Kills a peer without a word.
    pub fn crash(&mut self, node: NodeId) {
        self.simulation.crash(node);
        self.members.remove(&self.contacts[node.0].point);
    }

    /// Makes a live peer hostile, with a lie of its own.
    pub fn corrupt(&mut self, node: NodeId, falsify: Falsify) {
        self.make_hostile(node, Misconduct::Falsified(falsify));
    }

    /// Makes a live peer hostile as real peers can be made. It knows where everybody sits.
    pub fn tamper(&mut self, node: NodeId, tampering: Tampering) {
        self.make_hostile(node, Misconduct::Tampering(tampering));
    }

    /// A member's conduct, for [`RingSim::tamper`], with its lie chosen by a seed.
    #[must_use]
    pub fn conduct(&self, node: NodeId, conduct: Conduct, seed: u64) -> Tampering {
        Tampering::new(conduct, self.contacts[node.0], self.circle, &self.contacts, seed)
    }

    /// Gives every live peer the list of who sits where that real peers have: of everybody so far.
    pub fn give_rosters(&mut self) {
        let roster: BTreeMap<PeerId, Point> = self.contacts.iter().map(|it| (it.peer, it.point)).collect();
        let roster = Arc::new(roster);
        let live: Vec<NodeId> = self.simulation.live().map(|(node, _)| node).collect();
        for node in live {
            let roster = roster.clone();
            self.simulation.act(node, |node, _| node.roster = Some(roster));
        }
    }

    /// Whether a member was made hostile.
    #[must_use]
    pub fn is_hostile(&self, node: NodeId) -> bool {
        self.hostile.contains(&self.contacts[node.0].peer)
    }

    /// Commands a node; returns the number that its last event will carry.
    pub fn command(&mut self, node: NodeId, command: Command) -> u64 {
        self.requests += 1;
        let request = self.requests;
        self.simulation.act(node, |node, now| node.ring.handle_command(now, request, command));
        request
    }

    /// Lets everything happen for a while; returns what the nodes told, membership kept up to date by it.
    pub fn run_for(&mut self, time: Duration) -> Vec<(Time, NodeId, Event)> {
        let until = self.simulation.now() + time;
        self.simulation.run_until(until);
        self.take_events()
    }

    /// Takes what the nodes told and keeps the membership up to date by it.
    pub fn take_events(&mut self) -> Vec<(Time, NodeId, Event)> {
        let events = self.simulation.take_events();
        for (_, node, event) in &events {
            self.note(*node, event);
        }
        events
    }

    /// Returns the true owner of a point: the first live member at or after it.
    #[must_use]
    pub fn owner(&self, key: Point) -> Option<Contact> {
        let node = self.members.range(key..).next().or_else(|| self.members.first_key_value())?.1;
        Some(self.contacts[node.0])
    }

    /// Returns the live members by point.
    pub fn members(&self) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        self.members.values().copied()
    }

    /// Returns how many live members there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Returns who a node is.
    #[must_use]
    pub fn contact(&self, node: NodeId) -> Contact {
        self.contacts[node.0]
    }

    /// Returns a live node's core.
    #[must_use]
    pub fn ring(&self, node: NodeId) -> Option<&Ring> {
        self.simulation.node(node).map(|node| &node.ring)
    }

    /// Returns the member at a point.
    #[must_use]
    pub fn at(&self, point: Point) -> Option<NodeId> {
        self.members.get(&point).copied()
    }

    /// Compares every live member's pointers with what they should be.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::of(self.members.values().filter_map(|node| self.ring(*node)))
    }

    /// Compares the pointers of those that behave with one another, see [`Health::among`].
    #[must_use]
    pub fn honest_health(&self) -> Health {
        let honest = self.members.values().filter(|node| !self.is_hostile(**node));
        Health::among(honest.filter_map(|node| self.ring(*node)), |peer| self.hostile.contains(&peer))
    }

    /// The circle all sit on.
    #[must_use]
    pub fn circle(&self) -> Circle {
        self.circle
    }

    fn make_hostile(&mut self, node: NodeId, conduct: Misconduct) {
        let hostility = Box::new(Hostility::new(conduct));
        self.simulation.act(node, |node, _| node.hostility = Some(hostility));
        self.hostile.insert(self.contacts[node.0].peer);
    }

    fn note(&mut self, node: NodeId, event: &Event) {
        let is_alive = self.simulation.node(node).is_some_and(|node| node.ring.standing().is_member());
        let point = self.contacts[node.0].point;
        match event {
            Event::Joined if is_alive => {
                self.members.insert(point, node);
            }
            Event::Left => {
                self.members.remove(&point);
            }
            Event::Joined
            | Event::SuccessorChanged { .. }
            | Event::PredecessorChanged { .. }
            | Event::Orphaned
            | Event::Misplaced { .. }
            | Event::LookedUp { .. }
            | Event::Written { .. }
            | Event::Read { .. } => {}
        }
    }
}

/// Returns the simulation's node of a peer.
#[must_use]
pub fn node_of(peer: PeerId) -> NodeId {
    NodeId(peer.0 as usize - 1)
}

/// Draws distinct points by chance, in the order peers get them.
#[must_use]
pub fn random_points(circle: Circle, count: usize, seed: u64) -> Vec<Point> {
    let mut random = Random::new(seed, "points");
    let mut taken = BTreeSet::new();
    let mut points = Vec::with_capacity(count);
    while points.len() < count {
        let point = random_point(circle, &mut random);
        if taken.insert(point) {
            points.push(point);
        }
    }
    points
}

/// Draws a point by chance.
pub fn random_point(circle: Circle, random: &mut Random) -> Point {
    let wide = (u128::from(random.bits()) << 64) | u128::from(random.bits());
    Point(wide >> (128 - u32::from(circle.bits())))
}

fn contact(place: usize, point: Point) -> Contact {
    Contact { point, peer: PeerId(u32::try_from(place + 1).expect("fewer than 2^32 peers")) }
}
