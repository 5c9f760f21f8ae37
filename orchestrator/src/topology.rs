//! The topology: the YAML file as written.
//!
//! Reading judges the file alone: its form section by section, in the files named like the sections, and then what the
//! sections say of each other (`check`). Nothing here looks at the host. What is left open is decided by `plan`.

use std::{io, sync::Arc};

use peerbed_proto::Random;

use crate::{
    diagnose::{Problem, Problems},
    expect::Condition,
    plan::EngineChoice,
    units::Span,
};

mod arrivals;
mod check;
mod churn;
mod conditions;
mod faults;
mod files;
mod groups;
mod keys;
mod links;
mod names;
mod options;
mod places;
mod presets;
mod programs;
mod queries;
mod reader;
mod reference;
mod regions;
pub(crate) mod rings;
mod roster;
mod scenario;
mod settings;
pub mod sweep;
mod traces;
mod tree;

pub use arrivals::Arrivals;
pub use churn::Churn;
pub(crate) use faults::resolve_both;
pub use faults::{Amount, Flap, Heal, LinkChange, NewFields, Part, Partition};
pub(crate) use files::PIECE_DEFAULT;
pub use files::{Content, File};
pub use groups::{Group, Tracker};
use keys::{Form, Key, optional, required};
pub(crate) use links::PACKET;
pub use links::{Fields, Link, QueueFields};
pub use options::WrittenOptions;
pub(crate) use options::resolve as resolve_options;
pub use places::{PLACES, Places};
pub use presets::{PRESETS, Preset};
pub use programs::{Completion, Program, Ready, Requires};
pub(crate) use programs::{Placeholder, parts};
pub use queries::{Keys, Queries, QueryKind};
use reader::Reader;
pub use reader::Written;
pub use regions::Regions;
pub use rings::Membership;
pub(crate) use roster::Roster;
pub use scenario::{Action, Discovery, Distribute, Selection, Step, Timing};
pub use settings::{Setting, with_settings};
use sweep::Sweep;
use traces::Attached;
pub use traces::BYTES_MAX as ATTACHED_BYTES_MAX;
use tree::Node;

/// A topology that is free of problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// Its name.
    pub name: String,
    /// Everything random in a run follows from it; 1 where none is given.
    pub seed: u64,
    /// Which engine shapes the links.
    pub engine: EngineChoice,
    /// A run that takes longer is ended; none for the default.
    pub timeout: Option<Written<Span>>,
    /// Classes of access links.
    pub links: Vec<Link>,
    /// Places and the latencies between them.
    pub regions: Regions,
    /// Groups of peers.
    pub groups: Vec<Group>,
    /// What can be distributed.
    pub files: Vec<File>,
    /// What happens when.
    pub scenario: Vec<Step>,
    /// What decides pass or fail.
    pub expectations: Vec<Written<Condition>>,
    /// What is varied over many runs.
    pub sweep: Option<Sweep>,
    document: Arc<Document>,
    unread: Unread,
}

/// Reads the text of a file that a topology names.
pub type Lookup<'a> = dyn Fn(&str) -> io::Result<String> + 'a;

/// The file a topology was read from.
#[derive(Debug, PartialEq)]
struct Document {
    file: String,
    text: Arc<str>,
    tree: Node,
    /// The other files it names, read when it was.
    attached: Arc<Attached>,
}

/// Sections whose names are not known, because they could not be read at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unread {
    links: bool,
    groups: bool,
    files: bool,
    scenario: bool,
}

/// Reads a topology that names no other file. `file` is what problems call it.
///
/// # Errors
///
/// As [`read_with`].
pub fn read(file: &str, text: &str) -> Result<Topology, Problems> {
    read_with(file, text, &|_| Err(io::Error::new(io::ErrorKind::Unsupported, "no other files are read here")))
}

