//! Commands that the orchestrator posts to a peer (`POST /commands`), shared by both sides.
//!
//! One command is one JSON value, externally tagged: `{"begin": {"id": "d0", "at": 1234.5}}` or `"leave"`. The answer is
//! 200 with `{}`, or 4xx/5xx with [`CommandError`]. What a peer does about a command lives in `peer` and the drivers.

use std::net::SocketAddr;
use std::path::PathBuf;

pub use peerbed_proto::swarm::Options as SwarmOptions;
use serde::{Deserialize, Serialize};

use crate::ring_control::RingCommand;

/// What a peer can be asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "commands are rare, and a box would only trouble those who make them")]
pub enum Command {
    /// Makes a distribution ready: reads the manifest, opens storage, verifies what is already on disk. Answered when
    /// that is done. Nothing is connected yet.
    Prepare(Prepare),
    /// Starts a prepared distribution.
    Begin(Begin),
    /// Closes a distribution: connections drain and close, files are closed, memory is freed. Complete files stay.
    /// Answered when that is done; its id may then be used again.
    End(End),
    /// Something about a ring. What a ring's node then reports is in [`crate::ring_control::RingReport`].
    Ring(RingCommand),
    /// Leaves gracefully: tells tracker and neighbours, drains, and ends the process with exit code 0. Answered at
    /// once.
    Leave,
}

/// Takes part in one distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// Name of the distribution within the run, for example `d0`. Also the name of its directory: one path component.
    pub id: String,
    /// Name under which the complete file is kept in `<directory>/<id>/`: one path component.
    pub file: String,
    /// Path of the manifest (JSON, as `peerbed_proto::content::Manifest` is serialised).
    pub manifest: PathBuf,
    /// Path of the hashes of all leaves, 32 bytes each in the file's order, for a seed: it then tells the leaf layers of its
    /// pieces without reading and hashing the content. They are believed where they lead to the manifest's roots; absent or
    /// wrong ones are computed. Ignored by all other roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<PathBuf>,
    /// What this peer does in it.
    pub role: Role,
    /// Settings of the swarm; `{}` or absent takes the defaults. Ignored by server and client.
    #[serde(default)]
    pub options: SwarmOptions,
}

/// What a peer does in a distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Role {
    /// Has the whole file and serves it to the swarm.
    Seed {
        /// The file, read only. It is trusted to match the manifest: its size is checked, its hashes are not.
        content: PathBuf,
        /// Where to announce; none for whoever owns the content's name in the ring that this peer is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tracker: Option<Endpoint>,
    },
    /// Wants the file from the swarm, and serves what it has.
    Leecher {
        /// As of a seed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tracker: Option<Endpoint>,
    },
    /// Serves the whole file to each client.
    Server {
        /// The file, read only; trusted like a seed's.
        content: PathBuf,
    },
    /// Wants the file from the server.
    Client {
        /// The server.
        server: Endpoint,
    },
}

/// Another peer and where it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its number in the plan; its certificate must carry it.
    pub peer: u32,
    /// Its QUIC address.
    pub addr: SocketAddr,
}

/// Starts a prepared distribution at one instant, the same for all participants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// The distribution.
    pub id: String,
    /// When, in seconds of CLOCK_MONOTONIC (the same in all namespaces). An instant in the past means now.
    pub at: f64,
}

/// Closes a distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The distribution.
    pub id: String,
}

/// Body of every answer to a command that failed.
///
/// Status 400: not a command, or an impossible one. 404: no such distribution. 409: not in this state (prepared twice,
/// begun before prepared). 422: manifest or content unusable. 500: the host failed (disk full, no permission).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// One sentence for people.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_externally_tagged() {
        let begin = Command::Begin(Begin { id: "d0".into(), at: 12.5 });
        assert_eq!(serde_json::to_string(&begin).unwrap(), r#"{"begin":{"id":"d0","at":12.5}}"#);
        assert_eq!(serde_json::to_string(&Command::Leave).unwrap(), r#""leave""#);
    }

    #[test]
    fn prepare_reads_back_and_its_options_may_be_absent() {
        let text = r#"{"prepare":{"id":"d0","file":"release","manifest":"/m.json",
            "role":{"leecher":{"tracker":{"peer":1,"addr":"198.18.0.1:4433"}}}}}"#;
        let command: Command = serde_json::from_str(text).unwrap();
        let Command::Prepare(prepare) = &command else { panic!("{command:?}") };
        assert!(matches!(prepare.role, Role::Leecher { tracker: Some(Endpoint { peer: 1, .. }) }));
        let again: Command = serde_json::from_str(&serde_json::to_string(&command).unwrap()).unwrap();
        assert_eq!(again, command);
    }

    #[test]
    fn command_with_an_unknown_key_is_refused() {
        assert!(serde_json::from_str::<Command>(r#"{"end":{"id":"d0","now":true}}"#).is_err());
    }
}
