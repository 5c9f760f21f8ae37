//! Hashes leaves that have come, on another thread when many come at once.
//!
//! On a thin link leaves come one by one, and a thread for them would only cost wake-ups. On a fast one hashing is a quarter of a
//! leecher's work, and meanwhile the peer's own thread can take in what comes next.

use bytes::Bytes;
use peerbed_proto::HashedLeaf;
use tokio::task::spawn_blocking;

/// Hashes leaves with their numbers, in their order. None are returned when the process is ending.
pub(super) async fn hashed(leaves: Vec<(u16, Bytes)>) -> Vec<(u16, HashedLeaf)> {
    if leaves.len() < ELSEWHERE_MIN {
        return hash(leaves);
    }
    spawn_blocking(|| hash(leaves)).await.unwrap_or_default()
}

fn hash(leaves: Vec<(u16, Bytes)>) -> Vec<(u16, HashedLeaf)> {
    leaves.into_iter().map(|(leaf, data)| (leaf, data.into())).collect()
}

/// So many leaves are worth a thread: 64 KiB take 40 µs, several times what handing them over and being woken takes.
const ELSEWHERE_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use peerbed_proto::Hash;

    use super::*;

    #[tokio::test]
    async fn few_and_many_leaves_are_hashed_alike_and_keep_their_order() {
        for count in [1, ELSEWHERE_MIN as u16 - 1, ELSEWHERE_MIN as u16, 50] {
            let leaves: Vec<(u16, Bytes)> = (0..count).map(|leaf| (leaf, vec![leaf as u8; 100].into())).collect();
            let hashed = hashed(leaves.clone()).await;
            assert_eq!(hashed.len(), usize::from(count));
            for ((leaf, data), (number, hashed)) in leaves.iter().zip(&hashed) {
                assert_eq!((leaf, data, Hash::of(data)), (number, hashed.data(), hashed.hash()));
            }
        }
    }
}
