//! Reads what the kernel engine's disciplines have done, once a second while a run goes on.
//!
//! What the readings mean is judged in `links::kernel::pace`. Must run on the thread that holds the network; it is left in the
//! first core's namespace.

use std::collections::BTreeMap;

use peerbed_proto::id::PeerId;

use super::{Network, Towards, read_back};
use crate::{
    links::kernel::{compare::Found, pace::Reading},
    testbed,
};

impl Network {
    /// Readings of every direction towards peers, and of the directions from [`UPLINKS_MAX`] peers, evenly spread where
    /// there are more: those take a visit to each namespace. None with the user engine.
    ///
    /// # Errors
    ///
    /// When a namespace cannot be entered or its kernel gives no list.
    pub(in crate::real) fn paces(&mut self) -> anyhow::Result<Vec<((PeerId, Towards), Reading)>> {
        if self.user().is_some() {
            return Ok(Vec::new());
        }
        let mut readings = Vec::new();
        for core in 0..self.routing {
            let listed = read_back::list(&mut self.cores[core].socket, &format!("core {core}"))?;
            let t = testbed::now();
            readings.extend(self.current.iter().filter(|(_, link)| link.core == core).map(|(peer, link)| {
                let found = found(&listed, link.index());
                ((*peer, Towards::Peer), Reading::of(link.tc(Towards::Peer), found, t, link.changes(Towards::Peer)))
            }));
        }
        let step = self.current.len().div_ceil(UPLINKS_MAX).max(1);
        for (peer, link) in self.current.iter().step_by(step) {
            let listed = self.in_peer(*peer, |socket| read_back::list(socket, "a peer"))?;
            let found = found(&listed, link.index_in_peer());
            let reading = Reading::of(link.tc(Towards::Core), found, testbed::now(), link.changes(Towards::Core));
            readings.push(((*peer, Towards::Core), reading));
        }
        Ok(readings)
    }
}

fn found(listed: &BTreeMap<i32, Vec<Found>>, link: i32) -> &[Found] {
    listed.get(&link).map_or(&[], Vec::as_slice)
}

/// A visit takes some 60 µs: 4 ms of every second.
const UPLINKS_MAX: usize = 64;
