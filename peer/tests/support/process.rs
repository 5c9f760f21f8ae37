//! Peer processes of one run on loopback, and talking to their control sockets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use peerbed_peer::commands::{Begin, Command, CommandError, End, Endpoint, Prepare, Role};
use peerbed_peer::config::{PeerConfig, QuicOptions, TrackerOptions};
use peerbed_peer::events::{Event, EventKind};
use peerbed_peer::status::Status;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command as ProcessCommand};
use tokio::time::{Instant, sleep, timeout};

use super::authority::Authority;
use super::content::Content;
use super::{DEADLINE, LOOK_INTERVAL};

/// A run on loopback. Its directory goes away with it.
pub struct Run {
    pub directory: tempfile::TempDir,
    pub authority: Authority,
}

pub const RUN: &str = "test-run";

impl Run {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("pb").tempdir().unwrap();
        Self { directory, authority: Authority::new() }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration of peer number `id`, with its certificates written.
    pub fn config(&self, id: u32) -> PeerConfig {
        let name = format!("peer-{id}");
        let directory = self.path().join(&name);
        std::fs::create_dir_all(&directory).unwrap();
        PeerConfig {
            run: RUN.to_owned(),
            identity: self.authority.write(&directory, &format!("peerbed://{RUN}/{id}/{name}")),
            control: directory.join("control"),
            name,
            id,
            listen: "127.0.0.1:0".parse().unwrap(),
            seed: 7,
            directory: directory.join("files"),
            parent: Some(std::process::id()),
            quic: QuicOptions::default(),
            tracker: None,
        }
    }

    pub async fn start(&self, id: u32) -> Peer {
        Peer::start(&self.config(id)).await
    }

    /// A peer that serves a tracker.
    pub async fn start_with_tracker(&self, id: u32) -> Peer {
        Peer::start(&PeerConfig { tracker: Some(TrackerOptions::default()), ..self.config(id) }).await
    }
}

/// A running peer process. Killed when dropped.
pub struct Peer {
    pub config: PeerConfig,
    pub child: Child,
    pub endpoint: Endpoint,
}

impl Peer {
    /// Starts a peer and waits until it says that it is ready.
    pub async fn start(config: &PeerConfig) -> Self {
        let mut command = ProcessCommand::new(program());
        command.arg("--config").arg(write_config(config)).args(["--log", "debug"]);
        Self::start_as(config, command).await
    }

    /// Starts a peer by a command that ends in becoming the program.
    pub async fn start_as(config: &PeerConfig, command: ProcessCommand) -> Self {
        let mut child = spawn_as(command);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        timeout(DEADLINE, out.read_line(&mut line)).await.expect("the peer is ready in time").unwrap();
        assert_eq!(line, "ready\n", "{}", rest_of(&mut child).await);
        let unknown = Endpoint { peer: config.id, addr: config.listen };
        let mut peer = Self { config: config.clone(), child, endpoint: unknown };
        peer.endpoint.addr = peer.status().await.listen;
        peer
    }

    /// Sends a command and expects it to be carried out.
    pub async fn command(&self, command: &Command) {
        let (status, body) = self.post(command).await;
        assert_eq!(status, StatusCode::OK, "{command:?}: {body}");
    }

    /// Sends a command and expects a refusal.
    pub async fn refused(&self, command: &Command) -> (StatusCode, String) {
        let (status, body) = self.post(command).await;
        let error: CommandError = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{status}: {body}"));
        (status, error.error)
    }

    pub async fn prepare(&self, id: &str, content: &Content, role: Role) {
        self.command(&prepare(id, content, role)).await;
    }

    pub async fn begin(&self, id: &str) {
        self.command(&Command::Begin(Begin { id: id.to_owned(), at: 0.0 })).await;
    }

    pub async fn end(&self, id: &str) {
        self.command(&Command::End(End { id: id.to_owned() })).await;
    }

