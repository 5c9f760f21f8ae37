//! The user engine: every peer's link is a TUN device, and one thread of ours carries, delays and drops the packets.
//!
//! For kernels without netem, and by choice: what is drawn at random follows from the links' seeds. What a link does is
//! the model in [`emulation`](super::emulation); here are the devices ([`device`]), the frames in them ([`frame`], [`cut`]),
//! the network of links (`switch`) and the thread (`forwarder`). Namespaces, addresses and routes are built elsewhere.
//!
//! The engine routes as the core of a real network would, with three differences: it does not count down TTLs, does not
//! answer for unknown addresses (such packets are counted as [`Refused::unknown`]), and has no address of its own.

use std::{collections::BTreeMap, io, net::Ipv4Addr, os::fd::OwnedFd, sync::mpsc, thread::JoinHandle};

use hdrhistogram::Histogram;
use peerbed_proto::{id::PeerId, random::Random};
use rustix::event::{EventfdFlags, eventfd};
use serde::Serialize;

use super::{
    emulation::{counters, settings::Settings},
    tally::Tally,
};
use crate::plan::{Latency, Link, Partition, Peer};

pub mod cut;
pub mod device;
mod forwarder;
pub mod frame;
mod partitions;
mod pool;
mod schedule;
mod switch;
mod system;
#[cfg(test)]
mod tests;

use device::Device;
use forwarder::{Command, Forwarder};
pub use partitions::PartitionCount;
pub use schedule::Side;
pub use switch::Refused;
use switch::{Latencies, Port, Switch};

/// A running engine. Dropping it stops it; the devices vanish with it.
#[derive(Debug)]
pub struct UserEngine {
    /// Which port is whose.
    peers: Vec<PeerId>,
    commands: mpsc::Sender<Command>,
    /// Wakes the thread up to read its commands.
    bell: OwnedFd,
    priority: Priority,
    thread: Option<JoinHandle<io::Result<Counters>>>,
}

/// One peer's link, ready to be carried.
#[derive(Debug)]
pub struct PeerLink {
    /// Whose.
    pub peer: PeerId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its end of the link.
    pub device: Device,
    /// From the peer to the core.
    pub up: Settings,
    /// From the core to the peer.
    pub down: Settings,
    /// Seed of everything random on this link.
    pub seed: u64,
    /// Where it is, for latencies.
    pub region: Option<String>,
}

/// What the engine has done since it started.
#[derive(Clone, Debug)]
pub struct Counters {
    /// By link, in the order given to [`UserEngine::start`].
    pub links: Vec<LinkCounters>,
    /// Packets and trains that no link took.
    pub refused: Refused,
    /// By partition, the ended ones included.
    pub partitions: Vec<PartitionCount>,
    /// How often the thread woke up.
    pub wakeups: u64,
}

/// What has been lost because the scenario wanted it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Packets by name of the partition, the ended ones included.
    pub partitions: BTreeMap<String, u64>,
    /// Packets on links that were down, all together.
    pub down: u64,
}

/// What one link has done.
#[derive(Clone, Debug)]
pub struct LinkCounters {
    /// From the peer to the core.
    pub up: counters::Counters,
    /// From the core to the peer.
    pub down: counters::Counters,
    /// How late packets were handed to the peer against the time they were due, in microseconds with two digits.
    pub lateness: Histogram<u32>,
    /// Packets that the peer's kernel did not take, because its device is down or gone.
    pub refused: u64,
}

/// How well the engine does what it was asked, over all links since it started. Cheap to ask for.
#[derive(Clone, Debug)]
pub struct Health {
    /// How late packets were handed over against the time they were due, in microseconds with two digits.
    pub lateness: Histogram<u32>,
    /// Packets dropped that nobody asked to drop: no memory was left, or a peer's kernel did not take them.
    pub dropped: u64,
}

