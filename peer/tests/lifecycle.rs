//! How a peer process starts, fails to start, leaves, and dies with its parent.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use std::path::PathBuf;
use std::process::Stdio;

use bytes::Bytes;
use hyper::StatusCode;
use peerbed_peer::commands::{Command, Role};
use peerbed_peer::config::PeerConfig;
use peerbed_peer::events::EventKind;
use rustix::process::Signal;
use support::DEADLINE;
use support::content::Content;
use support::process::{Peer, Run, prepare, program, rest_of, spawn, write_config};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, timeout};

#[test]
fn ready_peer_answers_on_all_paths_of_its_control_socket() {
    support::run(async {
        let run = Run::new();
        let peer = run.start_with_tracker(1).await;
        let ready = peer.event(|kind| matches!(kind, EventKind::Ready { .. })).await;
        assert_eq!(ready.kind, EventKind::Ready { listen: peer.endpoint.addr });
        assert_eq!(peer.metric("peerbed_tracker_announces_total").await, 0);
        assert!(peer.metric("peerbed_peer_resident_bytes").await > 0);
        let (status, body) = peer.request("POST", "/commands", Bytes::from_static(b"{\"dance\":{}}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("dance"), "{body}");
        assert_eq!(peer.request("GET", "/nothing", Bytes::new()).await.0, StatusCode::NOT_FOUND);
    });
}

#[test]
fn terminated_peer_leaves_and_exits_with_zero() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 100_000, 16 << 10);
        let mut peer = run.start(1).await;
        peer.prepare("d0", &content, Role::Server { content: content.path.clone() }).await;
        peer.begin("d0").await;
        peer.signal(Signal::TERM);
        let (status, log) = peer.exit().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!peer.config.control.exists(), "the control socket is removed");
    });
}

#[test]
fn follower_of_events_reads_that_the_peer_has_left() {
    support::run(async {
        let run = Run::new();
        let mut peer = run.start(1).await;
        let (last, ()) = tokio::join!(peer.event(|kind| *kind == EventKind::Left), peer.command(&Command::Leave));
        assert_eq!(last.kind, EventKind::Left);
        assert_eq!(peer.exit().await.0.code(), Some(0));
    });
}

