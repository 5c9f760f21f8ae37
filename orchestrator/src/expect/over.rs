//! Conditions over many values: percentiles over peers and over time, values at an instant, and faults that heal in time.
//!
//! ```text
//! FUNCTION(SERIES) OP VALUE              p95(distribution.release.completion) <= 40s
//! SERIES at SPAN OP VALUE                distribution.release.progress at 10s >= 40%
//! within SPAN of FAULT: SERIES OP VALUE  within 6s of crash: distribution.release.uplink >= 20mbit
//! within SPAN of FAULT: recovered        within 6s of crash: recovered
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
//!
//! `FUNCTION` is `min`, `mean`, `median`, `max` or `p1` … `p99`; over time every second weighs the same. `FAULT` is `crash`,
//! `leave`, `link`, `partition` or `pause`, and the condition has to come true within the span after each step of that
//! kind. `recovered` looks at `recoveries` of `results.json`. Reading is in `parse`, types and judging are here.

use serde_json::json;

use super::{Operator, Selector};
use crate::{plan::Via, results::percentile, verdict::Window};

pub(super) mod parse;

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
    /// The smallest that so many per cent do not exceed, 1 to 99.
    Percentile(u8),
}

/// Many values of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Series {
    /// Of one or several distributions.
    Distribution(Selector, DistributionSeries),
    /// Of the host.
    Host(HostSeries),
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

/// What a run wrote down, as far as conditions look at it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Courses {
    /// Every distribution that was begun.
    pub distributions: Vec<DistributionCourse>,
    /// Windows of the host in which something was measured.
    pub host: Vec<Window>,
    /// When the scenario began, on the clock of the windows.
    pub started: f64,
    /// Steps by the word of their action, and when they began, in seconds since the scenario's start.
    pub steps: Vec<(String, f64)>,
    /// Faults by kind, and the seconds until recovery; none where it never came.
    pub recoveries: Vec<(String, Option<f64>)>,
}

/// What was written down of one distribution. Instants are seconds since its begin.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionCourse {
    /// The name that conditions use.
    pub name: String,
    /// How the file is spread.
    pub via: Via,
    /// Its begin, in seconds since the scenario's start.
    pub begun: f64,
    /// When the last thing happened in it.
    pub length: f64,
    /// Completion of each required peer.
    pub completions: Vec<Option<f64>>,
    /// The same, each since the peer's own arrival.
    pub from_arrival: Vec<Option<f64>>,
    /// Share of the wanted pieces that had arrived, from each instant on.
    pub progress: Vec<(f64, f64)>,
    /// Bits per second of payload, from each instant on.
    pub uplink: Vec<(f64, f64)>,
}

impl Over {
    /// The distributions that it looks at, if it looks at any.
    #[must_use]
    pub fn selector(&self) -> Option<&Selector> {
        let series = match self {
            Self::Folded { series, .. } | Self::At { series, .. } => series,
            Self::Within { healed: Healed::Series(series, _), .. } => series,
            Self::Within { healed: Healed::Recovered, .. } => return None,
        };
        match series {
            Series::Distribution(selector, _) => Some(selector),
            Series::Host(_) => None,
        }
    }
}

/// How long a series lasted, and its values from each instant on.
type Lasting = (f64, Vec<(f64, f64)>);

/// Whether it holds, and what was found: of several values the one furthest from holding.
pub(super) fn judge(over: &Over, courses: &Courses) -> (bool, serde_json::Value) {
    let found = match over {
        Over::Folded { function, series, bar } => {
            courses.values(series).map(|values| bar.judge(values.iter().map(|values| function.of(values))))
        }
        Over::At { series, seconds, bar } => {
            courses.points(series).map(|all| bar.judge(all.iter().map(|(_, points)| value_at(points, *seconds))))
        }
        Over::Within { seconds, fault, healed } => {
            let bar = Bar { operator: Operator::AtMost, wanted: *seconds };
            courses.healing(fault, healed).map(|all| bar.judge(all.into_iter()))
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
            Self::Percentile(percent) => percentile(&sorted, f64::from(percent) / 100.0),
        }
    }
}

impl Courses {
    fn selected(&self, selector: &Selector) -> Vec<&DistributionCourse> {
        self.distributions.iter().filter(|course| selector.selects(&course.name, course.via)).collect()
    }

