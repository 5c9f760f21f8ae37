//! What the kernel engine's network loses on purpose: packets between the sides of a partition, and those of links that
//! are down.
//!
//! A core routes what shall be lost into a *sink*: a veth pair with both ends in the core, whose packets carry nobody's
//! hardware address and are thrown away behind it. So the pair's counter says how many there were, no further feature of
//! the kernel is needed than the routing that is there anyway, and no sender hears of it (no ICMP).
//!
//! ```text
//! rule: from a side ──▶ table of that side: to the other sides ──▶ sink
//!                                           to anybody else    ──▶ next rule, main table
//! ```
//!
//! The same rules are in every core: packets of the sender's region are lost in its core, and those that were on their way
//! between regions in the core where they arrive. Nothing of this touches links: what waits in them goes on.

use std::{collections::BTreeMap, net::Ipv4Addr};

use anyhow::Context;
use peerbed_proto::id::PeerId;

use super::{
    CORE_SIDE, Network, Towards,
    prefixes::cover,
    requests::{End, Pair, link_up, neighbour, pair},
};
use crate::{
    links::user::Losses,
    plan::{CutDirection, LinkState, Partition},
    real::netlink::{Kind, Request, Socket, attributes},
};

/// Everything that is lost on purpose, and was.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    in_force: Vec<Cut>,
    /// What partitions have lost that are no longer in force, by name.
    healed: BTreeMap<String, u64>,
    /// Sinks of links that are down, by core; they stay when the links come up.
    down: BTreeMap<usize, Sink>,
    /// Sinks and tables made so far.
    made: u32,
}

/// One partition.
#[derive(Debug)]
struct Cut {
    name: String,
    /// The same in every core.
    rules: Vec<Rule>,
    sinks: Vec<Sink>,
}

/// A place where packets vanish and are counted.
#[derive(Debug)]
struct Sink {
    core: usize,
    link: i32,
}

/// Whose packets are looked up in which table.
#[derive(Clone, Copy, Debug)]
struct Rule {
    side: RuleSide,
    prefix: (Ipv4Addr, u8),
    table: u32,
}

#[derive(Clone, Copy, Debug)]
enum RuleSide {
    From,
    To,
}

impl Network {
    /// Cuts sets of peers off from each other, from now on.
    ///
    /// # Errors
    ///
    /// When the engine has ended, or the kernel refuses something.
    pub(in crate::real) fn cut(&mut self, partition: &Partition) -> anyhow::Result<()> {
        if let Some(engine) = &self.user {
            return Ok(engine.cut(partition)?);
        }
        let addresses = |side: &Vec<PeerId>| {
            let known = side.iter().filter_map(|peer| Some(self.current.get(peer)?.address()));
            cover(known)
        };
        let sides: Vec<Vec<_>> = partition.sides.iter().map(addresses).collect();
        let senders = match partition.direction {
            CutDirection::Both => 0..sides.len(),
            CutDirection::OneWay => 0..1,
        };
        let (mut rules, mut routes) = (Vec::new(), Vec::new());
        for sender in senders {
            let table = self.cuts.next_table();
            rules.extend(sides[sender].iter().map(|prefix| Rule { side: RuleSide::From, prefix: *prefix, table }));
            let receivers = sides.iter().enumerate().filter(|(receiver, _)| *receiver != sender);
            routes.extend(receivers.flat_map(|(_, side)| side).map(|prefix| (table, *prefix)));
        }
        let mut cut = Cut { name: partition.name.clone(), rules, sinks: Vec::new() };
        for core in 0..self.routing {
            let sink = self.sink(core, &partition.name)?;
            let ways = routes.iter().map(|(table, to)| way(*table, *to, &sink, &partition.name)).collect();
            self.cores[core].socket.perform(ways)?;
            cut.sinks.push(sink);
        }
        // The rules last and close together: they are what cuts.
        for core in 0..self.routing {
            let adding = cut.rules.iter().map(|rule| rule.request(Kind::NewRule, &partition.name)).collect();
            self.cores[core].socket.perform(adding)?;
        }
        self.cuts.in_force.push(cut);
        Ok(())
    }

