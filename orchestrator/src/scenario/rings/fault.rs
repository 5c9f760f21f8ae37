//! What happens to a ring, and when it had got over it.

use std::collections::BTreeSet;

use peerbed_proto::{PeerId, Time};

/// Something that happened to a ring, and when every pointer was right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// To whom.
    pub peers: Vec<PeerId>,
    /// When: the order for a crash; becoming a member for a join; ceasing to be one for a leave.
    pub at: Time,
    /// When the ring was right again; none when it has not been yet.
    pub recovered: Option<Time>,
    /// When every pointer to these peers was right, whatever else had happened meanwhile; none when it has not been yet.
    pub mended: Option<Time>,
    /// Those whose coming or going is still to be heard of.
    pub(super) pending: BTreeSet<PeerId>,
}

/// What may happen to a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Processes were killed.
    Crash,
    /// Peers left in order.
    Leave,
    /// Peers joined.
    Join,
    /// Partitions ended.
    Heal,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, peers: Vec<PeerId>, at: Time, pending: BTreeSet<PeerId>) -> Self {
        Self { kind, peers, at, recovered: None, mended: None, pending }
    }
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Crash, Self::Leave, Self::Join, Self::Heal];

    /// The word in results.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Leave => "leave",
            Self::Join => "join",
            Self::Heal => "heal",
        }
    }
}
