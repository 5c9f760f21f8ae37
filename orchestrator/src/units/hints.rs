//! What to write in place of a unit that is not one: most mistakes are one of a dozen.

use super::{Grammar, RATE, SHARE, SIZE, SPAN, number};

/// A bare number with the unit its writer most likely meant.
pub(super) fn with_unit(number: &str, grammar: &Grammar) -> String {
    // Long numbers were counted in the smallest unit, as programs do.
    let is_long = number.len() > 4;
    let unit = match grammar.what {
        what if what == RATE.what => {
            if is_long {
                "bit"
            } else {
                "mbit"
            }
        }
        what if what == SPAN.what => "ms",
        what if what == SIZE.what => {
            if is_long {
                "B"
            } else {
                "MiB"
            }
        }
        _ => "%",
    };
    format!("{number}{unit}")
}

/// What to write in place of an unknown unit.
pub(super) fn unit(number: &str, unit: &str, grammar: &Grammar) -> String {
    let special = match grammar.what {
        what if what == RATE.what => rate(number, unit),
        what if what == SPAN.what => span(number, unit),
        what if what == SIZE.what => size(number, unit),
        what if what == SHARE.what => share(unit),
        _ => None,
    };
    special.unwrap_or_else(|| {
        let units: Vec<_> = grammar.units.iter().rev().map(|(name, _)| *name).collect();
        format!("`{unit}` is no unit here; the units are {}, as in {}", units.join(", "), grammar.example)
    })
}

fn rate(number: &str, unit: &str) -> Option<String> {
    let prefix = |unit: &str| unit.chars().next().filter(|c| "kKmMgG".contains(*c)).map(|c| c.to_ascii_lowercase());
    let lower = unit.to_ascii_lowercase();
    if unit.ends_with('B') && unit.len() <= 3 {
        let prefix = prefix(unit).map(String::from).unwrap_or_default();
        let bits = number::scale(number, 8).map_or("…".into(), |bits| bits.to_string());
        return Some(format!("rates are bits per second: {bits}{prefix}bit if bytes per second were meant"));
    }
    if matches!(lower.as_str(), "bps" | "kbps" | "mbps" | "gbps") {
        let prefix = prefix(unit).map(String::from).unwrap_or_default();
        return Some(format!("`{unit}` is bits to some tools and bytes to others; write {number}{prefix}bit for bits"));
    }
    let asks_for_bits =
        matches!(lower.trim_end_matches("/s"), "b" | "kb" | "mb" | "gb" | "bit" | "kbit" | "mbit" | "gbit")
            || matches!(
                lower.as_str(),
                "k" | "m" | "g" | "kbits" | "mbits" | "gbits" | "kib" | "mib" | "gib" | "kibit" | "mibit"
            );
    let prefix = prefix(unit).map(String::from).unwrap_or_default();
    asks_for_bits.then(|| format!("write {number}{prefix}bit; rates are bits per second with decimal multiples"))
}

fn span(number: &str, unit: &str) -> Option<String> {
    let right = match unit.trim().to_ascii_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" | "s" => "s",
        "msec" | "msecs" | "millisecond" | "milliseconds" | "ms" => "ms",
        "usec" | "usecs" | "microseconds" | "us" | "µs" | "μs" => "us",
        "min" | "mins" | "minute" | "minutes" | "m" => "m",
        "hour" | "hours" | "hr" | "hrs" | "h" => "h",
        "ns" | "nsec" | "nanoseconds" => "ns",
        _ => return None,
    };
    Some(format!("write {number}{right}"))
}

fn size(number: &str, unit: &str) -> Option<String> {
    if unit.ends_with("bit") {
        return Some(format!("sizes are bytes, such as {}", SIZE.example));
    }
    let right = match unit.trim().to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" => return Some(format!("write {number}B")),
        "k" | "kb" | "kib" => ("kB", "KiB"),
        "m" | "mb" | "mib" => ("MB", "MiB"),
        "g" | "gb" | "gib" => ("GB", "GiB"),
        _ => return None,
    };
    Some(format!("write {number}{} (multiples of 1000) or {number}{} (of 1024)", right.0, right.1))
}

fn share(unit: &str) -> Option<String> {
    matches!(unit.trim(), "percent" | "per cent" | "pc" | "pct" | "%").then(|| "write it with %, such as 0.1%".into())
}
