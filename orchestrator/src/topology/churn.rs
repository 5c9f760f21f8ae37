//! The form of the step `churn`: peers that go and come back by the lengths of their sessions.
//!
//! The laws and what is drawn from them are in `plan/lifetimes` and `plan/churn`.

use std::time::Duration;

use super::{
    Written,
    keys::{Form, Key, optional, required},
    reader::{Reader, Section},
    scenario::SELECTION_PEERS,
    traces,
    tree::Node,
};
use crate::{
    diagnose::{Place, Problem},
    plan::{Habits, Law, Lifetimes, Middle},
    units::{Factor, Share, Span},
};

/// Churn as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Churn {
    /// Groups and peers that come and go.
    pub peers: Vec<Written<String>>,
    /// Only those of them that are in this region; none for all.
    pub region: Option<Written<String>>,
    /// Groups and peers among them that stay.
    pub protect: Vec<Written<String>>,
    /// How long it goes on; none where that could not be read.
    pub length: Option<Written<Span>>,
    /// What is drawn from; none where that could not be read.
    pub habits: Option<Habits>,
}

pub(super) const KEYS: &[Key] = &[
    SELECTION_PEERS,
    optional("region", Form::Name, "only those of them that are in this region"),
    optional("protect", Form::Names, "groups or peers among them that stay all the time"),
    required("for", Form::Span, "how long it goes on: 10m; who is away at its end stays away until a `join`"),
    required("session", Form::Section(LIFETIMES_KEYS), "how long peers stay, at least 2s each time"),
    optional(
        "absence",
        Form::Section(LIFETIMES_KEYS),
        "how long they stay away, at least 2s each time (default: the same law as sessions)",
    ),
    optional("leave", Form::Share, "share of those who go that leave in order; the others are killed (default 0%)"),
    optional(
        "warm-up",
        Form::Span,
        "the sessions under way at the beginning have lasted for up to this long, each for a time by chance, so that not \
         everybody is new at once (default 0s)",
    ),
];

const LIFETIMES_KEYS: &[Key] = &[
    optional("law", Form::Words(&["exponential", "weibull", "pareto"]), "how they are spread (default exponential)"),
    optional(
        "shape",
        Form::Other("factor", shape_schema),
        "of a Weibull law, below 1 where whoever has stayed long stays longer; of a Pareto law, above 1 for it to have a \
         mean; at least 0.1",
    ),
    optional("mean", Form::Span, "their mean; this or the median"),
    optional("median", Form::Span, "the length that half of them do not reach"),
    optional(
        "trace",
        Form::Text,
        "in place of a law: a file of lengths with their units, one a line, each drawn as often as any other; with `mean` \
         or `median` they are stretched to fit",
    ),
];

fn shape_schema() -> serde_json::Value {
    serde_json::json!({ "type": "number", "minimum": 0.1, "maximum": 100 })
}

pub(super) fn read(reader: &mut Reader, node: &Node, owner: Place) -> Option<Churn> {
    let section = reader.section(node, "`churn`", owner, KEYS)?;
    let peers = section.value("peers").and_then(|node| reader.names(node, "`peers`"));
    let length = section.value("for").and_then(|node| reader.quantity::<Span>(node));
    if let Some(length) = length.as_ref().filter(|length| length.value.0.is_zero()) {
        reader.problem(Problem::new(length.place, "churn of no length").hint("such as 10m"));
    }
    let session = section.value("session").map(|node| read_lifetimes(reader, node, section.key_place("session")));
    let absence = section.value("absence").map(|node| read_lifetimes(reader, node, section.key_place("absence")));
    let orderly = section.value("leave").map(|node| reader.quantity::<Share>(node));
    let warm_up = section.value("warm-up").map(|node| reader.quantity::<Span>(node));
    let habits = || {
        let session = session.flatten()?;
        let absence = absence.unwrap_or_else(|| Some(session.clone()))?;
        let orderly = orderly.map_or(Some(0.0), |share| share.map(|share| share.value.fraction()))?;
        let warm_up = warm_up.map_or(Some(Duration::ZERO), |span| span.map(|span| span.value.0))?;
        Some(Habits { session, absence, orderly, warm_up })
    };
    Some(Churn {
        peers: peers.unwrap_or_default(),
        region: section.value("region").and_then(|node| reader.text(node, "the name of a region")),
        protect: section.value("protect").and_then(|node| reader.names(node, "`protect`")).unwrap_or_default(),
        length,
        habits: habits(),
    })
}

