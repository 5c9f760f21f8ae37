//! The form of `links:`.
//!
//! A link's fields hold for both directions; `up:` and `down:` give a rate, or a map that overrides fields for their
//! direction. What is left open comes from the link's preset, and then from planning.

use std::time::Duration;

use super::{
    keys::{Form, Key, optional, required},
    presets::{PRESETS, Preset},
    reader::{Reader, Section, Written},
    tree::{Node, Value},
};
use crate::{
    diagnose::Problem,
    plan::{Loss, Queue},
    units::{Rate, Share, Span},
};

mod values;

use values::{read_loss, read_queue, read_rate};

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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fields {
    /// IP-level rate; `Some(None)` is an explicit `unshaped`.
    pub rate: Option<Written<Option<Rate>>>,
    /// Time added to every packet; half of `rtt` where that was written.
    pub delay: Option<Written<Span>>,
    /// Variation of the delay.
    pub jitter: Option<Written<Span>>,
    /// Share of packets lost.
    pub loss: Option<Written<Loss>>,
    /// Share of packets that overtake their predecessors.
    pub reorder: Option<Written<Share>>,
    /// Share of packets delivered twice.
    pub duplicate: Option<Written<Share>>,
    /// How much may wait before packets are dropped.
    pub queue: Option<Written<Queue>>,
}

impl Fields {
    /// These fields, and those of `base` where these leave something open.
    #[must_use]
    pub fn or(self, base: Self) -> Self {
        Self {
            rate: self.rate.or(base.rate),
            delay: self.delay.or(base.delay),
            jitter: self.jitter.or(base.jitter),
            loss: self.loss.or(base.loss),
            reorder: self.reorder.or(base.reorder),
            duplicate: self.duplicate.or(base.duplicate),
            queue: self.queue.or(base.queue),
        }
    }
}

impl Link {
    /// What holds from the peer to the core, preset included.
    #[must_use]
    pub fn up(&self) -> Fields {
        self.direction(self.up, |preset| preset.up)
    }

    /// What holds from the core to the peer, preset included.
    #[must_use]
    pub fn down(&self) -> Fields {
        self.direction(self.down, |preset| preset.down)
    }

    fn direction(&self, own: Fields, rate: fn(&Preset) -> Rate) -> Fields {
        let fields = own.or(self.both);
        let Some(Written { value: preset, place }) = self.preset else { return fields };
        let rate = Some(Written { value: Some(rate(preset)), place });
        let delay = Some(Written { value: preset.delay, place });
        fields.or(Fields { rate, delay, ..Fields::default() })
    }
}

const RATE: Form = Form::Either(&[Form::Rate, Form::Words(&["unshaped"])]);
const LOSS: Form = Form::Either(&[Form::Share, Form::Section(LOSS_KEYS)]);
const QUEUE: Form = Form::Either(&[Form::Span, Form::Size, Form::Pattern("^[0-9]+ ?packets?$")]);

const DELAY_ABOUT: &str = "time added to every packet, one way: 10ms (default 0ms)";
const JITTER_ABOUT: &str = "variation of the delay, at most as large as the delay: 1ms (default 0ms)";
const LOSS_ABOUT: &str = "share of packets lost: 0.1%, or { average: 1%, burst: 8 } for losses in a row (default 0%)";
const REORDER_ABOUT: &str = "share of packets that overtake their predecessors; needs a delay (default 0%)";
const DUPLICATE_ABOUT: &str = "share of packets delivered twice (default 0%)";
const QUEUE_ABOUT: &str = "how much may wait before packets are dropped: 50ms at link rate, 64KiB, or 30 packets (default 100ms, at least 30 packets)";

const KEYS: &[Key] = &[
    optional(
        "preset",
        Form::Other(preset_schema),
        "a ready link, whose settings can be overridden: dsl, cable, fibre, …",
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
    optional("delay", Form::Span, DELAY_ABOUT),
    optional("rtt", Form::Span, "in place of delay: twice the delay, so half of it each way"),
    optional("jitter", Form::Span, JITTER_ABOUT),
    optional("loss", LOSS, LOSS_ABOUT),
    optional("reorder", Form::Share, REORDER_ABOUT),
    optional("duplicate", Form::Share, DUPLICATE_ABOUT),
    optional("queue", QUEUE, QUEUE_ABOUT),
];

const DIRECTION: Form = Form::Either(&[Form::Rate, Form::Words(&["unshaped"]), Form::Section(DIRECTION_KEYS)]);

const DIRECTION_KEYS: &[Key] = &[
    optional("rate", RATE, "bits per second over whole IP packets: 20mbit; or unshaped (the default)"),
    optional("delay", Form::Span, DELAY_ABOUT),
    optional("jitter", Form::Span, JITTER_ABOUT),
    optional("loss", LOSS, LOSS_ABOUT),
    optional("reorder", Form::Share, REORDER_ABOUT),
    optional("duplicate", Form::Share, DUPLICATE_ABOUT),
    optional("queue", QUEUE, QUEUE_ABOUT),
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
        delay: section.value("delay").and_then(|node| reader.quantity(node)),
        jitter: section.value("jitter").and_then(|node| reader.quantity(node)),
        loss: section.value("loss").and_then(|node| read_loss(reader, node)),
        reorder: section.value("reorder").and_then(|node| reader.quantity(node)),
        duplicate: section.value("duplicate").and_then(|node| reader.quantity(node)),
        queue: section.value("queue").and_then(|node| read_queue(reader, node)),
    }
}

/// Problems that show only when both directions' settings are put together.
pub(super) fn check(reader: &mut Reader, link: &Link) {
    for fields in [link.up(), link.down()] {
        let delay = fields.delay.map_or(Duration::ZERO, |delay| delay.value.0);
        if let Some(jitter) = fields.jitter.filter(|jitter| jitter.value.0 > delay) {
            let message = format!("jitter of {} exceeds the delay of {}", jitter.value, Span(delay));
            reader.problem(Problem::new(jitter.place, message).hint("packets cannot arrive before they were sent"));
        }
        if let Some(reorder) = fields.reorder.filter(|reorder| reorder.value > Share(0) && delay.is_zero()) {
            let problem = Problem::new(reorder.place, "reordering needs a delay that some packets can skip");
            reader.problem(problem.hint("add a `delay`"));
        }
        check_queue(reader, &fields);
    }
}

/// A packet of full size, in bytes at IP level: Ethernet's MTU.
pub(crate) const PACKET: u64 = 1500;

fn check_queue(reader: &mut Reader, fields: &Fields) {
    let Some(Written { value: queue, place }) = fields.queue else { return };
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
