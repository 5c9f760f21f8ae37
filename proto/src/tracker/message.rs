//! What a peer and the tracker tell each other, and its wire form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::content::ContentId;
use crate::id::PeerId;
use crate::wire::{Decode, DecodeError, Encode, get_byte, get_bytes, get_number, put_varint};

/// A peer tells the tracker about itself. Who it is and where it listens the tracker knows from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub content: ContentId,
    /// Why now.
    pub event: AnnounceEvent,
    /// Whether the peer has the whole content.
    pub complete: bool,
    /// How many other peers it would like to know; the tracker names no more than 50.
    pub want: u16,
}

impl Announce {
    /// Longest frame in bytes.
    pub const FRAME_MAX: usize = 64;
}

/// Why a peer announces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceEvent {
    /// It joins.
    Started,
    /// It still is there.
    Update,
    /// It now has the whole content.
    Completed,
    /// It leaves; the tracker forgets it and names nobody.
    Stopped,
}

/// The tracker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceReply {
    /// When to announce again; the tracker forgets who is silent for two intervals. Whole milliseconds.
    pub interval: Duration,
    /// Peers of the swarm, chosen at random.
    pub peers: Vec<Entry>,
}

impl AnnounceReply {
    /// Longest frame in bytes: [`Entry::COUNT_MAX`] IPv6 entries.
    pub const FRAME_MAX: usize = 2_048;
}

/// A peer of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Who.
    pub peer: PeerId,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Entry {
    /// Most entries in one reply.
    pub const COUNT_MAX: usize = 50;
}

impl Encode for Announce {
    fn encode(&self, out: &mut BytesMut) {
        self.content.encode(out);
        out.put_u8(match self.event {
            AnnounceEvent::Started => 0,
            AnnounceEvent::Update => 1,
            AnnounceEvent::Completed => 2,
            AnnounceEvent::Stopped => 3,
        });
        out.put_u8(u8::from(self.complete));
        put_varint(out, u64::from(self.want));
    }
}

impl Decode for Announce {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let content = ContentId::decode(input)?;
        let event = match get_byte(input)? {
            0 => AnnounceEvent::Started,
            1 => AnnounceEvent::Update,
            2 => AnnounceEvent::Completed,
            3 => AnnounceEvent::Stopped,
            value => return Err(DecodeError::UnknownTag { what: "announce event", value: u64::from(value) }),
        };
        let complete = match get_byte(input)? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Bad { what: "completeness" }),
        };
        Ok(Self { content, event, complete, want: get_number(input, "number of peers")? })
    }
}

impl Encode for AnnounceReply {
    fn encode(&self, out: &mut BytesMut) {
        put_varint(out, self.interval.as_millis() as u64);
        put_varint(out, self.peers.len() as u64);
        self.peers.iter().for_each(|entry| entry.encode(out));
    }
}

impl Decode for AnnounceReply {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let interval = Duration::from_millis(u64::from(get_number::<u32>(input, "interval")?));
        let count: usize = get_number(input, "number of peers")?;
        if count > Entry::COUNT_MAX {
            return Err(DecodeError::Bad { what: "number of peers" });
        }
        let peers = (0..count).map(|_| Entry::decode(input)).collect::<Result<_, _>>()?;
        Ok(Self { interval, peers })
    }
}

impl Encode for Entry {
    fn encode(&self, out: &mut BytesMut) {
        put_varint(out, u64::from(self.peer.0));
        match self.address.ip() {
            IpAddr::V4(ip) => {
                out.put_u8(4);
                out.put_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.put_u8(6);
                out.put_slice(&ip.octets());
            }
        }
        out.put_u16(self.address.port());
    }
}

impl Decode for Entry {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let peer = PeerId(get_number(input, "peer")?);
        let ip = match get_byte(input)? {
            4 => {
                let octets: [u8; 4] = get_bytes(input, 4)?[..].try_into().expect("exactly 4 bytes were taken");
                IpAddr::V4(Ipv4Addr::from(octets))
            }
            6 => {
                let octets: [u8; 16] = get_bytes(input, 16)?[..].try_into().expect("exactly 16 bytes were taken");
                IpAddr::V6(Ipv6Addr::from(octets))
            }
            value => return Err(DecodeError::UnknownTag { what: "address family", value: u64::from(value) }),
        };
        let port = get_bytes(input, 2)?.get_u16();
        Ok(Self { peer, address: SocketAddr::new(ip, port) })
    }
}
