//! The run directory: every file name in it, made once, here.
//!
//! Nothing else in the crate spells a path inside a run directory. What the files mean lives with the types that are
//! written to them; removal of payload files is here because only this file knows where they are.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, anyhow};
use serde::Serialize;

use crate::{
    calendar,
    plan::{Plan, Program},
};

/// The directory of one run, or of one sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDirectory {
    root: PathBuf,
}

impl RunDirectory {
    /// Makes the directory `root` with the places every run has.
    ///
    /// # Errors
    ///
    /// One sentence naming the directory when it cannot be made or written, or already holds a run.
    pub fn create(root: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(root).map_err(|e| disk_problem(&e, "make the run directory", root))?;
        // Absolute, because peers are told paths and work elsewhere.
        let root = root.canonicalize().map_err(|e| disk_problem(&e, "find the run directory", root))?;
        let directory = Self { root };
        if directory.results().exists() || directory.plan().exists() {
            return Err(anyhow!("{} already holds a run; choose another with --out", directory.root.display()));
        }
        let probe = directory.root.join(WRITE_PROBE);
        fs::write(&probe, b"").map_err(|e| disk_problem(&e, "write in the run directory", &directory.root))?;
        fs::remove_file(&probe).map_err(|e| disk_problem(&e, "write in the run directory", &directory.root))?;
        Ok(directory)
    }

