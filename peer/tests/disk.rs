//! What is on disk: resumed after verification, complete only under the final name, and clear words when it is full.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use hyper::StatusCode;
use peerbed_peer::commands::{Command, Role};
use peerbed_peer::config::PeerConfig;
use peerbed_peer::events::EventKind;
use support::content::Content;
use support::process::{Peer, Run, prepare, program, write_config};

const PIECE: usize = 64 << 10;

#[test]
fn leecher_resumes_with_the_pieces_that_verify() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 1_000_000, PIECE as u32);
        let (seed, leecher) = (run.start_with_tracker(1).await, run.start(2).await);
        let tracker = seed.endpoint;
        leave_behind(&leecher, &content, "release.part");
        leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        assert_eq!(leecher.status().await.distributions["d0"].have, 10);
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        seed.begin("d0").await;
        leecher.begin("d0").await;
        let path = leecher.completed("d0").await;
        assert_eq!(std::fs::read(&path).unwrap(), content.bytes);
        assert!(!path.with_extension("part").exists());
        let missing = 1_000_000 - 10 * PIECE as u64;
        assert_eq!(leecher.metric("peerbed_swarm_downloaded_bytes_total").await, missing);
    });
}

#[test]
fn client_resumes_with_the_pieces_that_verify() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 1_000_000, PIECE as u32);
        let (server, client) = (run.start(1).await, run.start(2).await);
        leave_behind(&client, &content, "release.part");
        server.prepare("d0", &content, Role::Server { content: content.path.clone() }).await;
        client.prepare("d0", &content, Role::Client { server: server.endpoint }).await;
        assert_eq!(client.status().await.distributions["d0"].have, 10);
        server.begin("d0").await;
        client.begin("d0").await;
        assert_eq!(std::fs::read(client.completed("d0").await).unwrap(), content.bytes);
    });
}

#[test]
fn complete_file_found_on_disk_completes_at_once_and_a_spoilt_one_does_not() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 1_000_000, PIECE as u32);
        let (seed, leecher) = (run.start_with_tracker(1).await, run.start(2).await);
        let role = || Role::Leecher { tracker: Some(seed.endpoint) };
        let directory = leecher.config.directory.join("d0");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::copy(&content.path, directory.join("release")).unwrap();
        leecher.prepare("d0", &content, role()).await;
        leecher.begin("d0").await;
        assert_eq!(leecher.completed("d0").await, directory.join("release"));
        leecher.end("d0").await;

        leave_behind(&leecher, &content, "release");
        leecher.prepare("d0", &content, role()).await;
        assert_eq!(leecher.status().await.distributions["d0"].have, 10);
        assert!(!directory.join("release").exists(), "it is not complete");
    });
}

#[test]
fn content_of_the_wrong_size_and_bad_manifests_are_refused() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 1_000_000, PIECE as u32);
        let peer = run.start(1).await;
        let serve = prepare("d0", &content, Role::Server { content: content.path.clone() });
        std::fs::write(&content.path, b"short").unwrap();
        let (status, error) = peer.refused(&serve).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(error.contains("has 5 bytes where its manifest says 1000000"), "{error}");
        std::fs::write(&content.manifest_path, b"{}").unwrap();
        let (status, error) = peer.refused(&serve).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(error.contains("release.manifest.json is no manifest"), "{error}");
    });
}

#[test]
fn file_size_limit_refuses_the_preparation_and_the_peer_goes_on() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 1_000_000, PIECE as u32);
        let config = run.config(1);
        let mut command = tokio::process::Command::new("sh");
        // In units of 512 bytes.
        command.args(["-c", "ulimit -f 1000; exec \"$0\" --config \"$1\""]).arg(program()).arg(write_config(&config));
        let peer = Peer::start_as(&config, command).await;
        let (status, error) =
            peer.refused(&prepare("d0", &content, Role::Leecher { tracker: Some(peer.endpoint) })).await;
        assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
        assert!(error.contains("release.part") && error.contains("File too large"), "{error}");
        assert!(peer.status().await.distributions.is_empty());
    });
}

#[test]
fn full_disk_ends_the_process_with_one_sentence_and_exit_3() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 4_000_000, PIECE as u32);
        let (seed, config) = (run.start_with_tracker(1).await, run.config(2));
        let Some(command) = on_a_small_disk(&config) else {
            return support::note("no mount namespaces here: a full disk was not tested");
        };
        let mut leecher = Peer::start_as(&config, command).await;
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        seed.begin("d0").await;
        let fatal = |kind: &EventKind| matches!(kind, EventKind::Error { fatal: true, .. });
        let (told, ()) = tokio::join!(leecher.event(fatal), leecher.begin("d0"));
        let EventKind::Error { error, .. } = told.kind else { unreachable!() };
        assert!(error.contains("cannot write") && error.contains("No space left on device"), "{error}");
        let (status, log) = leecher.exit().await;
        assert_eq!(status.code(), Some(3), "{log}");
        let sentence = log.lines().last().unwrap();
        assert!(sentence.starts_with("peerbed-peer: distribution d0 cannot go on: cannot write"), "{sentence}");
        assert!(sentence.contains("No space left on device"), "{sentence}");
    });
}

#[test]
fn distribution_may_be_repeated_under_another_name() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 300_000, PIECE as u32);
        let (server, client) = (run.start(1).await, run.start(2).await);
        for id in ["d0", "d1"] {
            server.prepare(id, &content, Role::Server { content: content.path.clone() }).await;
            client.prepare(id, &content, Role::Client { server: server.endpoint }).await;
            server.begin(id).await;
            client.begin(id).await;
            client.completed(id).await;
            server.command(&Command::End(peerbed_peer::commands::End { id: id.into() })).await;
            client.end(id).await;
        }
        assert_eq!(server.metric("peerbed_fetch_sent_bytes_total").await, 600_000);
    });
}

/// Ten right pieces and rubbish behind them.
fn leave_behind(peer: &Peer, content: &Content, name: &str) -> PathBuf {
    let directory = peer.config.directory.join("d0");
    std::fs::create_dir_all(&directory).unwrap();
    let mut bytes = content.bytes.clone();
    bytes[10 * PIECE..].fill(7);
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The program with a file system of a megabyte for its directory; None where that needs privileges we lack.
fn on_a_small_disk(config: &PeerConfig) -> Option<tokio::process::Command> {
    std::fs::create_dir_all(&config.directory).unwrap();
    let script = "mount -t tmpfs -o size=1m none \"$2\" && exec \"$0\" --config \"$1\"";
    let flags = [&["-m"][..], &["-rm"]].into_iter().find(|flags| {
        let mut probe = std::process::Command::new("unshare");
        probe.args(*flags).args(["sh", "-c", script, "true", ""]).arg(&config.directory);
        probe.stderr(Stdio::null()).process_group(0).status().is_ok_and(|status| status.success())
    })?;
    let mut command = tokio::process::Command::new("unshare");
    command.args(flags).args(["sh", "-c", script]).arg(program()).arg(write_config(config)).arg(&config.directory);
    Some(command)
}
