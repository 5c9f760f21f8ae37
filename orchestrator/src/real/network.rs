//! The network of a plan: one namespace per peer, joined by routing cores.
//!
//! Peers hang on the core of their region, each by a veth pair: `eth0` in the peer's namespace, `p<id>` in the core's.
//! There is one core per region that has latencies, and one for all other peers (`layout`). Everybody's neighbours are permanent entries: no ARP, no extra round trip before the first packet.
//!
//! That is the kernel engine's network; the user engine's is simpler (`user`).
//!
//! All this happens on the thread that calls [`Network::build`], which is left in the first core's namespace. What the
//! links' settings mean is read by `links`; processes are the business of `process`.

mod current;
mod cuts;
mod layout;
mod paces;
mod prefixes;
mod read_back;
mod requests;
mod user;

use std::{collections::BTreeMap, fs, io, net::Ipv4Addr};

use anyhow::Context;
use peerbed_proto::{id::PeerId, random::Random};

use crate::{
    links::{Engine, kernel::Tc, user::UserEngine},
    plan::{Link, Peer, Plan},
    real::{
        netlink::{Request, Socket},
        netns::Namespace,
        qdisc,
    },
};

pub use self::read_back::{ReadBack, Towards};
pub(super) use self::requests::throw_away_pair;
use self::{
    current::Current,
    cuts::Cuts,
    layout::Layout,
    requests::{End, Pair, address, gateway_route, link_up, neighbour, pair},
};

/// The namespaces of a run. Dropping it frees them, once the processes inside have ended.
#[derive(Debug)]
pub(super) struct Network {
    /// What carries the packets, where the kernel does not. First, so that devices go before their namespaces.
    user: Option<UserEngine>,
    peers: BTreeMap<PeerId, Namespace>,
    /// The links' other ends are in here. Those that route come first, mirrors behind them.
    cores: Vec<Core>,
    /// How many cores route.
    routing: usize,
    /// Every link as it is now.
    current: Current,
    /// What is lost on purpose.
    cuts: Cuts,
}

impl Network {
    /// Builds the network of `plan` with this engine.
    ///
    /// # Errors
    ///
    /// When the kernel refuses something; it names what and why. Everything made so far is gone then.
    pub(super) fn build(plan: &Plan, engine: Engine) -> anyhow::Result<Self> {
        match engine {
            Engine::Kernel => Self::by_kernel(plan),
            Engine::User => {
                let (engine, peers) = user::build(plan)?;
                let current = current::current(plan)?;
                Ok(Self { user: Some(engine), peers, cores: Vec::new(), routing: 0, current, cuts: Cuts::default() })
            }
        }
    }

    /// The namespace of a peer of the plan.
    pub(super) fn namespace(&self, peer: PeerId) -> Option<&Namespace> {
        self.peers.get(&peer)
    }

