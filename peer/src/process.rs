//! The process as the kernel sees it: its tie to the parent, its memory, and datagrams it was too slow to take.
//!
//! Signals are awaited in `main`; exit codes are decided there too.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Asks the kernel to kill this process when its parent dies.
///
/// The kernel watches the parent's *thread* that started us, and does nothing when it died before we asked. Therefore
/// the parent's process id is compared afterwards.
///
/// # Errors
///
/// When the kernel refuses, or when the parent is not `parent` any more.
pub fn die_with_parent(parent: u32) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot ask to be killed with the parent process")?;
    let actual = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if i64::from(actual) != i64::from(parent) {
        bail!("the parent process {parent} has died (the parent is now {actual})");
    }
    Ok(())
}

/// Resident memory of this process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Now.
    pub now: u64,
    /// Most since the process began.
    pub peak: u64,
}

impl Resident {
    /// What the kernel says; zeros when /proc is not mounted.
    #[must_use]
    pub fn read() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kilobytes: Option<u64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            kilobytes.unwrap_or(0) * 1024
        };
        Self { now: bytes("VmRSS:"), peak: bytes("VmHWM:") }
    }
}

/// Datagrams that were dropped because the receive buffer of the UDP socket on `local` was full; 0 when there is no such
/// socket in this network namespace. Only the table of its own family is read: the kernel walks a hash table for each.
#[must_use]
pub fn udp_dropped(local: SocketAddr) -> u64 {
    let path = if local.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    let table = std::fs::read_to_string(path).unwrap_or_default();
    let local = format!(":{:04X}", local.port());
    let mut sockets = table.lines().skip(1).map(str::split_whitespace);
    let ours = sockets.find(|fields| fields.clone().nth(1).is_some_and(|address| address.ends_with(&local)));
    ours.and_then(|mut fields| fields.next_back()?.parse().ok()).unwrap_or(0)
}
