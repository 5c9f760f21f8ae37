//! The requests that a network is made of, byte for byte as in linux/if_link.h, if_addr.h, rtnetlink.h, neighbour.h.

use std::{
    net::Ipv4Addr,
    os::fd::{AsFd, AsRawFd},
};

use crate::real::{
    netlink::{Attributes, Kind, Request},
    netns::Namespace,
};

/// One end of a veth pair.
pub(super) struct End {
    /// Its name in its namespace.
    pub(super) name: String,
    /// Its index in its namespace; chosen by us, so that nothing needs to be asked back.
    pub(super) index: i32,
    /// Its hardware address.
    pub(super) mac: [u8; 6],
}

/// Both ends of a veth pair.
pub(super) struct Pair<'a> {
    /// The end in the namespace of the request; it is brought up.
    pub(super) near: &'a End,
    /// The other end; the kernel cannot bring it up before the pair is joined.
    pub(super) far: &'a End,
    /// Where the other end goes.
    pub(super) far_namespace: &'a Namespace,
}

/// Makes a veth pair across two namespaces.
pub(super) fn pair(ends: &Pair<'_>, place: &str) -> Request {
    let namespace = ends.far_namespace.as_fd().as_raw_fd();
    let request = Request::new(Kind::NewLink, &link_body(ends.near.index, IFF_UP), format!("make the {place}"));
    let mut own = Attributes::default();
    describe(&mut own, ends.near);
    request.with_all(&own).nest(IFLA_LINKINFO, |info| {
        info.put(IFLA_INFO_KIND, b"veth");
        info.nest(IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |peer| {
                peer.bytes(&link_body(ends.far.index, 0));
                describe(peer, ends.far);
                peer.put(IFLA_NET_NS_FD, &namespace.to_ne_bytes());
            });
        });
    })
}

/// Makes a veth pair with both ends here, to see whether the kernel can.
pub(in crate::real) fn throw_away_pair() -> Request {
    Request::new(Kind::NewLink, &link_body(0, 0), "make a veth pair")
        .nest(IFLA_LINKINFO, |info| info.put(IFLA_INFO_KIND, b"veth"))
}

/// Brings a link up.
pub(super) fn link_up(index: i32, place: &str) -> Request {
    Request::new(Kind::SetLink, &link_body(index, IFF_UP), format!("bring up {place}"))
}

/// Brings a link up and lets so many packets wait in it.
pub(super) fn link_up_with_queue(index: i32, packets: u32, place: &str) -> Request {
    link_up(index, place).with(IFLA_TXQLEN, &packets.to_ne_bytes())
}

/// Has a link that is up, and whose other end has come up since, carry packets from here on.
///
/// Left alone the kernel does so when it gets round to it (linkwatch), a second later where hundreds are made at once, and
/// until then loses without a word what is sent. A new length of the queue makes it do so at once. The length is of no
/// consequence: what shapes the link has limits of its own, and what does not shape it has no queue.
pub(super) fn wake(index: i32, place: &str) -> Request {
    link_up_with_queue(index, USUAL_QUEUE + 1, place)
}

/// Gives a link an address of its own, without a network around it.
pub(super) fn address(index: i32, address: Ipv4Addr, place: &str) -> Request {
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let mut body = vec![AF_INET, 32, 0, 0];
    body.extend(index.to_ne_bytes());
    Request::new(Kind::NewAddress, &body, format!("give {place} the address {address}"))
        .with(IFA_LOCAL, &address.octets())
        .with(IFA_ADDRESS, &address.octets())
}

/// A route to one host that is directly behind a link.
pub(super) fn host_route(table: Table, host: Ipv4Addr, link: i32, place: &str) -> Request {
    route(table, (host, 32), RT_SCOPE_LINK, 0, place).with(RTA_OIF, &link.to_ne_bytes())
}

/// The way to everybody, through a link that has nobody else at its end.
pub(super) fn default_route(link: i32, place: &str) -> Request {
    route(Table::Main, (Ipv4Addr::UNSPECIFIED, 0), RT_SCOPE_LINK, 0, place).with(RTA_OIF, &link.to_ne_bytes())
}