    /// The namespaces of all peers of the plan.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = (PeerId, &Namespace)> {
        self.peers.iter().map(|(peer, namespace)| (*peer, namespace))
    }

    /// The user engine, where it shapes the links.
    pub(super) fn user(&self) -> Option<&UserEngine> {
        self.user.as_ref()
    }

    fn by_kernel(plan: &Plan) -> anyhow::Result<Self> {
        let layout = Layout::of(plan);
        let mut cores = (0..layout.namespaces())
            .map(|_| Core::create().context("making the core's namespace"))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut peers = Vec::with_capacity(plan.peers.len());
        for peer in &plan.peers {
            let space = space(false).with_context(|| format!("making the namespace of {}", peer.name))?;
            peers.push((peer, space));
        }
        cores[0].namespace.enter().context("entering the core's namespace")?;
        let current = current::current(plan)?;
        layout.fill(plan, &mut cores, &peers, &current)?;
        for (peer, (_, socket)) in &mut peers {
            let tc = current.get(&peer.id).map(|link| link.tc(Towards::Core)).context("every peer has a link")?;
            socket.perform(peer_requests(peer, tc))?;
        }
        layout.wake(plan, &mut cores)?;
        let peers = peers.into_iter().map(|(peer, (namespace, _))| (peer.id, namespace)).collect();
        Ok(Self { user: None, peers, routing: layout.cores(), cores, current, cuts: Cuts::default() })
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

/// A namespace with a netlink socket inside; the calling thread is left in it.
///
/// IPv6 is off: nothing uses it, and its duplicate address detection would take a second and its chatter our rate.
fn space(routes: bool) -> io::Result<(Namespace, Socket)> {
    let namespace = Namespace::create()?;
    // Absent where the kernel has no IPv6; read-only in some containers, which costs time and nothing else.
    let _ = fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    if routes {
        for (file, value) in ROUTER {
            let path = format!("/proc/sys/net/ipv4/{file}");
            fs::write(&path, value).map_err(|e| {
                let cure = "a container must mount /proc/sys writable (docker, podman: --privileged)";
                io::Error::new(e.kind(), format!("writing {path} of the core's namespace: {e}; {cure}"))
            })?;
        }
    }
    Ok((namespace, Socket::open()?))
}

fn link<'a>(plan: &'a Plan, peer: &Peer) -> anyhow::Result<&'a Link> {
    let link = plan.links.iter().find(|link| link.name == peer.link);
    link.with_context(|| format!("the plan has no link `{}`, which {} uses", peer.link, peer.name))
}

/// What happens in the core's namespace for one peer, but for routes: its link, whose index is returned too, its
/// shaping downwards.
fn core_requests(peer: &Peer, index: i32, tc: &Tc, namespace: &Namespace) -> (Vec<Request>, i32) {
    let near =
        End { name: format!("p{}", peer.id.0), index: FIRST_PEER_LINK + index, mac: mac(CORE_SIDE, peer.address) };
    let far = peer_end(peer);
    let place = format!("core's end of the link of {}", peer.name);
    let joint = Pair { near: &near, far: &far, far_namespace: namespace };
    let mut requests = vec![pair(&joint, &place), neighbour(near.index, peer.address, far.mac, &place)];
    requests.extend(qdisc::requests(tc, near.index, &place));
    (requests, near.index)
}

/// What happens in the peer's namespace: its address, its way out, its shaping upwards.
fn peer_requests(peer: &Peer, tc: &Tc) -> Vec<Request> {
    let end = peer_end(peer);
    let place = format!("eth0 of {}", peer.name);
    let mut requests = vec![
        link_up(LOOPBACK, &format!("lo of {}", peer.name)),
        address(end.index, peer.address, &place),
        link_up(end.index, &place),
        neighbour(end.index, GATEWAY, mac(CORE_SIDE, peer.address), &place),
        gateway_route((Ipv4Addr::UNSPECIFIED, 0), GATEWAY, end.index, &place),
    ];
    requests.extend(qdisc::requests(tc, end.index, &place));
    requests
}

fn peer_end(peer: &Peer) -> End {
    End { name: "eth0".to_owned(), index: LOOPBACK + 1, mac: mac(PEER_SIDE, peer.address) }
}

/// A locally administered address: side and IPv4 address make it unique.
fn mac(side: u8, address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [2, side, a, b, c, d]
}

fn link_seed(peer: &Peer, direction: &str) -> u64 {
    Random::new(peer.seed, &format!("link {direction}")).bits()
}

/// Settings of a routing namespace; all but the first are inherited from the host otherwise.
const ROUTER: [(&str, &str); 5] = [
    ("ip_forward", "1"),
    // Mirrors send packets back where they came from, and their way is not that of the answers.
    ("conf/all/send_redirects", "0"),
    ("conf/default/send_redirects", "0"),
    ("conf/all/rp_filter", "0"),
    ("conf/default/rp_filter", "0"),
];
/// Address of the first core, and of every peer's next hop: the last host of 198.18.0.0/15.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 254);
/// Index of `lo` in every namespace.
const LOOPBACK: i32 = 1;
/// Index of the first peer's link in a core; below are the links between cores.
const FIRST_PEER_LINK: i32 = 1_000;
const CORE_SIDE: u8 = 1;
const PEER_SIDE: u8 = 2;
