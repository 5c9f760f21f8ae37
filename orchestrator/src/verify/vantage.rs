//! From where links are measured, and at which peers: one more namespace without shaping, and one peer of each class.
//!
//! A packet between the vantage point and a peer passes one direction of one link and nothing else, so that up and down
//! of each class are told apart and no class is another's bottleneck. Only choices are made here; sockets and packets
//! live in `flow` and `measure`.

use std::net::Ipv4Addr;

use peerbed_proto::id::PeerId;

use crate::{
    links,
    plan::{Direction, Discipline, Jitter, Link, Loss, Peer, Plan, Queue},
    units::{Share, Span},
};

/// `plan` with the vantage point as one more peer, for whoever builds the network. It has no process.
#[must_use]
pub fn with_vantage(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let last = plan.peers.last().map_or(Ipv4Addr::new(198, 18, 0, 0), |peer| peer.address);
    plan.peers.push(Peer {
        id: vantage(&plan),
        name: CLASS.to_owned(),
        group: CLASS.to_owned(),
        link: CLASS.to_owned(),
        region: None,
        address: Ipv4Addr::from(u32::from(last) + 1),
        port: 0,
        seed: plan.seed,
        present: false,
        swarm: None,
        tracker: None,
        exec: None,
        congestion: peerbed_peer::config::Congestion::Cubic,
    });
    plan.links.push(Link { name: CLASS.to_owned(), up: unshaped(), down: unshaped() });
    plan
}

/// The number of the vantage point in the network of `plan`: the one behind the last peer's.
#[must_use]
pub fn vantage(plan: &Plan) -> PeerId {
    PeerId(plan.peers.iter().map(|peer| peer.id.0).max().unwrap_or(0) + 1)
}

/// The classes of links that peers have, each with its first peer.
pub(super) fn representatives(plan: &Plan) -> Vec<(&Link, &Peer)> {
    plan.links.iter().filter_map(|link| Some((link, plan.peers.iter().find(|peer| peer.link == link.name)?))).collect()
}

/// The regions that latencies in use lie between, each with that of its peers whose link is the fastest.
pub(super) fn regions(plan: &Plan) -> Vec<(&str, &Peer)> {
    let mut names: Vec<&str> = links::latencies_in_use(plan).flat_map(|l| [l.from.as_str(), l.to.as_str()]).collect();
    names.sort_unstable();
    names.dedup();
    let speed = |peer: &Peer| link_of(plan, peer).map_or(0, slowest_rate);
    let fastest = |name: &str| {
        let inside = plan.peers.iter().filter(|peer| peer.region.as_deref() == Some(name));
        inside.fold(None, |best: Option<&Peer>, peer| match best {
            Some(best) if speed(best) >= speed(peer) => Some(best),
            _ => Some(peer),
        })
    };
    names.into_iter().filter_map(|name| Some((name, fastest(name)?))).collect()
}

/// A peer of a region beside the one that [`regions`] names.
pub(super) fn other_inhabitant<'a>(plan: &'a Plan, region: &str) -> Option<&'a Peer> {
    let first = regions(plan).into_iter().find(|(name, _)| *name == region)?.1;
    plan.peers.iter().find(|peer| peer.region.as_deref() == Some(region) && peer.id != first.id)
}

/// The class of a peer's link.
pub(super) fn link_of<'a>(plan: &'a Plan, peer: &Peer) -> Option<&'a Link> {
    plan.links.iter().find(|link| link.name == peer.link)
}

/// The smaller of a link's two rates in bits per second; the greatest number where both are unshaped.
pub(super) fn slowest_rate(link: &Link) -> u64 {
    [&link.up, &link.down]
        .into_iter()
        .filter_map(|direction| direction.rate)
        .map(|rate| rate.0)
        .min()
        .unwrap_or(u64::MAX)
}

fn unshaped() -> Direction {
    Direction {
        rate: None,
        overhead: 0,
        delay: Span::default(),
        jitter: Jitter::default(),
        loss: Loss { average: Share(0), burst: 1 },
        reorder: Share(0),
        duplicate: Share(0),
        corrupt: Share(0),
        queue: Queue::Packets(1_000),
        discipline: Discipline::DropTail,
        trace: None,
    }
}

/// Name of the vantage point and of its link; no name of a topology has parentheses.
const CLASS: &str = "(vantage)";
