//! What nodes say about records.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::super::circle::{Arc, Point};
use super::super::message::wire::{get_flag, get_list, get_option, put_list, put_option};
use super::record::{Key, NAME_MAX, Record, Version};
use crate::id::PeerId;
use crate::wire::{Decode, DecodeError, Encode, get_byte, get_bytes, get_number, get_varint, put_varint};

/// A question about records.
#[derive(Clone, Debug, PartialEq)]
pub enum DataQuestion {
    /// Write this. Answered when the owner and enough replicas have it.
    Store {
        /// The key.
        key: Key,
        /// The value; `None` deletes.
        value: Option<Bytes>,
        /// How long to keep it; `None` for ever.
        lasting: Option<Duration>,
    },
    /// Read this.
    Fetch {
        /// The key.
        key: Key,
        /// Whose word counts.
        source: Source,
    },
    /// Keep these copies.
    Replicate {
        /// At most a page.
        records: Vec<Record>,
    },
    /// Do your records in this arc have this digest?
    Digest {
        /// The arc.
        arc: Arc,
        /// XOR of the records' tags.
        digest: u128,
    },
    /// Which versions do you have in this arc?
    Summary {
        /// The arc.
        arc: Arc,
        /// The last key of the page before.
        after: Option<Key>,
    },
    /// Give me these.
    Records {
        /// At most a page.
        keys: Vec<Key>,
    },
}

/// Whose word counts for a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The owner's, once it is sure of having everything.
    Owner,
    /// Anybody's who has a copy.
    Copy,
}

/// An answer about records.
#[derive(Clone, Debug, PartialEq)]
pub enum DataAnswer {
    /// To `Store`.
    Stored {
        /// Which write it became.
        version: Version,
        /// Replicas that had acknowledged it by then.
        replicas: u8,
    },
    /// To any: no.
    Refused(Refusal),
    /// To `Fetch`.
    Value(Option<Record>),
    /// To `Replicate`: kept, or already newer here.
    Replicated,
    /// To `Digest`: mine is the same.
    Same,
    /// To `Digest`: mine differs.
    Differs,
    /// To `Summary`: keys in clockwise order from the arc's start, without deletions' values.
    Summary {
        /// At most a page.
        versions: Vec<(Key, Version)>,
        /// Whether more follow.
        more: bool,
    },
    /// To `Records`: those I have, as many as fit a page.
    Records(Vec<Record>),
}

/// Why a node does not do what it was asked about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The key belongs to somebody else.
    NotMine,
    /// The key is new to me and I am still collecting its records.
    NotReady,
    /// I store as much as I may.
    Full,
    /// The name or the value is longer than allowed.
    TooLarge,
    /// No replica acknowledged the write in time. It may still survive.
    NoReplica,
    /// Too many writes wait for their replicas.
    Overloaded,
}

impl Refusal {
    const ALL: [Refusal; 6] =
        [Self::NotMine, Self::NotReady, Self::Full, Self::TooLarge, Self::NoReplica, Self::Overloaded];
}

impl Encode for DataQuestion {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Store { key, value, lasting } => {
                out.put_u8(0);
                key.encode(out);
                put_value(out, value.as_ref());
                put_lasting(out, *lasting);
            }
            Self::Fetch { key, source } => {
                out.put_u8(1);
                key.encode(out);
                out.put_u8(u8::from(*source == Source::Copy));
            }
            Self::Replicate { records } => {
                out.put_u8(2);
                put_list(out, records);
            }
            Self::Digest { arc, digest } => {
                out.put_u8(3);
                arc.encode(out);
                out.put_u128(*digest);
            }
            Self::Summary { arc, after } => {
                out.put_u8(4);
                arc.encode(out);
                put_option(out, after.as_ref());
            }
            Self::Records { keys } => {
                out.put_u8(5);
                put_list(out, keys);
            }
        }
    }
}

impl Decode for DataQuestion {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match get_byte(input)? {
            0 => Self::Store { key: Key::decode(input)?, value: get_value(input)?, lasting: get_lasting(input)? },
            1 => Self::Fetch {
                key: Key::decode(input)?,
                source: if get_flag(input)? { Source::Copy } else { Source::Owner },
            },
            2 => Self::Replicate { records: get_list(input)? },
            3 => Self::Digest { arc: Arc::decode(input)?, digest: Point::decode(input)?.0 },
            4 => Self::Summary { arc: Arc::decode(input)?, after: get_option(input)? },
            5 => Self::Records { keys: get_list(input)? },
            tag => return Err(DecodeError::UnknownTag { what: "question about records", value: tag.into() }),
        })
    }
}

