//! The form of `links:`.
//!
//! A link's fields hold for both directions; `up:` and `down:` give a rate, or a map that overrides fields for their
//! direction. What is left open comes from the link's preset, and then from planning.

use std::time::Duration;

use super::{
    keys::{Form, Key, optional, required},
    presets::{PRESETS, Preset},
    reader::{Reader, Section, Written},
    traces,
    tree::{Node, Value},
};
use crate::{
    diagnose::Problem,
    plan::{Discipline, Jitter, Loss, Queue, Trace},
    units::{Rate, Share, Span},
};

mod values;

pub(super) use values::{is_possible, read_jitter, read_loss, read_overhead, read_queue, read_rate};

/// A class of access links as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// Its name.
    pub name: Written<String>,
    /// Fills in what the fields leave open.
    pub preset: Option<Written<&'static Preset>>,
    /// For both directions.
    pub both: Fields,
    /// Overrides from the peer to the core.
    pub up: Fields,
    /// Overrides from the core to the peer.
    pub down: Fields,
}

/// Settings of one direction, as far as they are written. Every figure is one way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields {
    /// IP-level rate; `Some(None)` is an explicit `unshaped`.
    pub rate: Option<Written<Option<Rate>>>,
    /// Bytes of framing per packet.
    pub overhead: Option<Written<u32>>,
    /// Time added to every packet; half of `rtt` where that was written.
    pub delay: Option<Written<Span>>,
    /// Variation of the delay.
    pub jitter: Option<Written<Jitter>>,
    /// Share of packets lost.
    pub loss: Option<Written<Loss>>,
    /// Share of packets that overtake their predecessors.
    pub reorder: Option<Written<Share>>,
    /// Share of packets delivered twice.
    pub duplicate: Option<Written<Share>>,
    /// Share of packets in which one bit is flipped.
    pub corrupt: Option<Written<Share>>,
    /// How much may wait, and what is dropped then.
    pub queue: Option<Written<QueueFields>>,
    /// Figures over time.
    pub trace: Option<Written<Trace>>,
}

/// A queue as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueFields {
    /// How much may wait before packets are dropped; none for the default.
    pub length: Option<Queue>,
    /// Which packets are dropped.
    pub discipline: Discipline,
}

impl Fields {
    /// These fields, and those of `base` where these leave something open.
    #[must_use]
    pub fn or(self, base: &Self) -> Self {
        Self {
            rate: self.rate.or(base.rate),
            overhead: self.overhead.or(base.overhead),
            delay: self.delay.or(base.delay),
            jitter: self.jitter.or(base.jitter),
            loss: self.loss.or(base.loss),
            reorder: self.reorder.or(base.reorder),
            duplicate: self.duplicate.or(base.duplicate),
            corrupt: self.corrupt.or(base.corrupt),
            queue: self.queue.or(base.queue),
            trace: self.trace.or_else(|| base.trace.clone()),
        }
    }
}

impl Link {
    /// What holds from the peer to the core, preset included.
    #[must_use]
    pub fn up(&self) -> Fields {
        self.direction(&self.up, |preset| preset.up)
    }

    /// What holds from the core to the peer, preset included.
    #[must_use]
    pub fn down(&self) -> Fields {
        self.direction(&self.down, |preset| preset.down)
    }

    fn direction(&self, own: &Fields, rate: fn(&Preset) -> Rate) -> Fields {
        let fields = own.clone().or(&self.both);
        let Some(Written { value: preset, place }) = self.preset else { return fields };
        let rate = Some(Written { value: Some(rate(preset)), place });
        let delay = Some(Written { value: preset.delay, place });
        fields.or(&Fields { rate, delay, ..Fields::default() })
    }
}

