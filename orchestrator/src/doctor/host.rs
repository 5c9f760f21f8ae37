//! The host's limits, clocks and programs, as read from /proc and /sys.

use std::{fs, path::Path};

use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_getres},
};

use super::{Line, State};
use crate::real::files_needed;

/// One line for everything that is read rather than tried.
pub(super) fn lines(peers: u32) -> Vec<Line> {
    vec![
        kernel(),
        open_files(peers),
        processes(peers),
        memory(peers),
        timers(),
        clock_source(),
        pressure(),
        cgroups(),
        program("ip", "the tests and the bench; apt-get install iproute2"),
        program("iperf3", "the tests of shaped rates; apt-get install iperf3"),
    ]
}

fn kernel() -> Line {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // 5.3 has pidfd_open; 4.16 has netem's times in nanoseconds.
    let cure = (version < KERNEL_MIN).then(|| "run on Linux 5.3 or newer".to_owned());
    let state = if cure.is_some() { State::Missing } else { State::Present };
    Line { name: "kernel", state, found: release, serves: "every run", cure }
}

fn open_files(peers: u32) -> Line {
    let ceiling = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let needed = files_needed(peers as usize);
    let cure = format!("ulimit -Hn {needed} as root, or LimitNOFILE= in a systemd unit, or nofile in limits.conf");
    limit("open files", ceiling, needed, peers, cure)
}

fn processes(peers: u32) -> Line {
    let own = getrlimit(Resource::Nproc).maximum.unwrap_or(u64::MAX);
    let numbers = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max", "/sys/fs/cgroup/pids.max"];
    let ceiling = numbers.into_iter().filter_map(|path| read(path)?.parse().ok()).fold(own, u64::min);
    // A peer is one process with a thread or two.
    let needed = u64::from(peers) * 3 + 200;
    let cure = format!("ulimit -u {needed}, sysctl -w kernel.pid_max=4194304, or pids.max of the control group");
    limit("processes", ceiling, needed, peers, cure)
}

fn memory(peers: u32) -> Line {
    let available = read("/proc/meminfo").unwrap_or_default().lines().find_map(|line| {
        let kibibytes: u64 = line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes / 1024)
    });
    let needed = u64::from(peers) * PEER_MIB + BASE_MIB;
    let cure = format!("{peers} peers take about {needed} MiB; free memory or run fewer");
    limit("memory (MiB)", available.unwrap_or(0), needed, peers, cure)
}

/// Whether a limit has room for a number of peers.
fn limit(name: &'static str, ceiling: u64, needed: u64, peers: u32, cure: String) -> Line {
    let enough = ceiling >= needed;
    let shown = if ceiling == u64::MAX { "no limit".to_owned() } else { format!("{ceiling}") };
    let found = format!("{shown}; {peers} peers need about {needed}");
    let state = if enough { State::Present } else { State::Lacking };
    Line { name, state, found, serves: "many peers", cure: (!enough).then_some(cure) }
}

fn timers() -> Line {
    let resolution = clock_getres(ClockId::Monotonic);
    let fine = resolution.tv_sec == 0 && resolution.tv_nsec <= 1_000;
    Line {
        name: "timers",
        state: if fine { State::Present } else { State::Lacking },
        found: format!("resolution {} ns", resolution.tv_nsec),
        serves: "exact rates and delays",
        cure: (!fine).then(|| "run on a kernel built with CONFIG_HIGH_RES_TIMERS, without highres=off".to_owned()),
    }
}

fn clock_source() -> Line {
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource").unwrap_or_default();
    // These need a trip out of the processor, some microseconds for each of the many times a peer asks.
    let slow = ["hpet", "acpi_pm", "pit", "jiffies"].contains(&source.as_str());
    Line {
        name: "clock source",
        state: if slow { State::Lacking } else { State::Present },
        found: if source.is_empty() { "unknown".to_owned() } else { source },
        serves: "cheap time stamps",
        cure: slow.then(|| "boot with clocksource=tsc or use the hypervisor's clock (kvm-clock, hyperv)".to_owned()),
    }
}

fn pressure() -> Line {
    let readable = read("/proc/pressure/cpu").is_some();
    Line {
        name: "cpu pressure",
        state: if readable { State::Present } else { State::Lacking },
        found: if readable { "/proc/pressure/cpu is readable" } else { "/proc/pressure/cpu is not readable" }
            .to_owned(),
        serves: "judging whether the host was fit to measure",
        cure: (!readable).then(|| "boot with psi=1 on a kernel built with CONFIG_PSI".to_owned()),
    }
}

fn cgroups() -> Line {
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let found = if unified { "version 2" } else { "not version 2" };
    Line { name: "control groups", state: State::Present, found: found.to_owned(), serves: "information", cure: None }
}

fn program(name: &'static str, serves_and_cure: &'static str) -> Line {
    let (serves, cure) = serves_and_cure.split_once("; ").unwrap_or((serves_and_cure, ""));
    let place = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .into_iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists());
    let state = if place.is_some() { State::Present } else { State::Lacking };
    let cure = place.is_none().then(|| cure.to_owned());
    let found = place.map_or_else(|| "not in the usual places".to_owned(), |path| path.display().to_string());
    Line { name, state, found, serves, cure }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

const KERNEL_MIN: (u32, u32) = (5, 3);
/// An idle peer takes at most 10 MiB, a busy one some more; its namespace and queues take about one.
const PEER_MIB: u64 = 16;
/// Orchestrator and host.
const BASE_MIB: u64 = 256;
