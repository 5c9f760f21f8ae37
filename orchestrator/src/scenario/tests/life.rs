//! Peers that come and go: over time, with faults to get over, and for good.

use super::*;
use crate::plan::{Arrival, Arrivals, Entrance};

#[test]
fn peers_arrive_at_their_times_and_each_counts_from_its_own() {
    let arrivals = arrive(Entrance::Join, &[(3, 0), (4, 1_500)]);
    let mut plan = plan(3, vec![first(distribute("d0", &[1], &[2, 3, 4])), at_ms(1_000, arrivals)]);
    plan.peers[2].present = false;
    plan.peers[3].present = false;
    let mut play = Play::new(&plan);
    play.due(0);
    play.prepared(0, &[1, 2]);
    assert_eq!(play.due(0), [Order::Begin { distribution: 0, peers: ids(&[1, 2]), at: at(50) }]);
    // The file is not all there is to wait for: two peers are still to come.
    play.completed(0, 2, 900);
    assert_eq!(play.due(999), []);
    assert_eq!(play.due(1_000), [begun(1), Order::Start { peers: ids(&[3]) }]);
    assert_eq!(play.scenario.next_deadline(), Some((at(2_500), "a peer arrives")));
    play.scenario.handle_ready(id(3));
    assert_eq!(play.due(1_040), [prepare(0, &[3])]);
    play.prepared_at(1_050, 0, &[3]);
    assert_eq!(play.due(1_050), [Order::Begin { distribution: 0, peers: ids(&[3]), at: at(1_050) }]);
    play.completed(0, 3, 2_000);
    assert_eq!(play.due(2_499), [], "the last is still to come");
    assert_eq!(play.due(2_500), [Order::Start { peers: ids(&[4]) }]);
    play.scenario.handle_ready(id(4));
    play.due(2_540);
    play.prepared_at(2_550, 0, &[4]);
    assert_eq!(play.due(2_550), [Order::Begin { distribution: 0, peers: ids(&[4]), at: at(2_550) }, ended(1)]);
    play.completed(0, 4, 3_050);
    assert_eq!(play.due(3_060), [close(0, &[1, 2, 3, 4], &[2, 3, 4])]);
    let distribution = &play.scenario.distributions()[0];
    let of = |peer| (distribution.arrival_seconds(id(peer)), distribution.completion_seconds(id(peer)));
    assert_eq!(of(2), (Some(0.0), Some(0.85)));
    assert_eq!(of(3), (Some(1.0), Some(1.95)));
    assert_eq!(of(4), (Some(2.5), Some(3.0)));
    assert_eq!(distribution.seconds(), Some(3.0));
}

#[test]
fn peers_that_only_start_over_time_take_part_in_nothing() {
    let mut plan = plan(2, vec![first(arrive(Entrance::Start, &[(2, 0), (3, 700)]))]);
    plan.peers[1].present = false;
    plan.peers[2].present = false;
    let mut play = Play::new(&plan);
    assert_eq!(play.due(0), [begun(0), Order::Start { peers: ids(&[2]) }]);
    play.scenario.handle_ready(id(2));
    assert_eq!(play.due(699), []);
    assert_eq!(play.due(700), [Order::Start { peers: ids(&[3]) }]);
    play.scenario.handle_ready(id(3));
    assert_eq!(play.due(750), [ended(0)]);
}

#[test]
fn a_peer_that_joins_again_still_counts_from_its_first_arrival() {
    let mut play = running(vec![
        first(distribute("d0", &[1], &[2, 3])),
        at_ms(2_000, Action::Crash(ids(&[3]))),
        at_ms(6_000, Action::Join(ids(&[3]))),
    ]);
    play.due(2_000);
    play.scenario.handle_exited(id(3));
    play.due(6_000);
    play.scenario.handle_ready(id(3));
    play.due(6_500);
    play.prepared_at(6_600, 0, &[3]);
    play.due(6_600);
    assert_eq!(play.scenario.distributions()[0].arrival_seconds(id(3)), Some(0.0));
}

