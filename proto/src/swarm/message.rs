//! What neighbours tell each other on the control stream, and its wire form.
//!
//! Leaves do not travel here but on run streams, see `run.rs`. Decoding knows no manifest: whether numbers lie within
//! the content is judged by the core.

use bytes::{BufMut, Bytes, BytesMut};

use super::run::Run;
use crate::bits::{LeafSet, PieceSet};
use crate::content::{ContentId, LEAVES_MAX, PIECES_MAX};
use crate::tracker::Entry;
use crate::wire::{Decode, DecodeError, Encode, get_byte, get_bytes, get_number, put_varint};

/// One message on a control stream. Each travels as one frame; the first in each direction is [`Message::Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Opens the conversation: which content, and which whole pieces the sender has.
    Hello {
        /// The content both sides must mean.
        content: ContentId,
        /// The sender's whole, verified pieces.
        have: PieceSet,
    },
    /// The sender now has these pieces whole.
    Have {
        /// Their numbers; at most [`ANNOUNCED_MAX`].
        pieces: Vec<u32>,
    },
    /// The sender has these leaves of a piece it is still fetching.
    ///
    /// Goes only to neighbours that may request (they are unchoked) and to those that would otherwise not know that
    /// the sender has something for them. Replaces what an earlier one said about the piece.
    Partial {
        /// The piece.
        piece: u32,
        /// All its leaves the sender has.
        leaves: LeafSet,
    },
    /// The sender has some leaf of each of these pieces. Goes to neighbours that get no [`Message::Partial`].
    Started {
        /// Their numbers; at most [`ANNOUNCED_MAX`].
        pieces: Vec<u32>,
    },
    /// The receiver has something the sender lacks.
    Interested,
    /// The receiver has nothing the sender lacks.
    NotInterested,
    /// The receiver's requests are no longer served. Each one still queued is refused by [`Message::Reject`].
    Choke,
    /// The receiver may request.
    Unchoke,
    /// The receiver shall send a run.
    Request {
        /// Which leaves.
        run: Run,
        /// Whether the piece's leaf hashes shall come in front of them.
        layer: LayerWish,
    },
    /// The sender no longer wants a run it requested.
    Cancel {
        /// As it was requested.
        run: Run,
    },
    /// The sender will not serve a run the receiver requested.
    Reject {
        /// As it was requested.
        run: Run,
    },
    /// The sender is connected to these peers as well.
    Peers {
        /// Who, and where they listen; at most [`Entry::COUNT_MAX`].
        peers: Vec<Entry>,
    },
}

/// Whether a request asks for the leaf hashes of its piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerWish {
    /// The requester knows them.
    Omit,
    /// The requester needs them to verify the leaves.
    Send,
}

impl Message {
    /// Longest frame of a control stream in bytes: a bitfield of [`PIECES_MAX`] pieces and its head.
    pub const FRAME_MAX: usize = PIECES_MAX as usize / 8 + 64;

    /// A word for logs and metric labels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Have { .. } => "have",
            Self::Partial { .. } => "partial",
            Self::Started { .. } => "started",
            Self::Interested => "interested",
            Self::NotInterested => "not-interested",
            Self::Choke => "choke",
            Self::Unchoke => "unchoke",
            Self::Request { .. } => "request",
            Self::Cancel { .. } => "cancel",
            Self::Reject { .. } => "reject",
            Self::Peers { .. } => "peers",
        }
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Hello { content, have } => {
                out.put_u8(tag::HELLO);
                content.encode(out);
                put_set(out, have);
            }
            Self::Have { pieces } => {
                out.put_u8(tag::HAVE);
                put_pieces(out, pieces);
            }
            Self::Partial { piece, leaves } => {
                out.put_u8(tag::PARTIAL);
                put_varint(out, u64::from(*piece));
                put_set(out, leaves);
            }
            Self::Started { pieces } => {
                out.put_u8(tag::STARTED);
                put_pieces(out, pieces);
            }
            Self::Interested => out.put_u8(tag::INTERESTED),
            Self::NotInterested => out.put_u8(tag::NOT_INTERESTED),
            Self::Choke => out.put_u8(tag::CHOKE),
            Self::Unchoke => out.put_u8(tag::UNCHOKE),
            Self::Request { run, layer: LayerWish::Omit } => put_run(out, tag::REQUEST, *run),
            Self::Request { run, layer: LayerWish::Send } => put_run(out, tag::REQUEST_WITH_LAYER, *run),
            Self::Cancel { run } => put_run(out, tag::CANCEL, *run),
            Self::Reject { run } => put_run(out, tag::REJECT, *run),
            Self::Peers { peers } => {
                out.put_u8(tag::PEERS);
                put_varint(out, peers.len() as u64);
                peers.iter().for_each(|entry| entry.encode(out));
            }
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match get_byte(input)? {
            tag::HELLO => Self::Hello { content: ContentId::decode(input)?, have: get_set(input, PIECES_MAX)? },
            tag::HAVE => Self::Have { pieces: get_pieces(input)? },
            tag::PARTIAL => {
                let piece = get_number(input, "piece")?;
                Self::Partial { piece, leaves: get_set(input, u32::from(LEAVES_MAX))? }
            }
            tag::STARTED => Self::Started { pieces: get_pieces(input)? },
            tag::INTERESTED => Self::Interested,
            tag::NOT_INTERESTED => Self::NotInterested,
            tag::CHOKE => Self::Choke,
            tag::UNCHOKE => Self::Unchoke,
            tag::REQUEST => Self::Request { run: Run::decode(input)?, layer: LayerWish::Omit },
            tag::REQUEST_WITH_LAYER => Self::Request { run: Run::decode(input)?, layer: LayerWish::Send },
            tag::CANCEL => Self::Cancel { run: Run::decode(input)? },
            tag::REJECT => Self::Reject { run: Run::decode(input)? },
            tag::PEERS => Self::Peers { peers: get_entries(input)? },
            value => return Err(DecodeError::UnknownTag { what: "swarm message", value: u64::from(value) }),
        })
    }
}

