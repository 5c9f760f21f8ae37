//! What the tests of real peers share: a run's authority, peer processes, and an outsider who speaks QUIC by hand.
#![allow(dead_code, reason = "every test file is a crate of its own and uses a part of this")]
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
#![allow(unreachable_pub, reason = "a module of tests has no outside")]

pub mod authority;
pub mod content;
pub mod outsider;
pub mod process;

use std::time::Duration;

/// Patience with anything that should happen at once on an idle machine. A guard against hanging, and no expectation.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Time between two looks at what takes its time: the looks are requests, which the peer pays for.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A runtime for one test.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(4 * DEADLINE, test).await.expect("the test took too long") })
}

/// Says something in the test's output.
#[expect(clippy::print_stderr, reason = "cargo shows it with the test that said it")]
pub fn note(text: &str) {
    eprintln!("{text}");
}
