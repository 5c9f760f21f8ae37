//! The form of a group's `ring:`: membership in a circular DHT.
//!
//! A group describes a ring, which then has the group's name, or belongs to the ring of another group. Whether ids and
//! shortcuts fit together is judged in `check/rings`; who sits where in the end is decided here, for checks and planning.

use peerbed_proto::ring::{self, Circle, Conduct, Forwarding, Point, Routing};

use super::{
    Group, Roster, Written,
    keys::{Form, Key, optional},
    reader::{Reader, Section},
    tree::{Node, Value},
};
use crate::{
    diagnose::{Place, Problem},
    units::Span,
};

/// Membership in a ring as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// Where `ring` stands.
    pub place: Place,
    /// The group whose ring it is, where it is another's.
    pub of: Option<Written<String>>,
    /// The points that the peers sit on, in their order; without them each sits on the hash of its name.
    pub ids: Option<Vec<Written<u128>>>,
    /// Who knows whom beside its successors and predecessor, by points.
    pub shortcuts: Vec<(Written<u128>, Vec<Written<u128>>)>,
    /// Whether the group's peers follow the protocol.
    pub conduct: Conduct,
    /// Bits of the circle.
    pub bits: u8,
    /// Behaviour of the nodes.
    pub options: ring::Options,
    /// The first key written that describes the ring.
    pub described: Option<(&'static str, Place)>,
}

pub(super) const KEYS: &[Key] = &[
    optional("of", Form::Name, "the group whose ring these peers belong to (default: they are a ring of their own)"),
    optional(
        "ids",
        Form::List(&Form::Integer { min: 0, max: u64::MAX }),
        "the points that the peers sit on, in their order (default: the hash of each peer's name)",
    ),
    optional(
        "shortcuts",
        Form::Other("map of ids; list of ids", shortcuts_schema),
        "whom peers know beside their successors and predecessor; turns `routing: shortcuts` on (default none)",
    ),
    optional(
        "conduct",
        Form::Words(&["correct", "false-successors", "foreign-id", "flood", "garbage"]),
        "whether the group's peers follow the protocol, to test what bad ones cost the others (default correct)",
    ),
    optional("bits", Form::Integer { min: 3, max: 128 }, "the circle has 2^bits points (default 64)"),
    optional(
        "successors",
        Form::Integer { min: 2, max: 64 },
        "length of the successor list (default 4; the textbook has 2, which steady churn breaks more often)",
    ),
    optional(
        "routing",
        Form::Words(&["successor", "fingers", "shortcuts"]),
        "whom a peer knows beside its successors and predecessor: nobody, O(N) hops; the first peer at or after each \
         power of two away, O(log N) hops; or those under `shortcuts` (default fingers)",
    ),
    optional(
        "forwarding",
        Form::Words(&["iterative", "recursive"]),
        "whether the asker asks hop after hop, or each hop passes the lookup on (default iterative, as in Chord's paper)",
    ),
    optional("stabilise", Form::Span, "time between two stabilisations, from 1ms (default 1s)"),
    optional(
        "audit",
        Form::Span,
        "time between two look-ups of oneself from elsewhere, which find split rings (default 10s)",
    ),
    optional(
        "proximity",
        Form::Integer { min: 0, max: 64 },
        "among how many peers a finger is chosen by round trip (default 0: the first; Chord's paper measures 16)",
    ),
    optional("retries", Form::Integer { min: 0, max: 10 }, "how often a failed lookup is tried again (default 1)"),
    optional(
        "replicas",
        Form::Integer { min: 0, max: 64 },
        "successors that hold copies of an owner's records (default 3, and at most the list)",
    ),
    optional(
        "acknowledgements",
        Form::Integer { min: 0, max: 64 },
        "replicas that must have a write before it is acknowledged (default 1)",
    ),
];

