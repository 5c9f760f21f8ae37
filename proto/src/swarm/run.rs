//! Runs of leaves, the unit of request and transfer, and how one travels on a stream of its own.
//!
//! A run stream is a [`RunHeader`], the piece's leaf hashes if they were asked for, and the leaves, nothing else.
//! The driver writes one with [`RunHeader`] and its own file access and reads one with [`RunReader`].

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::message::LayerWish;
use crate::content::{Manifest, decode_layer};
use crate::hash::Hash;
use crate::wire::{Decode, DecodeError, Encode, get_byte, get_number, put_varint};

/// Consecutive leaves of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The piece.
    pub piece: u32,
    /// The first leaf.
    pub first: u16,
    /// How many leaves; at least 1.
    pub count: u16,
}

impl Run {
    /// The leaves' numbers.
    #[must_use]
    pub fn leaves(self) -> Range<u16> {
        self.first..self.first.saturating_add(self.count)
    }

    /// Whether the run has leaves and all of them exist in the content.
    #[must_use]
    pub fn lies_within(self, manifest: &Manifest) -> bool {
        let end = u32::from(self.first) + u32::from(self.count);
        self.count > 0 && end <= u32::from(manifest.leaves_in(self.piece))
    }

    /// The run's bytes within the file.
    #[must_use]
    pub fn range(self, manifest: &Manifest) -> Range<u64> {
        let last = self.leaves().end.saturating_sub(1);
        manifest.leaf_range(self.piece, self.first).start..manifest.leaf_range(self.piece, last).end
    }

    /// The run's payload in bytes.
    #[must_use]
    pub fn bytes(self, manifest: &Manifest) -> u64 {
        let range = self.range(manifest);
        range.end.saturating_sub(range.start)
    }
}

impl Encode for Run {
    fn encode(&self, out: &mut BytesMut) {
        put_varint(out, u64::from(self.piece));
        put_varint(out, u64::from(self.first));
        put_varint(out, u64::from(self.count));
    }
}

impl Decode for Run {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let run = Self {
            piece: get_number(input, "piece")?,
            first: get_number(input, "first leaf")?,
            count: get_number(input, "number of leaves")?,
        };
        if run.count == 0 {
            return Err(DecodeError::Bad { what: "number of leaves" });
        }
        Ok(run)
    }
}

/// What stands at the front of a run stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunHeader {
    /// The run, as it was requested.
    pub run: Run,
    /// Whether the piece's leaf hashes follow, in front of the leaves.
    pub layer: LayerWish,
}

impl RunHeader {
    /// Longest header in bytes.
    pub const LEN_MAX: usize = 13;
}

impl Encode for RunHeader {
    fn encode(&self, out: &mut BytesMut) {
        self.run.encode(out);
        out.put_u8(match self.layer {
            LayerWish::Omit => 0,
            LayerWish::Send => 1,
        });
    }
}

impl Decode for RunHeader {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let run = Run::decode(input)?;
        let layer = match get_byte(input)? {
            0 => LayerWish::Omit,
            1 => LayerWish::Send,
            value => return Err(DecodeError::UnknownTag { what: "run flags", value: u64::from(value) }),
        };
        Ok(Self { run, layer })
    }
}

/// Takes a run stream apart.
///
/// Feed it what the stream yields, and take parts until there is none. Holds at most one leaf (or one layer of hashes)
/// and what was fed beyond it. Hashes and leaves are not verified here: the core does that.
#[derive(Debug)]
pub struct RunReader {
    manifest: Arc<Manifest>,
    buffer: BytesMut,
    state: State,
}

/// A part of a run stream, in stream order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunPart {
    /// Which run this is. It may be one nobody asked for.
    Header(RunHeader),
    /// The leaf hashes of the run's piece, for `Swarm::handle_layer`.
    Layer(Vec<Hash>),
    /// A leaf, for `Swarm::handle_leaf`.
    Leaf {
        /// Its number within the piece.
        leaf: u16,
        /// Its bytes, as many as the manifest says.
        data: Bytes,
    },
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Layer(Run),
    Leaf { run: Run, next: u16 },
    End,
}

impl RunReader {
    /// Starts at the front of a stream.
    #[must_use]
    pub fn new(manifest: Arc<Manifest>) -> Self {
        Self { manifest, buffer: BytesMut::new(), state: State::Header }
    }

    /// Adds bytes in the order they came off the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next complete part; `None` when more bytes are needed or the run is complete.
    ///
    /// # Errors
    /// When the header is none, names leaves the content does not have, or bytes follow the last leaf. The driver then
    /// calls `Swarm::handle_violation`.
    pub fn next_part(&mut self) -> Result<Option<RunPart>, DecodeError> {
        match self.state {
            State::Header => self.next_header(),
            State::Layer(run) => {
                let count = self.manifest.leaves_in(run.piece);
                let Some(mut bytes) = self.take(usize::from(count) * Hash::LEN) else { return Ok(None) };
                self.state = State::Leaf { run, next: run.first };
                decode_layer(&mut bytes, count).map(|layer| Some(RunPart::Layer(layer)))
            }
            State::Leaf { run, next } => {
                let len = self.manifest.leaf_len(run.piece, next);
                let Some(data) = self.take(len as usize) else { return Ok(None) };
                self.state = match next + 1 {
                    end if end == run.leaves().end => State::End,
                    next => State::Leaf { run, next },
                };
                Ok(Some(RunPart::Leaf { leaf: next, data }))
            }
            State::End if self.buffer.is_empty() => Ok(None),
            State::End => Err(DecodeError::Trailing { bytes: self.buffer.len() }),
        }
    }

    /// Whether the last leaf was taken. A stream that ends before is cut short: `Swarm::handle_run_refused`.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::End)
    }

    fn next_header(&mut self) -> Result<Option<RunPart>, DecodeError> {
        let mut input = Bytes::copy_from_slice(&self.buffer[..self.buffer.len().min(RunHeader::LEN_MAX)]);
        let before = input.len();
        let header = match RunHeader::decode(&mut input) {
            Ok(header) => header,
            Err(DecodeError::Truncated) if before < RunHeader::LEN_MAX => return Ok(None),
            Err(error) => return Err(error),
        };
        let run = header.run;
        if !run.lies_within(&self.manifest) {
            return Err(DecodeError::Bad { what: "run" });
        }
        drop(self.buffer.split_to(before - input.len()));
        self.state = match header.layer {
            LayerWish::Send => State::Layer(run),
            LayerWish::Omit => State::Leaf { run, next: run.first },
        };
        Ok(Some(RunPart::Header(header)))
    }

    fn take(&mut self, len: usize) -> Option<Bytes> {
        (self.buffer.len() >= len).then(|| self.buffer.split_to(len).freeze())
    }
}

#[cfg(test)]
mod tests;
