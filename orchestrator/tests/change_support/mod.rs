//! Changes of links and partitions, and datagrams that show what came of them.
#![allow(dead_code, reason = "every test file takes what it needs")]

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use peerbed_orchestrator::{
    links::Engine,
    plan::{Action, Changes, CutDirection, LinkChange, Partition, Plan, Step, When},
    real::{
        Supervisor,
        features::{Feature, probe},
    },
    units::Span,
};
use peerbed_proto::id::PeerId;

use crate::real_support::{address, can_make_namespaces};

/// Those that can be used here.
pub(crate) fn engines() -> Vec<Engine> {
    if !can_make_namespaces() {
        return Vec::new();
    }
    let has_tun = probe(&[Feature::Tun]).unwrap()[0].1.is_none();
    if has_tun { vec![Engine::Kernel, Engine::User] } else { vec![Engine::Kernel] }
}

/// Builds the network of a plan with an engine.
pub(crate) async fn build(plan: &Plan, engine: Engine) -> Supervisor {
    let supervisor = Supervisor::start().unwrap();
    supervisor.build(plan, engine).await.unwrap();
    supervisor
}

/// A partition of this name.
pub(crate) fn partition(name: &str, sides: &[&[u32]], direction: CutDirection) -> Partition {
    let sides = sides.iter().map(|side| side.iter().copied().map(PeerId).collect()).collect();
    Partition { name: name.to_owned(), sides, direction }
}

/// A step at the beginning that changes links, so that the network is built for it.
pub(crate) fn step(peers: &[u32], up: Changes, down: Changes) -> Step {
    let peers = peers.iter().copied().map(PeerId).collect();
    Step { when: When::At(Span::default()), action: Action::Link(vec![LinkChange { peers, reset: false, up, down }]) }
}

/// Changes links, which must succeed.
pub(crate) async fn change(supervisor: &Supervisor, peers: &[u32], up: Changes, down: Changes) {
    let peers = peers.iter().copied().map(PeerId).collect();
    supervisor.change_links(&[LinkChange { peers, reset: false, up, down }]).await.unwrap();
}

/// Whether one datagram arrives; otherwise it has been counted as lost.
pub(crate) async fn arrives(supervisor: &Supervisor, from: u32, to: u32) -> bool {
    let before = lost(supervisor).await;
    let (from, to) = sockets(supervisor, from, to).await;
    to.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    from.send_to(b"x", to.local_addr().unwrap()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_lost = lost(supervisor).await > before;
        // What arrives says so, in the end, even where something else was lost meanwhile.
        if to.recv(&mut [0; 8]).is_ok() {
            return true;
        }
        if is_lost {
            return false;
        }
        assert!(Instant::now() < deadline, "it has neither arrived nor been counted as lost");
    }
}

/// Packets that partitions and links that are down have lost.
async fn lost(supervisor: &Supervisor) -> u64 {
    let losses = supervisor.losses().await.unwrap();
    losses.down + losses.partitions.values().sum::<u64>()
}

/// What happens at all happens within this, on any host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A socket at each of two peers.
pub(crate) async fn sockets(supervisor: &Supervisor, from: u32, to: u32) -> (UdpSocket, UdpSocket) {
    let bound = async |peer: u32| {
        supervisor.inside(PeerId(peer), move || UdpSocket::bind((address(peer), 0)).unwrap()).await.unwrap()
    };
    (bound(from).await, bound(to).await)
}
