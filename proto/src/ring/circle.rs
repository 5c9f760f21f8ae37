//! The identifier circle: points, clockwise distance, and what lies between two points.
//!
//! Who sits on a point is in `contact.rs`. The textbook's rings have 6 and 4 bits, Chord's paper uses 160; a point here
//! is at most 128 bits wide.

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::hash::Hash;
use crate::wire::{Decode, DecodeError, Encode, get_bytes};

/// A place on the circle, of a peer or of a key.
///
/// Printed in decimal below 2^32 and as `0x…` from there on; both forms are read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(pub u128);

/// A circle of 2^bits points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Circle {
    bits: u8,
}

impl Circle {
    /// Makes the circle of 2^`bits` points.
    ///
    /// # Errors
    /// When `bits` is not in 3..=128.
    pub fn new(bits: u8) -> Result<Self, CircleError> {
        if !(3..=128).contains(&bits) {
            return Err(CircleError::Bits { bits });
        }
        Ok(Self { bits })
    }

    /// Returns m, the width of a point in bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// Makes a point of a number.
    ///
    /// # Errors
    /// When the number is 2^bits or more.
    pub fn point(self, number: u128) -> Result<Point, CircleError> {
        if number > self.mask() {
            return Err(CircleError::Number { number, bits: self.bits });
        }
        Ok(Point(number))
    }

    /// Returns whether the point lies on this circle; one from the network may not.
    #[must_use]
    pub fn contains(self, point: Point) -> bool {
        point.0 <= self.mask()
    }

    /// Returns the point of a name: the first bits of its SHA-256.
    #[must_use]
    pub fn hash(self, name: &[u8]) -> Point {
        let hash = Hash::of(name);
        let head: [u8; 16] = hash.0[..16].try_into().expect("a SHA-256 value has 32 bytes");
        Point(u128::from_be_bytes(head) >> (128 - u32::from(self.bits)))
    }

    /// Returns how far it is clockwise from `from` to `to`; 0 when they are the same point.
    #[must_use]
    pub fn distance(self, from: Point, to: Point) -> u128 {
        to.0.wrapping_sub(from.0) & self.mask()
    }

    /// Returns the point `distance` clockwise of `from`.
    #[must_use]
    pub fn advance(self, from: Point, distance: u128) -> Point {
        Point(from.0.wrapping_add(distance) & self.mask())
    }

    /// Returns whether `x` lies strictly inside the clockwise arc from `a` to `b`.
    ///
    /// The arc from a point to itself is the whole circle without that point.
    #[must_use]
    pub fn is_between(self, a: Point, x: Point, b: Point) -> bool {
        let x_away = self.distance(a, x);
        x_away != 0 && (a == b || x_away < self.distance(a, b))
    }

    /// Returns whether `x` lies in the clockwise arc from `a` (without it) to `b` (with it).
    ///
    /// The arc from a point to itself is the whole circle. A peer at `b` whose predecessor is at `a` owns such an `x`.
    #[must_use]
    pub fn is_up_to(self, a: Point, x: Point, b: Point) -> bool {
        x == b || self.is_between(a, x, b)
    }

    fn mask(self) -> u128 {
        u128::MAX >> (128 - u32::from(self.bits))
    }
}

impl TryFrom<u8> for Circle {
    type Error = CircleError;

    fn try_from(bits: u8) -> Result<Self, CircleError> {
        Self::new(bits)
    }
}

impl From<Circle> for u8 {
    fn from(circle: Circle) -> u8 {
        circle.bits
    }
}

/// A clockwise arc of the circle: without its start, with its end. Equal ends mean the whole circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arc {
    /// The point before the first one.
    pub after: Point,
    /// The last point.
    pub up_to: Point,
}

impl Arc {
    /// Returns whether the point lies in the arc.
    #[must_use]
    pub fn contains(&self, circle: Circle, point: Point) -> bool {
        circle.is_up_to(self.after, point, self.up_to)
    }
}

