//! Programs of somebody else's in a plan: how they are started, and what shows that they are ready and done.
//!
//! Starting them lives in the testbed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// A program of somebody else's that runs as a peer: in a namespace of its own, behind a link like any other.
///
/// It is started in the peer's own directory; paths that are not absolute begin there. Commands, arguments, values of the
/// environment and paths are free of placeholders that planning can fill in (names and addresses). Those that only the
/// testbed knows stay in them, spelled [`DIRECTORY`](Program::DIRECTORY), [`FILE`](Program::FILE) and
/// [`TORRENT`](Program::TORRENT); no other text in braces is a placeholder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Program {
    /// What tables call it.
    pub name: String,
    /// What the host must have; distributions among such peers are skipped where it has not.
    pub requires: Option<Requirement>,
    /// Where its copy of a distributed file is; none for the file's name.
    pub output: Option<String>,
    /// A path, or a name without `/` that is looked for in PATH.
    pub command: String,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// Variables added to the orchestrator's environment.
    pub environment: BTreeMap<String, String>,
    /// What shows that it can be used.
    pub ready: Ready,
    /// It has failed when it is not ready so long after its start.
    pub ready_within: Span,
    /// What shows that it has done its work; none for a program without an end, such as a server.
    pub complete: Option<Completion>,
    /// How it has to end when it ends without having been asked to.
    pub exit: ExpectedExit,
}

impl Program {
    /// Stands for the peer's own directory, absolute.
    pub const DIRECTORY: &str = "{directory}";
    /// `{file.NAME}` stands for the path, absolute, of the original of the topology's file NAME. This is how it begins.
    pub const FILE: &str = "{file.";
    /// `{torrent.NAME}` stands for the path, absolute, of a torrent of that file. This is how it begins.
    pub const TORRENT: &str = "{torrent.";

    /// Where the copy of the file called `file` is, relative to the peer's directory or absolute.
    #[must_use]
    pub fn output<'a>(&'a self, file: &'a str) -> &'a str {
        match (&self.output, &self.complete) {
            (Some(output), _) => output,
            (None, Some(Completion::File { path, same_as: Some(name) })) if name == file => path,
            (None, _) => file,
        }
    }
}

/// What a host must have for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Requirement {
    /// A program and its arguments, which must end with success; empty for the program itself, which must be found.
    pub check: Vec<String>,
    /// How to get what is missing.
    pub install: Option<String>,
}

/// What shows that a program can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// That it was started.
    Started,
    /// A line of its standard output or standard error that contains this text.
    Line(String),
    /// A TCP connection to this port of its address, made from within its namespace.
    Tcp(u16),
    /// A file at this path, of any size.
    File(String),
}

/// What shows that a program has done its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Completion {
    /// Its end, in the way that [`Program::exit`] says.
    Exit,
    /// A line of its standard output or standard error that contains this text.
    Line(String),
    /// A file.
    File {
        /// Where it appears.
        path: String,
        /// Name of the topology's file whose bytes it must have; without one, being there is enough.
        same_as: Option<String>,
    },
}

/// How a program has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpectedExit {
    /// With this exit code, and not by a signal.
    Code(u8),
    /// In any way.
    Any,
}
