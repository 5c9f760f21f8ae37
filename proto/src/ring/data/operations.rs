//! Puts, gets and deletes that were commanded of this node: find the owner, ask it, and try again when that fails.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::Action;
use super::message::{DataAnswer, DataQuestion, Refusal, Source};
use super::record::{Key, NAME_MAX, Record};
use super::writes::Write;
use crate::ring::contact::Contact;
use crate::ring::core::{Core, Standing};
use crate::ring::lookup::Outcome;
use crate::ring::message::{Answer, Question};
use crate::ring::output::{DataError, Event, LookupError, Read, Written};
use crate::ring::purpose::{Cause, Purpose, Reply, Task};
use crate::ring::timer::Timer;
use crate::time::Time;

/// Operations under way. At most `DataOptions::operations_max`.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations {
    next: u64,
    operations: BTreeMap<u64, Operation>,
    /// Those that rest before their next try.
    resting: BTreeSet<(Time, u64)>,
}

#[derive(Clone, Debug)]
struct Operation {
    request: u64,
    key: Key,
    action: Action,
    tries: u8,
    /// Whom the question under way went to.
    asking: Source,
    /// Holders of copies not asked yet, when the owner is not ready to answer.
    copies: VecDeque<Contact>,
    /// The newest copy found so far. One holder's word is not enough: a write is acknowledged when a single replica has it, and
    /// the others may never have got it.
    newest: Option<(Contact, Record)>,
}

/// What is to be done at this very node, because it is the owner.
#[derive(Debug)]
pub(super) enum Here {
    Write(Write),
    Read(Key),
}

impl Operations {
    pub(super) fn begin(&mut self, now: Time, core: &mut Core, request: u64, key: Key, action: Action) {
        let value_len = if let Action::Put { value, .. } = &action { value.len() } else { 0 };
        let operation =
            Operation { request, key, action, tries: 0, asking: Source::Owner, copies: VecDeque::new(), newest: None };
        let is_valid = core.circle.contains(operation.key.point);
        if operation.key.name.len() > NAME_MAX || value_len > core.options.data.value_max || !is_valid {
            return operation.fail(core, DataError::TooLarge);
        }
        // A node that has left has no deadline that could end an operation.
        if core.standing == Standing::Gone {
            return operation.fail(core, DataError::Lookup(LookupError::NotMember));
        }
        if self.operations.len() >= core.options.data.operations_max {
            return operation.fail(core, DataError::Crowded);
        }
        let number = self.next;
        self.next += 1;
        self.operations.insert(number, operation);
        self.look_up(now, core, number);
    }