    /// Ends the partition of this name; without one nothing happens.
    ///
    /// # Errors
    ///
    /// When the engine has ended, or the kernel refuses something.
    pub(in crate::real) fn heal(&mut self, name: &str) -> anyhow::Result<()> {
        if let Some(engine) = &self.user {
            return Ok(engine.heal(name)?);
        }
        let Some(place) = self.cuts.in_force.iter().position(|cut| cut.name == name) else { return Ok(()) };
        let cut = self.cuts.in_force.remove(place);
        for core in 0..self.routing {
            let removing = cut.rules.iter().map(|rule| rule.request(Kind::RemoveRule, name)).collect();
            self.cores[core].socket.perform(removing)?;
        }
        let lost = self.count(&cut.sinks)?;
        self.cuts.healed.insert(cut.name, lost);
        for sink in cut.sinks {
            // Its routes go with it.
            self.cores[sink.core].socket.perform(vec![remove_link(sink.link, name)])?;
        }
        Ok(())
    }

    /// What partitions and links that are down have lost so far.
    ///
    /// # Errors
    ///
    /// When the engine has ended, or the kernel does not tell.
    pub(in crate::real) fn losses(&mut self) -> anyhow::Result<Losses> {
        if let Some(engine) = &self.user {
            return Ok(engine.losses()?);
        }
        let cuts = std::mem::take(&mut self.cuts);
        let counted = self.count_all(&cuts);
        self.cuts = cuts;
        counted
    }

    /// Lets one direction of a peer's link go down or come up.
    pub(super) fn turn(&mut self, peer: PeerId, towards: Towards, state: LinkState) -> anyhow::Result<()> {
        let link = self.current.get(&peer).with_context(|| format!("there is no link of {peer}"))?;
        let (core, address) = (link.core, link.address());
        if !self.cuts.down.contains_key(&core) {
            let sink = self.sink(core, DOWN)?;
            self.cores[core].socket.perform(vec![way(TABLE_DOWN, (Ipv4Addr::UNSPECIFIED, 0), &sink, DOWN)])?;
            self.cuts.down.insert(core, sink);
        }
        let side = match towards {
            Towards::Core => RuleSide::From,
            Towards::Peer => RuleSide::To,
        };
        let rule = Rule { side, prefix: (address, 32), table: TABLE_DOWN };
        let kind = match state {
            LinkState::Down => Kind::NewRule,
            LinkState::Up => Kind::RemoveRule,
        };
        Ok(self.cores[core].socket.perform(vec![rule.request(kind, DOWN)])?)
    }

    /// Makes a sink in a core.
    fn sink(&mut self, core: usize, name: &str) -> anyhow::Result<Sink> {
        let number = i32::try_from(self.cuts.made).context("too many partitions")?;
        self.cuts.made += 1;
        let end = |word: &str, offset: i32| End {
            name: format!("{word}{number}"),
            index: FIRST_SINK + 2 * number + offset,
            mac: [2, SINK_SIDE, 0, 0, 0, u8::try_from(offset).unwrap_or_default()],
        };
        let (into, behind) = (end("sink", 0), end("lost", 1));
        let Some(space) = self.cores.get_mut(core) else { anyhow::bail!("there is no core {core}") };
        let place = format!("sink of {name} in core {core}");
        // The end that sends comes up last: it finds the other there and sends from the first packet on.
        let joint = Pair { near: &behind, far: &into, far_namespace: &space.namespace };
        // The hardware address is that of neither end, so that what arrives is nobody's.
        let nobody = [2, CORE_SIDE, 0xff, 0xff, 0xff, 0xff];
        space.socket.perform(vec![
            pair(&joint, &place),
            link_up(into.index, &place),
            neighbour(into.index, NOBODY, nobody, &place),
        ])?;
        Ok(Sink { core, link: into.index })
    }

    fn count_all(&mut self, cuts: &Cuts) -> anyhow::Result<Losses> {
        let mut losses = Losses::default();
        losses.partitions.extend(cuts.healed.iter().map(|(name, lost)| (name.clone(), *lost)));
        for cut in &cuts.in_force {
            losses.partitions.insert(cut.name.clone(), self.count(&cut.sinks)?);
        }
        for sink in cuts.down.values() {
            losses.down += self.count(std::slice::from_ref(sink))?;
        }
        Ok(losses)
    }