const RATE: Form = Form::Either(&[Form::Rate, Form::Words(&["unshaped"])]);
pub(super) const LOSS: Form = Form::Either(&[Form::Share, Form::Section(LOSS_KEYS)]);
pub(super) const JITTER: Form = Form::Either(&[Form::Span, Form::Section(JITTER_KEYS)]);
const PACKETS: Form = Form::Pattern("number of packets", "^[0-9]+ ?packets?$");
const LENGTH: Form = Form::Either(&[Form::Span, Form::Size, PACKETS]);
pub(super) const QUEUE: Form = Form::Either(&[Form::Span, Form::Size, PACKETS, Form::Section(QUEUE_KEYS)]);
pub(super) const OVERHEAD: Form = Form::Integer { min: 0, max: OVERHEAD_MAX };

const OVERHEAD_ABOUT: &str = "bytes that every packet takes at the rate beside its own, such as 38 for Ethernet's framing \
                              with preamble and gap (default 0: rates count IP packets)";
const DELAY_ABOUT: &str = "time added to every packet, one way: 10ms (default 0ms)";
const JITTER_ABOUT: &str = "variation of the delay, at most as large as the delay: 1ms, or { amount: 1ms, distribution: \
                            normal, keep-order: true } (default 0ms)";
const LOSS_ABOUT: &str = "share of packets lost: 0.1%, or { average: 1%, burst: 8 } for losses in a row (default 0%)";
const REORDER_ABOUT: &str = "share of packets that overtake their predecessors; needs a delay (default 0%)";
const DUPLICATE_ABOUT: &str = "share of packets delivered twice (default 0%)";
const CORRUPT_ABOUT: &str = "share of packets in which one bit is flipped (default 0%)";
const QUEUE_ABOUT: &str = "how much may wait before packets are dropped: 50ms at link rate, 64KiB, or 30 packets; or a \
                           map with `discipline` (default 100ms, what home routers hold, but at least 30 packets)";
const TRACE_ABOUT: &str = "file with rate, and perhaps delay and loss, over the time since the scenario's start: lte.csv, \
                           or { file: lte.csv, repeat: 60s } (default none)";

const KEYS: &[Key] = &[
    optional(
        "preset",
        Form::Other("name of a ready link, see below", preset_schema),
        "a ready link, whose settings can be overridden: dsl, cable, fibre, … (default none)",
    ),
    optional(
        "up",
        DIRECTION,
        "from the peer to the core: a rate, or a map of settings for this direction (default unshaped)",
    ),
    optional(
        "down",
        DIRECTION,
        "from the core to the peer: a rate, or a map of settings for this direction (default unshaped)",
    ),
    optional("overhead", OVERHEAD, OVERHEAD_ABOUT),
    optional("delay", Form::Span, DELAY_ABOUT),
    optional("rtt", Form::Span, "in place of delay: twice the delay, so half of it each way"),
    optional("jitter", JITTER, JITTER_ABOUT),
    optional("loss", LOSS, LOSS_ABOUT),
    optional("reorder", Form::Share, REORDER_ABOUT),
    optional("duplicate", Form::Share, DUPLICATE_ABOUT),
    optional("corrupt", Form::Share, CORRUPT_ABOUT),
    optional("queue", QUEUE, QUEUE_ABOUT),
    optional("trace", traces::FORM, TRACE_ABOUT),
];

const DIRECTION: Form = Form::Either(&[Form::Rate, Form::Words(&["unshaped"]), Form::Section(DIRECTION_KEYS)]);

const DIRECTION_KEYS: &[Key] = &[
    optional("rate", RATE, "bits per second over whole IP packets: 20mbit; or unshaped (the default)"),
    optional("overhead", OVERHEAD, OVERHEAD_ABOUT),
    optional("delay", Form::Span, DELAY_ABOUT),
    optional("jitter", JITTER, JITTER_ABOUT),
    optional("loss", LOSS, LOSS_ABOUT),
    optional("reorder", Form::Share, REORDER_ABOUT),
    optional("duplicate", Form::Share, DUPLICATE_ABOUT),
    optional("corrupt", Form::Share, CORRUPT_ABOUT),
    optional("queue", QUEUE, QUEUE_ABOUT),
    optional("trace", traces::FORM, TRACE_ABOUT),
];

