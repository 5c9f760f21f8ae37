//! Records on the ring: each belongs to the first peer at or after its key's point, with copies on the peers behind it.
//!
//! `store.rs` holds them, `writes.rs` takes writes as owner, `operations.rs` carries out this node's own puts, gets and
//! deletes, `sync.rs` compares records with one other node, and `custody.rs` decides when and with whom: after joins,
//! deaths and on leaving.

mod custody;
pub(super) mod message;
mod operations;
pub(super) mod record;
mod store;
mod sync;
#[cfg(test)]
mod tests;
mod writes;

use std::time::Duration;

use bytes::Bytes;

use self::custody::Custody;
use self::message::{DataAnswer, DataQuestion, PAGE_BYTES, PAGE_KEYS, Refusal, Source};
use self::operations::Operations;
use self::record::{Key, NAME_MAX, Record};
use self::store::{Kept, Store};
use self::sync::Syncs;
use self::writes::{Write, Writer, Writes};
use super::circle::Arc;
use super::contact::Contact;
use super::core::{Core, Standing};
use super::lookup::Outcome;
use super::message::{Answer, Ownership};
use super::output::LookupError;
use super::purpose::{Reply, Task};
use super::timer::Timer;
use crate::time::Time;

/// All that a node does about records.
#[derive(Clone, Debug)]
pub(super) struct Data {
    store: Store,
    writes: Writes,
    operations: Operations,
    syncs: Syncs,
    custody: Custody,
}

/// What is to be done with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write this.
    Put {
        /// The value.
        value: Bytes,
        /// How long to keep it; `None` for ever.
        lasting: Option<Duration>,
    },
    /// Read it.
    Get,
    /// Delete it.
    Delete,
}

/// Whether a node's handing over of its records has come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandOver {
    /// It goes on.
    UnderWay,
    /// Everything is with the successor, or there is nobody to take it.
    Done,
}

impl Data {
    pub(super) fn new(core: &Core) -> Self {
        Self {
            store: Store::new(core.circle),
            writes: Writes::default(),
            operations: Operations::default(),
            syncs: Syncs::default(),
            custody: Custody::default(),
        }
    }

    /// Begins a put, get or delete of this node's own.
    pub(super) fn begin(&mut self, now: Time, core: &mut Core, request: u64, key: Key, action: Action) {
        self.operations.begin(now, core, request, key, action);
    }

    /// Answers another node's question; `None` when the answer comes later.
    pub(super) fn on_question(
        &mut self,
        now: Time,
        core: &mut Core,
        from: Contact,
        number: u32,
        question: DataQuestion,
    ) -> Option<DataAnswer> {
        Some(match question {
            DataQuestion::Store { key, value, lasting } => {
                let writer = Writer::Remote { from, number };
                return self.write(now, core, writer, Write { key, value, lasting }).err().map(DataAnswer::Refused);
            }
            DataQuestion::Fetch { key, source } => self.fetch(now, core, &key, source),
            DataQuestion::Replicate { records } => self.keep_all(now, core, records),
            DataQuestion::Digest { arc, digest } => {
                self.on_arc_named(now, core, from, arc);
                if self.store.digest(arc) == digest { DataAnswer::Same } else { DataAnswer::Differs }
            }
            DataQuestion::Summary { arc, after } => {
                self.on_arc_named(now, core, from, arc);
                let mut rest = self.store.in_arc_after(arc, after.as_ref());
                let page = rest.by_ref().take(PAGE_KEYS).map(|(key, held)| (key.clone(), held.version));
                DataAnswer::Summary { versions: page.collect(), more: rest.next().is_some() }
            }
            DataQuestion::Records { keys } => {
                let records = keys.iter().filter_map(|key| self.store.record(now, key));
                let records = page(records);
                core.stats.records_sent += records.len() as u64;
                DataAnswer::Records(records)
            }
        })
    }

