//! Cutting trains into shorter ones and single packets, exactly as the kernel would segment them.
//!
//! Every piece gets the train's headers with its own lengths, IP identification, TCP sequence number and flags. The
//! transport checksum stays partial, as it came (the receiving kernel takes that for a checksum that is right);
//! [`corrupt`] completes it first, because a flipped bit is to be found.

use super::frame::{Frame, GSO_ECN, GSO_NONE, GSO_TCP, NEEDS_CHECKSUM, OFFLOAD, Offload, PROTOCOL_UDP, UDP_HEADER};
use crate::links::emulation::train::{Run, Train};

/// Number of bytes that [`cut`] writes for a run.
#[must_use]
pub fn cut_length(frame: &Frame, run: &Run) -> usize {
    let Train { segments, segment_bytes, last_bytes } = frame.train;
    let payload = |bytes: u32| bytes as usize - frame.headers;
    let whole = run.count as usize * payload(segment_bytes);
    let missing = if run.first + run.count == segments { payload(segment_bytes) - payload(last_bytes) } else { 0 };
    OFFLOAD + frame.headers + whole - missing
}

/// Writes a run of a train's segments, as a frame of its own, into `out`, which is [`cut_length`] long.
///
/// # Panics
///
/// When `bytes` is not the frame that `frame` was read from, or `out` has another length.
pub fn cut(bytes: &[u8], frame: &Frame, run: &Run, out: &mut [u8]) {
    if run.count == frame.train.segments {
        // Also a train of one segment, which stays what it is.
        out.copy_from_slice(bytes);
        return;
    }
    let mut offload = Offload::read(bytes).expect("the frame was read before");
    let size = usize::from(offload.segment_size);
    let (head, payload) = bytes.split_at(OFFLOAD + frame.headers);
    let (out_head, out_payload) = out.split_at_mut(OFFLOAD + frame.headers);
    out_head.copy_from_slice(head);
    let start = run.first as usize * size;
    out_payload.copy_from_slice(&payload[start..start + out_payload.len()]);

    let packet = &mut out_head[OFFLOAD..];
    number_ip(packet, frame, run, out_payload.len());
    let transport = &mut packet[frame.ip_header..];
    match offload.kind & !GSO_ECN {
        GSO_TCP => number_tcp(transport, frame, run, start),
        _ => number_udp(transport, out_payload.len()),
    }
    offload.header_length = u16::try_from(frame.headers).expect("two headers have at most 120 bytes");
    if run.first > 0 {
        offload.kind &= !GSO_ECN;
    }
    if run.count == 1 {
        offload.kind = GSO_NONE;
        offload.segment_size = 0;
    }
    let length = packet.len() - frame.ip_header + out_payload.len();
    let sum = pseudo_header(packet, length);
    let at = usize::from(offload.checksum_start) + usize::from(offload.checksum_offset);
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    offload.write(out_head);
}

/// Adds what is missing to a partial transport checksum.
pub fn complete(bytes: &mut [u8]) {
    let Some(mut offload) = Offload::read(bytes) else { return };
    if offload.flags & NEEDS_CHECKSUM == 0 {
        return;
    }
    let packet = &mut bytes[OFFLOAD..];
    let start = usize::from(offload.checksum_start);
    let at = start + usize::from(offload.checksum_offset);
    if packet.len() < at + 2 {
        return;
    }
    let sum = !sum(&packet[start..], 0);
    // No UDP checksum at all is written as zero, so a sum of zero is written as its other form.
    let sum = if sum == 0 && packet[9] == PROTOCOL_UDP { u16::MAX } else { sum };
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    offload.flags &= !NEEDS_CHECKSUM;
    (offload.checksum_start, offload.checksum_offset) = (0, 0);
    offload.write(bytes);
}

/// Flips one bit behind the IP header of a single packet, chosen by `random`; the packet's checksum no longer fits.
pub fn corrupt(bytes: &mut [u8], frame: &Frame, random: u64) {
    complete(bytes);
    // A train of one segment is a packet; without a partial checksum it must say so.
    Offload::default().write(bytes);
    let body = &mut bytes[OFFLOAD + frame.ip_header..];
    if body.is_empty() {
        return;
    }
    let bit = random % (body.len() as u64 * 8);
    body[usize::try_from(bit / 8).expect("it is below the length")] ^= 1 << (bit % 8);
}

/// Total length, identification and checksum of the IP header.
fn number_ip(packet: &mut [u8], frame: &Frame, run: &Run, payload: usize) {
    let total = u16::try_from(frame.headers + payload).expect("a part is not longer than the train");
    let identification = u16::from_be_bytes([packet[4], packet[5]]);
    // Numbers go up by one from segment to segment and wrap.
    let identification = identification.wrapping_add(run.first as u16);
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[4..6].copy_from_slice(&identification.to_be_bytes());
    packet[10..12].fill(0);
    let checksum = !sum(&packet[..frame.ip_header], 0);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

fn number_tcp(transport: &mut [u8], frame: &Frame, run: &Run, start: usize) {
    let sequence = u32::from_be_bytes([transport[4], transport[5], transport[6], transport[7]]);
    let sequence = sequence.wrapping_add(start as u32);
    transport[4..8].copy_from_slice(&sequence.to_be_bytes());
    if run.first > 0 {
        transport[13] &= !TCP_CWR;
    }
    if run.first + run.count < frame.train.segments {
        transport[13] &= !(TCP_FIN | TCP_PSH);
    }
}

fn number_udp(transport: &mut [u8], payload: usize) {
    let length = u16::try_from(UDP_HEADER + payload).expect("a part is not longer than the train");
    transport[4..6].copy_from_slice(&length.to_be_bytes());
}

/// Sum over the pseudo header: addresses, protocol, length of transport header and payload.
fn pseudo_header(packet: &[u8], length: usize) -> u16 {
    sum(&packet[12..20], u64::from(packet[9]) + length as u64)
}

/// The internet checksum's sum (RFC 1071) over `bytes` and what was summed before, folded, not complemented.
fn sum(bytes: &[u8], before: u64) -> u16 {
    let mut chunks = bytes.chunks_exact(4);
    let mut total = before;
    for chunk in &mut chunks {
        total += u64::from(u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
    }
    let rest = chunks.remainder();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total += u64::from(u32::from_be_bytes(last));
    while total > u64::from(u16::MAX) {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;
