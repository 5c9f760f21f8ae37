//! Lists of kernel 6.1, byte for byte as it sent them to a little-endian machine, for what `tc` had made.
#![cfg(target_endian = "little")]

use super::*;
use crate::{
    links::kernel::{
        Netem, NetemLoss, Qdisc, Tc,
        compare::{Difference, compare},
    },
    plan::{Jitter, Order, Shape},
    units::Span,
};

#[test]
fn a_bucket_is_read_with_its_size_table() {
    let (link, found) = found(&bytes(BUCKET)).unwrap();
    assert_eq!((link, found.handle, found.parent, found.size_table), (2, 1 << 16, u32::MAX, Some(-14)));
    let Setting::Bucket { rate, limit, burst_ticks, .. } = found.setting else { panic!("{found:?}") };
    assert_eq!((rate, limit, burst_ticks), (1_000_000, 50_000, 86_156));
}

#[test]
fn rates_beyond_32_bits_are_read_from_their_own_attribute() {
    let (link, found) = found(&bytes(CUT)).unwrap();
    assert_eq!((link, found.size_table), (3, None));
    let Setting::Bucket { rate, peak, limit, .. } = found.setting else { panic!("{found:?}") };
    assert_eq!((rate, peak, limit), (100_000_000_000, 0, 100_000));
}

#[test]
fn codel_is_read_in_microseconds() {
    let (_, found) = found(&bytes(CODEL)).unwrap();
    assert_eq!((found.handle, found.parent), (2 << 16, 1 << 16 | 1));
    let (target, interval) = (Duration::from_micros(4_999), Duration::from_micros(99_999));
    assert_eq!(found.setting, Setting::CoDel { limit: 33, target, interval });
}

#[test]
fn netem_is_read_behind_its_fixed_part() {
    let (_, found) = found(&bytes(NETEM)).unwrap();
    assert_eq!(found.setting, Setting::Netem(netem_found()));
    assert_eq!(found.counts, Counts::default());
}

