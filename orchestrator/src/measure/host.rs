//! How busy this host is: processor time from /proc/stat, pressure from /proc/pressure/cpu or /proc/schedstat, packets
//! that the kernel had no room for from /proc/net/softnet_stat.
//!
//! Yields one [`Window`] per call. What a window means is judged in `verdict`.

use std::fs;

use super::canary::{Canaries, Lateness};
use crate::{
    results::Host,
    verdict::{LinkTrouble, Window},
};

/// Reads the host again and again, and tells what happened in between.
#[derive(Debug)]
pub struct HostSampler {
    canaries: Canaries,
    last: Reading,
}

impl HostSampler {
    /// Starts at `t`, in seconds of CLOCK_MONOTONIC.
    #[must_use]
    pub fn start(t: f64) -> Self {
        Self { canaries: Canaries::start(), last: Reading::take(t) }
    }

    /// What happened since the last call, up to `t`; `measuring` says whether something was being measured, and `links`
    /// what the links did that nobody asked for.
    pub fn window(&mut self, t: f64, measuring: bool, links: LinkTrouble) -> Window {
        let now = Reading::take(t);
        let window = Window { links, ..now.since(&self.last, self.canaries.lateness(), measuring) };
        self.last = now;
        window
    }
}

/// Cumulative figures of the host at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    t: f64,
    times: Times,
    /// Microseconds in which some task waited.
    waited_us: Option<u64>,
    /// Packets dropped because a processor's backlog was full.
    softnet_dropped: u64,
}

/// Processor time since boot, in ticks, over all processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    all: u64,
    idle: u64,
    steal: u64,
}

impl Reading {
    /// Files that cannot be read count as nothing seen: pressure is absent on some kernels.
    fn take(t: f64) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
        let waited = waited_us(&pressure);
        let waited_us = waited.or_else(|| run_delay_us(&fs::read_to_string("/proc/schedstat").unwrap_or_default()));
        let softnet = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
        Self { t, times: times(&stat).unwrap_or_default(), waited_us, softnet_dropped: softnet_dropped(&softnet) }
    }

    fn since(&self, before: &Self, lateness: Lateness, measuring: bool) -> Window {
        let seconds = (self.t - before.t).max(0.0);
        let all = self.times.all.saturating_sub(before.times.all);
        let share = |part: u64| if all == 0 { 0.0 } else { (part as f64 / all as f64).clamp(0.0, 1.0) };
        let idle = self.times.idle.saturating_sub(before.times.idle);
        let pressure = match (self.waited_us, before.waited_us) {
            (Some(now), Some(then)) if seconds > 0.0 => {
                Some((now.saturating_sub(then) as f64 / 1e6 / seconds).clamp(0.0, 1.0))
            }
            _ => None,
        };
        Window {
            t: self.t,
            seconds,
            busy: if all == 0 { 0.0 } else { 1.0 - share(idle) },
            steal: share(self.times.steal.saturating_sub(before.times.steal)),
            pressure,
            lateness: lateness.worst,
            late_cores: lateness.late_cores,
            softnet_dropped: self.softnet_dropped.saturating_sub(before.softnet_dropped),
            links: LinkTrouble::default(),
            measuring,
        }
    }
}

/// The first line of /proc/stat: `cpu user nice system idle iowait irq softirq steal …`.
///
/// Waiting for a disk counts as idle: the processor was free. Guest time is part of user time already.
fn times(stat: &str) -> Option<Times> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).map_while(|word| word.parse().ok()).collect();
    let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
    Some(Times { all: ticks.iter().sum(), idle: at(3) + at(4), steal: at(7) })
}

/// The `total=` of the `some` line of /proc/pressure/cpu.
fn waited_us(pressure: &str) -> Option<u64> {
    let line = pressure.lines().find(|line| line.starts_with("some "))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

/// Time that tasks waited in run queues, over all processors, in microseconds: on kernels without pressure.
///
/// Tasks that wait at the same time count each; as a share of time it is an upper estimate of pressure, capped at one.
fn run_delay_us(schedstat: &str) -> Option<u64> {
    // Behind the name: seven counters, time run, time waited, slices.
    let waited = |line: &str| line.split_whitespace().nth(8)?.parse::<u64>().ok();
    let mut cores = schedstat.lines().filter(|line| line.starts_with("cpu")).peekable();
    cores.peek()?;
    Some(cores.filter_map(waited).sum::<u64>() / 1_000)
}

/// The second column of all lines of /proc/net/softnet_stat, which is hexadecimal.
fn softnet_dropped(softnet: &str) -> u64 {
    let dropped = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    softnet.lines().filter_map(dropped).sum()
}

/// What the results say about this machine.
#[must_use]
pub fn describe() -> Host {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Host {
        kernel: kernel.trim().to_owned(),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        memory_bytes: kilobytes.unwrap_or(0) * 1024,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_read_as_documented() {
        let stat = "cpu  100 0 50 800 40 0 10 20 0 0\ncpu0 1 2 3 4\n";
        assert_eq!(times(stat), Some(Times { all: 1020, idle: 840, steal: 20 }));
        let pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=123456\nfull avg10=0.00 total=7\n";
        assert_eq!(waited_us(pressure), Some(123_456));
        assert_eq!((times(""), waited_us("")), (None, None));
        let schedstat =
            "version 15\ntimestamp 4\ncpu0 0 0 0 0 0 0 90 2000000 7\ndomain0 3 1\ncpu1 0 0 0 0 0 0 80 1000000 5\n";
        assert_eq!((run_delay_us(schedstat), run_delay_us("")), (Some(3_000), None));
        let softnet = "0000c8e1 00000000 00000002\n0000a0b0 0000001f 00000000\n";
        assert_eq!((softnet_dropped(softnet), softnet_dropped("")), (31, 0));
    }

    #[test]
    fn a_window_holds_shares_of_what_passed() {
        let then = Reading {
            t: 10.0,
            times: Times { all: 1000, idle: 800, steal: 0 },
            waited_us: Some(0),
            softnet_dropped: 5,
        };
        let now = Reading {
            t: 12.0,
            times: Times { all: 1400, idle: 900, steal: 40 },
            waited_us: Some(500_000),
            softnet_dropped: 7,
        };
        let late = Lateness { worst: 0.01, late_cores: 0 };
        let window = now.since(&then, late, true);
        assert_eq!((window.lateness, window.softnet_dropped), (0.01, 2));
        assert_eq!((window.seconds, window.busy, window.steal, window.pressure), (2.0, 0.75, 0.1, Some(0.25)));
    }

    #[test]
    fn two_readings_in_one_tick_divide_by_nothing() {
        let reading = Reading { t: 10.0, ..Reading::default() };
        let window = reading.since(&reading, Lateness::default(), false);
        assert_eq!((window.busy, window.pressure), (0.0, None));
    }
}
