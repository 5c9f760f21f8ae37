//! Questions of this peer's own: other parts of it want to know who owns a name.

use std::collections::BTreeMap;

use anyhow::bail;
use peerbed_proto::ring::{Lookup, LookupError};
use tokio::sync::oneshot;

use super::seats::Seats;
use crate::commands::Endpoint;

/// Who waits for which owner. At most [`ASKED_MAX`]; more are refused at once.
#[derive(Debug, Default)]
pub(super) struct Asking {
    waiting: BTreeMap<u64, oneshot::Sender<anyhow::Result<Endpoint>>>,
    asked: u64,
}

impl Asking {
    /// Takes a question in, and says under which number to look its owner up; none when there are too many.
    pub(super) fn add(&mut self, answer: oneshot::Sender<anyhow::Result<Endpoint>>) -> Option<u64> {
        if self.waiting.len() >= ASKED_MAX {
            let _ = answer.send(Err(anyhow::anyhow!("the ring's node has too many questions to answer")));
            return None;
        }
        self.asked += 1;
        let request = OWN + self.asked;
        self.waiting.insert(request, answer);
        Some(request)
    }

    /// Whether a lookup is for one of these questions, and not for a command.
    pub(super) fn is_own(request: u64) -> bool {
        request > OWN
    }

    /// Hands on what a lookup found.
    pub(super) fn answer(&mut self, seats: &Seats, request: u64, result: Result<Lookup, LookupError>) {
        let Some(answer) = self.waiting.remove(&request) else { return };
        // Whoever asked may have gone meanwhile.
        let _ = answer.send(owner(seats, result));
    }
}

fn owner(seats: &Seats, result: Result<Lookup, LookupError>) -> anyhow::Result<Endpoint> {
    let peer = result?.owner.peer.0;
    match seats.address(peer) {
        Some(addr) => Ok(Endpoint { peer, addr }),
        None => bail!("the owner, peer {peer}, has no place in the ring"),
    }
}

/// Numbers of lookups from here on are this peer's own; commands have smaller ones.
const OWN: u64 = 1 << 63;

/// Questions that wait for an answer. A distribution asks one at a time.
const ASKED_MAX: usize = 64;