/// Why a number is no circle or no point of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CircleError {
    /// Too few or too many bits.
    #[error("a circle has 3 to 128 bits, not {bits}")]
    Bits {
        /// How many were asked for.
        bits: u8,
    },
    /// A number beyond the circle.
    #[error("{number} is not below 2^{bits}")]
    Number {
        /// The number.
        number: u128,
        /// The circle's bits.
        bits: u8,
    },
    /// A text that is no number.
    #[error("{text:?} is neither a decimal nor a 0x hexadecimal number")]
    Text {
        /// The text.
        text: String,
    },
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >> 32 == 0 { write!(f, "{}", self.0) } else { write!(f, "{:#x}", self.0) }
    }
}

impl FromStr for Point {
    type Err = CircleError;

    fn from_str(text: &str) -> Result<Self, CircleError> {
        let number = match text.strip_prefix("0x") {
            Some(digits) => u128::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.map(Self).map_err(|_| CircleError::Text { text: text.to_owned() })
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Encode for Point {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u128(self.0);
    }
}

impl Decode for Point {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        let bytes = get_bytes(input, 16)?;
        Ok(Self(u128::from_be_bytes(bytes[..].try_into().expect("exactly 16 bytes were taken"))))
    }
}

impl Encode for Arc {
    fn encode(&self, out: &mut BytesMut) {
        self.after.encode(out);
        self.up_to.encode(out);
    }
}

impl Decode for Arc {
    fn decode(input: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self { after: Point::decode(input)?, up_to: Point::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(bits: u8) -> Circle {
        Circle::new(bits).unwrap()
    }

    #[test]
    fn circles_have_3_to_128_bits() {
        assert_eq!(Circle::new(2), Err(CircleError::Bits { bits: 2 }));
        assert_eq!(Circle::new(129), Err(CircleError::Bits { bits: 129 }));
        assert_eq!(circle(3).point(8), Err(CircleError::Number { number: 8, bits: 3 }));
        assert_eq!(circle(128).point(u128::MAX), Ok(Point(u128::MAX)));
    }

    #[test]
    fn arcs_pass_through_zero() {
        let circle = circle(6);
        assert!(circle.is_between(Point(60), Point(61), Point(1)));
        assert!(circle.is_between(Point(60), Point(0), Point(1)));
        assert!(!circle.is_between(Point(60), Point(1), Point(1)));
        assert!(circle.is_up_to(Point(60), Point(1), Point(1)));
        assert!(!circle.is_up_to(Point(60), Point(60), Point(1)));
        assert_eq!(circle.distance(Point(60), Point(1)), 5);
        assert_eq!(circle.advance(Point(60), 5), Point(1));
    }

    #[test]
    fn the_arc_from_a_point_to_itself_is_the_whole_circle() {
        for bits in [3, 64, 128] {
            let circle = circle(bits);
            assert!(circle.is_between(Point(5), Point(6), Point(5)));
            assert!(!circle.is_between(Point(5), Point(5), Point(5)));
            assert!(circle.is_up_to(Point(5), Point(5), Point(5)));
        }
    }

    #[test]
    fn every_point_is_in_exactly_one_of_two_complementary_arcs() {
        let circle = circle(3);
        for (a, b, x) in
            (0..8).flat_map(|a| (0..8).flat_map(move |b| (0..8).map(move |x| (Point(a), Point(b), Point(x)))))
        {
            let inside = circle.is_up_to(a, x, b);
            let outside = circle.is_up_to(b, x, a);
            assert_eq!(inside != outside, a != b, "{a} {b} {x}");
        }
    }

    #[test]
    fn names_are_hashed_to_the_first_bits_of_sha_256() {
        assert_eq!(circle(8).hash(b""), Point(0xe3));
        assert_eq!(circle(128).hash(b""), Point(0xe3b0_c442_98fc_1c14_9afb_f4c8_996f_b924));
    }

    #[test]
    fn points_are_read_back_as_printed() {
        for point in [Point(0), Point(51), Point(u128::from(u32::MAX)), Point(1 << 32), Point(u128::MAX)] {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        assert_eq!(Point(1 << 32).to_string(), "0x100000000");
        assert_eq!("five".parse::<Point>(), Err(CircleError::Text { text: "five".to_owned() }));
    }
}
