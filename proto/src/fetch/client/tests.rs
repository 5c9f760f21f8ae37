//! Tests of fetching from a server.

use super::*;
use crate::content::{LEAF, ManifestBuilder};

#[test]
fn a_file_is_fetched_piece_by_piece_and_verified() {
    let (manifest, bytes) = content();
    let mut client = client(&manifest, &[]);
    assert_eq!(outputs(&mut client), [FetchOutput::Connect]);
    client.handle_connected(at(0));
    assert_eq!(outputs(&mut client), [FetchOutput::Get(Get { content: manifest.id(), from: 0 })]);
    let mut seen = Vec::new();
    for chunk in bytes.chunks(10_000) {
        client.handle_data(at(1), chunk);
        seen.extend(outputs(&mut client));
    }
    let event = |piece| FetchOutput::Event(FetchEvent::PieceCompleted { piece });
    assert_eq!(
        seen,
        [
            store(&bytes, 0),
            event(0),
            store(&bytes, 1),
            event(1),
            store(&bytes, 2),
            event(2),
            FetchOutput::Event(FetchEvent::Completed),
            FetchOutput::Hangup,
        ]
    );
    assert!(client.is_complete());
    assert_eq!(client.stats().downloaded_bytes, manifest.size());
}

#[test]
fn it_goes_on_at_the_first_missing_piece() {
    let (manifest, bytes) = content();
    let mut client = client(&manifest, &[0]);
    outputs(&mut client);
    client.handle_connected(at(0));
    assert_eq!(outputs(&mut client), [FetchOutput::Get(Get { content: manifest.id(), from: u64::from(LEAF) })]);
    client.handle_data(at(0), &bytes[LEAF as usize..2 * LEAF as usize + 5]);
    client.handle_failed(at(1));
    outputs(&mut client);
    let (due, _) = client.poll_timeout().unwrap();
    client.handle_timeout(due);
    client.handle_connected(due);
    let from = 2 * u64::from(LEAF);
    assert_eq!(outputs(&mut client), [FetchOutput::Connect, FetchOutput::Get(Get { content: manifest.id(), from })]);
    client.handle_data(due, &bytes[from as usize..]);
    assert!(client.is_complete());
}

#[test]
fn a_piece_that_fails_its_hash_is_not_stored_and_asked_for_again() {
    let (manifest, mut bytes) = content();
    bytes[20_000] ^= 1;
    let mut client = client(&manifest, &[]);
    client.handle_connected(at(0));
    outputs(&mut client);
    client.handle_data(at(0), &bytes);
    let event = FetchOutput::Event(FetchEvent::PieceCompleted { piece: 0 });
    assert_eq!(outputs(&mut client), [store(&bytes, 0), event, FetchOutput::Hangup]);
    assert_eq!((client.stats().bad_pieces, client.stats().wasted_bytes), (1, u64::from(LEAF)));
    assert!(client.poll_timeout().unwrap().0 > at(0));
}

#[test]
fn what_is_there_behind_the_first_gap_counts_as_waste_and_is_not_stored_twice() {
    let (manifest, bytes) = content();
    let mut client = client(&manifest, &[1]);
    client.handle_connected(at(0));
    client.handle_data(at(0), &bytes);
    let stored: Vec<u32> = outputs(&mut client)
        .into_iter()
        .filter_map(|output| if let FetchOutput::Store { piece, .. } = output { Some(piece) } else { None })
        .collect();
    assert_eq!(stored, [0, 2]);
    assert_eq!(client.stats().wasted_bytes, u64::from(LEAF));
    assert!(client.is_complete());
}

#[test]
fn failures_are_retried_later_and_later() {
    let (manifest, _) = content();
    let mut client = client(&manifest, &[]);
    let mut now = at(0);
    for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0] {
        assert_eq!(outputs(&mut client), [FetchOutput::Connect]);
        client.handle_failed(now);
        let (due, _) = client.poll_timeout().unwrap();
        let wait = (due - now).as_secs_f64();
        assert!((0.75 * expected..=1.25 * expected).contains(&wait), "{wait} s instead of about {expected}");
        now = due;
        client.handle_timeout(now);
    }
}

#[test]
fn with_everything_there_nothing_is_asked() {
    let (manifest, _) = content();
    let mut client = client(&manifest, &[0, 1, 2]);
    assert_eq!(outputs(&mut client), []);
    assert_eq!(client.poll_timeout(), None);
    client.handle_connected(at(0));
    client.handle_data(at(0), b"unasked");
    client.handle_failed(at(0));
    assert_eq!(outputs(&mut client), []);
}

fn content() -> (Arc<Manifest>, Vec<u8>) {
    let bytes: Vec<u8> = (0..40_000_u32).map(|at| (at % 253) as u8).collect();
    let mut builder = ManifestBuilder::new("file", LEAF).unwrap();
    builder.feed(&bytes);
    (Arc::new(builder.finish().unwrap()), bytes)
}

fn client(manifest: &Arc<Manifest>, have: &[u32]) -> FetchClient {
    let mut set = PieceSet::empty(manifest.pieces());
    have.iter().for_each(|&piece| assert!(set.insert(piece)));
    FetchClient::new(Arc::clone(manifest), set, FetchClientOptions::default(), 1, at(0))
}

fn outputs(client: &mut FetchClient) -> Vec<FetchOutput> {
    std::iter::from_fn(|| client.poll_output()).collect()
}

fn store(bytes: &[u8], piece: u32) -> FetchOutput {
    let start = piece as usize * LEAF as usize;
    let end = (start + LEAF as usize).min(bytes.len());
    FetchOutput::Store { piece, data: Bytes::copy_from_slice(&bytes[start..end]) }
}

fn at(second: u64) -> Time {
    Time::ZERO + Duration::from_secs(second)
}
