//! One ordinary thread that sets short timers and notes how late they fire.
//!
//! Peers are ordinary threads, too: when this one is woken late, so are they.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Canary {
    worst_nanos: Arc<AtomicU64>,
    _alive: Sender<()>,
}

impl Canary {
    /// Starts the thread. Without one (no threads left) nothing is ever seen to be late.
    #[must_use]
    pub fn start() -> Self {
        let (alive, ended) = mpsc::channel::<()>();
        let worst_nanos = Arc::new(AtomicU64::new(0));
        let worst = Arc::clone(&worst_nanos);
        let body = move || {
            loop {
                let set = Instant::now();
                if ended.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let late = set.elapsed().saturating_sub(PERIOD);
                worst.fetch_max(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("canary".into()).spawn(body) {
            tracing::warn!(%error, "timer lateness is not observed");
        }
        Self { worst_nanos, _alive: alive }
    }

    /// The worst lateness since the last call, in seconds.
    #[must_use]
    pub fn worst(&self) -> f64 {
        Duration::from_nanos(self.worst_nanos.swap(0, Ordering::Relaxed)).as_secs_f64()
    }
}

/// Short against the 50 ms that matter, long enough to cost nothing: 100 wake-ups a second.
const PERIOD: Duration = Duration::from_millis(10);
