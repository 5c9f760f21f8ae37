//! The JSON Schema of topologies, for editors and for whoever writes topologies by program.
//!
//! It is made from the tables of keys that the readers use, so the two cannot drift apart. It knows form only: that a
//! name exists, or that a jitter is smaller than its delay, is beyond it.

use serde_json::{Value, json};

use crate::topology;

/// The schema as printed by `peerbed schema` and kept in `topologies/schema.json`, with a newline at its end.
#[must_use]
pub fn text() -> String {
    let text = serde_json::to_string_pretty(&schema()).expect("a JSON value has a text");
    text + "\n"
}

/// The schema as a value.
#[must_use]
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Peerbed topology",
        "description": "Peers, the links between them, and what happens: one run of Peerbed, or a sweep of many",
    });
    if let (Value::Object(all), Value::Object(topology)) = (&mut schema, topology::schema()) {
        all.extend(topology);
    }
    schema
}
