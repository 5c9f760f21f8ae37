//! The network of a plan: one namespace per peer, joined by routing cores.
//!
//! Peers hang on the core of their region, each by a veth pair: `eth0` in the peer's namespace, `p<id>` in the core's.
//! There is one core per region that has latencies to others, and one for all other peers; each two cores are joined by a
//! veth pair of their own, which carries the regions' latency. So netem needs no filters to tell regions apart: routing
//! does. Everybody's neighbours are permanent entries: no ARP, no extra round trip before the first packet.
//!
//! All this happens on the thread that calls [`Network::build`], which is left in the first core's namespace. What the
//! links' settings mean is read by `links`; processes are the business of `process`.

mod requests;

use std::{collections::BTreeMap, fs, io, net::Ipv4Addr};

use anyhow::Context;
use peerbed_proto::{id::PeerId, random::Random};

use crate::{
    links::{self, kernel},
    plan::{Link, Peer, Plan},
    real::{
        netlink::{Request, Socket},
        netns::Namespace,
        qdisc,
    },
};

pub(super) use self::requests::throw_away_pair;
use self::requests::{End, Pair, address, gateway_route, host_route, link_up, neighbour, pair};

/// The namespaces of a run. Dropping it frees them, once the processes inside have ended.
#[derive(Debug)]
pub(super) struct Network {
    peers: BTreeMap<PeerId, Namespace>,
    /// Held, not read: the links' other ends are in here.
    _cores: Vec<Core>,
}

impl Network {
    /// Builds the network of `plan` with the kernel engine.
    ///
    /// # Errors
    ///
    /// When the kernel refuses something; it names what and why. Everything made so far is gone then.
    pub(super) fn build(plan: &Plan) -> anyhow::Result<Self> {
        let layout = Layout::of(plan);
        let mut cores = (0..layout.cores())
            .map(|_| Core::create().context("making the core's namespace"))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut peers = Vec::with_capacity(plan.peers.len());
        for peer in &plan.peers {
            let space = space(false).with_context(|| format!("making the namespace of {}", peer.name))?;
            peers.push((peer, space));
        }
        cores[0].namespace.enter().context("entering the core's namespace")?;
        layout.fill_cores(plan, &mut cores, &peers)?;
        for (peer, (_, socket)) in &mut peers {
            let link = link(plan, peer)?;
            socket.perform(peer_requests(peer, link))?;
        }
        let peers = peers.into_iter().map(|(peer, (namespace, _))| (peer.id, namespace)).collect();
        Ok(Self { peers, _cores: cores })
    }

    /// The namespace of a peer of the plan.
    pub(super) fn namespace(&self, peer: PeerId) -> Option<&Namespace> {
        self.peers.get(&peer)
    }
}

/// A routing namespace.
#[derive(Debug)]
struct Core {
    namespace: Namespace,
    socket: Socket,
}

impl Core {
    fn create() -> io::Result<Self> {
        let (namespace, socket) = space(true)?;
        Ok(Self { namespace, socket })
    }
}

/// Which core serves which peers.
struct Layout<'a> {
    /// Regions with a core of their own; core 0 serves everybody else.
    regions: Vec<&'a str>,
}

impl<'a> Layout<'a> {
    fn of(plan: &'a Plan) -> Self {
        let mut regions: Vec<&str> =
            links::latencies_in_use(plan).flat_map(|l| [l.from.as_str(), l.to.as_str()]).collect();
        regions.sort_unstable();
        regions.dedup();
        Self { regions }
    }

    fn cores(&self) -> usize {
        1 + self.regions.len()
    }

    fn core_of(&self, peer: &Peer) -> usize {
        let place = |region: &String| self.regions.iter().position(|r| r == region);
        peer.region.as_ref().and_then(place).map_or(0, |index| index + 1)
    }

    /// Sends each core its requests: its own address, its peers' links, its ways to the other cores.
    fn fill_cores(&self, plan: &Plan, cores: &mut [Core], peers: &[(&Peer, (Namespace, Socket))]) -> anyhow::Result<()> {
        for (first, second) in self.core_pairs() {
            let ends = [(first, second), (second, first)].map(|(here, there)| core_end(here, there));
            let joint = Pair { near: &ends[0], far: &ends[1], far_namespace: &cores[second].namespace };
            let request = pair(&joint, &format!("link between cores {first} and {second}"));
            cores[first].socket.perform(vec![request])?;
        }
        for here in 0..cores.len() {
            let mut requests = vec![link_up(LOOPBACK, "lo of the core"), address(LOOPBACK, core_address(here), "the core")];
            for there in (0..cores.len()).filter(|there| *there != here) {
                requests.extend(self.way_to_core(plan, here, there));
            }
            for (index, (peer, (namespace, _))) in (0..).zip(peers) {
                let home = self.core_of(peer);
                if home == here {
                    requests.extend(core_requests(peer, index, link(plan, peer)?, namespace));
                } else {
                    let via = core_end(here, home);
                    requests.push(gateway_route(peer.address, 32, core_address(home), via.index, &peer.name));
                }
            }
            cores[here].socket.perform(requests)?;
        }
        Ok(())
    }

