//! Quantities with their units: rates, spans of time, sizes, shares.
//!
//! Each type is read from text ("20mbit", "10ms", "8MiB", "0.1%"), printed back in the same grammar, and refuses
//! bare numbers and values it could not hold exactly. What a quantity is used for does not live here.

use std::{fmt, str::FromStr, time::Duration};

/// A data rate in bits per second, counted over whole IP packets.
///
/// Written with `bit`, `kbit`, `mbit` or `gbit` (decimal multiples).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

/// A span of time with nanosecond resolution, written with `ns`, `us`, `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

/// A number of bytes, written with `B`, `kB`, `MB`, `GB` (decimal) or `KiB`, `MiB`, `GiB` (binary).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// A share between 0 and 100 %, held in parts per billion so that sums and text round-trip exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share(pub u32);
