//! The node that a command asks for, and its actions from the command's words.

use std::time::Duration;

use bytes::Bytes;
use peerbed_proto::ring::{Action, Contact, Founders, Options, Ring};

use super::seats::Seats;
use crate::clock;
use crate::ring_control::{RecordAction, Start};

/// Makes the node: one of the founders, or one that joins.
///
/// # Errors
///
/// When one of those named has no place in the ring, or this peer is none of the founders, or nobody is named to join by.
pub(super) fn make(seats: &Seats, me: Contact, start: &Start, options: Options, seed: u64) -> anyhow::Result<Ring> {
    let now = clock::now();
    Ok(match start {
        Start::Found(peers) => {
            let founders = Founders::new(seats.circle(), seats.contacts(peers)?)?;
            anyhow::ensure!(founders.contacts().contains(&me), "this peer is none of the founders");
            Ring::found(me, &founders, options, seed, now)
        }
        Start::Join(peers) => {
            let mut via = seats.contacts(peers)?;
            via.retain(|contact| *contact != me);
            anyhow::ensure!(!via.is_empty(), "nobody is named to join by");
            Ring::join(me, seats.circle(), &via, options, seed, now)
        }
    })
}

/// What the core is to do with a record.
pub(super) fn action_of(action: RecordAction) -> Action {
    match action {
        RecordAction::Put { value, lasting_seconds } => Action::Put {
            value: Bytes::from(value),
            lasting: lasting_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        },
        RecordAction::Get => Action::Get,
        RecordAction::Delete => Action::Delete,
    }
}
