//! A program of somebody else's as a peer: its command with paths filled in, and what shows that it is ready and done.
//!
//! Its process is started by `peer`, in a cell (`cell`). What its completion means is the scenario's business.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use peerbed_proto::id::PeerId;
use tokio::{
    sync::oneshot,
    time::{interval, timeout},
};

use crate::{
    content::Content,
    measure::read_back,
    plan::{self, Completion, ExpectedExit, Plan, Ready},
    real::{
        process::{Intent, Pattern, Process},
        supervisor::Supervisor,
    },
    run_directory::RunDirectory,
    testbed::now,
};

/// The program of one peer.
#[derive(Clone, Debug)]
pub(super) struct Program {
    planned: plan::Program,
    directory: PathBuf,
    /// What a file has to be that shows completion; none where any will do.
    original: Option<Content>,
}

impl Program {
    /// The program of the peer called `name`, with all paths known.
    pub(super) fn new(
        planned: &plan::Program,
        name: &str,
        run: &RunDirectory,
        contents: &BTreeMap<String, Content>,
    ) -> Self {
        let directory = run.peer(name);
        let fill = |text: &str| {
            let mut filled = text.replace(plan::Program::DIRECTORY, &directory.to_string_lossy());
            for (file, content) in contents {
                let original = format!("{}{file}}}", plan::Program::FILE);
                let torrent = format!("{}{file}}}", plan::Program::TORRENT);
                filled = filled.replace(&original, &content.path.to_string_lossy());
                filled = filled.replace(&torrent, &run.torrent(file).to_string_lossy());
            }
            filled
        };
        let mut filled = planned.clone();
        filled.command = fill(&planned.command);
        filled.arguments = planned.arguments.iter().map(|text| fill(text)).collect();
        filled.environment.values_mut().for_each(|text| *text = fill(text));
        if let Ready::File(path) = &mut filled.ready {
            *path = fill(path);
        }
        let mut original = None;
        if let Some(Completion::File { path, same_as }) = &mut filled.complete {
            *path = fill(path);
            original = same_as.as_ref().and_then(|file| contents.get(file)).cloned();
        }
        Self { planned: filled, directory, original }
    }

    /// How it is started; output and errors go where they are sent.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.planned.command);
        command.args(&self.planned.arguments).envs(&self.planned.environment);
        command.current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    /// The lines that show readiness and completion.
    pub(super) fn patterns(&self) -> [Pattern; 2] {
        let ready = match &self.planned.ready {
            Ready::Line(text) => Pattern::Contains(text.clone()),
            Ready::Started | Ready::Tcp(_) | Ready::File(_) => Pattern::Nothing,
        };
        let complete = match &self.planned.complete {
            Some(Completion::Line(text)) => Pattern::Contains(text.clone()),
            Some(Completion::Exit | Completion::File { .. }) | None => Pattern::Nothing,
        };
        [ready, complete]
    }

    /// It has to be ready this long after its start.
    pub(super) fn ready_within(&self) -> Duration {
        self.planned.ready_within.0
    }

    /// Whether this is how it has to end by itself.
    pub(super) fn may_end_with(&self, status: ExitStatus) -> bool {
        match self.planned.exit {
            ExpectedExit::Any => true,
            ExpectedExit::Code(code) => status.code() == Some(code.into()),
        }
    }

