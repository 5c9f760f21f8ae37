//! The form of `scenario:`: what happens when.
//!
//! A step is a map with one action and at most one of `at`, `after` and `when`; with none of them it comes when the
//! step before it has ended.

use super::{
    arrivals::{self, Arrivals},
    churn::{self, Churn},
    conditions,
    faults::{self, FLAP_KEYS, Flap, HEAL_KEYS, Heal, LINK_KEYS, LinkChange, PARTITION_KEYS, Partition},
    keys::{Form, Key, NAME_PATTERN, optional, required},
    names,
    options::{self, WrittenOptions},
    queries::{self, Queries, QueryKind},
    reader::{Reader, Section, Written},
    tree::Node,
};
use crate::{
    diagnose::{Place, Problem},
    expect::{Condition, Selector},
    plan::Via,
    units::Span,
};

/// A step as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where the step stands.
    pub place: Place,
    /// When it happens.
    pub timing: Timing,
    /// What happens; none where that could not be read.
    pub action: Option<Action>,
}

/// When a step happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Timing {
    /// When the step before it has ended; the first one at once.
    Next,
    /// So long after the scenario's start.
    At(Written<Span>),
    /// When the step before it has ended: `previous`; or when the named distribution has.
    After(Written<String>),
    /// When a condition holds.
    When(Written<Condition>),
}

/// What a step does.
#[expect(clippy::large_enum_variant, reason = "there are few steps, and boxes would show in every match on them")]
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Spread a file.
    Distribute(Distribute),
    /// Bring up processes.
    Start(Selection),
    /// Kill processes.
    Crash(Selection),
    /// Ask peers to leave.
    Leave(Selection),
    /// Bring peers up and into the running distributions.
    Join(Selection),
    /// Let time pass.
    Wait(Written<Span>),
    /// Wait for programs to complete.
    Await(Vec<Written<String>>),
    /// Let peers come and go.
    Churn(Churn),
    /// Ask something of a ring.
    Query(Queries),
    /// Wait until a ring is right.
    Settle(Written<String>),
    /// Give links other figures.
    Link(LinkChange),
    /// Let links go down and come back.
    Flap(Flap),
    /// Cut sets of peers off from each other.
    Partition(Partition),
    /// End partitions.
    Heal(Heal),
    /// Stop processes where they are.
    Pause(Selection),
    /// Let stopped processes go on.
    Resume(Selection),
}

/// A distribution as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribute {
    /// Name of a file; none where that could not be read.
    pub file: Option<Written<String>>,
    /// Groups and peers that have it.
    pub from: Vec<Written<String>>,
    /// Groups and peers that shall have it.
    pub to: Vec<Written<String>>,
    /// How it is spread; none where that could not be read.
    pub via: Option<Written<Via>>,
    /// The name that conditions use, where it is not the file's.
    pub name: Option<Written<String>>,
    /// The peer that tracks the swarm, where there are several trackers.
    pub tracker: Option<Written<String>>,
    /// How peers find each other, where it is written.
    pub discovery: Option<Written<Discovery>>,
    /// Behaviour of every participant of a swarm.
    pub options: WrittenOptions,
}

/// How the peers of a swarm find each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// They ask a tracker. The default.
    Tracker,
    /// They are members of a ring, in which the owner of the content's name stands in for a tracker.
    Ring,
}

impl Distribute {
    /// Whether the peers find each other by their ring.
    #[must_use]
    pub fn is_trackerless(&self) -> bool {
        self.discovery.is_some_and(|discovery| discovery.value == Discovery::Ring)
    }

    /// The name that conditions use, where it is known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().or(self.file.as_ref()).map(|name| name.value.as_str())
    }

    /// Whether a condition looks at this distribution.
    pub(crate) fn is_selected(&self, selector: &Selector) -> bool {
        self.name().zip(self.via).is_some_and(|(name, via)| selector.selects(name, via.value))
    }

    /// Whether `after: reference` means this distribution, by `NAME` or `NAME.VIA`.
    pub(crate) fn is_called(&self, reference: &str) -> bool {
        let Some((name, via)) = self.name().zip(self.via) else { return false };
        let suffix = match via.value {
            Via::Swarm => ".swarm",
            Via::ClientServer => ".client-server",
        };
        reference.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest == suffix)
    }
}