/// Reads a topology. `file` is what problems call it; `lookup` reads the text of another file that it names (a trace),
/// relative to it, at most [`ATTACHED_BYTES_MAX`] long. Each is asked for once, before anything is judged, so that
/// planning needs no file any more.
///
/// # Errors
///
/// Everything that is wrong with it, swept values included; where the text is not YAML, the first thing that is not.
pub fn read_with(file: &str, text: &str, lookup: &Lookup<'_>) -> Result<Topology, Problems> {
    let source: Arc<str> = text.into();
    let tree =
        tree::parse(text).map_err(|problem| Problems::new(file, source.clone(), vec![problem], |_| String::new()))?;
    let mut reader = Reader::default();
    let tree = settings::applied(&mut reader, tree);
    let attached = traces::mentioned(&tree).into_iter().map(|name| (name.to_owned(), attach(lookup, name)));
    let attached = Arc::new(attached.collect());
    let document = Arc::new(Document { file: file.to_owned(), text: source, tree, attached });
    let topology = read_tree(&mut reader, &document, &document.tree);
    let Some(topology) = topology else { return Err(document.problems(reader.problems)) };
    sweep::check(&mut reader, &topology);
    if reader.problems.is_empty() { Ok(topology) } else { Err(document.problems(reader.problems)) }
}

fn attach(lookup: &Lookup<'_>, name: &str) -> Result<String, String> {
    let text = lookup(name).map_err(|error| error.to_string())?;
    if text.len() as u64 > ATTACHED_BYTES_MAX {
        return Err(format!("it is larger than {} KiB", ATTACHED_BYTES_MAX >> 10));
    }
    Ok(text)
}

/// The JSON Schema of topologies.
#[must_use]
pub(crate) fn schema() -> serde_json::Value {
    let mut schema = keys::section_schema(KEYS);
    schema["patternProperties"] = serde_json::json!({ "^x-": {} });
    schema
}

/// Every section of the file with its keys, as Markdown.
pub(crate) fn reference() -> String {
    reference::sections(KEYS) + &options::reference()
}

impl Topology {
    /// The problems of this topology's file.
    pub(crate) fn problems(&self, problems: Vec<Problem>) -> Problems {
        self.document.problems(problems)
    }

    /// The distributions of the scenario with their steps, in order.
    pub fn distributions(&self) -> impl Iterator<Item = (usize, &Distribute)> {
        self.scenario.iter().enumerate().filter_map(|(index, step)| match &step.action {
            Some(Action::Distribute(distribute)) => Some((index, distribute)),
            _ => None,
        })
    }
}

impl Document {
    fn problems(&self, problems: Vec<Problem>) -> Problems {
        Problems::new(&self.file, self.text.clone(), problems, |place| self.tree.path_of(place))
    }
}

const KEYS: &[Key] = &[
    required("version", Form::Integer { min: 1, max: 1 }, "version of this format; 1"),
    required("name", Form::Name, "name of the topology, used for the directories of its runs"),
    optional("seed", Form::Integer { min: 0, max: u64::MAX }, "everything random in a run follows from it (default 1)"),
    optional(
        "engine",
        Form::Words(&["auto", "kernel", "user"]),
        "what shapes the links: kernel (tc: tbf and netem), user (TUN devices and our own queues, whose losses repeat \
         exactly), or auto (the default): kernel where the kernel can do all that is asked, user otherwise",
    ),
    optional("timeout", Form::Span, "a run that takes longer is ended (default: computed from the bounds)"),
    required("links", Form::Table(&links::FORM), "access links by name; every figure is for one direction, one way"),
    optional(
        "regions",
        Form::Other("map of names; map of names; time", regions::schema),
        "one-way latency from region to region, both ways unless both are given; and `preset: world-16` for sixteen \
         regions around the world (default none: regions add no latency)",
    ),
    required("groups", Form::Table(&groups::FORM), "groups of like peers by name"),
    optional("files", Form::Table(&files::FORM), "what can be distributed, by name"),
    required(
        "scenario",
        Form::List(&scenario::FORM),
        "what happens when; steps follow one another unless they say otherwise",
    ),
    optional(
        "expect",
        Form::List(&Form::Text),
        "conditions that decide pass or fail: distribution.release.ratio <= 1.3",
    ),
    optional(
        "sweep",
        Form::Other("map of dotted paths; list of values", sweep::schema),
        "paths into this file with lists of values; a run is made for every combination",
    ),
    optional(
        "set",
        Form::Other("map of dotted paths; value", settings::schema),
        "values in place of those that paths into this file lead to; of a path that is swept, one value or a list of them. \
         `--set PATH=VALUE` and suites add to it (default none)",
    ),
];

