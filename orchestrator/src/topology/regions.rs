//! The form of `regions:`: one-way latencies between places.

use super::{
    keys::Form,
    names,
    places::{PLACES, Places},
    reader::{Reader, Written},
    tree::Node,
};
use crate::{diagnose::Problem, units::Span};

/// Regions and the latencies between them, as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// Every region in order of its first mention.
    pub names: Vec<String>,
    /// Latencies from the first to the second; the other way round too unless that is written as well.
    pub latencies: Vec<(String, String, Written<Span>)>,
}

impl Regions {
    /// One-way latency between two regions, where one is given.
    #[must_use]
    pub fn latency(&self, from: &str, to: &str) -> Option<Span> {
        let written = |a: &str, b: &str| {
            self.latencies.iter().find(|(x, y, _)| x == a && y == b).map(|(_, _, latency)| latency.value)
        };
        written(from, to).or_else(|| written(to, from))
    }
}

/// Most regions. The matrix of pairs stays printable, and class ids of the kernel's queues stay within 16 bits.
const REGIONS_MAX: usize = 64;

/// The form of one region.
pub(super) const REGION: Form = Form::Table(&Form::Span);

/// The form of the section.
pub(super) fn schema() -> serde_json::Value {
    let mut schema = Form::Table(&REGION).schema();
    let choices: Vec<_> =
        PLACES.iter().map(|it| serde_json::json!({ "const": it.name, "description": it.source })).collect();
    schema["properties"] = serde_json::json!({ PRESET: { "oneOf": choices,
        "description": "a ready set of regions, to which regions and latencies can be added (default none)" } });
    schema
}

/// The key that cannot be a region's name.
const PRESET: &str = "preset";

pub(super) fn read(reader: &mut Reader, node: &Node) -> Regions {
    let mut regions = Regions::default();
    let mut preset = None;
    for entry in reader.entries(node, "`regions`").unwrap_or_default() {
        if entry.key == PRESET {
            let sets: Vec<_> = PLACES.iter().map(|places| (places.name, places)).collect();
            preset = reader.word(&entry.value, "set of regions", &sets);
            continue;
        }
        let from = names::check(reader, entry, "region");
        mention(&mut regions, &from.value);
        let what = format!("region `{}`", entry.key);
        for to in reader.entries(&entry.value, &what).unwrap_or_default() {
            let name = names::check(reader, to, "region");
            mention(&mut regions, &name.value);
            if let Some(latency) = reader.quantity(&to.value) {
                regions.latencies.push((from.value.clone(), name.value, latency));
            }
        }
    }
    if let Some(preset) = preset {
        add(&mut regions, preset);
    }
    if regions.names.len() > REGIONS_MAX {
        let message = format!("{} regions are more than the {REGIONS_MAX} that are possible", regions.names.len());
        reader.problem(Problem::new(node.place, message));
    }
    regions
}

/// Adds a ready set; latencies that are written stay, and hold for both ways of their pair.
fn add(regions: &mut Regions, preset: Written<&'static Places>) {
    preset.value.names().for_each(|name| mention(regions, name));
    for (from, to, latency) in preset.value.latencies() {
        if regions.latency(from, to).is_none() {
            let latency = Written { value: latency, place: preset.place };
            regions.latencies.push((from.to_owned(), to.to_owned(), latency));
        }
    }
}

fn mention(regions: &mut Regions, name: &str) {
    if !regions.names.iter().any(|known| known == name) {
        regions.names.push(name.to_owned());
    }
}