fn shortcuts_schema() -> serde_json::Value {
    let ids = serde_json::json!({ "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 0 } });
    serde_json::json!({ "type": "object", "propertyNames": { "pattern": "^[0-9]+$" }, "additionalProperties": ids })
}

const BITS_DEFAULT: u8 = 64;

/// Keys that a group has for itself; those behind them describe the ring.
const OWN_KEYS: usize = 4;

pub(super) fn read(reader: &mut Reader, node: &Node, owner: Place) -> Option<Membership> {
    let section = reader.section(node, "`ring`", owner, KEYS)?;
    let described = KEYS[OWN_KEYS..].iter().find(|key| section.value(key.name).is_some());
    let ids = section.value("ids").map(|node| read_ids(reader, node, "`ids`"));
    let shortcuts = section.value("shortcuts").map(|node| read_shortcuts(reader, node)).unwrap_or_default();
    let bits = small(reader, &section, "bits", 3..=128).unwrap_or(BITS_DEFAULT);
    Some(Membership {
        place: owner,
        of: section.value("of").and_then(|node| reader.text(node, "the name of a group")),
        ids,
        conduct: conduct(reader, &section).unwrap_or_default(),
        bits,
        options: read_options(reader, &section, shortcuts.is_empty()),
        shortcuts,
        described: described.map(|key| (key.name, section.key_place(key.name))),
    })
}

fn read_options(reader: &mut Reader, section: &Section<'_>, without_shortcuts: bool) -> ring::Options {
    let defaults = ring::Options::default();
    let routings =
        [("successor", Routing::Successor), ("fingers", Routing::Fingers), ("shortcuts", Routing::Shortcuts)];
    let routing = section.value("routing").and_then(|node| reader.word(node, "routing", &routings));
    if let Some(routing) = routing.filter(|routing| (routing.value == Routing::Shortcuts) == without_shortcuts) {
        let (message, hint) = match without_shortcuts {
            true => ("no shortcuts are given", "give `shortcuts`, or another routing"),
            false => ("these `shortcuts` are not used", "leave `routing` out, or say `routing: shortcuts`"),
        };
        reader.problem(Problem::new(routing.place, message).hint(hint));
    }
    let usual = if without_shortcuts { defaults.routing } else { Routing::Shortcuts };
    let mut options = ring::Options {
        successors: small(reader, section, "successors", 2..=64).unwrap_or(defaults.successors),
        routing: routing.map_or(usual, |routing| routing.value),
        forwarding: forwarding(reader, section).unwrap_or(defaults.forwarding),
        proximity: small(reader, section, "proximity", 0..=64).unwrap_or(defaults.proximity),
        retries: small(reader, section, "retries", 0..=10).unwrap_or(defaults.retries),
        stabilise: span(reader, section, "stabilise").unwrap_or(Span(defaults.stabilise)).0,
        audit: span(reader, section, "audit").unwrap_or(Span(defaults.audit)).0,
        ..defaults
    };
    let data = &mut options.data;
    data.replicas = small(reader, section, "replicas", 0..=64).unwrap_or(data.replicas);
    data.acknowledgements =
        small(reader, section, "acknowledgements", 0..=64).unwrap_or(data.acknowledgements.min(data.replicas));
    options
}

fn conduct(reader: &mut Reader, section: &Section<'_>) -> Option<Conduct> {
    let words = [
        ("correct", Conduct::Correct),
        ("false-successors", Conduct::FalseSuccessors),
        ("foreign-id", Conduct::ForeignId),
        ("flood", Conduct::Flood),
        ("garbage", Conduct::Garbage),
    ];
    let written = section.value("conduct").and_then(|node| reader.word(node, "conduct", &words));
    written.map(|conduct| conduct.value)
}

/// Who moves lookups from hop to hop, where it is said.
pub(super) fn forwarding(reader: &mut Reader, section: &Section<'_>) -> Option<Forwarding> {
    let words = [("iterative", Forwarding::Iterative), ("recursive", Forwarding::Recursive)];
    let written = section.value("forwarding").and_then(|node| reader.word(node, "forwarding", &words));
    written.map(|forwarding| forwarding.value)
}

fn small(reader: &mut Reader, section: &Section<'_>, key: &str, range: std::ops::RangeInclusive<u64>) -> Option<u8> {
    let value = section.value(key).and_then(|node| reader.integer(node, &format!("value of `{key}`"), range))?;
    u8::try_from(value.value).ok()
}

fn span(reader: &mut Reader, section: &Section<'_>, key: &str) -> Option<Span> {
    let span = section.value(key).and_then(|node| reader.quantity::<Span>(node))?;
    if span.value.0.is_zero() {
        let problem = Problem::new(span.place, format!("`{key}` cannot be done all the time"));
        reader.problem(problem.hint("at least 1ms"));
        return None;
    }
    Some(span.value)
}

fn read_ids(reader: &mut Reader, node: &Node, what: &str) -> Vec<Written<u128>> {
    let items = reader.list(node, what).unwrap_or_default();
    items.iter().filter_map(|item| reader.text(item, "an id").and_then(|text| id(reader, &text))).collect()
}

/// A whole number, decimal or with 0x in front.
pub(super) fn id(reader: &mut Reader, text: &Written<String>) -> Option<Written<u128>> {
    match text.value.parse::<Point>() {
        Ok(point) => Some(Written { value: point.0, place: text.place }),
        Err(_) => {
            let problem = Problem::new(text.place, format!("`{}` is no id", text.value));
            reader.problem(problem.hint("give a whole number below 2^bits"));
            None
        }
    }
}

fn read_shortcuts(reader: &mut Reader, node: &Node) -> Vec<(Written<u128>, Vec<Written<u128>>)> {
    if !matches!(node.value, Value::Map(_)) {
        reader.mismatch(node, "`shortcuts` is a map from ids to lists of ids");
        return Vec::new();
    }
    let mut shortcuts = Vec::new();
    for entry in reader.entries(node, "`shortcuts`").unwrap_or_default() {
        let key = Written { value: entry.key.clone(), place: entry.place };
        let from = id(reader, &key);
        let to = read_ids(reader, &entry.value, "the shortcuts of a peer");
        shortcuts.extend(from.map(|from| (from, to)));
    }
    shortcuts
}

/// One ring of a topology: the group that describes it, and everybody who may be in it.
pub(crate) struct RingOf<'a> {
    pub(crate) name: &'a str,
    pub(crate) membership: &'a Membership,
    pub(crate) circle: Circle,
    pub(crate) seats: Vec<SeatOf<'a>>,
}

/// A peer with its point.
pub(crate) struct SeatOf<'a> {
    pub(crate) peer: u32,
    pub(crate) point: Point,
    /// Where its point, or else its group's membership, is written.
    pub(crate) place: Place,
    pub(crate) membership: &'a Membership,
}

