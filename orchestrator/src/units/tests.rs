//! Quantities round-trip exactly and refuse what they cannot hold.

use super::{QuantityError, Rate, Share, Size, Span};

fn hint<T: std::str::FromStr<Err = QuantityError> + std::fmt::Debug>(text: &str) -> String {
    text.parse::<T>().unwrap_err().hint
}

#[test]
fn quantities_are_read_exactly() {
    assert_eq!("20mbit".parse(), Ok(Rate(20_000_000)));
    assert_eq!("2.5Mbit".parse(), Ok(Rate(2_500_000)));
    assert_eq!("0.1%".parse(), Ok(Share(1_000_000)));
    assert_eq!("100%".parse(), Ok(Share::WHOLE));
    assert_eq!("256KiB".parse(), Ok(Size(262_144)));
    assert_eq!("1.5MiB".parse(), Ok(Size(1_572_864)));
    assert_eq!("1.5ms".parse::<Span>().unwrap().0.as_nanos(), 1_500_000);
    assert_eq!("2m".parse::<Span>().unwrap().seconds(), 120.0);
}

#[test]
fn quantities_print_what_they_were_read_from() {
    for text in ["20mbit", "2.5mbit", "999bit", "1234.567kbit", "1gbit", "0bit"] {
        assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
    }
    for text in ["20ms", "1.5s", "90s", "3600s", "1234.567us", "7ns", "0s"] {
        assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
    }
    for text in ["8MiB", "5MB", "256KiB", "1000001B", "0B"] {
        assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
    }
    for text in ["0.1%", "100%", "0%", "0.0000001%", "12.5%"] {
        assert_eq!(text.parse::<Share>().unwrap().to_string(), text);
    }
}

#[test]
fn every_value_survives_being_printed_and_read() {
    let mut value: u64 = 1;
    for step in 0..4_000_u64 {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
        let rate = Rate(value % 1_000_000_000_001);
        assert_eq!(rate.to_string().parse(), Ok(rate));
        let size = Size(value % ((1 << 40) + 1));
        assert_eq!(size.to_string().parse(), Ok(size));
        let share = Share((value % 1_000_000_001) as u32);
        assert_eq!(share.to_string().parse(), Ok(share));
        let span = Span(std::time::Duration::from_nanos(value % 3_600_000_000_000_001));
        assert_eq!(span.to_string().parse(), Ok(span));
    }
}

#[test]
fn a_bare_number_is_refused_with_the_unit_it_lacks() {
    assert_eq!(hint::<Rate>("20"), "give a unit, such as 20mbit");
    assert_eq!(hint::<Span>("20"), "give a unit, such as 20ms");
    assert_eq!(hint::<Size>("0"), "give a unit, such as 0MiB");
    assert_eq!(hint::<Share>("0.1"), "give a unit, such as 0.1%");
}

#[test]
fn wrong_units_are_answered_with_the_right_one() {
    assert_eq!(hint::<Rate>("20MB"), "rates are bits per second: 160mbit if bytes per second were meant");
    assert!(hint::<Rate>("20mbps").contains("write 20mbit for bits"));
    assert!(hint::<Rate>("20Mb/s").contains("write 20mbit"));
    assert_eq!(hint::<Span>("20sec"), "write 20s");
    assert_eq!(hint::<Size>("8M"), "write 8MB (multiples of 1000) or 8MiB (of 1024)");
    assert!(hint::<Size>("8mbit").contains("sizes are bytes"));
    assert!(hint::<Rate>("20furlong").contains("the units are bit, kbit, mbit, gbit"));
}

#[test]
fn values_that_cannot_be_held_are_refused() {
    assert!("0.5bit".parse::<Rate>().unwrap_err().message.contains("exactly"));
    assert!("0.00000001%".parse::<Share>().unwrap_err().message.contains("exactly"));
    assert!("101%".parse::<Share>().unwrap_err().message.contains("more than 100%"));
    assert!("1001h".parse::<Span>().unwrap_err().message.contains("more than 1000h"));
    assert!("99999999999999999999999999999999999999999999gbit".parse::<Rate>().is_err());
    let long = format!("0.{}1mbit", "0".repeat(400));
    assert!(long.parse::<Rate>().unwrap_err().message.contains("exactly"));
    for text in ["", "mbit", "-1mbit", "1e3mbit", ".5mbit", "1.mbit", "1.2.3mbit", "1_000kbit", " 20mbit", "20 mbit"] {
        assert!(text.parse::<Rate>().is_err(), "{text:?}");
    }
}

#[test]
fn quantities_go_through_serde_as_text() {
    assert_eq!(serde_json::to_string(&Rate(2_000_000)).unwrap(), r#""2mbit""#);
    assert_eq!(serde_json::from_str::<Size>(r#""8MiB""#).unwrap(), Size(8 << 20));
    assert!(serde_json::from_str::<Size>("8").is_err());
}
