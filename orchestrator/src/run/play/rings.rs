//! Rings on the testbed: founding them before the scenario, entering and asking while it is played.

use std::time::Duration;

use anyhow::{anyhow, bail};
use futures_util::future::join_all;
use peerbed_peer::ring_control::{RingCommand, Start};
use peerbed_proto::PeerId;
use tokio::time::{Instant, sleep};

use super::{Done, Play};
use crate::{plan::Ring, progress::Progress};

impl Play<'_> {
    /// Lets the present members of every ring found it, and returns when each is connected with its neighbours: what is
    /// asked first shall not wait for handshakes that belong to no question.
    pub(super) async fn found_rings(&mut self, progress: &mut Progress) -> anyhow::Result<()> {
        for ring in &self.job.plan.rings {
            let began = Instant::now();
            let founders = self.present(ring);
            let numbers: Vec<u32> = founders.iter().map(|peer| peer.0).collect();
            let testbed = self.testbed;
            let enter = |peer: &PeerId| testbed.enter_ring(ring, *peer, Start::Found(numbers.clone()));
            for entered in join_all(founders.iter().map(enter)).await {
                entered?;
            }
            self.connected(ring, &founders).await?;
            let took = began.elapsed().as_secs_f64();
            progress.say(&format!("ring {} founded by {} peers in {took:.2} s", ring.name, founders.len()));
        }
        Ok(())
    }

    pub(super) fn enter_ring(&mut self, ring: usize, peer: PeerId, start: Start) {
        let (ring, testbed) = (&self.job.plan.rings[ring], self.testbed);
        self.later(async move { Done::Entered(peer, testbed.enter_ring(ring, peer, start).await) });
    }

    pub(super) fn ask(&mut self, peer: PeerId, command: RingCommand) {
        let testbed = self.testbed;
        let request = match &command {
            RingCommand::LookUp { request, .. } | RingCommand::Data { request, .. } => *request,
            RingCommand::Enter(_) | RingCommand::Leave => 0,
        };
        self.later(async move { Done::Asked(request, testbed.ask_ring(peer, command).await) });
    }

    async fn connected(&mut self, ring: &Ring, founders: &[PeerId]) -> anyhow::Result<()> {
        let until = Instant::now() + CONNECT_WITHIN;
        loop {
            let statuses = self.testbed.statuses().await;
            let is_connected = |peer: &&PeerId| {
                let status = statuses.get(peer).and_then(|status| status.ring.as_ref());
                status.is_some_and(|ring| {
                    ring.connected == ring.neighbours && (ring.neighbours > 0 || founders.len() == 1)
                })
            };
            let missing: Vec<&PeerId> = founders.iter().filter(|peer| !is_connected(peer)).collect();
            let Some(first) = missing.first() else { return Ok(()) };
            if Instant::now() >= until {
                let more = missing.len();
                bail!(
                    "ring {}: {} and {} more of its founders lack connections",
                    ring.name,
                    self.name(**first),
                    more - 1
                );
            }
            // A founder that dies on the way is told of by its end.
            match self.events.try_recv() {
                Ok(event) => self.handle_event(event)?,
                Err(tokio::sync::mpsc::error::TryRecvError::Empty) => sleep(LOOK_AGAIN).await,
                Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => {
                    return Err(anyhow!("the testbed reports no more"));
                }
            }
        }
    }

    fn present(&self, ring: &Ring) -> Vec<PeerId> {
        let is_present = |peer: &PeerId| self.job.plan.peers.iter().any(|it| it.id == *peer && it.present);
        ring.members.iter().map(|member| member.peer).filter(is_present).collect()
    }
}

/// Time for the first connections: some ten handshakes a peer, at about 3 ms of processor time each.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// Time between two looks at them.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
