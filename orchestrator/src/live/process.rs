//! References to processes that outlive numbers: a process is known by its number, its start and the boot.

use std::{
    fs, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// One process of this host. Numbers are used again; a number with the instant of its start is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its number.
    pub pid: u32,
    /// Its start, in ticks of a hundredth of a second since the boot (proc_pid_stat(5), field 22).
    pub start: u64,
    /// Identity of the boot; empty where the kernel gives none.
    pub boot: String,
}

impl ProcessRef {
    /// This process.
    ///
    /// # Errors
    ///
    /// When `/proc` is not there.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// The process that has this number now.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, start: look(pid)?.start, boot: boot() })
    }

    /// Whether this very process still runs; one that has ended and was not asked for counts as ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.look().is_some()
    }

    /// Whether it was stopped where it was (SIGSTOP).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.look().is_some_and(|seen| seen.state == 'T')
    }

    /// When it started; none when that cannot be said.
    #[must_use]
    pub fn started_at(&self) -> Option<SystemTime> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let boot = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        Some(UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(self.start * TICK_MS))
    }

    fn look(&self) -> Option<Seen> {
        let seen = look(self.pid).ok()?;
        let is_same = seen.start == self.start && self.boot == boot();
        (is_same && !matches!(seen.state, 'Z' | 'X')).then_some(seen)
    }
}

struct Seen {
    state: char,
    start: u64,
}

fn look(pid: u32) -> io::Result<Seen> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name, in which anything may stand; the last bracket ends it.
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_whitespace();
    let state = fields.next().and_then(|field| field.chars().next());
    let start = fields.nth(STARTTIME_AFTER_STATE).and_then(|field| field.parse().ok());
    state.zip(start).map(|(state, start)| Seen { state, start }).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Fields between the state (3) and the start (22).
const STARTTIME_AFTER_STATE: usize = 18;
/// Every architecture's user interface has 100 ticks a second, but for alpha and ia64.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_used_again_is_another_process() {
        let own = ProcessRef::own().unwrap();
        assert!(own.is_alive() && !own.is_stopped());
        assert!(!ProcessRef { start: own.start + 1, ..own.clone() }.is_alive());
        assert!(!ProcessRef { boot: "another".to_owned(), ..own.clone() }.is_alive());
        let age = SystemTime::now().duration_since(own.started_at().unwrap()).unwrap();
        // Longer than any test runs, and short against what another boot or clock would make of it.
        assert!(age < Duration::from_secs(6 * 3_600), "{age:?}");
    }

    #[test]
    fn a_process_that_waits_to_be_reaped_does_not_live() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let reference = ProcessRef::of(child.id()).unwrap();
        assert!(reference.is_alive());
        child.kill().unwrap();
        while reference.is_alive() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
