//! The forms of the steps that disturb the network: `link`, `flap`, `partition` and `heal`.
//!
//! New figures of links may be relative; what they come to is computed here too, for the checks and for planning.

use super::{
    keys::{Form, Key, NAME_PATTERN, optional, required},
    links::{self, Fields, JITTER, LOSS, OVERHEAD, QUEUE, QueueFields},
    names,
    reader::{Reader, Section, Written},
    scenario::{SELECTION_COUNT, SELECTION_PEERS, Selection, read_selected},
    tree::{Node, Value},
};
use crate::{
    diagnose::{Place, Problem},
    plan::{CutDirection, Jitter, LinkState, Loss},
    units::{Factor, Rate, Share, Span},
};

mod amounts;

pub(crate) use amounts::resolve;
use amounts::{RELATIVE, read_amount};

/// New figures for links, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkChange {
    /// Whose links.
    pub selection: Selection,
    /// Whether everything earlier steps changed is undone first.
    pub reset: bool,
    /// For both directions.
    pub both: NewFields,
    /// Overrides from the peer to the core.
    pub up: NewFields,
    /// Overrides from the core to the peer.
    pub down: NewFields,
}

impl LinkChange {
    /// What is new from the peer to the core.
    #[must_use]
    pub fn up(&self) -> NewFields {
        self.up.or(self.both)
    }

    /// What is new from the core to the peer.
    #[must_use]
    pub fn down(&self) -> NewFields {
        self.down.or(self.both)
    }
}

/// New figures of one direction, as far as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NewFields {
    /// Whether anything gets through.
    pub state: Option<LinkState>,
    /// `Some(None)` is an explicit `unshaped`.
    pub rate: Option<Written<Option<Amount<Rate>>>>,
    /// Bytes of framing per packet.
    pub overhead: Option<Written<u32>>,
    /// The delay.
    pub delay: Option<Written<Amount<Span>>>,
    /// The whole jitter, or only its amount.
    pub jitter: Option<Written<Part<Jitter, Span>>>,
    /// The whole loss, or only its average.
    pub loss: Option<Written<Part<Loss, Share>>>,
    /// Share of packets that overtake.
    pub reorder: Option<Written<Amount<Share>>>,
    /// Share of packets delivered twice.
    pub duplicate: Option<Written<Amount<Share>>>,
    /// Share of packets in which one bit is flipped.
    pub corrupt: Option<Written<Amount<Share>>>,
    /// The queue.
    pub queue: Option<Written<QueueFields>>,
}

/// A figure, absolute or relative to what the class of link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount<T> {
    /// This much.
    To(T),
    /// This much more.
    More(T),
    /// This much less.
    Less(T),
    /// So many times as much.
    Times(Factor),
}

/// A value that is new as a whole, or in its most important part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part<T, U> {
    /// All of it.
    Whole(T),
    /// Its amount; the rest stays as the class of link says.
    Amount(Amount<U>),
}

impl NewFields {
    fn or(self, base: Self) -> Self {
        Self {
            state: self.state.or(base.state),
            rate: self.rate.or(base.rate),
            overhead: self.overhead.or(base.overhead),
            delay: self.delay.or(base.delay),
            jitter: self.jitter.or(base.jitter),
            loss: self.loss.or(base.loss),
            reorder: self.reorder.or(base.reorder),
            duplicate: self.duplicate.or(base.duplicate),
            corrupt: self.corrupt.or(base.corrupt),
            queue: self.queue.or(base.queue),
        }
    }
}

/// Links that go down and come back, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Flap {
    /// Whose links.
    pub selection: Selection,
    /// How long they are down each time; none where that could not be read.
    pub down_for: Option<Span>,
    /// How long they are up in between.
    pub up_for: Option<Span>,
    /// How often they go down.
    pub times: u32,
}

