//! The form of `exec:`: a program of somebody else's that runs as a peer.
//!
//! Placeholders in its texts are found here; planning puts names and addresses in their place, the testbed paths.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    keys::{Form, Key, optional, required},
    reader::{Reader, Written, unknown_name},
    roster::{Found, Roster},
    tree::{Node, Value},
};
use crate::{
    diagnose::{Place, Problem, suggestion},
    plan::ExpectedExit,
    units::Span,
};

/// A program as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Where `exec` stands.
    pub place: Place,
    /// What tables call it, where it is not the last part of the command.
    pub name: Option<String>,
    /// What the host must have for it.
    pub requires: Option<Requires>,
    /// Where its copy of a distributed file is, where it is not the file's name.
    pub output: Option<Written<String>>,
    /// What is started; none where that could not be read.
    pub command: Option<Written<String>>,
    /// Its arguments.
    pub arguments: Vec<Written<String>>,
    /// Variables of its environment.
    pub environment: BTreeMap<String, Written<String>>,
    /// What shows that it can be used.
    pub ready: Ready,
    /// How long that may take; none for the default.
    pub ready_within: Option<Span>,
    /// What shows that it has done its work.
    pub complete: Option<Completion>,
    /// How it has to end.
    pub exit: ExpectedExit,
}

/// A requirement as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requires {
    /// A program and its arguments, which must succeed; empty for the program itself.
    pub check: Vec<Written<String>>,
    /// How to get what is missing.
    pub install: Option<String>,
}

/// Readiness as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Ready {
    /// That it was started.
    Started,
    /// A line with this text.
    Line(String),
    /// A connection to this port.
    Tcp(u16),
    /// A file.
    File(Written<String>),
}

/// Completion as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Completion {
    /// Its end.
    Exit,
    /// A line with this text.
    Line(String),
    /// A file, perhaps with the bytes of the named one.
    File(Written<String>, Option<Written<String>>),
}

impl Program {
    /// Every text in which placeholders may stand.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Written<String>> {
        let ready = match &self.ready {
            Ready::File(path) => Some(path),
            Ready::Started | Ready::Line(_) | Ready::Tcp(_) => None,
        };
        let complete = match &self.complete {
            Some(Completion::File(path, _)) => Some(path),
            Some(Completion::Exit | Completion::Line(_)) | None => None,
        };
        let texts = self.command.iter().chain(&self.arguments).chain(self.environment.values());
        texts.chain(ready).chain(complete).chain(&self.output)
    }
}

/// Something in braces that stands for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder<'a> {
    /// `{name}`: the peer's name.
    Name,
    /// `{group}`: its group's name.
    Group,
    /// `{id}`: its number in the plan, from 1.
    Id,
    /// `{address}`: its address.
    Address,
    /// `{address.NAME}`: the address of another peer.
    AddressOf(&'a str),
    /// `{peers}`: the addresses of all other peers of its group, with commas between.
    Peers,
    /// `{peers.NAME}`: the addresses of a group.
    PeersOf(&'a str),
    /// `{directory}`: the peer's own directory.
    Directory,
    /// `{file.NAME}`: the path of a file of the topology.
    File(&'a str),
    /// `{torrent.NAME}`: the path of a torrent of such a file.
    Torrent(&'a str),
    /// Anything else that looks like one.
    Unknown(&'a str),
}

const PLACEHOLDERS: &[&str] = &[
    "name",
    "group",
    "id",
    "address",
    "address.PEER",
    "peers",
    "peers.GROUP",
    "directory",
    "file.NAME",
    "torrent.NAME",
];

/// Cuts a text into plain parts and placeholders. Braces around anything but small letters, digits, `.` and `-` are plain.
pub(crate) fn parts(text: &str) -> Vec<Result<&str, Placeholder<'_>>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, inner, after)) = next(rest) {
        if !before.is_empty() {
            parts.push(Ok(before));
        }
        parts.push(Err(placeholder(inner)));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Ok(rest));
    }
    parts
}

fn next(text: &str) -> Option<(&str, &str, &str)> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let inner_end = text[open + 1..].find(|c: char| !is_inner(c)).map(|at| open + 1 + at);
        match inner_end.filter(|end| *end > open + 1 && text[*end..].starts_with('}')) {
            Some(end) => return Some((&text[..open], &text[open + 1..end], &text[end + 1..])),
            None => from = open + 1,
        }
    }
    None
}