const JITTER_KEYS: &[Key] = &[
    required("amount", Form::Span, "half the width of `uniform`, one standard deviation of the others: 1ms"),
    optional(
        "distribution",
        Form::Words(&["uniform", "normal", "pareto"]),
        "how delays vary; pareto has shape 3 and is rarely very late (default uniform, as netem without a table)",
    ),
    optional(
        "keep-order",
        Form::Boolean,
        "true: a packet never arrives before its predecessor (default false, as netem: jitter reorders)",
    ),
];

const QUEUE_KEYS: &[Key] = &[
    optional("length", LENGTH, "50ms at link rate, 64KiB, or 30 packets (default 100ms, but at least 30 packets)"),
    optional(
        "discipline",
        Form::Words(&["drop-tail", "codel"]),
        "which packets are dropped: those that find the queue full, or the first ones of a standing queue as well (RFC \
         8289) (default drop-tail)",
    ),
    optional("target", Form::Span, "codel: waiting time that is acceptable (default 5ms, RFC 8289 §4.3)"),
    optional(
        "interval",
        Form::Span,
        "codel: how long the waiting time may stay above the target, a worst round trip (default 100ms, RFC 8289 §4.3)",
    ),
];

const LOSS_KEYS: &[Key] = &[
    required("average", Form::Share, "long-run share of packets lost: 1%"),
    optional(
        "burst",
        Form::Integer { min: 1, max: BURST_MAX },
        "mean number of packets lost in a row (default 1: independent)",
    ),
];

/// Most packets lost in a row, on average. Longer silences are outages, not loss.
const BURST_MAX: u64 = 10_000;

/// Most bytes of framing: as tc's cake.
const OVERHEAD_MAX: u64 = 256;

/// The form of one link.
pub(super) const FORM: Form = Form::Section(KEYS);

fn preset_schema() -> serde_json::Value {
    let choices: Vec<_> = PRESETS
        .iter()
        .map(|preset| serde_json::json!({ "const": preset.name, "description": preset.source }))
        .collect();
    serde_json::json!({ "oneOf": choices })
}

pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Vec<Link>> {
    let entries = reader.entries(node, "`links`")?;
    let mut links = Vec::new();
    for entry in entries {
        let name = super::names::check(reader, entry, "link");
        let what = format!("link `{}`", entry.key);
        links.push(match reader.section(&entry.value, &what, entry.place, KEYS) {
            Some(section) => read_link(reader, name, &section),
            None => Link { name, ..Link::default() },
        });
    }
    Some(links)
}

fn read_link(reader: &mut Reader, name: Written<String>, section: &Section<'_>) -> Link {
    let presets: Vec<_> = PRESETS.iter().map(|preset| (preset.name, preset)).collect();
    let preset = section.value("preset").and_then(|node| reader.word(node, "preset", &presets));
    let mut both = read_fields(reader, section);
    if let Some(node) = section.value("rtt") {
        let delay = reader.quantity::<Span>(node).map(|rtt| Written { value: Span(rtt.value.0 / 2), place: rtt.place });
        if section.value("delay").is_some() {
            let problem = Problem::new(section.key_place("rtt"), "both `delay` and `rtt` are given");
            reader.problem(problem.hint("`rtt` is another way to write twice the delay; keep one of them"));
        }
        both.delay = both.delay.or(delay);
    }
    let up = section.value("up").map(|node| read_direction(reader, node, "`up`")).unwrap_or_default();
    let down = section.value("down").map(|node| read_direction(reader, node, "`down`")).unwrap_or_default();
    Link { name, preset, both, up, down }
}

fn read_direction(reader: &mut Reader, node: &Node, what: &str) -> Fields {
    if !matches!(node.value, Value::Map(_)) {
        return Fields { rate: read_rate(reader, node), ..Fields::default() };
    }
    match reader.section(node, what, node.place, DIRECTION_KEYS) {
        Some(section) => Fields {
            rate: section.value("rate").and_then(|node| read_rate(reader, node)),
            ..read_fields(reader, &section)
        },
        None => Fields::default(),
    }
}

