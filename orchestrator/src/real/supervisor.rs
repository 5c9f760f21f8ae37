//! The thread that lives for the whole run: it makes the network and is the parent of every process.
//!
//! The kernel kills a process when the *thread* that started it ends (PR_SET_PDEATHSIG), and a thread's network
//! namespace is its own: so both belong to one thread that does nothing else. When it ends, all processes get SIGKILL
//! and the namespaces lose their last holder.

use std::{
    collections::BTreeMap,
    process::{Child, Command},
    sync::mpsc,
    thread::{Builder, JoinHandle},
};

use anyhow::{Context, anyhow};
use peerbed_proto::id::PeerId;
use tokio::sync::oneshot;

use crate::{
    links::{Engine, course::Figures, kernel::pace::Reading, tally::Tally, traces::Move, user},
    live::NamespaceRef,
    plan::{LinkChange, Partition, Plan},
    real::{
        cell::{self, Replacements},
        network::{Network, ReadBack, Towards},
        pidfd,
    },
};

/// The door to the thread. Dropping it ends the thread, and with it every process it started.
#[derive(Debug)]
pub struct Supervisor {
    /// Gone once the thread has been told to end.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the thread; it holds no network yet.
    ///
    /// # Errors
    ///
    /// When the host has no room for a thread.
    pub fn start() -> anyhow::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let body = move || {
            let mut network = None;
            while let Ok(job) = inbox.recv() {
                job(&mut network);
            }
        };
        let thread = Builder::new().name("supervisor".into()).spawn(body).context("starting the supervisor thread")?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Builds the network of `plan` with this engine.
    ///
    /// # Errors
    ///
    /// When the kernel refuses something; it names what and why, and nothing of the network is left.
    pub async fn build(&self, plan: &Plan, engine: Engine) -> anyhow::Result<()> {
        let plan = plan.clone();
        self.perform(move |network| {
            *network = Some(Network::build(&plan, engine)?);
            Ok(())
        })
        .await?
    }

