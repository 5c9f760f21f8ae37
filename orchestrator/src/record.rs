//! What a run wrote down, read back for drawing: events, samples of peers and host, and what the plan says of peers.
//!
//! Reading is lenient: what another version wrote and this one does not know is left out, and a line cut off by the end
//! of a run is skipped. How a distribution went is put together in `course`,
//! what a plan says in `outline`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use peerbed_peer::status::{ReceivedBytes, UplinkUse};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{run_directory::RunDirectory, verdict::Window};

pub(crate) mod course;
pub(crate) mod outline;
pub(crate) mod rings;

use course::Course;
use outline::Outline;
use rings::{Rings, Seat};

/// Everything about a run that its figures show and its results do not hold.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Peers and steps as planned.
    pub(crate) outline: Outline,
    /// When the scenario's clock started, in seconds of CLOCK_MONOTONIC; as all instants below, but for those that say
    /// otherwise.
    pub(crate) started: f64,
    /// The last instant of which anything is known.
    pub(crate) ended: f64,
    /// The last instant at which somebody was sampled; of a run that goes on, about now.
    pub(crate) seen: f64,
    /// How each distribution went, by its id.
    pub(crate) courses: BTreeMap<String, Course>,
    /// Rings and what was looked up in them.
    pub(crate) rings: Rings,
    /// Steps of the scenario, by their index in the plan.
    pub(crate) steps: BTreeMap<usize, StepSeen>,
    /// Everything else that is worth a mark, in order of time.
    pub(crate) marks: Vec<Mark>,
    /// Processes that ended as the scenario had asked, by name and instant.
    pub(crate) exits: Vec<(f64, String)>,
    /// What was seen of the host.
    pub(crate) windows: Vec<Window>,
    /// Events that peers discarded because nobody took them in time.
    pub(crate) missed: u64,
}

/// A step of the scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepSeen {
    pub(crate) action: String,
    pub(crate) begun: f64,
    pub(crate) ended: Option<f64>,
}

/// Something that happened at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) t: f64,
    /// The kind of event: `exited`, `peer-dropped`, …
    pub(crate) kind: String,
    /// What it was about, in words.
    pub(crate) words: String,
}

/// A line of `events.ndjson`; every key that some kind of event has.
#[derive(Debug, Deserialize)]
pub(crate) struct EventLine {
    pub(crate) t: f64,
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) peer: Option<Value>,
    #[serde(default)]
    pub(crate) distribution: Option<String>,
    #[serde(default)]
    pub(crate) piece: Option<u32>,
    #[serde(default)]
    pub(crate) have: Option<u32>,
    #[serde(default)]
    pub(crate) pieces: Option<u32>,
    #[serde(default)]
    pub(crate) bytes: Option<u64>,
    #[serde(default)]
    pub(crate) at: Option<f64>,
    #[serde(default)]
    pub(crate) step: Option<usize>,
    #[serde(default)]
    pub(crate) action: Option<String>,
    #[serde(default)]
    pub(crate) count: Option<u64>,
    #[serde(default)]
    pub(crate) expected: Option<bool>,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, Value>,
}

impl Record {
    /// Reads what there is in `directory`; a missing file is as good as an empty one.
    pub(crate) fn read(directory: &RunDirectory) -> Self {
        let mut record = Self { outline: Outline::read(&directory.plan()), ..Self::default() };
        let mut first = f64::INFINITY;
        each_line(&directory.events(), |line: EventLine| {
            first = first.min(line.t);
            record.ended = record.ended.max(line.t);
            record.event(line);
        });
        if record.started == 0.0 && first.is_finite() {
            record.started = first;
        }
        each_line(&directory.peer_samples(), |sample| record.sample(&sample));
        each_line(&directory.host_samples(), |window: Window| record.windows.push(window));
        record.seen = record.windows.last().map_or(0.0, |window| window.t).max(record.seen).max(record.ended);
        record.marks.sort_by(|a, b| a.t.total_cmp(&b.t));
        record.courses.values_mut().for_each(Course::finish);
        record
    }

