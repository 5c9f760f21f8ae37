//! The form of `options:`, a swarm's behaviour.
//!
//! The options are those of the protocol: their names, kinds and defaults are taken from its defaults, so that a new
//! option there can be written here at once.

use peerbed_proto::swarm;
use serde_json::{Map, Value as Json, json};

use super::{
    reader::{Reader, Section},
    tree::Node,
};
use crate::{
    diagnose::{Problem, suggestion},
    units::Span,
};

/// What an option is, judged by its default.
enum Kind {
    Span,
    Integer,
    Word,
}

impl Kind {
    fn of(default: &Json) -> Self {
        match default {
            Json::Number(number) if number.is_f64() => Self::Span,
            Json::Number(_) => Self::Integer,
            Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => Self::Word,
        }
    }
}

/// The protocol's defaults by name.
fn defaults() -> Map<String, Json> {
    match serde_json::to_value(swarm::Options::default()) {
        Ok(Json::Object(options)) => options,
        other => unreachable!("options are plain fields with names: {other:?}"),
    }
}

/// Options as written: names and values that the protocol takes. What is not among them keeps its default.
pub type WrittenOptions = Map<String, Json>;

/// The options of somebody that several sections speak about; of what they both say, the later one counts.
pub(crate) fn resolve<'a>(sections: impl IntoIterator<Item = &'a WrittenOptions>) -> swarm::Options {
    let mut options = defaults();
    options.extend(sections.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    serde_json::from_value(Json::Object(options)).expect("each option was tried as it was read")
}

/// Reads options.
fn read(reader: &mut Reader, node: &Node) -> WrittenOptions {
    let options = defaults();
    let mut written = WrittenOptions::new();
    for entry in reader.entries(node, "`options`").unwrap_or_default() {
        let Some(default) = options.get(&entry.key) else {
            let problem = Problem::new(entry.place, format!("a swarm has no option `{}`", entry.key));
            let hint = suggestion(&entry.key, options.keys().map(String::as_str));
            reader.problem(Problem { hint, ..problem });
            continue;
        };
        let Some(value) = read_value(reader, &entry.value, &Kind::of(default)) else { continue };
        let mut with = options.clone();
        with.insert(entry.key.clone(), value.clone());
        let message = format!("the value does not fit `{}`", entry.key);
        // The protocol's own type judges words and limits.
        match serde_json::from_value::<swarm::Options>(Json::Object(with)) {
            Ok(tried) => match nearest(&tried, &entry.key) {
                None => _ = written.insert(entry.key.clone(), value),
                Some(nearest) => {
                    reader.problem(Problem::new(entry.value.place, message).hint(format!("the nearest is {nearest}")));
                }
            },
            Err(error) => reader.problem(Problem::new(entry.value.place, message).hint(error.to_string())),
        }
    }
    written
}

/// The value that the protocol would take in place of one beyond its limits.
fn nearest(tried: &swarm::Options, name: &str) -> Option<String> {
    let possible = tried.clone().within_limits();
    if possible == *tried {
        return None;
    }
    let all = serde_json::to_value(possible).ok()?;
    let possible = all.get(name)?;
    let seconds = possible.as_f64().filter(|_| possible.is_f64());
    Some(
        seconds.map_or_else(
            || possible.to_string(),
            |seconds| Span(std::time::Duration::from_secs_f64(seconds)).to_string(),
        ),
    )
}

/// The words that an option takes, as the protocol's own type lists them.
fn words(name: &str) -> Vec<String> {
    let tried = serde_json::from_value::<swarm::Options>(json!({ name: "?" }));
    let listed = tried.err().map(|error| error.to_string()).unwrap_or_default();
    let listed = listed.split_once("expected").map_or("", |(_, words)| words);
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn read_value(reader: &mut Reader, node: &Node, kind: &Kind) -> Option<Json> {
    match kind {
        Kind::Span => reader.quantity::<Span>(node).map(|span| json!(span.value.seconds())),
        Kind::Integer => reader.integer(node, "value of this option", 0..=u64::from(u16::MAX)).map(|n| json!(n.value)),
        Kind::Word => reader.text(node, "a word").map(|word| json!(word.value)),
    }
}

/// The options as JSON Schema.
pub(super) fn schema() -> Json {
    let property = |name: &str, default: &Json| match Kind::of(default) {
        Kind::Span => {
            let mut schema = super::keys::Form::Span.schema();
            let seconds = default.as_f64().unwrap_or_default();
            schema["description"] = json!(format!("default {}", Span(std::time::Duration::from_secs_f64(seconds))));
            schema
        }
        Kind::Integer => {
            json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX, "description": format!("default {default}") })
        }
        Kind::Word => {
            json!({ "enum": words(name), "description": format!("default {}", default.as_str().unwrap_or("")) })
        }
    };
    let properties: Map<String, Json> =
        defaults().iter().map(|(name, default)| (name.clone(), property(name, default))).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// The options as rows of a Markdown table.
pub(super) fn reference() -> String {
    let row = |name: &str, default: &Json| {
        let (form, default) = match Kind::of(default) {
            Kind::Span => {
                let seconds = default.as_f64().unwrap_or_default();
                ("time".to_owned(), Span(std::time::Duration::from_secs_f64(seconds)).to_string())
            }
            Kind::Integer => ("whole number".to_owned(), default.to_string()),
            Kind::Word => (
                words(name).iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
                default.as_str().unwrap_or("").to_owned(),
            ),
        };
        format!("| `{name}` | {form} | {default} |\n")
    };
    let rows: String = defaults().iter().map(|(name, default)| row(name, default)).collect();
    format!(
        "\n## `scenario[].distribute.options`, `groups.NAME.options`\n\nThe swarm's own options; those of a group count \
         more than those of a distribution. What each does, and within which limits, is said in [swarm.md](swarm.md); why it has this default, in `proto/src/swarm/options.rs`.\n\n| key | value | default |\n|---|---|---|\n{rows}"
    )
}

/// The options of a section that may have some.
pub(super) fn of(reader: &mut Reader, section: &Section<'_>) -> WrittenOptions {
    section.value("options").map_or_else(WrittenOptions::new, |node| read(reader, node))
}
