//! Tests of what a super-seed shows to whom.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::swarm::tests::fixture::{Fixture, run, to};
use crate::swarm::{Message, Options, Output, Seeding};

#[test]
fn each_piece_is_shown_to_one_neighbour_only() {
    let mut fixture = super_seed();
    let mut shown = Vec::new();
    for peer in 1..=6 {
        let outputs = fixture.meet(peer, &[]);
        assert!(
            to(&outputs, peer).iter().any(|message| matches!(message, Message::Hello { have, .. } if have.is_empty()))
        );
        shown.extend(pieces(&outputs, peer));
    }
    assert_eq!((shown.len(), shown.iter().collect::<BTreeSet<_>>().len()), (6, 6), "{shown:?}");
    assert!(pieces(&fixture.meet(7, &[]), 7).is_empty(), "everything is shown to somebody");
}

#[test]
fn the_next_piece_is_shown_shortly_before_the_last_leaf_was_asked_for() {
    let mut fixture = super_seed();
    let first = pieces(&fixture.meet_interested(1), 1)[0];
    assert!(first < 6);
    let count = if first == 5 { 2 } else { 4 };
    let outputs: Vec<Output> = (0..count).flat_map(|leaf| fixture.request(1, run(first, leaf, 1))).collect();
    let next = pieces(&outputs, 1);
    assert!(!next.is_empty() && next[0] != first, "{next:?}");
}

#[test]
fn what_a_neighbour_left_behind_is_shown_to_another() {
    let mut fixture = super_seed();
    let shown: Vec<u32> = (1..=6).flat_map(|peer| pieces(&fixture.meet(peer, &[]), peer)).collect();
    fixture.core.handle_disconnected(fixture.now, crate::PeerId(3));
    fixture.outputs();
    assert_eq!(pieces(&fixture.meet(7, &[]), 7), [shown[2]]);
}

#[test]
fn a_seed_whose_pieces_nobody_fetches_shows_them_all() {
    let mut fixture = super_seed();
    let shown = pieces(&fixture.meet(1, &[]), 1);
    let outputs = fixture.pass(Duration::from_secs(6));
    let all: BTreeSet<u32> = shown.into_iter().chain(pieces(&outputs, 1)).collect();
    assert_eq!(all.len(), 6);
    let hello = fixture.meet(2, &[]);
    assert!(to(&hello, 2).iter().any(|message| matches!(message, Message::Hello { have, .. } if have.is_full())));
}

fn super_seed() -> Fixture {
    Fixture::with(&[0, 1, 2, 3, 4, 5], Options { seeding: Seeding::SuperSeeding, ..Options::default() })
}

/// The pieces that a neighbour is told of.
fn pieces(outputs: &[Output], peer: u32) -> Vec<u32> {
    let told = to(outputs, peer).into_iter().filter_map(|message| {
        let Message::Have { pieces } = message else { return None };
        Some(pieces)
    });
    told.flatten().collect()
}
