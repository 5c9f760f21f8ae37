//! The forms of the steps that ask something of a ring: `lookups`, `put` and `get`.

use peerbed_proto::ring::Forwarding;
use serde_json::json;

use super::{
    Written,
    keys::{Form, Key, NAME_PATTERN, optional},
    names,
    reader::{Reader, Section},
    rings,
    tree::{Node, Value},
};
use crate::{
    diagnose::{Place, Problem},
    units::Span,
};

/// Questions to a ring as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Queries {
    /// Where the action stands.
    pub place: Place,
    /// What is asked.
    pub kind: QueryKind,
    /// Name of the ring, where there are several.
    pub ring: Option<Written<String>>,
    /// The name that conditions use, where it is not the usual one.
    pub name: Option<Written<String>>,
    /// How many; none for one of each key.
    pub count: Option<Written<u64>>,
    /// How many in a second.
    pub rate: u64,
    /// Groups and peers that ask; none for all members but hostile ones.
    pub from: Vec<Written<String>>,
    /// What is asked for; none for points by chance.
    pub keys: Option<Keys>,
    /// After what time a lookup that was not right is asked once more.
    pub again: Option<Span>,
    /// Who moves lookups from hop to hop, where it is not as the ring says.
    pub forwarding: Option<Forwarding>,
}

/// What is asked of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// Who owns a key.
    Lookups,
    /// To keep a record.
    Put,
    /// What a record says.
    Get,
}

impl QueryKind {
    /// The action's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lookups => "lookups",
            Self::Put => "put",
            Self::Get => "get",
        }
    }
}

/// Keys as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// One by one; a whole number is a point, anything else a name. With each, the owner that it has to have, or the value to
    /// write.
    Given(Vec<(Written<String>, Option<Written<String>>)>),
    /// `record-1` to `record-N`.
    Numbered(Written<u64>),
}

const RING: Key = optional("ring", Form::Name, "the group that describes the ring, where there are several");
const RATE: Key = optional("rate", Form::Integer { min: 1, max: RATE_MAX }, "how many in a second (default 10)");
const FROM: Key = optional(
    "from",
    Form::Names,
    "groups or peers that ask, one by chance each time (default all members but hostile ones)",
);

pub(super) const LOOKUPS_KEYS: &[Key] = &[
    RING,
    optional(
        "name",
        Form::Pattern("name", NAME_PATTERN),
        "what conditions call these lookups (default the ring's name)",
    ),
    optional("count", Form::Integer { min: 1, max: COUNT_MAX }, "how many (default one of each key)"),
    RATE,
    optional(
        "again",
        Form::Span,
        "a lookup that was wrong or failed is asked once more after this time, of the same peer (default: never); figures \
         `still_wrong` count those that were wrong or failed again",
    ),
    optional(
        "forwarding",
        Form::Words(&["iterative", "recursive"]),
        "whether the asker asks hop after hop, or each hop passes these lookups on (default as the ring says)",
    ),
    optional(
        "keys",
        Form::Other("list of keys, or map of keys; id of the owner", keys_schema),
        "what is looked up, in turn: whole numbers are points, anything else is hashed; in a map with the id of the peer \
         that has to own it (default points by chance)",
    ),
    FROM,
];

pub(super) const PUT_KEYS: &[Key] = &[
    RING,
    optional("name", Form::Pattern("name", NAME_PATTERN), "what conditions call this (default put)"),
    optional(
        "records",
        Form::Other("map of keys; value, or how many", put_schema),
        "what is written: keys with their values (a whole number is a point, anything else is hashed), or a number N for \
         record-1 to record-N with value-1 to value-N",
    ),
    RATE,
    FROM,
];

pub(super) const GET_KEYS: &[Key] = &[
    RING,
    optional("name", Form::Pattern("name", NAME_PATTERN), "what conditions call this (default get)"),
    optional(
        "records",
        Form::Other("list of keys, or how many", get_schema),
        "what is read, in turn: keys, or a number N for record-1 to record-N",
    ),
    RATE,
    FROM,
];

fn keys_schema() -> serde_json::Value {
    let key = json!({ "type": ["string", "integer"] });
    json!({ "anyOf": [
        { "type": "array", "minItems": 1, "items": key },
        { "type": "object", "minProperties": 1, "additionalProperties": { "type": "integer", "minimum": 0 } },
    ] })
}

fn put_schema() -> serde_json::Value {
    let values = json!({ "type": ["string", "integer", "number", "boolean"] });
    json!({ "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": COUNT_MAX },
        { "type": "object", "minProperties": 1, "additionalProperties": values },
    ] })
}

