//! How packets are counted: a train of segments, and the runs into which one is cut.
//!
//! No bytes here: what a train looks like on the wire is the engine's business.

/// A train of segments that arrive at one instant; a packet by itself is a train of one.
///
/// All segments have the same length except the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// Number of segments, at least 1.
    pub segments: u32,
    /// Length of every segment but the last in bytes, IP header included.
    pub segment_bytes: u32,
    /// Length of the last segment in bytes, IP header included.
    pub last_bytes: u32,
}

/// Neighbouring segments of a train that go on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Index of the first segment in the train.
    pub first: u32,
    /// Number of segments, at least 1; exactly 1 unless [`Mark::Plain`].
    pub count: u32,
    /// What sets it apart.
    pub mark: Mark,
}

/// What happens to the bytes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    Plain,
    /// It is the second copy of a packet.
    Copy,
    /// One bit is flipped; which one follows from this random number.
    Corrupted(u64),
}

impl Train {
    /// A packet by itself.
    #[must_use]
    pub fn single(bytes: u32) -> Self {
        Self { segments: 1, segment_bytes: bytes, last_bytes: bytes }
    }

    /// Length of a whole train in bytes, with an IP header for every segment.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.run_bytes(0, self.segments)
    }

    /// Length in bytes of `count` segments from `first` on.
    #[must_use]
    pub fn run_bytes(&self, first: u32, count: u32) -> u64 {
        let ends = count > 0 && first + count >= self.segments;
        let whole = u64::from(count) * u64::from(self.segment_bytes);
        if ends { whole - u64::from(self.segment_bytes) + u64::from(self.last_bytes) } else { whole }
    }
}
