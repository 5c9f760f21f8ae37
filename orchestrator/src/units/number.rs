//! Decimal numbers as written, scaled exactly. Nothing here goes through floating point.

use std::fmt;

/// Why a number could not be scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScaleError {
    /// A fraction of the base unit would be left over.
    Inexact,
    /// The result needs more than 64 bits.
    TooLarge,
}

/// Splits `20.5mbit` into `20.5` and `mbit`; none where the text does not begin with a plain decimal number.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then_some((number, unit))
}

/// Multiplies a decimal number by a whole one, or says why the product is not a whole number of 64 bits.
pub(super) fn scale(number: &str, multiple: u64) -> Result<u64, ScaleError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    // 10^19 is the largest power of ten in 64 bits; longer fractions are never whole multiples here.
    let denominator = 10_u128.checked_pow(fraction.len().try_into().unwrap_or(u32::MAX)).ok_or(ScaleError::Inexact)?;
    let whole: u128 = whole.parse().map_err(|_| ScaleError::TooLarge)?;
    let whole = whole.checked_mul(u128::from(multiple)).ok_or(ScaleError::TooLarge)?;
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| ScaleError::Inexact)? };
    let parts = parts.checked_mul(u128::from(multiple)).ok_or(ScaleError::Inexact)?;
    if parts % denominator != 0 {
        return Err(ScaleError::Inexact);
    }
    u64::try_from(whole.saturating_add(parts / denominator)).map_err(|_| ScaleError::TooLarge)
}

/// Prints `value / multiple` with as many decimals as it has.
///
/// `multiple` is a power of ten, or divides `value`.
pub(super) fn print(value: u64, multiple: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (whole, rest) = (value / multiple, value % multiple);
    if rest == 0 {
        return write!(f, "{whole}");
    }
    let digits = multiple.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
}