    fn core_pairs(&self) -> Vec<(usize, usize)> {
        (0..self.cores()).flat_map(|first| (first + 1..self.cores()).map(move |second| (first, second))).collect()
    }

    /// Brings up one end of a link between cores and gives it the latency of its direction.
    fn way_to_core(&self, plan: &Plan, here: usize, there: usize) -> Vec<Request> {
        let (near, far) = (core_end(here, there), core_end(there, here));
        let place = format!("link from core {here} to core {there}");
        let mut requests =
            vec![link_up(near.index, &place), neighbour(near.index, core_address(there), far.mac, &place)];
        let name = |core: usize| core.checked_sub(1).map(|index| self.regions[index]);
        let latency = plan
            .latencies
            .iter()
            .find(|l| Some(l.from.as_str()) == name(here) && Some(l.to.as_str()) == name(there))
            .filter(|l| !l.delay.0.is_zero());
        if let Some(latency) = latency {
            let seed = Random::new(plan.seed, &format!("latency {} {}", latency.from, latency.to)).bits();
            requests.extend(qdisc::requests(&kernel::read_latency(latency.delay.0, seed), near.index, &place));
        }
        requests
    }
}

/// A namespace with a netlink socket inside; the calling thread is left in it.
///
/// IPv6 is off: nothing uses it, and its duplicate address detection would take a second and its chatter our rate.
fn space(routes: bool) -> io::Result<(Namespace, Socket)> {
    let namespace = Namespace::create()?;
    // Absent where the kernel has no IPv6; read-only in some containers, which costs time and nothing else.
    let _ = fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    if routes {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")
            .map_err(|e| io::Error::new(e.kind(), format!("switching on routing in /proc/sys/net/ipv4/ip_forward: {e}")))?;
    }
    Ok((namespace, Socket::open()?))
}

fn link<'a>(plan: &'a Plan, peer: &Peer) -> anyhow::Result<&'a Link> {
    let link = plan.links.iter().find(|link| link.name == peer.link);
    link.with_context(|| format!("the plan has no link `{}`, which {} uses", peer.link, peer.name))
}

/// What happens in the core's namespace for one peer: its link, its route, its shaping downwards.
fn core_requests(peer: &Peer, index: i32, link: &Link, namespace: &Namespace) -> Vec<Request> {
    let near = End { name: format!("p{}", peer.id.0), index: FIRST_PEER_LINK + index, mac: mac(CORE_SIDE, peer.address) };
    let far = peer_end(peer);
    let place = format!("core's end of the link of {}", peer.name);
    let joint = Pair { near: &near, far: &far, far_namespace: namespace };
    let mut requests = vec![
        pair(&joint, &place),
        host_route(peer.address, near.index, &place),
        neighbour(near.index, peer.address, far.mac, &place),
    ];
    let tc = kernel::read(&link.down, link_seed(peer, "down"));
    requests.extend(qdisc::requests(&tc, near.index, &place));
    requests
}

/// What happens in the peer's namespace: its address, its way out, its shaping upwards.
fn peer_requests(peer: &Peer, link: &Link) -> Vec<Request> {
    let end = peer_end(peer);
    let place = format!("eth0 of {}", peer.name);
    let mut requests = vec![
        link_up(LOOPBACK, &format!("lo of {}", peer.name)),
        address(end.index, peer.address, &place),
        link_up(end.index, &place),
        neighbour(end.index, GATEWAY, mac(CORE_SIDE, peer.address), &place),
        gateway_route(Ipv4Addr::UNSPECIFIED, 0, GATEWAY, end.index, &place),
    ];
    let tc = kernel::read(&link.up, link_seed(peer, "up"));
    requests.extend(qdisc::requests(&tc, end.index, &place));
    requests
}

fn peer_end(peer: &Peer) -> End {
    End { name: "eth0".to_owned(), index: LOOPBACK + 1, mac: mac(PEER_SIDE, peer.address) }
}

/// The end in core `here` of its link to core `there`.
fn core_end(here: usize, there: usize) -> End {
    let number = |core: usize| u8::try_from(core).expect("regions are at most some dozens");
    let mac = [2, CORE_TO_CORE, 0, 0, number(here), number(there)];
    End { name: format!("core{there}"), index: LOOPBACK + 1 + i32::from(number(there)), mac }
}

/// Address of a core on its own `lo`, counted downwards from the end of the range.
fn core_address(core: usize) -> Ipv4Addr {
    let below = u32::try_from(core).expect("regions are at most some dozens");
    Ipv4Addr::from(u32::from(GATEWAY) - below)
}

/// A locally administered address: side and IPv4 address make it unique.
fn mac(side: u8, address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [2, side, a, b, c, d]
}

fn link_seed(peer: &Peer, direction: &str) -> u64 {
    Random::new(peer.seed, &format!("link {direction}")).bits()
}

/// Address of the first core, and of every peer's next hop: the last host of 198.18.0.0/15.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 254);
/// Index of `lo` in every namespace.
const LOOPBACK: i32 = 1;
/// Index of the first peer's link in a core; below are the links between cores.
const FIRST_PEER_LINK: i32 = 1_000;
const CORE_SIDE: u8 = 1;
const PEER_SIDE: u8 = 2;
const CORE_TO_CORE: u8 = 3;
