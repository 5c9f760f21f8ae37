//! Evidence of single peers: their packets, the secrets that decode them, and qlog; kept when there is something to look into.
//!
//! What is wanted is said by names of groups and peers. Packets are taken by `capture`, the rest by the peers themselves. What is
//! kept: everything where it was asked for or the run did not pass, else what lies around faults, else nothing.

use std::collections::BTreeSet;

use peerbed_proto::PeerId;

use crate::{diagnose::suggestion, plan::Plan, run_directory::RunDirectory};

pub mod capture;

/// What is to be written down of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Groups and peers whose packets and secrets are wanted; `all` is everybody.
    pub packets: Vec<String>,
    /// Groups and peers whose qlog is wanted; `all` is everybody.
    pub qlog: Vec<String>,
    /// When it is kept.
    pub keep: Keep,
}

/// When evidence is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// When an expectation failed or could not be judged, or the run was not carried out; and around faults.
    #[default]
    WhenNeeded,
    /// Always.
    Always,
}

/// A name that is no group's and no peer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no group and no peer called `{name}`{hint}")]
pub struct UnknownName {
    name: String,
    hint: String,
}

impl Wanted {
    /// The peers of `plan` whose packets are wanted. Programs of somebody else's are among them, without secrets.
    ///
    /// # Errors
    ///
    /// The first name that the plan does not know.
    pub fn packets_of(&self, plan: &Plan) -> Result<BTreeSet<PeerId>, UnknownName> {
        peers(plan, &self.packets)
    }

    /// The peers of `plan` whose qlog is wanted.
    ///
    /// # Errors
    ///
    /// The first name that the plan does not know.
    pub fn qlog_of(&self, plan: &Plan) -> Result<BTreeSet<PeerId>, UnknownName> {
        peers(plan, &self.qlog)
    }
}

/// Removes what peers wrote down of themselves; absence is fine.
pub(crate) fn remove(plan: &Plan, directory: &RunDirectory) {
    for peer in &plan.peers {
        let qlog = directory.peer_qlog(&peer.name);
        let old = qlog.with_extension("sqlog.old");
        for path in [directory.peer_key_log(&peer.name), qlog, old] {
            // What stays is only more than was asked for.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn peers(plan: &Plan, names: &[String]) -> Result<BTreeSet<PeerId>, UnknownName> {
    let mut found = BTreeSet::new();
    for name in names {
        let is_meant = |peer: &&crate::plan::Peer| name == ALL || peer.name == *name || peer.group == *name;
        let before = found.len();
        found.extend(plan.peers.iter().filter(is_meant).map(|peer| peer.id));
        if found.len() == before && !plan.peers.iter().any(|peer| is_meant(&peer)) {
            let known = plan.peers.iter().flat_map(|peer| [peer.name.as_str(), peer.group.as_str()]);
            let hint = suggestion(name, known).map(|hint| format!(" ({hint})")).unwrap_or_default();
            return Err(UnknownName { name: name.clone(), hint });
        }
    }
    Ok(found)
}

/// Everybody.
const ALL: &str = "all";