/// Peers that something happens to.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Groups and peers.
    pub peers: Vec<Written<String>>,
    /// So many of them, chosen by the seed; none for all.
    pub count: Option<Written<u64>>,
    /// How their coming is spread over time, for those who come; none for all at once.
    pub arrivals: Option<Written<Arrivals>>,
}

const KEYS: &[Key] = &[
    optional("at", Form::Span, "happens this long after the scenario's start: 20s"),
    optional(
        "after",
        Form::Pattern("`previous`, or the name of a distribution", AFTER_PATTERN),
        "happens when this has ended: previous, or the name of a distribution",
    ),
    optional("when", Form::Text, "happens when this condition holds: distribution.release.progress >= 50%"),
    optional("distribute", Form::Section(DISTRIBUTE_KEYS), "spread a file"),
    optional(
        "start",
        Form::Section(ENTRANCE_KEYS),
        "bring up the processes of peers that are down; they take part in nothing yet",
    ),
    optional("crash", Form::Section(SELECTION_KEYS), "kill the processes of peers without warning"),
    optional("leave", Form::Section(SELECTION_KEYS), "ask peers to leave in good order"),
    optional(
        "join",
        Form::Section(ENTRANCE_KEYS),
        "bring up peers and let them enter every running distribution addressed to them",
    ),
    optional(
        "churn",
        Form::Section(churn::KEYS),
        "let peers go and come back by the lengths of their sessions, all drawn before the run; who comes back enters as \
         with `join`",
    ),
    optional("lookups", Form::Section(queries::LOOKUPS_KEYS), "ask members of a ring who owns keys"),
    optional("put", Form::Section(queries::PUT_KEYS), "write records to a ring"),
    optional("get", Form::Section(queries::GET_KEYS), "read records from a ring"),
    optional(
        "wait",
        Form::Section(WAIT_KEYS),
        "let time pass, or wait for programs to complete or for a ring to be right",
    ),
    optional("link", Form::Section(LINK_KEYS), "give the links of peers other figures, from now on"),
    optional("flap", Form::Section(FLAP_KEYS), "let the links of peers go down and come back"),
    optional("partition", Form::Section(PARTITION_KEYS), "cut sets of peers off from each other, until `heal`"),
    optional("heal", Form::Section(HEAL_KEYS), "end partitions; {} ends all"),
    optional("pause", Form::Section(SELECTION_KEYS), "stop the processes of peers where they are (SIGSTOP)"),
    optional("resume", Form::Section(SELECTION_KEYS), "let the processes of paused peers go on (SIGCONT)"),
];

const ACTIONS: &[&str] = &[
    "distribute",
    "start",
    "crash",
    "leave",
    "join",
    "churn",
    "lookups",
    "put",
    "get",
    "wait",
    "link",
    "flap",
    "partition",
    "heal",
    "pause",
    "resume",
];
const TIMINGS: &[&str] = &["at", "after", "when"];

/// A distribution's name, or its name and its way of spreading.
const AFTER_PATTERN: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.](swarm|client-server))?$";

const DISTRIBUTE_KEYS: &[Key] = &[
    required("file", Form::Name, "name of an entry under `files:`"),
    required("from", Form::Names, "groups or peers that have the file: seeds, or the one server"),
    required("to", Form::Names, "groups or peers that shall have the file"),
    required("via", Form::Words(&["swarm", "client-server"]), "how it is spread: swarm or client-server"),
    optional(
        "name",
        Form::Pattern("name", NAME_PATTERN),
        "what conditions call this distribution (default the file's name)",
    ),
    optional("tracker", Form::Name, "the peer that tracks the swarm, where there are several trackers"),
    optional(
        "discovery",
        Form::Words(&["tracker", "ring"]),
        "how the peers of a swarm find each other: by a tracker, or trackerless by the ring that all of them are in, where \
         the owner of the content's name keeps the list (default tracker)",
    ),
    optional("options", Form::Other("map, see below", options::schema), "behaviour of every participant of a swarm"),
];

const SELECTION_KEYS: &[Key] = &[SELECTION_PEERS, SELECTION_COUNT];
const ENTRANCE_KEYS: &[Key] = &[SELECTION_PEERS, SELECTION_COUNT, arrivals::ARRIVALS];

pub(super) const SELECTION_PEERS: Key = required("peers", Form::Names, "groups or peers");
pub(super) const SELECTION_COUNT: Key = optional(
    "count",
    Form::Integer { min: 1, max: super::groups::PEERS_MAX },
    "so many of them, chosen by the seed (default all)",
);

