//! The network of a plan by the user engine: one namespace per peer, each with a TUN device that the engine carries.
//!
//! There is nothing in the core's namespace: the engine's thread lives there, and does what routes and queues do with
//! the kernel engine.

use std::collections::BTreeMap;

use anyhow::Context;
use peerbed_proto::id::PeerId;

use super::{
    LOOPBACK, link, peer_end,
    requests::{address, default_route, link_up, link_up_with_queue},
    space,
};
use crate::{
    links::user::{PeerLink, UserEngine, device::Device},
    plan::{Peer, Plan},
    real::{netlink::Request, netns::Namespace},
};

/// The engine and the namespaces of the peers. The calling thread is left in the core's namespace.
pub(super) fn build(plan: &Plan) -> anyhow::Result<(UserEngine, BTreeMap<PeerId, Namespace>)> {
    let core = Namespace::create().context("making the core's namespace")?;
    let mut peers = BTreeMap::new();
    let mut links = Vec::with_capacity(plan.peers.len());
    for peer in &plan.peers {
        let (namespace, mut socket) = space(false).with_context(|| format!("making the namespace of {}", peer.name))?;
        let end = peer_end(peer);
        let index = u32::try_from(end.index).expect("it is 2");
        let device = Device::create(&end.name, index)
            .with_context(|| format!("making the TUN device of {} from /dev/net/tun", peer.name))?;
        socket.perform(peer_requests(peer))?;
        links.push(PeerLink::new(peer, link(plan, peer)?, device));
        peers.insert(peer.id, namespace);
    }
    // The engine's thread begins where this one is.
    core.enter().context("entering the core's namespace")?;
    let engine = UserEngine::start(links, &plan.latencies).context("starting the user engine")?;
    Ok((engine, peers))
}

/// What happens in the peer's namespace: its address and its way out. Devices without Ethernet have no neighbours.
fn peer_requests(peer: &Peer) -> Vec<Request> {
    let end = peer_end(peer);
    let place = format!("eth0 of {}", peer.name);
    vec![
        link_up(LOOPBACK, &format!("lo of {}", peer.name)),
        address(end.index, peer.address, &place),
        link_up_with_queue(end.index, DEVICE_QUEUE, &place),
        default_route(end.index, &place),
    ]
}

/// Packets that a device holds until the engine reads them; more are dropped by the peer's kernel, which nobody asked
/// for. At a million small packets a second the engine's thread may be away for a millisecond.
const DEVICE_QUEUE: u32 = 1_000;