    pub async fn status(&self) -> Status {
        let (status, body) = self.request("GET", "/status", Bytes::new()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What it measured, as texts by name.
    pub async fn histograms(&self) -> BTreeMap<String, String> {
        let (status, body) = self.request("GET", "/histograms", Bytes::new()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// One series' value; 0 when it does not exist.
    pub async fn metric(&self, series: &str) -> u64 {
        let (status, body) = self.request("GET", "/metrics", Bytes::new()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let line = body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Reads events from the first on, until one satisfies the condition.
    pub async fn event(&self, wanted: impl Fn(&EventKind) -> bool) -> Event {
        let mut seen = Vec::new();
        let found = timeout(
            DEADLINE,
            self.read_events(|event| {
                seen.push(event.clone());
                wanted(&event.kind)
            }),
        )
        .await;
        match found {
            Ok(Some(event)) => event,
            Ok(None) => panic!("the events of {} ended: {seen:#?}", self.config.name),
            Err(_) => panic!("{} did not tell in time: {seen:#?}; {:#?}", self.config.name, self.status().await),
        }
    }

    /// Reads events from the first on; None when they end.
    pub async fn read_events(&self, mut is_wanted: impl FnMut(&Event) -> bool) -> Option<Event> {
        let mut body = self.open("GET", "/events", Bytes::new()).await.1;
        let mut buffer = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return None };
            buffer.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                let event: Event = serde_json::from_slice(&line).unwrap();
                if is_wanted(&event) {
                    return Some(event);
                }
            }
        }
        None
    }

    pub async fn completed(&self, distribution: &str) -> PathBuf {
        let wanted =
            |kind: &EventKind| matches!(kind, EventKind::Completed { distribution: id, .. } if id == distribution);
        let EventKind::Completed { path, .. } = self.event(wanted).await.kind else { unreachable!() };
        path
    }

    /// Waits for a condition on the status.
    pub async fn status_when(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let until = Instant::now() + DEADLINE;
        loop {
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < until, "{status:#?}");
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Waits until a counter has reached a value.
    pub async fn metric_reaches(&self, series: &str, value: u64) {
        let until = Instant::now() + DEADLINE;
        while self.metric(series).await < value {
            assert!(Instant::now() < until, "{series} stays at {}", self.metric(series).await);
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Waits for the process to end, and takes what it wrote to standard error.
    pub async fn exit(&mut self) -> (ExitStatus, String) {
        let status = timeout(DEADLINE, self.child.wait()).await.expect("the peer ends in time").unwrap();
        (status, rest_of(&mut self.child).await)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub async fn post(&self, command: &Command) -> (StatusCode, String) {
        self.request("POST", "/commands", serde_json::to_vec(command).unwrap().into()).await
    }

    pub async fn request(&self, method: &str, path: &str, body: Bytes) -> (StatusCode, String) {
        let (status, body) = self.open(method, path, body).await;
        let bytes = body.collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn open(&self, method: &str, path: &str, body: Bytes) -> (StatusCode, hyper::body::Incoming) {
        let stream = UnixStream::connect(&self.config.control).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header("host", "peer").body(Full::new(body)).unwrap();
        let response = sender.send_request(request).await.unwrap();
        (response.status(), response.into_body())
    }
}

pub fn prepare(id: &str, content: &Content, role: Role) -> Command {
    Command::Prepare(Prepare {
        id: id.to_owned(),
        file: content.manifest.name().to_owned(),
        manifest: content.manifest_path.clone(),
        leaves: None,
        role,
        options: Default::default(),
    })
}

/// The program under test.
pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_peerbed-peer")
}

/// Writes a configuration beside its certificate, and says where.
pub fn write_config(config: &PeerConfig) -> PathBuf {
    let path = config.identity.certificate.with_file_name("config.json");
    std::fs::write(&path, serde_json::to_vec(config).unwrap()).unwrap();
    path
}

/// Starts the program with a configuration file; it may fail.
pub fn spawn(config: &Path) -> Child {
    let mut command = ProcessCommand::new(program());
    command.arg("--config").arg(config);
    spawn_as(command)
}

fn spawn_as(mut command: ProcessCommand) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// What a process that has ended wrote to standard error.
pub async fn rest_of(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut err) = child.stderr.take() {
        let _ = timeout(DEADLINE, err.read_to_string(&mut text)).await;
    }
    text
}
