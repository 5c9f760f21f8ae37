//! Where a peer announces itself and hears of others: at a tracker, or at whoever stands in for one in a ring.
//!
//! Whichever it is, an announce goes out and an answer comes back; when to announce is decided by the announcer's core, and
//! whom to dial by the swarm's.

use anyhow::Context;
use peerbed_proto::tracker::{Announce, AnnounceReply};
use peerbed_proto::{ContentId, PeerId};

use crate::commands::Endpoint;
use crate::distribution::Surroundings;
use crate::tracker;

/// Announces to `tracker`. Without one, to the owner of the content's name in the ring that this peer is in: as in BEP 5, who is
/// responsible for a content keeps the list of those who take part. When the owner dies or another joins before it, later
/// announces go to whoever owns the name then.
///
/// # Errors
///
/// When there is no ring, the lookup fails, or the owner cannot be reached or serves no tracker.
pub(super) async fn announce(
    surroundings: &Surroundings,
    tracker: Option<Endpoint>,
    announce: Announce,
) -> anyhow::Result<AnnounceReply> {
    let tracker = match tracker {
        Some(tracker) => tracker,
        None => surroundings.routes.owner_of(name_of(announce.content)).await.context("the ring has no tracker")?,
    };
    if tracker.peer == surroundings.transport.me() {
        return announce_here(surroundings, tracker, announce);
    }
    tracker::announce(&surroundings.transport, tracker, announce).await
}

/// Announces to the tracker that this peer serves.
///
/// # Errors
///
/// When it serves none, or its table is full.
pub(super) fn announce_here(
    surroundings: &Surroundings,
    tracker: Endpoint,
    announce: Announce,
) -> anyhow::Result<AnnounceReply> {
    let service = surroundings.tracker.as_ref().context("this peer serves no tracker")?;
    service.announce(PeerId(surroundings.transport.me()), tracker.addr, announce)
}

/// What a content is called in a ring.
fn name_of(content: ContentId) -> String {
    format!("swarm {}", content.0)
}