    /// How well the user engine does, where it shapes the links.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub async fn engine_health(&self) -> anyhow::Result<Option<user::Health>> {
        let health = self
            .perform(|network| network.as_ref().and_then(Network::user).map(user::UserEngine::health).transpose())
            .await?;
        health.context("asking the user engine how it does")
    }

    /// What the links have done so far in short, up and down, where the user engine shapes them; nothing otherwise.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub async fn tallies(&self) -> anyhow::Result<Vec<(PeerId, [Tally; 2])>> {
        let tallies = self
            .perform(|network| network.as_ref().and_then(Network::user).map(user::UserEngine::tallies).transpose())
            .await?;
        Ok(tallies.context("asking the user engine what it has carried")?.unwrap_or_default())
    }

    /// What the links have done so far, where the user engine shapes them.
    ///
    /// # Errors
    ///
    /// When the engine has ended.
    pub async fn link_counters(&self) -> anyhow::Result<Option<user::Counters>> {
        let counters = self
            .perform(|network| network.as_ref().and_then(Network::user).map(user::UserEngine::counters).transpose())
            .await?;
        counters.context("asking the user engine for its counters")
    }

    /// What each direction of the links has done, for the kernel engine; nothing with the user engine.
    ///
    /// # Errors
    ///
    /// When there is no network, or the kernel gives no list.
    pub async fn paces(&self) -> anyhow::Result<Vec<((PeerId, Towards), Reading)>> {
        self.perform(|network| network.as_mut().context("no network has been built")?.paces()).await?
    }

    /// Reads back every queueing discipline of the network and compares it with `plan`, from which it was built.
    ///
    /// # Errors
    ///
    /// When there is no network of the kernel engine, or the kernel gives no list. Differences are in the answer and no error.
    pub async fn read_back(&self, plan: &Plan) -> anyhow::Result<Vec<ReadBack>> {
        let plan = plan.clone();
        self.perform(move |network| network.as_mut().context("no network has been built")?.read_back(&plan)).await?
    }

    /// Where other processes find the namespaces of the peers.
    ///
    /// # Errors
    ///
    /// When there is no network.
    pub async fn namespaces(&self) -> anyhow::Result<BTreeMap<PeerId, NamespaceRef>> {
        self.perform(|network| {
            let network = network.as_ref().context("no network has been built")?;
            let all = network.namespaces().map(|(peer, namespace)| Ok((peer, namespace.reference()?)));
            all.collect::<std::io::Result<_>>().context("looking at the namespaces")
        })
        .await?
    }

    /// Gives links other figures, and looks whether the engine has them; how many directions of links were looked at.
    ///
    /// # Errors
    ///
    /// When the engine refuses, or has not what it was given.
    pub async fn change_links(&self, changes: &[LinkChange]) -> anyhow::Result<usize> {
        let changes = changes.to_vec();
        self.with_network(move |network| network.change_links(&changes)).await
    }

    /// Takes links to where their traces are.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub async fn follow(&self, moves: Vec<Move>) -> anyhow::Result<()> {
        self.with_network(move |network| network.follow(&moves)).await
    }

    /// What holds for a peer's link now, up and down.
    ///
    /// # Errors
    ///
    /// When there is no such peer.
    pub async fn figures(&self, peer: PeerId) -> anyhow::Result<[Figures; 2]> {
        let none = move || format!("there is no link of {peer}");
        self.with_network(move |network| network.figures(peer).with_context(none)).await
    }

    /// Cuts sets of peers off from each other, from now on.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub async fn cut(&self, partition: &Partition) -> anyhow::Result<()> {
        let partition = partition.clone();
        self.with_network(move |network| network.cut(&partition)).await
    }

    /// Ends the partition of this name; without one nothing happens.
    ///
    /// # Errors
    ///
    /// When the engine refuses.
    pub async fn heal(&self, name: &str) -> anyhow::Result<()> {
        let name = name.to_owned();
        self.with_network(move |network| network.heal(&name)).await
    }

    /// What partitions and links that are down have lost so far.
    ///
    /// # Errors
    ///
    /// When the engine does not tell.
    pub async fn losses(&self) -> anyhow::Result<user::Losses> {
        self.with_network(Network::losses).await
    }

    /// Does `work` in the namespace of a peer; sockets opened there stay there.
    ///
    /// Work that blocks holds up the start of processes.
    ///
    /// # Errors
    ///
    /// When there is no such namespace.
    pub async fn inside<T: Send + 'static>(
        &self,
        peer: PeerId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        self.perform(move |network| {
            let namespace = network.as_ref().and_then(|network| network.namespace(peer));
            let namespace = namespace.with_context(|| format!("there is no namespace for peer {}", peer.0))?;
            namespace.enter().with_context(|| format!("entering the namespace of peer {}", peer.0))?;
            Ok(work())
        })
        .await?
    }

    /// Starts `command` in the namespace of a peer, as the leader of its own process group, to be killed with this
    /// thread.
    ///
    /// # Errors
    ///
    /// When there is no such namespace or the program cannot be started.
    pub async fn spawn(&self, peer: PeerId, mut command: Command) -> anyhow::Result<Child> {
        use std::os::unix::process::CommandExt;
        self.perform(move |network| {
            let namespace = network.as_ref().and_then(|network| network.namespace(peer));
            let namespace = namespace.with_context(|| format!("there is no namespace for peer {}", peer.0))?;
            namespace.enter().with_context(|| format!("entering the namespace of peer {}", peer.0))?;
            pidfd::die_with_parent(&mut command);
            command.process_group(0);
            let program = command.get_program().to_owned();
            command.spawn().map_err(|e| anyhow!("cannot start {}: {e}", program.display()))
        })
        .await?
    }

    /// As [`Self::spawn`], with a process namespace of its own and `files` in the place of others; the child is the
    /// program's warden (`cell`).
    pub(super) async fn spawn_program(
        &self,
        peer: PeerId,
        mut command: Command,
        files: Replacements,
    ) -> anyhow::Result<Child> {
        use std::os::unix::process::CommandExt;
        self.perform(move |network| {
            let namespace = network.as_ref().and_then(|network| network.namespace(peer));
            let namespace = namespace.with_context(|| format!("there is no namespace for peer {}", peer.0))?;
            namespace.enter().with_context(|| format!("entering the namespace of peer {}", peer.0))?;
            command.process_group(0);
            let program = command.get_program().to_owned();
            cell::spawn(&mut command, files).map_err(|e| anyhow!("cannot start {}: {e}", program.display()))
        })
        .await?
    }

    /// Has `work` done with the network that was built.
    async fn with_network<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Network) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.perform(move |network| work(network.as_mut().context("no network has been built")?)).await?
    }

    /// Has `work` done on the thread, after everything asked before.
    async fn perform<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Option<Network>) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |network| {
            // Nobody waits any more when the caller was cancelled.
            let _ = answer.send(work(network));
        });
        let jobs = self.jobs.as_ref().context("the supervisor thread has been told to end")?;
        jobs.send(job).ok().context("the supervisor thread has ended")?;
        result.await.context("the supervisor thread failed")
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed already, and there is nothing more to undo.
            let _ = thread.join();
        }
    }
}

type Job = Box<dyn FnOnce(&mut Option<Network>) + Send>;
