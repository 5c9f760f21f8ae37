//! What may stand in a map: one table per section, read by the readers and turned into the JSON Schema.
//!
//! A key that is not in its section's table is reported by the readers and by every editor alike.

use schemars::JsonSchema;
use serde_json::{Map, Value as Json, json};

use crate::units::{Rate, Share, Size, Span};

/// One key of a section.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) form: Form,
    /// What it means, its default and its limits, for editors.
    pub(crate) about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

/// What the value of a key looks like.
pub(crate) enum Form {
    Rate,
    Span,
    Size,
    Share,
    Boolean,
    /// A whole number.
    Integer {
        min: u64,
        max: u64,
    },
    /// Any text.
    Text,
    /// A name that the file defines elsewhere.
    Name,
    /// A name, or a list of names.
    Names,
    /// One of a few words.
    Words(&'static [&'static str]),
    /// A text that matches a regular expression; in words, and as the expression.
    Pattern(&'static str, &'static str),
    /// A map with the keys of another table.
    Section(&'static [Key]),
    /// A map from freely chosen names.
    Table(&'static Form),
    List(&'static Form),
    /// Any of several forms.
    Either(&'static [Form]),
    /// The same, with a schema that says more than the table.
    Limited(&'static [Key], fn() -> Json),
    /// Whatever a function says; in words, and as a schema.
    Other(&'static str, fn() -> Json),
}

/// A key that may be left out.
pub(crate) const fn optional(name: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, need: Need::Optional, form, about }
}

/// A key that must be there.
pub(crate) const fn required(name: &'static str, form: Form, about: &'static str) -> Key {
    Key { name, need: Need::Required, form, about }
}

/// Names of groups, links, regions, files and distributions.
pub(crate) const NAME_PATTERN: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";

impl Form {
    /// The form as JSON Schema.
    pub(crate) fn schema(&self) -> Json {
        match self {
            Self::Rate => quantity::<Rate>(),
            Self::Span => quantity::<Span>(),
            Self::Size => quantity::<Size>(),
            Self::Share => quantity::<Share>(),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Text => json!({ "type": "string", "minLength": 1 }),
            Self::Name => json!({ "type": "string", "pattern": NAME_PATTERN }),
            Self::Names => json!({ "anyOf": [Self::Name.schema(), Self::List(&Self::Name).schema()] }),
            Self::Words(words) => json!({ "enum": words }),
            Self::Pattern(_, pattern) => json!({ "type": "string", "pattern": pattern }),
            Self::Section(keys) => section_schema(keys),
            Self::Table(form) => json!({
                "type": "object",
                "propertyNames": { "pattern": NAME_PATTERN },
                "additionalProperties": form.schema(),
            }),
            Self::List(form) => json!({ "type": "array", "minItems": 1, "items": form.schema() }),
            Self::Either(forms) => json!({ "anyOf": forms.iter().map(Self::schema).collect::<Vec<_>>() }),
            Self::Limited(_, schema) | Self::Other(_, schema) => schema(),
        }
    }
}

/// A section as JSON Schema.
pub(crate) fn section_schema(keys: &[Key]) -> Json {
    let properties: Map<String, Json> = keys
        .iter()
        .map(|key| {
            let mut schema = key.form.schema();
            schema["description"] = json!(key.about);
            (key.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<_> = keys.iter().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn quantity<T: JsonSchema>() -> Json {
    T::json_schema(&mut schemars::SchemaGenerator::default()).to_value()
}
