//! Client of a peer's control socket: HTTP over the Unix socket in the peer's directory.
//!
//! What is asked and answered is defined in `peerbed_peer`. A question leaves its connection open for the next one, since
//! hundreds of peers are asked every second; a command and the stream of events have connections of their own.

use std::{
    collections::BTreeMap,
    os::fd::AsRawFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use peerbed_peer::{
    commands::{Command, CommandError},
    events::Event,
    status::Status,
};
use rustix::fs::{Mode, OFlags};
use tokio::{net::UnixStream, time::timeout};

use crate::run_directory::CONTROL;

/// Where a peer is asked and told. Clones share what they keep.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    /// Directory that the socket is in.
    directory: PathBuf,
    /// The connection of the last question, when nobody asks anything on it.
    kept: Arc<Mutex<Option<Sender>>>,
}

type Sender = SendRequest<Full<Bytes>>;

impl Control {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, kept: Arc::default() }
    }

    /// A snapshot of the peer.
    pub(super) async fn status(&self) -> anyhow::Result<Status> {
        let body = self.ask("/status").await?;
        serde_json::from_slice(&body).context("reading a status")
    }

    /// The peer's metrics as Prometheus text.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        let body = self.ask("/metrics").await?;
        String::from_utf8(body.into()).context("reading metrics")
    }

    /// What the peer has measured: histograms as text, by name.
    pub(super) async fn histograms(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let body = self.ask("/histograms").await?;
        serde_json::from_slice(&body).context("reading histograms")
    }

    /// Gives a command; returns when the peer has answered that it is done.
    pub(super) async fn command(&self, command: &Command) -> anyhow::Result<()> {
        let body = serde_json::to_vec(command).context("encoding a command")?;
        let exchange = async {
            let response = send(&mut self.connect().await?, Method::POST, "/commands", body.into()).await?;
            answer(response).await
        };
        let late = |_| anyhow!("no answer to a command within {COMMAND_WITHIN:?}");
        timeout(COMMAND_WITHIN, exchange).await.map_err(late)?.map(|_| ())
    }

    /// Everything the peer reports, from its first event on.
    pub(super) async fn events(&self) -> anyhow::Result<Events> {
        let exchange = async { send(&mut self.connect().await?, Method::GET, "/events", Bytes::new()).await };
        let late = |_| anyhow!("no answer to GET /events within {ANSWER_WITHIN:?}");
        let response = timeout(ANSWER_WITHIN, exchange).await.map_err(late)??;
        Ok(Events { body: response.into_body(), buffer: BytesMut::new() })
    }

    /// Asks on the kept connection, or on a new one where there is none or the peer has left it. One that was not answered
    /// in time is not kept.
    async fn ask(&self, path: &str) -> anyhow::Result<Bytes> {
        let exchange = async {
            let kept = self.kept().take();
            if let Some(mut sender) = kept
                && let Ok(response) = send(&mut sender, Method::GET, path, Bytes::new()).await
            {
                return self.finish(sender, response).await;
            }
            let mut sender = self.connect().await?;
            let response = send(&mut sender, Method::GET, path, Bytes::new()).await?;
            self.finish(sender, response).await
        };
        let late = |_| anyhow!("no answer to GET {path} within {ANSWER_WITHIN:?}");
        timeout(ANSWER_WITHIN, exchange).await.map_err(late)?
    }

    async fn finish(&self, sender: Sender, response: Response<Incoming>) -> anyhow::Result<Bytes> {
        let body = answer(response).await?;
        *self.kept() = Some(sender);
        Ok(body)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Sender>> {
        // Written whole, so that whoever panicked has left it whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        let stream = self.open().await?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Connects by way of the open directory, since the socket's whole path may be too long for its address.
    async fn open(&self) -> anyhow::Result<UnixStream> {
        let place = || format!("the control socket in {}", self.directory.display());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.directory, flags, Mode::empty()).with_context(place)?;
        let path = format!("/proc/self/fd/{}/{CONTROL}", directory.as_raw_fd());
        UnixStream::connect(path).await.with_context(place)
    }
}

async fn send(sender: &mut Sender, method: Method, path: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "peer")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .context("making a request")?;
    // A kept connection may still be reading the end of the last answer.
    sender.ready().await.context("asking the peer")?;
    sender.send_request(request).await.context("asking the peer")
}

/// The body of an answer that says yes.
async fn answer(response: Response<Incoming>) -> anyhow::Result<Bytes> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| anyhow!("reading an answer: {error}"))?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    match serde_json::from_slice::<CommandError>(&body) {
        Ok(problem) => bail!("{}", problem.error),
        Err(_) => bail!("{status}: {}", String::from_utf8_lossy(&body)),
    }
}

/// The stream of a peer's events.
pub(super) struct Events {
    body: Incoming,
    /// What arrived of the next line.
    buffer: BytesMut,
}

impl Events {
    /// The next event; none when the peer has closed the stream.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(serde_json::from_slice(&line).context("reading an event")?));
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                bail!("an event is longer than {EVENT_BYTES_MAX} bytes");
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Some(data) = frame.context("reading events")?.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

/// A peer answers from memory; a busy host may take its time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Preparing reads back a whole partial file: 10 GiB at 200 MB/s.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// A status with a thousand neighbours and a page of metrics have some hundred kilobytes, full histograms twice 160.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Events are some hundred bytes long.
const EVENT_BYTES_MAX: usize = 1 << 20;
