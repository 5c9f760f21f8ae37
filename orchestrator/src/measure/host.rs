//! How busy this host is: processor time from /proc/stat and pressure from /proc/pressure/cpu.
//!
//! Yields one [`Window`] per call. What a window means is judged in `verdict`.

use std::fs;

use super::canary::Canary;
use crate::{results::Host, verdict::Window};

/// Reads the host again and again, and tells what happened in between.
#[derive(Debug)]
pub struct HostSampler {
    canary: Canary,
    last: Reading,
}

impl HostSampler {
    /// Starts at `t`, in seconds of CLOCK_MONOTONIC.
    #[must_use]
    pub fn start(t: f64) -> Self {
        Self { canary: Canary::start(), last: Reading::take(t) }
    }

    /// What happened since the last call, up to `t`; `measuring` says whether something was being measured.
    pub fn window(&mut self, t: f64, measuring: bool) -> Window {
        let now = Reading::take(t);
        let window = now.since(&self.last, self.canary.worst(), measuring);
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
        Self { t, times: times(&stat).unwrap_or_default(), waited_us: waited_us(&pressure) }
    }

    fn since(&self, before: &Self, lateness: f64, measuring: bool) -> Window {
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
            lateness,
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
    }

    #[test]
    fn a_window_holds_shares_of_what_passed() {
        let then = Reading { t: 10.0, times: Times { all: 1000, idle: 800, steal: 0 }, waited_us: Some(0) };
        let now = Reading { t: 12.0, times: Times { all: 1400, idle: 900, steal: 40 }, waited_us: Some(500_000) };
        let window = now.since(&then, 0.01, true);
        assert_eq!((window.seconds, window.busy, window.steal, window.pressure), (2.0, 0.75, 0.1, Some(0.25)));
    }

    #[test]
    fn two_readings_in_one_tick_divide_by_nothing() {
        let reading = Reading { t: 10.0, ..Reading::default() };
        let window = reading.since(&reading, 0.0, false);
        assert_eq!((window.busy, window.pressure), (0.0, None));
    }
}
