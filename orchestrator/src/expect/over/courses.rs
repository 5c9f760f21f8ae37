//! What a run wrote down, as conditions over many values see it: series of values and how long each held.
//!
//! How values are folded and held against a bar is in [`super`], what came after faults in [`super::healing`].

use std::collections::BTreeMap;

use peerbed_peer::timing::{self, Histogram, Timing};

use super::{DistributionSeries, FaultSeen, HostSeries, Series};
use crate::{expect::Selector, plan::Via, verdict::Window};

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
    /// Faults of rings and distributions, and what came of them.
    pub recoveries: Vec<FaultSeen>,
    /// Histograms merged over peers, as texts by name.
    pub timings: BTreeMap<String, String>,
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

/// A series over time: its values from each instant on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lasting {
    /// When its instants count from, in seconds since the scenario's start.
    pub(super) begun: f64,
    /// How long it lasted, in seconds.
    pub(super) length: f64,
    /// When all who had to complete had done so; none where it has no such end.
    pub(super) ended: Option<f64>,
    /// The values.
    pub(super) points: Vec<(f64, f64)>,
}

impl Lasting {
    /// Whether it had begun, and not ended, at `t`.
    pub(super) fn is_under_way(&self, t: f64) -> bool {
        t >= 0.0 && self.ended.is_none_or(|ended| t < ended)
    }
}

impl DistributionCourse {
    fn lasting(&self, points: &[(f64, f64)]) -> Lasting {
        let latest = self.completions.iter().copied().collect::<Option<Vec<f64>>>();
        let ended = latest.and_then(|all| all.into_iter().reduce(f64::max));
        Lasting { begun: self.begun, length: self.length, ended, points: points.to_vec() }
    }
}

impl Courses {
    fn selected(&self, selector: &Selector) -> Vec<&DistributionCourse> {
        self.distributions.iter().filter(|course| selector.selects(&course.name, course.via)).collect()
    }

    /// The values that functions fold, one list per selected distribution; none where nothing was written down.
    pub(super) fn values(&self, series: &Series) -> Option<Vec<Vec<f64>>> {
        let with = |of: fn(&DistributionCourse) -> &[Option<f64>], selector: &Selector| {
            let late = |course: &&DistributionCourse| {
                of(course).iter().map(|seconds| seconds.unwrap_or(f64::INFINITY)).collect()
            };
            some(self.selected(selector).iter().map(late).collect())
        };
        match series {
            Series::Distribution(selector, DistributionSeries::Completion) => {
                return with(|course| &course.completions, selector);
            }
            Series::Distribution(selector, DistributionSeries::FromArrival) => {
                return with(|course| &course.from_arrival, selector);
            }
            Series::Distribution(_, DistributionSeries::Progress | DistributionSeries::Uplink)
            | Series::Host(_)
            | Series::Timing(..) => {}
        }
        let all = self.points(series)?;
        some(all.iter().map(evenly).collect())
    }

    /// What the peers of a group, or all, measured; none where nobody did.
    pub(super) fn timing(&self, timing: Timing, group: Option<&str>) -> Option<Histogram> {
        let name = group.map_or_else(|| timing.name().to_owned(), |group| format!("{}.{group}", timing.name()));
        timing::decode(self.timings.get(&name)?).ok()
    }

    /// A series over time, one for each selected distribution.
    pub(super) fn points(&self, series: &Series) -> Option<Vec<Lasting>> {
        match series {
            Series::Distribution(selector, kind) => {
                let points = |course: &&DistributionCourse| match kind {
                    DistributionSeries::Progress => course.lasting(&course.progress),
                    DistributionSeries::Uplink => course.lasting(&course.uplink),
                    DistributionSeries::Completion | DistributionSeries::FromArrival => course.lasting(&[]),
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
                let length = self.host.last()?.t - self.started;
                Some(vec![Lasting { begun: 0.0, length, ended: None, points }])
            }
            // No course over time: see `timing`.
            Series::Timing(..) => None,
        }
    }
}

pub(super) fn some<T>(all: Vec<T>) -> Option<Vec<T>> {
    (!all.is_empty()).then_some(all)
}

/// The value that holds at `t`; none before the first.
pub(super) fn value_at(points: &[(f64, f64)], t: f64) -> Option<f64> {
    points.partition_point(|(at, _)| *at <= t).checked_sub(1).map(|index| points[index].1)
}

/// Values at [`INSTANTS`] equal steps, so that time weighs and not the number of points.
fn evenly(lasting: &Lasting) -> Vec<f64> {
    let at = |step: u32| lasting.length * (f64::from(step) + 0.5) / f64::from(INSTANTS);
    (0..INSTANTS).filter_map(|step| value_at(&lasting.points, at(step))).collect()
}

/// Finer than a second in runs of up to an hour or so, and than what people write.
const INSTANTS: u32 = 4_000;
