//! Joining, completing, resuming, dialling and leaving.

use std::time::Duration;

use super::fixture::{Fixture, PIECES, hangups, requests, run, served, set, to};
use crate::id::PeerId;
use crate::swarm::{Event, Message, Options, Output, Reason};

#[test]
fn a_core_with_nothing_fetches_everything_and_reports_each_step() {
    let mut fixture = Fixture::having(&[]);
    let mut wanted = requests(&fixture.meet_generous(1, &[0, 1, 2, 3, 4, 5]));
    let (mut stored, mut completed) = (0, Vec::new());
    while let Some((peer, run)) = wanted.pop() {
        let outputs = fixture.deliver(peer, run);
        wanted.extend(requests(&outputs));
        for output in outputs {
            if let Output::Store { piece, leaf, data, .. } = output {
                assert_eq!(data, fixture.leaf(piece, leaf));
                stored += 1;
            } else if let Output::Event(Event::PieceCompleted { piece }) = output {
                completed.push(piece);
            } else if let Output::Event(event) = output {
                assert_eq!((event, stored), (Event::Completed, 22));
            }
        }
    }
    completed.sort_unstable();
    assert_eq!(completed, (0..PIECES).collect::<Vec<_>>());
    assert!(fixture.core.is_complete());
    let progress = fixture.core.progress();
    assert_eq!((progress.pieces, progress.bytes), (PIECES, fixture.manifest.size()));
    assert_eq!(fixture.core.stats().downloaded_bytes, fixture.manifest.size());
}

#[test]
fn what_is_on_disk_is_not_fetched_again() {
    let mut fixture = Fixture::having(&[0, 1, 2, 4, 5]);
    assert_eq!(fixture.core.progress().pieces, 5);
    let outputs = fixture.meet_generous(1, &[0, 1, 2, 3, 4, 5]);
    assert!(!requests(&outputs).is_empty());
    assert!(requests(&outputs).iter().all(|(_, run)| run.piece == 3));
}

#[test]
fn a_seed_never_asks_and_never_completes() {
    let mut fixture = Fixture::seed();
    let outputs = fixture.meet_generous(1, &[0, 1]);
    assert_eq!(to(&outputs, 1), [fixture.hello(&[0, 1, 2, 3, 4, 5])]);
    assert!(fixture.pass(Duration::from_secs(60)).iter().all(|output| !matches!(output, Output::Event(_))));
}

#[test]
fn candidates_are_dialled_until_there_are_enough_neighbours() {
    let options = Options { dial_degree: 3, ..Options::default() };
    let mut fixture = Fixture::with(&[], options);
    fixture.core.handle_neighbours(fixture.now, &[1, 2, 3, 4, 5, 1_000].map(PeerId));
    let dialled = dials(&fixture.outputs());
    assert_eq!(dialled.len(), 3);
    assert!(!dialled.contains(&1_000), "it does not dial itself");

    fixture.core.handle_connected(fixture.now, PeerId(dialled[0]));
    assert!(dials(&fixture.outputs()).is_empty());
    fixture.core.handle_dial_failed(fixture.now, PeerId(dialled[1]));
    assert_eq!(dials(&fixture.outputs()).len(), 1, "another one instead");
}

#[test]
fn a_candidate_is_tried_again_later_and_later_and_then_forgotten() {
    let mut fixture = Fixture::having(&[]);
    fixture.core.handle_neighbours(fixture.now, &[PeerId(1)]);
    assert_eq!(dials(&fixture.outputs()), [1]);
    for (attempt, latest) in [1.25, 2.5, 5.0, 10.0].into_iter().enumerate() {
        fixture.core.handle_dial_failed(fixture.now, PeerId(1));
        assert!(dials(&fixture.pass(Duration::from_secs_f64(0.59 * latest))).is_empty(), "attempt {attempt}");
        assert_eq!(dials(&fixture.pass(Duration::from_secs_f64(0.41 * latest))), [1], "attempt {attempt}");
    }
    fixture.core.handle_dial_failed(fixture.now, PeerId(1));
    assert!(dials(&fixture.pass(Duration::from_secs(600))).is_empty());
    fixture.core.handle_neighbours(fixture.now, &[PeerId(1)]);
    assert_eq!(dials(&fixture.outputs()), [1], "the tracker names it again");
}

#[test]
fn a_lost_neighbour_is_dialled_again() {
    let mut fixture = Fixture::having(&[]);
    fixture.core.handle_neighbours(fixture.now, &[PeerId(1)]);
    fixture.meet(1, &[0]);
    fixture.core.handle_disconnected(fixture.now, PeerId(1));
    assert_eq!(fixture.core.neighbours(fixture.now).count(), 0);
    assert_eq!(dials(&fixture.pass(Duration::from_secs(2))), [1]);
}

