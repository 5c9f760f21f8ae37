//! Writes as owner: a version, our own copy, copies to the successors, and the answer once enough of them have it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::message::{COUNTER_MAX, DataAnswer, DataQuestion, Refusal};
use super::record::{Key, NAME_MAX, Record, Version};
use super::store::{Kept, Store};
use crate::ring::contact::Contact;
use crate::ring::core::{Core, Standing};
use crate::ring::message::{Answer, Ownership, Question};
use crate::ring::output::Written;
use crate::ring::purpose::{Purpose, Reply};
use crate::time::Time;

/// Writes that wait for replicas. At most `DataOptions::operations_max`.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    next: u64,
    pending: BTreeMap<u64, Pending>,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) key: Key,
    /// `None` deletes.
    pub(super) value: Option<Bytes>,
    pub(super) lasting: Option<Duration>,
}

/// Who wants it written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// Another node, with its question's number.
    Remote { from: Contact, number: u32 },
    /// This node, with its operation's number.
    Local { operation: u64 },
}

/// A write of our own, at our own: which operation, and how it ended.
pub(super) type Ended = (u64, Result<Written, Refusal>);

#[derive(Clone, Debug)]
struct Pending {
    writer: Writer,
    version: Version,
    acknowledged: u8,
    waiting: u8,
    answered: Answered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    No,
    Yes,
}

impl Writes {
    /// Takes a write. `Ok(None)` when its end comes later or was sent to the writer.
    ///
    /// # Errors
    /// Says why the write is refused; the caller passes that on.
    pub(super) fn begin(
        &mut self,
        now: Time,
        core: &mut Core,
        store: &mut Store,
        writer: Writer,
        write: Write,
        is_ready: bool,
    ) -> Result<Option<Ended>, Refusal> {
        if self.pending.values().any(|pending| pending.writer == writer) {
            // The same question again.
            return Ok(None);
        }
        self.check(core, &write, is_ready)?;
        let counter = store.get(&write.key).map_or(0, |held| held.version.counter);
        let version = Version { counter: (counter + 1).min(COUNTER_MAX), owner: core.me.peer };
        let forgotten_after = Some(core.options.data.keep_deletions);
        let lasting = if write.value.is_some() { write.lasting } else { forgotten_after };
        let record = Record { key: write.key, version, value: write.value, lasting };
        if store.keep(now, &core.options.data, record.clone()) == Kept::Refused {
            core.stats.records_refused += 1;
            return Err(Refusal::Full);
        }
        core.stats.writes += 1;
        let targets: Vec<Contact> = core.successors.contacts().take(core.options.data.replicas.into()).collect();
        let number = self.next;
        self.next += 1;
        for &to in &targets {
            core.stats.records_sent += 1;
            let question = Question::Data(DataQuestion::Replicate { records: vec![record.clone()] });
            core.ask(now, to, question, Purpose::Replica { write: number });
        }
        let waiting = u8::try_from(targets.len()).expect("a list has at most 64 entries");
        let pending = Pending { writer, version, acknowledged: 0, waiting, answered: Answered::No };
        self.pending.insert(number, pending);
        Ok(self.settle(core, number))
    }

    /// Takes a replica's answer.
    pub(super) fn on_replica(&mut self, core: &mut Core, write: u64, reply: &Reply) -> Option<Ended> {
        let pending = self.pending.get_mut(&write)?;
        pending.waiting = pending.waiting.saturating_sub(1);
        if matches!(reply, Ok(Answer::Data(DataAnswer::Replicated))) {
            pending.acknowledged += 1;
        }
        self.settle(core, write)
    }

    fn check(&self, core: &Core, write: &Write, is_ready: bool) -> Result<(), Refusal> {
        let options = &core.options.data;
        let value_len = write.value.as_ref().map_or(0, Bytes::len);
        if core.ownership(write.key.point) == Ownership::NotMine || core.standing != Standing::Member {
            Err(Refusal::NotMine)
        } else if !is_ready {
            Err(Refusal::NotReady)
        } else if write.key.name.len() > NAME_MAX || value_len > options.value_max {
            Err(Refusal::TooLarge)
        } else if self.pending.len() >= options.operations_max {
            Err(Refusal::Overloaded)
        } else {
            Ok(())
        }
    }

    /// Answers the writer when enough replicas have the write, or no more can be waited for.
    fn settle(&mut self, core: &mut Core, write: u64) -> Option<Ended> {
        let pending = self.pending.get_mut(&write)?;
        let is_enough = pending.acknowledged >= core.options.data.acknowledgements;
        let is_over = pending.waiting == 0;
        let (writer, version, acknowledged) = (pending.writer, pending.version, pending.acknowledged);
        let is_due = pending.answered == Answered::No && (is_enough || is_over);
        if is_due {
            pending.answered = Answered::Yes;
        }
        if is_over {
            self.pending.remove(&write);
        }
        if !is_due {
            return None;
        }
        if !is_enough {
            core.stats.writes_unreplicated += 1;
        }
        match writer {
            Writer::Remote { from, number } => {
                let stored = DataAnswer::Stored { version, replicas: acknowledged };
                let answer = if is_enough { stored } else { DataAnswer::Refused(Refusal::NoReplica) };
                core.answer(from, number, Answer::Data(answer));
                None
            }
            Writer::Local { operation } => {
                let written = Written { owner: core.me, version, replicas: acknowledged };
                Some((operation, if is_enough { Ok(written) } else { Err(Refusal::NoReplica) }))
            }
        }
    }
}
