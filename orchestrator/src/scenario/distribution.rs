//! The course of one distribution: who takes part, who has completed, and what it took.
//!
//! Which peers a distribution waits for depends on the steps still to come and is decided in `scenario.rs`.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_proto::{id::PeerId, time::Time};

use super::{
    recovery::{Fault, Faults, Holdings},
    stall::Stall,
};
use crate::plan::{self, Via};

/// One distribution of a file, from before its begin to after its end.
#[derive(Clone, Debug)]
pub struct Distribution {
    spec: plan::Distribute,
    step: usize,
    pieces: u32,
    phase: Phase,
    begun: Option<Time>,
    /// Peers that were told to take part and have not been taken away since.
    participants: BTreeSet<PeerId>,
    /// Those of them that were in the common begin, or were told to begin on their own.
    told_to_begin: BTreeSet<PeerId>,
    /// When each was first told to begin.
    arrivals: BTreeMap<PeerId, Time>,
    have: BTreeMap<PeerId, u32>,
    holdings: Holdings,
    faults: Faults,
    /// Payload bytes that each said to have received.
    received: BTreeMap<PeerId, u64>,
    /// When something last arrived somewhere, or somebody came or went.
    last_gain: Time,
    /// When it was last looked at whether it has stalled.
    last_look: Time,
    stall: Option<Stall>,
    completions: BTreeMap<PeerId, Time>,
    verified: BTreeSet<PeerId>,
    /// Fixed when the distribution closes.
    required: BTreeSet<PeerId>,
    /// Those of its peers that misbehave on purpose.
    hostile: BTreeSet<PeerId>,
}

/// How far a distribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Its step has not begun.
    Waiting,
    /// Participants make ready.
    Preparing,
    /// Begun; not every required peer has completed.
    Running,
    /// Complete; files are read back.
    Closing,
    /// Over.
    Ended,
}

impl Distribution {
    pub(super) fn new(spec: plan::Distribute, step: usize, pieces: u32) -> Self {
        let hostile = spec.to.iter().copied().filter(|peer| spec.is_hostile(*peer)).collect();
        Self {
            hostile,
            spec,
            step,
            pieces,
            phase: Phase::Waiting,
            begun: None,
            participants: BTreeSet::new(),
            told_to_begin: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            have: BTreeMap::new(),
            holdings: Holdings::default(),
            faults: Faults::default(),
            received: BTreeMap::new(),
            last_gain: Time::ZERO,
            last_look: Time::ZERO,
            stall: None,
            completions: BTreeMap::new(),
            verified: BTreeSet::new(),
            required: BTreeSet::new(),
        }
    }

    /// Takes in those of its peers that are `up`; they shall prepare.
    pub(super) fn begin(&mut self, up: &BTreeSet<PeerId>) -> Result<Vec<PeerId>, String> {
        let name = &self.spec.name;
        if !self.spec.from.iter().any(|p| up.contains(p)) {
            return Err(format!("distribution {name} cannot begin: no peer that has the file is up"));
        }
        if self.spec.tracker.is_some_and(|t| !up.contains(&t)) {
            return Err(format!("distribution {name} cannot begin: its tracker is down"));
        }
        self.phase = Phase::Preparing;
        self.participants = self.spec.from.iter().chain(&self.spec.to).filter(|p| up.contains(p)).copied().collect();
        Ok(self.participants())
    }

    pub(super) fn run(&mut self, at: Time) {
        self.phase = Phase::Running;
        self.begun = Some(at);
        self.last_gain = at;
        self.told_to_begin = self.participants.clone();
        self.arrivals = self.participants.iter().map(|peer| (*peer, at)).collect();
    }

    pub(super) fn close(&mut self, required: BTreeSet<PeerId>, stall: Option<Stall>) {
        self.phase = Phase::Closing;
        self.required = required;
        self.stall = stall;
    }

    /// Takes in a peer while under way; false when it has no part or takes part already.
    pub(super) fn enter(&mut self, peer: PeerId) -> bool {
        matches!(self.phase, Phase::Preparing | Phase::Running)
            && (self.spec.to.contains(&peer) || self.spec.from.contains(&peer))
            && self.participants.insert(peer)
    }

