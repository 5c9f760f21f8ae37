//! One real peer.
