//! What peers measured by themselves, too often for events: the types of `timings` in `results.json`.
//!
//! Made by [`crate::timings`] from histograms merged over peers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One quantity, over all peers that still lived when the scenario had ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimingFound {
    /// The name that expectations use: `swarm.leaf` or `ring.answer`.
    pub name: String,
    /// Over all peers.
    #[serde(flatten)]
    pub all: TimingSpread,
    /// The same by group of the topology.
    #[serde(default)]
    pub groups: BTreeMap<String, TimingSpread>,
}

/// Percentiles over what several peers measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimingSpread {
    /// Values measured.
    pub count: u64,
    /// Peers whose values these are. A process that was started again has begun anew.
    pub peers: usize,
    /// Peers that take part by the plan and could not be asked: crashed, left, paused or never started, or their answer was
    /// of no use. What they measured is not in it.
    pub missing: usize,
    /// Values of an hour or more, which count as an hour.
    pub saturated: u64,
    /// The values, to three digits.
    pub seconds: Percentiles,
}

/// Percentiles in seconds: each the smallest value that so many per cent do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p99_9: f64,
    /// The largest value.
    pub max: f64,
}