    /// Takes the answer to a question of `operations.rs`.
    pub(super) fn on_operation(&mut self, now: Time, core: &mut Core, operation: u64, from: Contact, reply: Reply) {
        self.operations.on_reply(now, core, operation, from, reply);
    }

    /// Takes the answer of a replica.
    pub(super) fn on_replica(&mut self, now: Time, core: &mut Core, write: u64, reply: &Reply) {
        if let Some((operation, result)) = self.writes.on_replica(core, write, reply) {
            self.operations.on_written_here(now, core, operation, result);
        }
    }

    /// Takes the answer of a node that records are compared with.
    pub(super) fn on_sync(&mut self, now: Time, core: &mut Core, sync: u64, reply: Reply) {
        if let Some((cause, end)) = self.syncs.on_reply(now, core, &mut self.store, sync, reply) {
            self.custody.on_sync_ended(cause, end);
        }
        self.schedule_expiry(core);
    }

    /// Takes the answer of an owner that copies were returned to.
    pub(super) fn on_return(&mut self, core: &mut Core, reply: &Reply) {
        self.custody.on_returned(core, &mut self.store, reply);
    }

    /// Takes the owner of the oldest copy nobody has asked about.
    pub(super) fn on_return_owner(&mut self, now: Time, core: &mut Core, result: Result<Outcome, LookupError>) {
        self.custody.on_owner(now, core, &self.store, result);
    }

    /// Takes the owner of an operation's key.
    pub(super) fn on_owner(
        &mut self,
        now: Time,
        core: &mut Core,
        operation: u64,
        result: Result<Outcome, LookupError>,
    ) {
        let own = |key: &Key| self.store.record(now, key);
        let Some(found) = self.operations.on_owner(now, core, operation, result, own) else { return };
        // The owner is this node itself.
        match found {
            operations::Here::Write(write) => {
                if let Err(refusal) = self.write(now, core, Writer::Local { operation }, write) {
                    self.operations.on_written_here(now, core, operation, Err(refusal));
                }
            }
            operations::Here::Read(key) => {
                let answer = self.fetch(now, core, &key, Source::Owner);
                self.operations.on_reply(now, core, operation, core.me, Ok(Answer::Data(answer)));
            }
        }
    }

    /// Collects the records of a node that has just joined.
    pub(super) fn on_joined(&mut self, now: Time, core: &mut Core) {
        let Some(predecessor) = core.predecessor else { return };
        let arc = Arc { after: predecessor.point, up_to: core.me.point };
        self.custody.collect(now, core, &self.store, &mut self.syncs, arc);
        self.schedule_repair(now, core);
    }

    pub(super) fn on_predecessor(&mut self, now: Time, core: &mut Core, before: Option<Contact>) {
        self.custody.on_predecessor(now, core, &self.store, &mut self.syncs, before);
    }

    pub(super) fn on_successors(&mut self, now: Time, core: &mut Core) {
        self.custody.compare_with_new_replicas(now, core, &self.store, &mut self.syncs);
    }

    /// Compares records with every replica, and returns copies nobody has asked about.
    pub(super) fn repair(&mut self, now: Time, core: &mut Core) {
        self.schedule_repair(now, core);
        self.custody.compare_with_replicas(now, core, &self.store, &mut self.syncs);
        self.custody.return_copies(now, core, &mut self.store);
    }

    pub(super) fn expire(&mut self, now: Time, core: &mut Core) {
        core.stats.records_expired += self.store.expire(now);
        self.schedule_expiry(core);
    }

    /// Ends the operations under way: the node has left, and nobody will answer it any more.
    pub(super) fn end_operations(&mut self, core: &mut Core) {
        self.operations.end(core);
    }

    /// Goes on with operations that rest.
    pub(super) fn resume(&mut self, now: Time, core: &mut Core) {
        self.operations.resume(now, core);
    }