    /// The values that functions fold, one list per selected distribution; none where nothing was written down.
    fn values(&self, series: &Series) -> Option<Vec<Vec<f64>>> {
        if let Series::Distribution(
            selector,
            kind @ (DistributionSeries::Completion | DistributionSeries::FromArrival),
        ) = series
        {
            let late = |course: &&DistributionCourse| {
                let all = match kind {
                    DistributionSeries::FromArrival => &course.from_arrival,
                    DistributionSeries::Completion | DistributionSeries::Progress | DistributionSeries::Uplink => {
                        &course.completions
                    }
                };
                all.iter().map(|seconds| seconds.unwrap_or(f64::INFINITY)).collect()
            };
            return some(self.selected(selector).iter().map(late).collect());
        }
        let all = self.points(series)?;
        some(all.iter().map(|(length, points)| evenly(points, *length)).collect())
    }

    /// The points of a series over time and how long it lasted, one list per selected distribution.
    fn points(&self, series: &Series) -> Option<Vec<Lasting>> {
        match series {
            Series::Distribution(selector, kind) => {
                let points = |course: &&DistributionCourse| match kind {
                    DistributionSeries::Progress => (course.length, course.progress.clone()),
                    DistributionSeries::Uplink => (course.length, course.uplink.clone()),
                    DistributionSeries::Completion | DistributionSeries::FromArrival => (0.0, Vec::new()),
                };
                some(self.selected(selector).iter().map(points).collect())
            }
            Series::Host(kind) => {
                let value = |window: &Window| match kind {
                    HostSeries::Busy => window.busy,
                    HostSeries::Waiting => window.pressure.unwrap_or(0.0),
                    HostSeries::Steal => window.steal,
                    HostSeries::Lateness => window.lateness,
                };
                let begin = |window: &Window| window.t - window.seconds - self.started;
                let points = self.host.iter().map(|window| (begin(window), value(window))).collect();
                let end = self.host.last().map_or(0.0, |window| window.t - self.started);
                (!self.host.is_empty()).then(|| vec![(end, points)])
            }
        }
    }

    /// Seconds until it came true, for every fault of a kind; none within where it never did.
    fn healing(&self, fault: &str, healed: &Healed) -> Option<Vec<Option<f64>>> {
        match healed {
            Healed::Recovered => {
                some(self.recoveries.iter().filter(|(kind, _)| kind == fault).map(|(_, seconds)| *seconds).collect())
            }
            Healed::Series(series, bar) => {
                let faults: Vec<f64> = self.steps.iter().filter(|(word, _)| word == fault).map(|(_, at)| *at).collect();
                let mut all = Vec::new();
                for (points, begun) in self.points(series)?.into_iter().zip(self.begins(series)) {
                    all.extend(faults.iter().map(|at| first_true(&points.1, at - begun, bar)));
                }
                some(all)
            }
        }
    }

    /// When the points of each selected distribution count from, in seconds since the scenario's start.
    fn begins(&self, series: &Series) -> Vec<f64> {
        match series {
            Series::Distribution(selector, _) => self.selected(selector).iter().map(|course| course.begun).collect(),
            Series::Host(_) => vec![0.0],
        }
    }
}

fn some<T>(all: Vec<T>) -> Option<Vec<T>> {
    (!all.is_empty()).then_some(all)
}

/// The value that holds at `t`; none before the first.
fn value_at(points: &[(f64, f64)], t: f64) -> Option<f64> {
    points.partition_point(|(at, _)| *at <= t).checked_sub(1).map(|index| points[index].1)
}

/// Values at [`INSTANTS`] equal steps, so that time weighs and not the number of points.
fn evenly(points: &[(f64, f64)], length: f64) -> Vec<f64> {
    (0..INSTANTS).filter_map(|step| value_at(points, length * (f64::from(step) + 0.5) / f64::from(INSTANTS))).collect()
}

/// Seconds from `from` until the bar holds for the first time.
fn first_true(points: &[(f64, f64)], from: f64, bar: &Bar) -> Option<f64> {
    if value_at(points, from).is_some_and(|value| bar.operator.holds(value, bar.wanted)) {
        return Some(0.0);
    }
    let later = points.iter().filter(|(at, _)| *at > from);
    later.into_iter().find(|(_, value)| bar.operator.holds(*value, bar.wanted)).map(|(at, _)| at - from)
}

