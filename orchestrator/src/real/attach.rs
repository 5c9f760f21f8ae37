//! Joining the namespaces of a live run, and ending what has joined.
//!
//! A process that joins sees the network as the peer does and knows all peers by name: /etc/hosts is the run's own in
//! its view of the file system. It ends with the run: the run ends it when it is taken down, and whoever started it
//! watches over the run's death (`attach/visit`). Which runs there are is the business of `live`.

use std::{
    collections::BTreeSet,
    ffi::CString,
    fmt::Write as _,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{
    live::{LiveRun, NamespaceRef, Place},
    plan::Plan,
    real::{
        cell::Replacements,
        netns::{self, Namespace},
    },
    run_directory::RunDirectory,
};

mod visit;

pub use visit::visit;

/// The way into the network of a peer of a live run, where the names of all peers resolve.
#[derive(Debug)]
pub struct Door {
    namespace: Namespace,
    names: Replacements,
}

impl Door {
    /// Opens the way to `peer`; this process itself stays outside of its network, so that it can tell of the end.
    ///
    /// Must be called before any thread starts.
    ///
    /// # Errors
    ///
    /// When the run is another user's, or has ended meanwhile.
    pub fn open(run: &LiveRun, peer: &Place) -> anyhow::Result<Self> {
        let holder = &run.publication.process;
        // The namespace first: to a process in the user namespace of a run, those outside of it are strangers.
        let opened = Namespace::held_by(holder, peer.namespace)
            .and_then(|namespace| netns::enter_user_namespace_of(holder).map(|()| namespace));
        let namespace = opened.map_err(|error| {
            let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
            let hint = if is_denied {
                "the run is another user's, or root's: try sudo"
            } else {
                "the run may just have ended"
            };
            anyhow!("cannot join {} of run {}: {error}; {hint}", peer.name, run.label())
        })?;
        Ok(Self { namespace, names: names(&run.directory) })
    }
}

/// The files of a run that make the names of its peers known to whoever sees them in the place of the host's own; none
/// in the place of a file that this host does not have.
pub(super) fn names(run: &RunDirectory) -> Replacements {
    let text = |path: PathBuf| CString::new(path.into_os_string().into_vec()).ok();
    let pairs = [(run.hosts(), HOSTS), (run.nsswitch(), NSSWITCH)];
    let there = pairs.into_iter().filter(|(own, host)| own.is_file() && Path::new(host).is_file());
    there.filter_map(|(own, host)| text(own).zip(text(host.into()))).collect()
}

/// Writes the files that [`names`] puts in the place of the host's.
pub(super) fn write_names(plan: &Plan, run: &RunDirectory) -> anyhow::Result<()> {
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    for peer in &plan.peers {
        let _ = writeln!(hosts, "{} {}", peer.address, peer.name);
    }
    run.write_whole(&run.hosts(), hosts.as_bytes())?;
    // A name that is not in the file would be looked for at servers that cannot be reached from a namespace, and some
    // hosts ask a service that knows nothing of the run before they look into the file.
    let Ok(host) = fs::read_to_string(NSSWITCH) else { return Ok(()) };
    let line = |line: &str| match line.trim_start().starts_with("hosts:") {
        true => "hosts: files\n".to_owned(),
        false => format!("{line}\n"),
    };
    run.write_whole(&run.nsswitch(), host.lines().map(line).collect::<String>().as_bytes())
}

/// Kills every process in one of these namespaces but this one, and says how many there were.
///
/// # Errors
///
/// When `/proc` cannot be read, or a process cannot be killed: it keeps its namespace alive then.
pub fn end_visitors(namespaces: impl IntoIterator<Item = NamespaceRef>) -> anyhow::Result<usize> {
    let inodes: BTreeSet<u64> = namespaces.into_iter().map(|namespace| namespace.inode).collect();
    let mut ended = BTreeSet::new();
    // Each round finds what was started in the one before; a program that outruns this would outrun anything.
    for _ in 0..ROUNDS_MAX {
        let found: Vec<u32> = processes_in(&inodes).context("looking for processes in /proc")?;
        if found.is_empty() {
            return Ok(ended.len());
        }
        for pid in found {
            end(pid, &inodes).with_context(|| format!("ending process {pid}, which had joined the run"))?;
            ended.insert(pid);
        }
    }
    Err(anyhow!("processes in the run's namespaces start others faster than they can be ended"))
}

/// Kills one process if it is still in one of the namespaces, and waits until it is gone.
fn end(pid: u32, inodes: &BTreeSet<u64>) -> io::Result<()> {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else { return Ok(()) };
    // Asked again with the descriptor in hand: the number may have come to mean another process.
    if !namespace_of(pid).is_some_and(|inode| inodes.contains(&inode)) {
        return Ok(());
    }
    match pidfd_send_signal(&process, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ended, Some(&GONE_WITHIN))?;
    Ok(())
}

fn processes_in(inodes: &BTreeSet<u64>) -> io::Result<Vec<u32>> {
    let own = std::process::id();
    let numbers = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_inside = |pid: &u32| *pid != own && namespace_of(*pid).is_some_and(|inode| inodes.contains(&inode));
    Ok(numbers.filter(is_inside).collect())
}

/// The network namespace of a process; none when it has gone, or is another user's.
fn namespace_of(pid: u32) -> Option<u64> {
    // `net:[4026531840]`
    let link = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// What the names of hosts are read from.
const HOSTS: &str = "/etc/hosts";
/// Where names are looked for, and in which order.
const NSSWITCH: &str = "/etc/nsswitch.conf";
/// A shell that starts a pipeline is ended in two.
const ROUNDS_MAX: usize = 100;
/// A killed process is gone as soon as it is scheduled; one that hangs in the kernel is not waited for.
const GONE_WITHIN: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 2, tv_nsec: 0 };
