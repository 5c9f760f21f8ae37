//! The one message of client-server distribution.

use bytes::{Bytes, BytesMut};

use crate::content::ContentId;
use crate::wire::{Decode, DecodeError, Encode, get_varint, put_varint};

/// A client asks for a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Get {
    /// Which.
    pub content: ContentId,
    /// The first byte it lacks.
    pub from: u64,
}

impl Get {
    /// Longest frame in bytes.
    pub const FRAME_MAX: usize = 64;
}

impl Encode for Get {
    fn encode(&self, out: &mut BytesMut) {
        self.content.encode(out);
        put_varint(out, self.from);
    }
}

impl Decode for Get {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self { content: ContentId::decode(input)?, from: get_varint(input)? })
    }
}
