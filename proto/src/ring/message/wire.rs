//! The wire form of ring messages: a tag byte, then the fields in order.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::circle::Point;
use super::super::contact::Contact;
use super::super::data::message::{DataAnswer, DataQuestion};
use super::{Answer, Forward, Found, LIST_MAX, Leg, Message, More, Note, Ownership, Question};
use crate::wire::{Decode, DecodeError, Encode, get_byte, get_number, get_varint, put_varint};

impl Encode for Message {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Question { number, question } => {
                out.put_u8(0);
                put_varint(out, u64::from(*number));
                question.encode(out);
            }
            Self::Answer { number, answer } => {
                out.put_u8(1);
                put_varint(out, u64::from(*number));
                answer.encode(out);
            }
            Self::Note(note) => {
                out.put_u8(2);
                note.encode(out);
            }
        }
    }
}

impl Decode for Message {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match get_byte(input)? {
            0 => Self::Question { number: get_number(input, "number")?, question: Question::decode(input)? },
            1 => Self::Answer { number: get_number(input, "number")?, answer: Answer::decode(input)? },
            2 => Self::Note(Note::decode(input)?),
            tag => return Err(DecodeError::UnknownTag { what: "ring message", value: tag.into() }),
        })
    }
}

impl Encode for Question {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Ping => out.put_u8(0),
            Self::State => out.put_u8(1),
            Self::Fingers => out.put_u8(2),
            Self::Next { key, short_of } => {
                out.put_u8(3);
                key.encode(out);
                short_of.encode(out);
            }
            Self::Owns { key } => {
                out.put_u8(4);
                key.encode(out);
            }
            Self::Forward(forward) => {
                out.put_u8(5);
                forward.encode(out);
            }
            Self::Data(data) => {
                out.put_u8(6);
                data.encode(out);
            }
        }
    }
}

impl Decode for Question {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match get_byte(input)? {
            0 => Self::Ping,
            1 => Self::State,
            2 => Self::Fingers,
            3 => Self::Next { key: Point::decode(input)?, short_of: Point::decode(input)? },
            4 => Self::Owns { key: Point::decode(input)? },
            5 => Self::Forward(Forward::decode(input)?),
            6 => Self::Data(DataQuestion::decode(input)?),
            tag => return Err(DecodeError::UnknownTag { what: "ring question", value: tag.into() }),
        })
    }
}

impl Encode for Answer {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Alive => out.put_u8(0),
            Self::NotMember => out.put_u8(1),
            Self::Busy => out.put_u8(2),
            Self::State { predecessor, successors } => {
                out.put_u8(3);
                put_option(out, predecessor.as_ref());
                put_list(out, successors);
            }
            Self::Fingers(fingers) => {
                out.put_u8(4);
                put_list(out, fingers);
            }
            Self::Step { closer, more, successors } => {
                out.put_u8(5);
                put_list(out, closer);
                out.put_u8(u8::from(*more == More::Yes));
                put_list(out, successors);
            }
            Self::Owns { mine, predecessor, successors } => {
                out.put_u8(6);
                out.put_u8(u8::from(*mine == Ownership::Mine));
                put_option(out, predecessor.as_ref());
                put_list(out, successors);
            }
            Self::Accepted => out.put_u8(7),
            Self::Data(data) => {
                out.put_u8(8);
                data.encode(out);
            }
        }
    }
}

impl Decode for Answer {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match get_byte(input)? {
            0 => Self::Alive,
            1 => Self::NotMember,
            2 => Self::Busy,
            3 => Self::State { predecessor: get_option(input)?, successors: get_list(input)? },
            4 => Self::Fingers(get_list(input)?),
            5 => Self::Step {
                closer: get_list(input)?,
                more: if get_flag(input)? { More::Yes } else { More::No },
                successors: get_list(input)?,
            },
            6 => Self::Owns {
                mine: if get_flag(input)? { Ownership::Mine } else { Ownership::NotMine },
                predecessor: get_option(input)?,
                successors: get_list(input)?,
            },
            7 => Self::Accepted,
            8 => Self::Data(DataAnswer::decode(input)?),
            tag => return Err(DecodeError::UnknownTag { what: "ring answer", value: tag.into() }),
        })
    }
}

impl Encode for Note {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Notify => out.put_u8(0),
            Self::Found(found) => {
                out.put_u8(1);
                out.put_u64(found.lookup);
                found.owner.encode(out);
                found.predecessor.encode(out);
                put_varint(out, u64::from(found.hops));
                put_varint(out, u64::from(found.timeouts));
            }
            Self::Leaving => out.put_u8(2),
            Self::Skipped => out.put_u8(3),
        }
    }
}

impl Decode for Note {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match get_byte(input)? {
            0 => Self::Notify,
            1 => Self::Found(Found {
                lookup: get_u64(input)?,
                owner: Contact::decode(input)?,
                predecessor: Contact::decode(input)?,
                hops: get_number(input, "hops")?,
                timeouts: get_number(input, "timeouts")?,
            }),
            2 => Self::Leaving,
            3 => Self::Skipped,
            tag => return Err(DecodeError::UnknownTag { what: "ring note", value: tag.into() }),
        })
    }
}

impl Encode for Forward {
    fn encode(&self, out: &mut BytesMut) {
        self.origin.encode(out);
        out.put_u64(self.lookup);
        self.key.encode(out);
        put_varint(out, u64::from(self.hops));
        put_varint(out, u64::from(self.timeouts));
        match self.leg {
            Leg::ToPredecessor => out.put_u8(0),
            Leg::ToOwner => out.put_u8(1),
            Leg::LastHop { predecessor } => {
                out.put_u8(2);
                predecessor.encode(out);
            }
        }
    }
}

impl Decode for Forward {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            origin: Contact::decode(input)?,
            lookup: get_u64(input)?,
            key: Point::decode(input)?,
            hops: get_number(input, "hops")?,
            timeouts: get_number(input, "timeouts")?,
            leg: match get_byte(input)? {
                0 => Leg::ToPredecessor,
                1 => Leg::ToOwner,
                2 => Leg::LastHop { predecessor: Contact::decode(input)? },
                tag => return Err(DecodeError::UnknownTag { what: "leg of a lookup", value: tag.into() }),
            },
        })
    }
}

pub(in super::super) fn put_list<T: Encode>(out: &mut BytesMut, items: &[T]) {
    put_varint(out, items.len() as u64);
    items.iter().for_each(|item| item.encode(out));
}

pub(in super::super) fn get_list<T: Decode>(input: &mut Bytes) -> Result<Vec<T>, DecodeError> {
    let len = get_varint(input)?;
    if len > LIST_MAX as u64 {
        return Err(DecodeError::Bad { what: "list longer than allowed" });
    }
    (0..len).map(|_| T::decode(input)).collect()
}

pub(in super::super) fn put_option<T: Encode>(out: &mut BytesMut, item: Option<&T>) {
    out.put_u8(u8::from(item.is_some()));
    if let Some(item) = item {
        item.encode(out);
    }
}

pub(in super::super) fn get_option<T: Decode>(input: &mut Bytes) -> Result<Option<T>, DecodeError> {
    Ok(if get_flag(input)? { Some(T::decode(input)?) } else { None })
}

pub(in super::super) fn get_flag(input: &mut Bytes) -> Result<bool, DecodeError> {
    match get_byte(input)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Bad { what: "flag" }),
    }
}

pub(in super::super) fn get_u64(input: &mut Bytes) -> Result<u64, DecodeError> {
    use bytes::Buf;
    input.try_get_u64().map_err(|_| DecodeError::Truncated)
}
