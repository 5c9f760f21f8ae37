//! One thread on each processor that sets short timers and notes how late they fire.
//!
//! Peers are ordinary threads, too: where this one is woken late, so are they. One for each processor, because the
//! scheduler would carry a single one past a processor that is in trouble.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The threads; they end when this is dropped.
#[derive(Debug)]
pub struct Canaries {
    all: Vec<Canary>,
}

#[derive(Debug)]
struct Canary {
    worst_nanos: Arc<AtomicU64>,
    _alive: Sender<()>,
}

/// How late timers fired since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lateness {
    /// The worst of all, in seconds.
    pub worst: f64,
    /// On how many processors a timer fired late enough to matter ([`LATE`]).
    pub late_cores: u32,
}

impl Canaries {
    /// Starts a thread for each processor that this process may use. Without one (no threads left) nothing is ever seen
    /// to be late there.
    #[must_use]
    pub fn start() -> Self {
        let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let mut all: Vec<Canary> = cores.take(CANARIES_MAX).filter_map(|core| Canary::start(Some(core))).collect();
        if all.is_empty() {
            all.extend(Canary::start(None));
        }
        Self { all }
    }

    /// What was seen since the last call.
    #[must_use]
    pub fn lateness(&self) -> Lateness {
        self.all.iter().map(Canary::worst).fold(Lateness::default(), |found, late| Lateness {
            worst: found.worst.max(late.as_secs_f64()),
            late_cores: found.late_cores + u32::from(late >= LATE),
        })
    }
}

impl Canary {
    fn start(core: Option<usize>) -> Option<Self> {
        let (alive, ended) = mpsc::channel::<()>();
        let worst_nanos = Arc::new(AtomicU64::new(0));
        let worst = Arc::clone(&worst_nanos);
        let body = move || {
            if let Some(core) = core {
                let mut only = CpuSet::new();
                only.set(core);
                // A thread that may not choose its processor still sees something.
                let _ = sched_setaffinity(None, &only);
            }
            loop {
                let set = Instant::now();
                if ended.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let late = set.elapsed().saturating_sub(PERIOD);
                worst.fetch_max(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        };
        match std::thread::Builder::new().name("canary".into()).spawn(body) {
            Ok(_) => Some(Self { worst_nanos, _alive: alive }),
            Err(error) => {
                tracing::warn!(%error, "timer lateness is not observed");
                None
            }
        }
    }

    fn worst(&self) -> Duration {
        Duration::from_nanos(self.worst_nanos.swap(0, Ordering::Relaxed))
    }
}

/// Lateness that matters: what the queue of a usual access link holds. A peer that is later lets its uplink run dry.
pub const LATE: Duration = Duration::from_millis(50);
/// Short against the 50 ms that matter, long enough to cost nothing: 100 wake-ups a second.
const PERIOD: Duration = Duration::from_millis(10);
/// On larger hosts the first processors speak for all; wake-ups would cost more than they tell.
const CANARIES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_canary_for_each_processor_and_each_look_begins_anew() {
        let canaries = Canaries::start();
        assert_eq!(canaries.all.len(), std::thread::available_parallelism().unwrap().get().min(CANARIES_MAX));
        canaries.all[0].worst_nanos.store(60_000_000, Ordering::Relaxed);
        let seen = canaries.lateness();
        assert!(seen.worst >= 0.06 && seen.late_cores >= 1, "{seen:?}");
        canaries.all.iter().for_each(|canary| canary.worst_nanos.store(0, Ordering::Relaxed));
        assert!(canaries.lateness().worst < 0.06);
    }
}
