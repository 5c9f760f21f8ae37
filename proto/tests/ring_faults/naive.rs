//! The steps as Chord's papers publish them, on plain tables: what they get wrong is what the tests show.
//!
//! From Stoica et al. (2001, figure 6; 2003, figures 6 and 7, section IV.E.3), faults included.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_proto::ring::{Circle, Point};

pub(crate) struct Naive {
    circle: Circle,
    len: usize,
    nodes: BTreeMap<u128, Node>,
    dead: BTreeSet<u128>,
}

struct Node {
    successors: Vec<u128>,
    predecessor: Option<u128>,
}

impl Naive {
    /// A right ring.
    pub(crate) fn ring(points: &[u128], len: usize) -> Self {
        Self::cycle(points, len)
    }

    /// A ring in which each node's successors are those behind it in `cycle`, right or wrong.
    pub(crate) fn cycle(cycle: &[u128], len: usize) -> Self {
        let count = cycle.len();
        let node = |place: usize| Node {
            successors: (1..=len.min(count)).map(|step| cycle[(place + step) % count]).collect(),
            predecessor: Some(cycle[(place + count - 1) % count]),
        };
        let nodes = (0..count).map(|place| (cycle[place], node(place))).collect();
        Self { circle: Circle::new(6).unwrap(), len, nodes, dead: BTreeSet::new() }
    }

    pub(crate) fn add(&mut self, point: u128, successors: &[u128]) {
        self.nodes.insert(point, Node { successors: successors.to_vec(), predecessor: None });
    }

    pub(crate) fn kill(&mut self, point: u128) {
        self.dead.insert(point);
    }

    pub(crate) fn set_predecessor(&mut self, of: u128, predecessor: u128) {
        self.nodes.get_mut(&of).unwrap().predecessor = Some(predecessor);
    }

    /// `n.check_predecessor()` that got no answer.
    pub(crate) fn forget_predecessor(&mut self, of: u128) {
        self.nodes.get_mut(&of).unwrap().predecessor = None;
    }

    /// `n.join(n')`: one successor, no predecessor.
    pub(crate) fn join(&mut self, point: u128, via: u128) {
        let successor = self.owner(via, point).unwrap();
        self.add(point, &[successor]);
    }

    /// `n.stabilize()`, and the list reconciled with the successor that was asked.
    pub(crate) fn stabilise(&mut self, point: u128) {
        let asked = self.nodes[&point].successors[0];
        let between = self.nodes[&asked].predecessor.filter(|x| self.is_between(point, *x, asked));
        let head = between.unwrap_or(asked);
        let mut list = vec![head];
        list.extend(self.nodes[&asked].successors.iter().take(self.len - 1));
        self.nodes.get_mut(&point).unwrap().successors = list;
        if self.is_alive(head) {
            self.notify(head, point);
        }
    }

    /// The successor did not answer: "replaces it with the first live entry in its successor list".
    pub(crate) fn stabilise_without_answer(&mut self, point: u128) {
        self.nodes.get_mut(&point).unwrap().successors.remove(0);
    }

    /// `n.notify(n')`.
    pub(crate) fn notify(&mut self, point: u128, from: u128) {
        let is_taken = self.nodes[&point].predecessor.is_none_or(|before| self.is_between(before, from, point));
        if is_taken {
            self.set_predecessor(point, from);
        }
    }

    /// `n.find_successor(id)`, from successor to successor.
    pub(crate) fn owner(&self, from: u128, key: u128) -> Option<u128> {
        let mut at = from;
        for _ in 0..self.nodes.len() {
            let next = self.nodes[&at].successors.iter().copied().find(|next| self.is_alive(*next))?;
            if next == key || self.is_between(at, key, next) {
                return Some(next);
            }
            at = next;
        }
        None
    }

    pub(crate) fn has_live_successor(&self, point: u128) -> bool {
        self.nodes[&point].successors.iter().any(|successor| self.is_alive(*successor))
    }

    pub(crate) fn successors(&self, point: u128) -> &[u128] {
        &self.nodes[&point].successors
    }

    pub(crate) fn predecessor(&self, point: u128) -> Option<u128> {
        self.nodes[&point].predecessor
    }

    fn is_alive(&self, point: u128) -> bool {
        self.nodes.contains_key(&point) && !self.dead.contains(&point)
    }

    fn is_between(&self, a: u128, x: u128, b: u128) -> bool {
        self.circle.is_between(Point(a), Point(x), Point(b))
    }
}
