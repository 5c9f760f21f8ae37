//! The form of `groups:`: how many peers there are, where they are, and what they do.

use peerbed_peer::config::Congestion;

use super::{
    keys::{Form, Key, optional, required},
    names,
    options::{self, WrittenOptions},
    programs::{self, Program},
    reader::{Reader, Written},
    rings::{self, Membership},
    tree::Node,
};
use crate::{plan::SwarmRole, units::Span};

/// A group of like peers as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name; its peers are called `NAME-1`, `NAME-2`, …, or just `NAME` where there is one.
    pub name: Written<String>,
    /// How many peers; none where that could not be read.
    pub count: Option<Written<u64>>,
    /// Name of their class of link; none where that could not be read.
    pub link: Option<Written<String>>,
    /// Where they are.
    pub region: Option<Written<String>>,
    /// Their part in swarms.
    pub swarm: Option<SwarmRole>,
    /// Set where they track swarms.
    pub tracker: Option<Tracker>,
    /// Their membership in a ring.
    pub ring: Option<Membership>,
    /// Their behaviour in swarms, where it differs from that of a distribution's other participants.
    pub options: WrittenOptions,
    /// How their connections share links with others; none for the default.
    pub congestion: Option<Congestion>,
    /// The program that runs in place of Peerbed's own peer.
    pub exec: Option<Program>,
    /// Whether their processes run from the beginning.
    pub present: bool,
}

/// A tracker as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracker {
    /// Time between two announcements of one peer; none for the default.
    pub interval: Option<Span>,
    /// Most peers in one answer; none for the default.
    pub answer: Option<u32>,
}

const KEYS: &[Key] = &[
    optional(
        "count",
        Form::Integer { min: 1, max: PEERS_MAX },
        "how many peers (default 1); they are named NAME-1 … NAME-count, or just NAME where there is one",
    ),
    required("link", Form::Name, "name of an entry under `links:`"),
    optional("region", Form::Name, "name of a region under `regions:`, for latencies (default none)"),
    optional(
        "swarm",
        Form::Words(&["seed", "leecher"]),
        "part in swarms: a seed has whole files, a leecher wants them (default none)",
    ),
    optional("tracker", Form::Section(TRACKER_KEYS), "makes the peers track swarms; {} for the defaults"),
    optional(
        "ring",
        Form::Section(rings::KEYS),
        "makes the peers members of a circular DHT called like the group; {} for the defaults (default none)",
    ),
    optional(
        "options",
        Form::Other("map, see below", options::schema),
        "behaviour in swarms, where it differs from that of a distribution's other participants (default none)",
    ),
    optional(
        "congestion",
        Form::Words(&["cubic", "new-reno", "bbr", "steady"]),
        "congestion controller of their QUIC connections (default steady: cubic whose window is never less than what the \
         path delivers, so that loss by chance is nothing to it)",
    ),
    optional(
        "exec",
        Form::Section(programs::KEYS),
        "a program of somebody else's that runs in place of Peerbed's own peer; in its texts, {name}, {group}, {id}, \
         {address}, {address.PEER}, {peers}, {peers.GROUP}, {directory} and {file.NAME} are replaced (default none)",
    ),
    optional("present", Form::Boolean, "false: the processes run only after `start` or `join` (default true)"),
];

const TRACKER_KEYS: &[Key] = &[
    optional(
        "interval",
        Form::Span,
        "time between two announcements of one peer, from 1s (default 30s: real trackers ask for half an hour, but runs are short)",
    ),
    optional(
        "answer",
        Form::Integer { min: 1, max: ANSWER_MAX },
        "most peers in one answer (default 50, as BitTorrent's)",
    ),
];

const CONGESTIONS: [(&str, Congestion); 4] = [
    ("cubic", Congestion::Cubic),
    ("new-reno", Congestion::NewReno),
    ("bbr", Congestion::Bbr),
    ("steady", Congestion::Steady),
];

/// Most peers of a topology: the hosts of 198.18.0.0/15 without its network, broadcast and last host address.
pub(crate) const PEERS_MAX: u64 = (1 << 17) - 3;
/// Most peers in one answer; the answer stays within a frame.
const ANSWER_MAX: u64 = 1_000;

/// The form of one group.
pub(super) const FORM: Form = Form::Section(KEYS);

pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Vec<Group>> {
    let mut groups = Vec::new();
    for entry in reader.entries(node, "`groups`")? {
        let name = names::check(reader, entry, "group");
        let what = format!("group `{}`", entry.key);
        let unread = Group {
            name,
            count: None,
            link: None,
            region: None,
            swarm: None,
            tracker: None,
            ring: None,
            options: WrittenOptions::new(),
            congestion: None,
            exec: None,
            present: true,
        };
        let Some(section) = reader.section(&entry.value, &what, entry.place, KEYS) else {
            groups.push(unread);
            continue;
        };
        let one = Written { value: 1, place: entry.place };
        let count = section.value("count").map(|node| reader.integer(node, "number of peers", 1..=PEERS_MAX));
        let roles = [("seed", SwarmRole::Seed), ("leecher", SwarmRole::Leecher)];
        groups.push(Group {
            count: count.unwrap_or(Some(one)),
            link: section.value("link").and_then(|node| reader.text(node, "the name of a link")),
            region: section.value("region").and_then(|node| reader.text(node, "the name of a region")),
            swarm: section
                .value("swarm")
                .and_then(|node| reader.word(node, "part in a swarm", &roles))
                .map(|role| role.value),
            tracker: section.value("tracker").map(|node| read_tracker(reader, node)),
            ring: section.value("ring").and_then(|node| rings::read(reader, node, section.key_place("ring"))),
            options: options::of(reader, &section),
            congestion: section
                .value("congestion")
                .and_then(|node| reader.word(node, "congestion controller", &CONGESTIONS))
                .map(|congestion| congestion.value),
            exec: section.value("exec").and_then(|node| programs::read(reader, node, section.key_place("exec"))),
            present: section.value("present").and_then(|node| reader.boolean(node)).unwrap_or(true),
            ..unread
        });
    }
    Some(groups)
}

fn read_tracker(reader: &mut Reader, node: &Node) -> Tracker {
    let Some(section) = reader.section(node, "`tracker`", node.place, TRACKER_KEYS) else {
        return Tracker::default();
    };
    let interval = section.value("interval").and_then(|node| reader.quantity::<Span>(node));
    if let Some(interval) = interval.filter(|interval| interval.value < Span::from_secs(1)) {
        let problem = crate::diagnose::Problem::new(interval.place, "announcements cannot be this frequent");
        reader.problem(problem.hint("at least 1s"));
    }
    let answer = section.value("answer").and_then(|node| reader.integer(node, "number of peers", 1..=ANSWER_MAX));
    Tracker {
        interval: interval.map(|interval| interval.value),
        answer: answer.map(|answer| u32::try_from(answer.value).expect("at most ANSWER_MAX")),
    }
}