#[test]
fn a_swarm_that_lost_a_piece_with_its_last_seed_is_given_up_and_says_who_lacks_what() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(2_000, Action::Crash(ids(&[1])))]);
    play.piece(2, 0, 1_000);
    play.piece(3, 2, 1_500);
    play.due(2_000);
    play.scenario.handle_exited(id(1));
    play.piece(3, 0, 3_000);
    // Leaves still arrive for a while, and as long as they do nobody gives up.
    play.scenario.handle_received(at(9_000), 0, id(2), 5_000);
    play.scenario.handle_received(at(20_000), 0, id(2), 5_000);
    assert_eq!(play.due(33_999), [ended(1)]);
    assert_eq!(play.scenario.next_deadline(), Some((at(34_000), "a distribution may have stalled")));
    assert_eq!(play.due(34_000), [close(0, &[2, 3], &[])]);
    let state = &play.scenario.distributions()[0];
    let stall = state.stall().expect("it has stalled");
    assert_eq!((stall.since, stall.at), (at(9_000), at(34_000)));
    assert_eq!(stall.missing, [1, 3]);
    assert_eq!(stall.lacking, [(id(2), vec![1, 2, 3]), (id(3), vec![1, 3])]);
    assert_eq!(state.seconds(), None, "a distribution that was given up took no time");
    play.scenario.handle_closed(0, &BTreeSet::new());
    assert_eq!(play.due(34_100), [ended(0)]);
    assert_eq!(play.scenario.status(), Status::Finished);
}

#[test]
fn a_swarm_that_has_a_second_copy_goes_on_without_its_seed() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(2_000, Action::Leave(ids(&[1])))]);
    (0..2).for_each(|piece| play.piece(2, piece, 1_000));
    (2..4).for_each(|piece| play.piece(3, piece, 1_500));
    assert_eq!(play.scenario.distributions()[0].spread(), 1.0);
    play.due(2_000);
    play.scenario.handle_exited(id(1));
    // However long it takes: nothing is lost.
    assert_eq!(play.due(50_000), [ended(1)]);
    play.completed(0, 2, 55_000);
    play.completed(0, 3, 56_000);
    assert_eq!(play.due(56_000), [close(0, &[2, 3], &[2, 3])]);
    assert!(play.scenario.distributions()[0].stall().is_none());
}

#[test]
fn a_seed_that_comes_back_is_waited_for() {
    let mut play = running(vec![
        first(distribute("d0", &[1], &[2, 3])),
        at_ms(2_000, Action::Crash(ids(&[1]))),
        at_ms(50_000, Action::Join(ids(&[1]))),
    ]);
    play.due(2_000);
    play.scenario.handle_exited(id(1));
    assert_eq!(play.due(49_000), [ended(1)], "the seed is still to come");
}

#[test]
fn a_crash_is_over_when_every_leecher_has_another_piece_and_regained_when_all_are_there() {
    let mut play = running(vec![
        first(distribute("d0", &[1], &[2, 3])),
        at_ms(2_000, Action::Crash(ids(&[3]))),
        at_ms(4_000, Action::Join(ids(&[3]))),
    ]);
    play.piece(2, 0, 1_000);
    play.piece(3, 1, 1_500);
    play.due(2_000);
    play.scenario.handle_exited(id(3));
    play.piece(2, 1, 2_600);
    play.due(4_000);
    play.scenario.handle_ready(id(3));
    play.due(4_100);
    play.scenario.handle_found(at(4_200), 0, id(3), 1);
    let faults = play.scenario.distributions()[0].faults();
    let found: Vec<_> = faults.iter().map(|it| (it.kind, it.at, it.recovered, it.regained)).collect();
    // Two pieces were there before; with the survivor's second one they are there again, without the one on the disk.
    assert_eq!(found, [("crash", at(2_000), Some(at(2_600)), Some(at(2_600)))]);
}

#[test]
fn a_pause_is_over_when_the_paused_peer_itself_goes_on() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(2_000, Action::Pause(ids(&[3])))]);
    play.due(2_000);
    play.piece(2, 0, 2_500);
    assert_eq!(play.scenario.distributions()[0].faults()[0].recovered, None);
    play.piece(3, 0, 7_000);
    let fault = &play.scenario.distributions()[0].faults()[0];
    assert_eq!((fault.recovered, fault.regained), (Some(at(7_000)), None));
}

/// These peers come so many milliseconds after the step's begin.
fn arrive(into: Entrance, peers: &[(u32, u64)]) -> Action {
    let peers = peers.iter().map(|(peer, after)| Arrival { peer: id(*peer), after: span(*after) });
    Action::Arrive(Arrivals { into, peers: peers.collect() })
}
