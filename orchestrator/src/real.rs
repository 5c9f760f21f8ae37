//! The real testbed: every peer a process in a namespace of its own, joined by shaped links on this host.
//!
//! Here the parts are put together in order and taken apart again. Each part has a file: namespaces (`netns`), talk to
//! the kernel (`netlink`), the network (`network`, `qdisc`), what the kernel can do (`features`), the thread that holds
//! all this (`supervisor`), peers and their processes (`peer`, `process`, `control`). When things happen is decided by
//! the scenario.

pub mod attach;
mod cell;
pub(crate) mod control;
pub mod features;
mod netlink;
pub mod netns;
mod network;
mod pausing;
mod peer;
pub(crate) mod pidfd;
pub(crate) mod process;
mod program;
mod qdisc;
mod rings;
mod setup;
mod supervisor;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use futures_util::future::join_all;
use peerbed_peer::{
    commands::{Begin, Command, End, Endpoint, Prepare, Role},
    status::Status,
};
use peerbed_proto::id::PeerId;
use rustix::net::sockopt;
use tokio::{
    sync::{Mutex, MutexGuard, mpsc},
    time::timeout,
};

use self::peer::Peer;
pub(crate) use self::setup::files_needed;
pub use self::{
    network::{ReadBack, Towards},
    supervisor::Supervisor,
};
use crate::{
    content::Content,
    evidence::capture::{self, Captures},
    links::{Engine, kernel::pace::Reading, tally::Tally, user::Health},
    live::Published,
    plan::{self, Distribute, Plan, Via},
    run_directory::RunDirectory,
    testbed::{Event, Options, SetUpError, SetUpReport},
    verify::vantage,
};

/// A plan carried out on this host. The operations are those of [`crate::testbed::Testbed`].
#[derive(Debug)]
pub struct Real {
    report: SetUpReport,
    contents: BTreeMap<String, Content>,
    peers: BTreeMap<PeerId, Peer>,
    /// None once torn down.
    supervisor: Mutex<Option<Arc<Supervisor>>>,
    /// None once nobody may join any more.
    published: Mutex<Option<Published>>,
    /// Peers whose program this host cannot run, and why.
    unavailable: BTreeMap<PeerId, String>,
    peer_binary: PathBuf,
    ready_within: Duration,
    stop_within: Duration,
    run: RunDirectory,
}

impl Real {
    pub(crate) async fn set_up(
        plan: &Plan,
        run: &RunDirectory,
        options: &Options,
    ) -> Result<(Self, mpsc::Receiver<Event>), SetUpError> {
        let choice = Self::check(plan, options)?;
        let unavailable = program::unavailable(plan).await?;
        let supervisor = Supervisor::start()?;
        let began = Instant::now();
        let (network, made) = tokio::join!(
            async { supervisor.build(&vantage::with_vantage(plan), choice.engine).await.map(|()| began.elapsed()) },
            setup::make_places(plan, run, options),
        );
        let (network, made) = (network?, made?);
        if choice.engine == Engine::Kernel {
            setup::check_shaping(&supervisor, &vantage::with_vantage(plan)).await?;
        }
        let engine = choice.engine.to_string();
        let published = Published::new(plan, run, &engine, &supervisor.namespaces().await?)?;
        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let peers = plan.peers.iter().map(|peer| (peer.id, setup::peer(peer, run, &made.contents, &events))).collect();
        let report = SetUpReport {
            engine: choice.engine,
            engine_reason: choice.reason,
            network,
            contents: made.contents_time,
            processes: Duration::ZERO,
            readiness: Duration::ZERO,
        };
        let mut real = Self {
            report,
            contents: made.contents,
            peers,
            supervisor: Mutex::new(Some(Arc::new(supervisor))),
            published: Mutex::new(Some(published)),
            unavailable,
            peer_binary: options.peer_binary.clone(),
            ready_within: options.ready_within,
            stop_within: options.stop_within,
            run: run.clone(),
        };
        let is_present = |peer: &&plan::Peer| peer.present && !real.unavailable.contains_key(&peer.id);
        let present: Vec<PeerId> = plan.peers.iter().filter(is_present).map(|peer| peer.id).collect();
        match real.start_timed(&present).await {
            Ok((processes, readiness)) => {
                real.report.processes = made.configurations_time + processes;
                real.report.readiness = readiness;
                Ok((real, inbox))
            }
            Err(error) => {
                // What goes wrong on the way down is a consequence of what is being reported.
                let _ = real.take_down(Politeness::Kill).await;
                Err(error.into())
            }
        }
    }

