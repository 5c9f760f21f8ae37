//! How values become bytes: variable-length integers, the `Encode` and `Decode` traits, and length-prefixed frames.
//!
//! What the messages mean is said where they are defined (`swarm`, `tracker`, `fetch`).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::hash::Hash;

/// A value that has a wire form.
pub trait Encode {
    /// Appends the wire form.
    fn encode(&self, out: &mut BytesMut);

    /// Returns the wire form by itself.
    fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }

    /// Returns the wire form as one frame, which [`FrameReader`] takes apart again.
    fn to_frame(&self) -> Bytes {
        let body = self.to_bytes();
        let mut out = BytesMut::with_capacity(body.len() + 4);
        put_varint(&mut out, body.len() as u64);
        out.extend_from_slice(&body);
        out.freeze()
    }
}

/// A value that can be read back from its wire form.
pub trait Decode: Sized {
    /// Takes the value off the front of `input`.
    ///
    /// # Errors
    /// When the bytes are no such value. `input` is then in an unspecified place.
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError>;

    /// Reads a value that must fill `input` to its end.
    ///
    /// # Errors
    /// As [`Decode::decode`], and [`DecodeError::Trailing`] when bytes are left.
    fn from_bytes(mut input: Bytes) -> Result<Self, DecodeError> {
        let value = Self::decode(&mut input)?;
        match input.len() {
            0 => Ok(value),
            bytes => Err(DecodeError::Trailing { bytes }),
        }
    }
}

/// Why bytes are no value of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The input ended inside a value.
    #[error("input ended inside a value")]
    Truncated,
    /// Bytes were left behind a complete value.
    #[error("{bytes} bytes behind the end of the value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A frame announced a length over the reader's limit.
    #[error("frame of {len} bytes, at most {max} are allowed")]
    Oversized {
        /// The announced length in bytes.
        len: u64,
        /// The limit in bytes.
        max: usize,
    },
    /// A tag that names no variant.
    #[error("unknown {what} {value}")]
    UnknownTag {
        /// What the tag should have named.
        what: &'static str,
        /// The tag.
        value: u64,
    },
    /// A number outside its range, or parts that do not fit together.
    #[error("bad {what}")]
    Bad {
        /// What it is.
        what: &'static str,
    },
}

/// Cuts a byte stream into frames: a varint length, then that many bytes.
///
/// Holds at most one frame of the maximum length and whatever the driver fed beyond it.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    max: usize,
}

impl FrameReader {
    /// Makes a reader that refuses frames longer than `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), max }
    }

    /// Adds bytes in the order they came off the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next complete frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`DecodeError::Oversized`] as soon as the length is known; the stream is of no use afterwards.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let mut head = &self.buffer[..];
        let len = match get_varint(&mut head) {
            Ok(len) => len,
            Err(DecodeError::Truncated) => return Ok(None),
            Err(error) => return Err(error),
        };
        if len > self.max as u64 {
            return Err(DecodeError::Oversized { len, max: self.max });
        }
        let body = usize::try_from(len).map_err(|_| DecodeError::Oversized { len, max: self.max })?;
        if head.remaining() < body {
            return Ok(None);
        }
        let prefix = self.buffer.len() - head.len();
        self.buffer.advance(prefix);
        Ok(Some(self.buffer.split_to(body).freeze()))
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

/// Appends a variable-length integer: RFC 9000 section 16.
///
/// # Panics
/// When the value is 2^62 or more, which no field of ours reaches.
pub fn put_varint(out: &mut BytesMut, value: u64) {
    match value {
        0..=0x3f => out.put_u8(value as u8),
        0x40..=0x3fff => out.put_u16(0x4000 | value as u16),
        0x4000..=0x3fff_ffff => out.put_u32(0x8000_0000 | value as u32),
        0x4000_0000..=VARINT_MAX => out.put_u64(0xc000_0000_0000_0000 | value),
        _ => panic!("{value} does not fit a variable-length integer"),
    }
}

/// Takes a variable-length integer: RFC 9000 section 16. Longer forms than needed are accepted, as there.
///
/// # Errors
/// [`DecodeError::Truncated`].
pub fn get_varint(input: &mut impl Buf) -> Result<u64, DecodeError> {
    let first = input.chunk().first().copied().ok_or(DecodeError::Truncated)?;
    let len = 1 << (first >> 6);
    if input.remaining() < len {
        return Err(DecodeError::Truncated);
    }
    Ok(match len {
        1 => u64::from(input.get_u8()),
        2 => u64::from(input.get_u16() & 0x3fff),
        4 => u64::from(input.get_u32() & 0x3fff_ffff),
        _ => input.get_u64() & VARINT_MAX,
    })
}

/// Takes a variable-length integer that must fit the field's type.
///
/// # Errors
/// [`DecodeError::Truncated`], or [`DecodeError::Bad`] naming `what` when the value does not fit.
pub fn get_number<T: TryFrom<u64>>(input: &mut impl Buf, what: &'static str) -> Result<T, DecodeError> {
    T::try_from(get_varint(input)?).map_err(|_| DecodeError::Bad { what })
}

/// Takes one byte.
///
/// # Errors
/// [`DecodeError::Truncated`].
pub fn get_byte(input: &mut Bytes) -> Result<u8, DecodeError> {
    input.try_get_u8().map_err(|_| DecodeError::Truncated)
}

/// Takes `len` bytes.
///
/// # Errors
/// [`DecodeError::Truncated`].
pub fn get_bytes(input: &mut Bytes, len: usize) -> Result<Bytes, DecodeError> {
    if input.len() < len {
        return Err(DecodeError::Truncated);
    }
    Ok(input.split_to(len))
}

impl Encode for Hash {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }
}

impl Decode for Hash {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let bytes = get_bytes(input, Hash::LEN)?;
        Ok(Self(bytes[..].try_into().expect("exactly 32 bytes were taken")))
    }
}

const VARINT_MAX: u64 = (1 << 62) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_match_the_examples_of_rfc_9000() {
        for (value, bytes) in [
            (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ] {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            assert_eq!(&out[..], bytes);
            assert_eq!(get_varint(&mut &bytes[..]), Ok(value));
            assert_eq!(get_varint(&mut &bytes[..bytes.len() - 1]), Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn frames_fed_byte_by_byte_come_out_whole() {
        let mut out = BytesMut::new();
        for body in [&b"one"[..], b"", &[7; 100]] {
            put_varint(&mut out, body.len() as u64);
            out.extend_from_slice(body);
        }
        let mut reader = FrameReader::new(100);
        let mut frames = Vec::new();
        for byte in out {
            reader.feed(&[byte]);
            frames.extend(reader.next_frame().unwrap());
        }
        assert_eq!(frames, [Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(&[7; 100])]);
        assert_eq!(reader.buffered(), 0);
    }

    #[test]
    fn an_oversized_frame_is_refused_before_its_body_arrives() {
        let mut reader = FrameReader::new(100);
        reader.feed(&[0x40, 101]);
        assert_eq!(reader.next_frame(), Err(DecodeError::Oversized { len: 101, max: 100 }));
    }

    #[test]
    fn bytes_behind_a_value_are_refused() {
        let bytes = Bytes::from_static(&[0; 33]);
        assert_eq!(Hash::from_bytes(bytes), Err(DecodeError::Trailing { bytes: 1 }));
    }
}
