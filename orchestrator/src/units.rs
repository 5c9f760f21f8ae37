//! Quantities with their units: rates, spans of time, sizes, shares.
//!
//! Each type is read from text ("20mbit", "10ms", "8MiB", "0.1%"), printed back in the same grammar, and refuses
//! bare numbers and values it could not hold exactly. What a quantity is used for does not live here.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

mod hints;
mod number;
#[cfg(test)]
mod tests;

/// A data rate in bits per second, counted over whole IP packets.
///
/// Written with `bit`, `kbit`, `mbit` or `gbit` (decimal multiples); at most 1000 Gbit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(pub u64);

/// A span of time with nanosecond resolution, written with `ns`, `us`, `ms`, `s`, `m` or `h`; at most 1000 h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// A number of bytes, written with `B`, `kB`, `MB`, `GB` (decimal) or `KiB`, `MiB`, `GiB` (binary); at most 1024 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

/// A share between 0 and 100 %, held in parts per billion so that sums and text round-trip exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(pub u32);

/// A factor such as `2` or `0.5`, held in millionths; at most 1000000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(pub u64);

impl FromStr for Factor {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let number = number::split(text).filter(|(_, unit)| unit.is_empty()).map(|(number, _)| number);
        let millionths = number.and_then(|number| number::scale(number, 1_000_000).ok());
        millionths.filter(|millionths| *millionths <= 1_000_000_000_000).map(Self).ok_or_else(|| QuantityError {
            message: format!("`{text}` is not a factor"),
            hint: "write a number with at most six decimals: x2 or x0.5".to_owned(),
        })
    }
}

/// Why a text is not a quantity, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct QuantityError {
    /// What is wrong, lower case and without a full stop.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl Rate {
    /// Time the rate needs for this many bytes.
    #[must_use]
    pub fn time_for(self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 8.0 / self.0 as f64)
    }
}

impl Span {
    /// The longest span that can be written.
    pub const MAX: Self = Self(Duration::from_secs(1000 * 3600));

    /// Length in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// A span of this many whole seconds, at most [`Span::MAX`].
    #[must_use]
    pub fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds)).min(Self::MAX)
    }

    /// The whole milliseconds of a drawn time: a plan shall be readable, and nobody can start a process to the nanosecond.
    #[must_use]
    pub(crate) fn of_drawn(time: Duration) -> Self {
        Self(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The span in nanoseconds; [`Span::MAX`] keeps every span that was read within `u64`.
    fn nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(1_000_000_000);

    /// The share as a fraction between 0 and 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE.0)
    }
}

/// How one kind of quantity is written.
struct Grammar {
    /// What it is, with its article.
    what: &'static str,
    /// Units by what they multiply, in the type's own base; the first one that fits prints the value.
    units: &'static [(&'static str, u64)],
    /// Largest value, in the base.
    max: u64,
    /// The largest value as it is written.
    max_text: &'static str,
    /// Something that can be written.
    example: &'static str,
    /// The same as a regular expression, for editors.
    pattern: &'static str,
    /// What editors show.
    about: &'static str,
}

