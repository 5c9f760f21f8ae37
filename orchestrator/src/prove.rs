//! Whether a change of the network has bitten: makes the change, then proves it by counters and probes.
//!
//! A change that was asked for and did not happen makes a run worthless, so that a proof that fails ends the run. Probes
//! are small datagrams between sockets of our own in the peers' namespaces (`probe`), and where a rate changed a short train
//! of large ones (`train`); what their fate means is judged in `judge`, between whom they go is chosen in `ways`. When something changes is decided by the scenario.

use std::collections::BTreeMap;

use anyhow::Context;
use peerbed_proto::id::PeerId;
use serde::{Deserialize, Serialize};

use crate::{
    links::user::Losses,
    plan::{LinkChange, LinkState, Partition, Plan},
    scenario::Change,
    testbed::Testbed,
};

mod judge;
mod probe;
mod train;
mod ways;

use probe::Shots;

/// How a change was proved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What was looked at, in words.
    pub how: String,
    /// What was found: packets, seconds, ends of links.
    pub numbers: BTreeMap<String, f64>,
}

/// A change that has been made and not yet been proved.
#[derive(Debug)]
pub struct Made {
    change: Change,
    /// What had been lost before.
    before: Losses,
    /// Directions of links that the engine was asked for again.
    ends: usize,
}

/// Makes a change.
///
/// # Errors
///
/// When it could not be made.
pub async fn make(testbed: &Testbed, change: Change) -> anyhow::Result<Made> {
    let before = testbed.losses().await.context("counting what has been lost before a change")?;
    let mut ends = 0;
    match &change {
        Change::Links(changes) => ends = testbed.change_links(changes).await?,
        Change::Cut(partition) => testbed.cut(partition).await?,
        Change::Heal { ended, .. } => {
            for partition in ended {
                testbed.heal(&partition.name).await?;
            }
        }
        Change::Pause(peers) => testbed.pause(peers).await?,
        Change::Resume(peers) => testbed.resume(peers).await?,
    }
    Ok(Made { change, before, ends })
}

impl Made {
    /// Those whose processes go on by it.
    #[must_use]
    pub fn resumed(&self) -> &[PeerId] {
        if let Change::Resume(peers) = &self.change { peers } else { &[] }
    }

    /// Finds out whether the change has bitten. Takes as long as packets take at the links' worst, with full queues, and
    /// a tenth of a second.
    ///
    /// # Errors
    ///
    /// One sentence that says what did not happen.
    pub async fn prove(&self, testbed: &Testbed, plan: &Plan) -> anyhow::Result<Proof> {
        match &self.change {
            Change::Links(changes) => self.prove_links(testbed, plan, changes).await,
            Change::Cut(partition) => self.prove_cut(testbed, plan, partition).await,
            Change::Heal { ended, staying } => prove_heal(testbed, plan, ended, staying).await,
            // Both have waited for what the kernel says of the processes.
            Change::Pause(peers) => {
                Ok(Proof::of("the kernel shows the processes as stopped", &[("peers", peers.len())]))
            }
            Change::Resume(peers) => {
                Ok(Proof::of("the kernel shows the processes as running, and they answer", &[("peers", peers.len())]))
            }
        }
    }

    async fn prove_links(&self, testbed: &Testbed, plan: &Plan, changes: &[LinkChange]) -> anyhow::Result<Proof> {
        let mut proof = Proof::of("read back from the engine", &[("directions_read_back", self.ends)]);
        let links = ways::links(testbed, plan, changes).await?;
        let (down, up): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.figures.state == LinkState::Down);
        if !down.is_empty() {
            let seen = probe::carry(down.iter().map(|link| &link.way), Shots::SILENCE).await?;
            let lost = testbed.losses().await?.down.saturating_sub(self.before.down);
            judge::silence("the link that went down", &seen, lost)?;
            proof.how.push_str("; probes were lost where links are down");
            proof.add("probes_lost", lost);
        }
        if !up.is_empty() {
            let seen = probe::carry(up.iter().map(|link| &link.way), Shots::ARRIVAL).await?;
            let times = judge::times(&up, &seen)?;
            proof.how.push_str("; probes arrived in the time that the links take");
            proof.numbers.extend(times);
            let slow = up.iter().filter(|link| link.has_new_rate).filter_map(train::Train::of).collect::<Vec<_>>();
            if !slow.is_empty() {
                proof.how.push_str("; trains were no faster than the rates");
                proof.numbers.extend(train::carry(slow).await?);
            }
        }
        Ok(proof)
    }

    async fn prove_cut(&self, testbed: &Testbed, plan: &Plan, partition: &Partition) -> anyhow::Result<Proof> {
        let across = ways::across(testbed, plan, partition, &[]).await?;
        if across.is_empty() {
            return Ok(Proof::of("no link across it is up, so that nothing could be sent", &[]));
        }
        let seen = probe::carry(across.iter(), Shots::SILENCE).await?;
        let count = |losses: &Losses| losses.partitions.get(&partition.name).copied().unwrap_or_default();
        let lost = count(&testbed.losses().await?).saturating_sub(count(&self.before));
        judge::silence(&format!("the partition {}", partition.name), &seen, lost)?;
        let mut proof =
            Proof::of("no probe came across and the packets lost there were counted", &[("ways", across.len())]);
        proof.add("probes_sent", seen.iter().map(|seen| u64::from(seen.sent)).sum());
        proof.add("packets_lost", lost);
        Ok(proof)
    }
}

async fn prove_heal(
    testbed: &Testbed,
    plan: &Plan,
    ended: &[Partition],
    staying: &[Partition],
) -> anyhow::Result<Proof> {
    let mut across = Vec::new();
    for partition in ended {
        across.extend(ways::across(testbed, plan, partition, staying).await?);
    }
    if across.is_empty() {
        return Ok(Proof::of(
            "no link across it is up and beside other partitions, so that nothing could be sent",
            &[],
        ));
    }
    let seen = probe::carry(across.iter(), Shots::ARRIVAL).await?;
    judge::arrival(&across, &seen)?;
    let mut proof = Proof::of("probes came across", &[("ways", across.len())]);
    proof.add("probes_arrived", seen.iter().map(|seen| u64::from(seen.arrived)).sum());
    Ok(proof)
}

impl Proof {
    fn of(how: &str, numbers: &[(&str, usize)]) -> Self {
        let numbers = numbers.iter().map(|(name, number)| ((*name).to_owned(), *number as f64));
        Self { how: how.to_owned(), numbers: numbers.collect() }
    }

    fn add(&mut self, name: &str, number: u64) {
        self.numbers.insert(name.to_owned(), number as f64);
    }
}
