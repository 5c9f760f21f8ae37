//! The program `peerbed-peer`: arguments, signals and exit codes.
//!
//! Exit codes: 0 left in order; 2 bad arguments or configuration; 3 could not start or go on.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use peerbed_peer::config::PeerConfig;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

/// One real peer of a Peerbed run: QUIC, storage, control and metrics around the protocol cores.
///
/// Prints `ready` on standard output once its control socket answers; logs go to standard error.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (JSON), as the orchestrator writes it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Least severe messages to log: off, error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: LevelFilter,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_max_level(arguments.log)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
    let config = match PeerConfig::read(&arguments.config) {
        Ok(config) => config,
        Err(error) => return fail(BAD_ARGUMENTS, &error),
    };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(CANNOT_GO_ON, &error),
    }
}

/// One thread, since peers are started by the hundred and each has little to do. Another comes and goes where leaves come so fast
/// that they are hashed beside it.
fn run(config: PeerConfig) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(HASHING_THREADS).enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // With a handler, a write beyond the limit on file sizes fails like one to a full disk, and can be explained.
        let _file_size = signal(SignalKind::from_raw(SIGXFSZ))?;
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        peerbed_peer::run(config, report_ready, shutdown).await
    })
}

/// A closed standard output is no reason to end: the control socket answers all the same.
fn report_ready() {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "ready");
    let _ = out.flush();
}

fn fail(code: u8, error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "peerbed-peer: {error:#}");
    ExitCode::from(code)
}

/// Sent with a write beyond the limit on file sizes; its default is to end the process without a word.
const SIGXFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();

/// Threads that hash leaves, at most. One keeps up with the thread that takes them in.
const HASHING_THREADS: usize = 1;

const BAD_ARGUMENTS: u8 = 2;
const CANNOT_GO_ON: u8 = 3;
