//! Live runs and their peers as `ps` shows them: what is read from their files and the kernel, and the table of it.

use std::{fs, net::Ipv4Addr, time::SystemTime};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::{LiveRun, PeerProcess, Place};
use crate::{calendar::timestamp, run_directory::RunDirectory};

/// One live run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunListing {
    /// Its directory.
    pub directory: String,
    /// Name of the topology.
    pub name: String,
    /// Process of the orchestrator.
    pub pid: u32,
    /// What shapes the links.
    pub engine: String,
    /// When its network stood, UTC.
    pub started_at: String,
    /// Its peers, in the order of the plan.
    pub peers: Vec<PeerListing>,
}

/// One peer of a live run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerListing {
    /// Its name.
    pub name: String,
    /// What its process does.
    pub state: State,
    /// Its process; none when it is down.
    pub pid: Option<u32>,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its class of link.
    pub link: String,
    /// Start of its process, UTC; none when it is down.
    pub up_since: Option<String>,
    /// Age of its process in seconds; none when it is down.
    pub up_seconds: Option<f64>,
}

/// What a peer's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was started and has not answered yet.
    Starting,
    /// It runs.
    Up,
    /// It was stopped where it was.
    Paused,
    /// There is none; the peer's namespace and link are there all the same.
    Down,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Paused => "paused",
            Self::Down => "down",
        }
    }
}

/// What there is to say of `run` at `now`.
#[must_use]
pub fn listing(run: &LiveRun, now: SystemTime) -> RunListing {
    let publication = &run.publication;
    RunListing {
        directory: run.directory.root().display().to_string(),
        name: publication.name.clone(),
        pid: publication.process.pid,
        engine: publication.engine.clone(),
        started_at: publication.started_at.clone(),
        peers: publication.peers.iter().map(|place| peer(&run.directory, place, now)).collect(),
    }
}

/// Runs and peers as a table, one line per peer.
#[must_use]
pub fn table(runs: &[RunListing]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["RUN", "PEER", "STATE", "PID", "ADDRESS", "LINK", "ENGINE", "UP"]);
    for run in runs {
        let label = std::path::Path::new(&run.directory).file_name().unwrap_or_default().to_string_lossy();
        for peer in &run.peers {
            table.add_row([
                label.clone().into_owned(),
                peer.name.clone(),
                peer.state.as_str().to_owned(),
                peer.pid.map_or_else(|| NONE.to_owned(), |pid| pid.to_string()),
                peer.address.to_string(),
                peer.link.clone(),
                run.engine.clone(),
                peer.up_seconds.map_or_else(|| NONE.to_owned(), age),
            ]);
        }
    }
    for column in [3, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn peer(run: &RunDirectory, place: &Place, now: SystemTime) -> PeerListing {
    let process = fs::read(run.peer_process(&place.name)).ok();
    let process = process.and_then(|text| serde_json::from_slice::<PeerProcess>(&text).ok());
    let process = process.filter(|known| known.process.is_alive());
    let state = match &process {
        None => State::Down,
        Some(known) if known.process.is_stopped() => State::Paused,
        Some(known) if known.ready => State::Up,
        Some(_) => State::Starting,
    };
    let since = process.as_ref().and_then(|known| known.process.started_at());
    PeerListing {
        name: place.name.clone(),
        state,
        pid: process.map(|known| known.process.pid),
        address: place.address,
        link: place.link.clone(),
        up_since: since.map(timestamp),
        up_seconds: since.map(|since| now.duration_since(since).unwrap_or_default().as_secs_f64()),
    }
}

/// `12 s`, `3 m 04 s`, `2 h 05 m`.
fn age(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an age of a process is small and positive"
    )]
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3_600, seconds / 60 % 60),
    }
}

const NONE: &str = "-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_people_say_them() {
        for (seconds, text) in [(0.4, "0 s"), (59.9, "59 s"), (184.0, "3 m 04 s"), (7_500.0, "2 h 05 m")] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_peer() {
        let peer = |name: &str, pid| PeerListing {
            name: name.to_owned(),
            state: if pid == 0 { State::Down } else { State::Up },
            pid: (pid > 0).then_some(pid),
            address: Ipv4Addr::new(198, 18, 0, 1),
            link: "home".to_owned(),
            up_since: None,
            up_seconds: (pid > 0).then_some(61.0),
        };
        let run = RunListing {
            directory: "runs/demo-1".to_owned(),
            name: "demo".to_owned(),
            pid: 7,
            engine: "kernel".to_owned(),
            started_at: String::new(),
            peers: vec![peer("origin", 12), peer("home", 0)],
        };
        let text = table(&[run]);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["demo-1", "origin", "up", "12", "198.18.0.1", "home", "kernel", "1", "m", "01", "s"]);
        assert_eq!(words[2], ["demo-1", "home", "down", "-", "198.18.0.1", "home", "kernel", "-"]);
    }
}