    /// The directory at `root`, which exists because a run left it.
    ///
    /// # Errors
    ///
    /// When it holds no results.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let directory = Self { root: root.to_path_buf() };
        if directory.results().is_file() {
            Ok(directory)
        } else {
            Err(anyhow!("{} is not a run directory: it has no {RESULTS}", root.display()))
        }
    }

    /// The directory at `root`, whatever is in it.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// `runs/<name>-<time>`, with a number behind when two runs start in one second.
    #[must_use]
    pub fn default_root(name: &str, started: SystemTime) -> PathBuf {
        let base = format!("{name}-{}", calendar::compact(started));
        let mut root = Path::new(RUNS).join(&base);
        let mut number = 2;
        while root.exists() {
            root = Path::new(RUNS).join(format!("{base}-{number}"));
            number += 1;
        }
        root
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The topology as written.
    #[must_use]
    pub fn topology(&self) -> PathBuf {
        self.root.join("topology.yaml")
    }

    /// The plan; the first file of a run.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.root.join("plan.yaml")
    }

    /// What happened, one JSON object a line, in order of arrival.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.root.join("events.ndjson")
    }

    /// Status of every peer over time, one JSON object a line.
    #[must_use]
    pub fn peer_samples(&self) -> PathBuf {
        self.samples().join("peers.ndjson")
    }

    /// State of the host over time, one JSON object a line.
    #[must_use]
    pub fn host_samples(&self) -> PathBuf {
        self.samples().join("host.ndjson")
    }

    /// Histograms of what peers measured, merged over them, by the names of expectations.
    #[must_use]
    pub fn timings(&self) -> PathBuf {
        self.samples().join("timings.json")
    }

    /// Directory of the samples.
    #[must_use]
    pub fn samples(&self) -> PathBuf {
        self.root.join("samples")
    }

    /// What the run found.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.root.join(RESULTS)
    }

    /// The pictures of the run or sweep, in one file.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.root.join(REPORT)
    }

    /// What the run or sweep means to a pipeline, as JUnit writes it.
    #[must_use]
    pub fn junit(&self) -> PathBuf {
        self.root.join("junit.xml")
    }

    /// What the run publishes of itself while it lives.
    #[must_use]
    pub fn live(&self) -> PathBuf {
        self.root.join("live.json")
    }

    /// Directory of the Prometheus that ran beside the run.
    #[must_use]
    pub fn prometheus(&self) -> PathBuf {
        self.root.join("prometheus")
    }

    /// Its configuration.
    #[must_use]
    pub fn prometheus_configuration(&self) -> PathBuf {
        self.prometheus().join("prometheus.yml")
    }

    /// Its rules; the configuration names them.
    #[must_use]
    pub fn prometheus_rules(&self) -> PathBuf {
        self.prometheus().join("rules.yml")
    }

    /// Everything it scraped; any Prometheus opens it.
    #[must_use]
    pub fn prometheus_data(&self) -> PathBuf {
        self.prometheus().join("data")
    }

    /// What it printed.
    #[must_use]
    pub fn prometheus_log(&self) -> PathBuf {
        self.prometheus().join("log")
    }

    /// Names and addresses of all peers, as /etc/hosts has them.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// The host's /etc/nsswitch.conf, with names looked for in files alone.
    #[must_use]
    pub fn nsswitch(&self) -> PathBuf {
        self.root.join("nsswitch.conf")
    }

    /// Directory with one directory per peer.
    #[must_use]
    pub fn peers(&self) -> PathBuf {
        self.root.join("peers")
    }

    /// Directory of the peer called `name`: configuration, log, payload.
    #[must_use]
    pub fn peer(&self, name: &str) -> PathBuf {
        self.peers().join(name)
    }

    /// Configuration of the peer called `name`.
    #[must_use]
    pub fn peer_config(&self, name: &str) -> PathBuf {
        self.peer(name).join("config.json")
    }

    /// The latest process of the peer called `name`.
    #[must_use]
    pub fn peer_process(&self, name: &str) -> PathBuf {
        self.peer(name).join("process.json")
    }

    /// Everything that the processes of the peer called `name` printed.
    #[must_use]
    pub fn peer_log(&self, name: &str) -> PathBuf {
        self.peer(name).join("log")
    }

    /// Packets of the peer called `name`, where they were captured and kept.
    #[must_use]
    pub fn peer_packets(&self, name: &str) -> PathBuf {
        self.peer(name).join("packets.pcap")
    }

    /// Secrets of the connections of the peer called `name`, which decode its packets.
    #[must_use]
    pub fn peer_key_log(&self, name: &str) -> PathBuf {
        self.peer(name).join("keys.log")
    }

    /// The qlog of the peer called `name`.
    #[must_use]
    pub fn peer_qlog(&self, name: &str) -> PathBuf {
        self.peer(name).join("connections.sqlog")
    }

    /// Control socket of the peer called `name`; [`CONTROL`] in its own directory.
    #[must_use]
    pub fn peer_control(&self, name: &str) -> PathBuf {
        self.peer(name).join(CONTROL)
    }

    /// Certificate of the peer called `name`.
    #[must_use]
    pub fn peer_certificate(&self, name: &str) -> PathBuf {
        self.peer(name).join("certificate.pem")
    }

    /// Private key of the peer called `name`.
    #[must_use]
    pub fn peer_key(&self, name: &str) -> PathBuf {
        self.peer(name).join("key.pem")
    }

    /// Certificate of the run's authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.peers().join("authority.pem")
    }

    /// Who sits where in the ring called `name`.
    #[must_use]
    pub fn roster(&self, name: &str) -> PathBuf {
        self.peers().join(format!("{name}.roster.json"))
    }

    /// The original of the distributed file called `name`.
    #[must_use]
    pub fn original(&self, name: &str) -> PathBuf {
        self.content().join(name)
    }

    /// Manifest of the distributed file called `name`.
    #[must_use]
    pub fn manifest(&self, name: &str) -> PathBuf {
        self.content().join(format!("{name}.manifest.json"))
    }

    /// Hashes of the leaves of the distributed file called `name`.
    #[must_use]
    pub fn leaves(&self, name: &str) -> PathBuf {
        self.content().join(format!("{name}.leaves"))
    }

    /// Torrent of the distributed file called `name`, for programs that want one.
    #[must_use]
    pub fn torrent(&self, name: &str) -> PathBuf {
        self.content().join(format!("{name}.torrent"))
    }

    /// Payload of the distribution `id` at the peer called `name`.
    #[must_use]
    pub fn payload(&self, name: &str, id: &str) -> PathBuf {
        self.peer(name).join(id)
    }

    /// A file of the program that runs as the peer called `name`, by the path that its plan has for it.
    #[must_use]
    pub fn output(&self, name: &str, path: &str) -> PathBuf {
        let directory = self.peer(name);
        let filled = path.replace(Program::DIRECTORY, &directory.to_string_lossy());
        directory.join(filled)
    }

    /// Originals and manifests of the files that are distributed.
    #[must_use]
    pub fn content(&self) -> PathBuf {
        self.root.join("content")
    }

    /// Directory of the run number `index` (from 1) of a sweep.
    #[must_use]
    pub fn combination(&self, index: usize, label: &str) -> PathBuf {
        self.root.join(format!("{index:03}-{}", file_name(label)))
    }

    /// Makes the places that only a single run has.
    ///
    /// # Errors
    ///
    /// One sentence naming what cannot be made.
    pub fn create_places(&self) -> anyhow::Result<()> {
        for place in [self.samples(), self.peers(), self.content()] {
            fs::create_dir_all(&place).map_err(|e| disk_problem(&e, "make", &place))?;
        }
        Ok(())
    }

    /// Writes what the run will do and where that comes from, before anything else: the plan and the topology.
    ///
    /// # Errors
    ///
    /// One sentence naming what cannot be written.
    pub fn begin(&self, plan: &Plan, topology: &[u8]) -> anyhow::Result<()> {
        self.write_whole(&self.plan(), plan.to_yaml()?.as_bytes())?;
        self.write_whole(&self.topology(), topology)
    }

    /// Writes `bytes` to `path` so that a reader sees the old file or the whole new one.
    ///
    /// # Errors
    ///
    /// One sentence naming the file; a full disk is called a full disk.
    pub fn write_whole(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let partial = path.with_extension("partial");
        fs::write(&partial, bytes)
            .and_then(|()| fs::rename(&partial, path))
            .map_err(|e| disk_problem(&e, "write", path))
    }

    /// Writes `value` to `path` as readable JSON, whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`Self::write_whole`].
    pub fn write_json(&self, path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(value).with_context(|| format!("encoding {}", path.display()))?;
        text.push(b'\n');
        self.write_whole(path, &text)
    }

    /// Removes the payload of the distribution `id` at the peer called `name`; absence is fine.
    ///
    /// # Errors
    ///
    /// When it is there and stays there.
    pub fn remove_payload(&self, name: &str, id: &str) -> anyhow::Result<()> {
        remove_tree(&self.payload(name, id))
    }

    /// Removes the originals of the distributed files; absence is fine.
    ///
    /// # Errors
    ///
    /// When they are there and stay there.
    pub fn remove_content(&self) -> anyhow::Result<()> {
        remove_tree(&self.content())
    }
}

