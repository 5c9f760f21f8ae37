//! What figures need of a plan: who the peers are, how fast their uplinks, and what the steps do.
//!
//! Read leniently from `plan.yaml`, because a plan of another version of Peerbed is refused as a whole and half of it
//! is enough here.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::{plan, scenario, units::Rate};

/// The part of a plan that is drawn.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Outline {
    pub(crate) peers: Vec<OutlinePeer>,
    links: Vec<OutlineLink>,
    pub(crate) rings: Vec<OutlineRing>,
    steps: Vec<Value>,
}

/// A ring of the plan.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OutlineRing {
    pub(crate) name: String,
    pub(crate) bits: u8,
    options: OutlineRouting,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutlineRouting {
    routing: Option<String>,
}

/// A peer of the plan.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OutlinePeer {
    id: u32,
    pub(crate) name: String,
    pub(crate) group: String,
    link: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutlineLink {
    name: String,
    up: OutlineDirection,
    down: OutlineDirection,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutlineDirection {
    rate: Option<String>,
}

impl Outline {
    /// What can be understood of the file; nothing of one that cannot be read.
    pub(crate) fn read(path: &Path) -> Self {
        let Ok(text) = fs::read_to_string(path) else { return Self::default() };
        let mut options = serde_saphyr::Options::default();
        // The file is our own, and as long as it has peers.
        options.budget = None;
        serde_saphyr::from_str_with_options(&text, options).unwrap_or_default()
    }

    /// A ring called `ring` of so many peers, for tests.
    #[cfg(test)]
    pub(crate) fn of_ring(members: u32) -> Self {
        let peer = |id: u32| OutlinePeer { id, name: format!("ring-{id}"), group: "ring".into(), link: String::new() };
        let ring = OutlineRing { name: "ring".into(), bits: 4, options: OutlineRouting::default() };
        Self { peers: (1..=members).map(peer).collect(), rings: vec![ring], ..Self::default() }
    }

    /// The group of the peer called `name`; without a plan, the name up to its number.
    pub(crate) fn group(&self, name: &str) -> String {
        if let Some(peer) = self.peers.iter().find(|peer| peer.name == name) {
            return peer.group.clone();
        }
        match name.rsplit_once('-') {
            Some((group, number)) if number.parse::<u32>().is_ok() => group.to_owned(),
            _ => name.to_owned(),
        }
    }

    /// Bits per second that the peer called `name` may send; none where it is unknown or unlimited.
    pub(crate) fn up(&self, name: &str) -> Option<u64> {
        rate(&self.link_of(name)?.up)
    }

    /// Bits per second that the peer called `name` may receive; none where it is unknown or unlimited.
    pub(crate) fn down(&self, name: &str) -> Option<u64> {
        rate(&self.link_of(name)?.down)
    }

    /// Who sends and who is addressed in the distribution `id`, by name.
    pub(crate) fn sides(&self, id: &str) -> Option<(Vec<String>, Vec<String>)> {
        let spec = self.steps.iter().map(|step| &step["action"]["distribute"]).find(|spec| spec["id"] == id)?;
        let side = |key: &str| {
            let ids = spec[key].as_array().into_iter().flatten().filter_map(Value::as_u64);
            ids.filter_map(|id| self.name(id)).collect()
        };
        Some((side("from"), side("to")))
    }

    /// A few words on the step with this index; none where it is unknown.
    pub(crate) fn step(&self, index: usize) -> Option<String> {
        let written = self.steps.get(index)?;
        let spec = &written["action"]["distribute"];
        if let (Some(name), Some(via)) = (spec["name"].as_str(), spec["via"].as_str()) {
            return Some(format!("{name} via {via}"));
        }
        Some(scenario::describe(&self.action(index)?, |peer| {
            self.name(peer.0.into()).unwrap_or_else(|| peer.0.to_string())
        }))
    }

    /// The name of the lookups of the step with this index; none where it asks nothing.
    pub(crate) fn lookups_name(&self, index: usize) -> Option<&str> {
        self.steps.get(index)?["action"]["ring"]["lookups"]["name"].as_str()
    }

    /// What the step with this index does; none where it is unknown or of another version.
    pub(crate) fn action(&self, index: usize) -> Option<plan::Action> {
        let step: plan::Step = serde_json::from_value(self.steps.get(index)?.clone()).ok()?;
        Some(step.action)
    }

    /// Groups and how many peers each has, in the order of the plan.
    pub(crate) fn groups(&self) -> Vec<(String, usize)> {
        let mut order: Vec<(String, usize)> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for peer in &self.peers {
            let place = *places.entry(&peer.group).or_insert(order.len());
            if place == order.len() {
                order.push((peer.group.clone(), 0));
            }
            order[place].1 += 1;
        }
        order
    }

    /// Name of the peer with this number.
    pub(crate) fn peer_name(&self, id: u32) -> Option<&str> {
        self.peers.iter().find(|peer| peer.id == id).map(|peer| peer.name.as_str())
    }

    /// Number of the peer called `name`.
    pub(crate) fn peer_id(&self, name: &str) -> Option<u32> {
        self.peers.iter().find(|peer| peer.name == name).map(|peer| peer.id)
    }

    /// Which peers the nodes of the ring called `name` know, in the word of its options.
    pub(crate) fn routing(&self, name: &str) -> Option<&str> {
        self.rings.iter().find(|ring| ring.name == name)?.options.routing.as_deref()
    }

    /// An outline of these steps alone, for tests.
    #[cfg(test)]
    pub(crate) fn of_steps(steps: Value, members: u32) -> Self {
        let steps = steps.as_array().cloned().unwrap_or_default();
        Self { steps, ..Self::of_ring(members) }
    }

    fn name(&self, id: u64) -> Option<String> {
        u32::try_from(id).ok().and_then(|id| self.peer_name(id)).map(str::to_owned)
    }

    fn link_of(&self, name: &str) -> Option<&OutlineLink> {
        let peer = self.peers.iter().find(|peer| peer.name == name)?;
        self.links.iter().find(|link| link.name == peer.link)
    }
}

fn rate(direction: &OutlineDirection) -> Option<u64> {
    direction.rate.as_deref()?.parse::<Rate>().ok().map(|rate| rate.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "\
schema: 1
invented-later: true
peers:
- { id: 1, name: origin, group: origin, link: server, shoe-size: 43 }
- { id: 2, name: home-1, group: home, link: home }
- { id: 3, name: home-2, group: home, link: home }
links:
- { name: server, up: { rate: 20mbit }, down: { rate: null } }
- { name: home, up: { rate: 2mbit, overhead: 0 }, down: { rate: 20mbit } }
steps:
- when: { at: 0s }
  action: { distribute: { id: d0, from: [1], to: [2, 3], via: swarm } }
- when: { after-step: 0 }
  action: { crash: [2, 3] }
";

    fn outline() -> Outline {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("plan.yaml");
        fs::write(&path, PLAN).unwrap();
        Outline::read(&path)
    }

    #[test]
    fn a_plan_of_another_version_still_says_who_is_who() {
        let outline = outline();
        assert_eq!(
            (outline.group("home-2"), outline.up("home-2"), outline.up("origin")),
            ("home".into(), Some(2_000_000), Some(20_000_000))
        );
        assert_eq!((outline.down("origin"), outline.down("home-1")), (None, Some(20_000_000)));
        assert_eq!(outline.groups(), [("origin".to_owned(), 1), ("home".to_owned(), 2)]);
        let (from, to) = outline.sides("d0").unwrap();
        assert_eq!((from, to), (vec!["origin".to_owned()], vec!["home-1".to_owned(), "home-2".to_owned()]));
    }

    #[test]
    fn a_step_that_is_understood_is_told_in_a_line() {
        let outline = outline();
        assert_eq!(outline.step(1).unwrap(), "crash home-1, home-2");
        assert_eq!((outline.step(0), outline.step(7)), (None, None));
    }

    #[test]
    fn without_a_plan_groups_are_guessed_from_names() {
        let outline = Outline::read(Path::new("/nonexistent"));
        assert_eq!(
            [outline.group("home-12"), outline.group("origin"), outline.group("a-b")],
            ["home", "origin", "a-b"]
        );
        assert_eq!(outline.up("home-12"), None);
    }
}
