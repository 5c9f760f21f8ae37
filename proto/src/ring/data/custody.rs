//! Who should hold which records, and what to do when that changes: on joins, deaths, leaving, and every now and then.

use std::collections::{BTreeMap, BTreeSet};

use super::HandOver;
use super::message::{DataAnswer, DataQuestion};
use super::record::Key;
use super::store::Store;
use super::sync::{End, Reason, Syncs};
use crate::id::PeerId;
use crate::ring::circle::{Arc, Circle, Point};
use crate::ring::contact::Contact;
use crate::ring::core::Core;
use crate::ring::lookup::Outcome;
use crate::ring::message::{Answer, Ownership, Question};
use crate::ring::output::LookupError;
use crate::ring::purpose::{Cause, Purpose, Reply, Task};
use crate::time::Time;

/// What is being collected, who holds our copies, and whose copies we hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Custody {
    next: u64,
    /// Arcs new to us, with how many nodes still have to say what they know. At most [`INTAKES_MAX`].
    intakes: BTreeMap<u64, (Arc, usize)>,
    /// Replicas that were compared with since they became such.
    compared: BTreeSet<PeerId>,
    /// Owners whose copies we hold: which arc, and when they last asked. At most [`OWNERS_MAX`].
    owners: BTreeMap<PeerId, (Arc, Time)>,
    /// Copies on their way back to their owner.
    returning: Vec<Key>,
    /// How handing over goes, when we leave.
    leaving: Leaving,
}

#[derive(Clone, Copy, Debug, Default)]
struct Leaving {
    tries: u8,
    is_done: bool,
}

impl Custody {
    /// Returns whether records at a point may still be missing here.
    pub(super) fn is_collecting(&self, circle: Circle, point: Point) -> bool {
        self.intakes.values().any(|(arc, _)| arc.contains(circle, point))
    }

    /// Collects the records of an arc that is new to us from those who may have them.
    pub(super) fn collect(&mut self, now: Time, core: &mut Core, store: &Store, syncs: &mut Syncs, arc: Arc) {
        if self.intakes.len() >= INTAKES_MAX {
            return;
        }
        core.stats.intakes += 1;
        let intake = self.next;
        self.next += 1;
        let sources: Vec<Contact> = core.successors.contacts().take(replicas(core).max(1)).collect();
        let begun = sources
            .into_iter()
            .filter(|source| syncs.begin(now, core, store, *source, arc, Reason::Intake { intake }).is_ok())
            .count();
        if begun > 0 {
            self.intakes.insert(intake, (arc, begun));
        }
    }

    /// Collects what a further predecessor has left us, or gives what a nearer one has taken over.
    pub(super) fn on_predecessor(
        &mut self,
        now: Time,
        core: &mut Core,
        store: &Store,
        syncs: &mut Syncs,
        before: Option<Contact>,
    ) {
        let (Some(before), Some(after)) = (before, core.predecessor) else { return };
        if core.circle.is_between(after.point, before.point, core.me.point) {
            let arc = Arc { after: after.point, up_to: before.point };
            self.collect(now, core, store, syncs, arc);
        } else {
            let arc = Arc { after: before.point, up_to: after.point };
            if store.in_arc(arc).next().is_some() {
                // When it is begun already there is nothing left to begin.
                let _ = syncs.begin(now, core, store, after, arc, Reason::Given);
            }
        }
    }

    pub(super) fn on_sync_ended(&mut self, reason: Reason, end: End) {
        match reason {
            Reason::Intake { intake } => {
                if let Some((_, waiting)) = self.intakes.get_mut(&intake) {
                    *waiting -= 1;
                    if *waiting == 0 {
                        self.intakes.remove(&intake);
                    }
                }
            }
            Reason::HandOver => self.leaving.is_done = end == End::Done,
            Reason::Replica | Reason::Given => {}
        }
    }

    /// Compares with replicas that have become such, for example because another one died.
    pub(super) fn compare_with_new_replicas(&mut self, now: Time, core: &mut Core, store: &Store, syncs: &mut Syncs) {
        let targets: Vec<Contact> = core.successors.contacts().take(replicas(core)).collect();
        self.compared.retain(|peer| targets.iter().any(|target| target.peer == *peer));
        for target in targets {
            if self.compared.insert(target.peer) {
                compare(now, core, store, syncs, target);
            }
        }
    }

    pub(super) fn compare_with_replicas(&mut self, now: Time, core: &mut Core, store: &Store, syncs: &mut Syncs) {
        let targets: Vec<Contact> = core.successors.contacts().take(replicas(core)).collect();
        for target in targets {
            compare(now, core, store, syncs, target);
        }
    }