#[test]
fn a_seed_is_read_where_the_kernel_has_one() {
    // Kernels from 6.6 on add a seed to the options: 12 bytes longer, TCA_NETEM_PRNG_SEED.
    let mut with_seed = bytes(NETEM);
    let (at, length) = (32, 0x94);
    assert_eq!(with_seed[at..at + 4], [length, 0, 2, 0]);
    with_seed[at] += 12;
    let end = at + usize::from(length);
    with_seed.splice(end..end, [12, 0, 14, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    let (_, found) = found(&with_seed).unwrap();
    assert_eq!(found.setting, Setting::Netem(FoundNetem { seed: Some(7), ..netem_found() }));
}

#[test]
fn what_was_asked_and_is_found_is_no_difference() {
    let found: Vec<Found> = [BUCKET, CODEL].iter().filter_map(|dump| Some(found(&bytes(dump))?.1)).collect();
    let codel = Qdisc::CoDel { limit: 33, target: Duration::from_millis(5), interval: Duration::from_millis(100) };
    // The bucket of this dump has a queue of its own and no second rate, as none of ours has.
    let asked = Tc { chain: vec![Qdisc::Bucket { rate: 1_000_000, burst: 5_514, limit: 50_000 }, codel], overhead: 0 };
    let differences: Vec<String> = compare(&asked, &found).iter().map(ToString::to_string).collect();
    assert_eq!(differences, ["peak rate of tbf 1:: asked without effect, found 0"]);
}

#[test]
fn every_figure_of_netem_that_differs_is_named() {
    let found = Found { parent: 1 << 16 | 1, ..found(&bytes(NETEM)).unwrap().1 };
    let asked = Netem {
        delay: Duration::from_millis(20),
        jitter: Jitter { amount: Span(Duration::from_millis(2)), shape: Shape::Normal, order: Order::Kept },
        loss: NetemLoss::Bursty { worsen: 5_422_955, recover: 536_870_912 },
        reorder: 1_073_741_824,
        duplicate: 85_899_346,
        corrupt: 42_949_673,
        limit: 4_187,
        seed: 7,
    };
    let differences = |netem: Netem| -> Vec<Difference> {
        let tc = Tc { chain: vec![Qdisc::Cut, Qdisc::Netem(netem)], overhead: 0 };
        compare(&tc, std::slice::from_ref(&found)).into_iter().filter(|d| d.what.contains("netem")).collect()
    };
    assert_eq!(differences(asked.clone()), []);
    let wrong = Netem {
        delay: Duration::from_millis(21),
        jitter: Jitter { amount: Span(Duration::from_millis(3)), ..Jitter::default() },
        loss: NetemLoss::Independent(1),
        reorder: 0,
        duplicate: 0,
        corrupt: 0,
        limit: 1,
        seed: 7,
    };
    let named: Vec<String> = differences(wrong).into_iter().map(|d| d.what).collect();
    let figures = ["delay", "jitter", "limit", "loss", "bursts", "reorder", "duplicate", "corrupt", "order"];
    assert_eq!(named.len(), figures.len(), "{named:?}");
    for (name, figure) in named.iter().zip(figures) {
        assert!(name.starts_with(&format!("{figure} of netem 2:")), "{name}");
    }
}

#[test]
fn what_is_cut_short_or_strange_is_no_discipline_of_ours_and_never_a_panic() {
    for dump in [BUCKET, CODEL, CUT, NETEM].map(bytes) {
        for length in 0..dump.len() {
            // Some cuts leave a whole discipline with fewer counts; none may fail.
            let _ = found(&dump[..length]);
        }
        assert_eq!(found(&dump[..TCMSG - 1]), None);
    }
    let mut strange = bytes(CODEL);
    strange[24..29].copy_from_slice(b"other");
    assert_eq!(found(&strange).unwrap().1.setting, Setting::Other("other".into()));
}

fn netem_found() -> FoundNetem {
    FoundNetem {
        delay: 20_000_000,
        jitter: 2_000_000,
        limit: 4_187,
        loss: 0,
        bursts: Some([5_422_955, 536_870_912, 0, 0]),
        reorder: 1_073_741_824,
        duplicate: 85_899_346,
        corrupt: 42_949_673,
        rate: 1_000_000_000_000,
        seed: None,
    }
}

fn bytes(dump: &str) -> Vec<u8> {
    let digits: String = dump.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// `tc qdisc add dev v1 root handle 1: stab overhead -14 linklayer ethernet tbf rate 8mbit burst 5514 limit 50000`
const BUCKET: &str = "
    000000000200000000000100ffffffff0200000008000100746266002c00020028000100000100000000000040420f000000000000000000
    0000000050c300008c5001000000000005000c0000000000200008001c00010000000000f2ffffff01000000000000000000000000000000
    0400090038000700040006001400010000000000000000000000000000000000040006001800030000000000000000000000000000000000
    000000002c00030000000000000000000000000000000000000000000000000000000000000000000000000000000000
";

/// `tc qdisc add dev v1 parent 1:1 handle 2: codel limit 33 target 5ms interval 100ms`
const CODEL: &str = "
    00000000020000000000020001000100010000000a000100636f64656c000000240002000800010087130000080002002100000008000300
    9f860100080004000000000005000c0000000000600007000400060028000400000000000000000000000000000000000000000000000000
    0000000000000000000000001400010000000000000000000000000000000000040006001800030000000000000000000000000000000000
    000000002c000300000000000000000000000000000000000000000000000000000000000000000000000000000000000400090028000400
    000000000000000000000000000000000000000000000000000000000000000000000000
";

/// `tc qdisc add dev v0 root handle 1: tbf rate 800gbit burst 15140 limit 100000`
const CUT: &str = "
    000000000300000000000100ffffffff02000000080001007462660038000200280001000001000000000000ffffffff0000000000000000
    00000000a086010002000000000000000c00040000e876481700000005000c00000000000400090038000700040006001400010000000000
    000000000000000000000000040006001800030000000000000000000000000000000000000000002c000300000000000000000000000000
    00000000000000000000000000000000000000000000000000000000
";

/// `tc qdisc add dev v0 parent 1:1 handle 2: netem limit 4187 delay 20ms 2ms loss gemodel 0.126263% 12.5% 100% 0%
/// reorder 25% gap 1 duplicate 2% corrupt 1% rate 8tbit`
const NETEM: &str = "
    00000000030000000000020001000100010000000a0001006e6574656d00000094000200b4c404005b100000000000000100000052b81e05
    127a00000c000a00002d3101000000000c000b0080841e0000000000100001000000000000000000000000000c0003000000004000000000
    0c000400295c8f02000000000c0008000010a5d4e800000014000600ffffffff00000000000000000000000018000500140002006bbf5200
    00000020000000000000000005000c0000000000380007000400060014000100000000000000000000000000000000000400060018000300
    00000000000000000000000000000000000000002c0003000000000000000000000000000000000000000000000000000000000000000000
    0000000000000000
";
