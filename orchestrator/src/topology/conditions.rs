//! The forms of `expect:` and `when:`: conditions, marked where they are wrong.

use std::ops::Range;

use super::{
    reader::{Reader, Written},
    tree::{Node, Value},
};
use crate::{
    diagnose::{Place, Problem},
    expect::Condition,
};

/// Reads the list of expectations.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Vec<Written<Condition>> {
    let items = reader.list(node, "`expect`").unwrap_or_default();
    items.iter().filter_map(|item| read_condition(reader, item)).collect()
}

/// Reads a condition that can be judged while the scenario is played.
pub(super) fn read_live(reader: &mut Reader, node: &Node) -> Option<Written<Condition>> {
    let condition = read_condition(reader, node)?;
    if condition.value.is_live() {
        return Some(condition);
    }
    let problem = Problem::new(condition.place, "this is not known before the run has ended");
    reader.problem(problem.hint("a step can wait for `progress` or `completed` of a distribution"));
    None
}

fn read_condition(reader: &mut Reader, node: &Node) -> Option<Written<Condition>> {
    let text = match unquoted(node) {
        Some(text) => text,
        None => reader.text(node, "a condition")?,
    };
    match Condition::parse(&text.value) {
        Ok(value) => Some(Written { value, place: text.place }),
        Err(error) => {
            let place = part(text.place, text.value.trim(), &error.range);
            reader.problem(Problem::new(place, error.message).hint(error.hint));
            None
        }
    }
}

/// `within 6s of crash: recovered` without quotes, which YAML takes for a key and its value.
fn unquoted(node: &Node) -> Option<Written<String>> {
    let Value::Map(entries) = &node.value else { return None };
    let [entry] = entries.as_slice() else { return None };
    let Value::Scalar(scalar) = &entry.value.value else { return None };
    let place = Place { end: entry.value.place.end, ..entry.place };
    entry.key.starts_with("within ").then(|| Written { value: format!("{}: {}", entry.key, scalar.text), place })
}

/// Where some bytes of a condition's trimmed text stand in the file; the whole text where escapes or blanks hide that.
pub(super) fn part(place: Place, text: &str, range: &Range<usize>) -> Place {
    let quote = match (place.end - place.start).checked_sub(text.len()) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return place,
    };
    let skipped = text.get(..range.start).map_or(0, |before| before.chars().count()) + quote;
    let start = place.start + quote;
    Place {
        line: place.line,
        column: place.column + u32::try_from(skipped).unwrap_or(0),
        start: start + range.start,
        end: start + range.end,
    }
}

#[cfg(test)]
mod tests {
    use crate::{plan, topology};

    const TOPOLOGY: &str = "\
version: 1
name: healing
links: { home: { up: 2mbit, down: 20mbit } }
groups:
  origin: { link: home, swarm: seed, tracker: {} }
  home: { count: 3, link: home, swarm: leecher }
files: { release: { size: 1MiB } }
scenario:
  - distribute: { file: release, from: origin, to: home, via: swarm }
  - { at: 2s, crash: { peers: home, count: 1 } }
expect:
  - within 6s of crash: distribution.release.uplink >= 1mbit
  - \"within 6s of crash: recovered\"
  - p95(distribution.release.completion) <= 40s
";

    #[test]
    fn what_has_to_come_true_after_a_fault_needs_no_quotes() {
        let topology = topology::read("healing.yaml", TOPOLOGY).unwrap_or_else(|problems| panic!("{problems}"));
        let plan = plan::resolve(&topology).unwrap_or_else(|problems| panic!("{problems}"));
        let expected = [
            "within 6s of crash: distribution.release.uplink >= 1mbit",
            "within 6s of crash: recovered",
            "p95(distribution.release.completion) <= 40s",
        ];
        assert_eq!(plan.expectations, expected);
    }

    #[test]
    fn a_distribution_that_is_not_there_is_missed_in_every_form() {
        for (there, wrong) in [
            ("distribution.release.uplink", "distribution.releas.uplink"),
            ("p95(distribution.release", "p95(distribution.releas"),
            ("p95(distribution.release.completion)", "p95(swarm.leaf.releas)"),
        ] {
            let problems = topology::read("healing.yaml", &TOPOLOGY.replace(there, wrong))
                .map(|topology| plan::resolve(&topology));
            let text = match problems {
                Err(problems) | Ok(Err(problems)) => problems.to_string(),
                Ok(Ok(_)) => panic!("{wrong} was accepted"),
            };
            assert!(text.contains("releas"), "{text}");
        }
    }
}
