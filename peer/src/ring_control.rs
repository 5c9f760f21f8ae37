//! What a ring node is told and tells over the control socket: commands, reports and status, shared with the orchestrator.
//!
//! Plain data. The node's behaviour is `peerbed_proto::ring`, its driver `ring`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use peerbed_proto::ring::{Circle, Conduct, Forwarding, Options as RingOptions, Point};
use serde::{Deserialize, Serialize};

/// What a peer can be asked to do about its ring. A peer is in at most one ring at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingCommand {
    /// Becomes a node of a ring. Answered when the node exists; whether it has joined is told by [`RingReport::Joined`].
    Enter(Box<Enter>),
    /// Finds the owner of a point. Answered at once; ends with [`RingReport::LookedUp`].
    LookUp {
        /// Comes back in the report.
        request: u64,
        /// The point.
        key: Point,
        /// Who moves the lookup from hop to hop; none for what the node's options say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forwarding: Option<Forwarding>,
    },
    /// Puts, gets or deletes a record. Answered at once; ends with [`RingReport::Written`] or [`RingReport::Read`].
    Data {
        /// Comes back in the report.
        request: u64,
        /// The record's key.
        key: RecordKey,
        /// What to do.
        action: RecordAction,
    },
    /// Makes the first connections of a founder that was held, one after the other. Answered when all are there; refused when
    /// some are not after 60 s.
    Connect,
    /// Lets a founder that was held begin its upkeep. Answered at once.
    Begin,
    /// Hands all records over and leaves the ring; the peer stays. Answered at once; ends with [`RingReport::Left`].
    Leave,
}

/// Becoming a node of a ring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enter {
    /// Name of the ring within the run.
    pub ring: String,
    /// Path of the roster, a [`Roster`] in JSON.
    pub roster: PathBuf,
    /// As what.
    pub start: Start,
    /// Behaviour of the node; `{}` or absent takes the defaults.
    #[serde(default)]
    pub options: RingOptions,
    /// Set on a founder that shall dial nobody and keep nothing up until it is told to [`RingCommand::Connect`] and to
    /// [`RingCommand::Begin`], so that hundreds on one host do not make all their handshakes at once. Default false: it does
    /// both by itself. Of no effect on who joins.
    #[serde(default)]
    pub hold: bool,
}

/// As what a peer enters a ring. Peers are numbers in the plan that the roster has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// As one of these founders, who all have the right pointers from the first moment.
    Found(Vec<u32>),
    /// By way of any of these members.
    Join(Vec<u32>),
}

/// Who may be in a ring, and where each sits: the plan's word, against which every claim on the network is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// Bits of the circle.
    pub circle: Circle,
    /// Everybody who may enter, whether in the ring now or not.
    pub places: Vec<Place>,
}

/// One possible member of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its number in the plan, which its certificate carries.
    pub peer: u32,
    /// The point it sits on.
    pub point: Point,
    /// Its QUIC address.
    pub addr: SocketAddr,
}

/// Key of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKey {
    /// A human name, for example a film's title; at most 255 bytes. Its hash says where it belongs.
    Name(String),
    /// A point, as in the textbook's examples.
    Point(Point),
}

/// What to do with a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordAction {
    /// Write this value.
    Put {
        /// The value; as long as the ring's options allow, and as fits a command (64 KiB in all).
        value: String,
        /// For how many seconds to keep it; none for ever.
        #[serde(default)]
        lasting_seconds: Option<f64>,
    },
    /// Read it.
    Get,
    /// Delete it.
    Delete,
}

/// What a ring node reports, `{"t": …, "event": "ring", "what": …}`. Peers are numbers in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum RingReport {
    /// The node has become a member; founders report it when they enter.
    Joined,
    /// The node has handed its records over and is no member any more.
    Left,
    /// Predecessor or successors are others than before.
    Pointers {
        /// Who is before the node, as far as it knows.
        predecessor: Option<u32>,
        /// The successor list in order; none for a place that a death left empty.
        successors: Vec<Option<u32>>,
    },
    /// All successors were dead at once; the node goes on with others it remembers.
    Orphaned,
    /// A look-up from elsewhere found another owner for the node's own point.
    Misplaced {
        /// Whom it found.
        owner: u32,
    },
    /// A commanded lookup has ended.
    LookedUp {
        /// The command's number.
        request: u64,
        /// What was found.
        #[serde(flatten)]
        outcome: Outcome<Found>,
    },
    /// A commanded put or delete has ended.
    Written {
        /// The command's number.
        request: u64,
        /// Where it went.
        #[serde(flatten)]
        outcome: Outcome<Written>,
    },
    /// A commanded get has ended.
    Read {
        /// The command's number.
        request: u64,
        /// What was read.
        #[serde(flatten)]
        outcome: Outcome<Read>,
    },
}

