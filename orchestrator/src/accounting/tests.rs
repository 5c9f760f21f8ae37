//! What peers say of themselves and of each other becomes one account.

use std::collections::BTreeMap;

use peerbed_peer::status::{DistributionState, DistributionStatus, ReceivedBytes, UplinkUse};
use peerbed_proto::PeerId;

use super::{Accounting, Said};

#[test]
fn bytes_are_charged_to_whoever_sent_them() {
    let mut said = BTreeMap::new();
    // 1 Mbyte/s for ten seconds: six seconds of sending, one idle with somebody waiting, three without.
    said.insert(PeerId(1), peer("origin", true, Some(uplink(10.0, 6_000_000, 1.0, 3.0)), &[]));
    said.insert(PeerId(2), peer("home", false, Some(uplink(10.0, 100_000, 0.0, 9.9)), &[(1, 5_000_000, 400_000)]));
    let accounting = Accounting::of(&said).unwrap();
    let origin = accounting.peers["origin"];
    assert_eq!((origin.payload_bytes, origin.duplicate_bytes), (5_000_000.0, 400_000.0));
    assert_eq!((origin.protocol_bytes, origin.retransmission_bytes), (599_000.0, 1_000.0));
    assert_eq!((origin.idle_waiting_bytes, origin.idle_bytes), (1_000_000.0, 3_000_000.0));
    assert!(origin.unexplained().abs() < 1e-9, "{origin:?}");
    assert_eq!(accounting.seeds, origin);
    assert_eq!(accounting.all.capacity_bytes, 20_000_000.0);
    assert!((accounting.all.shares()[0] - 0.25).abs() < 1e-9);
}

#[test]
fn what_is_missing_shows_as_unexplained() {
    let said = [(PeerId(1), peer("origin", true, Some(uplink(10.0, 6_000_000, 0.0, 3.0)), &[]))].into();
    let accounting = Accounting::of(&said).unwrap();
    assert!((accounting.all.unexplained() - 0.1).abs() < 1e-9, "{accounting:?}");
}

#[test]
fn uplinks_without_a_rate_give_no_account() {
    let said = [(PeerId(1), peer("origin", true, None, &[]))].into();
    assert_eq!(Accounting::of(&said), None);
}

/// At 8 Mbit/s.
fn uplink(seconds: f64, wire_bytes: u64, idle_waiting_seconds: f64, idle_seconds: f64) -> UplinkUse {
    let (rate_bps, datagrams, lost_bytes) = (8_000_000, 1, 1_000);
    UplinkUse { rate_bps, seconds, wire_bytes, datagrams, lost_bytes, idle_waiting_seconds, idle_seconds }
}

fn peer(name: &str, is_seed: bool, uplink: Option<UplinkUse>, received: &[(u32, u64, u64)]) -> Said {
    let received = received.iter().map(|&(from, useful, wasted)| (from, ReceivedBytes { useful, wasted }));
    let status = DistributionStatus {
        role: "leecher".into(),
        state: DistributionState::Complete,
        have: 1,
        pieces: 1,
        bytes_down: 0,
        bytes_up: 0,
        bytes_wasted: 0,
        neighbours: 0,
        unchoked: 0,
        begun_at: Some(0.0),
        completed_at: None,
        uplink,
        received: received.collect(),
    };
    Said { name: name.into(), is_seed, status }
}
