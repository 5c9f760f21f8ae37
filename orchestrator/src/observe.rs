//! Metrics of a run on one port, for Prometheus: every peer's, and the run's own.
//!
//! | path | answers |
//! |---|---|
//! | `/sd` | service discovery (`http_sd_configs`): the run and each peer as a target of this port, told apart by `__metrics_path__` |
//! | `/metrics` | the run: progress of distributions, steps, links, rings, the verdict and the host as it sees it |
//! | `/peers/NAME/metrics` | what the peer called NAME answers on its control socket; 503 while it does not |
//!
//! The port is for scrapers on this host: who listens on an address that others reach, says so. A peer is asked when somebody
//! scrapes it, and only then, so that a run without a scraper is not disturbed. What is served of the run is text that `text`
//! makes from the last [look](Sight) at it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    plan::{Action, Plan},
    real::control::Control,
    results::Results,
    run_directory::RunDirectory,
    scenario,
};

mod live;
mod look;
pub mod prometheus;
mod text;

use look::Look;
pub use look::Sight;
pub(crate) use look::unix_now;

/// What is served of the run under way. Cheap to clone; all clones are one board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    shown: Arc<Mutex<Shown>>,
    scrapes: Arc<watch::Sender<Scrapes>>,
    /// How often results were noted.
    noted: Arc<watch::Sender<u64>>,
    expects: Arc<AtomicBool>,
}

/// How often somebody has asked, since the run that is shown began.
#[derive(Clone, Copy, Debug, Default)]
struct Scrapes {
    run: u64,
    peers: u64,
}

/// The last look at a run.
#[derive(Clone, Debug, Default)]
struct Shown {
    /// Name of the topology; empty while there is no run.
    run: String,
    peers: Vec<Target>,
    look: Option<Look>,
    /// The latest [`STEPS_MAX`].
    steps: VecDeque<Step>,
    /// The latest [`MOVES_MAX`].
    moves: VecDeque<Moved>,
    /// How many moves churns have made, by what happens.
    moved: BTreeMap<&'static str, u64>,
    /// How many steps have begun and ended, by what they do.
    actions: BTreeMap<&'static str, (u64, u64)>,
    /// Class, direction, and bits per second of each link that has a rate.
    links: Vec<(String, &'static str, u64)>,
    /// Runs that have begun, for sweeps.
    runs: u64,
    directory: Option<RunDirectory>,
    results: Option<Results>,
    /// When somebody asked for pictures.
    pictured: Option<Instant>,
}

/// A peer that exports metrics.
#[derive(Clone, Debug)]
struct Target {
    name: String,
    group: String,
    /// Class of its link.
    class: String,
    control: Control,
}

/// A step of the scenario that has begun. Instants are seconds of Unix time.
#[derive(Clone, Debug)]
struct Step {
    number: String,
    action: &'static str,
    /// `fault` or `work`.
    kind: &'static str,
    begun: f64,
    ended: Option<f64>,
}

/// A peer that went or came back by a churn.
#[derive(Clone, Debug)]
struct Moved {
    /// The churn's step.
    step: String,
    /// How many moves were made before this one.
    number: String,
    action: &'static str,
    /// `fault` or `work`.
    kind: &'static str,
    peer: String,
    /// Seconds of Unix time.
    at: f64,
}

impl Board {
    /// Shows another run from now on.
    pub fn begin(&self, plan: &Plan, directory: &RunDirectory) {
        let mut shown = self.lock();
        let peer = |peer: &crate::plan::Peer| Target {
            name: peer.name.clone(),
            group: peer.group.clone(),
            class: peer.link.clone(),
            control: Control::new(directory.peer(&peer.name)),
        };
        let link = |link: &crate::plan::Link| {
            let ways = [("up", link.up.rate), ("down", link.down.rate)];
            ways.into_iter().filter_map(|(way, rate)| Some((link.name.clone(), way, rate?.0))).collect::<Vec<_>>()
        };
        *shown = Shown {
            run: plan.name.clone(),
            peers: plan.peers.iter().filter(|peer| peer.exec.is_none()).map(peer).collect(),
            links: plan.links.iter().flat_map(link).collect(),
            runs: shown.runs + 1,
            directory: Some(directory.clone()),
            pictured: shown.pictured,
            ..Shown::default()
        };
        self.scrapes.send_replace(Scrapes::default());
    }

