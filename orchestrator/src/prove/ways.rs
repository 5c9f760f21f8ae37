//! Between whom a change is proved: pairs of peers across a partition, and the links that changed.

use std::{net::UdpSocket, time::Duration};

use anyhow::Context;
use peerbed_proto::id::PeerId;

use super::probe::Way;
use crate::{
    links::course::Figures,
    plan::{Changes, CutDirection, LinkChange, LinkState, Partition, Peer, Plan},
    testbed::Testbed,
    units::Rate,
    verify::vantage,
};

/// One direction of a changed link, between its peer and a point without shaping.
#[derive(Debug)]
pub(super) struct LinkWay {
    pub(super) way: Way,
    /// What holds for it now.
    pub(super) figures: Figures,
    /// Whether its rate is among what changed.
    pub(super) has_new_rate: bool,
}

/// Ways across a partition in every direction that it cuts, at most [`WAYS_MAX`]: every peer of each side is in one of
/// them as long as there are no more. Left out are links that are down or stand still, and pairs that a partition of
/// `others` cuts.
pub(super) async fn across(
    testbed: &Testbed,
    plan: &Plan,
    partition: &Partition,
    others: &[Partition],
) -> anyhow::Result<Vec<Way>> {
    let mut ways = Vec::new();
    for (from, to) in pairs(partition) {
        if ways.len() >= WAYS_MAX {
            break;
        }
        if others.iter().any(|other| parts(other, from, to)) {
            continue;
        }
        let (up, down) = (testbed.link_figures(from).await?, testbed.link_figures(to).await?);
        if !carries(&up[0]) || !carries(&down[1]) {
            continue;
        }
        let (from, to) = (peer(plan, from)?, peer(plan, to)?);
        let longest = up[0].longest().saturating_add(latency(plan, from, to)).saturating_add(down[1].longest());
        ways.push(way(testbed, from, to, longest).await?);
    }
    Ok(ways)
}

/// Both directions of changed links, as far as they changed: those of the first peer of each change.
pub(super) async fn links(testbed: &Testbed, plan: &Plan, changes: &[LinkChange]) -> anyhow::Result<Vec<LinkWay>> {
    let extended = vantage::with_vantage(plan);
    let point = extended.peers.last().context("a plan without a vantage point")?;
    let mut ways = Vec::new();
    for change in changes {
        let Some(first) = change.peers.first() else { continue };
        let (peer, both) = (peer(plan, *first)?, testbed.link_figures(*first).await?);
        let [up, down] = both;
        for (figures, new, from, to) in [(up, &change.up, peer, point), (down, &change.down, point, peer)] {
            let is_still = figures.direction.rate == Some(Rate(0));
            if (change.reset || *new != Changes::default()) && !is_still {
                let way = way(testbed, from, to, figures.longest()).await?;
                ways.push(LinkWay { way, figures, has_new_rate: change.reset || new.rate.is_some() });
            }
        }
    }
    Ok(ways)
}

/// Pairs of peers on different sides, so that all members of a pair of sides come first before one comes again.
fn pairs(partition: &Partition) -> impl Iterator<Item = (PeerId, PeerId)> {
    let sides = &partition.sides;
    let senders = match partition.direction {
        CutDirection::Both => 0..sides.len(),
        CutDirection::OneWay => 0..sides.len().min(1),
    };
    let of_sides = senders
        .flat_map(move |from| (0..sides.len()).filter(move |to| *to != from).map(move |to| (&sides[from], &sides[to])));
    let of_sides: Vec<_> = of_sides.filter(|(from, to)| !from.is_empty() && !to.is_empty()).collect();
    let rounds = of_sides.iter().map(|(from, to)| from.len().max(to.len())).max().unwrap_or(0);
    (0..rounds).flat_map(move |round| {
        let of_round: Vec<_> = of_sides
            .iter()
            .filter(|(from, to)| round < from.len().max(to.len()))
            .map(|(from, to)| (from[round % from.len()], to[round % to.len()]))
            .collect();
        of_round
    })
}

/// Whether a partition loses what goes from the one peer to the other.
fn parts(partition: &Partition, from: PeerId, to: PeerId) -> bool {
    let side = |peer: PeerId| partition.sides.iter().position(|side| side.contains(&peer));
    match (side(from), side(to)) {
        (Some(from), Some(to)) => match partition.direction {
            CutDirection::Both => from != to,
            CutDirection::OneWay => (from, to) == (0, 1),
        },
        _ => false,
    }
}

fn carries(figures: &Figures) -> bool {
    figures.state == LinkState::Up && figures.direction.rate != Some(Rate(0))
}

fn latency(plan: &Plan, from: &Peer, to: &Peer) -> Duration {
    let is_between = |latency: &&crate::plan::Latency| {
        Some(&latency.from) == from.region.as_ref() && Some(&latency.to) == to.region.as_ref()
    };
    plan.latencies.iter().find(is_between).map_or(Duration::ZERO, |latency| latency.delay.0)
}

fn peer(plan: &Plan, id: PeerId) -> anyhow::Result<&Peer> {
    plan.peer(id).with_context(|| format!("the plan has no peer {id}"))
}

async fn way(testbed: &Testbed, from: &Peer, to: &Peer, longest: Duration) -> anyhow::Result<Way> {
    let socket = async |peer: &Peer| -> anyhow::Result<UdpSocket> { testbed.probe_socket(peer.id, peer.address).await };
    let (name, from, to) = (format!("{} to {}", from.name, to.name), socket(from).await?, socket(to).await?);
    let target = to.local_addr().context("a socket without an address")?;
    Ok(Way { name, from, to, target, longest })
}

/// Most ways of one proof; each takes two sockets and five small datagrams.
const WAYS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_each_side_is_probed_both_ways() {
        let partition = partition(&[&[1, 2, 3], &[4]], CutDirection::Both);
        let found: Vec<_> = pairs(&partition).map(|(from, to)| (from.0, to.0)).collect();
        assert_eq!(found, [(1, 4), (4, 1), (2, 4), (4, 2), (3, 4), (4, 3)]);
    }

    #[test]
    fn one_way_is_probed_one_way_and_parts_nobody_the_other_way() {
        let partition = partition(&[&[1], &[2, 3]], CutDirection::OneWay);
        let found: Vec<_> = pairs(&partition).map(|(from, to)| (from.0, to.0)).collect();
        assert_eq!(found, [(1, 2), (1, 3)]);
        let is_parted = |from, to| parts(&partition, PeerId(from), PeerId(to));
        assert!(is_parted(1, 3) && !is_parted(3, 1) && !is_parted(2, 3) && !is_parted(1, 9));
    }

    fn partition(sides: &[&[u32]], direction: CutDirection) -> Partition {
        let sides = sides.iter().map(|side| side.iter().copied().map(PeerId).collect()).collect();
        Partition { name: "p0".into(), sides, direction }
    }
}
