//! What a peer costs while it does nothing, and whether it gives memory back.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use peerbed_peer::commands::Role;
use support::content::Content;
use support::process::Run;

#[test]
fn idle_peer_stays_below_ten_megabytes() {
    support::run(async {
        let run = Run::new();
        let peer = run.start_with_tracker(1).await;
        let resident = peer.status().await.resident_bytes;
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        support::note(&format!("idle peer, {build} build: {:.1} MiB resident", resident as f64 / MIB));
        // A debug build maps half as much text again.
        let most = if cfg!(debug_assertions) { 15.0 } else { 10.0 };
        assert!((resident as f64) < most * MIB, "{resident} bytes");
        assert!(resident > 1 << 20, "{resident} bytes is no process");
    });
}

#[test]
fn memory_does_not_depend_on_the_size_of_the_file() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 64_000_000, 256 << 10);
        let (seed, leecher) = (run.start_with_tracker(1).await, run.start(2).await);
        let tracker = seed.endpoint;
        let before = leecher.status().await.resident_bytes;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        seed.begin("d0").await;
        leecher.begin("d0").await;
        leecher.completed("d0").await;
        for peer in [&seed, &leecher] {
            peer.end("d0").await;
            let after = peer.status_when(|status| status.connections == 0).await.resident_bytes;
            support::note(&format!("after 64 MB: {:.1} MiB resident", after as f64 / MIB));
            assert!((after as f64) < before as f64 + 12.0 * MIB, "{before} bytes before, {after} after");
        }
    });
}

const MIB: f64 = 1_048_576.0;