#[test]
fn peer_dies_with_its_parent() {
    support::run(async {
        let run = Run::new();
        let config = run.config(1);
        // The shell puts its own process id where the parent belongs, and waits to be killed.
        let config = PeerConfig { parent: Some(424_242), ..config };
        let path = write_config(&config);
        let script = "sed -i s/424242/$$/ \"$1\"; \"$0\" --config \"$1\" & echo $!; wait";
        let mut shell = tokio::process::Command::new("sh")
            .args(["-c", script, program()])
            .arg(&path)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(shell.stdout.take().unwrap()).lines();
        let pid = timeout(DEADLINE, out.next_line()).await.unwrap().unwrap().unwrap();
        assert_eq!(timeout(DEADLINE, out.next_line()).await.unwrap().unwrap().as_deref(), Some("ready"));
        shell.start_kill().unwrap();
        shell.wait().await.unwrap();
        let process = PathBuf::from(format!("/proc/{pid}/stat"));
        let until = Instant::now() + DEADLINE;
        while is_running(&process) {
            assert!(Instant::now() < until, "the peer outlives its parent");
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn peer_whose_parent_is_gone_already_does_not_start() {
    support::run(async {
        let run = Run::new();
        let config = PeerConfig { parent: Some(1), ..run.config(1) };
        fails_with(&config, 3, &["the parent process 1 has died"]).await;
    });
}

#[test]
fn control_path_too_long_is_one_sentence_and_exit_3() {
    support::run(async {
        let run = Run::new();
        let control = run.path().join("x".repeat(120));
        let config = PeerConfig { control, ..run.config(1) };
        fails_with(&config, 3, &["a Unix socket's has at most 107", "shorter output directory"]).await;
    });
}

#[test]
fn busy_port_is_one_sentence_and_exit_3() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        let config = PeerConfig { listen: peer.endpoint.addr, ..run.config(2) };
        let address = peer.endpoint.addr.to_string();
        fails_with(&config, 3, &["cannot listen on UDP address", &address, "in use"]).await;
    });
}

#[test]
fn unreadable_certificate_is_one_sentence_and_exit_3() {
    support::run(async {
        let run = Run::new();
        let config = run.config(1);
        std::fs::remove_file(&config.identity.certificate).unwrap();
        fails_with(&config, 3, &["cannot read certificate", "No such file"]).await;
        std::fs::write(&config.identity.certificate, "-----BEGIN NONSENSE").unwrap();
        fails_with(&config, 3, &["certificate.pem holds no certificate"]).await;
    });
}

#[test]
fn certificate_of_another_peer_is_one_sentence_and_exit_3() {
    support::run(async {
        let run = Run::new();
        let other = run.config(2);
        let config = PeerConfig { identity: other.identity, ..run.config(1) };
        fails_with(&config, 3, &["belongs to peerbed://test-run/2/peer-2, not to peerbed://test-run/1/peer-1"]).await;
    });
}

#[test]
fn control_socket_of_a_live_peer_is_not_taken_and_an_abandoned_one_is() {
    support::run(async {
        let run = Run::new();
        let mut peer = run.start(1).await;
        let config = PeerConfig { listen: "127.0.0.1:0".parse().unwrap(), ..run.config(1) };
        fails_with(&config, 3, &["cannot open the control socket", "in use"]).await;
        peer.signal(Signal::KILL);
        peer.exit().await;
        assert!(config.control.exists(), "a killed peer leaves its socket behind");
        Peer::start(&config).await;
    });
}

#[test]
fn bad_configuration_is_one_sentence_and_exit_2() {
    support::run(async {
        let run = Run::new();
        let path = run.path().join("config.json");
        let mut child = spawn(&path);
        assert_eq!(timeout(DEADLINE, child.wait()).await.unwrap().unwrap().code(), Some(2));
        assert!(rest_of(&mut child).await.contains("cannot read configuration"));
        std::fs::write(&path, "{\"run\": 5}").unwrap();
        let mut child = spawn(&path);
        assert_eq!(timeout(DEADLINE, child.wait()).await.unwrap().unwrap().code(), Some(2));
        assert!(rest_of(&mut child).await.contains("is not a peer configuration"));
    });
}

#[test]
fn commands_out_of_order_are_refused_with_the_right_status() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 100_000, 16 << 10);
        let peer = run.start(1).await;
        let serve = prepare("d0", &content, Role::Server { content: content.path.clone() });
        let begin = Command::Begin(peerbed_peer::commands::Begin { id: "d0".into(), at: 0.0 });
        let end = Command::End(peerbed_peer::commands::End { id: "d0".into() });
        assert_eq!(peer.refused(&begin).await.0, StatusCode::NOT_FOUND);
        assert_eq!(peer.refused(&end).await.0, StatusCode::NOT_FOUND);
        peer.command(&serve).await;
        assert_eq!(peer.refused(&serve).await.0, StatusCode::CONFLICT);
        peer.command(&end).await;
        let missing = prepare("d1", &content, Role::Server { content: run.path().join("nowhere") });
        let (status, error) = peer.refused(&missing).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(error.contains("cannot read") && error.contains("nowhere"), "{error}");
        for outside in ["../d2", "a/b", "", "/d2"] {
            let role = Role::Server { content: content.path.clone() };
            assert_eq!(peer.refused(&prepare(outside, &content, role)).await.0, StatusCode::BAD_REQUEST, "{outside}");
        }
        peer.command(&serve).await;
    });
}

/// Starts a peer that cannot start, and looks for a line that begins with its name and says why.
async fn fails_with(config: &PeerConfig, code: i32, words: &[&str]) {
    let mut child = spawn(&write_config(config));
    let status = timeout(DEADLINE, child.wait()).await.expect("it ends in time").unwrap();
    let log = rest_of(&mut child).await;
    assert_eq!(status.code(), Some(code), "{log}");
    let sentence = log.lines().find(|line| line.starts_with("peerbed-peer: ")).unwrap_or_else(|| panic!("{log}"));
    for word in words {
        assert!(sentence.contains(word), "{sentence:?} lacks {word:?}");
    }
}

/// Whether a process exists and is no zombie.
fn is_running(stat: &std::path::Path) -> bool {
    let text = std::fs::read_to_string(stat).unwrap_or_default();
    text.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