/// A partition as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Partition {
    /// Where the step's action stands.
    pub place: Place,
    /// What `heal` calls it.
    pub name: Option<Written<String>>,
    /// Groups, peers or regions of each side; one side alone is cut off from everybody else.
    pub sides: Vec<Vec<Written<String>>>,
    /// Which way is cut.
    pub direction: CutDirection,
}

/// The end of partitions, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Heal {
    /// Where the step's action stands.
    pub place: Place,
    /// The name of one; none for all.
    pub partition: Option<Written<String>>,
}

const RATE: Form = Form::Either(&[Form::Rate, Form::Words(&["unshaped"]), RELATIVE]);
const SPAN: Form = Form::Either(&[Form::Span, RELATIVE]);
const SHARE: Form = Form::Either(&[Form::Share, RELATIVE]);
const STATE: Form = Form::Words(&["up", "down"]);

const STATE_ABOUT: &str = "down: every packet is lost; up: the link does what its figures say (default unchanged)";
const DELAY_ABOUT: &str =
    "new delay, one way: 50ms; or relative to the link's own: +50ms, -5ms, x2 (default unchanged)";
const JITTER_ABOUT: &str = "new jitter: 5ms, +5ms, x2, keeping distribution and order; or a map as under `links` (default \
                            unchanged)";
const LOSS_ABOUT: &str = "new loss: 5%, +5%, x2, keeping bursts; or a map as under `links` (default unchanged)";
const SHARE_ABOUT: &str = "new share of packets: 5%, +5%, -1%, x2 (default unchanged)";
const QUEUE_ABOUT: &str = "new queue, as under `links` (default unchanged)";
const OVERHEAD_ABOUT: &str = "new bytes of framing per packet (default unchanged)";

pub(super) const LINK_KEYS: &[Key] = &[
    SELECTION_PEERS,
    SELECTION_COUNT,
    optional(
        "reset",
        Form::Boolean,
        "true: first undo what earlier steps changed, so that the link is as under `links` again (default false)",
    ),
    optional("up", DIRECTION, "from the peer to the core: a new rate (1mbit, +1mbit, x0.5, unshaped), or a map"),
    optional("down", DIRECTION, "from the core to the peer: a new rate (1mbit, +1mbit, x0.5, unshaped), or a map"),
    optional("state", STATE, STATE_ABOUT),
    optional("overhead", OVERHEAD, OVERHEAD_ABOUT),
    optional("delay", SPAN, DELAY_ABOUT),
    optional("jitter", Form::Either(&[JITTER, RELATIVE]), JITTER_ABOUT),
    optional("loss", Form::Either(&[LOSS, RELATIVE]), LOSS_ABOUT),
    optional("reorder", SHARE, SHARE_ABOUT),
    optional("duplicate", SHARE, SHARE_ABOUT),
    optional("corrupt", SHARE, SHARE_ABOUT),
    optional("queue", QUEUE, QUEUE_ABOUT),
];

const DIRECTION: Form =
    Form::Either(&[Form::Rate, Form::Words(&["unshaped"]), RELATIVE, Form::Section(DIRECTION_KEYS)]);

const DIRECTION_KEYS: &[Key] = &[
    optional("rate", RATE, "new rate: 1mbit; or relative to the link's own: +1mbit, -1mbit, x0.5; or unshaped"),
    optional("state", STATE, STATE_ABOUT),
    optional("overhead", OVERHEAD, OVERHEAD_ABOUT),
    optional("delay", SPAN, DELAY_ABOUT),
    optional("jitter", Form::Either(&[JITTER, RELATIVE]), JITTER_ABOUT),
    optional("loss", Form::Either(&[LOSS, RELATIVE]), LOSS_ABOUT),
    optional("reorder", SHARE, SHARE_ABOUT),
    optional("duplicate", SHARE, SHARE_ABOUT),
    optional("corrupt", SHARE, SHARE_ABOUT),
    optional("queue", QUEUE, QUEUE_ABOUT),
];

