//! How peers are numbered. Names and addresses live in the plan, not here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of a peer in the plan: 1 for the first, in plan order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(pub u32);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}", self.0)
    }
}
