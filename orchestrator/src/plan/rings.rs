//! Rings in a plan: who may be in them and where each sits, and what is asked of them.
//!
//! What a ring's node does with its options is `peerbed_proto::ring`; carrying the steps out is the scenario's.

use peerbed_proto::{
    PeerId,
    ring::{self, Conduct, Point},
};
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// A circular DHT. Its members that are present found it before the scenario starts; the others may join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// Its name: that of the group that describes it.
    pub name: String,
    /// Bits of the circle.
    pub bits: u8,
    /// Everybody who may be in it, in the order of the plan.
    pub members: Vec<Member>,
    /// Behaviour of every node; shortcuts are with the members.
    pub options: ring::Options,
}

/// A possible member of a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Who.
    pub peer: PeerId,
    /// Where it sits.
    pub point: Point,
    /// Whom it knows beside its successors and predecessor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcuts: Vec<PeerId>,
    /// Whether it follows the protocol.
    #[serde(default, skip_serializing_if = "is_correct")]
    pub conduct: Conduct,
}

impl Member {
    /// Whether it is there to do harm.
    #[must_use]
    pub fn is_hostile(&self) -> bool {
        !is_correct(&self.conduct)
    }
}

fn is_correct(conduct: &Conduct) -> bool {
    *conduct == Conduct::Correct
}

/// A step about a ring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RingStep {
    /// Ask for owners of keys.
    Lookups(Queries),
    /// Write records.
    Put(Queries),
    /// Read records.
    Get(Queries),
    /// Wait until every live member has the right pointers.
    Settle {
        /// The ring.
        ring: String,
    },
}

impl RingStep {
    /// Name of the ring.
    #[must_use]
    pub fn ring(&self) -> &str {
        match self {
            Self::Lookups(queries) | Self::Put(queries) | Self::Get(queries) => &queries.ring,
            Self::Settle { ring } => ring,
        }
    }

    /// What is asked, where something is.
    #[must_use]
    pub fn queries(&self) -> Option<&Queries> {
        match self {
            Self::Lookups(queries) | Self::Put(queries) | Self::Get(queries) => Some(queries),
            Self::Settle { .. } => None,
        }
    }

    /// The word that the topology has for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Lookups(_) => "lookups",
            Self::Put(_) => "put",
            Self::Get(_) => "get",
            Self::Settle { .. } => "wait",
        }
    }
}

/// Many questions to a ring, one after the other at an even pace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queries {
    /// The name that expectations use.
    pub name: String,
    /// Name of the ring.
    pub ring: String,
    /// How many.
    pub count: u64,
    /// Time from one to the next.
    pub interval: Span,
    /// Who asks: each time one of those that are members then, by chance.
    pub from: Vec<PeerId>,
    /// What is asked for, in turn.
    pub keys: Keys,
    /// A lookup that was not right is asked once more after this time; none for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Span>,
    /// Who moves these lookups from hop to hop; none for what the ring's options say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<ring::Forwarding>,
    /// Decides what is left to chance.
    pub seed: u64,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// Points of the circle, each as likely as any other.
    Random,
    /// These, in turn.
    Given(Vec<Key>),
    /// `record-1` to `record-N` with the values `value-1` to `value-N`, in turn.
    Numbered(u64),
}

/// A key as given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// A human name; none for a key that is a point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it falls on the circle.
    pub point: Point,
    /// Who has to own it, where the topology says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PeerId>,
    /// What is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