    /// Takes the key's owner. Returns what to do here when that is this node. `own` is what this node itself has of a record.
    pub(super) fn on_owner(
        &mut self,
        now: Time,
        core: &mut Core,
        number: u64,
        result: Result<Outcome, LookupError>,
        own: impl FnOnce(&Key) -> Option<Record>,
    ) -> Option<Here> {
        let operation = self.operations.get_mut(&number)?;
        let Outcome { owner, successors, .. } = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                self.retry(now, core, number, DataError::Lookup(error));
                return None;
            }
        };
        let replicas = core.options.data.replicas.into();
        let (here, copies): (Vec<Contact>, Vec<Contact>) =
            successors.into_iter().take(replicas).partition(|copy| *copy == core.me);
        operation.copies = copies.into();
        (operation.asking, operation.newest) = (Source::Owner, None);
        if operation.action == Action::Get && (owner == core.me || !here.is_empty()) {
            operation.take_copy(core.me, own(&operation.key));
        }
        if owner.peer == core.me.peer {
            return Some(operation.here());
        }
        let question = Question::Data(operation.question(Source::Owner));
        core.ask(now, owner, question, Purpose::Operation { operation: number });
        None
    }

    /// Takes the answer of the owner, or of a holder of a copy.
    pub(super) fn on_reply(&mut self, now: Time, core: &mut Core, number: u64, from: Contact, reply: Reply) {
        let Some(operation) = self.operations.get_mut(&number) else { return };
        match reply {
            Ok(Answer::Data(DataAnswer::Stored { version, replicas })) => {
                self.end_write(core, number, Ok(Written { owner: from, version, replicas }));
            }
            Ok(Answer::Data(DataAnswer::Value(record))) if operation.asking == Source::Copy => {
                operation.take_copy(from, record);
                self.ask_copy(now, core, number);
            }
            Ok(Answer::Data(DataAnswer::Value(record))) => self.end_read(core, number, from, record),
            // Another holder is asked in its place.
            Ok(_) | Err(_) if operation.asking == Source::Copy => self.ask_copy(now, core, number),
            Ok(Answer::Data(DataAnswer::Refused(refusal @ (Refusal::Full | Refusal::TooLarge)))) => {
                self.fail(core, number, DataError::Refused(refusal));
            }
            Ok(Answer::Data(DataAnswer::Refused(Refusal::NotReady))) if operation.action == Action::Get => {
                // Its own copy may be the only one.
                operation.copies.extend(Some(from).filter(|owner| *owner != core.me));
                operation.asking = Source::Copy;
                self.ask_copy(now, core, number);
            }
            Ok(Answer::Data(DataAnswer::Refused(refusal))) => {
                self.retry(now, core, number, DataError::Refused(refusal));
            }
            Ok(_) | Err(_) => self.retry(now, core, number, DataError::NoAnswer),
        }
    }

    /// Takes the end of a write that this node owns itself.
    pub(super) fn on_written_here(
        &mut self,
        now: Time,
        core: &mut Core,
        number: u64,
        result: Result<Written, Refusal>,
    ) {
        match result {
            Ok(written) => self.end_write(core, number, Ok(written)),
            Err(refusal @ (Refusal::Full | Refusal::TooLarge)) => {
                self.fail(core, number, DataError::Refused(refusal));
            }
            Err(refusal) => self.retry(now, core, number, DataError::Refused(refusal)),
        }
    }

    /// Tries those again that have rested.
    pub(super) fn resume(&mut self, now: Time, core: &mut Core) {
        while let Some(&(due, number)) = self.resting.first()
            && due <= now
        {
            self.resting.pop_first();
            self.look_up(now, core, number);
        }
        if let Some(&(due, _)) = self.resting.first() {
            core.timers.hasten(Timer::Resume, due);
        }
    }

    /// Fails all of them.
    pub(super) fn end(&mut self, core: &mut Core) {
        self.resting.clear();
        for operation in std::mem::take(&mut self.operations).into_values() {
            operation.fail(core, DataError::Lookup(LookupError::NotMember));
        }
    }

    fn look_up(&mut self, _now: Time, core: &mut Core, number: u64) {
        let Some(operation) = self.operations.get_mut(&number) else { return };
        operation.tries += 1;
        let cause = Cause::Operation { operation: number };
        core.tasks.push_back(Task::Lookup { key: operation.key.point, cause, via: None });
    }

    /// Asks the next holder of copies; when all were asked, the newest copy is the answer. None at all is no answer: the owner
    /// may know better when it is ready.
    fn ask_copy(&mut self, now: Time, core: &mut Core, number: u64) {
        let Some(operation) = self.operations.get_mut(&number) else { return };
        let Some(copy) = operation.copies.pop_front() else {
            return match operation.newest.take() {
                Some((from, record)) => self.end_read(core, number, from, Some(record)),
                None => self.retry(now, core, number, DataError::Refused(Refusal::NotReady)),
            };
        };
        let question = Question::Data(operation.question(Source::Copy));
        core.ask(now, copy, question, Purpose::Operation { operation: number });
    }

    /// Rests for half a stabilisation, so that the ring can mend, and starts again with a lookup.
    fn retry(&mut self, now: Time, core: &mut Core, number: u64, error: DataError) {
        let Some(operation) = self.operations.get(&number) else { return };
        if operation.tries >= core.options.data.tries {
            return self.fail(core, number, error);
        }
        let rest = core.jittered(core.options.stabilise / 2);
        self.resting.insert((now + rest, number));
        core.timers.hasten(Timer::Resume, now + rest);
    }

    fn end_write(&mut self, core: &mut Core, number: u64, result: Result<Written, DataError>) {
        let Some(operation) = self.operations.remove(&number) else { return };
        if operation.action == Action::Get {
            return operation.fail(core, DataError::NoAnswer);
        }
        core.event(Event::Written { request: operation.request, key: operation.key, result });
    }

    fn end_read(&mut self, core: &mut Core, number: u64, from: Contact, record: Option<Record>) {
        let Some(operation) = self.operations.remove(&number) else { return };
        if operation.action != Action::Get {
            return operation.fail(core, DataError::NoAnswer);
        }
        let read = record
            .filter(|record| record.key == operation.key)
            .and_then(|Record { version, value, .. }| Some(Read { from, version, value: value? }));
        core.event(Event::Read { request: operation.request, key: operation.key, result: Ok(read) });
    }

    fn fail(&mut self, core: &mut Core, number: u64, error: DataError) {
        if let Some(operation) = self.operations.remove(&number) {
            operation.fail(core, error);
        }
    }
}

impl Operation {
    fn take_copy(&mut self, from: Contact, record: Option<Record>) {
        let Some(record) = record.filter(|record| record.key == self.key) else { return };
        if self.newest.as_ref().is_none_or(|(_, newest)| newest.version < record.version) {
            self.newest = Some((from, record));
        }
    }

    fn question(&self, source: Source) -> DataQuestion {
        match self.here() {
            Here::Read(key) => DataQuestion::Fetch { key, source },
            Here::Write(Write { key, value, lasting }) => DataQuestion::Store { key, value, lasting },
        }
    }

    fn here(&self) -> Here {
        let key = self.key.clone();
        let write = |value: Option<Bytes>, lasting| Here::Write(Write { key: self.key.clone(), value, lasting });
        match &self.action {
            Action::Get => Here::Read(key),
            Action::Put { value, lasting } => write(Some(value.clone()), *lasting),
            Action::Delete => write(None, None),
        }
    }

    fn fail(self, core: &mut Core, error: DataError) {
        let (request, key) = (self.request, self.key);
        core.event(match self.action {
            Action::Get => Event::Read { request, key, result: Err(error) },
            Action::Put { .. } | Action::Delete => Event::Written { request, key, result: Err(error) },
        });
    }
}
