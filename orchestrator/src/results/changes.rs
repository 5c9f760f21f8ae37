//! What the scenario changed in the course of a run, as `results.json` has it.

use serde::{Deserialize, Serialize};

use crate::prove::Proof;

/// One change of links, partitions or processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Index of the step in the plan.
    pub step: usize,
    /// `link`, `partition`, `heal`, `pause` or `resume`.
    pub action: String,
    /// Names of the peers that it is about; all sides of a partition.
    pub peers: Vec<String>,
    /// Names of the partitions that it begins or ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<String>,
    /// When it was asked for, in seconds since the scenario's start.
    pub asked_at: f64,
    /// From then until it was made; none when the run ended before.
    pub applied_seconds: Option<f64>,
    /// From then until it was proved; none when it was not.
    pub proved_seconds: Option<f64>,
    /// How it was proved.
    pub proof: Option<Proof>,
}