    /// Seconds since the scenario's start.
    pub(crate) fn since_start(&self, t: f64) -> f64 {
        (t - self.started).max(0.0)
    }

    /// How long the scenario took, in seconds, as far as it is known.
    pub(crate) fn length(&self) -> f64 {
        self.since_start(self.ended)
    }

    fn event(&mut self, line: EventLine) {
        match line.event.as_str() {
            "scenario-begun" => self.started = line.t,
            "step-begun" => {
                let action = line.action.unwrap_or_default();
                self.steps.insert(line.step.unwrap_or(0), StepSeen { action, begun: line.t, ended: None });
            }
            "step-ended" => {
                if let Some(step) = self.steps.get_mut(&line.step.unwrap_or(0)) {
                    step.ended = Some(line.t);
                }
            }
            "missed" => self.missed += line.count.unwrap_or(0),
            "begin-fixed" | "begun" | "prepared" | "piece" | "completed" | "ended" => {
                let Some(id) = line.distribution.clone() else { return };
                self.courses.entry(id).or_default().event(&line);
            }
            // Every copy is in the results; peers that come up are told by the steps that bring them up.
            // So are changes of links, partitions and processes, and who goes by a churn is told by how its process ends.
            "read-back" | "ready" | "moved" | "change-asked" | "change-applied" | "change-proved" | "traced" => {}
            // A ring's pointers change all the time.
            "ring" if !self.rings.event(&line) => {}
            _ => {
                if let ("exited", Some(true), Some(Value::String(name))) =
                    (line.event.as_str(), line.expected, &line.peer)
                {
                    self.exits.push((line.t, name.clone()));
                }
                self.mark(&line);
            }
        }
    }

    fn mark(&mut self, line: &EventLine) {
        let mut words: Vec<String> = line.peer.iter().map(plain).collect();
        words.extend(line.expected.map(|asked| if asked { "as asked".into() } else { "unexpectedly".to_owned() }));
        words.extend(line.rest.values().map(plain));
        words.extend(line.action.clone());
        let words: String = words.join(" · ").chars().take(WORDS_MAX).collect();
        self.marks.push(Mark { t: line.t, kind: line.event.clone(), words });
    }

    fn sample(&mut self, sample: &Sample) {
        self.seen = self.seen.max(sample.t);
        if let Some(seat) = &sample.ring {
            self.rings.sample(&sample.name, sample.t, seat);
        }
        for (id, seen) in &sample.distributions {
            self.courses.entry(id.clone()).or_default().sample(&sample.name, sample.t, seen);
        }
    }
}

/// A line of `samples/peers.ndjson`, as far as figures need it.
#[derive(Debug, Deserialize)]
struct Sample {
    t: f64,
    name: String,
    #[serde(default)]
    distributions: BTreeMap<String, SampledPart>,
    #[serde(default)]
    ring: Option<Seat>,
}

/// One peer's part in one distribution at one instant.
#[derive(Debug, Deserialize)]
pub(crate) struct SampledPart {
    #[serde(default)]
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) have: u32,
    #[serde(default)]
    pub(crate) pieces: u32,
    #[serde(default)]
    pub(crate) bytes_up: u64,
    #[serde(default)]
    pub(crate) uplink: Option<UplinkUse>,
    /// By the sender's number in the plan.
    #[serde(default)]
    pub(crate) received: BTreeMap<u32, ReceivedBytes>,
}

/// Hands over every line of an NDJSON file that can be read.
pub(crate) fn each_line<T: DeserializeOwned>(path: &Path, mut take: impl FnMut(T)) {
    let Ok(file) = File::open(path) else { return };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        if let Ok(value) = serde_json::from_slice(&line) {
            take(value);
        }
        line.clear();
    }
}

/// A value without quotes around words.
pub(crate) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Letters of what an event says; the rest stands in `events.ndjson`.
const WORDS_MAX: usize = 200;
