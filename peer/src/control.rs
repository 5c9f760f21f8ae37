//! The control socket: HTTP on a Unix socket, `GET /metrics`, `/status`, `/histograms`, `/events` and `POST
//! /commands`.
//!
//! Translates between HTTP and [`Request`]s to the peer; decides nothing. Types of bodies are in `commands`, `status`,
//! `timing` and `events`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use crate::commands::{Command, CommandError};
use crate::config::SOCKET_PATH_MAX;
use crate::event_log::EventLog;
use crate::status::Status;

/// What the peer is asked for over its control socket. An answer that nobody waits for any more is dropped.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "at most a handful of requests exist at a time")]
pub(crate) enum Request {
    /// To do something.
    Command(Command, oneshot::Sender<Result<(), Refused>>),
    /// How it is.
    Status(oneshot::Sender<Status>),
    /// All series as text.
    Metrics(oneshot::Sender<Vec<u8>>),
    /// Everything it has measured, each quantity's histogram as text.
    Histograms(oneshot::Sender<BTreeMap<String, String>>),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Whose fault it is, as HTTP says it.
    pub(crate) status: StatusCode,
    /// One sentence for people.
    pub(crate) error: String,
}

impl Refused {
    /// A refusal with a sentence.
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

/// The bound socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl ControlSocket {
    /// Binds the socket. A file left behind by a process that is gone is replaced.
    ///
    /// # Errors
    ///
    /// When the path is too long for a Unix socket, taken by a live process, or not writable; one sentence.
    pub(crate) fn bind(path: &Path) -> anyhow::Result<Self> {
        let length = path.as_os_str().as_bytes().len();
        if length > SOCKET_PATH_MAX {
            bail!(
                "the control socket's path has {length} bytes, and a Unix socket's has at most {SOCKET_PATH_MAX}: \
                 choose a shorter output directory ({})",
                path.display()
            );
        }
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_abandoned(path) => {
                std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
                UnixListener::bind(path)
            }
            bound => bound,
        };
        let listener = listener.with_context(|| format!("cannot open the control socket {}", path.display()))?;
        Ok(Self { path: path.to_owned(), listener: Some(listener) })
    }

    /// Answers requests until `stop` resolves and the requests in progress are answered.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub(crate) async fn serve(
        mut self,
        requests: mpsc::Sender<Request>,
        log: EventLog,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let listener = self.listener.take().context("the control socket is served already")?;
        let router = Router::new()
            .route("/commands", post(command))
            .route("/status", get(status))
            .route("/metrics", get(metrics))
            .route("/histograms", get(histograms))
            .route("/events", get(events))
            .layer(DefaultBodyLimit::max(COMMAND_BYTES_MAX))
            .with_state(Shared { requests, log });
        axum::serve(listener, router).with_graceful_shutdown(stop).await.context("the control socket failed")
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Nothing is lost when the file is gone already or its directory is.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[derive(Clone)]
struct Shared {
    requests: mpsc::Sender<Request>,
    log: EventLog,
}

async fn command(State(shared): State<Shared>, body: Bytes) -> Response {
    let command = match serde_json::from_slice(&body) {
        Ok(command) => command,
        Err(error) => return failure(StatusCode::BAD_REQUEST, format!("not a command: {error}")),
    };
    match ask(&shared, |answer| Request::Command(command, answer)).await {
        Some(Ok(())) => ([(header::CONTENT_TYPE, JSON)], "{}").into_response(),
        Some(Err(refused)) => failure(refused.status, refused.error),
        None => gone(),
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    match ask(&shared, Request::Status).await {
        Some(status) => axum::Json(status).into_response(),
        None => gone(),
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match ask(&shared, Request::Metrics).await {
        Some(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        None => gone(),
    }
}

async fn histograms(State(shared): State<Shared>) -> Response {
    match ask(&shared, Request::Histograms).await {
        Some(histograms) => axum::Json(histograms).into_response(),
        None => gone(),
    }
}

async fn events(State(shared): State<Shared>) -> Response {
    let lines = futures_util::StreamExt::map(shared.log.follow(), Ok::<_, std::convert::Infallible>);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

/// Asks the peer and waits; None when it is on its way out and takes no requests any more.
async fn ask<T>(shared: &Shared, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    shared.requests.send(request(answer)).await.ok()?;
    answered.await.ok()
}

fn failure(status: StatusCode, error: String) -> Response {
    (status, axum::Json(CommandError { error })).into_response()
}

fn gone() -> Response {
    failure(StatusCode::SERVICE_UNAVAILABLE, "the peer is leaving".to_owned())
}

/// Whether nobody listens on the socket at `path`.
fn is_abandoned(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

const JSON: &str = "application/json";

/// Longest body of a command. Manifests are passed by path, so that commands stay far below this.
const COMMAND_BYTES_MAX: usize = 64 << 10;