    /// Remembers that an owner looks after an arc of which we hold copies. At the limit the news is dropped; then the
    /// copies are offered to their owner in time.
    pub(super) fn note_owner(&mut self, now: Time, core: &Core, owner: Contact, arc: Arc) {
        let keep = core.options.data.keep_copies;
        if self.owners.len() >= OWNERS_MAX {
            self.owners.retain(|_, (_, asked)| now - *asked < keep);
        }
        if self.owners.len() < OWNERS_MAX || self.owners.contains_key(&owner.peer) {
            self.owners.insert(owner.peer, (arc, now));
        }
    }

    /// Looks up the owner of a copy nobody has asked about for long; it gets that copy and others of its own back.
    pub(super) fn return_copies(&mut self, now: Time, core: &mut Core, store: &mut Store) {
        if !self.returning.is_empty() {
            return;
        }
        let keep = core.options.data.keep_copies;
        self.owners.retain(|_, (_, asked)| now - *asked < keep);
        let stray = store.iter().find(|(key, held)| now - held.since >= keep && self.is_stray(core, key));
        if let Some((key, _)) = stray {
            self.returning = vec![key.clone()];
            core.tasks.push_back(Task::Lookup { key: key.point, cause: Cause::Return, via: None });
        }
    }

    /// Takes the owner of such a copy.
    pub(super) fn on_owner(&mut self, now: Time, core: &mut Core, store: &Store, result: Result<Outcome, LookupError>) {
        self.returning.clear();
        let Ok(Outcome { owner, predecessor, .. }) = result else { return };
        if owner.peer == core.me.peer {
            return;
        }
        let arc = Arc { after: predecessor.point, up_to: owner.point };
        let strays = store.in_arc(arc).filter(|(key, _)| self.is_stray(core, key));
        let records = super::page(strays.filter_map(|(key, _)| store.record(now, key)));
        if records.is_empty() {
            return;
        }
        self.returning = records.iter().map(|record| record.key.clone()).collect();
        core.stats.records_sent += records.len() as u64;
        core.ask(now, owner, Question::Data(DataQuestion::Replicate { records }), Purpose::Return);
    }

    /// Drops the copies an owner has acknowledged.
    pub(super) fn on_returned(&mut self, core: &mut Core, store: &mut Store, reply: &Reply) {
        let returned = std::mem::take(&mut self.returning);
        if !matches!(reply, Ok(Answer::Data(DataAnswer::Replicated))) {
            return;
        }
        for key in returned {
            // It may have become ours since.
            if self.is_stray(core, &key) {
                store.drop_key(&key);
                core.stats.records_returned += 1;
            }
        }
    }

    /// Gives our own records to the successor before leaving; to the next one when that dies meanwhile.
    pub(super) fn hand_over(&mut self, now: Time, core: &mut Core, store: &Store, syncs: &mut Syncs) -> HandOver {
        if syncs.is_under_way(Reason::HandOver) {
            return HandOver::UnderWay;
        }
        let (Some(successor), Some(predecessor)) = (core.successors.head(), core.predecessor) else {
            return HandOver::Done;
        };
        if self.leaving.is_done || self.leaving.tries >= HAND_OVER_TRIES {
            return HandOver::Done;
        }
        self.leaving.tries += 1;
        let arc = Arc { after: predecessor.point, up_to: core.me.point };
        if store.in_arc(arc).next().is_none() {
            return HandOver::Done;
        }
        match syncs.begin(now, core, store, successor, arc, Reason::HandOver) {
            Ok(()) => HandOver::UnderWay,
            Err(_) => HandOver::Done,
        }
    }

    /// Returns whether a key is neither ours nor under the care of an owner who has asked about it lately.
    fn is_stray(&self, core: &Core, key: &Key) -> bool {
        core.ownership(key.point) == Ownership::NotMine
            && !self.owners.values().any(|(arc, _)| arc.contains(core.circle, key.point))
    }
}

/// Compares all records we own with one replica.
fn compare(now: Time, core: &mut Core, store: &Store, syncs: &mut Syncs, with: Contact) {
    let Some(predecessor) = core.predecessor else { return };
    let arc = Arc { after: predecessor.point, up_to: core.me.point };
    if store.in_arc(arc).next().is_some() {
        // When it is under way already, or too many are, the next round will do.
        let _ = syncs.begin(now, core, store, with, arc, Reason::Replica);
    }
}

fn replicas(core: &Core) -> usize {
    core.options.data.replicas.into()
}

/// Most arcs collected at a time; one per change of the predecessor. At the limit an arc is not collected for: its
/// records come with the next repair of its replicas. Wild guess.
const INTAKES_MAX: usize = 16;

/// How many successors are tried before a node leaves without having handed its records over. Its replicas remain.
const HAND_OVER_TRIES: u8 = 4;

/// Most owners remembered. Twice the longest list.
const OWNERS_MAX: usize = 128;