fn get_schema() -> serde_json::Value {
    let key = json!({ "type": ["string", "integer"] });
    json!({ "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": COUNT_MAX },
        { "type": "array", "minItems": 1, "items": key },
    ] })
}

/// Most questions of one step.
const COUNT_MAX: u64 = 1_000_000;
/// Most questions in a second: each is a command to a peer and an event back, some 0.3 ms of this host.
const RATE_MAX: u64 = 2_000;
const RATE_DEFAULT: u64 = 10;

pub(super) fn read(reader: &mut Reader, node: &Node, kind: QueryKind, owner: Place) -> Option<Queries> {
    let word = kind.word();
    let keys = match kind {
        QueryKind::Lookups => LOOKUPS_KEYS,
        QueryKind::Put => PUT_KEYS,
        QueryKind::Get => GET_KEYS,
    };
    let section = reader.section(node, &format!("`{word}`"), owner, keys)?;
    let name = section.value("name").and_then(|node| reader.text(node, "a name"));
    if let Some(name) = &name {
        names::check_written(reader, name, "step");
    }
    let keys = read_keys(reader, &section, kind, owner);
    let count = section.value("count").and_then(|node| reader.integer(node, "number of lookups", 1..=COUNT_MAX));
    if kind == QueryKind::Lookups && count.is_none() && section.value("count").is_none() && keys.is_none() {
        let problem = Problem::new(owner, "it is not said how many lookups there are");
        reader.problem(problem.hint("give `count`, or `keys`"));
    }
    let rate = section.value("rate").and_then(|node| reader.integer(node, "number in a second", 1..=RATE_MAX));
    Some(Queries {
        place: owner,
        kind,
        ring: section.value("ring").and_then(|node| reader.text(node, "the name of a group")),
        name,
        count,
        rate: rate.map_or(RATE_DEFAULT, |rate| rate.value),
        from: section.value("from").and_then(|node| reader.names(node, "`from`")).unwrap_or_default(),
        keys,
        again: section.value("again").and_then(|node| reader.quantity::<Span>(node)).map(|span| span.value),
        forwarding: rings::forwarding(reader, &section),
    })
}

fn read_keys(reader: &mut Reader, section: &Section<'_>, kind: QueryKind, owner: Place) -> Option<Keys> {
    let key = if kind == QueryKind::Lookups { "keys" } else { "records" };
    let Some(node) = section.value(key) else {
        if kind != QueryKind::Lookups {
            let problem = Problem::new(owner, format!("`{}` lacks `records`", kind.word()));
            reader.problem(problem.hint("which records; or how many, as in `records: 100`"));
        }
        return None;
    };
    match (&node.value, kind) {
        (Value::List(items), QueryKind::Lookups | QueryKind::Get) if !items.is_empty() => {
            let keys = items.iter().filter_map(|item| reader.text(item, "a key"));
            Some(Keys::Given(keys.map(|key| (key, None)).collect()))
        }
        (Value::Map(_), QueryKind::Lookups | QueryKind::Put) => {
            let entries = reader.entries(node, &format!("`{key}`"))?;
            let read = entries.into_iter().filter_map(|entry| {
                let value = reader.text(&entry.value, "a value")?;
                Some((Written { value: entry.key.clone(), place: entry.place }, Some(value)))
            });
            Some(Keys::Given(read.collect()))
        }
        (Value::Scalar(_), QueryKind::Put | QueryKind::Get) => {
            reader.integer(node, "number of records", 1..=COUNT_MAX).map(Keys::Numbered)
        }
        (Value::Scalar(_) | Value::List(_) | Value::Map(_), _) => {
            let expectation = match kind {
                QueryKind::Lookups => "`keys` is a list of keys, or a map from keys to ids",
                QueryKind::Put => "`records` is a map from keys to values, or a number",
                QueryKind::Get => "`records` is a list of keys, or a number",
            };
            reader.mismatch(node, expectation);
            None
        }
    }
}

impl Queries {
    /// The name that conditions use. `only` is the name of the only ring there is.
    pub(crate) fn known_as<'a>(&'a self, only: Option<&'a str>) -> Option<&'a str> {
        match (&self.name, self.kind) {
            (Some(name), _) => Some(&name.value),
            (None, QueryKind::Lookups) => self.ring.as_ref().map(|ring| ring.value.as_str()).or(only),
            (None, QueryKind::Put | QueryKind::Get) => Some(self.kind.word()),
        }
    }
}
