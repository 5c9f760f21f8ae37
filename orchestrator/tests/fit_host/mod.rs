//! Figures measured on a host that may be late: taken again until one is right, and a fault only where the host was fit.
//!
//! What no late host brings about (a packet that is early, a byte that is wrong) a test asserts at once. What a late host
//! brings about as well (late, slow, few) is the fault of one attempt. A systematic fault of ours shows in every attempt,
//! and a late host does not spoil all of them; where it does, it was seen to be late during them, by the very means by which
//! a run's verdict sees it: a timer on each processor, stolen time, pressure. Only then the figure is left out, with the
//! reason printed.
//!
//! A test that loads all processors by itself makes its own excuse. So what is measured near a host's limits is measured
//! far from them as well.
#![allow(dead_code, reason = "every test file takes what it needs")]

use std::{
    any::Any,
    fmt,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use peerbed_orchestrator::{
    measure::{canary::Canaries, host::HostSampler},
    testbed::now,
    verdict::{LinkTrouble, State, Verdict},
};

/// Measures until an attempt finds no fault, and returns what that one found; none where the host was to blame.
///
/// An attempt returns a sentence where the figure is not what it should be.
///
/// # Panics
///
/// When [`FIT_FAULTS`] attempts on a fit host have found a fault.
pub(crate) fn measure<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> Option<T> {
    measure_async(what, async || attempt()).now_or_never().expect("nothing in it waits")
}

/// As [`measure`].
pub(crate) async fn measure_async<T>(what: &str, attempt: impl AsyncFnMut() -> Result<T, String>) -> Option<T> {
    measure_beside(what, Watch::start, attempt).await
}

/// As [`measure`], for a whole run that a late host turns into another one: an assertion that fails is the attempt's fault.
pub(crate) fn hold(what: &str, assertions: impl Fn()) {
    let words = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(other) => other.downcast_ref::<&str>().map_or("it panicked".to_owned(), |words| (*words).to_owned()),
    };
    measure(what, || catch_unwind(AssertUnwindSafe(&assertions)).map_err(words));
}

/// As [`measure`], with something else to look at the host during an attempt.
pub(crate) async fn measure_beside<T, W: Look>(
    what: &str,
    begin: impl Fn() -> W,
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> Option<T> {
    let mut attempts = Attempts::default();
    loop {
        let watch = begin();
        let fault = match attempt().await {
            Ok(found) => return Some(found),
            Err(fault) => fault,
        };
        if let ControlFlow::Break(reason) = attempts.note(what, fault, &watch.end()) {
            println!("skipped: {reason}");
            return None;
        }
    }
}

/// Looks at the host until told to say how it was.
pub(crate) trait Look {
    /// How the host was since the beginning.
    fn end(self) -> HostState;
}

/// What attempts have found so far.
#[derive(Debug, Default)]
struct Attempts {
    on_fit_host: u32,
    all: Vec<String>,
}

impl Attempts {
    /// Takes note of an attempt that found a fault; breaks with the reason for which the figure is left out.
    fn note(&mut self, what: &str, fault: String, host: &HostState) -> ControlFlow<String> {
        println!("attempt {} at {what}: {fault}; {host}", self.all.len() + 1);
        self.on_fit_host += u32::from(host.is_fit());
        self.all.push(format!("{fault}; {host}"));
        let all = self.all.join("\n  ");
        assert!(self.on_fit_host < FIT_FAULTS, "{what}, on a fit host in {FIT_FAULTS} attempts of:\n  {all}");
        if self.all.len() < ATTEMPTS_MAX {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(format!("{what}: this host was late in most of {ATTEMPTS_MAX} attempts:\n  {all}"))
    }
}

/// How late a host was for a while.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostState {
    /// What a run's verdict would say of it; empty when that were `valid`.
    pub(crate) faults: Vec<String>,
    /// How late timers fired in the middle.
    pub(crate) usual: Duration,
    /// Share of the time in which some timer was overdue by [`STALL`] or more.
    pub(crate) stalled: f64,
}

impl HostState {
    /// Whether a figure that is wrong on this host is wrong.
    pub(crate) fn is_fit(&self) -> bool {
        self.faults.is_empty() && self.usual < USUAL_MAX && self.stalled < STALLED_MAX
    }
}

impl fmt::Display for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_fit() { "fit" } else { "late" };
        let (usual, stalled) = (self.usual, self.stalled * 100.0);
        write!(f, "the host was {word} (timers {usual:.0?} late in the middle, stalled {stalled:.1} % of the time")?;
        self.faults.iter().try_for_each(|fault| write!(f, ", {fault}"))?;
        f.write_str(")")
    }
}

/// Watches this host.
pub(crate) struct Watch {
    sampler: HostSampler,
    began: Instant,
    ended: Sender<()>,
    looks: JoinHandle<Vec<f64>>,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn start() -> Self {
        let (ended, end) = mpsc::channel::<()>();
        let look = move || {
            let (canaries, mut looks) = (Canaries::start(), Vec::new());
            while end.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                looks.push(canaries.lateness().worst);
            }
            looks
        };
        Self { sampler: HostSampler::start(now()), began: Instant::now(), ended, looks: std::thread::spawn(look) }
    }
}

impl Look for Watch {
    /// A short attempt is followed by enough of a look at what the host is doing.
    fn end(mut self) -> HostState {
        while let Some(left) = LOOK_MIN.checked_sub(self.began.elapsed()) {
            std::thread::park_timeout(left);
        }
        let seconds = self.began.elapsed().as_secs_f64();
        drop(self.ended);
        let mut looks = self.looks.join().expect("looking does not fail");
        looks.sort_by(f64::total_cmp);
        let stalled: f64 = looks.iter().filter(|late| **late >= STALL.as_secs_f64()).sum();
        let verdict = Verdict::of(&[self.sampler.window(now(), true, LinkTrouble::default())], 0.0);
        HostState {
            faults: if verdict.state == State::Valid { Vec::new() } else { verdict.reasons },
            usual: Duration::from_secs_f64(looks.get(looks.len() / 2).copied().unwrap_or(0.0)),
            stalled: stalled / seconds,
        }
    }
}

/// Faults on a fit host that make a figure wrong. A host may be late in the one moment that counts, and no canary see it,
/// but not so often.
pub(crate) const FIT_FAULTS: u32 = 3;
/// Attempts after which a late host is given up. Wild guess between patience and coverage: a host that is late for a
/// third of the time spoils all of them once in a thousand times.
pub(crate) const ATTEMPTS_MAX: usize = 6;
/// As often as a canary's timer fires.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Twenty timers on each processor.
const LOOK_MIN: Duration = Duration::from_millis(200);
/// A bucket of the kernel engine makes up for 4 ms; echoes are allowed less.
const STALL: Duration = Duration::from_millis(2);
/// A third of what the tests of rates allow.
const STALLED_MAX: f64 = 0.01;
/// What the tests of round trips allow for two processes to wake up in.
const USUAL_MAX: Duration = Duration::from_micros(300);
