//! Distribution through a swarm of real peers on loopback.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use hyper::StatusCode;
use peerbed_peer::commands::{Begin, Command, Prepare, Role, SwarmOptions};
use peerbed_peer::config::{PeerConfig, TrackerOptions};
use peerbed_peer::events::EventKind;
use peerbed_peer::status::Status;
use peerbed_peer::timing;
use peerbed_proto::swarm::{Conduct, Exchange, Leaving};
use rustix::process::Signal;
use support::content::Content;
use support::process::{Peer, Run, prepare};

#[test]
fn leechers_complete_and_their_bytes_are_the_seeds() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 5_000_000, 256 << 10);
        let seed = run.start_with_tracker(1).await;
        let leechers = [run.start(2).await, run.start(3).await, run.start(4).await];
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        for leecher in &leechers {
            leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        }
        for peer in leechers.iter().chain([&seed]) {
            peer.begin("d0").await;
        }
        for leecher in &leechers {
            let path = leecher.completed("d0").await;
            assert_eq!(std::fs::read(path).unwrap(), content.bytes);
            assert_eq!(leecher.metric("peerbed_swarm_downloaded_bytes_total").await, 5_000_000);
            // Each leaf that was asked for is in the histogram; one that came late, from elsewhere, is not.
            let measured = timing::decode(&leecher.histograms().await["swarm.leaf"]).unwrap();
            assert!((150..=306).contains(&measured.len()), "{} of 306 leaves", measured.len());
            assert_eq!(leecher.metric("peerbed_swarm_leaf_seconds_count").await, measured.len());
        }
        assert!(seed.histograms().await.is_empty(), "a seed waits for no leaf");
        for peer in leechers.iter().chain([&seed]) {
            peer.end("d0").await;
            gone(peer).await;
        }
    });
}

#[test]
fn peer_that_promises_what_it_lacks_is_dropped_and_the_other_completes() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 500_000, 64 << 10);
        let seed = run.start_with_tracker(1).await;
        let [leecher, liar] = [run.start(2).await, run.start(3).await];
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        let Command::Prepare(honest) = prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }) else {
            unreachable!()
        };
        let options = SwarmOptions { conduct: Conduct::EmptyPromises, ..SwarmOptions::default() };
        liar.command(&Command::Prepare(Prepare { options, ..honest })).await;
        leecher.begin("d0").await;
        liar.begin("d0").await;

        let is_dropped = |kind: &EventKind| matches!(kind, EventKind::PeerDropped { peer: 3, reason, .. } if reason == "broken-promises");
        leecher.event(is_dropped).await;
        seed.begin("d0").await;
        assert_eq!(std::fs::read(leecher.completed("d0").await).unwrap(), content.bytes);
    });
}

#[test]
fn leecher_that_leaves_on_completion_is_gone_before_it_is_told_to_end() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 500_000, 64 << 10);
        let seed = run.start_with_tracker(1).await;
        let leecher = run.start(2).await;
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        let Command::Prepare(staying) = prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }) else {
            unreachable!()
        };
        let options = SwarmOptions { leaving: Leaving::OnCompletion, ..SwarmOptions::default() };
        leecher.command(&Command::Prepare(Prepare { options, ..staying })).await;
        seed.begin("d0").await;
        leecher.begin("d0").await;
        leecher.completed("d0").await;
        seed.metric_reaches("peerbed_tracker_left_total", 1).await;
        seed.status_when(|status| status.distributions["d0"].neighbours == 0).await;
        leecher.end("d0").await;
    });
}

#[test]
fn a_swarm_whose_tracker_died_goes_on_growing_together() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 200_000, 64 << 10);
        // Whoever announces is told of a single other peer, so that without exchange most never meet.
        let options = TrackerOptions { answer_max: 1, ..TrackerOptions::default() };
        let mut tracker = Peer::start(&PeerConfig { tracker: Some(options), ..run.config(1) }).await;
        let at = tracker.endpoint;
        let mut peers = Vec::new();
        for id in 2..8 {
            let peer = run.start(id).await;
            // Nobody has a piece to give, so that all stay neighbours.
            let Command::Prepare(plain) = prepare("d0", &content, Role::Leecher { tracker: Some(at) }) else {
                unreachable!()
            };
            let options = SwarmOptions { exchange: Exchange::Neighbours, ..SwarmOptions::default() };
            peer.command(&Command::Prepare(Prepare { options, ..plain })).await;
            // One after the other: each finds those that were there before it.
            peer.begin("d0").await;
            tracker.metric_reaches("peerbed_tracker_announces_total", u64::from(id) - 1).await;
            peers.push(peer);
        }
        for peer in &peers {
            peer.status_when(|status| status.distributions["d0"].neighbours > 0).await;
        }
        tracker.signal(Signal::KILL);
        tracker.exit().await;

        for peer in &peers {
            peer.status_when(|status| status.distributions["d0"].neighbours == 5).await;
        }
    });
}

