//! The form of `arrivals:`: how the coming of many peers is spread over time.

use super::{
    keys::{Form, Key, optional},
    reader::{Reader, Section, Written},
    tree::Node,
};
use crate::{
    diagnose::{Place, Problem},
    units::Span,
};

/// How peers come one after another, in the order of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// One at once, and one more each time so much has passed.
    Even(Span),
    /// A Poisson process with this mean time between two.
    Poisson(Span),
    /// Each by itself after an exponential time with this mean: many at once, and fewer and fewer.
    FlashCrowd(Span),
}

pub(super) const ARRIVALS: Key =
    optional("arrivals", Form::Section(KEYS), "how their coming is spread over time (default all at once)");

const KEYS: &[Key] = &[
    optional("even", Form::Span, "one at once, and the next ones so far apart: 2s"),
    optional("poisson", Form::Span, "as a Poisson process, with this mean time between two: 2s"),
    optional(
        "flash-crowd",
        Form::Span,
        "many at once, then fewer and fewer: each comes after an exponential time with this mean: 5s",
    ),
];

pub(super) fn of(reader: &mut Reader, section: &Section<'_>) -> Option<Written<Arrivals>> {
    section.value("arrivals").and_then(|node| read(reader, node, section.key_place("arrivals")))
}

fn read(reader: &mut Reader, node: &Node, owner: Place) -> Option<Written<Arrivals>> {
    let section = reader.section(node, "`arrivals`", owner, KEYS)?;
    let given: Vec<&str> = KEYS.iter().map(|key| key.name).filter(|key| section.value(key).is_some()).collect();
    let [key] = given.as_slice() else {
        let problem = match given.as_slice() {
            [first, second, ..] => {
                let message = format!("peers arrive in one way, not both `{first}` and `{second}`");
                Problem::new(section.key_place(second), message).hint("keep one of them")
            }
            _ => Problem::new(owner, "`arrivals` does not say how").hint("even: 2s, poisson: 2s or flash-crowd: 5s"),
        };
        reader.problem(problem);
        return None;
    };
    let span: Written<Span> = reader.quantity(section.value(key)?)?;
    let value = match *key {
        "even" => Arrivals::Even(span.value),
        "poisson" => Arrivals::Poisson(span.value),
        _ => Arrivals::FlashCrowd(span.value),
    };
    Some(Written { value, place: span.place })
}
