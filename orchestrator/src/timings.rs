//! Histograms that peers recorded, merged over all of them and by group.
//!
//! Percentiles are taken from what was merged: a mean of the peers' percentiles would be none of the run's. What a peer
//! records lives in [`peerbed_peer::timing`], the types of the results in [`crate::results`]. What was merged goes to the run
//! directory, as texts by name (`swarm.leaf`, `swarm.leaf.GROUP`), where expectations find it.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_peer::timing::{self, Histogram, MICROS_MAX, Timing};
use peerbed_proto::PeerId;

use crate::{
    plan::{Plan, Via},
    results::{Percentiles, TimingFound, TimingSpread},
    run_directory::RunDirectory,
};

/// What peers answer, as texts by name.
pub type Answer = BTreeMap<String, String>;

/// What was made of the answers of all peers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// For results.
    pub found: Vec<TimingFound>,
    /// What was merged, by the names of expectations.
    pub texts: Answer,
    /// Histograms that were dropped because they could not be read, each with its peer and the reason.
    pub refused: Vec<String>,
}

impl Merged {
    /// Merges the answers of the peers of `plan`. What a peer sends under a name that is none is ignored.
    #[must_use]
    pub fn of(plan: &Plan, answers: &BTreeMap<PeerId, Answer>) -> Self {
        let mut merged = Self::default();
        for timing in Timing::ALL {
            merged.merge(plan, answers, timing);
        }
        merged
    }

    /// One group after the other, so that no more than two histograms of 190 KB are held whatever the number of groups.
    fn merge(&mut self, plan: &Plan, answers: &BTreeMap<PeerId, Answer>, timing: Timing) {
        let expected = takes_part(plan, timing);
        let groups: BTreeSet<&str> = plan.peers.iter().map(|peer| peer.group.as_str()).collect();
        let (mut all, mut by_group) = (Pool::new(), BTreeMap::new());
        for group in groups {
            let mut pool = Pool::new();
            for peer in plan.peers.iter().filter(|peer| peer.group == group) {
                let said = answers.get(&peer.id);
                match said.and_then(|answer| answer.get(timing.name())).map(|text| timing::decode(text)) {
                    Some(Ok(histogram)) => pool.add(&histogram, 1),
                    Some(Err(error)) => {
                        self.refused.push(format!("{} of {}: {error}", timing.name(), peer.name));
                        pool.missing += 1;
                    }
                    None => pool.missing += usize::from(said.is_none() && expected.contains(&peer.id)),
                }
            }
            all.add(&pool.histogram, pool.peers);
            all.missing += pool.missing;
            if let Some(spread) = pool.spread() {
                self.texts.insert(format!("{}.{group}", timing.name()), timing::encode(&pool.histogram));
                by_group.insert(group.to_owned(), spread);
            }
        }
        if let Some(spread) = all.spread() {
            self.texts.insert(timing.name().to_owned(), timing::encode(&all.histogram));
            self.found.push(TimingFound { name: timing.name().to_owned(), all: spread, groups: by_group });
        }
    }
}

/// What was merged in the run of `directory`, by name; nothing where there is nothing that can be read.
#[must_use]
pub fn read(directory: &RunDirectory) -> Answer {
    let text = std::fs::read(directory.timings()).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Peers that measure a quantity by the plan.
fn takes_part(plan: &Plan, timing: Timing) -> BTreeSet<PeerId> {
    match timing {
        Timing::SwarmLeaf => {
            let swarms = plan.steps.iter().filter_map(|step| step.action.distribute());
            let swarms = swarms.filter(|it| it.via == Via::Swarm && it.program.is_none());
            swarms.flat_map(|it| it.to.iter().copied()).collect()
        }
        Timing::RingAnswer => plan.rings.iter().flat_map(|ring| ring.members.iter().map(|it| it.peer)).collect(),
    }
}

/// Histograms of some peers, merged.
struct Pool {
    histogram: Histogram,
    peers: usize,
    missing: usize,
}

impl Pool {
    fn new() -> Self {
        Self { histogram: timing::histogram(), peers: 0, missing: 0 }
    }

    /// Adds what so many peers measured.
    fn add(&mut self, histogram: &Histogram, peers: usize) {
        self.histogram.add(histogram).expect("all have the same bounds");
        self.peers += peers;
    }

    /// None where nothing was measured.
    fn spread(&self) -> Option<TimingSpread> {
        let all = &self.histogram;
        let of = |quantile: f64| seconds(all.value_at_quantile(quantile));
        (!all.is_empty()).then(|| TimingSpread {
            count: all.len(),
            peers: self.peers,
            missing: self.missing,
            saturated: all.count_at(MICROS_MAX),
            seconds: Percentiles {
                p50: of(0.5),
                p90: of(0.9),
                p99: of(0.99),
                p99_9: of(0.999),
                max: seconds(all.max()),
            },
        })
    }
}

/// Microseconds as seconds.
pub(crate) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, topology};

    const TOPOLOGY: &str = "\
version: 1
name: merged
links: { home: { up: 2mbit, down: 20mbit } }
groups:
  origin: { link: home, swarm: seed, tracker: {} }
  near: { count: 2, link: home, swarm: leecher }
  far: { count: 2, link: home, swarm: leecher }
