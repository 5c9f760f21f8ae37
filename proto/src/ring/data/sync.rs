//! Comparing the records of an arc with one other node, and exchanging what either lacks.
//!
//! ```text
//! digest ── same ──▶ done
//!   └ differs ▶ summary ▶ fetch what is newer there ▶ give what is newer here ─┐
//!                  ▲                                                          ├▶ done
//!                  └───────────────────── next page ◀─────────────────────────┘
//! ```

use std::collections::BTreeMap;

use super::message::{DataAnswer, DataQuestion, PAGE_KEYS};
use super::record::{Key, Version};
use super::store::Store;
use super::{keep_all, page};
use crate::ring::circle::Arc;
use crate::ring::contact::Contact;
use crate::ring::core::Core;
use crate::ring::message::{Answer, Question};
use crate::ring::purpose::{Purpose, Reply};
use crate::time::Time;

/// Comparisons under way. At most [`SYNCS_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Syncs {
    next: u64,
    syncs: BTreeMap<u64, Sync>,
}

/// Why records are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The arc is new to us; nothing in it may be written before this has ended.
    Intake {
        /// Which intake.
        intake: u64,
    },
    /// The other node holds our copies.
    Replica,
    /// The arc has become the other node's.
    Given,
    /// We are leaving.
    HandOver,
}

/// How a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both have the same now.
    Done,
    /// The other node died or would not.
    Failed,
}

#[derive(Clone, Debug)]
struct Sync {
    with: Contact,
    arc: Arc,
    reason: Reason,
    /// The last key compared.
    cursor: Option<Key>,
    more: bool,
    /// Newer there, not fetched yet.
    wanted: Vec<Key>,
    /// What was asked for last, of `wanted`.
    asked: Vec<Key>,
    /// Newer here, not given yet.
    giving: Vec<Key>,
}

impl Syncs {
    /// Begins a comparison, unless one with the same node for the same reason and arc is under way.
    pub(super) fn begin(
        &mut self,
        now: Time,
        core: &mut Core,
        store: &Store,
        with: Contact,
        arc: Arc,
        reason: Reason,
    ) -> Result<(), NotBegun> {
        let is_same = |sync: &Sync| sync.with == with && sync.arc == arc && sync.reason == reason;
        if self.syncs.len() >= SYNCS_MAX || self.syncs.values().any(is_same) {
            return Err(NotBegun);
        }
        let number = self.next;
        self.next += 1;
        let sync = Sync {
            with,
            arc,
            reason,
            cursor: None,
            more: true,
            wanted: Vec::new(),
            asked: Vec::new(),
            giving: Vec::new(),
        };
        self.syncs.insert(number, sync);
        let question = DataQuestion::Digest { arc, digest: store.digest(arc) };
        core.ask(now, with, Question::Data(question), Purpose::Sync { sync: number });
        Ok(())
    }

    /// Takes the other node's answer; returns how the comparison ended, when it has.
    pub(super) fn on_reply(
        &mut self,
        now: Time,
        core: &mut Core,
        store: &mut Store,
        number: u64,
        reply: Reply,
    ) -> Option<(Reason, End)> {
        let sync = self.syncs.get_mut(&number)?;
        let end = match reply {
            Ok(Answer::Data(DataAnswer::Same)) => Some(End::Done),
            Ok(Answer::Data(answer)) => sync.take(now, core, store, number, answer),
            Ok(_) | Err(_) => Some(End::Failed),
        }?;
        let sync = self.syncs.remove(&number)?;
        Some((sync.reason, end))
    }

    /// Returns whether a comparison for this reason is under way.
    pub(super) fn is_under_way(&self, reason: Reason) -> bool {
        self.syncs.values().any(|sync| sync.reason == reason)
    }
}

impl Sync {
    fn take(&mut self, now: Time, core: &mut Core, store: &mut Store, number: u64, answer: DataAnswer) -> Option<End> {
        match answer {
            DataAnswer::Differs | DataAnswer::Replicated => {}
            DataAnswer::Summary { versions, more } => self.compare(core, store, versions, more),
            DataAnswer::Records(records) => {
                let mut asked = std::mem::take(&mut self.asked);
                // Those behind the last one sent did not fit the page; any other missing one is gone there.
                if let Some(last) = records.last().and_then(|last| asked.iter().position(|key| *key == last.key)) {
                    self.wanted.extend(asked.drain(last + 1..));
                }
                keep_all(now, core, store, records);
            }
            DataAnswer::Same | DataAnswer::Stored { .. } | DataAnswer::Refused(_) | DataAnswer::Value(_) => {
                return Some(End::Failed);
            }
        }
        self.go_on(now, core, store, number)
    }

    fn compare(&mut self, core: &Core, store: &Store, versions: Vec<(Key, Version)>, more: bool) {
        let last = versions.last().map(|(key, _)| key.clone());
        self.more = more && last.is_some();
        let theirs: BTreeMap<Key, Version> = versions.into_iter().collect();
        for (key, version) in &theirs {
            let is_ours = self.arc.contains(core.circle, key.point);
            if is_ours && store.get(key).is_none_or(|held| held.version < *version) {
                self.wanted.push(key.clone());
            }
        }
        for (key, held) in store.in_arc_after(self.arc, self.cursor.as_ref()) {
            if theirs.get(key).is_none_or(|version| *version < held.version) {
                self.giving.push(key.clone());
            }
            if self.more && last.as_ref() == Some(key) {
                break;
            }
            if self.more && last.as_ref().is_some_and(|last| self.is_behind(core, key, last)) {
                self.giving.pop();
                break;
            }
        }
        self.cursor = last;
    }

    /// Returns whether `key` comes after `last`, clockwise from the arc's start.
    fn is_behind(&self, core: &Core, key: &Key, last: &Key) -> bool {
        let place = |key: &Key| core.circle.distance(self.arc.after, key.point).wrapping_sub(1);
        (place(key), &key.name) > (place(last), &last.name)
    }

    fn go_on(&mut self, now: Time, core: &mut Core, store: &Store, number: u64) -> Option<End> {
        let question = if !self.wanted.is_empty() {
            let rest = self.wanted.split_off(self.wanted.len().min(PAGE_KEYS));
            self.asked = std::mem::replace(&mut self.wanted, rest);
            DataQuestion::Records { keys: self.asked.clone() }
        } else if let Some(records) = self.next_gift(now, store) {
            core.stats.records_sent += records.len() as u64;
            DataQuestion::Replicate { records }
        } else if self.more {
            DataQuestion::Summary { arc: self.arc, after: self.cursor.clone() }
        } else {
            return Some(End::Done);
        };
        core.ask(now, self.with, Question::Data(question), Purpose::Sync { sync: number });
        None
    }

    fn next_gift(&mut self, now: Time, store: &Store) -> Option<Vec<super::record::Record>> {
        while !self.giving.is_empty() {
            let records = page(self.giving.iter().take(PAGE_KEYS).filter_map(|key| store.record(now, key)));
            match records.last() {
                Some(last) => {
                    let upto = self.giving.iter().position(|key| *key == last.key).map_or(0, |place| place + 1);
                    self.giving.drain(..upto);
                    return Some(records);
                }
                None => {
                    // All of these have expired since.
                    self.giving.drain(..self.giving.len().min(PAGE_KEYS));
                }
            }
        }
        None
    }
}

/// The comparison is under way already, or too many are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotBegun;

/// Most comparisons at a time. Every replica, the source of every intake, and room. Wild guess.
const SYNCS_MAX: usize = 256;