pub(super) const FLAP_KEYS: &[Key] = &[
    SELECTION_PEERS,
    SELECTION_COUNT,
    required("down-for", Form::Span, "how long the links are down each time: 2s"),
    optional("up-for", Form::Span, "how long they are up before they go down again (default as long as `down-for`)"),
    optional(
        "times",
        Form::Integer { min: 1, max: FLAPS_MAX },
        "how often they go down (default 1); the step ends when they are up for the last time",
    ),
];

pub(super) const PARTITION_KEYS: &[Key] = &[
    required(
        "sides",
        Form::List(&Form::Names),
        "two or more sides, each a group, peer or region or a list of them: [eu, [us, asia]]; one side alone is cut off \
         from everybody else",
    ),
    optional(
        "direction",
        Form::Words(&["both", "one-way"]),
        "one-way: only packets from the first side to the second are lost (default both)",
    ),
    optional(
        "name",
        Form::Pattern("name", NAME_PATTERN),
        "what `heal` calls it (default p0, p1, … in order of the scenario)",
    ),
];

pub(super) const HEAL_KEYS: &[Key] =
    &[optional("partition", Form::Name, "the partition that ends (default all that are in force)")];

/// Most flaps of one step; each makes four steps of the plan.
const FLAPS_MAX: u64 = 1_000;

pub(super) fn read_link(reader: &mut Reader, node: &Node, owner: Place) -> Option<LinkChange> {
    let section = reader.section(node, "`link`", owner, LINK_KEYS)?;
    let change = LinkChange {
        selection: read_selected(reader, &section),
        reset: section.value("reset").and_then(|node| reader.boolean(node)).unwrap_or(false),
        both: read_fields(reader, &section),
        up: section.value("up").map(|node| read_direction(reader, node, "`up`")).unwrap_or_default(),
        down: section.value("down").map(|node| read_direction(reader, node, "`down`")).unwrap_or_default(),
    };
    let says_something = LINK_KEYS.iter().any(|key| !is_selection(key.name) && section.value(key.name).is_some());
    if !says_something {
        let problem = Problem::new(owner, "this step changes nothing of the links");
        reader.problem(problem.hint("give `up`, `down`, `delay`, `loss`, `state`, … or `reset: true`"));
    }
    Some(change)
}

fn is_selection(key: &str) -> bool {
    matches!(key, "peers" | "count")
}

fn read_direction(reader: &mut Reader, node: &Node, what: &str) -> NewFields {
    if !matches!(node.value, Value::Map(_)) {
        return NewFields { rate: read_rate(reader, node), ..NewFields::default() };
    }
    match reader.section(node, what, node.place, DIRECTION_KEYS) {
        Some(section) => NewFields {
            rate: section.value("rate").and_then(|node| read_rate(reader, node)),
            ..read_fields(reader, &section)
        },
        None => NewFields::default(),
    }
}

fn read_rate(reader: &mut Reader, node: &Node) -> Option<Written<Option<Amount<Rate>>>> {
    if amounts::is_relative(node) {
        let amount = read_amount::<Rate>(reader, node)?;
        return Some(Written { value: Some(amount.value), place: amount.place });
    }
    let rate = links::read_rate(reader, node)?;
    Some(Written { value: rate.value.map(Amount::To), place: rate.place })
}

fn read_fields(reader: &mut Reader, section: &Section<'_>) -> NewFields {
    let states = [("up", LinkState::Up), ("down", LinkState::Down)];
    let state = section.value("state").and_then(|node| reader.word(node, "state of a link", &states));
    NewFields {
        state: state.map(|state| state.value),
        rate: None,
        overhead: section.value("overhead").and_then(|node| links::read_overhead(reader, node)),
        delay: section.value("delay").and_then(|node| read_amount(reader, node)),
        jitter: section.value("jitter").and_then(|node| read_part(reader, node, links::read_jitter)),
        loss: section.value("loss").and_then(|node| read_part(reader, node, links::read_loss)),
        reorder: section.value("reorder").and_then(|node| read_amount(reader, node)),
        duplicate: section.value("duplicate").and_then(|node| read_amount(reader, node)),
        corrupt: section.value("corrupt").and_then(|node| read_amount(reader, node)),
        queue: section.value("queue").and_then(|node| links::read_queue(reader, node)),
    }
}