const RATE: Grammar = Grammar {
    what: "a rate",
    units: &[("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)],
    max: 1_000_000_000_000,
    max_text: "1000gbit",
    example: "20mbit",
    pattern: r"^[0-9]+(\.[0-9]+)?[kKmMgG]?bit$",
    about: "Rate in bits per second over whole IP packets, with bit, kbit, mbit or gbit: 20mbit",
};

const SPAN: Grammar = Grammar {
    what: "a span of time",
    units: &[
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ],
    max: 1000 * 3_600_000_000_000,
    max_text: "1000h",
    example: "20ms",
    pattern: r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h)$",
    about: "Span of time with ns, us, ms, s, m or h: 20ms",
};

const SIZE: Grammar = Grammar {
    what: "a size",
    units: &[
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("B", 1),
    ],
    max: 1 << 40,
    max_text: "1024GiB",
    example: "8MiB",
    pattern: r"^[0-9]+(\.[0-9]+)?(B|[kKMG]B|[KMG]iB)$",
    about: "Number of bytes with B, kB, MB, GB (decimal) or KiB, MiB, GiB (binary): 8MiB",
};

const SHARE: Grammar = Grammar {
    what: "a share",
    units: &[("%", 10_000_000)],
    max: 1_000_000_000,
    max_text: "100%",
    example: "0.1%",
    pattern: r"^[0-9]+(\.[0-9]+)?%$",
    about: "Share between 0% and 100%, at most seven decimals: 0.1%",
};

impl Grammar {
    /// Reads a number and its unit into the base.
    fn read(&self, text: &str) -> Result<u64, QuantityError> {
        let Some((number, unit)) = number::split(text) else {
            return Err(self.error(format!("`{text}` is not {}", self.what), format!("write {}", self.sample())));
        };
        if unit.is_empty() {
            let hint = format!("give a unit, such as {}", hints::with_unit(number, self));
            return Err(self.error(format!("`{text}` has no unit"), hint));
        }
        let Some(&(_, multiple)) = self.units.iter().find(|(name, _)| self.names(name, unit)) else {
            return Err(self.error(format!("`{text}` is not {}", self.what), hints::unit(number, unit, self)));
        };
        match number::scale(number, multiple) {
            Ok(value) if value <= self.max => Ok(value),
            Ok(_) | Err(number::ScaleError::TooLarge) => {
                Err(self
                    .error(format!("`{text}` is more than {}", self.max_text), format!("at most {}", self.max_text)))
            }
            Err(number::ScaleError::Inexact) => {
                let smallest = self.units[self.units.len() - 1];
                let resolution = if smallest.1 == 1 { format!("1{}", smallest.0) } else { "0.0000001%".into() };
                Err(self.error(format!("`{text}` cannot be held exactly"), format!("the resolution is {resolution}")))
            }
        }
    }

    /// Prints a value so that reading it gives the same value again.
    fn print(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.units[self.units.len() - 1];
        let decimals = if self.units.len() == 1 { 10_000_000 } else { 1_000 };
        let fits = |&&(name, multiple): &&(&str, u64)| match name {
            // Minutes and hours read well only for people: 90s, not 1.5m.
            "h" | "m" => false,
            _ if self.what == SIZE.what => value >= multiple && value.is_multiple_of(multiple),
            _ => value >= multiple && (multiple < decimals || value.is_multiple_of(multiple / decimals)),
        };
        let zero = if self.what == SPAN.what { ("s", 1) } else { last };
        let (unit, multiple) = if value == 0 { zero } else { *self.units.iter().find(fits).unwrap_or(&last) };
        number::print(value, multiple, f)?;
        f.write_str(unit)
    }

    /// Whether `unit` is how the unit `name` may be written: the prefix of a rate or `kB` in either case.
    fn names(&self, name: &str, unit: &str) -> bool {
        name == unit
            || (self.what == RATE.what && unit.ends_with("bit") && unit.eq_ignore_ascii_case(name))
            || (unit == "KB" && name == "kB")
    }

    fn sample(&self) -> String {
        format!("{} such as {}", self.what, self.example)
    }

    fn error(&self, message: String, hint: String) -> QuantityError {
        QuantityError { message, hint }
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "string", "pattern": self.pattern, "description": self.about })
    }
}

/// Gives a quantity its text form, serde through that text, and its schema.
macro_rules! quantity {
    ($type:ident, $grammar:ident, $from:expr, $into:expr) => {
        impl FromStr for $type {
            type Err = QuantityError;

            fn from_str(text: &str) -> Result<Self, QuantityError> {
                $grammar.read(text).map($from)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $grammar.print($into(*self), f)
            }
        }

        impl TryFrom<String> for $type {
            type Error = QuantityError;

            fn try_from(text: String) -> Result<Self, QuantityError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $grammar.schema()
            }
        }
    };
}

quantity!(Rate, RATE, Rate, |rate: Rate| rate.0);
quantity!(Span, SPAN, |nanos| Span(Duration::from_nanos(nanos)), Span::nanos);
quantity!(Size, SIZE, Size, |size: Size| size.0);
quantity!(Share, SHARE, |parts| Share(u32::try_from(parts).expect("a share is at most 10^9 parts")), |share: Share| {
    u64::from(share.0)
});