/// A route by a gateway that is directly behind a link, whatever its address.
pub(super) fn gateway_route(to: (Ipv4Addr, u8), gateway: Ipv4Addr, link: i32, place: &str) -> Request {
    route(Table::Main, to, RT_SCOPE_UNIVERSE, RTNH_F_ONLINK, place)
        .with(RTA_OIF, &link.to_ne_bytes())
        .with(RTA_GATEWAY, &gateway.octets())
}

/// Has packets that come in by the link of this name looked up in the table of last hops.
pub(super) fn last_hop_rule(link: &str, place: &str) -> Request {
    // struct fib_rule_hdr: family, dst_len, src_len, tos, table, two reserved, action, flags.
    let body = [AF_INET, 0, 0, 0, Table::LastHop.number(), 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0];
    Request::new(Kind::NewRule, &body, format!("add a rule for {link} at {place}"))
        .with(FRA_IIFNAME, &[link.as_bytes(), b"\0"].concat())
        .with(FRA_PRIORITY, &LAST_HOP_PRIORITY.to_ne_bytes())
}

/// Which table of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// The one that is asked for everything.
    Main,
    /// Routes of packets that have come all the way to their core.
    LastHop,
}

impl Table {
    fn number(self) -> u8 {
        match self {
            Self::Main => RT_TABLE_MAIN,
            Self::LastHop => RT_TABLE_LAST_HOP,
        }
    }
}

/// A neighbour that need never be asked for.
pub(super) fn neighbour(link: i32, address: Ipv4Addr, mac: [u8; 6], place: &str) -> Request {
    // struct ndmsg: family, padding, index, state, flags, type.
    let mut body = vec![AF_INET, 0, 0, 0];
    body.extend(link.to_ne_bytes());
    body.extend(NUD_PERMANENT.to_ne_bytes());
    body.extend([0, 0]);
    Request::new(Kind::NewNeighbour, &body, format!("add the neighbour {address} at {place}"))
        .with(NDA_DST, &address.octets())
        .with(NDA_LLADDR, &mac)
}

fn route(table: Table, (to, prefix): (Ipv4Addr, u8), scope: u8, flags: u32, place: &str) -> Request {
    // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
    let mut body = vec![AF_INET, prefix, 0, 0, table.number(), RTPROT_STATIC, scope, RTN_UNICAST];
    body.extend(flags.to_ne_bytes());
    let request = Request::new(Kind::NewRoute, &body, format!("add the route to {to}/{prefix} at {place}"));
    // The default route has no destination.
    if prefix == 0 { request } else { request.with(RTA_DST, &to.octets()) }
}

/// What both ends of a pair have in common.
fn describe(attributes: &mut Attributes, end: &End) {
    attributes.put(IFLA_IFNAME, &[end.name.as_bytes(), b"\0"].concat());
    attributes.put(IFLA_ADDRESS, &end.mac);
    attributes.put(IFLA_NUM_TX_QUEUES, &1_u32.to_ne_bytes());
    attributes.put(IFLA_NUM_RX_QUEUES, &1_u32.to_ne_bytes());
    // Trains of one packet: neither TCP nor a full queue nor a lost train ever sees more. In the creation request this
    // costs nothing, and unlike ethtool's switches it also binds UDP trains (UDP_SEGMENT).
    attributes.put(IFLA_GSO_MAX_SEGS, &1_u32.to_ne_bytes());
}

/// struct ifinfomsg: family, padding, type, index, flags, change.
fn link_body(index: i32, flags: u32) -> Vec<u8> {
    let mut body = vec![0_u8; 4];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body
}

const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
/// Packets; the length that every fresh link has (DEFAULT_TX_QUEUE_LEN).
const USUAL_QUEUE: u32 = 1_000;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_TXQLEN: u16 = 13;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_GSO_MAX_SEGS: u16 = 40;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RT_TABLE_MAIN: u8 = 254;
/// A number that no distribution names.
const RT_TABLE_LAST_HOP: u8 = 100;
/// Before the rule that asks the main table, at 32 766.
const LAST_HOP_PRIORITY: u32 = 100;
const FR_ACT_TO_TBL: u8 = 1;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const NUD_PERMANENT: u16 = 0x80;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
