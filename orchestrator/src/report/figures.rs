//! How figures are written for people: as many digits as mean something.

use serde_json::Value;

/// What stands where there is no figure.
pub(crate) const NONE: &str = "–";

/// Seconds with three significant digits at most: `0.123`, `1.23`, `19.8`, `134`.
pub(crate) fn seconds(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return NONE.into() };
    let digits = match seconds {
        s if s < 0.9995 => 3,
        s if s < 9.995 => 2,
        s if s < 999.95 => 1,
        _ => 0,
    };
    format!("{seconds:.digits$}")
}

/// A ratio with two digits behind the point.
pub(crate) fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| NONE.into(), |r| format!("{r:.2}"))
}

/// `18.3 (18.2–18.5)`: median and range of `values`, each written by `write`.
pub(crate) fn spread(values: &[f64], write: impl Fn(Option<f64>) -> String) -> String {
    let mut sorted = values.to_vec();
    let middle = write(median(&mut sorted));
    match sorted.as_slice() {
        [] | [_] => middle,
        [least, .., most] => format!("{middle} ({}–{})", write(Some(*least)), write(Some(*most))),
    }
}

/// A share of a whole in per cent, with one digit behind the point.
pub(super) fn share(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Bytes in the largest binary unit that leaves at least one.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 || unit == "GiB" {
            let digits = usize::from(value.fract() != 0.0);
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    unreachable!("the last unit takes everything")
}

/// A found value without quotes around words and with at most four digits behind the point.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:.4}", number.as_f64().unwrap_or(f64::NAN));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// The middle of `values`: the mean of the two middle ones where there is no single one; none of none.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_mean_something() {
        let texts: Vec<String> = [0.1234, 0.9996, 1.234, 9.996, 19.84, 134.0, 1234.5].map(Some).map(seconds).into();
        assert_eq!(texts, ["0.123", "1.00", "1.23", "10.0", "19.8", "134.0", "1234"]);
        assert_eq!([bytes(0), bytes(1536), bytes(8 << 20), bytes(3 << 40)], ["0 B", "1.5 KiB", "8 MiB", "3072 GiB"]);
        assert_eq!((seconds(None), ratio(Some(1.179))), (NONE.to_owned(), "1.18".to_owned()));
        assert_eq!(
            [value(&1.23456.into()), value(&"valid".into()), value(&Value::Null)],
            ["1.2346", "valid", "nothing"]
        );
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&mut []), None);
    }
}
