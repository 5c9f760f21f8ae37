//! Judging conditions by what is known of a run.

use serde::Serialize;
use serde_json::json;

use super::{Condition, Metric, Operator, RingFacts, Subject, Value};
use crate::plan::Via;

/// Everything conditions can look at, filled in by whoever has it: the results at the end of a run, or the scenario
/// while it is played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Every distribution that was begun.
    pub distributions: Vec<DistributionFacts>,
    /// Lookups and recoveries of rings; none while the scenario is played.
    pub rings: Vec<RingFacts>,
    /// `valid`, `suspect` or `invalid`; none while the scenario is played.
    pub verdict: Option<String>,
    /// What the run wrote down; none while the scenario is played, or where no condition looks at it.
    pub courses: Option<super::over::Courses>,
}

/// What is known of one distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionFacts {
    /// The name that conditions use.
    pub name: String,
    /// How the file is spread.
    pub via: Via,
    /// Distribution time; none before the last required completion.
    pub seconds: Option<f64>,
    /// Least time possible; none where no rate bounds it.
    pub bound_seconds: Option<f64>,
    /// Mean completion of free-riders over that of contributors; none where there are not both.
    pub riders_ratio: Option<f64>,
    /// What the seeds had sent when the others together had everything, in files; none where that never came or was not
    /// seen.
    pub second_copy: Option<f64>,
    /// Completion times of the peers that completed, in any order.
    pub completions: Vec<f64>,
    /// Required peers that have the whole file.
    pub completed: usize,
    /// Required peers.
    pub required: usize,
    /// Share of the wanted pieces that have arrived, 0 to 1.
    pub progress: f64,
    /// Share of the pieces that somebody had whole who began without the file, 0 to 1.
    pub spread: f64,
}

/// What became of a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// As written.
    pub text: String,
    /// Whether it held.
    pub held: bool,
    /// What was found in place of the left side; of several distributions the one furthest from holding. Null where
    /// nothing was found.
    pub value: serde_json::Value,
}

pub(super) fn evaluate(condition: &Condition, facts: &Facts) -> Outcome {
    let (held, value) = match &condition.subject {
        Subject::Over(over) => match &facts.courses {
            Some(courses) => super::over::judge(over, courses),
            None => (false, serde_json::Value::Null),
        },
        Subject::Verdict { state, wanted } => match &facts.verdict {
            Some(found) => ((found == state) == *wanted, json!(found)),
            None => (false, serde_json::Value::Null),
        },
        Subject::Ring { figure, operator, value, of: None } => {
            judge(&figure.find(&facts.rings, *value), *operator, *value)
        }
        // Found and wanted are shares of the other figure.
        Subject::Ring { figure, operator, value, of: Some(whole) } => {
            judge(&figure.share_of(whole, &facts.rings), *operator, *value)
        }
        Subject::Distribution { selector, metric, operator, value } => {
            let found: Vec<Option<f64>> = facts
                .distributions
                .iter()
                .filter(|distribution| selector.selects(&distribution.name, distribution.via))
                .map(|distribution| distribution.figure(*metric, *value))
                .collect();
            judge(&found, *operator, *value)
        }
    };
    Outcome { text: condition.text.clone(), held, value }
}

fn judge(found: &[Option<f64>], operator: Operator, value: Value) -> (bool, serde_json::Value) {
    let (Value::Number(wanted) | Value::Share(wanted)) = value;
    let Some(figures) = found.iter().copied().collect::<Option<Vec<f64>>>() else {
        return (false, serde_json::Value::Null);
    };
    // The further a figure is from holding, the larger its distance.
    let distance = |figure: f64| match operator {
        Operator::AtMost | Operator::Below => figure - wanted,
        Operator::AtLeast | Operator::Above => wanted - figure,
        Operator::Equal => (figure - wanted).abs(),
        Operator::Unequal => -(figure - wanted).abs(),
    };
    let Some(worst) = figures.iter().copied().max_by(|a, b| distance(*a).total_cmp(&distance(*b))) else {
        return (false, serde_json::Value::Null);
    };
    (figures.iter().all(|figure| operator.holds(*figure, wanted)), json!(worst))
}

impl DistributionFacts {
    /// The figure that a metric names, in the kind of value it is compared with.
    fn figure(&self, metric: Metric, value: Value) -> Option<f64> {
        match metric {
            Metric::Ratio => self.seconds.zip(self.bound_seconds).map(|(seconds, bound)| seconds / bound),
            Metric::RidersRatio => self.riders_ratio,
            Metric::SecondCopy => self.second_copy,
            Metric::Seconds => self.seconds,
            Metric::BoundSeconds => self.bound_seconds,
            Metric::Progress => Some(self.progress),
            Metric::Spread => Some(self.spread),
            Metric::Completed => Some(match value {
                Value::Number(_) => self.completed as f64,
                Value::Share(_) if self.required == 0 => 1.0,
                Value::Share(_) => self.completed as f64 / self.required as f64,
            }),
            Metric::Min => self.completions.iter().copied().reduce(f64::min),
            Metric::Max => self.completions.iter().copied().reduce(f64::max),
            Metric::Mean => (!self.completions.is_empty())
                .then(|| self.completions.iter().sum::<f64>() / self.completions.len() as f64),
            Metric::Percentile(percent) => percentile(&self.completions, percent),
        }
    }
}

impl Operator {
    pub(super) fn holds(self, figure: f64, wanted: f64) -> bool {
        match self {
            Self::AtMost => figure <= wanted,
            Self::Below => figure < wanted,
            Self::AtLeast => figure >= wanted,
            Self::Above => figure > wanted,
            // Figures of a run are never exactly the decimal number somebody wrote.
            Self::Equal => (figure - wanted).abs() < 1e-9,
            Self::Unequal => (figure - wanted).abs() >= 1e-9,
        }
    }
}

/// The smallest value that at least `percent` per cent of the values do not exceed (nearest rank).
fn percentile(values: &[f64], percent: u8) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * usize::from(percent)).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}
