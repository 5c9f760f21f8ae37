//! How a peer misbehaves, for tests of the others: drivers and the simulator tamper with a correct core.

use serde::{Deserialize, Serialize};

/// What a peer does to others. All but the first tamper with what a correct core puts out or says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conduct {
    /// It follows the protocol.
    Correct,
    /// It never unchokes anybody.
    FreeRider,
    /// A bit of every leaf it sends is wrong.
    CorruptLeaves,
    /// A bit of every layer of leaf hashes it sends is wrong.
    CorruptLayers,
    /// It says it has everything, and refuses whatever is asked of it.
    EmptyPromises,
    /// It says it has everything, and answers nothing.
    Silent,
    /// It requests the same run over and over.
    RequestFlood,
    /// It pushes leaves nobody asked for.
    LeafFlood,
    /// Its control stream cannot be decoded.
    Garbage,
    /// It takes in nothing that it is sent.
    NeverReads,
}

impl Conduct {
    /// Whether it says it has everything, whatever it has.
    #[must_use]
    pub fn claims_everything(self) -> bool {
        matches!(self, Self::EmptyPromises | Self::Silent)
    }
}
