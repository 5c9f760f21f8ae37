//! Programs of somebody else's, resolved: names and addresses in the place of their placeholders.

use std::net::Ipv4Addr;

use super::{Completion, Program, Ready, Requirement, resolve::address};
use crate::{
    topology::{self, Group, Placeholder, Roster, parts},
    units::Span,
};

/// A program has this long to be ready, where nothing is given: what Peerbed's own peers have.
const READY_WITHIN: u64 = 30;

/// The program of one peer.
pub(super) fn resolve(program: &topology::Program, roster: &Roster<'_>, group: &Group, id: u32) -> Program {
    let fill = |text: &topology::Written<String>| fill(&text.value, roster, group, id);
    Program {
        name: name(program),
        requires: program.requires.as_ref().map(|requires| Requirement {
            check: requires.check.iter().map(|word| word.value.clone()).collect(),
            install: requires.install.clone(),
        }),
        output: program.output.as_ref().map(fill),
        command: program.command.as_ref().map(fill).unwrap_or_default(),
        arguments: program.arguments.iter().map(fill).collect(),
        environment: program.environment.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
        ready: match &program.ready {
            topology::Ready::Started => Ready::Started,
            topology::Ready::Line(text) => Ready::Line(text.clone()),
            topology::Ready::Tcp(port) => Ready::Tcp(*port),
            topology::Ready::File(path) => Ready::File(fill(path)),
        },
        ready_within: program.ready_within.unwrap_or(Span::from_secs(READY_WITHIN)),
        complete: program.complete.as_ref().map(|complete| match complete {
            topology::Completion::Exit => Completion::Exit,
            topology::Completion::Line(text) => Completion::Line(text.clone()),
            topology::Completion::File(path, same_as) => {
                Completion::File { path: fill(path), same_as: same_as.as_ref().map(|name| name.value.clone()) }
            }
        }),
        exit: program.exit,
    }
}

/// What tables call a program.
pub(super) fn name(program: &topology::Program) -> String {
    let command = program.command.as_ref().map_or("", |command| command.value.as_str());
    let last = command.rsplit('/').next().unwrap_or(command);
    program.name.clone().unwrap_or_else(|| last.to_owned())
}

/// The text with everything filled in that planning knows.
fn fill(text: &str, roster: &Roster<'_>, group: &Group, id: u32) -> String {
    let list = |peers: Vec<u32>| -> String {
        peers.into_iter().map(|peer| address(peer).to_string()).collect::<Vec<_>>().join(",")
    };
    let mut filled = String::new();
    for part in parts(text) {
        match part {
            Ok(plain) => filled.push_str(plain),
            Err(Placeholder::Name) => filled.push_str(&roster.name(id)),
            Err(Placeholder::Group) => filled.push_str(&group.name.value),
            Err(Placeholder::Id) => filled.push_str(&id.to_string()),
            Err(Placeholder::Address) => filled.push_str(&address(id).to_string()),
            Err(Placeholder::AddressOf(name)) => {
                let peer = roster.range(name).next();
                filled.push_str(&peer.map_or(Ipv4Addr::UNSPECIFIED, address).to_string());
            }
            Err(Placeholder::Peers) => {
                let own = roster.range(&group.name.value);
                filled.push_str(&list(own.filter(|peer| *peer != id).collect()));
            }
            Err(Placeholder::PeersOf(name)) => filled.push_str(&list(roster.range(name).collect())),
            Err(Placeholder::Directory) => filled.push_str(Program::DIRECTORY),
            Err(Placeholder::File(name)) => filled.push_str(&format!("{}{name}}}", Program::FILE)),
            Err(Placeholder::Torrent(name)) => filled.push_str(&format!("{}{name}}}", Program::TORRENT)),
            Err(Placeholder::Unknown(inner)) => filled.push_str(&format!("{{{inner}}}")),
        }
    }
    filled
}