    /// Takes a look at the run.
    pub fn look(&self, sight: &Sight<'_>) {
        let look = Look::at(sight);
        self.lock().look = Some(look);
    }

    /// Notes that a step of the scenario has begun.
    pub fn step_begun(&self, number: usize, action: &Action) {
        let mut shown = self.lock();
        let word = scenario::word(action);
        shown.actions.entry(word).or_default().0 += 1;
        let step = Step { number: number.to_string(), action: word, kind: kind(word), begun: unix_now(), ended: None };
        push(&mut shown.steps, step, STEPS_MAX);
    }

    /// Notes that `peer` goes or comes back by the churn of this step; `action` is the word for how.
    pub fn moved(&self, step: usize, action: &'static str, peer: &str) {
        let mut shown = self.lock();
        let number = shown.moved.values().sum::<u64>().to_string();
        *shown.moved.entry(action).or_default() += 1;
        let (step, peer) = (step.to_string(), peer.to_owned());
        push(&mut shown.moves, Moved { step, number, action, kind: kind(action), peer, at: unix_now() }, MOVES_MAX);
    }

    /// Notes that a step of the scenario has ended.
    pub fn step_ended(&self, number: usize, action: &Action) {
        let mut shown = self.lock();
        shown.actions.entry(scenario::word(action)).or_default().1 += 1;
        let number = number.to_string();
        if let Some(step) = shown.steps.iter_mut().find(|step| step.number == number) {
            step.ended = Some(unix_now());
        }
    }

    /// Notes what is known of the run's results until now.
    pub fn results(&self, results: Results) {
        self.lock().results = Some(results);
        self.noted.send_modify(|times| *times += 1);
    }

    /// Whether somebody has asked for pictures lately, so that results are worth the effort.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        self.lock().pictured.is_some_and(|at| at.elapsed() < ATTENTION)
    }

    /// Notes that somebody asks for pictures. Where nobody did lately, results are old or none: newer ones are waited for, as
    /// long as a run that goes on takes to note some.
    async fn attend(&self) {
        let was_looked_at = self.is_looked_at();
        let mut noted = self.noted.subscribe();
        self.lock().pictured = Some(Instant::now());
        if !was_looked_at {
            // The sender is this board itself. A run that is not under way notes none, and what there is has to do.
            let _ = timeout(NOTED_WITHIN, noted.changed()).await;
        }
    }

    /// What pictures are made from; none while there is no run.
    fn picture(&self) -> Option<(Results, RunDirectory)> {
        let shown = self.lock();
        Some((shown.results.clone()?, shown.directory.clone()?))
    }

    /// Says that a scraper has been started, for which a run waits before its scenario.
    pub fn expect_scraper(&self) {
        self.expects.store(true, Ordering::Relaxed);
    }

    /// Whether a scraper has been started.
    #[must_use]
    pub fn expects_scraper(&self) -> bool {
        self.expects.load(Ordering::Relaxed)
    }

    /// Waits until peers of the run that is shown have been scraped, so that what follows is seen from its beginning; false
    /// when nobody came for that long.
    pub async fn until_scraped(&self, within: Duration) -> bool {
        let nobody = self.lock().peers.is_empty();
        self.until(within, |scrapes| scrapes.peers > 0 || (nobody && scrapes.run > 0)).await
    }

    /// Waits for another scrape of the run itself, so that its end is seen; false when nobody came for that long.
    pub async fn until_scraped_again(&self, within: Duration) -> bool {
        let before = self.scrapes.borrow().run;
        self.until(within, |scrapes| scrapes.run > before).await
    }

