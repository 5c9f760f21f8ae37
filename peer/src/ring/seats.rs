//! Who sits where: the roster of a ring, read once, and asked about every claim that comes from the network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use peerbed_proto::PeerId;
use peerbed_proto::ring::{Circle, Contact, Point};

use crate::ring_control::Roster;

/// The roster by peer.
#[derive(Debug)]
pub(super) struct Seats {
    circle: Circle,
    places: BTreeMap<u32, (Point, SocketAddr)>,
}

impl Seats {
    /// Reads a roster.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no roster, a point lies outside the circle, or a peer or a point comes twice; the
    /// message names the file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read roster {}", path.display()))?;
        let roster = serde_json::from_slice(&text).with_context(|| format!("{} is no roster", path.display()))?;
        Self::of(&roster).with_context(|| format!("{} is no ring", path.display()))
    }

    fn of(roster: &Roster) -> anyhow::Result<Self> {
        let mut places = BTreeMap::new();
        let mut points = BTreeMap::new();
        for place in &roster.places {
            anyhow::ensure!(roster.circle.contains(place.point), "{} lies outside the circle", place.point);
            anyhow::ensure!(
                places.insert(place.peer, (place.point, place.addr)).is_none(),
                "{} comes twice",
                place.peer
            );
            if let Some(other) = points.insert(place.point, place.peer) {
                anyhow::bail!("peers {other} and {} sit on the same point {}", place.peer, place.point);
            }
        }
        Ok(Self { circle: roster.circle, places })
    }

    /// The circle.
    pub(super) fn circle(&self) -> Circle {
        self.circle
    }

    /// A peer with its point; none for one that has no place in the ring.
    pub(super) fn contact(&self, peer: u32) -> Option<Contact> {
        self.places.get(&peer).map(|(point, _)| Contact { point: *point, peer: PeerId(peer) })
    }

    /// Peers with their points.
    ///
    /// # Errors
    ///
    /// When one has no place in the ring.
    pub(super) fn contacts(&self, peers: &[u32]) -> anyhow::Result<Vec<Contact>> {
        let contact = |peer: &u32| self.contact(*peer).with_context(|| format!("the roster has no peer {peer}"));
        peers.iter().map(contact).collect()
    }

    /// Everybody with their points.
    pub(super) fn everybody(&self) -> Vec<Contact> {
        self.places.keys().filter_map(|peer| self.contact(*peer)).collect()
    }

    /// Where a peer listens.
    pub(super) fn address(&self, peer: u32) -> Option<SocketAddr> {
        self.places.get(&peer).map(|(_, addr)| *addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring_control::Place;

    fn roster(points: &[u128]) -> Roster {
        let addr = "127.0.0.1:1".parse().unwrap();
        let places = points.iter().zip(1..).map(|(point, peer)| Place { peer, point: Point(*point), addr });
        Roster { circle: Circle::new(4).unwrap(), places: places.collect() }
    }

    #[test]
    fn two_peers_on_one_point_and_points_outside_are_no_ring() {
        assert_eq!(Seats::of(&roster(&[1, 3])).unwrap().contact(2).unwrap().point, Point(3));
        assert!(Seats::of(&roster(&[1, 3, 3])).unwrap_err().to_string().contains("same point 3"));
        assert!(Seats::of(&roster(&[16])).unwrap_err().to_string().contains("outside the circle"));
    }
}
