//! A two-peer plan without root: in a user namespace, entered before any thread starts.
//!
//! This test program has no harness, because the harness's threads would be there first. It starts itself again as
//! another user where it runs as root.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod real_support;

use std::process::{Command, ExitCode};

use peerbed_orchestrator::real::netns::{Privilege, enter_user_namespace_if_needed};
use real_support::{ROLE, build, direction, link, output, plan};

fn main() -> ExitCode {
    // Lists of tests are asked for by some runners; filters name other tests.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        println!("{NAME}: test");
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|filter| !NAME.contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    if std::env::var(ROLE).is_ok() || !rustix::process::getuid().is_root() {
        return unprivileged();
    }
    let own = std::env::current_exe().unwrap();
    let started = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(own)
        .env(ROLE, "unprivileged")
        .status();
    match started {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            println!("test {NAME} ... FAILED ({status})");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("skipped: setpriv cannot be started ({error}); apt-get install util-linux");
            ExitCode::SUCCESS
        }
    }
}

fn unprivileged() -> ExitCode {
    match enter_user_namespace_if_needed() {
        Ok(Privilege::UserNamespace) => {}
        Ok(Privilege::Held) => panic!("a user without capabilities holds them"),
        Err(error) => {
            println!("skipped: {error}");
            return ExitCode::SUCCESS;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let supervisor = build(&plan(vec![link("home", direction(Some(2_000_000)), direction(None))], 2)).await;
        let shaped = output(&supervisor, 1, &["tc", "qdisc", "show", "dev", "eth0"]).await;
        assert!(shaped.contains("tbf") && shaped.contains("rate 2Mbit"), "{shaped}");
        let route = output(&supervisor, 1, &["ip", "route", "get", "198.18.0.2"]).await;
        assert!(route.contains("dev eth0"), "{route}");
        let who = output(&supervisor, 2, &["id", "-u"]).await;
        assert_eq!(who.trim(), "0", "root in its own namespace");
        real_support::assert_reachable(&supervisor, 1, 2).await;
    });
    println!("test {NAME} ... ok");
    ExitCode::SUCCESS
}

const NAME: &str = "a_plan_of_two_peers_works_without_root";