/// A map is the whole value, everything else its amount.
fn read_part<T, U: amounts::Figure>(
    reader: &mut Reader,
    node: &Node,
    whole: fn(&mut Reader, &Node) -> Option<Written<T>>,
) -> Option<Written<Part<T, U>>> {
    if let Value::Map(_) = node.value {
        return whole(reader, node).map(|it| Written { value: Part::Whole(it.value), place: it.place });
    }
    read_amount(reader, node).map(|it| Written { value: Part::Amount(it.value), place: it.place })
}

pub(super) fn read_flap(reader: &mut Reader, node: &Node, owner: Place) -> Option<Flap> {
    let section = reader.section(node, "`flap`", owner, FLAP_KEYS)?;
    let mut span = |key: &str| {
        let span = section.value(key).and_then(|node| reader.quantity::<Span>(node))?;
        if span.value.0.is_zero() {
            reader.problem(Problem::new(span.place, "nobody notices a link that flaps in no time").hint("such as 2s"));
        }
        Some(span.value)
    };
    let (down_for, up_for) = (span("down-for"), span("up-for"));
    let times = section.value("times").and_then(|node| reader.integer(node, "number of times", 1..=FLAPS_MAX));
    let times = u32::try_from(times.map_or(1, |times| times.value)).expect("at most FLAPS_MAX");
    Some(Flap { selection: read_selected(reader, &section), down_for, up_for: up_for.or(down_for), times })
}

pub(super) fn read_partition(reader: &mut Reader, node: &Node, owner: Place) -> Option<Partition> {
    let section = reader.section(node, "`partition`", owner, PARTITION_KEYS)?;
    let items = section.value("sides").and_then(|node| reader.list(node, "`sides`"));
    if let Some([]) = items {
        reader.problem(Problem::new(section.key_place("sides"), "there are no sides").hint("such as [eu, [us, asia]]"));
    }
    let sides: Vec<_> = items.unwrap_or_default().iter().filter_map(|item| reader.names(item, "a side")).collect();
    let directions = [("both", CutDirection::Both), ("one-way", CutDirection::OneWay)];
    let direction = section.value("direction").and_then(|node| reader.word(node, "direction", &directions));
    if let Some(place) = direction.filter(|it| it.value == CutDirection::OneWay && sides.len() > 2).map(|it| it.place) {
        let problem = Problem::new(place, format!("one way between {} sides is not clear", sides.len()));
        reader.problem(problem.hint("give two sides, or make more partitions"));
    }
    let name = section.value("name").and_then(|node| reader.text(node, "the name of a partition"));
    if let Some(name) = &name {
        names::check_written(reader, name, "partition");
    }
    let direction = direction.map_or(CutDirection::Both, |direction| direction.value);
    Some(Partition { place: owner, name, sides, direction })
}

pub(super) fn read_heal(reader: &mut Reader, node: &Node, owner: Place) -> Option<Heal> {
    let section = reader.section(node, "`heal`", owner, HEAL_KEYS)?;
    let partition = section.value("partition").and_then(|node| reader.text(node, "the name of a partition"));
    Some(Heal { place: owner, partition })
}

/// What a change means for links of a class, in both directions; and why it is impossible.
pub(crate) fn resolve_both(class: &super::Link, change: &LinkChange) -> ([crate::plan::Changes; 2], Vec<Problem>) {
    let mut problems = Vec::new();
    let name = &class.name.value;
    let mut one =
        |fields: &Fields, new: NewFields, way| resolve(&mut problems, &format!("link `{name}` {way}"), fields, new);
    let changes = [one(&class.up(), change.up(), "up"), one(&class.down(), change.down(), "down")];
    (changes, problems)
}
