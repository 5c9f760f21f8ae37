//! Rings on real peers: their rosters on disk, entering and asking.

use std::collections::BTreeMap;

use anyhow::Context;
use peerbed_peer::{
    commands::Command,
    config::QuicOptions,
    ring_control::{Enter, Place, RingCommand, RingOptions, Roster, Start},
};
use peerbed_proto::{
    PeerId,
    ring::{Circle, Contact},
};

use super::{Real, setup, tell};
use crate::{
    plan::{Plan, Ring},
    run_directory::RunDirectory,
};

/// Writes who sits where in every ring of the plan.
pub(super) fn write_rosters(plan: &Plan, run: &RunDirectory) -> anyhow::Result<()> {
    let addresses: BTreeMap<PeerId, _> = plan.peers.iter().map(|peer| (peer.id, setup::listen(peer))).collect();
    for ring in &plan.rings {
        let places = ring.members.iter().filter_map(|member| {
            let addr = *addresses.get(&member.peer)?;
            Some(Place { peer: member.peer.0, point: member.point, addr })
        });
        let circle = Circle::new(ring.bits).with_context(|| format!("ring {}", ring.name))?;
        run.write_json(&run.roster(&ring.name), &Roster { circle, places: places.collect() })?;
    }
    Ok(())
}

/// Whether a peer may be in a ring.
pub(super) fn has_place(plan: &Plan, peer: PeerId) -> bool {
    plan.rings.iter().any(|ring| ring.members.iter().any(|member| member.peer == peer))
}

/// Connections of a ring's member. It keeps a dozen or more whose other ends it hears of by its own questions, so that
/// keep-alives only have to keep them open: every 5 s they were half of all packets of a quiet ring of 500.
pub(super) fn quiet_connections() -> QuicOptions {
    QuicOptions { keep_alive_ms: 20_000, idle_timeout_ms: 60_000, ..QuicOptions::default() }
}

impl Real {
    pub(crate) async fn enter_ring(&self, ring: &Ring, peer: PeerId, start: Start, hold: bool) -> anyhow::Result<()> {
        let member = ring.members.iter().find(|member| member.peer == peer).context("it has no place in the ring")?;
        let contact = |peer: &PeerId| {
            let other = ring.members.iter().find(|other| other.peer == *peer)?;
            Some(Contact { point: other.point, peer: other.peer })
        };
        let shortcuts = member.shortcuts.iter().filter_map(contact).collect();
        let options = RingOptions { shortcuts, conduct: member.conduct, ..ring.options.clone() };
        let enter = Enter { ring: ring.name.clone(), roster: self.run.roster(&ring.name), start, options, hold };
        self.ask_ring(peer, RingCommand::Enter(Box::new(enter))).await
    }

    pub(crate) async fn ask_ring(&self, peer: PeerId, command: RingCommand) -> anyhow::Result<()> {
        let peer = self.peers.get(&peer).context("the plan has no such peer")?;
        tell(peer, Command::Ring(command)).await
    }
}
