//! Reading typed values out of the tree while collecting every problem on the way.
//!
//! Each function returns what it could read, or nothing after having noted why. The forms of particular sections live
//! in the files of their names.

use std::{collections::BTreeMap, ops::RangeInclusive, str::FromStr, sync::Arc};

use super::{
    keys::{Key, Need},
    traces::Attached,
    tree::{Entry, Kind, Node, Scalar, Value},
};
use crate::{
    diagnose::{Place, Problem, suggestion},
    units::QuantityError,
};

/// A value and where it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// Collects problems while a tree is read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) problems: Vec<Problem>,
    /// Texts of other files that the one being read names.
    pub(crate) attached: Arc<Attached>,
}

/// A map whose keys were compared with their table.
pub(crate) struct Section<'a> {
    /// Where the map stands.
    pub(crate) place: Place,
    entries: BTreeMap<&'static str, &'a Entry>,
}

impl<'a> Section<'a> {
    /// The value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&'a Node> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Where a key stands, or the section where it was left out.
    pub(crate) fn key_place(&self, key: &str) -> Place {
        self.entries.get(key).map_or(self.place, |entry| entry.place)
    }
}

impl Reader {
    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reads a map against its table of keys; reports unknown, repeated and missing ones.
    ///
    /// `owner` is what a missing key is missing from, with its place: a name in front of the map, usually.
    pub(crate) fn section<'a>(
        &mut self,
        node: &'a Node,
        what: &str,
        owner: Place,
        keys: &'static [Key],
    ) -> Option<Section<'a>> {
        self.section_beside(node, what, owner, keys, |_| false)
    }

    /// The same, leaving alone the keys that a predicate calls free.
    pub(crate) fn section_beside<'a>(
        &mut self,
        node: &'a Node,
        what: &str,
        owner: Place,
        keys: &'static [Key],
        is_free: fn(&str) -> bool,
    ) -> Option<Section<'a>> {
        let mut entries = BTreeMap::new();
        if !matches!(node.value, Value::Map(_)) {
            let first: Vec<_> = keys.iter().map(|key| format!("`{}`", key.name)).take(4).collect();
            let more = if keys.len() > first.len() { ", …" } else { "" };
            self.mismatch(node, &format!("{what} is a map with {}{more}", first.join(", ")));
            return None;
        }
        for entry in self.entries(node, what)?.into_iter().filter(|entry| !is_free(&entry.key)) {
            match keys.iter().find(|key| key.name == entry.key) {
                Some(key) => {
                    entries.insert(key.name, entry);
                }
                None => self.unknown_key(entry, what, keys),
            }
        }
        for key in keys.iter().filter(|key| key.need == Need::Required && !entries.contains_key(key.name)) {
            self.problem(Problem::new(owner, format!("{what} lacks `{}`", key.name)).hint(key.about));
        }
        Some(Section { place: node.place, entries })
    }

    fn unknown_key(&mut self, entry: &Entry, what: &str, keys: &'static [Key]) {
        let problem = Problem::new(entry.place, format!("{what} has no key `{}`", entry.key));
        let hint = suggestion(&entry.key, keys.iter().map(|key| key.name));
        self.problem(Problem { hint, ..problem });
    }

    /// The entries of a map, each key once; repetitions are reported.
    pub(crate) fn entries<'a>(&mut self, node: &'a Node, what: &str) -> Option<Vec<&'a Entry>> {
        let Value::Map(entries) = &node.value else {
            self.mismatch(node, &format!("{what} is a map of keys and values"));
            return None;
        };
        let mut first: BTreeMap<&str, Place> = BTreeMap::new();
        let mut unique = Vec::new();
        for entry in entries {
            if let Some(before) = first.get(entry.key.as_str()) {
                let message = format!("`{}` is written twice", entry.key);
                self.problem(Problem::new(entry.place, message).hint(format!("first on line {}", before.line)));
            } else {
                first.insert(&entry.key, entry.place);
                unique.push(entry);
            }
        }
        Some(unique)
    }

    /// The items of a list.
    pub(crate) fn list<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Scalar(_) | Value::Map(_) => {
                self.mismatch(node, &format!("{what} is a list"));
                None
            }
        }
    }

    /// A quantity with its unit.
    pub(crate) fn quantity<T: FromStr<Err = QuantityError>>(&mut self, node: &Node) -> Option<Written<T>> {
        let scalar = self.scalar(node, "a quantity with its unit")?;
        match scalar.text.parse() {
            Ok(value) => Some(Written { value, place: node.place }),
            Err(error) => {
                self.problem(Problem::new(node.place, error.message).hint(error.hint));
                None
            }
        }
    }

    /// A whole number within limits.
    pub(crate) fn integer(&mut self, node: &Node, what: &str, range: RangeInclusive<u64>) -> Option<Written<u64>> {
        let (min, max) = (*range.start(), *range.end());
        let limits = if max == u64::MAX { format!("{min} or more") } else { format!("from {min} to {max}") };
        let scalar = self.scalar(node, &format!("a whole number {limits}"))?;
        match scalar.text.parse::<u64>() {
            Ok(value) if range.contains(&value) && scalar.kind == Kind::Number => {
                Some(Written { value, place: node.place })
            }
            _ => {
                let message = format!("`{}` is no {what}", scalar.text);
                self.problem(Problem::new(node.place, message).hint(format!("give a whole number {limits}")));
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        let scalar = self.scalar(node, "`true` or `false`")?;
        match (scalar.kind, scalar.text.to_ascii_lowercase().as_str()) {
            (Kind::Boolean, text) => Some(text == "true"),
            _ => {
                let message = format!("`{}` is neither `true` nor `false`", scalar.text);
                let hint = match scalar.text.as_str() {
                    "yes" | "on" => "write true",
                    "no" | "off" => "write false",
                    _ => "write true or false",
                };
                self.problem(Problem::new(node.place, message).hint(hint));
                None
            }
        }
    }

    /// Text that is not empty; numbers and the like count as spelled.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<Written<String>> {
        let scalar = self.scalar(node, what)?;
        if scalar.text.trim().is_empty() {
            self.problem(Problem::new(node.place, format!("{what} is empty")));
            return None;
        }
        Some(Written { value: scalar.text.clone(), place: node.place })
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<Written<T>> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(Written { value: *value, place: text.place });
        }
        let problem = Problem::new(text.place, format!("`{}` is no {what}", text.value));
        let hint = suggestion(&text.value, words.iter().map(|(word, _)| *word));
        self.problem(Problem { hint, ..problem });
        None
    }

    /// One name or a list of names, at least one.
    pub(crate) fn names(&mut self, node: &Node, what: &str) -> Option<Vec<Written<String>>> {
        match &node.value {
            Value::Scalar(_) => self.text(node, what).map(|name| vec![name]),
            Value::List(items) if items.is_empty() => {
                self.problem(Problem::new(node.place, format!("{what}: the list is empty")).hint("name at least one"));
                None
            }
            // A list is read as far as it can be, so that its other names are checked too.
            Value::List(items) => Some(items.iter().filter_map(|item| self.text(item, what)).collect()),
            Value::Map(_) => {
                self.mismatch(node, &format!("{what} is a name or a list of names"));
                None
            }
        }
    }

    /// A scalar; anything else is reported as not being what was wanted.
    fn scalar<'a>(&mut self, node: &'a Node, wanted: &str) -> Option<&'a Scalar> {
        match &node.value {
            Value::Scalar(scalar) if scalar.kind != Kind::Nothing => Some(scalar),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => {
                self.mismatch(node, &format!("{wanted} is expected here"));
                None
            }
        }
    }

    /// Reports a node of the wrong shape.
    pub(crate) fn mismatch(&mut self, node: &Node, expectation: &str) {
        let (found, hint) = match &node.value {
            Value::Scalar(scalar) if scalar.kind == Kind::Nothing => {
                ("nothing".to_owned(), Some("leave the key out, or write {} for an empty map"))
            }
            Value::Scalar(scalar) => (format!("`{}`", scalar.text), None),
            Value::List(_) => ("a list".to_owned(), None),
            Value::Map(_) => ("a map".to_owned(), None),
        };
        let problem = Problem::new(node.place, format!("{expectation}, not {found}"));
        self.problem(Problem { hint: hint.map(str::to_owned), ..problem });
    }
}

/// The problem of a name that nothing has.
pub(crate) fn unknown_name<'a>(
    name: &Written<String>,
    what: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Problem {
    let problem = Problem::new(name.place, format!("there is no {what} `{}`", name.value));
    let hint = suggestion(&name.value, known);
    Problem { hint, ..problem }
}
