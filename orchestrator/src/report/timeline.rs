//! Everything that a run wrote down, in one order of time: events, faults, and what peers logged.
//!
//! Events have the kernel's monotonic clock and logs the time of day; the scenario's beginning is known by both. A line of a log
//! without a time, as programs of somebody else's print them, goes with the line before it.

use std::{
    fmt::Write,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::bail;
use serde_json::{Map, Value};

use crate::{
    calendar,
    record::{each_line, outline::Outline, plain},
    run_directory::RunDirectory,
    scenario::is_fault,
};

/// The timeline of the run in `directory`, a line for each thing that happened: seconds since the scenario's start, `event`,
/// `fault` or `log`, whose it is (`run` for the orchestrator's own), and what.
///
/// # Errors
///
/// When there is no run's `events.ndjson`.
pub fn timeline(directory: &RunDirectory) -> anyhow::Result<String> {
    if !directory.events().is_file() {
        bail!("{} holds no events; of a sweep, name one of its runs", directory.root().display());
    }
    let outline = Outline::read(&directory.plan());
    let mut course = Course::default();
    each_line(&directory.events(), |line: Map<String, Value>| course.event(line, &outline));
    let mut left_out = 0;
    for name in peers(directory) {
        left_out += course.log(&name, &directory.peer_log(&name));
    }
    Ok(course.text(left_out))
}

/// What is known so far.
#[derive(Debug, Default)]
struct Course {
    /// When the scenario began, in seconds of CLOCK_MONOTONIC.
    started: Option<f64>,
    /// The same instant in seconds of Unix time.
    started_unix: Option<f64>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Seconds of CLOCK_MONOTONIC; of a log, since the scenario's start.
    at: f64,
    kind: Kind,
    who: String,
    what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Event,
    Fault,
    Log,
}

impl Course {
    fn event(&mut self, mut line: Map<String, Value>, outline: &Outline) {
        let at = line.shift_remove("t").and_then(|t| t.as_f64());
        let event = line.shift_remove("event").map(|event| plain(&event));
        let (Some(at), Some(event)) = (at, event) else { return };
        if event == "scenario-begun" {
            self.started = Some(at);
            self.started_unix = line.shift_remove("unix").and_then(|unix| unix.as_f64());
        }
        let action = line.get("action").and_then(Value::as_str).unwrap_or_default();
        // Where it begins: its end, and what comes of it, are no faults.
        let begins = matches!(event.as_str(), "step-begun" | "moved");
        let kind = if begins && is_fault(action) { Kind::Fault } else { Kind::Event };
        let who = line.shift_remove("peer").map_or_else(|| "run".to_owned(), |peer| plain(&peer));
        let mut what = event;
        let step = line.get("step").and_then(Value::as_u64).and_then(|step| usize::try_from(step).ok());
        // A move of a churn says itself what happens, and to whom.
        let step = step.filter(|_| what != "moved");
        if let Some((step, words)) = step.and_then(|step| Some((step, outline.step(step)?))) {
            line.shift_remove("action");
            line.shift_remove("step");
            let _ = write!(what, " {step}: {words}");
        }
        for (key, value) in &line {
            let _ = write!(what, " {key}={}", plain(value));
        }
        self.entries.push(Entry { at, kind, who, what });
    }

    /// Takes in a log; how many of its lines have no time and none before them that has.
    fn log(&mut self, name: &str, path: &Path) -> usize {
        let (Some(begun), Ok(file)) = (self.started_unix, File::open(path)) else { return 0 };
        let (mut last, mut left_out) = (None, 0);
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes);
            let (time, words) = stamped(&line).map_or((last, &*line), |(time, words)| (Some(time - begun), words));
            match time {
                _ if words.trim().is_empty() => {}
                Some(at) => self.entries.push(Entry { at, kind: Kind::Log, who: name.into(), what: words.into() }),
                None => left_out += 1,
            }
            last = time;
            bytes.clear();
        }
        left_out
    }

    fn text(mut self, left_out: usize) -> String {
        let started = self.started.or(self.entries.first().map(|entry| entry.at)).unwrap_or(0.0);
        for entry in self.entries.iter_mut().filter(|entry| entry.kind != Kind::Log) {
            entry.at -= started;
        }
        // What happened at one instant stays in the order of its file.
        self.entries.sort_by(|a, b| a.at.total_cmp(&b.at));
        let width = self.entries.iter().map(|entry| entry.who.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for Entry { at, kind, who, what } in &self.entries {
            let kind = match kind {
                Kind::Event => "event",
                Kind::Fault => "fault",
                Kind::Log => "log",
            };
            let what: String =
                what.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect();
            let _ = writeln!(text, "{at:>10.3}  {kind:<5}  {who:<width$}  {what}");
        }
        if left_out > 0 {
            let _ =
                writeln!(text, "{left_out} lines of logs have no time and are left out; they are in peers/NAME/log");
        }
        if self.started_unix.is_none() {
            text.push_str("the run does not say what time of day it began: logs are left out\n");
        }
        text
    }
}