    /// A peer's process is going away.
    pub(super) fn remove(&mut self, now: Time, peer: PeerId) {
        if self.participants.remove(&peer) {
            self.gain(now);
            self.faults.on_gone(now, peer);
        }
        self.told_to_begin.remove(&peer);
    }

    /// Something happens to `peers` and is `kind`; to nobody in particular where the network changes. Whoever it takes away
    /// still takes part.
    pub(super) fn handle_fault(&mut self, now: Time, kind: &'static str, peers: &[PeerId]) {
        let takes_away = matches!(kind, "crash" | "leave");
        let hit: Vec<PeerId> = peers.iter().copied().filter(|peer| self.participants.contains(peer)).collect();
        if self.phase != Phase::Running || self.spec.program.is_some() || (hit.is_empty() && !peers.is_empty()) {
            return;
        }
        let gone = |peer: &PeerId| takes_away && hit.contains(peer);
        let leechers = self.spec.to.iter().copied().filter(|peer| self.participants.contains(peer));
        let waiting = leechers.filter(|peer| !self.has_completed(*peer) && !self.is_hostile(*peer) && !gone(peer));
        let waiting: BTreeSet<PeerId> = waiting.collect();
        let before = (takes_away && hit.iter().any(|peer| self.have(*peer) > 0)).then(|| self.together());
        self.faults.begin(kind, hit, now, waiting, before);
    }

    /// A peer said that it has received so many bytes of payload.
    pub(super) fn handle_received(&mut self, at: Time, peer: PeerId, bytes: u64) {
        if self.received.insert(peer, bytes) != Some(bytes) {
            self.gain(at);
        }
    }

    pub(super) fn look_again_from(&mut self, now: Time) {
        self.last_look = now;
    }

    fn gain(&mut self, at: Time) {
        self.last_gain = self.last_gain.max(at);
    }

    /// Pieces that all leechers that are there have together.
    fn together(&self) -> u64 {
        let here = self.spec.to.iter().filter(|peer| self.participants.contains(peer));
        here.map(|peer| u64::from(self.have(*peer))).sum()
    }

    /// Whether `peer` came after the common begin and has to be told on its own; true once. It is told at `now`.
    pub(super) fn is_late_entrant(&mut self, now: Time, peer: PeerId) -> bool {
        let is_late =
            self.phase == Phase::Running && self.participants.contains(&peer) && self.told_to_begin.insert(peer);
        if is_late {
            self.arrivals.entry(peer).or_insert(now);
        }
        is_late
    }

    /// A peer has got a piece at `at`, and has so many now.
    pub(super) fn handle_piece(&mut self, at: Time, peer: PeerId, piece: u32, have: u32) {
        self.have.insert(peer, have.min(self.pieces));
        if piece < self.pieces {
            self.holdings.add(peer, piece);
        }
        self.on_progress(at, peer);
    }

    /// A peer found so many pieces on its disk.
    pub(super) fn handle_found(&mut self, at: Time, peer: PeerId, have: u32) {
        self.have.insert(peer, have.min(self.pieces));
        match have {
            0 => self.holdings.clear(peer),
            all if all >= self.pieces => self.holdings.fill(peer, self.pieces),
            // They are those that it told of before.
            _ => {}
        }
        self.gain(at);
        if self.participants.contains(&peer) {
            self.faults.on_together(at, self.together());
        }
    }

    fn on_progress(&mut self, at: Time, peer: PeerId) {
        self.gain(at);
        if self.spec.to.contains(&peer) {
            self.faults.on_piece(at, peer, self.together());
        }
    }

    pub(super) fn handle_completed(&mut self, at: Time, peer: PeerId) {
        // A file that is on disk already at the begin completes then, not before.
        let at = self.begun.map_or(at, |begun| at.max(begun));
        // A copy that a peer makes which misbehaves on purpose is nobody's concern.
        if self.spec.to.contains(&peer) && !self.hostile.contains(&peer) {
            self.completions.entry(peer).or_insert(at);
            self.have.insert(peer, self.pieces);
            self.holdings.fill(peer, self.pieces);
            self.on_progress(at, peer);
        }
    }

    pub(super) fn handle_closed(&mut self, verified: &BTreeSet<PeerId>) {
        self.verified = verified.clone();
        self.phase = Phase::Ended;
    }

