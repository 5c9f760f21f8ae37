//! What a link's settings mean to each engine.
//!
//! A plan's [`Direction`](crate::plan::Direction) is read here by one reader per engine; [`Engine`] names the engines.
//! How a reading reaches the kernel lives in `real/`. Nothing here touches the host.

pub mod course;
pub mod emulation;
pub mod kernel;
pub mod tally;
pub mod traces;
pub mod user;

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::plan::Plan;

/// What shapes the links of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The kernel's queueing disciplines, in each link's two ends.
    Kernel,
    /// TUN devices and our own queues.
    User,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
            Self::User => f.write_str("user"),
        }
    }
}

/// A plan needs a kernel feature that this host lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needs} {feature}, which this kernel lacks; {cure}")]
pub struct MissingFeature {
    /// The feature: `sch_netem`.
    pub feature: &'static str,
    /// Who needs it for what, as the beginning of a sentence: `the links "home" and "far" need (delay, loss)`.
    pub needs: String,
    /// What to do about it.
    pub cure: String,
}

/// What netem is needed for in a plan, or nothing.
///
/// Names at most four classes of links, each with the settings that need it, as the beginning of a sentence.
#[must_use]
pub fn netem_users(plan: &Plan) -> Option<String> {
    let mut users: Vec<String> = Vec::new();
    for link in &plan.links {
        let now = [&link.up, &link.down].into_iter().flat_map(kernel::netem_needs);
        let later = kernel::reach::later_netem_needs(plan, link);
        let words: BTreeMap<_, ()> = now.chain(later).map(|word| (word, ())).collect();
        if !words.is_empty() {
            let words: Vec<_> = words.into_keys().collect();
            users.push(format!("link `{}` ({})", link.name, words.join(", ")));
        }
    }
    if let Some(latency) = latencies_in_use(plan).next() {
        users.push(format!("latency from region `{}` to `{}`", latency.from, latency.to));
    }
    let more = users.len().saturating_sub(USERS_NAMED_MAX);
    users.truncate(USERS_NAMED_MAX);
    match (users.len(), more) {
        (0, _) => None,
        (1, _) => Some(format!("{} needs", users[0])),
        (_, 0) => Some(format!("{} need", users.join(", "))),
        (_, more) => Some(format!("{} and {more} more need", users.join(", "))),
    }
}

/// The latencies between regions that peers are in.
pub fn latencies_in_use(plan: &Plan) -> impl Iterator<Item = &crate::plan::Latency> {
    let inhabited = |name: &str| plan.peers.iter().any(|peer| peer.region.as_deref() == Some(name));
    plan.latencies.iter().filter(move |l| !l.delay.0.is_zero() && inhabited(&l.from) && inhabited(&l.to))
}

/// More would hide the cure at the end of the sentence.
const USERS_NAMED_MAX: usize = 4;