#[test]
fn more_neighbours_than_the_degree_are_turned_away() {
    let options = Options { degree: 2, ..Options::default() };
    let mut fixture = Fixture::with(&[], options);
    fixture.meet(1, &[]);
    fixture.meet(2, &[]);
    fixture.core.handle_connected(fixture.now, PeerId(3));
    assert_eq!(hangups(&fixture.outputs()), [(3, Reason::Full)]);
    assert_eq!(fixture.core.stats().refused_full, 1);
}

#[test]
fn a_full_seed_makes_room_by_hanging_up_on_another_seed() {
    let options = Options { degree: 2, ..Options::default() };
    let mut fixture = Fixture::with(&[0, 1, 2, 3, 4, 5], options);
    fixture.meet(1, &[]);
    fixture.meet(2, &[0, 1, 2, 3, 4, 5]);
    assert_eq!(hangups(&fixture.meet(3, &[])), [(2, Reason::Done)]);
    assert_eq!(fixture.core.neighbours(fixture.now).count(), 2);
}

#[test]
fn an_offender_is_never_taken_back() {
    let mut fixture = Fixture::having(&[]);
    fixture.core.handle_neighbours(fixture.now, &[PeerId(1)]);
    fixture.meet(1, &[0]);
    fixture.core.handle_violation(fixture.now, PeerId(1));
    fixture.core.handle_neighbours(fixture.now, &[PeerId(1)]);
    let mut outputs = fixture.outputs();
    outputs.extend(fixture.pass(Duration::from_secs(60)));
    assert!(!dials(&outputs[2..]).contains(&1));
    fixture.core.handle_connected(fixture.now, PeerId(1));
    assert_eq!(hangups(&fixture.outputs()), [(1, Reason::Banned)]);
}

#[test]
fn leaving_refuses_what_waits_and_finishes_what_is_under_way() {
    let mut fixture = Fixture::seed();
    fixture.meet_interested(1);
    fixture.meet_interested(2);
    let mut outputs = Vec::new();
    for leaf in 0..4 {
        outputs.extend(fixture.request(1, run(0, leaf, 1)));
    }
    assert_eq!(served(&outputs), [(1, run(0, 0, 1)), (1, run(0, 1, 1))]);

    fixture.core.handle_leave(fixture.now);
    let outputs = fixture.outputs();
    let refused = [2, 3].map(|leaf| Message::Reject { run: run(0, leaf, 1) });
    assert_eq!(to(&outputs, 1), [&[Message::Choke][..], &refused].concat());
    assert_eq!(hangups(&outputs), [(2, Reason::Leaving)]);

    assert_eq!(fixture.sent(1, run(0, 0, 1)), []);
    let left = [Output::Hangup { peer: PeerId(1), reason: Reason::Leaving }, Output::Event(Event::Left)];
    assert_eq!(fixture.sent(1, run(0, 1, 1)), left);
    assert_eq!(fixture.core.poll_timeout(), None);
    fixture.core.handle_connected(fixture.now, PeerId(3));
    assert_eq!(hangups(&fixture.outputs()), [(3, Reason::Leaving)]);
}

#[test]
fn leaving_does_not_wait_for_ever() {
    let mut fixture = Fixture::seed();
    fixture.meet_interested(1);
    fixture.request(1, run(0, 0, 1));
    fixture.core.handle_leave(fixture.now);
    fixture.outputs();
    assert_eq!(fixture.pass(Duration::from_millis(4_900)), []);
    let outputs = fixture.pass(Duration::from_millis(200));
    assert_eq!(outputs.last(), Some(&Output::Event(Event::Left)));
}

#[test]
#[should_panic(expected = "a set of the manifest's pieces")]
fn a_bitfield_of_another_content_is_the_drivers_mistake() {
    let fixture = Fixture::having(&[]);
    let have = crate::PieceSet::empty(PIECES + 1);
    let _ = crate::swarm::Swarm::new(PeerId(1), fixture.manifest, have, Options::default(), 1, fixture.now);
}

#[test]
fn inputs_about_strangers_are_ignored() {
    let mut fixture = Fixture::having(&[]);
    let stranger = PeerId(9);
    fixture.core.handle_disconnected(fixture.now, stranger);
    fixture.core.handle_dial_failed(fixture.now, stranger);
    fixture.core.handle_message(fixture.now, stranger, Message::Interested);
    fixture.core.handle_layer(fixture.now, stranger, 0, &[]);
    fixture.core.handle_leaf(fixture.now, stranger, 0, 0, fixture.leaf(0, 0));
    fixture.core.handle_run_refused(fixture.now, stranger, run(0, 0, 1));
    fixture.core.handle_run_sent(fixture.now, stranger, run(0, 0, 1), 5);
    fixture.core.handle_run_stopped(fixture.now, stranger, run(0, 0, 1));
    fixture.core.handle_violation(fixture.now, stranger);
    assert_eq!(fixture.outputs(), []);
    assert_eq!(fixture.core.have(), &set(&[]));
}

fn dials(outputs: &[Output]) -> Vec<u32> {
    let dials = outputs.iter().filter_map(|output| {
        let Output::Dial { peer } = output else { return None };
        Some(peer.0)
    });
    dials.collect()
}
