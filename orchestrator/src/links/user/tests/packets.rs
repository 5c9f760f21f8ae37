//! Building packets the slow and obvious way, to compare with.

use std::net::Ipv4Addr;

use crate::links::user::frame::{
    GSO_ECN, GSO_NONE, GSO_TCP, GSO_UDP, NEEDS_CHECKSUM, OFFLOAD, Offload, PROTOCOL_TCP, PROTOCOL_UDP,
};

pub(super) const ALICE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
pub(super) const BOB: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// A packet, or a train where `segment_size` is given.
#[derive(Clone)]
pub(super) struct Built {
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) identification: u16,
    pub(super) transport: Transport,
    pub(super) payload: Vec<u8>,
    pub(super) segment_size: Option<u16>,
}

#[derive(Clone, Copy)]
pub(super) enum Transport {
    Udp,
    /// With twelve bytes of options, as timestamps make them.
    Tcp {
        sequence: u32,
        flags: u8,
    },
}

impl Built {
    pub(super) fn udp(payload: usize) -> Self {
        Self {
            from: ALICE,
            to: BOB,
            identification: 0xfffe,
            transport: Transport::Udp,
            // No two segments are alike.
            payload: (0..payload).map(|index| (index % 251) as u8).collect(),
            segment_size: None,
        }
    }

    pub(super) fn tcp(payload: usize, sequence: u32, flags: u8) -> Self {
        Self { transport: Transport::Tcp { sequence, flags }, ..Self::udp(payload) }
    }

    pub(super) fn train(self, segment_size: u16) -> Self {
        Self { segment_size: Some(segment_size), ..self }
    }

    /// The packet with all checksums, as it would be seen on a wire, behind an empty offload header.
    pub(super) fn on_the_wire(&self) -> Vec<u8> {
        let mut bytes = vec![0; OFFLOAD];
        bytes.extend(self.packet());
        let (start, at) = self.checksum();
        let sum = !ones_sum(&[self.pseudo_header(), bytes[OFFLOAD + start..].to_vec()].concat());
        bytes[OFFLOAD + at..][..2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The packet as the kernel hands it to a device with offloads.
    pub(super) fn as_handed_over(&self) -> Vec<u8> {
        let mut bytes = vec![0; OFFLOAD];
        bytes.extend(self.packet());
        let (start, at) = self.checksum();
        let sum = ones_sum(&self.pseudo_header());
        bytes[OFFLOAD + at..][..2].copy_from_slice(&sum.to_be_bytes());
        let kind = match (self.segment_size, self.transport) {
            (None, _) => GSO_NONE,
            (Some(_), Transport::Udp) => GSO_UDP,
            (Some(_), Transport::Tcp { flags, .. }) => GSO_TCP | if flags & 0x80 == 0 { 0 } else { GSO_ECN },
        };
        let offload = Offload {
            flags: NEEDS_CHECKSUM,
            kind,
            header_length: (at + 2) as u16,
            segment_size: self.segment_size.unwrap_or(0),
            checksum_start: start as u16,
            checksum_offset: (at - start) as u16,
        };
        offload.write(&mut bytes);
        bytes
    }

    fn packet(&self) -> Vec<u8> {
        let transport = self.transport_header();
        let length = (20 + transport.len() + self.payload.len()) as u16;
        let protocol = self.protocol();
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        ip[4..6].copy_from_slice(&self.identification.to_be_bytes());
        ip.extend(self.from.octets());
        ip.extend(self.to.octets());
        let checksum = !ones_sum(&ip);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        [ip, transport, self.payload.clone()].concat()
    }

    fn transport_header(&self) -> Vec<u8> {
        match self.transport {
            Transport::Udp => {
                let length = (8 + self.payload.len()) as u16;
                let mut header = vec![0x11, 0x51, 0x11, 0x52, 0, 0, 0, 0];
                header[4..6].copy_from_slice(&length.to_be_bytes());
                header
            }
            Transport::Tcp { sequence, flags } => {
                let mut header = vec![0x11, 0x51, 0x11, 0x52];
                header.extend(sequence.to_be_bytes());
                header.extend([0, 0, 0, 9, 8 << 4, flags, 1, 0, 0, 0, 0, 0]);
                header.extend([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
                header
            }
        }
    }

    fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Udp => PROTOCOL_UDP,
            Transport::Tcp { .. } => PROTOCOL_TCP,
        }
    }

    /// Where the part that is summed begins, and where its checksum is.
    fn checksum(&self) -> (usize, usize) {
        match self.transport {
            Transport::Udp => (20, 26),
            Transport::Tcp { .. } => (20, 36),
        }
    }

    fn pseudo_header(&self) -> Vec<u8> {
        let length = (self.transport_header().len() + self.payload.len()) as u16;
        let [high, low] = length.to_be_bytes();
        [&self.from.octets()[..], &self.to.octets(), &[0, self.protocol(), high, low]].concat()
    }
}

/// The internet checksum's sum, word by word (RFC 1071).
pub(super) fn ones_sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0_u16, |sum, pair| {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}
