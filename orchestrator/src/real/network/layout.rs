//! Cores: which of them serves which peers, and the ways between them, which carry the latencies of regions.
//!
//! Each region that has latencies has a core, and core 0 serves everybody else. Each two cores are joined by a veth
//! pair; its ends delay what goes from the one region to the other. So netem needs no filters to tell regions apart:
//! routing does.
//!
//! Where peers of one region are apart from each other too, their core has a *mirror*: a namespace that sends
//! everything back. Packets from a peer of the region to another go to the mirror, are delayed on the way, and come
//! back to be delivered:
//!
//! ```text
//!            main table          table of last hops (in by the mirror or from another core)
//!   peer ──▶ core ──▶ mirror ──▶ core ──▶ peer
//! ```

use std::net::Ipv4Addr;

use anyhow::Context;
use peerbed_proto::random::Random;

use super::{
    Core, FIRST_PEER_LINK, GATEWAY, LOOPBACK, Towards, core_requests,
    current::Current,
    requests::{End, Pair, Table, address, gateway_route, host_route, last_hop_rule, link_up, neighbour, pair, wake},
};
use crate::{
    links::{
        self,
        kernel::{self, Tc},
    },
    plan::{Peer, Plan},
    real::{
        netlink::{Request, Socket},
        netns::Namespace,
        qdisc,
    },
};

/// Which core serves which peers.
pub(super) struct Layout<'a> {
    /// Regions with a core of their own: that of region n is core n + 1.
    regions: Vec<&'a str>,
    /// Cores with a mirror; the mirrors' numbers follow those of the cores.
    mirrored: Vec<usize>,
}

/// A peer with its namespace and a socket inside.
type Inhabitant<'a> = (&'a Peer, (Namespace, Socket));

impl<'a> Layout<'a> {
    pub(super) fn of(plan: &'a Plan) -> Self {
        let mut regions: Vec<&str> =
            links::latencies_in_use(plan).flat_map(|l| [l.from.as_str(), l.to.as_str()]).collect();
        regions.sort_unstable();
        regions.dedup();
        let apart = |region: &str| links::latencies_in_use(plan).any(|l| l.from == region && l.to == region);
        let mirrored = (1..).zip(&regions).filter(|(_, region)| apart(region)).map(|(core, _)| core).collect();
        Self { regions, mirrored }
    }

    /// Routing namespaces: cores, and behind them mirrors.
    pub(super) fn namespaces(&self) -> usize {
        self.cores() + self.mirrored.len()
    }

    /// All ends of links between namespaces: in which they are, the link's index, and what shapes it.
    pub(super) fn ways(&self, plan: &Plan) -> Vec<(usize, i32, Tc)> {
        let both = self.joints().into_iter().flat_map(|(first, second)| [(first, second), (second, first)]);
        both.map(|(here, there)| {
            let asked = self.latency(plan, here, there).unwrap_or_default();
            (here, end(here, there).index, asked)
        })
        .collect()
    }

