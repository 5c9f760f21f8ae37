//! Rings on the testbed: founding them before the scenario, entering and asking while it is played.

use anyhow::{Context, anyhow};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use peerbed_peer::ring_control::{RingCommand, Start};
use peerbed_proto::PeerId;
use tokio::time::Instant;

use super::{Done, Early, Play};
use crate::{plan::Ring, progress::Progress, run::stop::Stop};

impl Play<'_> {
    /// Lets the present members of every ring found it, and returns when each is connected with its neighbours and keeps the
    /// ring up: what is asked first shall not wait for handshakes that belong to no question.
    ///
    /// All enter first, so that whoever is dialled takes the connection; then some at a time connect, because all handshakes
    /// at once would be slow together and none in time; and only then does the upkeep begin, of all of them.
    pub(super) async fn found_rings(&mut self, stop: &Stop, progress: &mut Progress) -> Result<(), Early> {
        for ring in &self.job.plan.rings {
            let began = Instant::now();
            let founders = self.present(ring);
            let numbers: Vec<u32> = founders.iter().map(|peer| peer.0).collect();
            let testbed = self.testbed;
            let entered = stream::iter(founders.clone()).map(|peer| {
                let start = Start::Found(numbers.clone());
                async move { (peer, testbed.enter_ring(ring, peer, start, true).await) }
            });
            self.each(ring, entered.buffer_unordered(TOLD_AT_ONCE), stop).await?;
            for (command, at_once) in [(RingCommand::Connect, CONNECTING_AT_ONCE), (RingCommand::Begin, TOLD_AT_ONCE)] {
                let told = stream::iter(founders.clone()).map(|peer| {
                    let command = command.clone();
                    async move { (peer, testbed.ask_ring(peer, command).await) }
                });
                self.each(ring, told.buffer_unordered(at_once), stop).await?;
            }
            let took = began.elapsed().as_secs_f64();
            progress.say(&format!("ring {} founded by {} peers in {took:.2} s", ring.name, founders.len()));
        }
        Ok(())
    }

    pub(super) fn enter_ring(&mut self, ring: usize, peer: PeerId, start: Start) {
        let (ring, testbed) = (&self.job.plan.rings[ring], self.testbed);
        self.later(async move { Done::Entered(peer, testbed.enter_ring(ring, peer, start, false).await) });
    }

    pub(super) fn ask(&mut self, peer: PeerId, command: RingCommand) {
        let testbed = self.testbed;
        let request = match &command {
            RingCommand::LookUp { request, .. } | RingCommand::Data { request, .. } => *request,
            RingCommand::Enter(_) | RingCommand::Connect | RingCommand::Begin | RingCommand::Leave => 0,
        };
        self.later(async move { Done::Asked(request, testbed.ask_ring(peer, command).await) });
    }

    /// Waits until every founder has answered, while what the testbed reports is taken in: a founder that dies on the way is
    /// told of by its end.
    async fn each(
        &mut self,
        ring: &Ring,
        answers: impl Stream<Item = (PeerId, anyhow::Result<()>)>,
        stop: &Stop,
    ) -> Result<(), Early> {
        let mut answers = std::pin::pin!(answers.fuse());
        loop {
            tokio::select! {
                () = stop.wished() => return Err(Early::Stopped),
                event = self.events.recv() => match event {
                    Some(event) => self.handle_event(event)?,
                    None => return Err(anyhow!("the testbed reports no more").into()),
                },
                answer = answers.next() => match answer {
                    Some((peer, answer)) => {
                        answer.with_context(|| format!("founding ring {} at {}", ring.name, self.name(peer)))?;
                    }
                    None => break,
                },
            }
        }
        while let Some(Some(event)) = self.events.recv().now_or_never() {
            self.handle_event(event)?;
        }
        Ok(())
    }

    fn present(&self, ring: &Ring) -> Vec<PeerId> {
        let is_present = |peer: &PeerId| self.job.plan.peer(*peer).is_some_and(|it| it.present);
        ring.members.iter().map(|member| member.peer).filter(is_present).collect()
    }
}

/// Founders that connect at a time, each making one connection after the other. A handshake takes a round trip and a half and
/// some 3 ms of processor time on both sides together, so that at 80 ms these keep two cores about half busy, and on a slow
/// host each waits a second for its own at most.
const CONNECTING_AT_ONCE: usize = 24;
/// Founders that are given a short command at a time.
const TOLD_AT_ONCE: usize = 32;
