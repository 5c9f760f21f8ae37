//! What a run found about rings: the types of `lookups`, `recoveries` and `rings` in `results.json`.

use std::collections::BTreeMap;

use peerbed_proto::ring::{Conduct, Point};
use serde::{Deserialize, Serialize};

use super::percentile;

/// What came of the questions of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lookups {
    /// The name that expectations use.
    #[serde(default)]
    pub name: String,
    /// Name of the ring.
    pub ring: String,
    /// `lookups`, `put` or `get`.
    #[serde(default)]
    pub action: String,
    /// Questions that could be answered: all but those abandoned.
    pub count: usize,
    /// Answered rightly: with the true owner at that moment, or the value written last.
    pub correct: usize,
    /// Answered otherwise.
    #[serde(default)]
    pub wrong: usize,
    /// Not answered.
    pub failed: usize,
    /// Wrong or failed, and again when asked once more, where the topology asks again; none where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_wrong: Option<usize>,
    /// Questions of askers that the scenario took away before they had an answer.
    #[serde(default)]
    pub abandoned: usize,
    /// Peers contacted up to the key's predecessor, the asker not counted. The message from there to the owner is one more;
    /// the answer to the asker is not counted. Lookups only.
    #[serde(default)]
    pub hops: Option<Spread>,
    /// Dead peers met in all lookups together.
    #[serde(default)]
    pub timeouts: u64,
    /// From the question to its answer, at the asker.
    #[serde(default)]
    pub latency_seconds: Option<Spread>,
    /// The first reasons of failures, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Each answer, where the topology gives the keys and there are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<AnswerFound>,
}

/// Mean and percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Half are not above.
    pub p50: f64,
    /// 99 % are not above.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these values; none of none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            p50: percentile(&values, 0.5)?,
            p99: percentile(&values, 0.99)?,
            max: *values.last()?,
        })
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerFound {
    /// The key as given: a name, or a point.
    pub key: String,
    /// Where it falls on the circle.
    pub point: Point,
    /// Name of the asker.
    pub from: String,
    /// Name of the peer that was found, or that took a write.
    pub owner: Option<String>,
    /// Name of the true owner at that moment.
    pub true_owner: Option<String>,
    /// What was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Peers contacted up to the key's predecessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u16>,
    /// The peers contacted up to the key's predecessor, in order, without the asker; empty for recursive lookups, of which the
    /// asker sees the end only. At most the first 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// `correct`, `wrong`, `failed` or `abandoned`.
    pub outcome: String,
}

/// Something that happened to a ring or a distribution, and the time until it was right again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Name of the ring; empty where a distribution was hit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ring: String,
    /// Id of the distribution; empty where a ring was hit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub distribution: String,
    /// `crash`, `leave`, `join`, `pause`, `partition`, `heal` or `link`.
    pub fault: String,
    /// To whom; nobody in particular where the network changed.
    pub peers: Vec<String>,
    /// When, in seconds since the scenario's start.
    pub at_seconds: f64,
    /// Of a ring, from then until every live member's predecessor and successors were right; of a distribution, until every
    /// leecher that was incomplete had got another piece, or was gone. None when the run ended before.
    pub recovered_seconds: Option<f64>,
    /// Of a distribution that lost leechers, until those that are there had as many pieces together as all had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regained_seconds: Option<f64>,
    /// From then until every pointer to these peers was right, whatever else happened meanwhile: where faults overlap, a ring
    /// may never be right as a whole. None when the run ended before.
    #[serde(default)]
    pub mended_seconds: Option<f64>,
}

/// A ring at the end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RingFound {
    /// Its name.
    pub name: String,
    /// Bits of the circle.
    pub bits: u8,
    /// Whether every live member's predecessor and successors are right. Where there are hostile members, whether no honest one
    /// passes over another: lists are judged up to the first hostile entry.
    pub right: bool,
    /// Those who misbehaved by the plan, and how, whether they still live or not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hostile: BTreeMap<String, Conduct>,
    /// What honest members did not take from others or did not believe, by the word for why; `docs/ring.md` says what each
    /// counts. A process that was started again has begun anew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
    /// Live members in the order of their points.
    pub members: Vec<MemberFound>,
}

/// A member of a ring at the end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberFound {
    /// Its name.
    pub peer: String,
    /// Where it sits.
    pub id: Point,
    /// Where its predecessor sits, as it said last.
    pub predecessor: Option<Point>,
    /// Where its successors sit, as it said last; none for a place that a death left empty.
    pub successors: Vec<Option<Point>>,
    /// Records it held when it was last asked, copies included.
    pub records: Option<usize>,
}
