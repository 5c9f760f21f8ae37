//! The tracker: who is in which swarm. The server's core is in `tracker/server.rs`, the client's in
//! `tracker/announcer.rs`.
//!
//! One bidirectional stream per announce (ALPN `peerbed-tracker/1`): the client writes one [`Announce`] as a frame, the
//! server one [`AnnounceReply`], both ends finish.

mod announcer;
mod message;
mod server;

pub use self::announcer::{Announcer, AnnouncerOptions, AnnouncerOutput, AnnouncerStats};
pub use self::message::{Announce, AnnounceEvent, AnnounceReply, Entry};
pub use self::server::{Refusal, Tracker, TrackerOptions, TrackerStats};