    async fn until(&self, within: Duration, is_enough: impl FnMut(&Scrapes) -> bool) -> bool {
        let mut scrapes = self.scrapes.subscribe();
        // The sender is this board itself, so that the wait ends by the scrape or by time.
        timeout(within, scrapes.wait_for(is_enough)).await.is_ok_and(|found| found.is_ok())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        // A board is written whole; a writer that panicked left the last whole state.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of what disturbs the overlay, and of everything else.
fn kind(word: &str) -> &'static str {
    if scenario::is_fault(word) { "fault" } else { "work" }
}

/// Appends; the oldest makes room.
fn push<T>(to: &mut VecDeque<T>, what: T, most: usize) {
    if to.len() >= most {
        to.pop_front();
    }
    to.push_back(what);
}

/// Takes `address`, and says which it is: port 0 is any free one.
///
/// # Errors
///
/// When the address cannot be listened on.
pub async fn listen(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot serve metrics on {address}"))?;
    let taken = listener.local_addr().context("asking for the port of metrics")?;
    Ok((listener, taken))
}

/// Answers on `listener` until the future is dropped.
///
/// # Errors
///
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, board: Board, pages: Pages) -> anyhow::Result<()> {
    let address = listener.local_addr().context("asking for the port of metrics")?;
    let routes = match pages {
        Pages::Metrics => {
            let state = Serving { board, address, asking: Arc::new(Semaphore::new(ASKING_MAX)) };
            Router::new()
                .route("/sd", get(targets))
                .route("/metrics", get(run))
                .route("/peers/{name}/metrics", get(peer))
                .with_state(state)
        }
        Pages::Live => live::routes(board),
    };
    axum::serve(listener, routes).await.context("serving metrics and pages")
}

/// What is served on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// What Prometheus wants.
    Metrics,
    /// The live page.
    Live,
}

#[derive(Clone, Debug)]
struct Serving {
    board: Board,
    address: SocketAddr,
    /// Places for scrapes of peers at once; others wait their turn, or until their scraper gives up.
    asking: Arc<Semaphore>,
}

async fn targets(State(serving): State<Serving>) -> Json<Value> {
    let shown = serving.board.lock().clone();
    let target = |labels: Value| json!({ "targets": [serving.address.to_string()], "labels": labels });
    let mut all = vec![target(json!({ "__metrics_path__": "/metrics", "run": shown.run, "part": "run" }))];
    all.extend(shown.peers.iter().map(|peer| {
        let Target { name, group, class, .. } = peer;
        let path = format!("/peers/{name}/metrics");
        let labels = json!({ "__metrics_path__": path, "run": shown.run, "part": "peer", "peer": name, "group": group,
            "class": class });
        target(labels)
    }));
    Json(Value::Array(all))
}

async fn run(State(serving): State<Serving>) -> Response {
    let shown = serving.board.lock().clone();
    serving.board.scrapes.send_modify(|scrapes| scrapes.run += 1);
    prometheus(text::of(&shown))
}

async fn peer(State(serving): State<Serving>, Path(name): Path<String>) -> Response {
    let control = serving.board.lock().peers.iter().find(|peer| peer.name == name).map(|peer| peer.control.clone());
    let Some(control) = control else {
        return (StatusCode::NOT_FOUND, format!("there is no peer {name}\n")).into_response();
    };
    serving.board.scrapes.send_modify(|scrapes| scrapes.peers += 1);
    let Ok(_place) = serving.asking.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match control.metrics().await {
        Ok(text) => prometheus(text),
        // A peer that crashed, or was never there, is down to Prometheus, as it should be.
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

fn prometheus(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Peers asked at once. A scrape takes a peer half a millisecond; more at once would only crowd them.
const ASKING_MAX: usize = 8;
/// Results are noted with the samples, once a second.
const NOTED_WITHIN: Duration = Duration::from_millis(1500);
/// How long after a look at the pictures somebody is taken to be watching.
const ATTENTION: Duration = Duration::from_secs(10);
/// Steps shown one by one, for annotations: as many as a topology may have. Where a flapping link makes more of them, the
/// oldest make room; who has scraped them has them, and all are counted.
const STEPS_MAX: usize = 1_000;
/// Moves of churns shown one by one, as steps are. A ring of 500 that is renewed every minute makes 17 a second, and a scrape
/// is due each second.
const MOVES_MAX: usize = 200;
