//! The form of `set:`, and values that whoever starts a run sets in place of what a topology says.
//!
//! Settings given with `--set` are written at the end of the file's own text before anything is read, so that problems
//! have a place in it and the copy in the run's directory says all that was run. Paths are those of a sweep.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

use super::{
    reader::Reader,
    sweep,
    tree::{Entry, Node, Value},
};

/// A value for a place in a topology: `links.home.up=4mbit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    path: String,
    /// YAML on one line.
    value: String,
}

impl Setting {
    /// A setting of `path`, such as `scenario.0.distribute.via`, to `value`, YAML on one line.
    ///
    /// # Errors
    ///
    /// When `path` is no dotted path, or `value` is empty or of several lines. Whether the path leads anywhere and the value
    /// fits is judged when the topology is read.
    pub fn new(path: &str, value: &str) -> Result<Self, String> {
        let is_path = path
            .split('.')
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        if !is_path {
            return Err(format!("`{path}` is no path; write it as in `links.home.up=4mbit`"));
        }
        let value = value.trim();
        if value.is_empty() || value.contains(['\n', '\r']) {
            return Err(format!("`{path}` needs a value on one line"));
        }
        Ok(Self { path: path.to_owned(), value: value.to_owned() })
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, value) =
            text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`; write it as in `links.home.up=4mbit`"))?;
        Self::new(path.trim(), value)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.path, self.value)
    }
}

/// The text of a topology with `settings` at its end, where they stand in place of what is written before. A file whose
/// last section is `set:` already has them added there.
#[must_use]
pub fn with_settings(text: &str, settings: &[Setting]) -> String {
    let mut all = text.to_owned();
    if settings.is_empty() {
        return all;
    }
    if !all.ends_with('\n') {
        all.push('\n');
    }
    let last = text.lines().rfind(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()));
    if last.map(str::trim_end) != Some("set:") {
        all.push_str("\n# Set by whoever started the run.\nset:\n");
    }
    for Setting { path, value } in settings {
        let _ = writeln!(all, "  {path}: {value}");
    }
    all
}

/// The form of `set`.
pub(super) fn schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object", "patternProperties": { sweep::PATH_PATTERN: {} }, "additionalProperties": false,
    })
}

/// The tree with what its `set:` says in its places; problems are reported.
///
/// A path that is swept takes one value in place of the axis, or the list of values that the axis is to have.
pub(super) fn applied(reader: &mut Reader, mut tree: Node) -> Node {
    let Value::Map(sections) = &tree.value else { return tree };
    let Some(section) = sections.iter().find(|entry| entry.key == "set").map(|entry| entry.value.clone()) else {
        return tree;
    };
    for setting in reader.entries(&section, "`set`").unwrap_or_default() {
        let Some(path) = sweep::read_path(reader, setting) else { continue };
        let (axes, value) = (swept(&mut tree), &setting.value);
        let axis = axes.and_then(|axes| axes.iter().position(|axis| axis.key == setting.key).map(|at| (axes, at)));
        match (axis, &value.value) {
            (Some((axes, at)), Value::List(_)) => axes[at].value = value.clone(),
            (axis, Value::List(_) | Value::Scalar(_) | Value::Map(_)) => {
                if let Some((axes, at)) = axis {
                    axes.remove(at);
                }
                if let Err(problem) = sweep::put(&mut tree, &path, value) {
                    reader.problem(problem);
                }
            }
        }
    }
    tree
}

/// The axes of the tree's sweep, where it has one.
fn swept(tree: &mut Node) -> Option<&mut Vec<Entry>> {
    let Value::Map(sections) = &mut tree.value else { return None };
    match &mut sections.iter_mut().find(|entry| entry.key == "sweep")?.value.value {
        Value::Map(axes) => Some(axes),
        Value::List(_) | Value::Scalar(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{self, Topology, sweep};

    const SWEPT: &str = "version: 1
name: small
links:
  home: { up: 2mbit, down: 20mbit }
groups:
  origin: { link: home, swarm: seed, tracker: {} }
  home: { count: 10, link: home, swarm: leecher }
files:
  blob: { size: 1MiB }
scenario:
- distribute: { file: blob, from: origin, to: home, via: swarm }
expect:
- distribution.blob.ratio <= 2
sweep:
  groups.home.count: [5, 10]
  scenario.0.distribute.via: [swarm, client-server]
";

    fn read(settings: &[&str]) -> Result<Topology, String> {
        let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
        topology::read("small.yaml", &with_settings(SWEPT, &settings))
            .map_err(|problems| problems.render(crate::diagnose::Colour::Off))
    }

    fn runs(settings: &[&str]) -> Vec<String> {
        let runs = sweep::expand(&read(settings).unwrap()).unwrap();
        runs.iter().map(|(combination, plan)| format!("{combination} of {}", plan.peers.len())).collect()
    }

    #[test]
    fn a_value_stands_in_place_of_the_one_that_is_written() {
        let found = runs(&["files.blob.size=2MiB", "groups.home.count=3", "scenario.0.distribute.via=swarm"]);
        assert_eq!(found, [" of 4"]);
        let topology = read(&["links.home={ up: 1mbit, down: 1mbit }", "engine=user", "seed=9"]).unwrap();
        assert_eq!(topology.seed, 9);
        let (_, plan) = sweep::expand(&topology).unwrap().remove(0);
        assert_eq!(plan.links[0].up.rate.map(|rate| rate.0), Some(1_000_000));
    }

    #[test]
    fn a_list_takes_the_place_of_swept_values_and_a_single_value_ends_the_sweep_of_a_path() {
        let found = runs(&["groups.home.count=[2, 3]", "scenario.0.distribute.via=swarm"]);
        assert_eq!(found, ["groups.home.count=2 of 3", "groups.home.count=3 of 4"]);
    }

    #[test]
    fn what_does_not_fit_is_reported_at_the_setting() {
        for (setting, words) in [
            ("links.hom.up=2mbit", "the path `links.hom.up` leads nowhere: there is no `hom` in `links`"),
            ("links.home.up=2", "2"),
            ("name=other", "`name` stays as it is written"),
            ("sweep.repeat=3", "`sweep` stays as it is written"),
        ] {
            let rendered = read(&[setting]).unwrap_err();
            assert!(rendered.contains(words), "{words} in\n{rendered}");
            // The line below `set:`, the last one of the file.
            assert!(rendered.contains("small.yaml:20:"), "{rendered}");
        }
    }

    #[test]
    fn a_path_is_set_once() {
        let rendered = read(&["links.home.up=3mbit", "links.home.up=4mbit"]).unwrap_err();
        assert!(rendered.contains("`links.home.up` is written twice"), "{rendered}");
    }

    #[test]
    fn what_was_set_once_may_be_set_further() {
        let once = with_settings(SWEPT, &["links.home.up=3mbit".parse().unwrap()]);
        let twice = with_settings(&once, &["links.home.down=3mbit".parse().unwrap()]);
        assert_eq!(twice.matches("\nset:\n").count(), 1, "{twice}");
        assert!(topology::read("small.yaml", &twice).is_ok(), "{twice}");
        assert_eq!(with_settings(SWEPT, &[]), SWEPT);
    }

    #[test]
    fn a_setting_is_a_path_and_a_value() {
        assert_eq!("a.b = [1, 2]".parse(), Setting::new("a.b", "[1, 2]"));
        for bad in ["a.b", "=1", "a..b=1", "a b=1", "a.b=", "a.b=1\nc: 2"] {
            assert!(bad.parse::<Setting>().is_err(), "{bad}");
        }
    }
}
