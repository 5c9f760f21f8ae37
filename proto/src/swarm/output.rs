//! All that the swarm core may ask of the world, and what it reports.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::message::Message;
use super::run::Run;
use crate::content::LeafHashes;
use crate::id::PeerId;

/// Something the driver shall do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect to a peer. Answered by `handle_connected` or `handle_dial_failed`, once. A connection that the peer
    /// opened meanwhile counts as the answer.
    Dial {
        /// Whom.
        peer: PeerId,
    },
    /// Close the connection once what was written to it before is sent. The core has forgotten the neighbour already:
    /// nothing needs to be reported about it any more.
    Hangup {
        /// Whose.
        peer: PeerId,
        /// Goes into the close frame by [`Reason::code`].
        reason: Reason,
    },
    /// Write a message to the control stream, as one frame.
    Message {
        /// To whom.
        peer: PeerId,
        /// What.
        message: Message,
    },
    /// Write a [`Message::Peers`] to the control stream, with the addresses of these neighbours. Those whose address the
    /// driver does not know are left out.
    Introduce {
        /// To whom.
        to: PeerId,
        /// Of whom; at most [`Entry::COUNT_MAX`](crate::tracker::Entry::COUNT_MAX).
        peers: Vec<PeerId>,
    },
    /// Open a run stream and write a run to it. Answered by `handle_run_sent` or `handle_run_stopped`, once, unless
    /// [`Output::StopServing`] or [`Output::Hangup`] comes first.
    Serve {
        /// To whom.
        peer: PeerId,
        /// Which leaves; all of them are stored.
        run: Run,
        /// Whether the leaf hashes go in front.
        layer: ServeLayer,
    },
    /// Reset the stream of a run that is being served. Nothing is reported about it any more.
    StopServing {
        /// To whom.
        peer: PeerId,
        /// Which.
        run: Run,
    },
    /// Stop reading the stream of a run, if it has arrived. Nothing is reported about it any more.
    StopReceiving {
        /// From whom.
        peer: PeerId,
        /// Which.
        run: Run,
    },
    /// Write a verified leaf to the file, before any later [`Output::Serve`] reads it.
    Store {
        /// The piece.
        piece: u32,
        /// The leaf.
        leaf: u16,
        /// Its bytes.
        data: Bytes,
        /// Time since its run was requested of who sent it; none for a leaf that was not owed any more, and came all the
        /// same.
        waited: Option<Duration>,
    },
    /// Something worth telling the outside.
    Event(Event),
}

/// What goes in front of a served run's leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServeLayer {
    /// Nothing.
    Omit,
    /// These hashes.
    Attach(Arc<LeafHashes>),
    /// The hashes of the piece, which is whole on disk; the core has let go of them to save memory, or never knew
    /// them. The driver computes `LeafHashes::of_piece` (or knows them from elsewhere), and gives them back by
    /// `handle_layer_computed`, so that they need not be computed for the next neighbour.
    Compute,
}

/// Something that happened in the swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A piece became whole; every leaf's [`Output::Store`] came before.
    PieceCompleted {
        /// Which.
        piece: u32,
    },
    /// The file became whole. Once, and not for a swarm that began with the whole file.
    Completed,
    /// A neighbour was dropped for what it did.
    PeerDropped {
        /// Who.
        peer: PeerId,
        /// Why; [`Reason::is_offence`] holds.
        reason: Reason,
    },
    /// After `handle_leave`: the last run begun has been sent and every neighbour was hung up on.
    Left,
}

/// Why a connection to a neighbour is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// We leave the swarm.
    Leaving,
    /// We have as many neighbours as we may.
    Full,
    /// Both of us have the whole file.
    Done,
    /// It was dropped before for an offence.
    Banned,
    /// Its bytes could not be decoded, or a frame was too long.
    Undecodable,
    /// It means another content, or said no hello first, or two.
    BadHello,
    /// It named pieces or leaves that do not exist.
    OutOfRange,
    /// It sent leaf hashes that do not lead to the manifest's root.
    BadLayer,
    /// It sent a leaf that fails its hash.
    BadLeaf,
    /// It sent many leaves nobody asked for.
    Unsolicited,
    /// It did not serve what it claimed to have, repeatedly.
    BrokenPromises,
    /// It requested far more than it may.
    Flood,
}

impl Reason {
    /// Every reason, in order of their codes.
    pub const ALL: [Reason; 12] = [
        Self::Leaving,
        Self::Full,
        Self::Done,
        Self::Banned,
        Self::Undecodable,
        Self::BadHello,
        Self::OutOfRange,
        Self::BadLayer,
        Self::BadLeaf,
        Self::Unsolicited,
        Self::BrokenPromises,
        Self::Flood,
    ];

    /// The application error code of the QUIC close frame, from 1 on.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32 + 1
    }

    /// A word for logs and metric labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaving => "leaving",
            Self::Full => "full",
            Self::Done => "done",
            Self::Banned => "banned",
            Self::Undecodable => "undecodable",
            Self::BadHello => "bad-hello",
            Self::OutOfRange => "out-of-range",
            Self::BadLayer => "bad-layer",
            Self::BadLeaf => "bad-leaf",
            Self::Unsolicited => "unsolicited",
            Self::BrokenPromises => "broken-promises",
            Self::Flood => "flood",
        }
    }

    /// Whether the neighbour did something no correct peer does. It is not dialled or accepted again.
    #[must_use]
    pub fn is_offence(self) -> bool {
        self > Self::Banned
    }
}