fn placeholder(inner: &str) -> Placeholder<'_> {
    match (inner, inner.split_once('.')) {
        ("name", _) => Placeholder::Name,
        ("group", _) => Placeholder::Group,
        ("id", _) => Placeholder::Id,
        ("address", _) => Placeholder::Address,
        ("peers", _) => Placeholder::Peers,
        ("directory", _) => Placeholder::Directory,
        (_, Some(("address", name))) => Placeholder::AddressOf(name),
        (_, Some(("peers", name))) => Placeholder::PeersOf(name),
        (_, Some(("file", name))) => Placeholder::File(name),
        (_, Some(("torrent", name))) => Placeholder::Torrent(name),
        _ => Placeholder::Unknown(inner),
    }
}

pub(super) const KEYS: &[Key] = &[
    required("command", Form::Text, "the program: a path, or a name looked for in PATH"),
    optional("name", Form::Name, "what tables call the program (default the last part of the command)"),
    optional(
        "requires",
        Form::Section(REQUIRES_KEYS),
        "what this host must have: without it, distributions among such peers are skipped, with the reason, in place of \
         failing the run (default nothing: a program that is missing fails the run)",
    ),
    optional("arguments", Form::List(&Form::Text), "its arguments, one text each (default none)"),
    optional(
        "environment",
        Form::Other("map of variables; text", environment_schema),
        "variables added to its environment (default none)",
    ),
    optional(
        "ready",
        Form::Either(&[Form::Words(&["started"]), Form::Section(READY_KEYS)]),
        "what shows that it can be used: { line: TEXT }, { tcp: PORT } or { file: PATH } (default started)",
    ),
    optional(
        "ready-within",
        Form::Span,
        "the run fails when it is not ready by then (default 30s, as for Peerbed's own peers)",
    ),
    optional(
        "complete",
        Form::Either(&[Form::Words(&["exit"]), Form::Section(COMPLETE_KEYS)]),
        "what shows that it has done its work: exit, { line: TEXT } or { file: PATH } (default nothing: it never does)",
    ),
    optional(
        "output",
        Form::Text,
        "where its copy of a distributed file is, relative to the peer's directory (default the file's name); it is read \
         back at the end of the distribution",
    ),
    optional(
        "exit",
        Form::Either(&[Form::Integer { min: 0, max: 255 }, Form::Words(&["any"])]),
        "exit code that it has to have when it ends without being asked to, or any (default 0); anything else fails the run",
    ),
];

const REQUIRES_KEYS: &[Key] = &[
    optional(
        "check",
        Form::List(&Form::Text),
        "a program and its arguments, which must end with success (default: the program is found in PATH)",
    ),
    optional("install", Form::Text, "how to get what is missing, for the reader of the reason"),
];

const READY_KEYS: &[Key] = &[
    optional("line", Form::Text, "a line of its output that contains this text"),
    optional("tcp", Form::Integer { min: 1, max: 65_535 }, "a TCP port of its address that takes a connection"),
    optional("file", Form::Text, "a file that appears, relative to the peer's directory"),
];

const COMPLETE_KEYS: &[Key] = &[
    optional("line", Form::Text, "a line of its output that contains this text"),
    optional("file", Form::Text, "a file that appears, relative to the peer's directory"),
    optional("same-as", Form::Name, "with file: an entry under `files:` whose bytes it must have (default any bytes)"),
];

