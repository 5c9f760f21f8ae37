//! Starts the built `peerbed` and looks at what it leaves, for the tests of whole runs and of the command line.
#![allow(dead_code, reason = "every test file takes what it needs")]

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use peerbed_orchestrator::real::features::{self, Feature};
use serde_json::Value;
use tempfile::TempDir;

/// A directory with a topology in it, and the runs made from it.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// A place that holds `topology`.
    pub(crate) fn with(topology: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(place.topology(), topology).unwrap();
        fs::create_dir(place.temporary()).unwrap();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn topology(&self) -> PathBuf {
        self.path().join("topology.yaml")
    }

    /// Where its run goes.
    pub(crate) fn run(&self) -> PathBuf {
        self.path().join("run")
    }

    /// What its run has for /tmp.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join("temporary")
    }

    /// `peerbed run` on its topology, with links unmeasured: hosts that run tests are busy, and links have tests of their
    /// own.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.verifying_command();
        command.env("PEERBED_NO_VERIFY", "true");
        command
    }

    /// `peerbed run` on its topology, as people run it.
    pub(crate) fn verifying_command(&self) -> Command {
        let mut command = peerbed();
        command.arg("run").arg(self.topology()).arg("--out").arg(self.run()).env("TMPDIR", self.temporary());
        command
    }

    /// Starts the run and keeps its output.
    pub(crate) fn start(&self) -> Child {
        self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What the run found.
    pub(crate) fn results(&self) -> Value {
        serde_json::from_slice(&fs::read(self.run().join("results.json")).unwrap()).unwrap()
    }

    /// What the run wrote down so far, a JSON object a line.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.run().join("events.ndjson")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Processes whose command line names this place.
    pub(crate) fn processes(&self) -> Vec<u32> {
        processes_naming(&self.path().to_string_lossy())
    }

    /// The process of the peer called `name`.
    pub(crate) fn peer(&self, name: &str) -> Option<u32> {
        let config = self.run().join("peers").join(name).join("config.json");
        processes_naming(&config.canonicalize().ok()?.to_string_lossy()).first().copied()
    }
}

/// A run that does not outlive its test, however that ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that was waited for is left alone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The built program, without any of its variables in the environment.
pub(crate) fn peerbed() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerbed"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PEERBED_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs `peerbed` with these arguments to its end.
pub(crate) fn output<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    peerbed().args(arguments).output().unwrap()
}

/// Exit code, or minus the signal.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0))
}

/// A run came to its end with this code, or with 4 because this host is too busy to judge anything.
pub(crate) fn assert_ended(output: &Output, expected: i32) {
    let found = code(output);
    assert!(found == expected || found == 4, "ended with {found}:\n{}{}", stderr(output), stdout(output));
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether whole runs can be made here; says why not when they cannot. A peer program that was not built is an error.
pub(crate) fn can_run() -> bool {
    let peer = Path::new(env!("CARGO_BIN_EXE_peerbed")).with_file_name("peerbed-peer");
    assert!(peer.is_file(), "{} has not been built: cargo build --bins", peer.display());
    match features::probe(&[Feature::Veth, Feature::Tbf]) {
        Ok(found) if found.iter().all(|(_, missing)| missing.is_none()) => true,
        Ok(found) => {
            println!("skipped: this kernel lacks some of {found:?}");
            false
        }
        Err(error) => {
            println!("skipped: no network namespace can be made here ({error}); run as root");
            false
        }
    }
}

/// Waits for a condition; fails when it has not come about after [`PATIENCE`].
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// What happens at all happens within this, also on a host where everybody else is compiling.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn signal(process: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(process);
    rustix::process::kill_process(pid, signal).unwrap();
}

fn processes_naming(text: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let names = |process: &u32| {
        // A process that has just ended has no command line; a dead one that nobody has asked for has an empty one.
        let words = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(text)
    };
    numbers.filter(names).filter(|process| *process != std::process::id()).collect()
}

/// Two homes and an origin on fast links; 1 MiB by both ways takes less than a second.
pub(crate) const TINY: &str = "\
version: 1
name: tiny
seed: 3
links:
  fast: { up: 50mbit, down: 50mbit }
groups:
  origin: { link: fast, swarm: seed, tracker: {} }
  home: { count: 2, link: fast, swarm: leecher }
files:
  blob: { size: 1MiB, piece: 256KiB }
scenario:
  - distribute: { file: blob, from: origin, to: home, via: client-server }
  - distribute: { file: blob, from: origin, to: home, via: swarm }
expect:
  - distribution.blob.ratio <= 50
";

/// As [`TINY`], on links so slow that the run takes longer than any test lets it.
pub(crate) const SLOW: &str = "\
version: 1
name: slow
links:
  slow: { up: 500kbit, down: 500kbit }
groups:
  origin: { link: slow, swarm: seed, tracker: {} }
  home: { count: 3, link: slow, swarm: leecher }
files:
  blob: { size: 16MiB, piece: 64KiB }
scenario:
  - distribute: { file: blob, from: origin, to: home, via: swarm }
";