/// Reads what links and directions have in common.
fn read_fields(reader: &mut Reader, section: &Section<'_>) -> Fields {
    Fields {
        rate: None,
        overhead: section.value("overhead").and_then(|node| read_overhead(reader, node)),
        delay: section.value("delay").and_then(|node| reader.quantity(node)),
        jitter: section.value("jitter").and_then(|node| read_jitter(reader, node)),
        loss: section.value("loss").and_then(|node| read_loss(reader, node)),
        reorder: section.value("reorder").and_then(|node| reader.quantity(node)),
        duplicate: section.value("duplicate").and_then(|node| reader.quantity(node)),
        corrupt: section.value("corrupt").and_then(|node| reader.quantity(node)),
        queue: section.value("queue").and_then(|node| read_queue(reader, node)),
        trace: section.value("trace").and_then(|node| traces::read(reader, node)),
    }
}

/// Problems that show only when both directions' settings are put together.
pub(super) fn check(reader: &mut Reader, link: &Link) {
    for fields in [link.up(), link.down()] {
        let delay = fields.delay.map_or(Duration::ZERO, |delay| delay.value.0);
        if let Some(jitter) = fields.jitter.filter(|jitter| jitter.value.amount.0 > delay) {
            let message = format!("jitter of {} exceeds the delay of {}", jitter.value.amount, Span(delay));
            reader.problem(Problem::new(jitter.place, message).hint("packets cannot arrive before they were sent"));
        }
        if let Some(reorder) = fields.reorder.filter(|reorder| reorder.value > Share(0) && delay.is_zero()) {
            let problem = Problem::new(reorder.place, "reordering needs a delay that some packets can skip");
            reader.problem(problem.hint("add a `delay`"));
        }
        if let Some(trace) = &fields.trace {
            check_trace(reader, &fields, trace);
        }
        check_queue(reader, &fields);
    }
}

/// A trace's delays and losses meet the direction's jitter and bursts.
fn check_trace(reader: &mut Reader, fields: &Fields, trace: &Written<Trace>) {
    let jitter = fields.jitter.map_or(Duration::ZERO, |jitter| jitter.value.amount.0);
    let burst = fields.loss.map_or(1, |loss| loss.value.burst);
    let points = &trace.value.points;
    if let Some(delay) = points.iter().filter_map(|point| point.delay).find(|delay| delay.0 < jitter) {
        let message = format!("the trace has a delay of {delay}, which the jitter of {} exceeds", Span(jitter));
        reader.problem(Problem::new(trace.place, message).hint("packets cannot arrive before they were sent"));
    }
    if let Some(loss) = points.iter().filter_map(|point| point.loss).find(|loss| !is_possible(*loss, burst)) {
        let message = format!("the trace loses {loss} of the packets, which takes more than {burst} in a row");
        reader.problem(Problem::new(trace.place, message).hint("give `loss` a larger `burst`, of average 0% or more"));
    }
}

/// A packet of full size, in bytes at IP level: Ethernet's MTU.
pub(crate) const PACKET: u64 = 1500;

fn check_queue(reader: &mut Reader, fields: &Fields) {
    let Some(Written { value: QueueFields { length: Some(queue), .. }, place }) = fields.queue else { return };
    let rate = fields.rate.and_then(|rate| rate.value);
    let holds_packet = match (queue, rate) {
        (Queue::Packets(count), _) => count >= 1,
        (Queue::Bytes(size), _) => size.0 >= PACKET,
        (Queue::Time(span), Some(rate)) => span.0 >= rate.time_for(PACKET),
        (Queue::Time(span), None) => !span.0.is_zero(),
    };
    if !holds_packet {
        let hint = match (queue, rate) {
            (Queue::Time(_), Some(rate)) => {
                let micros = rate.time_for(PACKET).as_nanos().div_ceil(1_000);
                let least = Span(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)));
                format!("{PACKET} bytes take {least} at {rate}")
            }
            _ => format!("a full packet has {PACKET} bytes"),
        };
        reader.problem(Problem::new(place, "the queue is too short for one full packet").hint(hint));
    }
}