    /// Returns when it can be used; never when it ends before that.
    pub(super) async fn ready(
        &self,
        line: oneshot::Receiver<()>,
        supervisor: &Supervisor,
        address: (PeerId, SocketAddr),
    ) {
        match &self.planned.ready {
            Ready::Started => {}
            Ready::Line(_) => {
                if line.await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Ready::Tcp(port) => {
                let (peer, mut address) = address;
                address.set_port(*port);
                let mut ticks = interval(LOOK_EVERY);
                loop {
                    ticks.tick().await;
                    // The socket belongs to the namespace in which it was made, and connects from there.
                    let Ok(Ok(socket)) = supervisor.inside(peer, tokio::net::TcpSocket::new_v4).await else { continue };
                    if let Ok(Ok(_)) = timeout(CONNECT_WITHIN, socket.connect(address)).await {
                        return;
                    }
                }
            }
            Ready::File(path) => {
                let path = self.directory.join(path);
                let mut ticks = interval(LOOK_EVERY);
                while !path.exists() {
                    ticks.tick().await;
                }
            }
        }
    }

    /// When it had done its work, in seconds of [`now`]; none when it ends without, or has no such moment.
    pub(super) async fn completed(&self, line: oneshot::Receiver<()>, process: &Process) -> Option<f64> {
        match self.planned.complete.as_ref()? {
            Completion::Exit => {
                let status = process.ended().await;
                (process.intent() == Intent::Stay && self.may_end_with(status)).then(now)
            }
            Completion::Line(_) => line.await.ok().map(|()| now()),
            Completion::File { path, .. } => {
                let mut look = Look::new(self.directory.join(path), self.original.clone());
                let mut ticks = interval(LOOK_EVERY);
                loop {
                    let is_last = tokio::select! {
                        biased;
                        _ = process.ended() => true,
                        _ = ticks.tick() => false,
                    };
                    if look.shows(is_last).await {
                        return Some(now());
                    }
                    if is_last {
                        return None;
                    }
                }
            }
        }
    }
}

/// Looks for a file again and again, and reads it only when it can have become the right one.
struct Look {
    path: PathBuf,
    original: Option<Content>,
    /// When the file was last changed before it was last read.
    read: Option<SystemTime>,
    /// Reading takes a processor that is wanted for other things: it rests ten times as long as it took.
    rests_until: Instant,
}

impl Look {
    fn new(path: PathBuf, original: Option<Content>) -> Self {
        Self { path, original, read: None, rests_until: Instant::now() }
    }

    async fn shows(&mut self, is_last: bool) -> bool {
        let Ok(found) = fs::metadata(&self.path) else { return false };
        let Some(original) = &self.original else { return true };
        let changed = found.modified().ok();
        let is_due = is_last || Instant::now() >= self.rests_until;
        if found.len() != original.bytes || (changed == self.read && changed.is_some()) || !is_due {
            return false;
        }
        let began = Instant::now();
        let (path, expected) = (self.path.clone(), original.sha256);
        let reading = tokio::task::spawn_blocking(move || read_back::has_sha256(&path, &expected));
        let is_same = matches!(reading.await, Ok(Ok(true)));
        self.read = changed;
        self.rests_until = Instant::now() + began.elapsed() * 10;
        is_same
    }
}

/// Peers whose program this host cannot run, and why. Requirements are tried, each once.
pub(super) async fn unavailable(plan: &Plan) -> anyhow::Result<BTreeMap<PeerId, String>> {
    let mut tried: Vec<(Vec<String>, Option<String>)> = Vec::new();
    let mut missing = BTreeMap::new();
    for peer in &plan.peers {
        let Some((program, requires)) = peer.exec.as_ref().and_then(|exec| Some((exec, exec.requires.as_ref()?)))
        else {
            continue;
        };
        let check = match requires.check.as_slice() {
            [] => vec!["sh".into(), "-c".into(), "command -v \"$0\"".into(), program.command.clone()],
            words => words.to_vec(),
        };
        let known = tried.iter().find(|(words, _)| *words == check).map(|(_, lack)| lack.clone());
        let lack = match known {
            Some(lack) => lack,
            None => {
                let lack = lack(&check).await.with_context(|| format!("trying what {} requires", program.name))?;
                tried.push((check, lack.clone()));
                lack
            }
        };
        if let Some(lack) = lack {
            let install = requires.install.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
            missing.insert(peer.id, format!("{} is not there ({lack}){install}", program.name));
        }
    }
    Ok(missing)
}

/// How a command failed; none when it succeeded.
async fn lack(words: &[String]) -> anyhow::Result<Option<String>> {
    let Some((program, arguments)) = words.split_first() else { return Ok(None) };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let tried = timeout(TRIED_WITHIN, command.output()).await;
    let tried = tried.with_context(|| format!("`{}` did not end within {TRIED_WITHIN:?}", words.join(" ")))?;
    Ok(match tried {
        Err(error) => Some(format!("{program}: {error}")),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("not found");
            Some(last.trim().to_owned())
        }
    })
}

/// The file that tells a program which is up already that a distribution to it has begun; in its directory.
pub(super) fn write_begin(directory: &Path, at: f64) -> anyhow::Result<()> {
    let path = directory.join(BEGIN);
    let partial = directory.join(format!(".{BEGIN}"));
    fs::write(&partial, format!("{at}\n"))
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Name of that file.
const BEGIN: &str = "begin";
/// Time between two looks at what shows readiness or completion: a tenth of a per cent of a distribution of 20 s.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A connection to the own address needs no network; one that hangs is tried anew.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Starting an interpreter on a busy host takes a second.
const TRIED_WITHIN: Duration = Duration::from_secs(30);
