//! One ring's course: its members, their pointers as they report them, and its recovery from each fault.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_peer::ring_control::{RingReport, RingStatus};
use peerbed_proto::{
    PeerId, Time,
    ring::{Circle, Point},
};

use super::{Fault, FaultKind, pointing};
use crate::plan;

/// One ring from its founding on.
#[derive(Clone, Debug)]
pub struct Course {
    spec: plan::Ring,
    circle: Circle,
    places: BTreeMap<PeerId, Point>,
    founders: BTreeSet<PeerId>,
    hostile: BTreeSet<PeerId>,
    /// Live members by point.
    members: BTreeMap<Point, PeerId>,
    /// Those that were told to enter and have not joined yet.
    entering: BTreeSet<PeerId>,
    pointers: BTreeMap<PeerId, Pointers>,
    records: BTreeMap<PeerId, usize>,
    dropped: BTreeMap<PeerId, BTreeMap<String, u64>>,
    /// Every coming and going with its time, in the order in which it was heard of.
    changes: Vec<Change>,
    faults: Vec<Fault>,
}

/// What a member points at, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointers {
    /// Since when.
    pub at: Time,
    /// Who is before it.
    pub predecessor: Option<PeerId>,
    /// Its successor list; none for a place that a death left empty.
    pub successors: Vec<Option<PeerId>>,
}

/// Somebody became a member, or ceased to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: Time,
    pub(super) point: Point,
    /// The member; none when it went.
    pub(super) member: Option<PeerId>,
}

