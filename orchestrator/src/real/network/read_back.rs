//! Reads back what shapes the links of a run, and compares it with the plan.
//!
//! One list is asked of every namespace. Must run on the thread that holds the network; it is left in the first core's
//! namespace.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use peerbed_proto::id::PeerId;

use super::{FIRST_PEER_LINK, Layout, Network, current, peer_end};
use crate::{
    links::kernel::{
        Tc,
        compare::{self, Difference, Found},
    },
    plan::Plan,
    real::{netlink::Socket, qdisc},
};

/// The disciplines at one end of a link, as asked and as found.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadBack {
    /// Where: `eth0 of home-3`.
    pub place: String,
    /// Whose link it is, and which direction; none for the ways between regions.
    pub direction: Option<(PeerId, Towards)>,
    /// As the plan has it.
    pub asked: Tc,
    /// As the kernel has it, with what they have done so far.
    pub found: Vec<Found>,
    /// What is not as it was asked for; empty when all is well.
    pub differences: Vec<Difference>,
}

/// The two directions of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Towards {
    /// Up: shaped at the peer's end.
    Core,
    /// Down: shaped at the core's end.
    Peer,
}

impl Towards {
    /// The topology's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Core => "up",
            Self::Peer => "down",
        }
    }
}

impl Network {
    /// Reads back every discipline of every link, in the order of the plan's peers, and then those between regions.
    ///
    /// # Errors
    ///
    /// When a namespace cannot be entered or its kernel gives no list. Differences are no error.
    pub(in crate::real) fn read_back(&mut self, plan: &Plan) -> anyhow::Result<Vec<ReadBack>> {
        if self.user().is_some() {
            // The kernel has nothing to do with these links.
            return Ok(Vec::new());
        }
        if self.cores.is_empty() {
            bail!("the user engine shapes these links, and no queueing discipline");
        }
        let layout = Layout::of(plan);
        let mut in_cores = Vec::with_capacity(self.cores.len());
        for (number, core) in self.cores.iter_mut().enumerate() {
            in_cores.push(list(&mut core.socket, &format!("core {number}"))?);
        }
        let mut ends = Vec::with_capacity(2 * plan.peers.len());
        let asked = current::current(plan)?;
        for (index, peer) in (0..).zip(&plan.peers) {
            let link = asked.get(&peer.id).with_context(|| format!("{} has no link", peer.name))?;
            let in_peer = self.in_peer(peer.id, |socket| list(socket, &peer.name))?;
            ends.push(end(
                format!("eth0 of {}", peer.name),
                Some((peer.id, Towards::Core)),
                link.tc(Towards::Core).clone(),
                in_peer.get(&peer_end(peer).index),
            ));
            ends.push(end(
                format!("core's end of the link of {}", peer.name),
                Some((peer.id, Towards::Peer)),
                link.tc(Towards::Peer).clone(),
                in_cores[layout.core_of(peer)].get(&(FIRST_PEER_LINK + index)),
            ));
        }
        for (here, link, asked) in layout.ways(plan) {
            ends.push(end(format!("link {link} of core {here}"), None, asked, in_cores[here].get(&link)));
        }
        Ok(ends)
    }
}

fn end(place: String, direction: Option<(PeerId, Towards)>, asked: Tc, found: Option<&Vec<Found>>) -> ReadBack {
    let found = found.cloned().unwrap_or_default();
    let differences = compare::compare(&asked, &found);
    ReadBack { place, direction, asked, found, differences }
}

pub(super) fn list(socket: &mut Socket, place: &str) -> anyhow::Result<BTreeMap<i32, Vec<Found>>> {
    let mut by_link: BTreeMap<i32, Vec<Found>> = BTreeMap::new();
    for message in socket.list(qdisc::dump_request(place))? {
        // What cannot be read is missing then, and missing is a difference.
        if let Some((link, found)) = qdisc::found(&message) {
            by_link.entry(link).or_default().push(found);
        }
    }
    Ok(by_link)
}
