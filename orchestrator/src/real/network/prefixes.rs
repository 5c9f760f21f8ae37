//! Sets of addresses as few prefixes, for rules and routes.

use std::net::Ipv4Addr;

/// The fewest prefixes that hold these addresses and no other.
pub(super) fn cover(addresses: impl IntoIterator<Item = Ipv4Addr>) -> Vec<(Ipv4Addr, u8)> {
    let mut numbers: Vec<u32> = addresses.into_iter().map(u32::from).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut prefixes = Vec::new();
    let mut rest = numbers.as_slice();
    while let Some(&first) = rest.first() {
        // The largest block that begins here, by the place of its first address and by what follows without a gap.
        let mut bits = 0;
        while bits < 31 && is_block(rest, first, bits + 1) {
            bits += 1;
        }
        let prefix = 32 - u8::try_from(bits).expect("at most 31");
        prefixes.push((Ipv4Addr::from(first), prefix));
        rest = &rest[1 << bits..];
    }
    prefixes
}

/// Whether `2^bits` addresses from `first` are an aligned block, all of them at the head of `rest`.
fn is_block(rest: &[u32], first: u32, bits: u32) -> bool {
    let count = 1_usize << bits;
    first.trailing_zeros() >= bits && rest.len() >= count && rest[count - 1] - first == (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_few_aligned_blocks() {
        let found = cover((1..=10).map(|host| Ipv4Addr::new(198, 18, 0, host)));
        let expected = [(1, 32), (2, 31), (4, 30), (8, 31), (10, 32)];
        assert_eq!(found, expected.map(|(host, prefix)| (Ipv4Addr::new(198, 18, 0, host), prefix)));
    }

    #[test]
    fn addresses_apart_stand_alone_and_count_once() {
        let found = cover([9, 3, 5, 3].map(|host| Ipv4Addr::new(198, 18, 0, host)));
        assert_eq!(found, [3, 5, 9].map(|host| (Ipv4Addr::new(198, 18, 0, host), 32)));
        assert!(cover([]).is_empty());
    }

    #[test]
    fn every_set_is_covered_exactly() {
        let mut random = peerbed_proto::random::Random::new(4, "sets of addresses");
        for _ in 0..50 {
            let set: Vec<u32> = (0..300).filter(|_| random.below(3) > 0).map(|n| 0xc612_00f0 + n).collect();
            let covered: Vec<u32> = cover(set.iter().copied().map(Ipv4Addr::from))
                .into_iter()
                .flat_map(|(first, prefix)| u32::from(first)..u32::from(first) + (1 << (32 - prefix)))
                .collect();
            assert_eq!(covered, set);
        }
    }
}