impl Encode for DataAnswer {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Stored { version, replicas } => {
                out.put_u8(0);
                version.encode(out);
                out.put_u8(*replicas);
            }
            Self::Refused(refusal) => {
                out.put_u8(1);
                out.put_u8(*refusal as u8);
            }
            Self::Value(record) => {
                out.put_u8(2);
                put_option(out, record.as_ref());
            }
            Self::Replicated => out.put_u8(3),
            Self::Same => out.put_u8(4),
            Self::Differs => out.put_u8(5),
            Self::Summary { versions, more } => {
                out.put_u8(6);
                put_varint(out, versions.len() as u64);
                for (key, version) in versions {
                    key.encode(out);
                    version.encode(out);
                }
                out.put_u8(u8::from(*more));
            }
            Self::Records(records) => {
                out.put_u8(7);
                put_list(out, records);
            }
        }
    }
}

impl Decode for DataAnswer {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match get_byte(input)? {
            0 => Self::Stored { version: Version::decode(input)?, replicas: get_byte(input)? },
            1 => {
                let tag = get_byte(input)?;
                let refusal = Refusal::ALL.get(usize::from(tag));
                Self::Refused(*refusal.ok_or(DecodeError::UnknownTag { what: "refusal", value: tag.into() })?)
            }
            2 => Self::Value(get_option(input)?),
            3 => Self::Replicated,
            4 => Self::Same,
            5 => Self::Differs,
            6 => {
                let len = get_varint(input)?;
                if len > PAGE_KEYS as u64 {
                    return Err(DecodeError::Bad { what: "page longer than allowed" });
                }
                let versions = (0..len).map(|_| Ok((Key::decode(input)?, Version::decode(input)?)));
                Self::Summary { versions: versions.collect::<Result<_, DecodeError>>()?, more: get_flag(input)? }
            }
            7 => Self::Records(get_list(input)?),
            tag => return Err(DecodeError::UnknownTag { what: "answer about records", value: tag.into() }),
        })
    }
}

impl Encode for Key {
    fn encode(&self, out: &mut BytesMut) {
        self.point.encode(out);
        put_varint(out, self.name.len() as u64);
        out.extend_from_slice(&self.name);
    }
}

impl Decode for Key {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let point = Point::decode(input)?;
        let len: usize = get_number(input, "length of a name")?;
        if len > NAME_MAX {
            return Err(DecodeError::Bad { what: "length of a name" });
        }
        Ok(Self { point, name: get_bytes(input, len)? })
    }
}

impl Encode for Version {
    fn encode(&self, out: &mut BytesMut) {
        put_varint(out, self.counter.min(COUNTER_MAX));
        put_varint(out, u64::from(self.owner.0));
    }
}

impl Decode for Version {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self { counter: get_varint(input)?, owner: PeerId(get_number(input, "owner")?) })
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut BytesMut) {
        self.key.encode(out);
        self.version.encode(out);
        put_value(out, self.value.as_ref());
        put_lasting(out, self.lasting);
    }
}

impl Decode for Record {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            key: Key::decode(input)?,
            version: Version::decode(input)?,
            value: get_value(input)?,
            lasting: get_lasting(input)?,
        })
    }
}

fn put_value(out: &mut BytesMut, value: Option<&Bytes>) {
    out.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        put_varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

fn get_value(input: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
    if !get_flag(input)? {
        return Ok(None);
    }
    let len = get_number(input, "length of a value")?;
    Ok(Some(get_bytes(input, len)?))
}

/// Milliseconds and one; 0 is for ever.
fn put_lasting(out: &mut BytesMut, lasting: Option<Duration>) {
    let millis = lasting.map_or(0, |lasting| 1 + u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX));
    put_varint(out, millis.min(LASTING_MAX));
}

fn get_lasting(input: &mut Bytes) -> Result<Option<Duration>, DecodeError> {
    Ok(get_varint(input)?.checked_sub(1).map(Duration::from_millis))
}

/// Most keys in one page of a summary.
pub(in super::super) const PAGE_KEYS: usize = 128;

/// Most bytes of records in one message, by [`Record::size`]; a single larger record goes alone.
pub(in super::super) const PAGE_BYTES: usize = 256 * 1024;

/// The longest life that is written down, in milliseconds: 35 000 years.
const LASTING_MAX: u64 = 1 << 50;

/// The largest counter that is written down; no honest key is written so often.
pub(in super::super) const COUNTER_MAX: u64 = (1 << 62) - 1;
