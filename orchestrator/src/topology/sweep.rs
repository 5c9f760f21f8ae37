//! The form of `sweep:`, and the runs that it stands for.
//!
//! A sweep names places in the file by dotted paths (`groups.home.count`, `scenario.0.distribute.via`) and lists values
//! for each. Values are put into the tree before it is read, so that whatever is wrong with one is reported at the
//! sweep's own value.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{
    Topology, check, read_tree,
    reader::{Reader, Written},
    repeated_seed,
    tree::{Entry, Node, Value},
};
use crate::{
    diagnose::{Problem, Problems, suggestion},
    plan::{self, Plan},
};

/// What is varied over many runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Paths with their values, in the order of the file.
    axes: Vec<Axis>,
    /// How often each combination is run.
    pub repeat: usize,
}

/// One path and its values.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    path: Written<String>,
    values: Vec<Node>,
}

/// What whoever starts a run may set in place of what the topology says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Seed of the first repetition of every combination.
    pub seed: Option<u64>,
    /// How often each combination is run.
    pub repeat: Option<usize>,
}

/// One run of a sweep: the values it takes and which repetition it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Combination {
    /// Paths with their values, in the order of the file; empty without a sweep.
    pub values: Map<String, Json>,
    /// Which repetition, from 1.
    pub repeat: usize,
    /// How many repetitions there are.
    pub repeats: usize,
}

/// `groups.home.count=5 scenario.0.distribute.via=swarm #2`; empty for the one run of a topology without a sweep.
impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (path, value)) in self.values.iter().enumerate() {
            write!(f, "{}{path}=", if index == 0 { "" } else { " " })?;
            match value.as_str() {
                Some(text) => f.write_str(text)?,
                None => write!(f, "{value}")?,
            }
        }
        if self.repeats > 1 {
            write!(f, "{}#{}", if self.values.is_empty() { "" } else { " " }, self.repeat)?;
        }
        Ok(())
    }
}

/// Most runs of one sweep. At a minute each they take more than a day.
const RUNS_MAX: usize = 2_000;
/// Most repetitions of each combination.
const REPEAT_MAX: u64 = 1_000;

/// Plans every run of a topology: one without a sweep; otherwise every combination of values, the last path varying
/// fastest, and all of that once per repetition, so that a sweep ended early has seen every combination.
///
/// The first repetition has the topology's own seed, the others have seeds that follow from it.
///
/// # Errors
///
/// What planning reports, for every combination.
pub fn expand(topology: &Topology) -> Result<Vec<(Combination, Plan)>, Problems> {
    expand_with(topology, Overrides::default())
}

/// As [`expand`], with some of the topology's values replaced.
///
/// # Errors
///
/// As [`expand`].
pub fn expand_with(topology: &Topology, overrides: Overrides) -> Result<Vec<(Combination, Plan)>, Problems> {
    let mut reader = Reader::default();
    let mut runs = Vec::new();
    let repeats = overrides.repeat.unwrap_or_else(|| topology.sweep.as_ref().map_or(1, |sweep| sweep.repeat));
    let combinations = combinations(&mut reader, topology);
    for repeat in 1..=repeats {
        for (values, combined) in &combinations {
            let mut repeated = combined.clone();
            repeated.seed = repeated_seed(overrides.seed.unwrap_or(combined.seed), repeat);
            let combination = Combination { values: values.clone(), repeat, repeats };
            match plan::resolve(&repeated) {
                Ok(plan) => runs.push((combination, plan)),
                Err(problems) => reader.problems.extend(problems.items),
            }
        }
    }
    if reader.problems.is_empty() { Ok(runs) } else { Err(topology.problems(reader.problems)) }
}

/// Lists runs by number, combination and size, one a line.
#[must_use]
pub fn listing(runs: &[(Combination, Plan)]) -> String {
    let plural = if runs.len() == 1 { "run" } else { "runs" };
    let mut text = format!("{} {plural}:\n", runs.len());
    for (index, (combination, plan)) in runs.iter().enumerate() {
        let peers = plan.peers.len();
        text.push_str(&format!("{:>5}  {combination}  ({peers} peers, seed {})\n", index + 1, plan.seed));
    }
    text
}

/// Reports what is wrong with swept values, and expectations that look at nothing in any run.
pub(super) fn check(reader: &mut Reader, topology: &Topology) {
    if topology.sweep.is_none() {
        return;
    }
    let combinations = combinations(reader, topology);
    // Expectations may be about distributions that only some of the runs have; the base is one more to look at.
    let runs = || combinations.iter().map(|(_, combined)| combined).chain([topology]);
    if runs().all(check::knows_distributions) {
        let all: Vec<_> = runs().flat_map(|run| run.distributions().map(|(_, it)| it)).collect();
        check::expectations(reader, topology, &all);
    }
}

/// Every combination of values with the topology that it makes; problems are reported.
fn combinations(reader: &mut Reader, topology: &Topology) -> Vec<(Map<String, Json>, Topology)> {
    let axes = topology.sweep.as_ref().map_or(&[][..], |sweep| &sweep.axes);
    let count = axes.iter().map(|axis| axis.values.len()).product::<usize>();
    let mut combinations = Vec::new();
    for number in 0..count {
        let mut tree = topology.document.tree.clone();
        let mut values = Map::new();
        let mut rest = number;
        let mut picks = Vec::new();
        for axis in axes.iter().rev() {
            picks.push(&axis.values[rest % axis.values.len()]);
            rest /= axis.values.len();
        }
        for (axis, value) in axes.iter().zip(picks.into_iter().rev()) {
            values.insert(axis.path.value.clone(), value.to_json());
            if let Err(problem) = put(&mut tree, &axis.path, value) {
                reader.problem(problem);
            }
        }
        if let Some(combined) = read_tree(reader, &topology.document, &tree) {
            combinations.push((values, combined));
        }
    }
    combinations
}