/// How the engine's thread is favoured by the scheduler. The lower ones deliver late on a busy host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Before all ordinary threads (`SCHED_FIFO`).
    Realtime,
    /// Before most ordinary threads (nice −20).
    Nice,
    /// Like any other: it may not be more here.
    Normal,
}

/// The engine has ended, or the peer is not one of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Its thread is gone.
    #[error("the user engine has ended{}", .0.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default())]
    Ended(Option<String>),
    /// No link was given for this peer.
    #[error("the user engine has no link for {0}")]
    UnknownPeer(PeerId),
}

impl UserEngine {
    /// Starts carrying packets between the links.
    ///
    /// # Errors
    ///
    /// When file descriptors or threads have run out.
    pub fn start(links: Vec<PeerLink>, latencies: &[Latency]) -> io::Result<Self> {
        let regions = regions(&links);
        let mut between = Latencies::none(regions.len() + 1);
        let index = |name: &str| regions.iter().position(|region| region == name).map(|index| index + 1);
        for latency in latencies {
            if let (Some(from), Some(to)) = (index(&latency.from), index(&latency.to)) {
                between.set(from, to, latency.delay.0);
            }
        }
        let peers = links.iter().map(|link| link.peer).collect();
        let (ports, devices) = links
            .into_iter()
            .map(|link| {
                let region = link.region.as_deref().and_then(index).unwrap_or(0);
                let seed = |direction: &str| Random::new(link.seed, &format!("link {direction}")).bits();
                let port = Port::new(link.address, region, (link.up, seed("up")), (link.down, seed("down")));
                (port, link.device)
            })
            .unzip();
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (commands, inbox) = mpsc::channel();
        let forwarder = Forwarder::new(Switch::new(ports, between), devices, inbox, &bell)?;
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new().name("user-engine".to_owned()).spawn(move || {
            // The receiver waits for it.
            let _ = tell.send(forwarder::hurry());
            forwarder.run()
        })?;
        let priority = told.recv().unwrap_or(Priority::Normal);
        Ok(Self { peers, commands, bell, priority, thread: Some(thread) })
    }

    /// Gives one direction of a peer's link other settings, from now on.
    ///
    /// # Errors
    ///
    /// When the engine has ended or does not know the peer.
    pub fn change(&self, peer: PeerId, side: Side, settings: Settings) -> Result<(), EngineError> {
        self.tell(Command::Change(side, self.port(peer)?, Box::new(settings)))
    }

    /// Cuts sets of peers off from each other, from now on. What has reached its receiver's link already arrives.
    ///
    /// # Errors
    ///
    /// When the engine has ended or does not know a peer.
    pub fn cut(&self, partition: &Partition) -> Result<(), EngineError> {
        let side = |peers: &Vec<PeerId>| peers.iter().map(|&peer| self.port(peer)).collect::<Result<Vec<_>, _>>();
        let sides = partition.sides.iter().map(side).collect::<Result<_, _>>()?;
        self.tell(Command::Cut(partition.name.clone(), sides, partition.direction))
    }