impl RingOf<'_> {
    /// Who sits on a point.
    pub(crate) fn at(&self, point: u128) -> Option<u32> {
        self.seats.iter().find(|seat| seat.point.0 == point).map(|seat| seat.peer)
    }
}

/// The rings of a topology in the order of its groups. Members of what is no ring are left out.
pub(crate) fn rings<'a>(groups: &'a [Group], roster: &Roster<'a>) -> Vec<RingOf<'a>> {
    let described = groups.iter().filter_map(|group| {
        let membership = group.ring.as_ref().filter(|membership| membership.of.is_none())?;
        let circle = Circle::new(membership.bits).ok()?;
        let name = group.name.value.as_str();
        let belongs = |other: &Membership, its_group: &Group| match &other.of {
            Some(of) => of.value == name,
            None => its_group.name.value == name,
        };
        let mut seats = Vec::new();
        for (its_group, peers) in roster.groups() {
            let Some(other) = its_group.ring.as_ref().filter(|other| belongs(other, its_group)) else { continue };
            for (position, peer) in peers.enumerate() {
                let written = other.ids.as_ref().and_then(|ids| ids.get(position));
                let point = written.map_or_else(|| circle.hash(roster.name(peer).as_bytes()), |id| Point(id.value));
                let place = written.map_or(other.place, |id| id.place);
                seats.push(SeatOf { peer, point, place, membership: other });
            }
        }
        Some(RingOf { name, membership, circle, seats })
    });
    described.collect()
}
