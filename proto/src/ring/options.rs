//! What can be set about a ring node, with defaults and where they come from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conduct::Conduct;
use super::contact::Contact;
use crate::time::seconds;

/// A ring node's behaviour. In JSON, durations are numbers of seconds and every field may be left out.
///
/// All nodes of a ring must have the same `successors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Length of the successor list, 2 to 64. The textbook has 2; default 4, because under steady churn two are enough
    /// only for a hundred stabilisations per lifetime, four for thirty.
    pub successors: u8,
    /// Which peers a node knows beside its successors and predecessor. Default fingers.
    pub routing: Routing,
    /// The peers that `Routing::Shortcuts` adds. At most 64; more are ignored. Default none.
    pub shortcuts: Vec<Contact>,
    /// Who moves a lookup from hop to hop. Default iterative, as in Chord's paper.
    pub forwarding: Forwarding,
    /// Whose word ends a lookup. Default the owner's.
    pub finish: Finish,
    /// Among how many peers a finger is chosen by round-trip time: the first at or after its start and those behind it.
    /// 0 to 64; default 0, off; Chord's paper measures 16.
    pub proximity: u8,
    /// Time between two stabilisations. Default 1 s. Zero turns all upkeep off, to measure a ring that nobody repairs.
    #[serde(with = "seconds")]
    pub stabilise: Duration,
    /// By which fraction intervals vary to either side, so that nodes do not fall into step. 0.0 to 0.9; default 0.2;
    /// Chord's paper has 0.5.
    pub jitter: f64,
    /// Fingers refreshed in each stabilisation interval. Default 1, from Chord's paper.
    pub fingers_per_round: u8,
    /// Time between two look-ups of oneself from elsewhere, which find split and twisted rings. Zero turns them off.
    /// Default 10 s; wild guess, ten times the stabilisation.
    #[serde(with = "seconds")]
    pub audit: Duration,
    /// How long to wait for an answer.
    pub patience: Patience,
    /// How often a failed lookup is tried again, each time after one stabilisation interval. Default 1.
    pub retries: u8,
    /// Time a lookup may take from its start, retries included. Default 30 s.
    #[serde(with = "seconds")]
    pub lookup_timeout: Duration,
    /// Most lookups of one's own at a time; more fail at once and are counted. Default 1 024.
    pub lookups_max: u32,
    /// Most questions under way; more are not asked, which counts as no answer. Default 4 096.
    pub calls_max: u32,
    /// Most messages taken from one peer in a second; more are dropped and counted. Answers that are waited for do not count, and
    /// notifications by themselves. Default 2 000.
    pub questions_per_second: u32,
    /// Whether the peer follows the protocol. Default correct; the others are there to test what it costs everybody else.
    /// The core is correct in any case: drivers tamper with what it puts out.
    pub conduct: Conduct,
    /// Storing records.
    pub data: DataOptions,
}

/// Which peers a node knows beside its successors and predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// None: lookups go round from successor to successor, O(N) hops.
    Successor,
    /// The first peer at or after each power of two away, O(log N) hops: the textbook's shortcuts.
    Fingers,
    /// Those given one by one.
    Shortcuts,
}

/// Who moves a lookup from hop to hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    /// The origin asks hop after hop: a round trip each.
    Iterative,
    /// Each hop passes it on and the last answers the origin: one way each.
    Recursive,
}

/// Whose word ends a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// The owner confirms that the key is its own: one hop more, and safe against pointers not yet brought up to date.
    Owner,
    /// The key's predecessor names its successor: what Chord's paper measures.
    Predecessor,
}

/// How long to wait for an answer: the mean round trip and four deviations, within limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Patience {
    /// Before anything was measured. Default 1 s, from RFC 6298.
    #[serde(with = "seconds")]
    pub initial: Duration,
    /// At least. Default 200 ms: a busy host answers late without being dead.
    #[serde(with = "seconds")]
    pub floor: Duration,
    /// At most. Default 5 s.
    #[serde(with = "seconds")]
    pub ceiling: Duration,
    /// How often a question is asked, with the time doubled, before its peer counts as dead. 1 to 10, default 2.
    pub attempts: u8,
}

/// Storing records on the ring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataOptions {
    /// Successors of the owner that hold copies; capped at the length of the list. Default 3: with four successors, a
    /// record survives any three deaths at once.
    pub replicas: u8,
    /// Replicas that must acknowledge a write before it is acknowledged. 0 to `replicas`, default 1.
    pub acknowledgements: u8,
    /// Largest value in bytes. Up to 128 KiB, default 64 KiB; longer ones are refused.
    pub value_max: usize,
    /// Most records a node holds, copies included. Default 65 536; more are refused and counted.
    pub records_max: usize,
    /// Most bytes of records a node holds. Default 64 MiB; more are refused and counted.
    pub bytes_max: usize,
    /// Time between two comparisons of an owner's records with each replica. Default 10 s.
    #[serde(with = "seconds")]
    pub repair: Duration,
    /// For how long a copy is kept that no owner has asked about; then it is handed to its owner. Default 60 s.
    #[serde(with = "seconds")]
    pub keep_copies: Duration,
    /// For how long a deletion is remembered, so that no old copy brings the value back. Default 10 min.
    #[serde(with = "seconds")]
    pub keep_deletions: Duration,
    /// Puts, gets and deletes of one's own at a time, and writes that wait for replicas; more fail at once. Default 1 024.
    pub operations_max: usize,
    /// How often a put, get or delete is tried before it fails. Default 5: a crash of the owner costs two or three.
    pub tries: u8,
}

impl Options {
    /// Length of the successor list, within its range.
    pub(super) fn list_len(&self) -> usize {
        usize::from(self.successors.clamp(2, SUCCESSORS_MAX))
    }
}

/// Most successors in a list.
pub(super) const SUCCESSORS_MAX: u8 = 64;

impl Default for Options {
    fn default() -> Self {
        Self {
            successors: 4,
            routing: Routing::Fingers,
            shortcuts: Vec::new(),
            forwarding: Forwarding::Iterative,
            finish: Finish::Owner,
            proximity: 0,
            stabilise: Duration::from_secs(1),
            jitter: 0.2,
            fingers_per_round: 1,
            audit: Duration::from_secs(10),
            patience: Patience::default(),
            retries: 1,
            lookup_timeout: Duration::from_secs(30),
            lookups_max: 1024,
            calls_max: 4096,
            questions_per_second: 2000,
            conduct: Conduct::Correct,
            data: DataOptions::default(),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            floor: Duration::from_millis(200),
            ceiling: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            replicas: 3,
            acknowledgements: 1,
            value_max: 64 * 1024,
            records_max: 65_536,
            bytes_max: 64 * 1024 * 1024,
            repair: Duration::from_secs(10),
            keep_copies: Duration::from_secs(60),
            keep_deletions: Duration::from_secs(600),
            operations_max: 1024,
            tries: 5,
        }
    }
}