    /// Finds the engine for a plan that can be carried out here.
    pub(crate) fn check(plan: &Plan, options: &Options) -> Result<setup::Choice, SetUpError> {
        let choice = setup::choose_engine(plan)?;
        setup::check_host(plan, options)?;
        Ok(choice)
    }

    pub(crate) fn set_up_report(&self) -> &SetUpReport {
        &self.report
    }

    pub(crate) fn contents(&self) -> &BTreeMap<String, Content> {
        &self.contents
    }

    pub(crate) fn unavailable(&self) -> &BTreeMap<PeerId, String> {
        &self.unavailable
    }

    pub(crate) async fn start(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        self.start_timed(peers).await.map(|_| ())
    }

    pub(crate) async fn crash(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        first_error(join_all(self.chosen(peers)?.into_iter().map(Peer::crash)).await)
    }

    pub(crate) async fn leave(&self, peers: &[PeerId]) -> anyhow::Result<()> {
        first_error(join_all(self.chosen(peers)?.into_iter().map(|peer| peer.leave(self.stop_within))).await)
    }

    pub(crate) async fn prepare(&self, distribution: &Distribute, peers: &[PeerId]) -> anyhow::Result<()> {
        let content = self
            .contents
            .get(&distribution.file)
            .with_context(|| format!("the plan has no file `{}`", distribution.file))?;
        let mut commands = Vec::new();
        for peer in self.chosen(peers)? {
            let command = Command::Prepare(Prepare {
                id: distribution.id.clone(),
                file: distribution.file.clone(),
                manifest: content.manifest.clone(),
                leaves: Some(content.leaves.clone()),
                role: self.role(distribution, peer.id, content)?,
                options: distribution.options_of(peer.id),
            });
            commands.push(tell(peer, command));
        }
        first_error(join_all(commands).await)
    }

    pub(crate) async fn begin(&self, id: &str, peers: &[PeerId], at: f64) -> anyhow::Result<()> {
        let (programs, own): (Vec<_>, Vec<_>) = self.chosen(peers)?.into_iter().partition(|peer| peer.is_program());
        programs.into_iter().try_for_each(|peer| peer.begin(at))?;
        let command = Command::Begin(Begin { id: id.to_owned(), at });
        first_error(join_all(own.into_iter().map(|peer| tell(peer, command.clone()))).await)
    }

    pub(crate) async fn end(&self, id: &str, peers: &[PeerId]) -> anyhow::Result<()> {
        let command = Command::End(End { id: id.to_owned() });
        let chosen = self.chosen(peers)?;
        // Who is paused is told when it goes on; to wait for that here might be to wait for a step behind this one.
        let (paused, up): (Vec<_>, Vec<_>) =
            chosen.into_iter().filter(|peer| peer.is_up() && !peer.is_program()).partition(|peer| peer.is_paused());
        paused.into_iter().for_each(|peer| peer.end_later(id));
        let up = up.into_iter();
        first_error(join_all(up.map(|peer| tell(peer, command.clone()))).await)
    }