    /// Ends the partition of this name; without one nothing happens.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub fn heal(&self, name: &str) -> Result<(), EngineError> {
        self.tell(Command::Heal(name.to_owned()))
    }

    /// The settings that one direction of a peer's link has now, as the engine's thread has them.
    ///
    /// # Errors
    ///
    /// When the engine has ended or does not know the peer.
    pub fn settings(&self, peer: PeerId, side: Side) -> Result<Settings, EngineError> {
        let (answer, answered) = mpsc::channel();
        self.tell(Command::Show(side, self.port(peer)?, answer))?;
        answered.recv().map_err(|_| EngineError::Ended(None))
    }

    /// What partitions and links that are down have lost until now. Takes no time that packets would notice.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub fn losses(&self) -> Result<Losses, EngineError> {
        let (answer, answered) = mpsc::channel();
        self.tell(Command::Lost(answer))?;
        answered.recv().map_err(|_| EngineError::Ended(None))
    }

    /// What was counted until now, for every link. With a thousand links the packets have to wait for it some milliseconds.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub fn counters(&self) -> Result<Counters, EngineError> {
        let (answer, answered) = mpsc::channel();
        self.tell(Command::Count(answer))?;
        answered.recv().map_err(|_| EngineError::Ended(None))
    }

    /// How well it goes. Unlike [`counters`](Self::counters) it takes no time that packets would notice.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub fn health(&self) -> Result<Health, EngineError> {
        let (answer, answered) = mpsc::channel();
        self.tell(Command::Examine(answer))?;
        answered.recv().map_err(|_| EngineError::Ended(None))
    }

    /// What each link has done until now, up and down, in short. Unlike [`counters`](Self::counters) it takes no time that
    /// packets would notice.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub fn tallies(&self) -> Result<Vec<(PeerId, [Tally; 2])>, EngineError> {
        let (answer, answered) = mpsc::channel();
        self.tell(Command::Tell(answer))?;
        let tallies = answered.recv().map_err(|_| EngineError::Ended(None))?;
        Ok(self.peers.iter().copied().zip(tallies).collect())
    }

    /// How the engine's thread is favoured by the scheduler.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Stops carrying packets and returns what was counted. What is on its way is lost.
    ///
    /// # Errors
    ///
    /// When the engine had ended before, and why.
    pub fn stop(mut self) -> Result<Counters, EngineError> {
        self.end()
    }

    fn port(&self, peer: PeerId) -> Result<u32, EngineError> {
        let port = self.peers.iter().position(|&known| known == peer).ok_or(EngineError::UnknownPeer(peer))?;
        Ok(u32::try_from(port).expect("a plan has fewer peers than addresses"))
    }

    fn tell(&self, command: Command) -> Result<(), EngineError> {
        self.commands.send(command).map_err(|_| EngineError::Ended(None))?;
        // It fails only when it has rung 2^64 times unheard.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }

    fn end(&mut self) -> Result<Counters, EngineError> {
        let Some(thread) = self.thread.take() else { return Err(EngineError::Ended(None)) };
        // Where nobody listens any more, joining tells why.
        let _ = self.tell(Command::Stop);
        match thread.join() {
            Ok(Ok(counters)) => Ok(counters),
            Ok(Err(error)) => Err(EngineError::Ended(Some(error.to_string()))),
            Err(_) => Err(EngineError::Ended(Some("its thread panicked".to_owned()))),
        }
    }
}

impl Drop for UserEngine {
    fn drop(&mut self) {
        // Who wants to know how it ended calls `stop`.
        let _ = self.end();
    }
}

impl PeerLink {
    /// The link of a plan's peer.
    #[must_use]
    pub fn new(peer: &Peer, link: &Link, device: Device) -> Self {
        Self {
            peer: peer.id,
            address: peer.address,
            device,
            up: Settings::from(&link.up),
            down: Settings::from(&link.down),
            seed: peer.seed,
            region: peer.region.clone(),
        }
    }
}

impl Health {
    /// What came after an earlier look.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut lateness = self.lateness.clone();
        // The earlier one counts no more than this one, of the same engine, at any value.
        let _ = lateness.subtract(&before.lateness);
        Self { lateness, dropped: self.dropped - before.dropped }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { lateness: counters::times(), dropped: 0 }
    }
}

impl Counters {
    /// Lateness over all links.
    #[must_use]
    pub fn lateness(&self) -> Histogram<u32> {
        let mut all = counters::times();
        for link in &self.links {
            // Both resize themselves and have the same precision, so that nothing is refused.
            let _ = all.add(&link.lateness);
        }
        all
    }
}

/// The regions that the links are in.
fn regions(links: &[PeerLink]) -> Vec<String> {
    let mut regions: Vec<String> = links.iter().filter_map(|link| link.region.clone()).collect();
    regions.sort_unstable();
    regions.dedup();
    regions
}
