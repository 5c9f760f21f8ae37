//! Conditions on what a run found, as `expect:` and `when:` write them.
//!
//! ```text
//! condition := distribution.NAME[.VIA].METRIC OP VALUE  |  lookups.NAME.METRIC OP VALUE
//!            | recoveries.RING.METRIC OP VALUE  |  rings.RING.METRIC OP VALUE  |  verdict is [not] STATE  |  over
//!            | lookups.NAME.METRIC OP SHARE of lookups.NAME.METRIC
//! OP        := <= | < | >= | > | == | !=
//! ```
//!
//! | metric | meaning | value | live |
//! |---|---|---|---|
//! | `ratio` | distribution time over its bound | number | |
//! | `seconds` | distribution time | number of seconds, or a span | |
//! | `bound_seconds` | least time possible | number of seconds, or a span | |
//! | `riders_ratio` | mean completion of free-riders over that of contributors | number | |
//! | `second_copy` | what seeds had sent when the others together had everything, in files | number | |
//! | `min`, `mean`, `max`, `p50`, `p95`, `p99` | over the peers' completion times | number of seconds, or a span | |
//! | `completed` | required peers that have the whole file | number of peers, or a share | yes |
//! | `progress` | wanted pieces that have arrived | share | yes |
//!
//! `over` are conditions over many values: percentiles, values over time, and faults that heal in time; their grammar is in
//! [`over`].
//! Figures of lookups, recoveries and rings stand in `rings`.
//!
//! Reading and evaluating live here. Where the facts come from lives in `results` and `scenario`; whether a condition
//! names something that exists is checked by `topology`.

use std::ops::Range;

use crate::plan::Via;

mod evaluate;
pub mod over;
mod parse;
mod rings;
#[cfg(test)]
mod tests;

pub use evaluate::{DistributionFacts, Facts, Outcome};
pub use rings::{RingFacts, RingFigure, RingSubject};

/// A condition that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As written, without surrounding blanks.
    pub text: String,
    /// What is looked at.
    pub subject: Subject,
}

/// What a condition looks at, and what it wants of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// A figure of one or several distributions.
    Distribution {
        /// Which distributions.
        selector: Selector,
        /// Which figure.
        metric: Metric,
        /// How it is compared.
        operator: Operator,
        /// With what.
        value: Value,
    },
    /// Many values: of peers, or over time.
    Over(over::Over),
    /// A figure of lookups in a ring, or of a ring's recoveries.
    Ring {
        /// Which.
        figure: RingFigure,
        /// How it is compared.
        operator: Operator,
        /// With what.
        value: Value,
        /// The value is that share of another figure.
        of: Option<RingFigure>,
    },
    /// Whether this host could measure the run.
    Verdict {
        /// `valid`, `suspect` or `invalid`.
        state: &'static str,
        /// Whether it has to be that, or must not be.
        wanted: bool,
    },
}

/// Which distributions: those of a name, or one way of spreading among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Name of the distribution.
    pub name: String,
    /// Way of spreading; none for every way.
    pub via: Option<Via>,
    /// Where the name stands in the text, in bytes.
    pub name_range: Range<usize>,
}

/// A figure of a distribution; the table above says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Distribution time over its bound.
    Ratio,
    /// Distribution time.
    Seconds,
    /// Least time possible.
    BoundSeconds,
    /// Mean completion of free-riders over that of contributors.
    RidersRatio,
    /// What the seeds had sent when the others together had everything, in files.
    SecondCopy,
    /// First completion.
    Min,
    /// Mean completion.
    Mean,
    /// Last completion.
    Max,
    /// Completion that so many per cent of the peers were not slower than.
    Percentile(u8),
    /// Required peers that have the whole file.
    Completed,
    /// Wanted pieces that have arrived.
    Progress,
    /// Pieces that somebody has had who began without the file.
    Spread,
}

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<=`
    AtMost,
    /// `<`
    Below,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A plain number: a ratio, seconds, or a number of peers.
    Number(f64),
    /// A share as a fraction between 0 and 1.
    Share(f64),
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub hint: String,
    /// The bytes of the text that are wrong.
    pub range: Range<usize>,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    ///
    /// The first thing that does not fit the grammar, with its place in the text.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        parse::condition(text)
    }

    /// Whether the condition can be judged while the scenario is played.
    #[must_use]
    pub fn is_live(&self) -> bool {
        match &self.subject {
            Subject::Distribution { metric, .. } => {
                matches!(metric, Metric::Completed | Metric::Progress | Metric::Spread)
            }
            Subject::Over(_) | Subject::Ring { .. } | Subject::Verdict { .. } => false,
        }
    }

    /// The distributions that it looks at, if it looks at any.
    #[must_use]
    pub fn selector(&self) -> Option<&Selector> {
        match &self.subject {
            Subject::Distribution { selector, .. } => Some(selector),
            Subject::Over(over) => over.selector(),
            Subject::Ring { .. } | Subject::Verdict { .. } => None,
        }
    }

    /// The group whose peers' measurements it looks at, if it looks at some of one group.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match &self.subject {
            Subject::Over(over) => over.group(),
            Subject::Distribution { .. } | Subject::Ring { .. } | Subject::Verdict { .. } => None,
        }
    }

    /// The lookups and rings that it looks at.
    #[must_use]
    pub fn ring_subjects(&self) -> Vec<(RingSubject, &str)> {
        match &self.subject {
            Subject::Ring { figure, of, .. } => {
                [Some(figure), of.as_ref()].into_iter().flatten().map(|it| (it.what, it.name.as_str())).collect()
            }
            Subject::Over(over) => over.ring().map(|ring| (RingSubject::Rings, ring)).into_iter().collect(),
            Subject::Distribution { .. } | Subject::Verdict { .. } => Vec::new(),
        }
    }

    /// Judges the condition. One that selects several distributions holds when it holds for each of them; one whose
    /// figure is missing, because nothing was selected or nothing completed, does not hold.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts) -> Outcome {
        evaluate::evaluate(self, facts)
    }
}

impl Selector {
    /// Whether a distribution of this name and way is meant.
    #[must_use]
    pub fn selects(&self, name: &str, via: Via) -> bool {
        self.name == name && self.via.is_none_or(|wanted| wanted == via)
    }
}
