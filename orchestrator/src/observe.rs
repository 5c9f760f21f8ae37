//! Metrics of a run on one port, for Prometheus: every peer's, and the run's own.
//!
//! | path | answers |
//! |---|---|
//! | `/sd` | service discovery (`http_sd_configs`): the run and each peer as a target of this port, told apart by `__metrics_path__` |
//! | `/metrics` | the run: progress of distributions, the host as the verdict sees it, links |
//! | `/peers/NAME/metrics` | what the peer called NAME answers on its control socket; 503 while it does not |
//!
//! The port is for scrapers on this host: who listens on an address that others reach, says so. A peer is asked when somebody
//! scrapes it, and only then, so that a run without a scraper is not disturbed. What is served of the run is text that `text`
//! makes from the last look at it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
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
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{plan::Plan, real::control, run_directory::RunDirectory, scenario::View, verdict::Window};

mod text;

/// What is served of the run under way. Cheap to clone; all clones are one board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    shown: Arc<Mutex<Shown>>,
}

/// The last look at a run.
#[derive(Clone, Debug, Default)]
struct Shown {
    /// Name of the topology; empty while there is no run.
    run: String,
    /// Names of peers and their directories.
    peers: Vec<(String, String, PathBuf)>,
    views: Vec<View>,
    window: Option<Window>,
    /// Class, direction, and bits per second of each link that has a rate.
    links: Vec<(String, &'static str, u64)>,
    /// Runs that have begun, for sweeps.
    runs: u64,
}

impl Board {
    /// Shows another run from now on.
    pub fn begin(&self, plan: &Plan, directory: &RunDirectory) {
        let mut shown = self.lock();
        let peer = |peer: &crate::plan::Peer| (peer.name.clone(), peer.group.clone(), directory.peer(&peer.name));
        let link = |link: &crate::plan::Link| {
            let ways = [("up", link.up.rate), ("down", link.down.rate)];
            ways.into_iter().filter_map(|(way, rate)| Some((link.name.clone(), way, rate?.0))).collect::<Vec<_>>()
        };
        *shown = Shown {
            run: plan.name.clone(),
            peers: plan.peers.iter().filter(|peer| peer.exec.is_none()).map(peer).collect(),
            links: plan.links.iter().flat_map(link).collect(),
            runs: shown.runs + 1,
            ..Shown::default()
        };
    }

    /// Notes how far the distributions are.
    pub fn progress(&self, views: &[View]) {
        self.lock().views = views.to_vec();
    }

    /// Notes what the host did in the last window.
    pub fn window(&self, window: Window) {
        self.lock().window = Some(window);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        // A board is written whole; a writer that panicked left the last whole state.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Answers scrapers on `listener` until the future is dropped.
///
/// # Errors
///
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, board: Board) -> anyhow::Result<()> {
    let address = listener.local_addr().context("asking for the port of metrics")?;
    let state = Serving { board, address, asking: Arc::new(Semaphore::new(ASKING_MAX)) };
    let routes = Router::new()
        .route("/sd", get(targets))
        .route("/metrics", get(run))
        .route("/peers/{name}/metrics", get(peer))
        .with_state(state);
    axum::serve(listener, routes).await.context("serving metrics")
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
    all.extend(shown.peers.iter().map(|(name, group, _)| {
        let path = format!("/peers/{name}/metrics");
        target(json!({ "__metrics_path__": path, "run": shown.run, "part": "peer", "peer": name, "group": group }))
    }));
    Json(Value::Array(all))
}

async fn run(State(serving): State<Serving>) -> Response {
    let shown = serving.board.lock().clone();
    prometheus(text::of(&shown))
}

async fn peer(State(serving): State<Serving>, Path(name): Path<String>) -> Response {
    let directory =
        serving.board.lock().peers.iter().find(|(known, _, _)| *known == name).map(|(_, _, path)| path.clone());
    let Some(directory) = directory else {
        return (StatusCode::NOT_FOUND, format!("there is no peer {name}\n")).into_response();
    };
    let Ok(_place) = serving.asking.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match control::metrics_in(directory).await {
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
