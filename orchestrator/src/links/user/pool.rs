//! Memory for packets on their way, used again and again.
//!
//! Packets are copied once, from the buffer into which the device was read, into the smallest size that holds them. In
//! a steady state nothing is allocated: what was delivered or dropped comes back.

use super::frame::{FRAME_MAX, Frame};

/// A packet on its way: a frame and where it goes.
#[derive(Debug)]
pub(super) struct Packet {
    /// The whole buffer, of which the first `length` bytes are the frame.
    buffer: Box<[u8]>,
    length: usize,
    /// What the bytes say.
    pub(super) frame: Frame,
    /// Port it came from.
    pub(super) from: u32,
    /// Port it goes to.
    pub(super) to: u32,
}

/// Free packets of all sizes.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "packets travel boxed, and come back as they are")]
pub(super) struct Pool {
    free: [Vec<Box<Packet>>; SIZES.len()],
    /// Bytes that may still be allocated.
    bytes_left: usize,
}

impl Pool {
    /// A pool that never holds more than this many bytes of packets, in use and free.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { free: std::array::from_fn(|_| Vec::new()), bytes_left: bytes_max }
    }

    /// A packet with room for `length` bytes of unspecified content; none when all memory is in use.
    pub(super) fn take(&mut self, length: usize, frame: Frame, from: u32, to: u32) -> Option<Box<Packet>> {
        let class = class(length)?;
        if let Some(mut packet) = self.free[class].pop() {
            (packet.length, packet.frame, packet.from, packet.to) = (length, frame, from, to);
            return Some(packet);
        }
        let size = SIZES[class];
        self.bytes_left = self.bytes_left.checked_sub(size)?;
        let buffer = vec![0; size].into_boxed_slice();
        Some(Box::new(Packet { buffer, length, frame, from, to }))
    }

    /// Takes a packet back.
    pub(super) fn give_back(&mut self, packet: Box<Packet>) {
        if let Some(class) = class(packet.buffer.len()) {
            self.free[class].push(packet);
        }
    }
}

impl Packet {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.length]
    }
}

/// The smallest size with room for `length` bytes.
fn class(length: usize) -> Option<usize> {
    SIZES.iter().position(|&size| length <= size)
}

/// Acknowledgements, full packets, short trains, long trains.
const SIZES: [usize; 4] = [192, 2_048, 16_384, FRAME_MAX];
