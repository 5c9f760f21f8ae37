//! Conditions over many values: percentiles over peers and over time, values at an instant, and faults that heal in time.
//!
//! ```text
//! FUNCTION(SERIES) OP VALUE              p95(distribution.release.completion) <= 40s
//! SERIES at SPAN OP VALUE                distribution.release.progress at 10s >= 40%
//! within SPAN of FAULT: SERIES OP VALUE  within 6s of crash: distribution.release.uplink >= 20mbit
//! within SPAN of FAULT: recovered        within 6s of crash: recovered
//! within SPAN of FAULT: RING.correct     within 6s of crash: ring.correct
//! ```
//!
//! | series | value | over |
//! |---|---|---|
//! | `distribution.NAME[.VIA].completion` | span | required peers; one that never completed is later than any limit |
//! | `distribution.NAME[.VIA].from-arrival` | span | the same, each counted from the peer's own arrival |
//! | `distribution.NAME[.VIA].progress` | share of the wanted pieces that have arrived | time since its begin |
//! | `distribution.NAME[.VIA].uplink` | rate of payload sent by all together | time since its begin, in seconds |
//! | `host.busy`, `host.waiting`, `host.steal` | share, as the verdict sees it | windows in which something was measured |
//! | `host.lateness` | span: worst lateness of a timer | the same |
//! | `swarm.leaf[.GROUP]` | span: from the request to the verified arrival of a leaf | leaves, at the group's peers or at all |
//! | `ring.answer[.GROUP]` | span: from a question to another node to its answer | questions of any kind, the same |
//!
//! `FUNCTION` is `min`, `mean`, `median`, `max` or `p1` … `p99.9`; over time every second weighs the same. `FAULT` is `crash`,
//! `leave`, `join`, `link`, `partition`, `heal` or `pause`. The span after each step of that kind the comparison has to hold, and
//! the last time it did not has to have ended within the span. `recovered` and `RING.correct` look at `recoveries` of
//! `results.json`. Reading is in `parse`, what the run wrote down in `courses`, what came after faults in `healing`; types and
//! judging are here.

use peerbed_peer::timing::{Histogram, Timing};
use serde_json::json;

use super::{Operator, Selector};
use crate::{results::percentile, timings::seconds};

pub(super) mod courses;
mod healing;
pub(super) mod parse;
#[cfg(test)]
mod tests;

use courses::value_at;
pub use courses::{Courses, DistributionCourse};
pub use healing::FaultSeen;

/// A condition over many values.
#[derive(Clone, Debug, PartialEq)]
pub enum Over {
    /// A function of a series.
    Folded {
        /// What is made of the values.
        function: Function,
        /// Which values.
        series: Series,
        /// How the result is compared, and with what.
        bar: Bar,
    },
    /// A series at one instant.
    At {
        /// Which values.
        series: Series,
        /// Seconds since the begin of the distribution, or of the scenario.
        seconds: f64,
        /// How the value is compared, and with what.
        bar: Bar,
    },
    /// Something that has to come true soon after each fault of a kind.
    Within {
        /// How soon, in seconds.
        seconds: f64,
        /// The kind of step.
        fault: &'static str,
        /// What has to come true.
        healed: Healed,
    },
}

/// What has to come true after a fault.
#[derive(Clone, Debug, PartialEq)]
pub enum Healed {
    /// The overlay has recovered, as the results say.
    Recovered,
    /// Every pointer of the ring of this name is right, as the results say.
    Ring(String),
    /// A series is where it should be.
    Series(Series, Bar),
}

/// What one function makes of many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The smallest.
    Min,
    /// The mean.
    Mean,
    /// The largest.
    Max,
    /// The smallest that so many per mille do not exceed, 10 to 999.
    Percentile(u16),
}

/// Many values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Series {
    /// Of one or several distributions.
    Distribution(Selector, DistributionSeries),
    /// Of the host.
    Host(HostSeries),
    /// What peers measured by themselves, those of one group or all.
    Timing(Timing, Option<String>),
}

/// What is looked at of a distribution; the table above says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistributionSeries {
    /// Completion of each required peer.
    Completion,
    /// Completion of each required peer since its own arrival.
    FromArrival,
    /// Share of the pieces that have arrived.
    Progress,
    /// Payload that all together send.
    Uplink,
}

