//! What a TUN device with `IFF_VNET_HDR` hands over and takes: a virtio-net header and an IPv4 packet.
//!
//! With offloads switched on the packet may be a train: one IP header, one TCP or UDP header and the payload of many
//! segments, with `gso_size` bytes for each but the last. Reading lives here, cutting in `cut`. IPv6 does not: peers
//! have IPv4 addresses only.

use std::net::Ipv4Addr;

use crate::links::emulation::train::{Run, Train};

/// What the engine needs to know of a frame; the bytes stay where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where the packet goes.
    pub destination: Ipv4Addr,
    /// Its segments, with IP headers.
    pub train: Train,
    /// Length of the IP header in bytes.
    pub ip_header: usize,
    /// Length of IP and transport header in bytes; for a packet by itself of the IP header only.
    pub headers: usize,
}

/// The header in front of each packet (`struct virtio_net_hdr`), in the byte order of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// [`NEEDS_CHECKSUM`] or nothing.
    pub flags: u8,
    /// Kind of train: [`GSO_NONE`], [`GSO_TCP`] or [`GSO_UDP`], the first two with or without [`GSO_ECN`].
    pub kind: u8,
    /// A hint at how many bytes are headers.
    pub header_length: u16,
    /// Payload bytes of a segment.
    pub segment_size: u16,
    /// Where the part begins over which the checksum goes, counted from the IP header.
    pub checksum_start: u16,
    /// Where the checksum is, counted from there.
    pub checksum_offset: u16,
}

/// Why a frame is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not IPv4: IPv6 chatter of the kernel, mostly.
    #[error("it is not an IPv4 packet")]
    Foreign,
    /// It contradicts itself.
    #[error("its headers contradict its length")]
    Malformed,
}

impl Frame {
    /// Reads a frame as it came from the device.
    ///
    /// # Errors
    ///
    /// When it is not an IPv4 packet, or not a train as the kernel makes them.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let offload = Offload::read(bytes).ok_or(FrameError::Malformed)?;
        let packet = &bytes[OFFLOAD..];
        if packet.first().is_none_or(|first| first >> 4 != 4) {
            return Err(FrameError::Foreign);
        }
        let ip_header = usize::from(packet[0] & 0xf) * 4;
        let fields = packet.get(..IP_HEADER_MIN).ok_or(FrameError::Malformed)?;
        if ip_header < IP_HEADER_MIN || packet.len() < ip_header || packet.len() > PACKET_MAX {
            return Err(FrameError::Malformed);
        }
        let destination = Ipv4Addr::new(fields[16], fields[17], fields[18], fields[19]);
        let transport = match (offload.kind & !GSO_ECN, fields[9]) {
            (GSO_NONE, _) => 0,
            (GSO_TCP, PROTOCOL_TCP) => {
                let offset = packet.get(ip_header + 12).ok_or(FrameError::Malformed)?;
                usize::from(offset >> 4) * 4
            }
            (GSO_UDP, PROTOCOL_UDP) => UDP_HEADER,
            _ => return Err(FrameError::Malformed),
        };
        let headers = ip_header + transport;
        let train = train(packet.len(), headers, &offload).ok_or(FrameError::Malformed)?;
        Ok(Self { destination, train, ip_header, headers })
    }

    /// What [`read`](Self::read) says of a run of the segments that was cut out.
    #[must_use]
    pub fn part(&self, run: &Run) -> Self {
        let ends = run.first + run.count == self.train.segments;
        let last_bytes = if ends { self.train.last_bytes } else { self.train.segment_bytes };
        let train = match run.count {
            1 => Train::single(last_bytes),
            segments => Train { segments, last_bytes, ..self.train },
        };
        let headers = if run.count == 1 { self.ip_header } else { self.headers };
        Self { train, headers, ..*self }
    }
}

impl Offload {
    /// Reads the header in front of a packet; none when there are too few bytes.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..OFFLOAD)?;
        let number = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Some(Self {
            flags: bytes[0],
            kind: bytes[1],
            header_length: number(2),
            segment_size: number(4),
            checksum_start: number(6),
            checksum_offset: number(8),
        })
    }

    /// Writes the header into the first bytes of a frame.
    ///
    /// # Panics
    ///
    /// When there is no room for it.
    pub fn write(&self, bytes: &mut [u8]) {
        let numbers = [self.header_length, self.segment_size, self.checksum_start, self.checksum_offset];
        bytes[0] = self.flags;
        bytes[1] = self.kind;
        for (slot, number) in bytes[2..OFFLOAD].chunks_exact_mut(2).zip(numbers) {
            slot.copy_from_slice(&number.to_ne_bytes());
        }
    }
}

/// The segments of a packet; none when it has no payload to divide or too little header.
fn train(length: usize, headers: usize, offload: &Offload) -> Option<Train> {
    if offload.kind & !GSO_ECN == GSO_NONE {
        return u32::try_from(length).ok().map(Train::single);
    }
    let payload = length.checked_sub(headers).filter(|&payload| payload > 0)?;
    let size = usize::from(offload.segment_size);
    // The kernel leaves the checksum of a train to be completed, and it lies in the transport header.
    let checksum_end = usize::from(offload.checksum_start) + usize::from(offload.checksum_offset) + 2;
    if size == 0 || offload.flags & NEEDS_CHECKSUM == 0 || checksum_end > headers {
        return None;
    }
    let segments = payload.div_ceil(size);
    let last = payload - (segments - 1) * size;
    let bytes = |payload: usize| u32::try_from(headers + payload).ok();
    Some(Train {
        segments: u32::try_from(segments).ok()?,
        segment_bytes: bytes(size.min(payload))?,
        last_bytes: bytes(last)?,
    })
}

/// Length of [`Offload`] on the device: what the kernel uses unless told otherwise.
pub const OFFLOAD: usize = 10;
/// Longest IPv4 packet, and so the longest train.
pub const PACKET_MAX: usize = 65_535;
/// Longest frame.
pub const FRAME_MAX: usize = OFFLOAD + PACKET_MAX;

/// The transport checksum holds only the sum over the pseudo header; the rest is to be added.
pub const NEEDS_CHECKSUM: u8 = 1;
/// A packet by itself.
pub const GSO_NONE: u8 = 0;
/// A train of TCP segments over IPv4.
pub const GSO_TCP: u8 = 1;
/// A train of UDP datagrams.
pub const GSO_UDP: u8 = 5;
/// Flag beside [`GSO_TCP`]: the first segment says that the congestion window was reduced.
pub const GSO_ECN: u8 = 0x80;

pub(super) const IP_HEADER_MIN: usize = 20;
pub(super) const UDP_HEADER: usize = 8;
pub(super) const PROTOCOL_TCP: u8 = 6;
pub(super) const PROTOCOL_UDP: u8 = 17;
