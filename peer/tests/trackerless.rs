//! Swarms without a tracker: members of a ring announce themselves to whoever owns the content's name in it.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod support;

use std::time::Duration;

use peerbed_peer::commands::{Command, Role};
use peerbed_peer::config::{PeerConfig, TrackerOptions};
use peerbed_peer::ring_control::{Circle, Enter, Place, Point, RingCommand, RingOptions, Roster, Standing, Start};
use support::content::Content;
use support::process::{Peer, Run};

#[test]
fn members_of_a_ring_find_each_other_at_the_owner_of_the_contents_name_and_at_the_next_when_it_dies() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 300_000, 64 << 10);
        let name = format!("swarm {}", content.manifest.id().0);
        let circle = Circle::new(64).unwrap();
        let owner = circle.hash(name.as_bytes());
        // Peer 1 sits on the name's point and owns it; peer 2 comes right behind and is its heir.
        let mut points = vec![owner, Point(owner.0.wrapping_add(1) & u128::from(u64::MAX))];
        points.extend([3_u128, 5, 7].map(|eighth| Point(owner.0.wrapping_add(eighth << 61) & u128::from(u64::MAX))));
        let mut peers = found(&run, circle, &points).await;

        let [_, _, seed, leecher, late] = &peers[..] else { unreachable!() };
        seed.prepare("d0", &content, Role::Seed { content: content.path.clone(), tracker: None }).await;
        leecher.prepare("d0", &content, Role::Leecher { tracker: None }).await;
        late.prepare("d0", &content, Role::Leecher { tracker: None }).await;
        for peer in [seed, leecher] {
            peer.begin("d0").await;
        }
        assert_eq!(std::fs::read(leecher.completed("d0").await).unwrap(), content.bytes);
        assert!(peers[0].metric(ANNOUNCES).await >= 2);
        for other in &peers[1..] {
            assert_eq!(other.metric(ANNOUNCES).await, 0, "{} owns nothing", other.config.name);
        }

        peers[0].child.kill().await.unwrap();
        peers[4].begin("d0").await;
        assert_eq!(std::fs::read(peers[4].completed("d0").await).unwrap(), content.bytes);
        assert!(peers[1].metric(ANNOUNCES).await >= 2, "the heir has heard of both");
    });
}

#[test]
fn a_peer_that_is_in_no_ring_keeps_trying_and_says_so() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 100_000, 64 << 10);
        let peer = run.start(1).await;
        peer.prepare("d0", &content, Role::Leecher { tracker: None }).await;
        peer.begin("d0").await;
        peer.metric_reaches("peerbed_tracker_failures_total", 2).await;
        assert_eq!(peer.status().await.distributions["d0"].neighbours, 0);
    });
}

/// Peers that serve trackers, members of one ring with these points.
async fn found(run: &Run, circle: Circle, points: &[Point]) -> Vec<Peer> {
    let mut peers = Vec::new();
    for id in 1..=u32::try_from(points.len()).unwrap() {
        let tracker = TrackerOptions { interval: Duration::from_secs(1), ..TrackerOptions::default() };
        peers.push(Peer::start(&PeerConfig { tracker: Some(tracker), ..run.config(id) }).await);
    }
    let place =
        |(peer, point): (&Peer, &Point)| Place { peer: peer.config.id, point: *point, addr: peer.endpoint.addr };
    let places = peers.iter().zip(points).map(place).collect();
    let roster = run.path().join("roster.json");
    std::fs::write(&roster, serde_json::to_vec(&Roster { circle, places }).unwrap()).unwrap();
    let mut options = RingOptions { successors: 2, stabilise: Duration::from_millis(300), ..RingOptions::default() };
    // A peer that its host holds up for a second is not dead.
    (options.patience.floor, options.patience.initial) = (Duration::from_secs(1), Duration::from_secs(2));
    let start = Start::Found(peers.iter().map(|peer| peer.config.id).collect());
    for peer in &peers {
        let (ring, start, roster, options) = ("ring".to_owned(), start.clone(), roster.clone(), options.clone());
        let enter = Enter { ring, roster, start, options, hold: false };
        peer.command(&Command::Ring(RingCommand::Enter(Box::new(enter)))).await;
    }
    for peer in &peers {
        peer.status_when(|status| status.ring.as_ref().is_some_and(|ring| ring.standing == Standing::Member)).await;
    }
    peers
}

const ANNOUNCES: &str = "peerbed_tracker_announces_total";