/// Most pieces one [`Message::Have`] or [`Message::Started`] names; more are sent in several.
pub const ANNOUNCED_MAX: usize = 4_096;

mod tag {
    pub(super) const HELLO: u8 = 0;
    pub(super) const HAVE: u8 = 1;
    pub(super) const PARTIAL: u8 = 2;
    pub(super) const STARTED: u8 = 3;
    pub(super) const INTERESTED: u8 = 4;
    pub(super) const NOT_INTERESTED: u8 = 5;
    pub(super) const CHOKE: u8 = 6;
    pub(super) const UNCHOKE: u8 = 7;
    pub(super) const REQUEST: u8 = 8;
    pub(super) const REQUEST_WITH_LAYER: u8 = 9;
    pub(super) const CANCEL: u8 = 10;
    pub(super) const REJECT: u8 = 11;
    pub(super) const PEERS: u8 = 12;
}

/// How the members of a set are written.
mod form {
    pub(super) const NONE: u8 = 0;
    pub(super) const ALL: u8 = 1;
    pub(super) const BITMAP: u8 = 2;
}

fn put_run(out: &mut BytesMut, tag: u8, run: Run) {
    out.put_u8(tag);
    run.encode(out);
}

fn put_set(out: &mut BytesMut, set: &PieceSet) {
    put_varint(out, u64::from(set.len()));
    if set.is_full() {
        out.put_u8(form::ALL);
    } else if set.is_empty() {
        out.put_u8(form::NONE);
    } else {
        out.put_u8(form::BITMAP);
        out.put_slice(&set.to_bytes());
    }
}

fn get_set(input: &mut Bytes, len_max: u32) -> Result<PieceSet, DecodeError> {
    let len: u32 = get_number(input, "set length")?;
    if len > len_max {
        return Err(DecodeError::Bad { what: "set length" });
    }
    match get_byte(input)? {
        form::NONE => Ok(PieceSet::empty(len)),
        form::ALL => Ok(PieceSet::full(len)),
        form::BITMAP => {
            let bytes = get_bytes(input, len.div_ceil(8) as usize)?;
            PieceSet::from_bytes(len, &bytes).ok_or(DecodeError::Bad { what: "set" })
        }
        value => Err(DecodeError::UnknownTag { what: "form of a set", value: u64::from(value) }),
    }
}

fn put_pieces(out: &mut BytesMut, pieces: &[u32]) {
    put_varint(out, pieces.len() as u64);
    pieces.iter().for_each(|&piece| put_varint(out, u64::from(piece)));
}

fn get_pieces(input: &mut Bytes) -> Result<Vec<u32>, DecodeError> {
    let count: usize = get_number(input, "number of pieces")?;
    if count > ANNOUNCED_MAX {
        return Err(DecodeError::Bad { what: "number of pieces" });
    }
    if count > input.len() {
        return Err(DecodeError::Truncated);
    }
    (0..count).map(|_| get_number(input, "piece")).collect()
}

fn get_entries(input: &mut Bytes) -> Result<Vec<Entry>, DecodeError> {
    let count: usize = get_number(input, "number of peers")?;
    if count > Entry::COUNT_MAX {
        return Err(DecodeError::Bad { what: "number of peers" });
    }
    (0..count).map(|_| Entry::decode(input)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    #[test]
    fn small_messages_are_small() {
        let run = Run { piece: 31, first: 15, count: 1 };
        assert_eq!(Message::Unchoke.to_frame().len(), 2);
        assert_eq!(Message::Request { run, layer: LayerWish::Omit }.to_frame().len(), 5);
        let mut leaves = LeafSet::empty(16);
        leaves.insert(3);
        assert_eq!(Message::Partial { piece: 31, leaves }.to_frame().len(), 7);
    }

    #[test]
    fn the_largest_hello_fits_a_frame() {
        let mut have = PieceSet::empty(PIECES_MAX);
        have.insert(1);
        let hello = Message::Hello { content: ContentId(Hash::default()), have };
        assert!(hello.to_bytes().len() <= Message::FRAME_MAX);
    }

    #[test]
    fn sets_longer_than_their_kind_allows_are_refused() {
        let leaves = LeafSet::full(u32::from(LEAVES_MAX) + 1);
        let bytes = Message::Partial { piece: 0, leaves }.to_bytes();
        assert_eq!(Message::from_bytes(bytes), Err(DecodeError::Bad { what: "set length" }));
    }

    #[test]
    fn a_count_beyond_the_frame_allocates_nothing() {
        let bytes = Bytes::from_static(&[tag::HAVE, 0x50, 0x00]);
        assert_eq!(Message::from_bytes(bytes), Err(DecodeError::Truncated));
    }
}
