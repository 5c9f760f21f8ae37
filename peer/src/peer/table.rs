//! The distributions of a peer: one task each, and who waits for its answers.
//!
//! ```text
//!           prepared          begin                end, or leave
//! Preparing ───────▶ Prepared ─────▶ (its driver's) ────────────▶ gone
//!     └──────────────────────────────────────────────────────────▶ gone: could not be prepared
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::commands::{Prepare, Role};
use crate::control::Refused;
use crate::distribution::{Counts, Order, Snapshot, Surroundings, read_manifest};
use crate::fetch::client::ClientDriver;
use crate::fetch::server::ServerDriver;
use crate::status::DistributionState;
use crate::storage::is_out_of_space;
use crate::swarm::SwarmDriver;

/// All distributions by their ids.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Entry>,
    tasks: JoinSet<Outcome>,
}

#[derive(Debug)]
struct Entry {
    role: &'static str,
    orders: mpsc::Sender<Order>,
    prepared: Arc<AtomicBool>,
    /// What has been added to the metrics.
    counted: Counts,
    /// Who waits for its end.
    enders: Vec<oneshot::Sender<Result<(), Refused>>>,
}

/// How a distribution's task ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one per distribution, at its end")]
pub(super) enum Outcome {
    /// It could not be prepared; whoever asked was told.
    Unprepared(String),
    /// It was told to end, or failed so that the process cannot go on.
    Ended(String, anyhow::Result<Snapshot>),
    /// Its task panicked or was cancelled.
    Lost(tokio::task::JoinError),
}

/// What a distribution counted in the end, beside what had been added to the metrics before.
pub(super) type Settled = (String, anyhow::Result<(Counts, Snapshot)>);

impl Table {
    /// Starts a distribution's task.
    pub(super) fn prepare(
        &mut self,
        surroundings: Surroundings,
        prepare: Prepare,
        answer: oneshot::Sender<Result<(), Refused>>,
    ) {
        if self.entries.contains_key(&prepare.id) {
            let error = format!("distribution {} exists already", prepare.id);
            let _ = answer.send(Err(Refused::new(StatusCode::CONFLICT, error)));
            return;
        }
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let prepared = Arc::new(AtomicBool::new(false));
        let entry = Entry {
            role: role_name(&prepare.role),
            orders,
            prepared: prepared.clone(),
            counted: Counts::default(),
            enders: Vec::new(),
        };
        self.entries.insert(prepare.id.clone(), entry);
        self.tasks.spawn(async move {
            match Driver::prepare(surroundings, &prepare).await {
                Ok(driver) => {
                    prepared.store(true, Ordering::Relaxed);
                    let _ = answer.send(Ok(()));
                    Outcome::Ended(prepare.id, driver.run(received).await)
                }
                Err(error) => {
                    let status = if is_out_of_space(&error) { StatusCode::INSUFFICIENT_STORAGE } else { UNUSABLE };
                    let _ = answer.send(Err(Refused::new(status, format!("{error:#}"))));
                    Outcome::Unprepared(prepare.id)
                }
            }
        });
    }

    /// Lets a prepared distribution begin at an instant.
    pub(super) fn begin(&mut self, id: &str, at: f64) -> Result<(), Refused> {
        let entry = self.entries.get(id).ok_or_else(|| unknown(id))?;
        if !entry.is_prepared() {
            return Err(Refused::new(StatusCode::CONFLICT, format!("distribution {id} is not prepared yet")));
        }
        let busy = |_| Refused::new(StatusCode::CONFLICT, format!("distribution {id} is ending"));
        entry.orders.try_send(Order::Begin(at)).map_err(busy)
    }

    /// Lets a distribution end; answered when it has.
    pub(super) fn end(&mut self, id: &str, answer: oneshot::Sender<Result<(), Refused>>) {
        match self.entries.get_mut(id) {
            Some(entry) => {
                entry.enders.push(answer);
                // A full queue holds an earlier order to end, or the task is gone: either way it ends.
                let _ = entry.orders.try_send(Order::End);
            }
            None => {
                let _ = answer.send(Err(unknown(id)));
            }
        }
    }