/// A sentence for a failed file operation; a full disk is called by its name.
#[must_use]
pub fn disk_problem(error: &io::Error, doing: &str, path: &Path) -> anyhow::Error {
    let place = path.display();
    let kind = error.kind();
    if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        anyhow!("the disk is full: cannot {doing} {place}; free some space or choose another place with --out")
    } else if matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        anyhow!("cannot {doing} {place}: {error}; choose a writable place with --out")
    } else {
        anyhow!("cannot {doing} {place}: {error}")
    }
}

/// `text` with everything but letters, digits, dots, dashes and underscores made a dash.
fn file_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_=".contains(c) { c } else { '-' }).collect()
}

fn remove_tree(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(disk_problem(&e, "remove", path)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Name of a control socket in its peer's directory. Peers work there and name it without its directory, because a whole
/// path may be longer than the 108 bytes that a Unix socket's address has.
pub const CONTROL: &str = "control.sock";
/// Where runs go when nothing else is said, below the working directory.
pub const RUNS: &str = "runs";
/// Name of the page with pictures in the directory of a run or a sweep.
pub(crate) const REPORT: &str = "report.html";
const RESULTS: &str = "results.json";
const WRITE_PROBE: &str = ".writable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_holds_a_run_is_not_used_again() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("run");
        let first = RunDirectory::create(&root).unwrap();
        fs::write(first.plan(), "x").unwrap();
        let again = RunDirectory::create(&root).unwrap_err().to_string();
        assert!(again.contains("already holds a run"), "{again}");
    }

    #[test]
    fn a_full_disk_is_called_a_full_disk() {
        let text = disk_problem(&io::Error::from(io::ErrorKind::StorageFull), "write", Path::new("a")).to_string();
        assert!(text.starts_with("the disk is full: cannot write a"), "{text}");
    }

    #[test]
    fn a_file_is_never_seen_half_written() {
        let place = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(place.path()).unwrap();
        directory.write_json(&directory.results(), &vec![1, 2]).unwrap();
        assert_eq!(fs::read_to_string(directory.results()).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
