//! Live runs: what a run publishes of itself while it lives, and finding such runs again.
//!
//! A run writes `live.json` as soon as its network stands and removes it when it is taken down. One that was killed
//! leaves the file; whether its process still lives is read from the kernel (`live/process`). Each peer's own process
//! stands in its directory. Joining a namespace lives in `real::attach`, the table of `ps` in `live/listing`.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, anyhow};
use peerbed_proto::id::PeerId;
use serde::{Deserialize, Serialize};

use crate::{calendar::timestamp, diagnose::suggestion, plan::Plan, run_directory::RunDirectory};

mod listing;
mod process;

pub use listing::{PeerListing, RunListing, State, listing, table};
pub use process::ProcessRef;

/// What a run publishes of itself, in `live.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Version of this format; [`SCHEMA`].
    pub schema: u32,
    /// Name of the topology.
    pub name: String,
    /// The orchestrator: it holds the namespaces.
    pub process: ProcessRef,
    /// When the network stood, UTC.
    pub started_at: String,
    /// What shapes the links.
    pub engine: String,
    /// Every peer of the plan, whether its process runs or not.
    pub peers: Vec<Place>,
}

/// Where one peer of a live run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its class of link.
    pub link: String,
    /// Its network namespace.
    pub namespace: NamespaceRef,
}

/// A network namespace, as the orchestrator holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRef {
    /// Number of the orchestrator's file descriptor.
    pub descriptor: i32,
    /// Inode of the namespace; a descriptor that has come to mean something else has another one.
    pub inode: u64,
}

/// The process of one peer, in its directory's `process.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerProcess {
    /// Which process.
    pub process: ProcessRef,
    /// Whether it has answered, or whatever else shows that it can be used.
    pub ready: bool,
}

/// A run that publishes itself until this is dropped.
#[derive(Debug)]
pub struct Published(PathBuf);

impl Published {
    /// Writes down where the peers of `plan` are.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or `/proc` is not there.
    pub fn new(
        plan: &Plan,
        run: &RunDirectory,
        engine: &str,
        namespaces: &BTreeMap<PeerId, NamespaceRef>,
    ) -> anyhow::Result<Self> {
        let place = |peer: &crate::plan::Peer| {
            let namespace = namespaces.get(&peer.id).copied();
            let namespace = namespace.with_context(|| format!("there is no namespace for {}", peer.name))?;
            Ok(Place { name: peer.name.clone(), address: peer.address, link: peer.link.clone(), namespace })
        };
        let publication = Publication {
            schema: SCHEMA,
            name: plan.name.clone(),
            process: ProcessRef::own().context("reading this process's own start from /proc")?,
            started_at: timestamp(SystemTime::now()),
            engine: engine.to_owned(),
            peers: plan.peers.iter().map(place).collect::<anyhow::Result<_>>()?,
        };
        run.write_json(&run.live(), &publication)?;
        Ok(Self(run.live()))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // A file that stays is known as a dead run's by its process.
        let _ = fs::remove_file(&self.0);
    }
}

/// A run whose orchestrator lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRun {
    /// Its directory.
    pub directory: RunDirectory,
    /// What it says of itself.
    pub publication: Publication,
}

impl LiveRun {
    /// The run in `directory`, when it lives.
    #[must_use]
    pub fn at(directory: &RunDirectory) -> Option<Self> {
        let publication = fs::read(directory.live()).ok()?;
        let publication: Publication = serde_json::from_slice(&publication).ok()?;
        let is_live = publication.schema == SCHEMA && publication.process.is_alive();
        is_live.then(|| Self { directory: directory.clone(), publication })
    }

    /// The peer of this name.
    ///
    /// # Errors
    ///
    /// When there is none; names what comes near.
    pub fn peer(&self, name: &str) -> anyhow::Result<&Place> {
        let peers = &self.publication.peers;
        peers.iter().find(|peer| peer.name == name).ok_or_else(|| {
            let hint = suggestion(name, peers.iter().map(|peer| peer.name.as_str()));
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            anyhow!("run {} has no peer `{name}`{hint}", self.label())
        })
    }

