//! How soon after each fault of a kind something came true, and whether it stayed true as long as it was looked at.
//!
//! What the run wrote down is in [`super::courses`]; how soon is soon enough is held against a bar in [`super`].

use super::{
    Bar, DistributionSeries, Healed, Series,
    courses::{Courses, Lasting, some, value_at},
};

/// Something that an overlay had to get over.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSeen {
    /// Its kind: the word of the step, or what churn did.
    pub kind: String,
    /// Name of the ring; empty where a distribution was hit.
    pub ring: String,
    /// Seconds until the ring was right, or the distribution went on; none where that never came.
    pub recovered: Option<f64>,
}

impl Courses {
    /// Seconds until it came true for good, for every fault of a kind; none within where it never did. It is looked at until
    /// `within` seconds after the fault.
    pub(super) fn healing(&self, fault: &str, within: f64, healed: &Healed) -> Option<Vec<Option<f64>>> {
        let recovered = |ring: Option<&String>| {
            let own = self.recoveries.iter().filter(|it| it.kind == fault && ring.is_none_or(|ring| it.ring == *ring));
            some(own.map(|it| it.recovered).collect())
        };
        match healed {
            Healed::Recovered => recovered(None),
            Healed::Ring(ring) => recovered(Some(ring)),
            Healed::Series(series, bar) => {
                let faults: Vec<f64> = self.steps.iter().filter(|(word, _)| word == fault).map(|(_, at)| *at).collect();
                let all = self.points(series)?;
                let each = all.iter().flat_map(|lasting| faults.iter().map(move |at| (lasting, at - lasting.begun)));
                let under_way = each.filter(|(lasting, from)| lasting.is_under_way(*from));
                some(
                    under_way
                        .map(|(lasting, from)| last_false(&seen(lasting, series, from), lasting, from, within, bar))
                        .collect(),
                )
            }
        }
    }
}

/// What the series was from a fault on. A value that stands for a time that began before it says nothing of what came after.
fn seen(lasting: &Lasting, series: &Series, from: f64) -> Vec<(f64, Option<f64>)> {
    let is_instant = matches!(series, Series::Distribution(_, DistributionSeries::Progress));
    let at_once = is_instant.then(|| (from, value_at(&lasting.points, from)));
    let later = lasting.points.iter().filter(|(at, _)| if is_instant { *at > from } else { *at >= from });
    let later = later.filter(|(at, _)| lasting.ended.is_none_or(|ended| *at < ended));
    at_once.into_iter().chain(later.map(|(at, value)| (*at, Some(*value)))).collect()
}

/// Seconds from `from` until the bar held for good, as far as `within`, and at least the first value, is looked at; zero where it
/// always did. A distribution that completes has got over everything.
fn last_false(seen: &[(f64, Option<f64>)], lasting: &Lasting, from: f64, within: f64, bar: &Bar) -> Option<f64> {
    let completed = lasting.ended.map(|ended| ended - from);
    let Some((first, _)) = seen.first() else { return completed };
    let holds = |value: &Option<f64>| value.is_some_and(|value| bar.operator.holds(value, bar.wanted));
    let looked_at = seen.partition_point(|(at, _)| *at <= first.max(from + within));
    let Some(last) = seen[..looked_at].iter().rposition(|(_, value)| !holds(value)) else { return Some(0.0) };
    let again = seen[last..].iter().find(|(_, value)| holds(value)).map(|(at, _)| at - from);
    again.or(completed)
}
