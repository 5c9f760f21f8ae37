//! Distribution through a swarm of real peers on loopback.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use peerbed_peer::commands::Role;
use support::content::Content;
use support::process::{Peer, Run};

#[test]
fn leechers_complete_and_their_bytes_are_the_seeds() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 5_000_000, 256 << 10);
        let seed = run.start_with_tracker(1).await;
        let leechers = [run.start(2).await, run.start(3).await, run.start(4).await];
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker }).await;
        for leecher in &leechers {
            leecher.prepare("d0", &content, Role::Leecher { tracker }).await;
        }
        for peer in leechers.iter().chain([&seed]) {
            peer.begin("d0").await;
        }
        for leecher in &leechers {
            let path = leecher.completed("d0").await;
            assert_eq!(std::fs::read(path).unwrap(), content.bytes);
            assert_eq!(leecher.metric("peerbed_swarm_downloaded_bytes_total").await, 5_000_000);
        }
        for peer in leechers.iter().chain([&seed]) {
            peer.end("d0").await;
            gone(peer).await;
        }
    });
}

/// Waits until nothing of a distribution is left in a peer.
async fn gone(peer: &Peer) {
    peer.status_when(|status| status.distributions.is_empty() && status.connections == 0).await;
}
