//! Whoever is not of the run, or not who it should be, is refused, counted by reason and told in an event.

mod support;

use peerbed_peer::commands::{Endpoint, Role};
use peerbed_peer::events::{EventKind, RefusedReason};
use support::authority::Authority;
use support::content::Content;
use support::outsider::{FETCH, Outsider, SWARM, TRACKER};
use support::process::{Peer, RUN, Run};

#[test]
fn certificate_of_another_authority_is_refused() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        let leaf = Authority::new().sign(&format!("peerbed://{RUN}/2/peer-2"));
        Outsider::new(Some(&leaf), SWARM).is_refused_by(peer.endpoint).await;
        counted(&peer, RefusedReason::Certificate).await;
    });
}

#[test]
fn certificate_of_another_run_is_refused() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        let leaf = run.authority.sign("peerbed://another-run/2/peer-2");
        Outsider::new(Some(&leaf), SWARM).is_refused_by(peer.endpoint).await;
        counted(&peer, RefusedReason::Run).await;
    });
}

#[test]
fn certificate_without_our_kind_of_name_is_refused() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        let leaf = run.authority.sign("https://example.invalid/peer-2");
        Outsider::new(Some(&leaf), SWARM).is_refused_by(peer.endpoint).await;
        counted(&peer, RefusedReason::Identity).await;
    });
}

#[test]
fn certificate_with_our_own_number_is_refused() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        let leaf = run.authority.sign(&format!("peerbed://{RUN}/1/peer-1"));
        Outsider::new(Some(&leaf), SWARM).is_refused_by(peer.endpoint).await;
        counted(&peer, RefusedReason::Identity).await;
    });
}

#[test]
fn stranger_without_a_certificate_is_refused() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        Outsider::new(None, SWARM).is_refused_by(peer.endpoint).await;
        counted(&peer, RefusedReason::NoCertificate).await;
    });
}

#[test]
fn unknown_protocol_is_refused() {
    support::run(async {
        let run = Run::new();
        let peer = run.start(1).await;
        let leaf = run.authority.sign(&format!("peerbed://{RUN}/2/peer-2"));
        Outsider::new(Some(&leaf), b"peerbed-swarm/0").is_refused_by(peer.endpoint).await;
        // Without a tracker its protocol is unknown, too.
        Outsider::new(Some(&leaf), TRACKER).is_refused_by(peer.endpoint).await;
        peer.metric_reaches("peerbed_quic_refused_total{reason=\"protocol\"}", 2).await;
        counted(&peer, RefusedReason::Protocol).await;
    });
}

#[test]
fn request_for_content_that_nobody_serves_is_refused() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 100_000, 16 << 10);
        let (server, client) = (run.start(1).await, run.start(2).await);
        client.prepare("d0", &content, Role::Client { server: server.endpoint }).await;
        client.begin("d0").await;
        counted(&server, RefusedReason::Unserved).await;
    });
}

#[test]
fn garbage_in_place_of_a_request_is_refused() {
    support::run(async {
        let run = Run::new();
        let server = run.start(1).await;
        let leaf = run.authority.sign(&format!("peerbed://{RUN}/2/peer-2"));
        let connection = Outsider::new(Some(&leaf), FETCH).dial(server.endpoint).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0x3f; 200]).await.unwrap();
        connection.closed().await;
        counted(&server, RefusedReason::Unserved).await;
    });
}

#[test]
fn dialled_peer_that_is_somebody_else_is_refused() {
    support::run(async {
        let run = Run::new();
        let content = Content::make(run.path(), "release", 100_000, 16 << 10);
        let (server, client) = (run.start(1).await, run.start(2).await);
        let wrong = Endpoint { peer: 3, ..server.endpoint };
        client.prepare("d0", &content, Role::Client { server: wrong }).await;
        client.begin("d0").await;
        counted(&client, RefusedReason::Identity).await;
        assert_eq!(client.status().await.distributions["d0"].bytes_down, 0);
    });
}

#[test]
fn handshakes_beyond_the_limit_are_refused_as_busy() {
    support::run(async {
        let run = Run::new();
        let mut config = run.config(1);
        config.quic.connections_max = 0;
        let peer = Peer::start(&config).await;
        let leaf = run.authority.sign(&format!("peerbed://{RUN}/2/peer-2"));
        Outsider::new(Some(&leaf), SWARM).is_refused_by(peer.endpoint).await;
        counted(&peer, RefusedReason::Busy).await;
    });
}

/// Waits until a refusal shows as an event and in the metrics.
async fn counted(peer: &Peer, reason: RefusedReason) {
    peer.event(|kind| matches!(kind, EventKind::PeerRefused { reason: told, .. } if *told == reason)).await;
    peer.metric_reaches(&format!("peerbed_quic_refused_total{{reason=\"{}\"}}", reason.as_str()), 1).await;
}