fn read_lifetimes(reader: &mut Reader, node: &Node, owner: Place) -> Option<Lifetimes> {
    let section = reader.section(node, "lengths", owner, LIFETIMES_KEYS)?;
    let law = read_law(reader, &section, owner)?;
    let mean = section.value("mean").map(|node| reader.quantity::<Span>(node));
    let median = section.value("median").map(|node| reader.quantity::<Span>(node));
    let middle = match (mean, median) {
        (Some(_), Some(_)) => {
            let problem = Problem::new(section.key_place("median"), "both a mean and a median are given");
            reader.problem(problem.hint("one follows from the other"));
            return None;
        }
        (Some(mean), None) => Middle::Mean(mean?.value.0),
        (None, Some(median)) => Middle::Median(median?.value.0),
        (None, None) if matches!(law, Law::Observed(_)) => Middle::AsObserved,
        (None, None) => {
            let problem = Problem::new(owner, "it is not said how long they are");
            reader.problem(problem.hint("give their `mean`, or their `median`"));
            return None;
        }
    };
    let lifetimes = Lifetimes::new(law, middle);
    if lifetimes.is_none() {
        let hint = "a Pareto law has a mean with a shape above 1; and no length is nothing";
        reader.problem(Problem::new(owner, "there are no such lengths").hint(hint));
    }
    lifetimes
}

fn read_law(reader: &mut Reader, section: &Section<'_>, owner: Place) -> Option<Law> {
    if let Some(node) = section.value("trace") {
        if let Some(other) = ["law", "shape"].into_iter().find(|key| section.value(key).is_some()) {
            let problem = Problem::new(section.key_place(other), format!("a trace has no `{other}`"));
            reader.problem(problem.hint("leave one of them out"));
            return None;
        }
        let file = reader.text(node, "the name of a trace file")?;
        return Some(Law::Observed(traces::read_lengths(reader, &file)?));
    }
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        Exponential,
        Weibull,
        Pareto,
    }
    let words = [("exponential", Word::Exponential), ("weibull", Word::Weibull), ("pareto", Word::Pareto)];
    let word = section.value("law").map(|node| reader.word(node, "law of lengths", &words));
    let word = word.map_or(Some(Word::Exponential), |word| word.map(|word| word.value))?;
    let shape = section.value("shape").map(|node| reader.quantity::<Factor>(node));
    let shape = match (word, shape) {
        (Word::Exponential, None) => return Some(Law::Exponential),
        (Word::Exponential, Some(_)) => {
            let problem = Problem::new(section.key_place("shape"), "an exponential law has no shape");
            reader.problem(problem.hint("leave it out, or say `law: weibull`"));
            return None;
        }
        (Word::Weibull | Word::Pareto, None) => {
            let problem = Problem::new(owner, "this law lacks its `shape`");
            reader.problem(problem.hint("such as 0.6 for weibull and 2 for pareto"));
            return None;
        }
        (Word::Weibull | Word::Pareto, Some(shape)) => shape?,
    };
    let value = shape.value.0 as f64 / 1e6;
    if !(0.1..=100.0).contains(&value) {
        reader.problem(Problem::new(shape.place, format!("{value} is no shape")).hint("from 0.1 to 100"));
        return None;
    }
    Some(if word == Word::Weibull { Law::Weibull { shape: value } } else { Law::Pareto { shape: value } })
}