    fn count(&mut self, sinks: &[Sink]) -> anyhow::Result<u64> {
        let each = sinks.iter().map(|sink| sent(&mut self.cores[sink.core].socket, sink.link));
        each.sum()
    }
}

impl Cuts {
    fn next_table(&mut self) -> u32 {
        self.made += 1;
        TABLE_DOWN + self.made
    }
}

impl Rule {
    fn request(&self, kind: Kind, name: &str) -> Request {
        let (address, length) = self.prefix;
        let (to, from, attribute) = match self.side {
            RuleSide::From => (0, length, FRA_SRC),
            RuleSide::To => (length, 0, FRA_DST),
        };
        // struct fib_rule_hdr: family, dst_len, src_len, tos, table, two reserved, action, flags.
        let body = [AF_INET, to, from, 0, RT_TABLE_UNSPEC, 0, 0, FR_ACT_TO_TBL, 0, 0, 0, 0];
        let word = if kind == Kind::NewRule { "add" } else { "remove" };
        Request::new(kind, &body, format!("{word} a rule of {name}"))
            .with(attribute, &address.octets())
            .with(FRA_PRIORITY, &PRIORITY.to_ne_bytes())
            .with(FRA_TABLE, &self.table.to_ne_bytes())
    }
}

/// A route into a sink.
fn way(table: u32, (to, prefix): (Ipv4Addr, u8), sink: &Sink, name: &str) -> Request {
    // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
    let mut body = vec![AF_INET, prefix, 0, 0, RT_TABLE_UNSPEC, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST];
    body.extend(RTNH_F_ONLINK.to_ne_bytes());
    let request = Request::new(Kind::NewRoute, &body, format!("add a route of {name} to {to}/{prefix}"))
        .with(RTA_TABLE, &table.to_ne_bytes())
        .with(RTA_OIF, &sink.link.to_ne_bytes())
        .with(RTA_GATEWAY, &NOBODY.octets());
    if prefix == 0 { request } else { request.with(RTA_DST, &to.octets()) }
}

/// Packets that a link has sent so far.
fn sent(socket: &mut Socket, link: i32) -> anyhow::Result<u64> {
    let request = Request::new(Kind::GetLink, &link_body(link), "count what was lost");
    let told = socket.list(request)?;
    let body =
        told.first().and_then(|message| message.get(LINK_BODY..)).context("the kernel tells nothing of a sink")?;
    let counters = attributes(body).find(|(kind, _)| *kind == IFLA_STATS64).map(|(_, value)| value);
    // struct rtnl_link_stats64: packets received, packets sent, …
    let packets = counters.and_then(|counters| Some(u64::from_ne_bytes(counters.get(8..16)?.try_into().ok()?)));
    packets.context("the kernel does not count what a sink sends")
}

fn remove_link(link: i32, name: &str) -> Request {
    Request::new(Kind::RemoveLink, &link_body(link), format!("remove a sink of {name}"))
}

/// struct ifinfomsg: family, padding, type, index, flags, change.
fn link_body(link: i32) -> Vec<u8> {
    let mut body = vec![0_u8; 4];
    body.extend(link.to_ne_bytes());
    body.extend([0; 8]);
    body
}

/// What links that are down are called.
const DOWN: &str = "links that are down";
/// The next hop into every sink: an address of the range that neither peers nor cores have.
const NOBODY: Ipv4Addr = Ipv4Addr::new(198, 19, 254, 254);
/// Index of the first sink in a core: behind all peers' links, of which there are fewer than addresses.
const FIRST_SINK: i32 = 200_000;
/// Second byte of hardware addresses of sinks.
const SINK_SIDE: u8 = 4;
/// The table of links that are down; those of partitions follow. Numbers that no distribution names.
const TABLE_DOWN: u32 = 1_000;
/// Before the rules of last hops, at 100, and the main table's.
const PRIORITY: u32 = 50;
const AF_INET: u8 = 2;
const FR_ACT_TO_TBL: u8 = 1;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_PRIORITY: u16 = 6;
const FRA_TABLE: u16 = 15;
const RT_TABLE_UNSPEC: u8 = 0;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_TABLE: u16 = 15;
const IFLA_STATS64: u16 = 23;
/// Length of struct ifinfomsg.
const LINK_BODY: usize = 16;