    /// Sends each core and mirror its requests: its own address, its peers' links, its ways to the others.
    pub(super) fn fill(
        &self,
        plan: &Plan,
        spaces: &mut [Core],
        peers: &[Inhabitant<'_>],
        links: &Current,
    ) -> anyhow::Result<()> {
        for (first, second) in self.joints() {
            let ends = [(first, second), (second, first)].map(|(here, there)| end(here, there));
            let joint = Pair { near: &ends[0], far: &ends[1], far_namespace: &spaces[second].namespace };
            let request = pair(&joint, &format!("link between cores {first} and {second}"));
            spaces[first].socket.perform(vec![request])?;
        }
        for (here, space) in spaces.iter_mut().enumerate() {
            let mut requests = vec![link_up(LOOPBACK, "lo of the core"), address(LOOPBACK, place(here), "the core")];
            if here < self.cores() {
                requests.extend(self.core(plan, here, peers, links)?);
            } else {
                let core = self.mirrored[here - self.cores()];
                requests.extend(self.way(plan, here, core));
                requests.push(gateway_route(
                    (Ipv4Addr::UNSPECIFIED, 0),
                    place(core),
                    end(here, core).index,
                    "a mirror",
                ));
            }
            space.socket.perform(requests)?;
        }
        Ok(())
    }

    /// Has everything carry packets, once both ends of all links are up.
    pub(super) fn wake(&self, plan: &Plan, spaces: &mut [Core]) -> anyhow::Result<()> {
        let mut links = vec![Vec::new(); spaces.len()];
        for (first, second) in self.joints() {
            links[first].push(end(first, second).index);
        }
        for (index, peer) in (FIRST_PEER_LINK..).zip(&plan.peers) {
            links[self.core_of(peer)].push(index);
        }
        for (space, links) in spaces.iter_mut().zip(links) {
            space.socket.perform(links.into_iter().map(|link| wake(link, "a link of the core")).collect())?;
        }
        Ok(())
    }

    /// Namespaces that route; mirrors follow them.
    pub(super) fn cores(&self) -> usize {
        1 + self.regions.len()
    }

    /// The core that a peer hangs on.
    pub(super) fn core_of(&self, peer: &Peer) -> usize {
        let number = |region: &String| self.regions.iter().position(|r| r == region);
        peer.region.as_ref().and_then(number).map_or(0, |index| index + 1)
    }

    fn mirror_of(&self, core: usize) -> Option<usize> {
        self.mirrored.iter().position(|mirrored| *mirrored == core).map(|index| self.cores() + index)
    }

    /// All pairs of namespaces with a link between them.
    fn joints(&self) -> Vec<(usize, usize)> {
        let cores = (0..self.cores()).flat_map(|first| (first + 1..self.cores()).map(move |second| (first, second)));
        cores.chain(self.mirrored.iter().filter_map(|core| Some((*core, self.mirror_of(*core)?)))).collect()
    }

    /// What happens in one core: its ways to other cores and its mirror, its peers, and routes to everybody.
    fn core(
        &self,
        plan: &Plan,
        here: usize,
        peers: &[Inhabitant<'_>],
        links: &Current,
    ) -> anyhow::Result<Vec<Request>> {
        let mirror = self.mirror_of(here);
        let others = (0..self.cores()).filter(|there| *there != here);
        let neighbours: Vec<usize> = others.chain(mirror).collect();
        let mut requests: Vec<Request> = neighbours.iter().flat_map(|there| self.way(plan, here, *there)).collect();
        if mirror.is_some() {
            // What comes from there has been delayed already.
            requests.extend(neighbours.iter().map(|there| last_hop_rule(&end(here, *there).name, "the core")));
        }
        for (index, (peer, (namespace, _))) in (0..).zip(peers) {
            let home = self.core_of(peer);
            let via = if home == here { mirror } else { Some(home) };
            if home == here {
                let tc = links.get(&peer.id).map(|link| link.tc(Towards::Peer)).context("every peer has a link")?;
                let (made, link) = core_requests(peer, index, tc, namespace);
                requests.extend(made);
                let table = if mirror.is_some() { Table::LastHop } else { Table::Main };
                requests.push(host_route(table, peer.address, link, &peer.name));
            }
            if let Some(via) = via {
                let link = end(here, via).index;
                requests.push(gateway_route((peer.address, 32), place(via), link, &peer.name));
            }
        }
        Ok(requests)
    }

    /// Brings up one end of a link between cores, or to a mirror, and gives it the latency of its direction.
    fn way(&self, plan: &Plan, here: usize, there: usize) -> Vec<Request> {
        let (near, far) = (end(here, there), end(there, here));
        let name = format!("link from core {here} to core {there}");
        let mut requests = vec![link_up(near.index, &name), neighbour(near.index, place(there), far.mac, &name)];
        if let Some(tc) = self.latency(plan, here, there) {
            requests.extend(qdisc::requests(&tc, near.index, &name));
        }
        requests
    }

    /// What delays packets on the way from one namespace to another; nothing where their regions have no latency.
    fn latency(&self, plan: &Plan, here: usize, there: usize) -> Option<Tc> {
        // The way to the mirror is that of the region to itself; the way back costs nothing.
        let target = if there >= self.cores() { here } else { there };
        let region = |core: usize| core.checked_sub(1).and_then(|index| self.regions.get(index).copied());
        let (from, to) = (region(here), region(target));
        let latency =
            links::latencies_in_use(plan).find(|l| Some(l.from.as_str()) == from && Some(l.to.as_str()) == to)?;
        let seed = Random::new(plan.seed, &format!("latency {} {}", latency.from, latency.to)).bits();
        Some(kernel::read_latency(latency.delay.0, seed))
    }
}

/// The end in core `here` of its link to core `there`.
fn end(here: usize, there: usize) -> End {
    let number = |core: usize| u8::try_from(core).expect("regions are at most some dozens");
    let mac = [2, CORE_TO_CORE, 0, 0, number(here), number(there)];
    End { name: format!("core{there}"), index: LOOPBACK + 1 + i32::from(number(there)), mac }
}

/// Address of a core or mirror on its own `lo`, counted downwards from the end of the range.
fn place(core: usize) -> Ipv4Addr {
    let below = u32::try_from(core).expect("regions are at most some dozens");
    Ipv4Addr::from(u32::from(GATEWAY) - below)
}

/// Second byte of hardware addresses between cores.
const CORE_TO_CORE: u8 = 3;