/// Reads a tree as a topology, as far as it can be read; nothing where it is not even a map.
fn read_tree(reader: &mut Reader, document: &Arc<Document>, tree: &Node) -> Option<Topology> {
    reader.attached = document.attached.clone();
    let section = reader.section_beside(tree, "the topology", tree.place, KEYS, |key| key.starts_with("x-"))?;
    if let Some(node) = section.value("version") {
        read_version(reader, node);
    }
    let name = section.value("name").and_then(|node| reader.text(node, "the name"));
    if let Some(name) = &name {
        names::check_written(reader, name, "topology");
    }
    let seed = section.value("seed").and_then(|node| reader.integer(node, "seed", 0..=u64::MAX));
    let engines = [("auto", EngineChoice::Auto), ("kernel", EngineChoice::Kernel), ("user", EngineChoice::User)];
    let engine = section.value("engine").and_then(|node| reader.word(node, "engine", &engines));
    let links = section.value("links").and_then(|node| links::read(reader, node));
    let groups = section.value("groups").and_then(|node| groups::read(reader, node));
    let files = section.value("files").map_or(Some(Vec::new()), |node| files::read(reader, node));
    let scenario = section.value("scenario").and_then(|node| scenario::read(reader, node));
    let unread = Unread {
        links: links.is_none(),
        groups: groups.is_none(),
        files: files.is_none(),
        scenario: scenario.is_none(),
    };
    let topology = Topology {
        name: name.map_or_else(String::new, |name| name.value),
        seed: seed.map_or(1, |seed| seed.value),
        engine: engine.map_or(EngineChoice::Auto, |engine| engine.value),
        timeout: section.value("timeout").and_then(|node| read_timeout(reader, node)),
        links: links.unwrap_or_default(),
        regions: section.value("regions").map(|node| regions::read(reader, node)).unwrap_or_default(),
        groups: groups.unwrap_or_default(),
        files: files.unwrap_or_default(),
        scenario: scenario.unwrap_or_default(),
        expectations: section.value("expect").map(|node| conditions::read(reader, node)).unwrap_or_default(),
        sweep: section.value("sweep").and_then(|node| sweep::read(reader, node)),
        document: document.clone(),
        unread,
    };
    check::check(reader, &topology);
    Some(topology)
}

fn read_version(reader: &mut Reader, node: &Node) {
    if let Some(version) = reader.integer(node, "version", 0..=u64::MAX).filter(|version| version.value != 1) {
        let problem = Problem::new(version.place, format!("version {} is not known here", version.value));
        reader.problem(problem.hint("this program reads version 1"));
    }
}

fn read_timeout(reader: &mut Reader, node: &Node) -> Option<Written<Span>> {
    let timeout = reader.quantity::<Span>(node)?;
    if timeout.value.0.is_zero() {
        reader.problem(Problem::new(timeout.place, "a timeout of nothing ends every run").hint("such as 5m"));
    }
    Some(timeout)
}

/// The seed of a run's repetition: the topology's own first, then seeds that follow from it.
fn repeated_seed(seed: u64, repeat: usize) -> u64 {
    if repeat == 1 { seed } else { Random::new(seed, &format!("repeat {repeat}")).bits() }
}
