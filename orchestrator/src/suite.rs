//! A suite: many topologies run one after another, as a pipeline wants them judged.
//!
//! A suite file lists topologies with tags, the time each may take, and how often one whose verdict is invalid is tried
//! again: a busy host is a reason to look once more, a failed expectation is not. Each run is a `peerbed run` of its own,
//! so that no run can spoil another. Reading the file lives here, carrying it out in `carry_out`, one attempt in
//! `attempt`, what came of it all in `outcome`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{topology::Setting, units::Span};

mod attempt;
mod carry_out;
mod outcome;

pub use carry_out::{Options, carry_out};
pub use outcome::{Ended, SuiteOutcome};

/// A suite as written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Version of the format; 1.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// What it runs, in order.
    pub topologies: Vec<Entry>,
}

/// One topology of a suite.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The topology's file, relative to the suite's.
    pub file: PathBuf,
    /// What its directory and test suite are called; the file's name without its ending unless given.
    #[serde(default)]
    name: Option<String>,
    /// Words to choose topologies by.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// How long an attempt may take before it is ended; 10 minutes unless given, more than any ready topology that is no
    /// sweep takes.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
    /// How often a run whose verdict is invalid is tried again, 0 to 5; once unless given.
    #[serde(default = "once")]
    pub retries: u32,
    /// Repetitions of the run, each with a seed of its own; none takes the topology's.
    #[serde(default)]
    pub repeat: Option<u32>,
    /// Values in place of the topology's, by their paths in it; none unless given.
    #[serde(default, rename = "set", deserialize_with = "settings")]
    pub settings: Vec<Setting>,
}

impl Suite {
    /// Whether the file at `path` is a suite and no topology, by its form.
    #[must_use]
    pub fn is_at(path: &Path) -> bool {
        fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.trim_end() == "topologies:"))
    }

    /// Reads a suite and finds the files it names.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the file, with its place, or every topology that does not exist.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut suite: Self =
            serde_saphyr::from_str(&text).map_err(|error| anyhow!("{} is no suite: {error}", path.display()))?;
        let beside = path.parent().unwrap_or(Path::new(""));
        for entry in &mut suite.topologies {
            entry.file = beside.join(&entry.file);
        }
        suite.check().with_context(|| path.display().to_string())?;
        Ok(suite)
    }

    /// Keeps the topologies that have one of these tags; all where no tag is given.
    ///
    /// # Errors
    ///
    /// When nothing has any of the tags; the message lists those there are.
    pub fn select(&mut self, tags: &[String]) -> anyhow::Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let known: BTreeSet<&String> = self.topologies.iter().flat_map(|entry| &entry.tags).collect();
        let known = known.into_iter().cloned().collect::<Vec<_>>().join(", ");
        self.topologies.retain(|entry| tags.iter().any(|tag| entry.tags.contains(tag)));
        if self.topologies.is_empty() {
            bail!("no topology of the suite has a tag of {}; there are {known}", tags.join(", "));
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.version != VERSION {
            bail!("version {} is not known; this Peerbed reads version {VERSION}", self.version);
        }
        if self.topologies.is_empty() {
            bail!("the suite lists no topologies");
        }
        let missing: Vec<String> = self
            .topologies
            .iter()
            .filter(|entry| !entry.file.is_file())
            .map(|entry| format!("there is no topology {}", entry.file.display()))
            .collect();
        if !missing.is_empty() {
            bail!("{}", missing.join("; "));
        }
        let mut names = BTreeSet::new();
        for entry in &self.topologies {
            let name = entry.name();
            if !names.insert(name.clone()) {
                bail!("two topologies are called `{name}`; give one a `name`");
            }
            if name.is_empty()
                || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                || name.starts_with('.')
            {
                bail!("`{name}` cannot be a directory's name: take letters, digits, dashes, dots and underscores");
            }
            if entry.retries > RETRIES_MAX {
                bail!("`{name}` is retried {} times; {RETRIES_MAX} is the most", entry.retries);
            }
        }
        Ok(())
    }
}

impl Entry {
    /// What its directory and test suite are called.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
        })
    }
}

/// Reads a map from paths to values, whatever these are.
fn settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Setting>, D::Error> {
    let written = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
    // JSON on one line is YAML on one line.
    let read = written.iter().map(|(path, value)| Setting::new(path, &value.to_string()));
    read.collect::<Result<_, _>>().map_err(D::Error::custom)
}

fn ten_minutes() -> Span {
    Span(std::time::Duration::from_secs(600))
}

fn once() -> u32 {
    1
}

const VERSION: u32 = 1;
/// A host that was in the way six times will be a seventh time.
const RETRIES_MAX: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Suite> {
        let place = tempfile::tempdir().unwrap();
        for name in ["demo.yaml", "other.yaml"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        let path = place.path().join("suite.yaml");
        fs::write(&path, text).unwrap();
        Suite::read(&path)
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let suite = read("version: 1\nname: s\ntopologies:\n- { file: demo.yaml, tags: [quick] }\n").unwrap();
        let entry = &suite.topologies[0];
        assert_eq!((entry.name(), entry.retries, entry.timeout), ("demo".into(), 1, "10m".parse().unwrap()));
        assert!(entry.file.ends_with("demo.yaml") && entry.file.is_absolute());
        assert!(entry.settings.is_empty() && entry.repeat.is_none());
    }

    #[test]
    fn an_entry_sets_values_of_any_kind() {
        let set = "{ files.blob.size: 2MiB, groups.home.count: [5, 10], seed: 3 }";
        let suite = read(&format!("version: 1\nname: s\ntopologies:\n- {{ file: demo.yaml, set: {set} }}\n")).unwrap();
        let found: Vec<String> = suite.topologies[0].settings.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["files.blob.size=\"2MiB\"", "groups.home.count=[5,10]", "seed=3"]);
    }

    #[test]
    fn tags_choose_and_an_unknown_one_names_those_there_are() {
        let text = "version: 1\nname: s\ntopologies:\n- { file: demo.yaml, tags: [quick] }\n- { file: other.yaml, tags: [long] }\n";
        let mut suite = read(text).unwrap();
        suite.select(&["quick".into()]).unwrap();
        assert_eq!(suite.topologies.len(), 1);
        let error = suite.select(&["long".into()]).unwrap_err().to_string();
        assert!(error.ends_with("there are quick"), "{error}");
    }

    #[test]
    fn a_bad_suite_is_refused_with_the_reason() {
        for (text, reason) in [
            ("version: 1\nname: s\ntopologies: []\n", "lists no topologies"),
            ("version: 2\nname: s\ntopologies:\n- { file: demo.yaml }\n", "version 2 is not known"),
            ("version: 1\nname: s\ntopologies:\n- { file: none.yaml }\n", "there is no topology"),
            (
                "version: 1\nname: s\ntopologies:\n- { file: demo.yaml }\n- { file: demo.yaml }\n",
                "two topologies are called `demo`",
            ),
            ("version: 1\nname: s\ntopologies:\n- { file: demo.yaml, retries: 6 }\n", "5 is the most"),
            ("version: 1\nname: s\ntopologies:\n- { file: demo.yaml, name: ../x }\n", "cannot be a directory's name"),
            ("version: 1\nname: s\ntopologies:\n- { file: demo.yaml, tag: x }\n", "tag"),
            ("version: 1\nname: s\ntopologies:\n- { file: demo.yaml, set: { a..b: 1 } }\n", "is no path"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }
}
