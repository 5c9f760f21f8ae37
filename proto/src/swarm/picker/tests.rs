//! Tests of which leaves are asked for next.

use super::*;
use crate::id::PeerId;
use crate::swarm::tests::fixture::{Fixture, leaves, requests, run};
use crate::swarm::{Message, Options};

#[test]
fn the_rarest_piece_is_begun_first() {
    for seed in 0..20 {
        let mut fixture = Fixture::seeded(&[], Options::default(), seed);
        fixture.meet(1, &[0, 1, 2, 4, 5]);
        fixture.meet(2, &[0, 1, 2, 4]);
        let asked = requests(&fixture.meet_generous(3, &[0, 1, 2, 3, 4, 5]));
        assert_eq!(asked[0].1.piece, 3, "only 3 has it");
    }
}

#[test]
fn a_piece_others_have_begun_is_less_rare() {
    for seed in 0..20 {
        let mut fixture = Fixture::seeded(&[0, 1, 2, 3], Options::default(), seed);
        fixture.meet(1, &[]);
        fixture.say(1, Message::Started { pieces: vec![4] });
        let asked = requests(&fixture.meet_generous(2, &[4, 5]));
        assert_eq!(asked[0].1.piece, 5);
    }
}

#[test]
fn equally_rare_pieces_are_begun_by_chance() {
    let first: std::collections::BTreeSet<u32> = (0..60)
        .map(|seed| {
            let mut fixture = Fixture::seeded(&[], Options::default(), seed);
            requests(&fixture.meet_generous(1, &[0, 1, 2, 3, 4, 5]))[0].1.piece
        })
        .collect();
    assert_eq!(first.len(), 6);
}

#[test]
fn a_begun_piece_is_finished_before_an_equally_rare_one_is_begun() {
    let mut fixture = Fixture::having(&[]);
    let asked = requests(&fixture.meet_generous(1, &[0, 1, 2, 3, 4, 5]));
    assert_eq!(asked[0].1.piece, asked[1].1.piece);
    assert_eq!(fixture.core.pieces.progress.len(), 1);
}

#[test]
fn of_a_begun_piece_the_rarest_leaf_comes_first() {
    for seed in 0..20 {
        let mut fixture = Fixture::seeded(&[0, 1, 2, 3, 4], Options::default(), seed);
        fixture.meet(1, &[]);
        fixture.meet(2, &[]);
        fixture.core.begin_piece(5);
        fixture.say(1, Message::Partial { piece: 5, leaves: short(&[0]) });
        fixture.say(2, Message::Partial { piece: 5, leaves: short(&[0, 1]) });
        fixture.meet(3, &[5]);
        let picked = pick_for(&mut fixture, 3, 1);
        assert_eq!(picked, Some(run(5, 1, 1)));
    }
}

#[test]
fn no_more_pieces_are_begun_than_allowed() {
    let options = Options { pieces_in_progress: 1, ..Options::default() };
    let mut fixture = Fixture::with(&[], options);
    let asked = requests(&fixture.meet_generous(1, &[0]));
    assert_eq!(asked.len(), 2);
    assert_eq!(requests(&fixture.meet_generous(2, &[1])), []);
}

#[test]
fn a_run_grows_over_open_leaves_the_neighbour_has_in_both_directions() {
    assert_eq!(extend(1, 3, 3, |leaf| (2..=5).contains(&leaf)), run(1, 3, 3));
    assert_eq!(extend(1, 4, 4, |leaf| (2..=5).contains(&leaf)), run(1, 2, 4));
    assert_eq!(extend(1, 0, 9, |_| false), run(1, 0, 1));
    assert_eq!(extend(1, 0, u16::MAX, |_| true).leaves().end, u16::MAX);
}

#[test]
fn nothing_is_picked_where_a_neighbour_has_only_what_is_asked_for() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3, 4]);
    fixture.meet_generous(1, &[5]);
    fixture.meet(2, &[5]);
    assert_eq!(pick_for(&mut fixture, 2, 1), None);
}

#[test]
fn leaves_of_a_piece_the_neighbour_is_fetching_can_begin_it() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet(1, &[]);
    fixture.say(1, Message::Partial { piece: 3, leaves: leaves(&[1, 2]) });
    assert_eq!(pick_for(&mut fixture, 1, 4), Some(run(3, 1, 2)));
}

fn pick_for(fixture: &mut Fixture, peer: u32, leaves_max: u16) -> Option<Run> {
    let core = &mut fixture.core;
    let limits = Limits { leaves_max, begun_max: 64, choice: PieceChoice::RarestFirst, ties: Ties::ByChance };
    pick(&core.pieces, &core.availability, &core.neighbours[&PeerId(peer)], limits, &mut core.random)
}

/// Leaves of the last piece, which has two.
fn short(numbers: &[u32]) -> LeafSet {
    let mut set = LeafSet::empty(2);
    numbers.iter().for_each(|&leaf| assert!(set.insert(leaf)));
    set
}

#[test]
fn sequential_choice_goes_through_the_file_from_its_front() {
    let options = Options { pieces: PieceChoice::Sequential, ..Options::default() };
    let mut fixture = Fixture::with(&[1], options);
    // The rarest piece is the last; that does not matter.
    fixture.meet(1, &[0, 2, 3, 4]);
    let mut asked = requests(&fixture.meet_generous(2, &[0, 1, 2, 3, 4, 5]));
    let mut order = Vec::new();
    while !asked.is_empty() {
        let (_, run) = asked.remove(0);
        order.extend(run.leaves().map(|leaf| (run.piece, leaf)));
        asked.extend(requests(&fixture.deliver(2, run)));
    }
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!((order.len(), order[0]), (18, (0, 0)));
}

#[test]
fn random_choice_begins_common_pieces_as_soon_as_rare_ones() {
    let first = |pieces| -> std::collections::BTreeSet<u32> {
        let firsts = (0..40).map(|seed| {
            let mut fixture = Fixture::seeded(&[], Options { pieces, ..Options::default() }, seed);
            fixture.meet(1, &[0, 1, 2, 4, 5]);
            requests(&fixture.meet_generous(2, &[0, 1, 2, 3, 4, 5]))[0].1.piece
        });
        firsts.collect()
    };
    assert_eq!(first(PieceChoice::RarestFirst), [3].into());
    assert!(first(PieceChoice::Random).len() > 3);
}

#[test]
fn with_ties_to_the_lowest_equal_pieces_are_begun_in_order() {
    for seed in 0..10 {
        let mut fixture = Fixture::seeded(&[], Options { ties: Ties::Lowest, ..Options::default() }, seed);
        let asked = requests(&fixture.meet_generous(1, &[1, 2, 3, 4, 5]));
        assert_eq!((asked[0].1.piece, asked[0].1.first), (1, 0));
    }
}