/// What is looked at of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostSeries {
    /// Share of the processors' time that was not idle.
    Busy,
    /// Share of the time in which a task waited for a processor.
    Waiting,
    /// Share of the processors' time that the hypervisor gave to others.
    Steal,
    /// Worst lateness of a timer.
    Lateness,
}

/// A comparison with a value: seconds, a share from 0 to 1, or bits per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// How.
    pub operator: Operator,
    /// With what.
    pub wanted: f64,
}

impl Over {
    /// The distributions that it looks at, if it looks at any.
    #[must_use]
    pub fn selector(&self) -> Option<&Selector> {
        let series = match self {
            Self::Folded { series, .. } | Self::At { series, .. } => series,
            Self::Within { healed: Healed::Series(series, _), .. } => series,
            Self::Within { healed: Healed::Recovered | Healed::Ring(_), .. } => return None,
        };
        match series {
            Series::Distribution(selector, _) => Some(selector),
            Series::Host(_) | Series::Timing(..) => None,
        }
    }

    /// The ring that it looks at, if it looks at one.
    #[must_use]
    pub fn ring(&self) -> Option<&str> {
        match self {
            Self::Within { healed: Healed::Ring(ring), .. } => Some(ring),
            Self::Folded { .. } | Self::At { .. } | Self::Within { .. } => None,
        }
    }

    /// The group whose peers' measurements it looks at, if it looks at some of one group.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Folded { series: Series::Timing(_, group), .. } => group.as_deref(),
            Self::Folded { .. } | Self::At { .. } | Self::Within { .. } => None,
        }
    }
}

/// Whether it holds, and what was found: of several values the one furthest from holding.
pub(super) fn judge(over: &Over, courses: &Courses) -> (bool, serde_json::Value) {
    let found = match over {
        Over::Folded { function, series: Series::Timing(timing, group), bar } => {
            let merged = courses.timing(*timing, group.as_deref());
            merged.map(|merged| bar.judge(std::iter::once(Some(function.of_times(&merged)))))
        }
        Over::Folded { function, series, bar } => {
            courses.values(series).map(|values| bar.judge(values.iter().map(|values| function.of(values))))
        }
        Over::At { series, seconds, bar } => {
            courses.points(series).map(|all| bar.judge(all.iter().map(|it| value_at(&it.points, *seconds))))
        }
        Over::Within { seconds, fault, healed } => {
            let bar = Bar { operator: Operator::AtMost, wanted: *seconds };
            courses.healing(fault, *seconds, healed).map(|all| bar.judge(all.into_iter()))
        }
    };
    found.unwrap_or((false, serde_json::Value::Null))
}

impl Bar {
    /// All have to be there and to hold; without any, nothing holds.
    fn judge(&self, found: impl Iterator<Item = Option<f64>>) -> (bool, serde_json::Value) {
        let Some(values) = found.collect::<Option<Vec<f64>>>() else { return (false, serde_json::Value::Null) };
        let worst = values.iter().copied().max_by(|a, b| self.distance(*a).total_cmp(&self.distance(*b)));
        let held = !values.is_empty() && values.iter().all(|value| self.operator.holds(*value, self.wanted));
        (held, worst.filter(|worst| worst.is_finite()).map_or(serde_json::Value::Null, |worst| json!(worst)))
    }

    /// The further a value is from holding, the larger.
    fn distance(&self, value: f64) -> f64 {
        match self.operator {
            Operator::AtMost | Operator::Below => value - self.wanted,
            Operator::AtLeast | Operator::Above => self.wanted - value,
            Operator::Equal => (value - self.wanted).abs(),
            Operator::Unequal => -(value - self.wanted).abs(),
        }
    }
}

impl Function {
    fn of(self, values: &[f64]) -> Option<f64> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        match self {
            Self::Min => sorted.first().copied(),
            Self::Max => sorted.last().copied(),
            Self::Mean => (!sorted.is_empty()).then(|| sorted.iter().sum::<f64>() / sorted.len() as f64),
            Self::Percentile(mille) => percentile(&sorted, f64::from(mille) / 1_000.0),
        }
    }

    /// In seconds, to the digits that a histogram has.
    fn of_times(self, merged: &Histogram) -> f64 {
        match self {
            Self::Min => seconds(merged.min()),
            Self::Max => seconds(merged.max()),
            Self::Mean => merged.mean() / 1e6,
            Self::Percentile(mille) => seconds(merged.value_at_quantile(f64::from(mille) / 1_000.0)),
        }
    }
}