/// Puts a value in place of the one that a path leads to.
pub(super) fn put(tree: &mut Node, path: &Written<String>, value: &Node) -> Result<(), Problem> {
    let segments: Vec<&str> = path.value.split('.').collect();
    let mut node = tree;
    for (depth, segment) in segments.iter().enumerate() {
        let before = segments[..depth].join(".");
        let lost = |message: String, hint: Option<String>| Problem {
            hint,
            ..Problem::new(path.place, format!("the path `{}` leads nowhere: {message}", path.value))
        };
        node = match &mut node.value {
            Value::Map(entries) => {
                let known = entries.iter().position(|entry| entry.key == *segment);
                let is_last = depth + 1 == segments.len();
                let index = match known {
                    Some(index) => index,
                    // A key that was left at its default may be swept; the section's reader judges it. Names are not
                    // made up by a sweep.
                    None if is_last && depth != 1 => {
                        let key = (*segment).to_owned();
                        entries.push(Entry { key, place: path.place, value: value.clone() });
                        entries.len() - 1
                    }
                    None => {
                        let hint = suggestion(segment, entries.iter().map(|entry| entry.key.as_str()));
                        return Err(lost(format!("there is no `{segment}`{}", within(&before)), hint));
                    }
                };
                &mut entries[index].value
            }
            Value::List(items) => {
                let count = items.len();
                let item = segment.parse::<usize>().ok().and_then(|index| items.get_mut(index));
                item.ok_or_else(|| {
                    let hint = format!("items are numbered from 0, the last one is {}", count.saturating_sub(1));
                    lost(format!("there is no item `{segment}`{}", within(&before)), Some(hint))
                })?
            }
            Value::Scalar(_) => {
                let hint = Some("name the value as a whole, or write it as a map".to_owned());
                return Err(lost(format!("`{before}` is a single value"), hint));
            }
        };
    }
    *node = value.clone();
    Ok(())
}

fn within(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in `{path}`") }
}

/// The form of a sweep.
pub(super) fn schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "properties": {
            "repeat": {
                "type": "integer", "minimum": 1, "maximum": REPEAT_MAX,
                "description": "how often each combination is run (default 1)",
            },
        },
        "patternProperties": { PATH_PATTERN: { "type": "array", "minItems": 1 } },
        "additionalProperties": false,
    })
}

/// Paths, which always have a dot or name a key of the topology itself.
pub(super) const PATH_PATTERN: &str = r"^(seed|engine|timeout|[a-z]+(\.[a-zA-Z0-9_-]+)+)$";

pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Sweep> {
    let mut sweep = Sweep { axes: Vec::new(), repeat: 1 };
    for entry in reader.entries(node, "`sweep`")? {
        if entry.key == "repeat" {
            let repeat = reader.integer(&entry.value, "number of repetitions", 1..=REPEAT_MAX);
            sweep.repeat = usize::try_from(repeat.map_or(1, |repeat| repeat.value)).expect("at most REPEAT_MAX");
        } else if let Some(axis) = read_axis(reader, entry) {
            sweep.axes.push(axis);
        }
    }
    check_overlaps(reader, &sweep.axes);
    let runs = sweep.axes.iter().map(|axis| axis.values.len()).try_fold(sweep.repeat, usize::checked_mul);
    if runs.is_none_or(|runs| runs > RUNS_MAX) {
        let runs = runs.map_or("too many".to_owned(), |runs| runs.to_string());
        let problem = Problem::new(node.place, format!("the sweep makes {runs} runs"));
        reader.problem(problem.hint(format!("at most {RUNS_MAX}; sweep fewer values, or repeat less often")));
        return None;
    }
    Some(sweep)
}

fn read_axis(reader: &mut Reader, entry: &Entry) -> Option<Axis> {
    let path = read_path(reader, entry)?;
    let values = reader.list(&entry.value, &format!("the values of `{}`", path.value))?;
    if values.is_empty() {
        reader.problem(Problem::new(entry.value.place, "the list of values is empty").hint("give at least one value"));
        return None;
    }
    Some(Axis { path, values: values.to_vec() })
}

/// The path that an entry's key is, unless it is one that stays as it is written.
pub(super) fn read_path(reader: &mut Reader, entry: &Entry) -> Option<Written<String>> {
    let path = Written { value: entry.key.clone(), place: entry.place };
    if let Some(top @ ("sweep" | "set" | "version" | "name" | "x")) = path.value.split(['.', '-']).next() {
        let problem = Problem::new(path.place, format!("`{top}` stays as it is written"));
        reader.problem(problem.hint("paths lead to links, regions, groups, files, steps, conditions or the seed"));
        return None;
    }
    Some(path)
}

/// A path below another one would be overwritten by it.
fn check_overlaps(reader: &mut Reader, axes: &[Axis]) {
    for axis in axes {
        let below =
            |other: &&Axis| axis.path.value.strip_prefix(&other.path.value).is_some_and(|rest| rest.starts_with('.'));
        if let Some(above) = axes.iter().find(below) {
            let message = format!("`{}` is part of `{}`, which is swept too", axis.path.value, above.path.value);
            reader.problem(Problem::new(axis.path.place, message).hint("sweep one of them"));
        }
    }
}