/// Finer than a second in runs of up to an hour or so, and than what people write.
const INSTANTS: u32 = 4_000;

#[cfg(test)]
mod tests {
    use super::super::{Condition, Facts};
    use super::*;

    fn courses() -> Courses {
        let window = |t: f64, busy: f64| Window { t, seconds: 1.0, busy, measuring: true, ..Window::default() };
        Courses {
            distributions: vec![DistributionCourse {
                name: "release".into(),
                via: Via::Swarm,
                begun: 1.0,
                length: 10.0,
                completions: (1..=19).map(|n| Some(f64::from(n) / 2.0)).chain([None]).collect(),
                from_arrival: vec![Some(1.0), Some(9.0), None],
                progress: vec![(0.0, 0.0), (4.0, 0.4), (8.0, 0.8), (10.0, 1.0)],
                uplink: vec![(0.0, 20e6), (5.0, 5e6), (7.0, 18e6)],
            }],
            host: vec![window(101.0, 0.2), window(102.0, 0.9)],
            started: 100.0,
            steps: vec![("distribute".into(), 0.0), ("crash".into(), 6.0)],
            recoveries: vec![("crash".into(), Some(3.1)), ("link".into(), None)],
        }
    }

    fn found(text: &str) -> (bool, serde_json::Value) {
        let facts = Facts { courses: Some(courses()), ..Facts::default() };
        let outcome = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&facts);
        (outcome.held, outcome.value)
    }

    #[test]
    fn percentiles_over_peers_count_those_that_never_completed() {
        assert_eq!(found("p95(distribution.release.completion) <= 10s"), (true, json!(9.5)));
        assert_eq!(found("p95(distribution.release.swarm.completion) <= 9s"), (false, json!(9.5)));
        assert_eq!(found("max(distribution.release.completion) <= 1000s"), (false, json!(null)));
        assert_eq!(found("median(distribution.release.completion) == 5"), (true, json!(5.0)));
    }

    #[test]
    fn time_weighs_and_not_the_number_of_samples() {
        assert_eq!(found("p50(distribution.release.uplink) >= 18mbit"), (true, json!(18e6)));
        assert_eq!(found("min(distribution.release.uplink) >= 6mbit"), (false, json!(5e6)));
        let (held, mean) = found("mean(distribution.release.uplink) > 16mbit");
        assert!(held && (mean.as_f64().unwrap() - 16.4e6).abs() < 1e4, "{mean}");
        assert_eq!(found("max(host.busy) <= 85%"), (false, json!(0.9)));
    }

    #[test]
    fn a_value_at_an_instant_is_the_last_before_it() {
        assert_eq!(found("distribution.release.progress at 7.9s >= 40%"), (true, json!(0.4)));
        assert_eq!(found("distribution.release.progress at 3s > 0%"), (false, json!(0.0)));
        assert_eq!(found("host.busy at 1s < 50%"), (false, json!(0.9)));
    }

    #[test]
    fn what_has_to_come_true_after_a_fault_may_take_its_time_and_no_more() {
        // The crash comes 5 s into the distribution; its uplinks are back 2 s later.
        assert_eq!(found("within 2s of crash: distribution.release.uplink >= 15mbit"), (true, json!(2.0)));
        assert_eq!(found("within 1.9s of crash: distribution.release.uplink >= 15mbit"), (false, json!(2.0)));
        assert_eq!(found("within 60s of crash: distribution.release.uplink >= 30mbit"), (false, json!(null)));
        assert_eq!(found("within 1s of crash: distribution.release.progress >= 40%"), (true, json!(0.0)));
        assert_eq!(found("within 6s of crash: recovered"), (true, json!(3.1)));
        assert_eq!(found("within 6s of link: recovered"), (false, json!(null)));
        assert_eq!(found("within 6s of pause: recovered"), (false, json!(null)));
    }

    #[test]
    fn nothing_holds_of_what_was_not_written_down() {
        assert_eq!(found("p95(distribution.other.completion) <= 10s"), (false, json!(null)));
        let condition = Condition::parse("max(host.busy) <= 100%").unwrap();
        assert!(!condition.evaluate(&Facts::default()).held);
        assert!(!condition.is_live());
    }
}
