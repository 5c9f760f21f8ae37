//! Churn as inputs and exactly the orders that follow.

use super::*;
use crate::plan::{Churn, Move, MoveKind};

#[test]
fn each_peer_goes_and_comes_back_at_its_time_and_the_step_ends_with_the_churn() {
    let mut play = Play::of(2, vec![first(churn(&[(1_000, 2, MoveKind::Crash), (3_000, 2, MoveKind::Join)]))]);
    assert_eq!(play.due(0), [begun(0)]);
    assert_eq!(play.scenario.next_deadline(), Some((at(1_000), "a peer comes or goes")));
    assert_eq!(play.due(999), []);
    assert_eq!(play.due(1_000), [moved(0, 2, MoveKind::Crash), Order::Kill { peers: ids(&[2]) }]);
    play.scenario.handle_exited(id(2));
    assert_eq!(play.scenario.next_deadline(), Some((at(3_000), "a peer comes or goes")));
    assert_eq!(play.due(3_000), [moved(0, 2, MoveKind::Join), Order::Start { peers: ids(&[2]) }]);
    play.scenario.handle_ready(id(2));
    assert_eq!(play.due(3_100), []);
    assert_eq!(play.due(10_000), [ended(0)]);
}

#[test]
fn who_has_not_ended_when_it_is_to_come_back_comes_back_as_soon_as_it_has() {
    let mut play = Play::of(1, vec![first(churn(&[(1_000, 2, MoveKind::Leave), (3_000, 2, MoveKind::Join)]))]);
    play.due(0);
    assert_eq!(play.due(1_000), [moved(0, 2, MoveKind::Leave), Order::Leave { peers: ids(&[2]) }]);
    assert_eq!(play.due(3_000), []);
    play.scenario.handle_exited(id(2));
    assert_eq!(play.due(3_500), [moved(0, 2, MoveKind::Join), Order::Start { peers: ids(&[2]) }]);
    assert_eq!(play.due(10_000), [], "it has not answered yet");
    play.scenario.handle_ready(id(2));
    assert_eq!(play.due(10_100), [ended(0)]);
}

#[test]
fn a_peer_that_is_already_gone_is_not_killed_again() {
    let moves = [(2_000, 2, MoveKind::Crash), (4_000, 2, MoveKind::Join)];
    let mut play = Play::of(1, vec![first(churn(&moves)), at_ms(1_000, Action::Crash(ids(&[2])))]);
    play.due(0);
    assert_eq!(play.due(1_000), [begun(1), Order::Kill { peers: ids(&[2]) }]);
    play.scenario.handle_exited(id(2));
    assert_eq!(play.due(2_000), [ended(1)]);
    assert_eq!(play.due(4_000), [moved(0, 2, MoveKind::Join), Order::Start { peers: ids(&[2]) }]);
}

#[test]
fn a_distribution_waits_for_who_will_come_back_and_lets_it_enter() {
    let moves = [(1_000, 3, MoveKind::Crash), (4_000, 3, MoveKind::Join)];
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(100, churn(&moves))]);
    assert_eq!(play.due(100), [begun(1)]);
    assert_eq!(play.due(1_100), [moved(1, 3, MoveKind::Crash), Order::Kill { peers: ids(&[3]) }]);
    play.scenario.handle_exited(id(3));
    play.completed(0, 2, 2_000);
    assert_eq!(play.due(2_000), [], "peer 3 comes back");
    assert_eq!(play.due(4_100), [moved(1, 3, MoveKind::Join), Order::Start { peers: ids(&[3]) }]);
    play.scenario.handle_ready(id(3));
    assert_eq!(play.due(4_200), [prepare(0, &[3])]);
}

#[test]
fn who_goes_for_good_is_not_waited_for() {
    let mut play =
        running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(100, churn(&[(1_000, 3, MoveKind::Crash)]))]);
    play.due(100);
    play.due(1_100);
    play.scenario.handle_exited(id(3));
    play.completed(0, 2, 2_000);
    assert_eq!(play.due(2_000), [close(0, &[1, 2], &[2])]);
}

fn moved(step: usize, peer: u32, what: MoveKind) -> Order {
    Order::Moved { step, peer: id(peer), what }
}

/// Ten seconds of churn.
fn churn(moves: &[(u64, u32, MoveKind)]) -> Action {
    let moves = moves.iter().map(|(ms, peer, what)| Move { at: span(*ms), peer: id(*peer), what: *what });
    Action::Churn(Churn { length: span(10_000), moves: moves.collect() })
}
