//! What a driver does to the words and deeds of its core when the options say that this peer misbehaves.
//!
//! For tests of what bad peers cost the others. A correct peer passes through here untouched.

use bytes::{Bytes, BytesMut};
use peerbed_proto::swarm::{Conduct, LayerWish, Message};
use peerbed_proto::wire::{Encode, FrameReader};
use quinn::{Connection, RecvStream};

use crate::swarm::neighbour::{Arrival, Report};

/// The frames that go out for a message.
pub(super) fn frames(conduct: Conduct, message: &Message) -> Vec<Bytes> {
    match (conduct, message) {
        (Conduct::FreeRider, Message::Unchoke) => Vec::new(),
        (Conduct::RequestFlood, Message::Request { .. }) => vec![message.to_frame(); FLOOD],
        (Conduct::Garbage, Message::Interested | Message::Unchoke) => vec![Bytes::from_static(&[1, 0xff])],
        _ => vec![message.to_frame()],
    }
}

/// Spoils what stands in front of a run's leaves.
pub(super) fn spoil_head(conduct: Conduct, layer: LayerWish, head: &mut BytesMut) {
    if let (Conduct::CorruptLayers, LayerWish::Send, Some(last)) = (conduct, layer, head.last_mut()) {
        *last ^= 1;
    }
}

/// Spoils leaves, or sends them twice.
pub(super) fn spoil_leaves(conduct: Conduct, leaves: Bytes) -> Bytes {
    if conduct == Conduct::LeafFlood {
        return [leaves.clone(), leaves].concat().into();
    } else if conduct != Conduct::CorruptLeaves {
        return leaves;
    }
    let mut spoilt = BytesMut::from(leaves);
    if let Some(first) = spoilt.first_mut() {
        *first ^= 1;
    }
    spoilt.freeze()
}

/// Holds a connection without reading from it.
pub(super) async fn never_read(connection: Connection, opened: Option<(RecvStream, FrameReader)>, report: Report) {
    let why = connection.closed().await;
    drop(opened);
    report.send(Arrival::Closed(why.to_string())).await;
}

/// How often a flooding peer repeats each request.
const FLOOD: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correct_peer_passes_untouched() {
        let leaves = Bytes::from_static(b"leaves");
        assert_eq!(frames(Conduct::Correct, &Message::Unchoke), [Message::Unchoke.to_frame()]);
        assert_eq!(spoil_leaves(Conduct::Correct, leaves.clone()), leaves);
        assert_ne!(spoil_leaves(Conduct::CorruptLeaves, leaves.clone()), leaves);
        assert!(frames(Conduct::FreeRider, &Message::Unchoke).is_empty());
    }
}