    /// Whether `peer` misbehaves on purpose.
    pub(super) fn is_hostile(&self, peer: PeerId) -> bool {
        self.hostile.contains(&peer)
    }

    /// Whether `peer`'s completion counts, whatever may come: it takes part or has completed.
    pub(super) fn counts(&self, peer: PeerId) -> bool {
        match self.phase {
            Phase::Waiting => true,
            Phase::Preparing | Phase::Running => self.participants.contains(&peer) || self.has_completed(peer),
            Phase::Closing | Phase::Ended => self.required.contains(&peer),
        }
    }

    /// Everybody who takes part now, in the order of the plan.
    #[must_use]
    pub fn participants(&self) -> Vec<PeerId> {
        self.participants.iter().copied().collect()
    }

    /// Everybody who has completed, in the order of the plan.
    #[must_use]
    pub fn completed(&self) -> Vec<PeerId> {
        self.completions.keys().copied().collect()
    }

    /// Whether `peer` takes part now.
    pub(super) fn takes_part(&self, peer: PeerId) -> bool {
        self.participants.contains(&peer)
    }

    pub(super) fn held(&self, peer: PeerId) -> impl Iterator<Item = u32> + '_ {
        self.holdings.of(peer)
    }

    /// The pieces that `peer` lacks.
    pub(super) fn lacking(&self, peer: PeerId) -> Vec<u32> {
        self.holdings.lacking(peer, self.pieces)
    }

    pub(super) fn last_gain(&self) -> Time {
        self.last_gain
    }

    pub(super) fn last_look(&self) -> Time {
        self.last_look.max(self.last_gain)
    }

    /// Share of the pieces that somebody had whole who began without the file, 0 to 1. With all of them a second copy
    /// exists, as far as those who had it are still there.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let out: BTreeSet<u32> = self.spec.to.iter().flat_map(|peer| self.held(*peer)).collect();
        if self.pieces == 0 { 1.0 } else { out.len() as f64 / f64::from(self.pieces) }
    }

    /// What the scenario did to it, and how it got over that, in order of time.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        self.faults.all()
    }

    /// Why it was given up, where it was.
    #[must_use]
    pub fn stall(&self) -> Option<&Stall> {
        self.stall.as_ref()
    }

    /// What the plan says about it.
    #[must_use]
    pub fn spec(&self) -> &plan::Distribute {
        &self.spec
    }

    /// How it is spread.
    #[must_use]
    pub fn via(&self) -> Via {
        self.spec.via
    }

    /// Index of its step in the plan.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The common begin, once it is fixed.
    #[must_use]
    pub fn begun(&self) -> Option<Time> {
        self.begun
    }

    /// Pieces of the file.
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Pieces that `peer` is known to have.
    #[must_use]
    pub fn have(&self, peer: PeerId) -> u32 {
        self.have.get(&peer).copied().unwrap_or(0)
    }

    /// Whether `peer` has the whole file.
    #[must_use]
    pub fn has_completed(&self, peer: PeerId) -> bool {
        self.completions.contains_key(&peer)
    }

    /// Seconds from the common begin to `peer`'s completion.
    #[must_use]
    pub fn completion_seconds(&self, peer: PeerId) -> Option<f64> {
        let begun = self.begun?;
        self.completions.get(&peer).map(|at| (*at - begun).as_secs_f64())
    }

    /// Seconds from the common begin to the moment `peer` was first told to begin; none before that.
    #[must_use]
    pub fn arrival_seconds(&self, peer: PeerId) -> Option<f64> {
        let begun = self.begun?;
        self.arrivals.get(&peer).map(|at| (*at - begun).as_secs_f64())
    }

    /// Distribution time D: from the common begin to the last completion of a required peer; none before the end.
    #[must_use]
    pub fn seconds(&self) -> Option<f64> {
        if self.phase < Phase::Closing || self.stall.is_some() {
            return None;
        }
        self.required.iter().filter_map(|peer| self.completion_seconds(*peer)).max_by(f64::total_cmp)
    }

    /// Whether `peer`'s file was read back and is the original.
    #[must_use]
    pub fn is_verified(&self, peer: PeerId) -> bool {
        self.verified.contains(&peer)
    }
}
