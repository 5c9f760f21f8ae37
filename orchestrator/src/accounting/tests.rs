//! What peers say of themselves and of each other becomes one account.

use std::collections::BTreeMap;

use peerbed_peer::status::{DistributionState, DistributionStatus, ReceivedBytes, UplinkUse};
use peerbed_proto::PeerId;

use super::{Accounting, Said, Word, listen};

#[test]
fn bytes_are_charged_to_whoever_sent_them() {
    // 1 Mbyte/s for ten seconds: six seconds of sending, one idle with somebody waiting, three without.
    let origin = status(Some(uplink(10.0, 6_000_000, 1.0, 3.0)), &[]);
    let home = status(Some(uplink(10.0, 100_000, 0.0, 9.9)), &[(1, 5_000_000, 400_000)]);
    let accounting = account_of(vec![vec![(1, origin), (2, home)]]).unwrap();
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
    let accounting = account_of(vec![vec![(1, status(Some(uplink(10.0, 6_000_000, 0.0, 3.0)), &[]))]]).unwrap();
    assert!((accounting.all.unexplained() - 0.1).abs() < 1e-9, "{accounting:?}");
}

#[test]
fn uplinks_without_a_rate_give_no_account() {
    assert_eq!(account_of(vec![vec![(1, status(None, &[]))]]), None);
}

#[test]
fn what_a_peer_sent_after_its_last_word_is_in_nobodys_account() {
    let origin = || status(Some(uplink(2.0, 2_000_000, 0.0, 0.0)), &[]);
    let home = |useful| status(None, &[(1, useful, 0)]);
    // It speaks twice and goes; what it had sent meanwhile arrives later.
    let times = vec![
        vec![(1, status(Some(uplink(1.0, 1_000_000, 0.0, 0.0)), &[])), (2, home(900_000))],
        vec![(1, origin()), (2, home(1_900_000))],
        vec![(2, home(2_600_000))],
    ];
    let accounting = account_of(times).unwrap();
    assert_eq!(accounting.seeds.payload_bytes, 1_900_000.0);
    assert!(accounting.seeds.unexplained().abs() < 1e-9, "{accounting:?}");
}

/// The account of what participants said one time after the other. The first is the seed.
fn account_of(times: Vec<Vec<(u32, DistributionStatus)>>) -> Option<Accounting> {
    let mut words = BTreeMap::new();
    for spoken in times {
        listen(&mut words, spoken.into_iter().map(|(peer, status)| (PeerId(peer), status)).collect());
    }
    let name = |peer: PeerId| if peer == PeerId(1) { "origin" } else { "home" }.to_owned();
    let said = |(peer, word): (PeerId, Word)| (peer, Said { name: name(peer), is_seed: peer == PeerId(1), word });
    Accounting::of(&words.into_iter().map(said).collect())
}

/// At 8 Mbit/s.
fn uplink(seconds: f64, wire_bytes: u64, idle_waiting_seconds: f64, idle_seconds: f64) -> UplinkUse {
    let (rate_bps, datagrams, lost_bytes) = (8_000_000, 1, 1_000);
    UplinkUse { rate_bps, seconds, wire_bytes, datagrams, lost_bytes, idle_waiting_seconds, idle_seconds }
}

fn status(uplink: Option<UplinkUse>, received: &[(u32, u64, u64)]) -> DistributionStatus {
    let received = received.iter().map(|&(from, useful, wasted)| (from, ReceivedBytes { useful, wasted }));
    DistributionStatus {
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
    }
}
