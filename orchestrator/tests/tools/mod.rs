//! Programs that tests use and a host may lack: a test without one says so and passes, unless all are required.
//!
//! `PEERBED_REQUIRE_TOOLS=1` makes a program that is missing a failure: `.ci/run` and the workflow install them all. What the
//! kernel lacks, or may not be done without root, is told where it is tried.
#![allow(clippy::print_stdout, reason = "a test tells what it skips")]

use std::env;

/// The first of these programs that is installed. Where none is, says so, and how to get it from `package`.
///
/// # Panics
///
/// Where none is installed and `PEERBED_REQUIRE_TOOLS` is neither empty nor 0.
pub(crate) fn find<'a>(programs: &[&'a str], package: &str) -> Option<&'a str> {
    let places = env::var_os("PATH").unwrap_or_default();
    let is_installed = |program: &str| env::split_paths(&places).any(|place| place.join(program).is_file());
    let found = programs.iter().copied().find(|program| is_installed(program));
    if found.is_none() {
        let lacking = format!("{} is not installed (apt-get install {package})", programs.join(" or "));
        let is_required = env::var(REQUIRE).is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
        assert!(!is_required, "{lacking}, and {REQUIRE} is set");
        println!("skipped: {lacking}");
    }
    found
}

const REQUIRE: &str = "PEERBED_REQUIRE_TOOLS";
