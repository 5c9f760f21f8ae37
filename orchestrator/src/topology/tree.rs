//! A YAML file as a tree that remembers where everything stands.
//!
//! Only syntax is judged here: anchors and merge keys are followed, bombs are refused, and keys written twice are kept
//! for the readers to report. What the keys mean lives with the readers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use serde_saphyr::{
    Spanned,
    options::{DuplicateKeyPolicy, NonFiniteFloatPolicy},
};

use crate::diagnose::{Place, Problem};

#[cfg(test)]
mod tests;

/// A value and where it stands. A value reached through an alias stands where it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// What a YAML node can be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// Text as written (without quotes), and what YAML takes it for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Boolean,
    Nothing,
}

/// One key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// Largest file read. The largest topology in this repository is a few kilobytes.
const BYTES_MAX: usize = 4 << 20;
/// Most values in a file after aliases are followed; a thousand groups with a dozen keys each stay far below.
const NODES_MAX: usize = 100_000;
/// Deepest nesting; the format itself needs six levels.
const DEPTH_MAX: usize = 32;

/// Parses a YAML file.
///
/// # Errors
///
/// The first thing that is not YAML, or that is more of it than a topology needs.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > BYTES_MAX {
        let message = format!("the file is larger than {} MiB", BYTES_MAX >> 20);
        return Err(Problem::new(Place { line: 1, column: 1, start: 0, end: 0 }, message));
    }
    let budget = serde_saphyr::budget! {
        max_nodes: NODES_MAX,
        max_depth: DEPTH_MAX,
        max_documents: 1,
        max_recorded_anchor_events: NODES_MAX,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        with_snippet: false,
    };
    let spanned: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| syntax_problem(&error, text))?;
    Ok(settle(spanned, text))
}

fn syntax_problem(error: &serde_saphyr::Error, text: &str) -> Problem {
    let place = error.location().map_or_else(Place::default, |location| place_of(&location, text));
    let place = if place.line == 0 { Place { line: 1, column: 1, start: 0, end: 0 } } else { place };
    let full = error.without_snippet().to_string();
    let message = full.lines().next().unwrap_or_default();
    // The position is told apart; the text repeats it.
    let message = message.split(" at line ").next().unwrap_or_default().trim_end_matches(['.', ':', ',']);
    let message = message.trim_start_matches("error: ");
    if message.contains("budget") {
        return Problem::new(place, "the file unfolds to more than a topology needs")
            .hint(format!("at most {NODES_MAX} values, {DEPTH_MAX} levels; aliases count for all they stand for"));
    }
    Problem::new(place, format!("this is not YAML: {message}"))
}

/// A node as the parser hands it over: scalars that YAML takes for numbers have lost their spelling.
enum Raw {
    Text(String),
    Typed(Kind),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl Node {
    /// The path of the innermost key or value that a place lies in, such as `links.home.loss`.
    pub(crate) fn path_of(&self, place: Place) -> String {
        let mut segments = Vec::new();
        if self.search(place, &mut segments) { segments.join(".") } else { String::new() }
    }

    /// The value without its place.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(Scalar { text, kind }) => match kind {
                Kind::Text => Json::from(text.as_str()),
                Kind::Number | Kind::Boolean | Kind::Nothing => {
                    serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str()))
                }
            },
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>().into()
            }
        }
    }

    fn search(&self, place: Place, segments: &mut Vec<String>) -> bool {
        let covers = |own: Place| own.start <= place.start && place.start < own.end.max(own.start + 1);
        match &self.value {
            Value::Scalar(_) => covers(self.place),
            Value::List(items) => items.iter().enumerate().any(|(index, item)| {
                segments.push(index.to_string());
                let found = item.place == place || item.search(place, segments);
                if !found {
                    segments.pop();
                }
                found
            }),
            Value::Map(entries) => entries.iter().any(|entry| {
                segments.push(entry.key.clone());
                let found = covers(entry.place) || entry.value.place == place || entry.value.search(place, segments);
                if !found {
                    segments.pop();
                }
                found
            }),
        }
    }
}

/// Turns a raw node into one that knows its spelling and place.
fn settle(raw: Spanned<Raw>, text: &str) -> Node {
    let place = place_of(&raw.defined, text);
    let value = match raw.value {
        Raw::Text(content) => Value::Scalar(Scalar { text: content, kind: Kind::Text }),
        // Only plain scalars are typed, and those are spelled on one line just as they stand.
        Raw::Typed(kind) => {
            let spelling = text.get(place.start..place.end).unwrap_or_default();
            Value::Scalar(Scalar { text: spelling.trim().to_owned(), kind })
        }
        Raw::List(items) => Value::List(items.into_iter().map(|item| settle(item, text)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    place: place_of(&key.defined, text),
                    key: key.value,
                    value: settle(value, text),
                })
                .collect(),
        ),
    };
    Node { value, place }
}

fn place_of(location: &serde_saphyr::Location, text: &str) -> Place {
    let span = location.span();
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let start = number(span.byte_offset().unwrap_or(0)).min(text.len());
    let end = start.saturating_add(number(span.byte_len().unwrap_or(0))).min(text.len());
    let position = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Place { line: position(location.line()), column: position(location.column()), start, end }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Boolean))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Number))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Number))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Number))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Number))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Nothing))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Typed(Kind::Nothing))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
            if items.len() > NODES_MAX {
                return Err(A::Error::custom("budget of values exceeded"));
            }
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}