files: { release: { size: 1MiB } }
scenario:
  - distribute: { file: release, from: origin, to: [near, far], via: swarm }
";

    fn plan() -> Plan {
        let topology = topology::read("merged.yaml", TOPOLOGY).unwrap_or_else(|problems| panic!("{problems}"));
        plan::resolve(&topology).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// What the peer called `name` sends that measured these.
    fn answer(plan: &Plan, name: &str, millis: impl IntoIterator<Item = u64>) -> (PeerId, Answer) {
        let mut histogram: Histogram = timing::histogram();
        millis.into_iter().for_each(|millis| histogram.record(millis * 1_000).unwrap());
        (id(plan, name), Answer::from([("swarm.leaf".to_owned(), timing::encode(&histogram))]))
    }

    fn id(plan: &Plan, name: &str) -> PeerId {
        plan.peers.iter().find(|peer| peer.name == name).unwrap().id
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() <= 0.001
    }

    #[test]
    fn percentiles_are_of_all_values_and_no_mean_of_the_peers_percentiles() {
        let plan = plan();
        // One peer measured 900 short times, the other 100 long ones.
        let answers = [answer(&plan, "near-1", 1..=900), answer(&plan, "far-1", 5_001..=5_100)].into();
        let merged = Merged::of(&plan, &answers);
        let [found] = merged.found.as_slice() else { panic!("{merged:?}") };
        let all = &found.all;
        assert_eq!((found.name.as_str(), all.count, all.peers), ("swarm.leaf", 1_000, 2));
        for (found, expected) in [
            (all.seconds.p50, 0.5),
            (all.seconds.p90, 0.9),
            (all.seconds.p99, 5.09),
            (all.seconds.p99_9, 5.099),
            (all.seconds.max, 5.1),
        ] {
            assert!(is_near(found, expected), "{found} in place of {expected}: {all:?}");
        }
        let mean = (found.groups["near"].seconds.p50 + found.groups["far"].seconds.p50) / 2.0;
        assert!(is_near(mean, 2.75), "what an average of medians would say is far off: {mean}");
    }

    #[test]
    fn who_could_not_be_asked_is_counted_and_who_measured_nothing_is_not() {
        let plan = plan();
        let silent = (id(&plan, "far-1"), Answer::new());
        let origin = (id(&plan, "origin"), Answer::new());
        let answers = [answer(&plan, "near-1", [7]), answer(&plan, "near-2", [9]), silent, origin].into();
        let found = &Merged::of(&plan, &answers).found[0];
        assert_eq!((found.all.count, found.all.peers, found.all.missing), (2, 2, 1), "far-2 is gone");
        assert_eq!((found.groups["near"].peers, found.groups["near"].missing), (2, 0));
        assert!(!found.groups.contains_key("far") && !found.groups.contains_key("origin"));
        assert!(Merged::of(&plan, &BTreeMap::new()).found.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_dropped_and_named() {
        let plan = plan();
        let bad = (id(&plan, "near-2"), Answer::from([("swarm.leaf".to_owned(), "rubbish".to_owned())]));
        let unknown = (id(&plan, "far-1"), Answer::from([("swarm.speed".to_owned(), "rubbish".to_owned())]));
        let merged = Merged::of(&plan, &[answer(&plan, "near-1", [7]), bad, unknown].into());
        assert_eq!(merged.refused, ["swarm.leaf of near-2: it is no histogram"]);
        assert_eq!((merged.found[0].all.count, merged.found[0].all.peers, merged.found[0].all.missing), (1, 1, 2));
    }

    #[test]
    fn what_was_merged_can_be_read_back_by_name() {
        let plan = plan();
        let merged = Merged::of(&plan, &[answer(&plan, "near-1", [7]), answer(&plan, "far-1", [9])].into());
        let place = tempfile::tempdir().unwrap();
        let directory = RunDirectory::at(place.path());
        assert!(read(&directory).is_empty());
        std::fs::create_dir(directory.samples()).unwrap();
        directory.write_json(&directory.timings(), &merged.texts).unwrap();
        let texts = read(&directory);
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["swarm.leaf", "swarm.leaf.far", "swarm.leaf.near"]);
        assert_eq!(timing::decode(&texts["swarm.leaf.far"]).unwrap().len(), 1);
    }
}