const WAIT_KEYS: &[Key] = &[
    optional("for", Form::Span, "how long: 5s"),
    optional("programs", Form::Names, "in place of for: groups or peers whose programs (`exec`) have to complete"),
    optional("ring", Form::Name, "in place of for: the ring of which every live member has to have the right pointers"),
];

/// Most steps of a scenario.
const STEPS_MAX: usize = 1_000;

/// The form of a step.
pub(super) const FORM: Form = Form::Limited(KEYS, schema);

fn schema() -> serde_json::Value {
    let mut schema = super::keys::section_schema(KEYS);
    let one_of =
        |names: &[&str]| names.iter().map(|name| serde_json::json!({ "required": [name] })).collect::<Vec<_>>();
    schema["oneOf"] = one_of(ACTIONS).into();
    let pairs = [["at", "after"], ["at", "when"], ["after", "when"]];
    schema["not"] = serde_json::json!({ "anyOf": pairs.map(|pair| serde_json::json!({ "required": pair })) });
    schema
}

pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Vec<Step>> {
    let items = reader.list(node, "`scenario`")?;
    if items.is_empty() {
        reader.problem(Problem::new(node.place, "the scenario is empty").hint("give at least one step"));
    }
    if items.len() > STEPS_MAX {
        reader.problem(Problem::new(node.place, format!("{} steps are more than {STEPS_MAX}", items.len())));
    }
    Some(items.iter().map(|item| read_step(reader, item)).collect())
}

fn read_step(reader: &mut Reader, node: &Node) -> Step {
    let unread = Step { place: node.place, timing: Timing::Next, action: None };
    let Some(section) = reader.section(node, "a step", node.place, KEYS) else { return unread };
    let place = first_key(&section).unwrap_or(node.place);
    let timing = read_timing(reader, &section);
    let actions: Vec<&str> = ACTIONS.iter().copied().filter(|action| section.value(action).is_some()).collect();
    let action = match actions.as_slice() {
        [action] => read_action(reader, &section, action),
        [] => {
            let problem = Problem::new(place, "this step does nothing");
            reader.problem(problem.hint(format!("give it one of {}", ACTIONS.join(", "))));
            None
        }
        [first, second, ..] => {
            let message = format!("a step does one thing, not `{first}` and `{second}`");
            reader.problem(Problem::new(section.key_place(second), message).hint("make two steps of it"));
            // Each is read for its own problems.
            let mut read: Vec<_> = actions.iter().map(|action| read_action(reader, &section, action)).collect();
            read.swap_remove(0)
        }
    };
    Step { place, timing, action }
}

fn first_key(section: &Section<'_>) -> Option<Place> {
    KEYS.iter().filter(|key| section.value(key.name).is_some()).map(|key| section.key_place(key.name)).min()
}

fn read_timing(reader: &mut Reader, section: &Section<'_>) -> Timing {
    let timings: Vec<&str> = TIMINGS.iter().copied().filter(|timing| section.value(timing).is_some()).collect();
    if let [first, second, ..] = timings.as_slice() {
        let message = format!("a step happens once, not both `{first}` and `{second}`");
        reader.problem(Problem::new(section.key_place(second), message).hint("keep one of them"));
    }
    let at = section.value("at").and_then(|node| reader.quantity(node)).map(Timing::At);
    let after = section.value("after").and_then(|node| reader.text(node, "what to wait for")).map(Timing::After);
    let when = section.value("when").and_then(|node| conditions::read_live(reader, node)).map(Timing::When);
    at.or(after).or(when).unwrap_or(Timing::Next)
}