    /// Hands the node's own records to its successor; call again after each input until it is done.
    pub(super) fn hand_over(&mut self, now: Time, core: &mut Core) -> HandOver {
        self.custody.hand_over(now, core, &self.store, &mut self.syncs)
    }

    pub(super) fn schedule_repair(&mut self, now: Time, core: &mut Core) {
        let next = core.jittered(core.options.data.repair);
        core.timers.set(Timer::Repair, now + next);
    }

    pub(super) fn records(&self) -> usize {
        self.store.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// The keys held with their versions, values and deletions, by point.
    pub(super) fn held(&self) -> impl Iterator<Item = (&Key, record::Version, Option<&Bytes>)> {
        self.store.iter().map(|(key, held)| (key, held.version, held.value.as_ref()))
    }

    fn write(&mut self, now: Time, core: &mut Core, writer: Writer, write: Write) -> Result<(), Refusal> {
        let is_ready = !self.custody.is_collecting(core.circle, write.key.point);
        let written = self.writes.begin(now, core, &mut self.store, writer, write, is_ready);
        self.schedule_expiry(core);
        if let Some((operation, result)) = written? {
            self.operations.on_written_here(now, core, operation, result);
        }
        Ok(())
    }

    fn fetch(&self, now: Time, core: &mut Core, key: &Key, source: Source) -> DataAnswer {
        if source == Source::Owner {
            if core.ownership(key.point) == Ownership::NotMine {
                return DataAnswer::Refused(Refusal::NotMine);
            }
            if self.custody.is_collecting(core.circle, key.point) {
                return DataAnswer::Refused(Refusal::NotReady);
            }
        }
        core.stats.reads += 1;
        DataAnswer::Value(self.store.record(now, key))
    }

    fn keep_all(&mut self, now: Time, core: &mut Core, records: Vec<Record>) -> DataAnswer {
        let refused = keep_all(now, core, &mut self.store, records);
        self.schedule_expiry(core);
        if refused > 0 { DataAnswer::Refused(Refusal::Full) } else { DataAnswer::Replicated }
    }

    /// An owner names its arc: its copies here are cared for, and it may be our predecessor without our having heard.
    fn on_arc_named(&mut self, now: Time, core: &mut Core, from: Contact, arc: Arc) {
        if arc.up_to != from.point {
            return;
        }
        self.custody.note_owner(now, core, from, arc);
        if let Some(predecessor) = core.predecessor
            && core.circle.is_between(predecessor.point, from.point, core.me.point)
            && core.standing != Standing::Gone
        {
            core.tasks.push_back(Task::Notified(from));
        }
    }

    fn schedule_expiry(&mut self, core: &mut Core) {
        match self.store.earliest_expiry() {
            Some(expiry) => core.timers.set(Timer::Expire, expiry),
            None => core.timers.stop(Timer::Expire),
        }
    }
}

/// Stores records and returns how many were refused. Those that break the rules are refused, too.
fn keep_all(now: Time, core: &mut Core, store: &mut Store, records: Vec<Record>) -> u64 {
    let mut refused = 0;
    core.stats.records_received += records.len() as u64;
    for record in records {
        let is_sound = core.circle.contains(record.key.point) && is_within_limits(core, &record);
        if !is_sound || store.keep(now, &core.options.data, record) == Kept::Refused {
            refused += 1;
        }
    }
    core.stats.records_refused += refused;
    refused
}

fn is_within_limits(core: &Core, record: &Record) -> bool {
    record.key.name.len() <= NAME_MAX && record.value.as_ref().map_or(0, Bytes::len) <= core.options.data.value_max
}

/// Takes as many records as fit one message; at least one.
fn page(records: impl Iterator<Item = Record>) -> Vec<Record> {
    let mut bytes = 0;
    let fits = |record: &Record| {
        bytes += record.size();
        bytes <= PAGE_BYTES || bytes == record.size()
    };
    records.take(PAGE_KEYS).take_while(fits).collect()
}
