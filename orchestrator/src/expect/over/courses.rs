//! What a run wrote down, as conditions over many values see it: series of values and how long each held.
//!
//! How values are folded and held against a bar is in [`super`].

use std::collections::BTreeMap;

use peerbed_peer::timing::{self, Histogram, Timing};

use super::{Bar, DistributionSeries, Healed, HostSeries, Series};
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
    /// Faults by kind, and the seconds until recovery; none where it never came.
    pub recoveries: Vec<(String, Option<f64>)>,
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

/// How long a series lasted, and its values from each instant on.
pub(super) type Lasting = (f64, Vec<(f64, f64)>);

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
        some(all.iter().map(|(length, points)| evenly(points, *length)).collect())
    }

    /// What the peers of a group, or all, measured; none where nobody did.
    pub(super) fn timing(&self, timing: Timing, group: Option<&str>) -> Option<Histogram> {
        let name = group.map_or_else(|| timing.name().to_owned(), |group| format!("{}.{group}", timing.name()));
        timing::decode(self.timings.get(&name)?).ok()
    }

    /// The points of a series over time and how long it lasted, one list per selected distribution.
    pub(super) fn points(&self, series: &Series) -> Option<Vec<Lasting>> {
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
            // No course over time: see `timing`.
            Series::Timing(..) => None,
        }
    }

    /// Seconds until it came true, for every fault of a kind; none within where it never did.
    pub(super) fn healing(&self, fault: &str, healed: &Healed) -> Option<Vec<Option<f64>>> {
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
            Series::Host(_) | Series::Timing(..) => vec![0.0],
        }
    }
}

fn some<T>(all: Vec<T>) -> Option<Vec<T>> {
    (!all.is_empty()).then_some(all)
}

/// The value that holds at `t`; none before the first.
pub(super) fn value_at(points: &[(f64, f64)], t: f64) -> Option<f64> {
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