impl Course {
    pub(super) fn new(ring: &plan::Ring, is_present: impl Fn(PeerId) -> bool) -> Self {
        Self {
            circle: Circle::new(ring.bits).unwrap_or_else(|_| Circle::new(128).expect("128 bits make a circle")),
            places: ring.members.iter().map(|member| (member.peer, member.point)).collect(),
            founders: ring.members.iter().map(|member| member.peer).filter(|peer| is_present(*peer)).collect(),
            hostile: ring.members.iter().filter(|member| member.is_hostile()).map(|member| member.peer).collect(),
            spec: ring.clone(),
            members: BTreeMap::new(),
            entering: BTreeSet::new(),
            pointers: BTreeMap::new(),
            records: BTreeMap::new(),
            dropped: BTreeMap::new(),
            changes: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What the plan says about it.
    #[must_use]
    pub fn spec(&self) -> &plan::Ring {
        &self.spec
    }

    /// The circle.
    #[must_use]
    pub fn circle(&self) -> Circle {
        self.circle
    }

    /// Live members in the order of their points.
    #[must_use]
    pub fn members(&self) -> Vec<PeerId> {
        self.members.values().copied().collect()
    }

    /// Where a possible member sits.
    #[must_use]
    pub fn point(&self, peer: PeerId) -> Option<Point> {
        self.places.get(&peer).copied()
    }

    /// What a member points at, as it said last.
    #[must_use]
    pub fn pointers(&self, peer: PeerId) -> Option<&Pointers> {
        self.pointers.get(&peer)
    }

    /// Records that a member held when it was last asked, copies included.
    #[must_use]
    pub fn records(&self, peer: PeerId) -> Option<usize> {
        self.records.get(&peer).copied()
    }

    /// Everything that happened to it, in order.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// When the first fault happened whose own pointers are not right yet; none where there is no such fault. Comings and
    /// goings that have not been heard of are no faults yet.
    #[must_use]
    pub fn unmended_since(&self) -> Option<Time> {
        let open = self.faults.iter().filter(|fault| fault.mended.is_none() && fault.pending.is_empty());
        open.map(|fault| fault.at).min()
    }

    /// Whether every live member's predecessor and successor list are exactly the live members beside it.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let pointers = |peer: PeerId| self.pointers.get(&peer);
        let length = self.spec.options.successors.into();
        if self.has_hostile_members() {
            let is_honest = |peer: &PeerId| !self.is_hostile(*peer);
            let honest: Vec<PeerId> = self.members.values().copied().filter(is_honest).collect();
            let sits = |peer: PeerId| self.point(peer);
            let lurks = |peer: PeerId| self.point(peer).filter(|_| self.is_hostile(peer));
            return pointing::are_right_among_hostile(self.circle, &honest, length, sits, lurks, pointers);
        }
        pointing::are_right(&self.members(), length, pointers)
    }

    /// Whether a possible member is there to do harm.
    #[must_use]
    pub fn is_hostile(&self, peer: PeerId) -> bool {
        self.hostile.contains(&peer)
    }

    fn has_hostile_members(&self) -> bool {
        !self.hostile.is_empty() && self.members.values().any(|peer| self.is_hostile(*peer))
    }

    /// What members that follow the protocol did not take from others, by the word for why, as they said last.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (word, count) in self.dropped.values().flatten() {
            *sum.entry(word.clone()).or_default() += count;
        }
        sum
    }

    /// Whether it is right and nothing is on its way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.entering.is_empty() && !self.is_recovering() && self.is_right()
    }

    pub(super) fn is_recovering(&self) -> bool {
        self.faults.iter().any(|fault| fault.recovered.is_none())
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(super) fn has_place_for(&self, peer: PeerId) -> bool {
        let is_member = |point: &Point| self.members.get(point) == Some(&peer);
        self.places.get(&peer).is_some_and(|point| !is_member(point)) && !self.entering.contains(&peer)
    }

    pub(super) fn found(&mut self, now: Time) {
        for peer in self.founders.clone() {
            self.come(now, peer);
        }
    }

    pub(super) fn handle_entering(&mut self, peer: PeerId) {
        self.entering.insert(peer);
        self.faults.push(Fault::new(FaultKind::Join, vec![peer], Time::ZERO, [peer].into()));
    }

    pub(super) fn handle_crash(&mut self, now: Time, peers: &[PeerId]) {
        let hit = self.hit(peers);
        if hit.is_empty() {
            return;
        }
        self.faults.push(Fault::new(FaultKind::Crash, hit.clone(), now, BTreeSet::new()));
        hit.into_iter().for_each(|peer| self.go(now, peer));
        self.note_recovery(now);
    }

    /// Partitions end: if they have split the ring, it has to become one again.
    pub(super) fn handle_heal(&mut self, now: Time) {
        self.faults.push(Fault::new(FaultKind::Heal, Vec::new(), now, BTreeSet::new()));
        self.note_recovery(now);
    }

    pub(super) fn handle_leave(&mut self, now: Time, peers: &[PeerId]) {
        let hit = self.hit(peers);
        if !hit.is_empty() {
            let pending = hit.iter().copied().collect();
            self.faults.push(Fault::new(FaultKind::Leave, hit, now, pending));
        }
    }

    /// A peer is no member any more, whatever it was.
    pub(super) fn handle_gone(&mut self, now: Time, peer: PeerId) {
        if self.places.contains_key(&peer) {
            self.go(now, peer);
            self.note_recovery(now);
        }
    }

    pub(super) fn handle_report(&mut self, at: Time, peer: PeerId, report: &RingReport) {
        if !self.places.contains_key(&peer) {
            return;
        }
        match report {
            RingReport::Joined => self.come(at, peer),
            RingReport::Left => self.go(at, peer),
            RingReport::Pointers { predecessor, successors } => self.point_at(at, peer, *predecessor, successors),
            RingReport::Orphaned
            | RingReport::Misplaced { .. }
            | RingReport::LookedUp { .. }
            | RingReport::Written { .. }
            | RingReport::Read { .. } => return,
        }
        self.note_recovery(at);
    }

    pub(super) fn handle_status(&mut self, at: Time, peer: PeerId, status: &RingStatus) {
        if !self.members.values().any(|member| *member == peer) {
            return;
        }
        self.records.insert(peer, status.records);
        if !self.is_hostile(peer) {
            self.dropped.insert(peer, status.dropped.clone());
        }
        let is_news = self.pointers.get(&peer).is_none_or(|known| {
            known.at < at
                && (known.predecessor.map(|it| it.0) != status.predecessor
                    || !known.successors.iter().map(|it| it.map(|it| it.0)).eq(status.successors.iter().copied()))
        });
        if is_news {
            self.point_at(at, peer, status.predecessor, &status.successors);
            self.note_recovery(at);
        }
    }

    fn point_at(&mut self, at: Time, peer: PeerId, predecessor: Option<u32>, successors: &[Option<u32>]) {
        let successors = successors.iter().map(|successor| successor.map(PeerId)).collect();
        self.pointers.insert(peer, Pointers { at, predecessor: predecessor.map(PeerId), successors });
    }

    fn hit(&self, peers: &[PeerId]) -> Vec<PeerId> {
        let is_in = |peer: &&PeerId| self.members.values().any(|member| member == *peer);
        peers.iter().filter(is_in).copied().collect()
    }

    fn come(&mut self, at: Time, peer: PeerId) {
        let Some(point) = self.point(peer) else { return };
        self.entering.remove(&peer);
        // Founders report, too, that they are members.
        if self.members.insert(point, peer) != Some(peer) {
            self.changes.push(Change { at, point, member: Some(peer) });
        }
        self.heard_of(at, peer, FaultKind::Join);
    }

    fn go(&mut self, at: Time, peer: PeerId) {
        let Some(point) = self.point(peer) else { return };
        self.pointers.remove(&peer);
        if self.entering.remove(&peer) {
            // It never came, so that there is nothing to recover from.
            self.faults.retain(|fault| fault.kind != FaultKind::Join || !fault.pending.contains(&peer));
        }
        if self.members.get(&point) == Some(&peer) {
            self.members.remove(&point);
            self.changes.push(Change { at, point, member: None });
        }
        self.heard_of(at, peer, FaultKind::Leave);
    }

    /// A coming or going that a fault is about has happened.
    fn heard_of(&mut self, at: Time, peer: PeerId, kind: FaultKind) {
        for fault in self.faults.iter_mut().filter(|fault| fault.kind == kind) {
            if fault.pending.remove(&peer) && fault.pending.is_empty() {
                fault.at = at;
            }
        }
    }

    /// Whether all pointers to a peer are right: where it is a member, those of the neighbours that have to name it and its own
    /// to them; where it is none, that nobody names it, and that those about its place have closed up.
    fn is_mended(&self, peer: PeerId) -> bool {
        let Some(point) = self.point(peer) else { return true };
        let others: Vec<PeerId> = self.members.values().copied().filter(|member| *member != peer).collect();
        let place = self.members.range(..point).filter(|(_, member)| **member != peer).count();
        let count = others.len();
        if count < 2 {
            return true;
        }
        let before = |steps: usize| others[(place + count - steps) % count];
        let (last, next) = (before(1), others[place % count]);
        let points = |from: PeerId, to: PeerId| {
            let successors = self.pointers.get(&from).map(|it| it.successors.as_slice()).unwrap_or_default();
            let predecessor = self.pointers.get(&to).and_then(|it| it.predecessor);
            successors.first() == Some(&Some(to)) && predecessor == Some(from)
        };
        if self.has_hostile_members() {
            // What hostile members point at is no fault of the ring's; what the others point at is right as a whole or not.
            let names =
                |pointers: &Pointers| pointers.successors.contains(&Some(peer)) || pointers.predecessor == Some(peer);
            let is_gone = self.members.get(&point) != Some(&peer);
            let honest = others.iter().filter(|member| !self.is_hostile(**member));
            let is_named = honest.filter_map(|member| self.pointers.get(member)).any(names);
            return self.is_right() && !(is_gone && is_named);
        }
        let lists = |member: PeerId| self.pointers.get(&member).is_some_and(|it| it.successors.contains(&Some(peer)));
        if self.members.get(&point) == Some(&peer) {
            let length = usize::from(self.spec.options.successors).min(count);
            return points(last, peer) && points(peer, next) && (1..=length).all(|steps| lists(before(steps)));
        }
        let names =
            |member: PeerId| lists(member) || self.pointers.get(&member).is_some_and(|it| it.predecessor == Some(peer));
        points(last, next) && !others.iter().any(|member| names(*member))
    }

    /// Ends every fault whose own pointers are right now.
    fn note_mended(&mut self, now: Time) {
        let open = self.faults.iter().enumerate().filter(|(_, it)| it.mended.is_none() && it.pending.is_empty());
        // A heal is about everybody.
        let is_mended = |fault: &Fault| match fault.kind {
            FaultKind::Heal => self.is_right(),
            FaultKind::Crash | FaultKind::Leave | FaultKind::Join => {
                fault.peers.iter().all(|peer| self.is_mended(*peer))
            }
        };
        let mended = open.filter(|(_, fault)| is_mended(fault));
        for index in mended.map(|(index, _)| index).collect::<Vec<_>>() {
            self.faults[index].mended = Some(now.max(self.faults[index].at));
        }
    }

    /// Ends every fault that the ring has now recovered from: at the moment of the last change that made it right, which may
    /// lie before the last report.
    fn note_recovery(&mut self, now: Time) {
        self.note_mended(now);
        if !self.is_recovering() || !self.is_right() {
            return;
        }
        let last = self.members.values().filter_map(|member| self.pointers.get(member)).map(|it| it.at).max();
        for fault in self.faults.iter_mut().filter(|fault| fault.recovered.is_none() && fault.pending.is_empty()) {
            fault.recovered = Some(last.unwrap_or(now).max(fault.at));
        }
    }
}