fn environment_schema() -> serde_json::Value {
    json!({ "type": "object", "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        "additionalProperties": { "type": "string" } })
}

pub(super) fn read(reader: &mut Reader, node: &Node, owner: Place) -> Option<Program> {
    let section = reader.section(node, "`exec`", owner, KEYS)?;
    let items = section.value("arguments").and_then(|node| reader.list(node, "`arguments`")).unwrap_or_default();
    let ready_within = section.value("ready-within").and_then(|node| reader.quantity::<Span>(node));
    Some(Program {
        place: owner,
        name: section.value("name").and_then(|node| reader.text(node, "a name")).map(|name| name.value),
        requires: section.value("requires").and_then(|node| read_requires(reader, node)),
        output: section.value("output").and_then(|node| reader.text(node, "a path")),
        command: section.value("command").and_then(|node| reader.text(node, "a program")),
        arguments: items.iter().filter_map(|item| reader.text(item, "an argument")).collect(),
        environment: section.value("environment").map(|node| read_environment(reader, node)).unwrap_or_default(),
        ready: section.value("ready").and_then(|node| read_ready(reader, node)).unwrap_or(Ready::Started),
        ready_within: ready_within.map(|span| span.value),
        complete: section.value("complete").and_then(|node| read_completion(reader, node)),
        exit: section.value("exit").and_then(|node| read_exit(reader, node)).unwrap_or(ExpectedExit::Code(0)),
    })
}

fn read_requires(reader: &mut Reader, node: &Node) -> Option<Requires> {
    let section = reader.section(node, "`requires`", node.place, REQUIRES_KEYS)?;
    let words = section.value("check").and_then(|node| reader.list(node, "`check`")).unwrap_or_default();
    Some(Requires {
        check: words.iter().filter_map(|word| reader.text(word, "a word of a command")).collect(),
        install: section.value("install").and_then(|node| reader.text(node, "a text")).map(|text| text.value),
    })
}

fn read_environment(reader: &mut Reader, node: &Node) -> BTreeMap<String, Written<String>> {
    let mut environment = BTreeMap::new();
    for entry in reader.entries(node, "`environment`").unwrap_or_default() {
        let key = entry.key.as_str();
        let is_name = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if key.is_empty() || !is_name || key.starts_with(|c: char| c.is_ascii_digit()) {
            let problem = Problem::new(entry.place, format!("`{key}` cannot be the name of a variable"));
            reader.problem(problem.hint("use letters, digits and `_`"));
        } else if let Some(value) = reader.text(&entry.value, "the value of a variable") {
            environment.insert(entry.key.clone(), value);
        }
    }
    environment
}

/// The one key of a map that says one thing; more or none are reported.
fn one_of<'a>(
    reader: &mut Reader,
    node: &'a Node,
    what: &str,
    keys: &'static [Key],
    choices: &[&'static str],
) -> Option<(&'static str, &'a Node)> {
    let section = reader.section(node, what, node.place, keys)?;
    let given: Vec<_> = choices.iter().filter_map(|key| Some((*key, section.value(key)?))).collect();
    if let [one] = given.as_slice() {
        return Some(*one);
    }
    let message = if given.is_empty() { format!("{what} says nothing") } else { format!("{what} says two things") };
    reader.problem(Problem::new(node.place, message).hint(format!("give one of {}", choices.join(", "))));
    None
}

fn read_ready(reader: &mut Reader, node: &Node) -> Option<Ready> {
    if !matches!(node.value, Value::Map(_)) {
        return reader.word(node, "readiness", &[("started", ())]).map(|_| Ready::Started);
    }
    match one_of(reader, node, "`ready`", READY_KEYS, &["line", "tcp", "file"])? {
        ("line", line) => reader.text(line, "a text").map(|text| Ready::Line(text.value)),
        ("tcp", port) => {
            let port = reader.integer(port, "TCP port", 1..=65_535)?;
            Some(Ready::Tcp(u16::try_from(port.value).expect("at most 65535")))
        }
        (_, path) => reader.text(path, "a path").map(Ready::File),
    }
}

fn read_completion(reader: &mut Reader, node: &Node) -> Option<Completion> {
    let Value::Map(entries) = &node.value else {
        return reader.word(node, "completion", &[("exit", ())]).map(|_| Completion::Exit);
    };
    let same_as = entries.iter().find(|entry| entry.key == "same-as");
    let same_as = same_as.and_then(|entry| reader.text(&entry.value, "the name of a file"));
    match one_of(reader, node, "`complete`", COMPLETE_KEYS, &["line", "file"])? {
        ("line", line) => {
            if let Some(same_as) = &same_as {
                let problem = Problem::new(same_as.place, "a line is not compared with a file");
                reader.problem(problem.hint("`same-as` goes with `file`"));
            }
            reader.text(line, "a text").map(|text| Completion::Line(text.value))
        }
        (_, path) => reader.text(path, "a path").map(|path| Completion::File(path, same_as)),
    }
}

fn read_exit(reader: &mut Reader, node: &Node) -> Option<ExpectedExit> {
    if matches!(&node.value, Value::Scalar(scalar) if scalar.text == "any") {
        return Some(ExpectedExit::Any);
    }
    let code = reader.integer(node, "exit code", 0..=255)?;
    Some(ExpectedExit::Code(u8::try_from(code.value).expect("at most 255")))
}

/// Reports placeholders that stand for nothing, and files that there are not.
pub(super) fn check<'a>(
    reader: &mut Reader,
    program: &Program,
    roster: &Roster<'_>,
    files: impl Iterator<Item = &'a str> + Clone,
) {
    for text in program.texts() {
        for placeholder in parts(&text.value).into_iter().filter_map(Result::err) {
            let named = |name: &str| Written { value: name.to_owned(), place: text.place };
            match placeholder {
                Placeholder::AddressOf(name) => match roster.find(name) {
                    Found::Peers(range) if range.len() != 1 => {
                        let message = format!("`{name}` is {} peers, and an address is that of one", range.len());
                        let hint = format!("such as {{address.{}}}, or {{peers.{name}}}", roster.name(range.start));
                        reader.problem(Problem::new(text.place, message).hint(hint));
                    }
                    Found::Nobody => reader.problem(unknown_name(&named(name), "peer", roster.names())),
                    Found::Peers(_) | Found::Unclear => {}
                },
                Placeholder::PeersOf(name) if roster.find(name) == Found::Nobody => {
                    reader.problem(unknown_name(&named(name), "group or peer", roster.names()));
                }
                Placeholder::File(name) | Placeholder::Torrent(name) if !files.clone().any(|known| known == name) => {
                    reader.problem(unknown_name(&named(name), "file", files.clone()));
                }
                Placeholder::Unknown(inner) => {
                    let problem = Problem::new(text.place, format!("`{{{inner}}}` stands for nothing"));
                    let hint = suggestion(inner, PLACEHOLDERS.iter().copied());
                    reader.problem(Problem { hint, ..problem });
                }
                Placeholder::Name
                | Placeholder::Group
                | Placeholder::Id
                | Placeholder::Address
                | Placeholder::Peers
                | Placeholder::PeersOf(_)
                | Placeholder::Directory
                | Placeholder::File(_)
                | Placeholder::Torrent(_) => {}
            }
        }
    }
    if let Some(Completion::File(_, Some(name))) = &program.complete
        && !files.clone().any(|known| known == name.value)
    {
        reader.problem(unknown_name(name, "file", files));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_around_anything_else_are_plain_text() {
        let found = parts("{\"a\":1} {} {X} {name} {address.home-2}:{{id}}{");
        let expected = [
            Ok("{\"a\":1} {} {X} "),
            Err(Placeholder::Name),
            Ok(" "),
            Err(Placeholder::AddressOf("home-2")),
            Ok(":{"),
            Err(Placeholder::Id),
            Ok("}{"),
        ];
        assert_eq!(found, expected);
        assert_eq!(parts("{adress}"), [Err(Placeholder::Unknown("adress"))]);
        assert_eq!(parts("{file.big-one}"), [Err(Placeholder::File("big-one"))]);
    }
}