/// Names of the peers that have a directory, in order.
fn peers(directory: &RunDirectory) -> Vec<String> {
    let found = std::fs::read_dir(directory.peers()).into_iter().flatten();
    let names = found.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// `2026-11-23T06:00:32.368975Z  INFO leaving`: seconds of Unix time, and what follows.
fn stamped(line: &str) -> Option<(f64, &str)> {
    let (stamp, words) = line.split_once(' ')?;
    Some((calendar::unix_seconds(stamp)?, words))
}

/// Letters of what a line says; the rest stands in its file.
const WORDS_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, UNIX_EPOCH},
    };

    use super::*;
    use crate::calendar::timestamp;

    #[test]
    fn events_faults_and_logs_stand_in_one_order() {
        let place = tempfile::tempdir().unwrap();
        let directory = RunDirectory::at(place.path());
        let events = "{\"t\":100.0,\"event\":\"scenario-begun\",\"peers\":2,\"unix\":1000000000.0}\n\
                      {\"t\":102.0,\"event\":\"step-begun\",\"step\":1,\"action\":\"crash\"}\n\
                      {\"t\":103.0,\"event\":\"step-ended\",\"step\":1,\"action\":\"crash\"}\n\
                      {\"t\":104.0,\"event\":\"moved\",\"step\":2,\"action\":\"leave\",\"peer\":\"home-1\"}\n\
                      {\"t\":105.0,\"event\":\"moved\",\"step\":2,\"action\":\"join\",\"peer\":\"home-1\"}\n\
                      {\"t\":99.5,\"peer\":\"home-1\",\"event\":\"ready\",\"listen\":\"198.18.0.1:4433\"}\n";
        fs::write(directory.events(), events).unwrap();
        fs::create_dir_all(directory.peer("home-1")).unwrap();
        let log = "ready\n2001-09-09T01:46:41.250000Z  INFO something\n  and more of it\n";
        fs::write(directory.peer_log("home-1"), log).unwrap();

        let text = timeline(&directory).unwrap();

        let expected = [
            "    -0.500  event  home-1  ready listen=198.18.0.1:4433",
            "     0.000  event  run     scenario-begun peers=2",
            "     1.250  log    home-1  INFO something",
            "     1.250  log    home-1  and more of it",
            "     2.000  fault  run     step-begun step=1 action=crash",
            "     3.000  event  run     step-ended step=1 action=crash",
            "     4.000  fault  home-1  moved step=2 action=leave",
            "     5.000  event  home-1  moved step=2 action=join",
            "1 lines of logs have no time and are left out; they are in peers/NAME/log",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_directory_without_events_is_no_run() {
        let place = tempfile::tempdir().unwrap();
        let error = timeline(&RunDirectory::at(place.path())).unwrap_err().to_string();
        assert!(error.contains("holds no events"), "{error}");
    }

    #[test]
    fn times_of_day_are_read_as_they_are_written() {
        for seconds in [0, 951_782_399, 951_782_400, 1_795_411_232, 4_107_542_400] {
            let line = format!("{} INFO x", timestamp(UNIX_EPOCH + Duration::from_secs(seconds)));
            assert_eq!(stamped(&line), Some((seconds as f64, "INFO x")), "{line}");
        }
        for bad in ["", "ready", "2026-13-01T00:00:00Z x", "2026-01-01T00:00Z x", "2026-01-01 x", "T:Z x"] {
            assert_eq!(stamped(bad), None, "{bad}");
        }
    }
}