    pub(crate) async fn probe_socket(&self, peer: PeerId, address: Ipv4Addr) -> anyhow::Result<UdpSocket> {
        let socket = self.supervised().await.get()?.inside(peer, move || UdpSocket::bind((address, 0))).await?;
        let socket = socket.with_context(|| format!("opening a socket for probes at {address}"))?;
        // Where only the usual size is allowed, that is what there is; losses of our own would show as the link's.
        let _ = sockopt::set_socket_recv_buffer_size_force(&socket, PROBE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, PROBE_BUFFER));
        Ok(socket)
    }

    pub(crate) async fn capture(&self, peers: &[&plan::Peer]) -> anyhow::Result<Captures> {
        let mut sockets = Vec::with_capacity(peers.len());
        for peer in peers {
            let socket = self.supervised().await.get()?.inside(peer.id, capture::open).await?;
            let socket = socket.with_context(|| format!("opening a socket for the packets of {}", peer.name))?;
            sockets.push((socket, self.run.peer_packets(&peer.name)));
        }
        Captures::begin(sockets).context("starting to capture packets")
    }

    pub(crate) async fn engine_health(&self) -> anyhow::Result<Option<Health>> {
        self.supervised().await.get()?.engine_health().await
    }

    pub(crate) async fn paces(&self) -> anyhow::Result<Vec<((PeerId, Towards), Reading)>> {
        self.supervised().await.get()?.paces().await
    }

    pub(crate) async fn tallies(&self) -> anyhow::Result<Vec<(PeerId, [Tally; 2])>> {
        self.supervised().await.get()?.tallies().await
    }

    /// The supervisor, held until the answer is dropped.
    pub(crate) async fn supervised(&self) -> Supervised<'_> {
        Supervised(self.supervisor.lock().await)
    }

    pub(crate) fn is_up(&self, peer: PeerId) -> bool {
        self.peers.get(&peer).is_some_and(Peer::is_up)
    }

    pub(crate) async fn statuses(&self) -> BTreeMap<PeerId, Status> {
        let asked = self.answering().map(async |peer| {
            let status = timeout(STATUS_WITHIN, peer.control.status()).await.ok()?.ok()?;
            Some((peer.id, status))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    pub(crate) async fn histograms(&self) -> BTreeMap<PeerId, BTreeMap<String, String>> {
        let asked = self.answering().map(async |peer| match peer.control.histograms().await {
            Ok(histograms) => Some((peer.id, histograms)),
            Err(error) => {
                // It is on its way out, and the results count it as missing.
                tracing::info!("asking {} for its histograms: {error:#}", peer.name);
                None
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Peers of our own that can be asked something now.
    fn answering(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(|peer| peer.is_up() && !peer.is_program() && !peer.is_paused())
    }

    pub(crate) async fn metrics(&self, peer: PeerId) -> anyhow::Result<String> {
        let peer = self.peers.get(&peer).filter(|peer| peer.is_up()).context("the peer is not up")?;
        peer.control.metrics().await.with_context(|| format!("asking {} for its metrics", peer.name))
    }

    pub(crate) async fn tear_down(&self) -> anyhow::Result<()> {
        self.take_down(Politeness::Ask).await
    }

    async fn take_down(&self, politeness: Politeness) -> anyhow::Result<()> {
        let stopped = match politeness {
            Politeness::Ask => join_all(self.peers.values().map(|peer| peer.stop(self.stop_within))).await,
            Politeness::Kill => join_all(self.peers.values().map(Peer::crash)).await,
        };
        // From here on nobody can join; those who did hold namespaces and would keep them.
        drop(self.published.lock().await.take());
        if let Some(supervisor) = self.supervisor.lock().await.take() {
            let namespaces = supervisor.namespaces().await.unwrap_or_default();
            let visitors = tokio::task::spawn_blocking(move || attach::end_visitors(namespaces.values().copied()));
            let ended = visitors.await.context("ending what had joined the peers' namespaces")??;
            if ended > 0 {
                tracing::warn!("{ended} processes that had joined the run's namespaces were ended with it");
            }
            // Ends the thread and waits for it; takes no time worth a thread of its own, but may not block this one.
            let ended = tokio::task::spawn_blocking(|| drop(supervisor)).await;
            ended.context("ending the supervisor thread")?;
        }
        first_error(stopped)
    }

    /// Starts peers that are down: time for starting the processes, and for the last to answer after that.
    async fn start_timed(&self, peers: &[PeerId]) -> anyhow::Result<(Duration, Duration)> {
        let began = Instant::now();
        let peers = self.chosen(peers)?;
        // Not kept locked: programs may take their time, and others are started meanwhile.
        let supervisor = self.supervisor.lock().await.clone().context("the testbed has been torn down")?;
        let spawned = join_all(peers.iter().map(|peer| peer.spawn(&supervisor, &self.peer_binary))).await;
        let processes = began.elapsed();
        // All that were started are waited for, even when another could not be: they are known as up or gone then.
        let ready = peers.iter().zip(spawned).map(async |(peer, starting)| match starting? {
            Some(starting) => peer.await_ready(starting, self.ready_within, &supervisor).await,
            None => Ok(()),
        });
        first_error(join_all(ready).await)?;
        Ok((processes, began.elapsed() - processes))
    }

    fn chosen(&self, peers: &[PeerId]) -> anyhow::Result<Vec<&Peer>> {
        peers.iter().map(|id| self.peers.get(id).with_context(|| format!("the plan has no peer {}", id.0))).collect()
    }

    /// The part of a peer in a distribution.
    fn role(&self, distribution: &Distribute, peer: PeerId, content: &Content) -> anyhow::Result<Role> {
        let gives = distribution.from.contains(&peer);
        Ok(match distribution.via {
            Via::ClientServer if gives => Role::Server { content: content.path.clone() },
            Via::ClientServer => {
                let server = distribution.from.first().context("a distribution from nobody")?;
                Role::Client { server: self.endpoint(*server)? }
            }
            Via::Swarm => {
                let tracker = distribution.tracker.map(|tracker| self.endpoint(tracker)).transpose()?;
                if gives { Role::Seed { content: content.path.clone(), tracker } } else { Role::Leecher { tracker } }
            }
        })
    }

    fn endpoint(&self, peer: PeerId) -> anyhow::Result<Endpoint> {
        let addr: SocketAddr = self.peers.get(&peer).map(|peer| peer.address).context("the plan has no such peer")?;
        Ok(Endpoint { peer: peer.0, addr })
    }
}

/// The supervisor of a testbed, held.
pub(crate) struct Supervised<'a>(MutexGuard<'a, Option<Arc<Supervisor>>>);

impl Supervised<'_> {
    /// The supervisor, unless the testbed has been torn down.
    pub(crate) fn get(&self) -> anyhow::Result<&Supervisor> {
        self.0.as_deref().context("the testbed has been torn down")
    }
}

/// How processes are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Politeness {
    /// By asking, and by force at the deadline.
    Ask,
    /// At once.
    Kill,
}

async fn tell(peer: &Peer, command: Command) -> anyhow::Result<()> {
    peer.resumed().await;
    if !peer.is_up() {
        return Err(anyhow!("{} is not up", peer.name));
    }
    peer.control.command(&command).await.with_context(|| {
        let word = match &command {
            Command::Prepare(prepare) => format!("preparing {} at", prepare.id),
            Command::Begin(begin) => format!("beginning {} at", begin.id),
            Command::End(end) => format!("ending {} at", end.id),
            Command::Ring(_) => "telling about the ring".to_owned(),
            Command::Leave => "leaving of".to_owned(),
        };
        format!("{word} {}", peer.name)
    })
}

/// The first error of many, with the number of the others.
fn first_error(results: Vec<anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut errors = results.into_iter().filter_map(Result::err);
    let Some(first) = errors.next() else { return Ok(()) };
    match errors.count() {
        0 => Err(first),
        // The cause first: it may be long, and is what the reader looks for.
        more => Err(anyhow!("{first:#}\n{more} more peers failed besides")),
    }
}

/// Events that wait for the scenario. A distribution of 32 pieces to 100 peers is some 3 500 events in all.
const EVENTS_MAX: usize = 4_096;
/// Room for what arrives while a receiver of probes is held up: a fast link's 30 ms.
const PROBE_BUFFER: usize = 4 << 20;
/// A peer that is slower to say how it is counts as busy and is left out.
const STATUS_WITHIN: Duration = Duration::from_secs(1);
