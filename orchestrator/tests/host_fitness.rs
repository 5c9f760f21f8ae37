//! What tests make of a figure that is wrong: on a fit host it fails, on a late host it is left out with the reason.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod fit_host;

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use fit_host::{ATTEMPTS_MAX, FIT_FAULTS, HostState, Look, Watch, hold, measure, measure_beside};
use futures_util::FutureExt;

#[test]
fn a_wrong_figure_on_a_fit_host_fails_after_three_attempts() {
    let (failed, attempts) = outcome(|_| fit(), |_| false);
    let words = failed.unwrap_err();
    assert_eq!(attempts, FIT_FAULTS);
    assert!(
        words.starts_with("the answer, on a fit host in 3 attempts of:\n  41 in place of 42; the host was fit ("),
        "{words}"
    );
}

#[test]
fn a_wrong_figure_on_a_late_host_is_left_out_after_six_attempts() {
    for late in [
        HostState { faults: vec!["processors were saturated".into()], ..fit() },
        HostState { usual: Duration::from_micros(300), ..fit() },
        HostState { stalled: 0.01, ..fit() },
    ] {
        let (left_out, attempts) = outcome(|_| late.clone(), |_| false);
        assert_eq!((left_out, attempts), (Ok(None), ATTEMPTS_MAX as u32), "{late}");
        assert!(late.to_string().starts_with("the host was late ("), "{late}");
    }
}

#[test]
fn a_right_figure_needs_no_fit_host() {
    let late = HostState { stalled: 0.5, ..fit() };
    assert_eq!(outcome(|_| late.clone(), |attempt| attempt == 6), (Ok(Some(42)), 6));
    assert_eq!(outcome(|_| fit(), |attempt| attempt == 3), (Ok(Some(42)), 3));
}

#[test]
fn attempts_on_a_late_host_neither_fail_a_figure_nor_excuse_the_others() {
    let state = |attempt| if attempt % 2 == 0 { fit() } else { HostState { stalled: 0.5, ..fit() } };
    let (failed, attempts) = outcome(state, |_| false);
    assert_eq!(attempts, 6);
    assert!(failed.unwrap_err().contains("the host was late ("));
}

#[test]
fn an_assertion_that_fails_once_is_tried_again() {
    let attempts = Cell::new(0);
    hold("a run", || {
        attempts.set(attempts.get() + 1);
        assert_eq!(attempts.get(), 2, "the second one is right");
    });
    assert_eq!(attempts.get(), 2);
}

#[test]
fn hogs_on_every_processor_make_a_host_unfit() {
    let is_over = AtomicBool::new(false);
    let until = Instant::now() + Duration::from_secs(60);
    let hogged = thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() * 2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) && Instant::now() < until {
                    std::hint::spin_loop();
                }
            });
        }
        let watch = Watch::start();
        let hogged = watch.end();
        is_over.store(true, Ordering::Relaxed);
        hogged
    });
    println!("{hogged}");
    assert!(!hogged.is_fit(), "{hogged}");
}

#[test]
fn what_is_right_at_once_is_measured_once() {
    let attempts = Cell::new(0);
    let found = measure("a number", || {
        attempts.set(attempts.get() + 1);
        Ok(attempts.get())
    });
    assert_eq!((found, attempts.get()), (Some(1), 1));
}

/// What comes of measuring, or the words with which it fails, and the number of attempts.
fn outcome(state: impl Fn(u32) -> HostState, is_right: impl Fn(u32) -> bool) -> (Result<Option<u32>, String>, u32) {
    let attempts = Cell::new(0);
    let attempt = async || {
        attempts.set(attempts.get() + 1);
        if is_right(attempts.get()) { Ok(42) } else { Err("41 in place of 42".to_owned()) }
    };
    let begin = || Made(state(attempts.get() + 1));
    let measuring = measure_beside("the answer", begin, attempt);
    let caught = catch_unwind(AssertUnwindSafe(|| measuring.now_or_never().unwrap()));
    (caught.map_err(|words| words.downcast_ref::<String>().unwrap().clone()), attempts.get())
}

fn fit() -> HostState {
    HostState { faults: Vec::new(), usual: Duration::from_micros(80), stalled: 0.0 }
}

/// A state as made up.
struct Made(HostState);

impl Look for Made {
    fn end(self) -> HostState {
        self.0
    }
}
