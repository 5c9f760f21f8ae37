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

/// Reads options; those not written keep the protocol's defaults.
pub(super) fn read(reader: &mut Reader, node: &Node) -> swarm::Options {
    let mut options = defaults();
    for entry in reader.entries(node, "`options`").unwrap_or_default() {
        let Some(default) = options.get(&entry.key) else {
            let problem = Problem::new(entry.place, format!("a swarm has no option `{}`", entry.key));
            let hint = suggestion(&entry.key, options.keys().map(String::as_str));
            reader.problem(Problem { hint, ..problem });
            continue;
        };
        let Some(value) = read_value(reader, &entry.value, &Kind::of(default)) else { continue };
        let mut with = options.clone();
        with.insert(entry.key.clone(), value);
        // The protocol's own type judges ranges and words.
        match serde_json::from_value::<swarm::Options>(Json::Object(with.clone())) {
            Ok(_) => options = with,
            Err(error) => {
                let message = format!("the value does not fit `{}`", entry.key);
                reader.problem(Problem::new(entry.value.place, message).hint(error.to_string()));
            }
        }
    }
    serde_json::from_value(Json::Object(options)).expect("each option was tried as it was read")
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
    let property = |default: &Json| match Kind::of(default) {
        Kind::Span => {
            let mut schema = super::keys::Form::Span.schema();
            let seconds = default.as_f64().unwrap_or_default();
            schema["description"] = json!(format!("default {}", Span(std::time::Duration::from_secs_f64(seconds))));
            schema
        }
        Kind::Integer => {
            json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX, "description": format!("default {default}") })
        }
        Kind::Word => json!({ "type": "string", "description": format!("default {}", default.as_str().unwrap_or("")) }),
    };
    let properties: Map<String, Json> =
        defaults().iter().map(|(name, default)| (name.clone(), property(default))).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// The options as rows of a Markdown table.
pub(super) fn reference() -> String {
    let row = |name: &str, default: &Json| {
        let (form, default) = match Kind::of(default) {
            Kind::Span => {
                let seconds = default.as_f64().unwrap_or_default();
                ("time", Span(std::time::Duration::from_secs_f64(seconds)).to_string())
            }
            Kind::Integer => ("whole number", default.to_string()),
            Kind::Word => ("word", default.as_str().unwrap_or("").to_owned()),
        };
        format!("| `{name}` | {form} | {default} |\n")
    };
    let rows: String = defaults().iter().map(|(name, default)| row(name, default)).collect();
    format!(
        "\n## `scenario[].distribute.options`\n\nThe swarm's own options; what each does, and why it has this default, is \
         said in `proto/src/swarm/options.rs`.\n\n| key | value | default |\n|---|---|---|\n{rows}"
    )
}

/// The options of a section that may have some.
pub(super) fn of(reader: &mut Reader, section: &Section<'_>) -> swarm::Options {
    section.value("options").map_or_else(swarm::Options::default, |node| read(reader, node))
}