#[test]
fn peers_that_dial_each_other_keep_one_connection() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 200_000, 64 << 10);
        let seed = run.start_with_tracker(1).await;
        let tracker = seed.endpoint;
        let mut peers = Vec::new();
        for id in 2..8 {
            peers.push(run.start(id).await);
        }
        // Nobody has a piece to give, so that all stay neighbours.
        for peer in &peers {
            peer.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        }
        let at = peerbed_peer::clock::seconds() + 0.2;
        for peer in &peers {
            peer.command(&Command::Begin(Begin { id: "d0".into(), at })).await;
        }
        let others = peers.len() as u32 - 1;
        for peer in &peers {
            let settled =
                |status: &Status| status.distributions["d0"].neighbours == others && status.connections == others;
            peer.status_when(settled).await;
        }
    });
}

#[test]
fn leecher_that_is_terminated_tells_tracker_and_neighbours() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 500_000, 64 << 10);
        let seed = run.start_with_tracker(1).await;
        let mut leecher = run.start(2).await;
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        seed.begin("d0").await;
        leecher.begin("d0").await;
        leecher.completed("d0").await;
        leecher.signal(Signal::TERM);
        let (status, log) = leecher.exit().await;
        assert_eq!(status.code(), Some(0), "{log}");
        seed.metric_reaches("peerbed_tracker_left_total", 1).await;
        seed.status_when(|status| status.distributions["d0"].neighbours == 0).await;
    });
}

#[test]
fn neighbour_that_is_killed_does_not_keep_the_others_from_completing() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 8_000_000, 256 << 10);
        let seed = run.start_with_tracker(1).await;
        let tracker = seed.endpoint;
        let mut leechers = Vec::new();
        for id in 2..6 {
            leechers.push(run.start(id).await);
        }
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        for leecher in &leechers {
            leecher.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        }
        for peer in leechers.iter().chain([&seed]) {
            peer.begin("d0").await;
        }
        let victim = leechers.remove(0);
        victim.event(|kind| matches!(kind, EventKind::Piece { have: 3.., .. })).await;
        victim.signal(Signal::KILL);
        for leecher in &leechers {
            assert_eq!(std::fs::read(leecher.completed("d0").await).unwrap(), content.bytes);
        }
    });
}

#[test]
fn leecher_that_was_killed_comes_back_and_resumes() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 30_000_000, 256 << 10);
        let (seed, first) = (run.start_with_tracker(1).await, run.start(2).await);
        let mut first = first;
        let tracker = seed.endpoint;
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
        first.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        seed.begin("d0").await;
        first.begin("d0").await;
        first.event(|kind| matches!(kind, EventKind::Piece { have: 3.., .. })).await;
        first.signal(Signal::KILL);
        first.exit().await;
        let second = run.start(2).await;
        second.prepare("d0", &content, Role::Leecher { tracker: Some(tracker) }).await;
        assert!(second.status().await.distributions["d0"].have >= 3);
        second.begin("d0").await;
        assert_eq!(std::fs::read(second.completed("d0").await).unwrap(), content.bytes);
    });
}

#[test]
fn two_swarms_run_side_by_side_and_one_content_is_not_shared_twice() {
    support::run(async {
        let run = Run::new();
        let contents =
            [Content::make(run.path(), "one", 400_000, 64 << 10), Content::make(run.path(), "two", 700_000, 64 << 10)];
        let (seed, leecher) = (run.start_with_tracker(1).await, run.start(2).await);
        let tracker = seed.endpoint;
        for (content, id) in contents.iter().zip(["d0", "d1"]) {
            seed.prepare(id, content, Role::Seed { content: content.path.clone(), tracker: Some(tracker) }).await;
            leecher.prepare(id, content, Role::Leecher { tracker: Some(tracker) }).await;
            seed.begin(id).await;
            leecher.begin(id).await;
        }
        let (status, error) =
            leecher.refused(&prepare("d2", &contents[0], Role::Leecher { tracker: Some(tracker) })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(error.contains("another distribution shares the same content"), "{error}");
        for (content, id) in contents.iter().zip(["d0", "d1"]) {
            assert_eq!(std::fs::read(leecher.completed(id).await).unwrap(), content.bytes);
        }
    });
}

/// Waits until nothing of a distribution is left in a peer.
async fn gone(peer: &Peer) {
    peer.status_when(|status| status.distributions.is_empty() && status.connections == 0).await;
}