/// How something commanded ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome<T> {
    /// With this.
    Found(T),
    /// With nothing, and why.
    Failed(String),
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Who owns the key.
    pub owner: u32,
    /// Who named the owner.
    pub predecessor: u32,
    /// The nodes that `hops` counts, in order; at most the first 64, and none of a recursive lookup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<u32>,
    /// Nodes contacted up to the key's predecessor, the origin not counted; the hop from there to the owner neither.
    pub hops: u16,
    /// Dead nodes met on the way.
    pub timeouts: u16,
    /// Tries it took: 1 without a retry.
    pub tries: u8,
    /// From the command to the end.
    pub seconds: f64,
}

/// Where a write went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Who owns the key.
    pub owner: u32,
    /// Replicas that had acknowledged it when the owner did.
    pub replicas: u8,
    /// From the command to the end.
    pub seconds: f64,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// The value; none when there is none.
    pub value: Option<String>,
    /// Who answered, where there is a value.
    pub from: Option<u32>,
    /// From the command to the end.
    pub seconds: f64,
}

/// A ring node at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RingStatus {
    /// Name of the ring.
    pub ring: String,
    /// Where the node stands.
    pub standing: Standing,
    /// The point it sits on.
    pub point: Point,
    /// Who is before the node, as far as it knows.
    pub predecessor: Option<u32>,
    /// The successor list in order; none for a place that a death left empty.
    pub successors: Vec<Option<u32>>,
    /// Fingers, nearest first, each once.
    pub fingers: Vec<u32>,
    /// Records held, copies for others included.
    pub records: usize,
    /// Bytes they count for.
    pub record_bytes: usize,
    /// Successors, fingers and shortcuts that connections are kept with.
    pub neighbours: usize,
    /// How many of them are connected now.
    pub connected: usize,
    /// Open connections of the ring, those used now and then included.
    pub connections: usize,
    /// What came from others and was not taken or not believed, by the word for why; reasons that never came up are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
}

/// The words of [`RingStatus::dropped`]. `docs/ring.md` says what each counts.
pub const DROPPED: [&str; 12] = [
    "violations",
    "outlawed",
    "outlawed_dropped",
    "banned",
    "broken",
    "flooded",
    "hints_put_off",
    "answers_bad",
    "answers_stray",
    "lists_cut",
    "entries_false",
    "steps_false",
];

/// Where a node stands towards its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It looks for its place.
    Joining,
    /// It is a member.
    Member,
    /// It hands its records over; still a member.
    Leaving,
    /// It has left.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Event, EventKind};

    #[test]
    fn reports_are_flat_objects_and_read_back() {
        let found = Found { owner: 8, predecessor: 7, path: vec![5, 7], hops: 2, timeouts: 0, tries: 1, seconds: 0.5 };
        let report = RingReport::LookedUp { request: 7, outcome: Outcome::Found(found) };
        let event = Event { t: 1.5, kind: EventKind::Ring(report) };
        let line = serde_json::to_string(&event).unwrap();
        assert!(
            line.starts_with(r#"{"t":1.5,"event":"ring","what":"looked-up","request":7,"found":{"owner":8,"#),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        let failed = RingReport::Read { request: 8, outcome: Outcome::Failed("no answer".into()) };
        let line = serde_json::to_string(&failed).unwrap();
        assert_eq!(line, r#"{"what":"read","request":8,"failed":"no answer"}"#);
        assert_eq!(serde_json::from_str::<RingReport>(&line).unwrap(), failed);
    }

    #[test]
    fn a_command_may_leave_options_out() {
        let text = r#"{"enter":{"ring":"ring","roster":"/r.json","start":{"found":[1,2]}}}"#;
        let command: RingCommand = serde_json::from_str(text).unwrap();
        let RingCommand::Enter(enter) = command else { panic!("{command:?}") };
        assert_eq!((enter.start.clone(), enter.options.clone()), (Start::Found(vec![1, 2]), RingOptions::default()));
    }
}
