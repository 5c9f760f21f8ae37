//! How much memory a peer takes for a file that is much larger.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use peerbed_peer::commands::Role;
use support::content::Content;
use support::process::{Peer, Run};

#[test]
fn memory_grows_with_what_is_in_flight_and_not_with_the_file() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", FILE, PIECE);
        let (seed, leecher) = (run.start_with_tracker(1).await, run.start(2).await);
        let tracker = seed.endpoint;
        let before = [idle(&seed).await, idle(&leecher).await];
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        seed.begin("d0").await;
        leecher.begin("d0").await;
        leecher.completed("d0").await;
        for (peer, before) in [&seed, &leecher].into_iter().zip(before) {
            let status = peer.status().await;
            assert!(status.resident_peak_bytes >= status.resident_bytes && before > 0, "{status:#?}");
            let grown = status.resident_peak_bytes - before;
            support::note(&format!("{}: {} KiB when idle, {} KiB more", peer.config.name, before >> 10, grown >> 10));
            assert!(grown <= ROOM, "{} took {} KiB more than when idle", peer.config.name, grown >> 10);
        }
    });
}

async fn idle(peer: &Peer) -> u64 {
    peer.status().await.resident_peak_bytes
}

/// Ten times what the peers may take for it.
const FILE: usize = 128 << 20;
const PIECE: u32 = 256 << 10;

/// A peer of a release build has 6 MiB when idle and may take 10 MiB and what is in flight, 4 MiB asked of one neighbour.
/// Measured: 4.6 MiB more at the seed, 3.3 MiB at the leecher.
const ROOM: u64 = (4 + 4) << 20;
