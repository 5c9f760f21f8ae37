//! Client-server distribution between real peers on loopback.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use peerbed_peer::commands::Role;
use peerbed_peer::events::EventKind;
use rustix::process::Signal;
use support::content::Content;
use support::process::Run;

#[test]
fn client_that_was_killed_is_served_again_at_once() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 60_000_000, 256 << 10);
        let server = run.start(1).await;
        let mut client = run.start(2).await;
        server.prepare("d0", &content, Role::Server { content: content.path.clone() }).await;
        server.begin("d0").await;
        for start in 0..2 {
            if start > 0 {
                client = run.start(2).await;
            }
            client.prepare("d0", &content, Role::Client { server: server.endpoint }).await;
            client.begin("d0").await;
            if start == 0 {
                client.event(|kind| matches!(kind, EventKind::Piece { have: 3.., .. })).await;
                client.signal(Signal::KILL);
                client.exit().await;
            }
        }
        let path = client.completed("d0").await;
        assert_eq!(std::fs::read(path).unwrap(), content.bytes);
        assert_eq!(server.metric("peerbed_fetch_refused_total").await, 0);
    });
}

#[test]
fn clients_get_the_file_of_their_server() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 3_000_000, 256 << 10);
        let server = run.start(1).await;
        let clients = [run.start(2).await, run.start(3).await];
        server.prepare("d0", &content, Role::Server { content: content.path.clone() }).await;
        for client in &clients {
            client.prepare("d0", &content, Role::Client { server: server.endpoint }).await;
        }
        server.begin("d0").await;
        for client in &clients {
            client.begin("d0").await;
        }
        for client in &clients {
            let path = client.completed("d0").await;
            assert_eq!(std::fs::read(path).unwrap(), content.bytes);
            assert_eq!(client.metric("peerbed_fetch_downloaded_bytes_total").await, 3_000_000);
        }
        server.status_when(|status| status.distributions["d0"].neighbours == 0).await;
        assert_eq!(server.metric("peerbed_fetch_sent_bytes_total").await, 6_000_000);
        server.end("d0").await;
        assert!(server.status().await.distributions.is_empty());
    });
}