fn read_action(reader: &mut Reader, section: &Section<'_>, name: &str) -> Option<Action> {
    let node = section.value(name)?;
    let owner = section.key_place(name);
    match name {
        "distribute" => read_distribute(reader, node, owner).map(Action::Distribute),
        "start" => read_entrance(reader, node, name, owner).map(Action::Start),
        "crash" => read_selection(reader, node, name, owner).map(Action::Crash),
        "leave" => read_selection(reader, node, name, owner).map(Action::Leave),
        "join" => read_entrance(reader, node, name, owner).map(Action::Join),
        "churn" => churn::read(reader, node, owner).map(Action::Churn),
        "lookups" => queries::read(reader, node, QueryKind::Lookups, owner).map(Action::Query),
        "put" => queries::read(reader, node, QueryKind::Put, owner).map(Action::Query),
        "get" => queries::read(reader, node, QueryKind::Get, owner).map(Action::Query),
        "link" => faults::read_link(reader, node, owner).map(Action::Link),
        "flap" => faults::read_flap(reader, node, owner).map(Action::Flap),
        "partition" => faults::read_partition(reader, node, owner).map(Action::Partition),
        "heal" => faults::read_heal(reader, node, owner).map(Action::Heal),
        "pause" => read_selection(reader, node, name, owner).map(Action::Pause),
        "resume" => read_selection(reader, node, name, owner).map(Action::Resume),
        _ => read_wait(reader, node, owner),
    }
}

fn read_distribute(reader: &mut Reader, node: &Node, owner: Place) -> Option<Distribute> {
    let section = reader.section(node, "`distribute`", owner, DISTRIBUTE_KEYS)?;
    let vias = [("swarm", Via::Swarm), ("client-server", Via::ClientServer)];
    let file = section.value("file").and_then(|node| reader.text(node, "the name of a file"));
    let from = section.value("from").and_then(|node| reader.names(node, "`from`"));
    let to = section.value("to").and_then(|node| reader.names(node, "`to`"));
    let via = section.value("via").and_then(|node| reader.word(node, "way to spread a file", &vias));
    let name = section.value("name").and_then(|node| reader.text(node, "the name of a distribution"));
    if let Some(name) = &name {
        names::check_written(reader, name, "distribution");
        if name.value == PREVIOUS {
            let problem = Problem::new(name.place, "a distribution cannot be called `previous`");
            reader.problem(problem.hint("`after: previous` means the step before"));
        }
    }
    let tracker = section.value("tracker").and_then(|node| reader.text(node, "the name of a peer"));
    let discoveries = [("tracker", Discovery::Tracker), ("ring", Discovery::Ring)];
    let discovery = section.value("discovery").and_then(|node| reader.word(node, "way to find peers", &discoveries));
    let options = options::of(reader, &section);
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    Some(Distribute { file, from, to, via, name, tracker, discovery, options })
}

/// What `after:` calls the step before.
pub(super) const PREVIOUS: &str = "previous";

fn read_selection(reader: &mut Reader, node: &Node, action: &str, owner: Place) -> Option<Selection> {
    let section = reader.section(node, &format!("`{action}`"), owner, SELECTION_KEYS)?;
    Some(read_selected(reader, &section))
}

/// As [`read_selection`], for peers that come.
fn read_entrance(reader: &mut Reader, node: &Node, action: &str, owner: Place) -> Option<Selection> {
    let section = reader.section(node, &format!("`{action}`"), owner, ENTRANCE_KEYS)?;
    let arrivals = arrivals::of(reader, &section);
    Some(Selection { arrivals, ..read_selected(reader, &section) })
}

/// Reads the keys that say whom an action is for.
pub(super) fn read_selected(reader: &mut Reader, section: &Section<'_>) -> Selection {
    let peers = section.value("peers").and_then(|node| reader.names(node, "`peers`"));
    let count = section.value("count").and_then(|node| reader.integer(node, "number of peers", 1..=u64::MAX));
    Selection { peers: peers.unwrap_or_default(), count, arrivals: None }
}

fn read_wait(reader: &mut Reader, node: &Node, owner: Place) -> Option<Action> {
    let section = reader.section(node, "`wait`", owner, WAIT_KEYS)?;
    let given: Vec<&str> = ["for", "programs", "ring"].into_iter().filter(|key| section.value(key).is_some()).collect();
    match given.as_slice() {
        ["for"] => reader.quantity(section.value("for")?).map(Action::Wait),
        ["programs"] => reader.names(section.value("programs")?, "`programs`").map(Action::Await),
        ["ring"] => reader.text(section.value("ring")?, "the name of a group").map(Action::Settle),
        [first, second, ..] => {
            let message = format!("both `{first}` and `{second}` are given");
            reader.problem(Problem::new(section.key_place(second), message).hint("make two steps of it"));
            None
        }
        _ => {
            let problem = Problem::new(owner, "`wait` lacks `for`");
            reader.problem(problem.hint("how long: 5s; or `programs`, which have to complete; or a `ring`"));
            None
        }
    }
}