    /// What it is called: the last part of its directory.
    #[must_use]
    pub fn label(&self) -> String {
        self.directory.root().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn is_called(&self, name: &str) -> bool {
        let parent = self.directory.root().parent().and_then(Path::file_name);
        self.label() == name || self.publication.name == name || parent.is_some_and(|parent| parent == name)
    }
}

/// Every live run below `runs`, newest first: runs themselves, and those of sweeps one level deeper.
#[must_use]
pub fn all_below(runs: &Path) -> Vec<LiveRun> {
    let mut found: Vec<LiveRun> = Vec::new();
    for directory in directories(runs) {
        found.extend(LiveRun::at(&RunDirectory::at(&directory)));
        found.extend(directories(&directory).iter().filter_map(|inner| LiveRun::at(&RunDirectory::at(inner))));
    }
    found.sort_by(|a, b| b.publication.started_at.cmp(&a.publication.started_at));
    found
}

/// The live run that `asked` means, a directory or a name of one below `runs`; the only one there is where nothing is
/// asked for.
///
/// # Errors
///
/// When none lives, when the one asked for does not, and when several could be meant; says which there are.
pub fn find(asked: Option<&Path>, runs: &Path) -> anyhow::Result<LiveRun> {
    let Some(asked) = asked else {
        let below = runs.display();
        return only(all_below(runs), &format!("no run is live below {below}; name another place with --run DIR"));
    };
    if asked.is_dir() {
        let directory =
            RunDirectory::at(&asked.canonicalize().with_context(|| format!("finding {}", asked.display()))?);
        let inner = directories(directory.root());
        let inner = inner.iter().filter_map(|inner| LiveRun::at(&RunDirectory::at(inner)));
        let place = asked.display();
        let why = match (directory.results().exists(), directory.plan().exists()) {
            (true, _) => format!("the run in {place} has ended"),
            (false, true) => format!("the run in {place} was killed, or has no network yet"),
            (false, false) => format!("{place} is not a run directory"),
        };
        return only(LiveRun::at(&directory).into_iter().chain(inner).collect(), &why);
    }
    let all = all_below(runs);
    let name = asked.to_string_lossy();
    let labels: Vec<String> = all.iter().map(LiveRun::label).collect();
    let hint = suggestion(&name, labels.iter().map(String::as_str)).map(|hint| format!(" ({hint})"));
    let called = all.into_iter().filter(|run| run.is_called(&name)).collect();
    only(called, &format!("no live run is called `{name}`{}", hint.unwrap_or_default()))
}

/// The one of `runs`, or why not.
fn only(mut runs: Vec<LiveRun>, why_none: &str) -> anyhow::Result<LiveRun> {
    match (runs.pop(), runs.len()) {
        (None, _) => Err(anyhow!("{why_none}")),
        (Some(run), 0) => Ok(run),
        (Some(last), _) => {
            let all = runs.iter().chain([&last]);
            let all: Vec<String> = all.map(|run| format!("--run {}", run.directory.root().display())).collect();
            Err(anyhow!("{} runs are live; say which: {}", all.len(), all.join(", or ")))
        }
    }
}

fn directories(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// Version of the format of `live.json`.
pub const SCHEMA: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(root: &Path, name: &str, process: ProcessRef) {
        let run = RunDirectory::create(root).unwrap();
        let place = |name: &str| Place {
            name: name.to_owned(),
            address: Ipv4Addr::LOCALHOST,
            link: "home".to_owned(),
            namespace: NamespaceRef { descriptor: 3, inode: 4 },
        };
        let publication = Publication {
            schema: SCHEMA,
            name: name.to_owned(),
            process,
            started_at: timestamp(SystemTime::now()),
            engine: "kernel".to_owned(),
            peers: vec![place("origin"), place("home-1")],
        };
        run.write_json(&run.live(), &publication).unwrap();
    }

    #[test]
    fn a_run_is_found_by_directory_by_name_and_as_the_only_one() {
        let runs = tempfile::tempdir().unwrap();
        let own = ProcessRef::own().unwrap();
        let none = find(None, runs.path()).unwrap_err().to_string();
        assert!(none.starts_with("no run is live below"), "{none}");
        leave(&runs.path().join("demo-1"), "demo", own.clone());
        // The same number with another start is another process.
        leave(&runs.path().join("dead"), "dead", ProcessRef { start: own.start + 1, ..own.clone() });
        for asked in [None, Some("demo-1"), Some("demo"), Some(runs.path().join("demo-1").to_str().unwrap())] {
            assert_eq!(find(asked.map(Path::new), runs.path()).unwrap().label(), "demo-1", "{asked:?}");
        }
        leave(&runs.path().join("sweep/001-n=5"), "other", own);
        let several = find(None, runs.path()).unwrap_err().to_string();
        assert!(several.starts_with("2 runs are live; say which: --run "), "{several}");
        assert_eq!(find(Some(Path::new("sweep")), runs.path()).unwrap().label(), "001-n=5");
    }

    #[test]
    fn what_is_not_there_is_named_with_what_comes_near() {
        let runs = tempfile::tempdir().unwrap();
        leave(&runs.path().join("demo-1"), "demo", ProcessRef::own().unwrap());
        let run = find(None, runs.path()).unwrap();
        assert!(run.peer("home-1").is_ok());
        let unknown = run.peer("hone-1").unwrap_err().to_string();
        assert_eq!(unknown, "run demo-1 has no peer `hone-1` (did you mean `home-1`?)");
        let unknown = find(Some(Path::new("demo-2")), runs.path()).unwrap_err().to_string();
        assert_eq!(unknown, "no live run is called `demo-2` (did you mean `demo-1`?)");
        let stranger = find(Some(runs.path().join("demo-1/..").as_path()), &runs.path().join("none"));
        assert_eq!(stranger.unwrap().label(), "demo-1");
        let empty = tempfile::tempdir().unwrap();
        let none = find(Some(empty.path()), runs.path()).unwrap_err().to_string();
        assert!(none.ends_with("is not a run directory"), "{none}");
    }
}
