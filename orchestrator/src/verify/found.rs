//! What verification found: links as asked for and as measured, as they stand in `results.json`.
//!
//! The keys are a stable format. How figures are measured lives in `measure`, what is in tolerance in `tolerance`.

use serde::{Deserialize, Serialize};

use crate::plan::{Direction, Link, Plan};

/// One direction of one class of links.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkFound {
    /// The class.
    pub class: String,
    /// `up` or `down`.
    pub direction: String,
    /// What the topology asks for.
    pub asked: Asked,
    /// What was measured; none when the class has no peer, or nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Whether everything measured is in tolerance; none when nothing was measured.
    #[serde(default)]
    pub within_tolerance: Option<bool>,
    /// The first measurement, when it was out of tolerance and repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_attempt: Option<Measured>,
}

/// What a topology asks of one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Bits per second over whole IP packets; none means unshaped.
    pub rate_bps: Option<u64>,
    /// One-way delay in seconds.
    pub delay_s: f64,
    /// Variation of the delay in seconds.
    pub jitter_s: f64,
    /// Long-run share of packets lost, 0 to 1.
    pub loss: f64,
}

/// What probes saw of one direction. What was not or could not be measured is none, and `note` says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Bits per second over whole IP packets while the link was saturated.
    pub rate_bps: Option<u64>,
    /// One-way delay in seconds: the least of all probes, or their mean where there is jitter.
    pub delay_s: Option<f64>,
    /// The round trip over this direction and back, in seconds.
    pub rtt_s: Option<f64>,
    /// Share of probes lost, 0 to 1.
    pub loss: Option<f64>,
    /// How many probes delay and loss were measured with.
    pub probes: u32,
    /// Least and greatest share of probes lost that are in tolerance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_tolerance: Option<[f64; 2]>,
    /// What was not measured and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The latency from one region to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyFound {
    /// Region of the sender.
    pub from: String,
    /// Region of the receiver.
    pub to: String,
    /// Asked one-way latency in seconds, without the delays of links.
    pub asked_s: f64,
    /// Measured one-way time between two peers less what their links ask for, in seconds.
    #[serde(default)]
    pub measured_s: Option<f64>,
    /// Whether it is in tolerance; none when it was not measured.
    #[serde(default)]
    pub within_tolerance: Option<bool>,
}

/// Whether the links of a run were measured before its scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// `done`, `skipped` (by `--no-verify`) or `unfinished`.
    pub state: State,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// What is out of tolerance, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// How far a verification came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing was said about the links: the run ended before.
    #[default]
    Unfinished,
    /// All links were measured.
    Done,
    /// Nobody wanted it.
    Skipped,
}

impl LinkFound {
    /// All directions of a plan's links, not yet measured: up and down of each class in the order of the plan.
    #[must_use]
    pub fn unmeasured(plan: &Plan) -> Vec<Self> {
        plan.links.iter().flat_map(both).collect()
    }
}

fn both(link: &Link) -> [LinkFound; 2] {
    [("up", &link.up), ("down", &link.down)].map(|(direction, asked)| LinkFound {
        class: link.name.clone(),
        direction: direction.to_owned(),
        asked: Asked::of(asked),
        measured: None,
        within_tolerance: None,
        first_attempt: None,
    })
}

impl Asked {
    fn of(direction: &Direction) -> Self {
        Self {
            rate_bps: direction.rate.map(|rate| rate.0),
            delay_s: direction.delay.seconds(),
            jitter_s: direction.jitter.amount.seconds(),
            loss: direction.loss.average.fraction(),
        }
    }
}