    /// Lets all distributions end.
    pub(super) fn end_all(&mut self) {
        for entry in self.entries.values() {
            let _ = entry.orders.try_send(Order::End);
        }
    }

    /// Waits until a distribution's task has ended; for ever when there is none.
    pub(super) async fn next_outcome(&mut self) -> Outcome {
        match self.tasks.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Outcome::Lost(error),
            None => std::future::pending().await,
        }
    }

    /// Takes note of an outcome. None: nothing was running that could have been counted.
    pub(super) fn settle(&mut self, outcome: Outcome) -> Option<Settled> {
        match outcome {
            Outcome::Unprepared(id) => {
                self.entries.remove(&id);
                None
            }
            Outcome::Ended(id, result) => {
                let counted = self.entries.get(&id).map(|entry| entry.counted).unwrap_or_default();
                Some((id, result.map(|snapshot| (counted, snapshot))))
            }
            Outcome::Lost(error) => Some((String::new(), Err(error.into()))),
        }
    }

    /// Forgets a distribution and tells those who waited for its end.
    pub(super) fn answer_end(&mut self, id: &str) {
        for answer in self.entries.remove(id).map(|entry| entry.enders).unwrap_or_default() {
            let _ = answer.send(Ok(()));
        }
    }

    /// Whether no task runs.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Asks every driver how it is, and tells `grown` what it counted before and now.
    pub(super) async fn inspect(&mut self, grown: impl Fn(&Counts, &Counts)) -> BTreeMap<String, Snapshot> {
        let mut snapshots = BTreeMap::new();
        for (id, entry) in &mut self.entries {
            let snapshot = match entry.inspect().await {
                Some(snapshot) => snapshot,
                None => Snapshot::of_idle(entry.role, DistributionState::Preparing, 0, 0),
            };
            grown(&entry.counted, &snapshot.counts);
            entry.counted = snapshot.counts;
            snapshots.insert(id.clone(), snapshot);
        }
        snapshots
    }
}

impl Entry {
    fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Relaxed)
    }

    async fn inspect(&self) -> Option<Snapshot> {
        if !self.is_prepared() {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.orders.try_send(Order::Inspect(answer)).ok()?;
        answered.await.ok()
    }
}

/// A prepared driver of any kind.
enum Driver {
    Swarm(Box<SwarmDriver>),
    Server(ServerDriver),
    Client(Box<ClientDriver>),
}

impl Driver {
    async fn prepare(surroundings: Surroundings, prepare: &Prepare) -> anyhow::Result<Self> {
        let manifest = read_manifest(prepare)?;
        Ok(match &prepare.role {
            Role::Seed { content, tracker } => Self::Swarm(Box::new(
                SwarmDriver::prepare(surroundings, prepare, manifest, Some(content), *tracker).await?,
            )),
            Role::Leecher { tracker } => {
                Self::Swarm(Box::new(SwarmDriver::prepare(surroundings, prepare, manifest, None, *tracker).await?))
            }
            Role::Server { content } => Self::Server(ServerDriver::prepare(surroundings, prepare, manifest, content)?),
            Role::Client { server } => {
                Self::Client(Box::new(ClientDriver::prepare(surroundings, prepare, manifest, *server).await?))
            }
        })
    }

    async fn run(self, orders: mpsc::Receiver<Order>) -> anyhow::Result<Snapshot> {
        match self {
            Self::Swarm(driver) => driver.run(orders).await,
            Self::Server(driver) => Ok(driver.run(orders).await),
            Self::Client(driver) => driver.run(orders).await,
        }
    }
}

fn role_name(role: &Role) -> &'static str {
    match role {
        Role::Seed { .. } => "seed",
        Role::Leecher { .. } => "leecher",
        Role::Server { .. } => "server",
        Role::Client { .. } => "client",
    }
}

fn unknown(id: &str) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, format!("there is no distribution {id}"))
}

const UNUSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// Orders that may wait for a driver. The peer sends one at a time and waits for most answers.
const ORDERS_MAX: usize = 16;
