//! What is cut out of a train is what a wire would have carried, byte for byte.

use super::packets::{BOB, Built, Transport};
use crate::links::{
    emulation::train::{Mark, Run, Train},
    user::{
        cut::{complete, corrupt, cut, cut_length},
        frame::{Frame, FrameError, GSO_ECN, GSO_NONE, GSO_TCP, OFFLOAD, Offload},
    },
};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

#[test]
fn every_datagram_of_a_train_is_as_if_sent_singly() {
    let train = Built::udp(3 * 1200 + 77).train(1200);
    let bytes = train.as_handed_over();
    let frame = Frame::read(&bytes).unwrap();
    assert_eq!(frame.destination, BOB);
    assert_eq!(frame.train, Train { segments: 4, segment_bytes: 1228, last_bytes: 105 });
    for (index, payload) in train.payload.chunks(1200).enumerate() {
        let expected = Built {
            // Identifications wrap: the train begins with 0xfffe.
            identification: 0xfffe_u16.wrapping_add(index as u16),
            payload: payload.to_vec(),
            segment_size: None,
            ..train.clone()
        };
        let mut cut = cut_out(&bytes, index as u32, 1);
        assert_eq!(cut, expected.as_handed_over_with_header_length(28));
        complete(&mut cut);
        assert_eq!(packet(&cut), packet(&expected.on_the_wire()));
    }
}

#[test]
fn every_segment_of_a_tcp_train_has_its_own_number_and_flags() {
    let train = Built::tcp(2 * 1448 + 1, u32::MAX - 1000, CWR | ACK | PSH | FIN).train(1448);
    let bytes = train.as_handed_over();
    let flags = [CWR | ACK, ACK, ACK | PSH | FIN];
    for (index, payload) in train.payload.chunks(1448).enumerate() {
        let expected = Built {
            identification: 0xfffe_u16.wrapping_add(index as u16),
            transport: Transport::Tcp {
                sequence: (u32::MAX - 1000).wrapping_add(index as u32 * 1448),
                flags: flags[index],
            },
            payload: payload.to_vec(),
            segment_size: None,
            ..train.clone()
        };
        let mut cut = cut_out(&bytes, index as u32, 1);
        complete(&mut cut);
        assert_eq!(packet(&cut), packet(&expected.on_the_wire()), "segment {index}");
    }
}

#[test]
fn a_part_of_a_train_is_a_train() {
    let train = Built::tcp(10 * 1448, 5000, CWR | ACK | PSH).train(1448);
    let bytes = train.as_handed_over();
    let first = cut_out(&bytes, 0, 4);
    let middle = cut_out(&bytes, 4, 3);
    let kinds = [&first, &middle].map(|bytes| Offload::read(bytes).unwrap().kind);
    assert_eq!(kinds, [GSO_TCP | GSO_ECN, GSO_TCP], "only the first segment reduces the window");
    let expected = Built {
        identification: 2,
        transport: Transport::Tcp { sequence: 5000 + 4 * 1448, flags: ACK },
        payload: train.payload[4 * 1448..7 * 1448].to_vec(),
        ..train
    };
    assert_eq!(middle, expected.as_handed_over_with_header_length(52));
    // A part that is cut again is what would have been cut from the whole.
    let again = Frame::read(&middle).unwrap();
    assert_eq!(again, Frame::read(&bytes).unwrap().part(&run(4, 3)));
    assert_eq!(cut_out(&middle, 1, 1), cut_out(&bytes, 5, 1));
}

#[test]
fn what_is_known_of_a_part_is_what_reading_it_tells() {
    let bytes = Built::udp(10 * 1000 + 10).train(1000).as_handed_over();
    let frame = Frame::read(&bytes).unwrap();
    for (first, count) in [(0, 11), (0, 1), (10, 1), (3, 5), (7, 4)] {
        let part = frame.part(&run(first, count));
        assert_eq!(Frame::read(&cut_out(&bytes, first, count)).unwrap(), part, "{count} from {first}");
    }
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    for random in [0, 1, 999, u64::MAX] {
        let built = Built::udp(1000);
        let mut bytes = built.as_handed_over();
        let frame = Frame::read(&bytes).unwrap();
        corrupt(&mut bytes, &frame, random);
        let wire = built.on_the_wire();
        let flipped: u32 = packet(&wire).iter().zip(packet(&bytes)).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(flipped, 1);
        assert_eq!(bytes[..OFFLOAD + 20], wire[..OFFLOAD + 20], "the IP header is left alone");
        assert_eq!(Offload::read(&bytes).unwrap(), Offload::default());
    }
}

#[test]
fn frames_that_contradict_themselves_are_refused() {
    let good = Built::tcp(5000, 1, ACK).train(1448).as_handed_over();
    assert!(Frame::read(&good).is_ok());
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Frame::read(&bytes).unwrap_err()
    };
    assert_eq!(refused(&|bytes| bytes[OFFLOAD] = 0x60), FrameError::Foreign);
    assert_eq!(refused(&|bytes| bytes.truncate(OFFLOAD)), FrameError::Foreign);
    assert_eq!(refused(&|bytes| bytes.truncate(5)), FrameError::Malformed);
    assert_eq!(refused(&|bytes| bytes.truncate(OFFLOAD + 19)), FrameError::Malformed);
    assert_eq!(refused(&|bytes| bytes.truncate(OFFLOAD + 45)), FrameError::Malformed);
    assert_eq!(refused(&|bytes| bytes[OFFLOAD] = 0x44), FrameError::Malformed, "IP header too short");
    assert_eq!(refused(&|bytes| bytes[OFFLOAD + 9] = 17), FrameError::Malformed, "UDP in a TCP train");
    assert_eq!(refused(&|bytes| bytes[1] = 3), FrameError::Malformed, "a kind that was not offered");
    assert_eq!(refused(&|bytes| bytes[4..6].fill(0)), FrameError::Malformed, "segments of nothing");
    assert_eq!(refused(&|bytes| bytes[0] = 0), FrameError::Malformed, "a train with whole checksums");
    assert_eq!(refused(&|bytes| bytes[7] = 200), FrameError::Malformed, "a checksum outside the headers");
}

impl Built {
    /// As [`Built::as_handed_over`], with the hint at the headers' length that cutting gives.
    fn as_handed_over_with_header_length(&self, length: u16) -> Vec<u8> {
        let mut bytes = self.as_handed_over();
        let kind = match Offload::read(&bytes).unwrap() {
            offload if self.segment_size.is_some() => offload.kind & !GSO_ECN,
            _ => GSO_NONE,
        };
        let offload = Offload { header_length: length, kind, ..Offload::read(&bytes).unwrap() };
        offload.write(&mut bytes);
        bytes
    }
}

fn cut_out(bytes: &[u8], first: u32, count: u32) -> Vec<u8> {
    let frame = Frame::read(bytes).unwrap();
    let run = run(first, count);
    let mut out = vec![0xaa; cut_length(&frame, &run)];
    cut(bytes, &frame, &run, &mut out);
    out
}

fn run(first: u32, count: u32) -> Run {
    Run { first, count, mark: Mark::Plain }
}

fn packet(bytes: &[u8]) -> &[u8] {
    &bytes[OFFLOAD..]
}
