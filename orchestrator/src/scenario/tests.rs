//! The scenario's rules, each as inputs and exactly the orders that follow.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::*;
use crate::{
    plan::{Changes, CutDirection, Distribute, EngineChoice, LinkChange, LinkState, Partition, Peer, Via},
    units::Span,
};

mod churn;
mod life;

#[test]
fn evidence_is_kept_where_a_disturbance_begins_and_where_one_ends() {
    let words = ["crash", "leave", "churn", "partition", "pause", "link", "heal", "resume", "join", "wait", "lookups"];
    let kept: Vec<&str> = words.into_iter().filter(|word| is_turn(word)).collect();
    assert_eq!(kept, words[..8]);
    assert!(!is_fault("heal") && !is_fault("resume"), "the end of a fault is none");
}

#[test]
fn a_distribution_is_prepared_begun_and_closed_in_this_order() {
    let mut play = Play::of(2, vec![first(distribute("d0", &[1], &[2, 3]))]);
    assert_eq!(play.due(0), [begun(0), prepare(0, &[1, 2, 3])]);
    play.prepared(0, &[1, 2]);
    assert_eq!(play.due(10), []);
    play.prepared(0, &[3]);
    assert_eq!(play.due(20), [Order::Begin { distribution: 0, peers: ids(&[1, 2, 3]), at: at(70) }]);
    play.completed(0, 2, 5_070);
    assert_eq!(play.due(5_080), []);
    play.completed(0, 3, 7_570);
    assert_eq!(play.due(7_580), [close(0, &[1, 2, 3], &[2, 3])]);
    assert_eq!(play.scenario.status(), Status::Playing);
    play.scenario.handle_closed(0, &ids(&[2, 3]).into_iter().collect());
    assert_eq!(play.due(8_000), [ended(0)]);
    assert_eq!(play.scenario.status(), Status::Finished);
    let distribution = &play.scenario.distributions()[0];
    assert_eq!((distribution.seconds(), distribution.completion_seconds(id(2))), (Some(7.5), Some(5.0)));
    assert!(distribution.is_verified(id(2)));
}

#[test]
fn a_begin_is_told_further_ahead_to_many_peers() {
    let everybody: Vec<u32> = (2..=101).collect();
    let mut play = Play::of(100, vec![first(distribute("d0", &[1], &everybody))]);
    play.due(0);
    play.prepared(0, &(1..=101).collect::<Vec<_>>());
    let orders = play.due(1_000);
    assert!(matches!(&orders[..], [Order::Begin { at: begin, .. }] if *begin == at(1_202)), "{orders:?}");
}

#[test]
fn steps_follow_one_another_and_a_wait_takes_its_time() {
    let wait = || Action::Wait(span(5_000));
    let mut play = Play::of(1, vec![first(wait()), after(0, wait())]);
    assert_eq!(play.due(0), [begun(0)]);
    assert_eq!(play.scenario.next_deadline(), Some((at(5_000), "a wait is over")));
    assert_eq!(play.due(4_999), []);
    assert_eq!(play.due(5_000), [ended(0), begun(1)]);
    assert_eq!(play.due(10_000), [ended(1)]);
    assert_eq!(play.scenario.status(), Status::Finished);
}

#[test]
fn a_crashed_peer_is_not_waited_for() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(2_000, Action::Crash(ids(&[3])))]);
    assert_eq!(play.due(2_000), [begun(1), Order::Kill { peers: ids(&[3]) }]);
    play.completed(0, 2, 3_000);
    assert_eq!(play.due(3_000), [close(0, &[1, 2], &[2])]);
    play.scenario.handle_exited(id(3));
    assert_eq!(play.due(3_001), [ended(1)]);
    assert_eq!(play.scenario.required(0), ids(&[2]).into_iter().collect());
}

#[test]
fn a_peer_that_completed_before_its_crash_counts() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(2_000, Action::Crash(ids(&[3])))]);
    play.completed(0, 3, 1_500);
    play.due(2_000);
    play.scenario.handle_exited(id(3));
    play.completed(0, 2, 1_800);
    assert_eq!(play.due(2_500), [ended(1), close(0, &[1, 2], &[2, 3])]);
    assert_eq!(play.scenario.required(0).len(), 2);
}

#[test]
fn a_crashed_peer_that_joins_again_is_waited_for() {
    let mut play = running(vec![
        first(distribute("d0", &[1], &[2, 3])),
        at_ms(2_000, Action::Crash(ids(&[3]))),
        at_ms(6_000, Action::Join(ids(&[3]))),
    ]);
    play.due(2_000);
    play.scenario.handle_exited(id(3));
    play.completed(0, 2, 3_000);
    assert_eq!(play.due(3_000), [ended(1)]);
    assert_eq!(play.due(6_000), [begun(2), Order::Start { peers: ids(&[3]) }]);
    play.scenario.handle_ready(id(3));
    assert_eq!(play.due(6_500), [prepare(0, &[3])]);
    play.prepared_at(6_600, 0, &[3]);
    assert_eq!(play.due(6_600), [Order::Begin { distribution: 0, peers: ids(&[3]), at: at(6_600) }, ended(2)]);
    play.completed(0, 3, 9_050);
    assert_eq!(play.due(9_100), [close(0, &[1, 2, 3], &[2, 3])]);
    assert_eq!(play.scenario.distributions()[0].seconds(), Some(9.0));
}

#[test]
fn a_join_that_waits_for_the_distribution_is_not_waited_for_by_it() {
    let mut play = running(vec![
        first(distribute("d0", &[1], &[2, 3])),
        at_ms(2_000, Action::Crash(ids(&[3]))),
        after(0, Action::Join(ids(&[3]))),
    ]);
    play.due(2_000);
    play.scenario.handle_exited(id(3));
    play.completed(0, 2, 3_000);
    assert_eq!(play.due(3_000), [ended(1), close(0, &[1, 2], &[2])]);
    play.scenario.handle_closed(0, &BTreeSet::new());
    assert_eq!(play.due(3_100), [ended(0), begun(2), Order::Start { peers: ids(&[3]) }]);
    play.scenario.handle_ready(id(3));
    assert_eq!(play.due(3_200), [ended(2)]);
    assert_eq!(play.scenario.status(), Status::Finished);
}

#[test]
fn a_peer_that_is_absent_at_first_is_started_and_then_joins() {
    let mut plan = plan(2, vec![first(Action::Start(ids(&[3]))), after(0, distribute("d0", &[1], &[2, 3]))]);
    plan.peers[2].present = false;
    let mut play = Play::new(&plan);
    assert_eq!(play.due(0), [begun(0), Order::Start { peers: ids(&[3]) }]);
    assert_eq!(play.due(10), []);
    play.scenario.handle_ready(id(3));
    assert_eq!(play.due(20), [ended(0), begun(1), prepare(0, &[1, 2, 3])]);
}

#[test]
fn an_absent_peer_that_nothing_brings_is_not_waited_for() {
    let mut plan = plan(2, vec![first(distribute("d0", &[1], &[2, 3]))]);
    plan.peers[2].present = false;
    let mut play = Play::new(&plan);
    assert_eq!(play.due(0), [begun(0), prepare(0, &[1, 2])]);
    assert_eq!(play.scenario.required(0), ids(&[2]).into_iter().collect());
}

#[test]
fn a_crash_while_preparing_does_not_hold_the_others_up() {
    let mut play = Play::of(2, vec![first(distribute("d0", &[1], &[2, 3])), at_ms(5, Action::Crash(ids(&[3])))]);
    play.due(0);
    play.prepared(0, &[1, 2]);
    let orders = play.due(5);
    let begin = Order::Begin { distribution: 0, peers: ids(&[1, 2]), at: at(55) };
    assert_eq!(orders, [begun(1), Order::Kill { peers: ids(&[3]) }, begin]);
}

#[test]
fn leaving_peers_end_the_step_when_they_are_gone() {
    let mut play = Play::of(2, vec![first(Action::Leave(ids(&[2, 3])))]);
    assert_eq!(play.due(0), [begun(0), Order::Leave { peers: ids(&[2, 3]) }]);
    play.scenario.handle_exited(id(2));
    assert_eq!(play.due(100), []);
    play.scenario.handle_exited(id(3));
    assert_eq!(play.due(200), [ended(0)]);
}

#[test]
fn a_condition_lets_its_step_begin_when_enough_pieces_are_there() {
    let half = When::Condition("distribution.release.progress >= 50%".into());
    let crash = Step { when: half, action: Action::Crash(ids(&[3])) };
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), crash]);
    play.scenario.handle_piece(at(0), 0, id(2), 2, 3);
    assert_eq!(play.due(1_000), []);
    play.scenario.handle_piece(at(0), 0, id(3), 0, 1);
    assert_eq!(play.due(1_100), [begun(1), Order::Kill { peers: ids(&[3]) }]);
}

#[test]
fn a_condition_that_can_no_longer_come_true_fails_the_run() {
    let never = When::Condition("distribution.other.progress >= 50%".into());
    let mut play = Play::of(1, vec![Step { when: never, action: Action::Wait(span(1)) }]);
    assert_eq!(play.due(0), []);
    let Status::Failed(why) = play.scenario.status() else { panic!("still playing") };
    assert!(why.contains("step 0 (wait) waits for `distribution.other.progress >= 50%`"), "{why}");
}

#[test]
fn the_timeout_names_who_had_not_finished() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), after(0, Action::Wait(span(1)))]);
    play.completed(0, 2, 3_000);
    play.due(60_000);
    let Status::Failed(why) = play.scenario.status() else { panic!("still playing") };
    assert_eq!(
        why,
        "the scenario did not end within 60s: distribution release via swarm: 1 of 2 peers had not finished: peer-3; \
         step 1 (wait) had not begun"
    );
}

#[test]
fn a_distribution_without_anybody_who_has_the_file_fails_the_run() {
    let mut play = Play::of(2, vec![first(Action::Crash(ids(&[1]))), after(0, distribute("d0", &[1], &[2, 3]))]);
    play.due(0);
    play.scenario.handle_exited(id(1));
    play.due(10);
    let Status::Failed(why) = play.scenario.status() else { panic!("still playing") };
    assert_eq!(why, "step 1: distribution release cannot begin: no peer that has the file is up");
}

#[test]
fn a_file_that_is_there_before_the_begin_completes_at_the_begin() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3]))]);
    play.completed(0, 2, 1);
    assert_eq!(play.scenario.distributions()[0].completion_seconds(id(2)), Some(0.0));
}

#[test]
fn reports_about_strangers_change_nothing() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3]))]);
    play.completed(0, 99, 100);
    play.scenario.handle_piece(at(0), 7, id(2), 0, 1);
    play.scenario.handle_prepared(at(100), 7, id(2));
    play.scenario.handle_ready(id(99));
    assert_eq!(play.due(200), []);
}

#[test]
fn a_change_ends_its_step_when_it_has_been_made() {
    let change = LinkChange { peers: ids(&[2]), reset: false, up: Changes::default(), down: Changes::default() };
    let mut play = running(vec![
        first(distribute("d0", &[1], &[2, 3])),
        at_ms(1_000, Action::Link(vec![change.clone()])),
        after(1, Action::Wait(span(500))),
    ]);
    assert_eq!(play.due(1_000), [begun(1), changes(1, Change::Links(vec![change]))]);
    assert_eq!(play.due(1_020), []);
    play.scenario.handle_changed(1);
    assert_eq!(play.due(1_030), [ended(1), begun(2)]);
    assert_eq!(play.due(1_529), []);
    assert_eq!(play.due(1_530), [ended(2)]);
}

#[test]
fn a_heal_ends_the_partition_of_its_name_or_all_that_are_in_force() {
    let (one, two, three) = (partition("one"), partition("two"), partition("three"));
    let heal = |name: Option<&str>| Action::Heal { partition: name.map(Into::into) };
    let mut play = Play::of(
        2,
        vec![
            first(Action::Partition(one.clone())),
            first(Action::Partition(two.clone())),
            first(Action::Partition(three.clone())),
            at_ms(1, heal(Some("two"))),
            at_ms(2, heal(None)),
            at_ms(3, heal(None)),
        ],
    );
    let cut = |step, it: &Partition| [begun(step), changes(step, Change::Cut(it.clone()))];
    assert_eq!(play.due(0), [cut(0, &one), cut(1, &two), cut(2, &three)].concat());
    (0..3).for_each(|step| play.scenario.handle_changed(step));
    play.due(0);
    let staying = vec![one.clone(), three.clone()];
    assert_eq!(play.due(1), [begun(3), changes(3, Change::Heal { ended: vec![two], staying })]);
    play.scenario.handle_changed(3);
    let all = Change::Heal { ended: vec![one, three], staying: Vec::new() };
    assert_eq!(play.due(2), [ended(3), begun(4), changes(4, all)]);
    play.scenario.handle_changed(4);
    assert_eq!(play.due(3), [ended(4), begun(5), ended(5)], "nothing is left to heal");
}

#[test]
fn only_running_peers_are_paused_and_only_paused_ones_resumed() {
    let mut plan = plan(
        3,
        vec![
            first(Action::Pause(ids(&[2, 3, 4]))),
            at_ms(1, Action::Pause(ids(&[2, 3]))),
            at_ms(2, Action::Crash(ids(&[3]))),
            at_ms(3, Action::Resume(ids(&[2, 3, 4]))),
        ],
    );
    plan.peers[3].present = false;
    let mut play = Play::new(&plan);
    let answering = |play: &Play| (1..=4).filter(|peer| play.scenario.answers(id(*peer))).collect::<Vec<_>>();
    assert_eq!((answering(&play), play.scenario.disturbances()), (vec![1, 2, 3], 0));
    assert_eq!(play.due(0), [begun(0), changes(0, Change::Pause(ids(&[2, 3])))]);
    assert_eq!((answering(&play), play.scenario.disturbances()), (vec![1], 2));
    play.scenario.handle_changed(0);
    assert_eq!(play.due(1), [ended(0), begun(1), ended(1)]);
    assert_eq!(play.due(2), [begun(2), Order::Kill { peers: ids(&[3]) }]);
    play.scenario.handle_exited(id(3));
    assert_eq!(play.due(3), [ended(2), begun(3), changes(3, Change::Resume(ids(&[2])))]);
    assert_eq!((answering(&play), play.scenario.disturbances()), (vec![1, 2], 0));
}

#[test]
fn partitions_and_links_that_are_down_disturb_until_they_are_undone() {
    let changes = |state| Changes { state: Some(state), ..Changes::default() };
    let link = |up, down| {
        Action::Link(vec![LinkChange { peers: ids(&[2, 3]), reset: false, up: changes(up), down: changes(down) }])
    };
    let mut play = Play::of(
        2,
        vec![
            first(link(LinkState::Up, LinkState::Down)),
            at_ms(1, Action::Partition(partition("split"))),
            at_ms(2, link(LinkState::Up, LinkState::Up)),
            at_ms(3, Action::Heal { partition: None }),
        ],
    );
    let disturbances: Vec<usize> = (0..4)
        .map(|ms| {
            play.due(ms);
            play.scenario.disturbances()
        })
        .collect();
    assert_eq!(disturbances, [2, 3, 1, 0]);
}

#[test]
fn a_paused_participant_is_waited_for_and_a_paused_stranger_takes_no_part() {
    let mut play = running(vec![first(distribute("d0", &[1], &[2, 3])), at_ms(500, Action::Pause(ids(&[3])))]);
    play.due(500);
    play.scenario.handle_changed(1);
    play.completed(0, 2, 900);
    assert_eq!(play.due(1_000), [ended(1)], "the distribution still runs");
    assert_eq!(play.scenario.required(0), ids(&[2, 3]).into_iter().collect());

    let mut play = Play::of(2, vec![first(Action::Pause(ids(&[3]))), at_ms(1, distribute("d0", &[1], &[2, 3]))]);
    play.due(0);
    play.scenario.handle_changed(0);
    assert_eq!(play.due(1), [ended(0), begun(1), prepare(0, &[1, 2])]);
}

#[test]
fn a_join_of_a_paused_peer_fails_the_run() {
    let mut play = Play::of(2, vec![first(Action::Pause(ids(&[3]))), at_ms(1, Action::Join(ids(&[3])))]);
    play.due(0);
    play.scenario.handle_changed(0);
    play.due(1);
    let Status::Failed(why) = play.scenario.status() else { panic!("still playing") };
    assert_eq!(why, "step 1 lets peer-3 join, which is paused; resume it first");
}

/// A scenario with its plan and a clock in milliseconds.
struct Play {
    scenario: Scenario,
}

impl Play {
    fn new(plan: &Plan) -> Self {
        let mut scenario = Scenario::new(plan, &BTreeMap::from([("release".to_owned(), 4)]));
        scenario.begin(at(0));
        Self { scenario }
    }

    /// One origin (peer 1) and so many others.
    fn of(others: u32, steps: Vec<Step>) -> Self {
        Self::new(&plan(others, steps))
    }

    fn due(&mut self, ms: u64) -> Vec<Order> {
        self.scenario.due(at(ms))
    }

    fn prepared(&mut self, distribution: usize, peers: &[u32]) {
        self.prepared_at(0, distribution, peers);
    }

    fn prepared_at(&mut self, ms: u64, distribution: usize, peers: &[u32]) {
        peers.iter().for_each(|peer| self.scenario.handle_prepared(at(ms), distribution, id(*peer)));
    }

    /// A peer gets a piece of the first distribution.
    fn piece(&mut self, peer: u32, piece: u32, ms: u64) {
        let have = self.scenario.distributions()[0].have(id(peer)) + 1;
        self.scenario.handle_piece(at(ms), 0, id(peer), piece, have);
    }

    fn completed(&mut self, distribution: usize, peer: u32, ms: u64) {
        self.scenario.handle_completed(at(ms), distribution, id(peer));
    }
}

/// Distribution 0 from peer 1 to peers 2 and 3, begun at 50 ms.
fn running(steps: Vec<Step>) -> Play {
    let mut play = Play::of(2, steps);
    play.due(0);
    play.prepared(0, &[1, 2, 3]);
    play.due(0);
    assert_eq!(play.scenario.distributions()[0].begun(), Some(at(50)));
    play
}

fn plan(others: u32, steps: Vec<Step>) -> Plan {
    let peers = (1..=1 + others).map(|n| Peer {
        id: id(n),
        name: format!("peer-{n}"),
        group: "peer".into(),
        link: "home".into(),
        region: None,
        address: Ipv4Addr::new(198, 18, 0, n as u8),
        port: 4433,
        seed: 1,
        present: true,
        swarm: None,
        tracker: None,
        exec: None,
        congestion: peerbed_peer::config::Congestion::Cubic,
    });
    Plan {
        schema: 1,
        name: "test".into(),
        seed: 1,
        engine: EngineChoice::Auto,
        timeout: span(60_000),
        peers: peers.collect(),
        links: Vec::new(),
        latencies: Vec::new(),
        files: Vec::new(),
        rings: Vec::new(),
        steps,
        expectations: Vec::new(),
    }
}

fn distribute(name: &str, from: &[u32], to: &[u32]) -> Action {
    Action::Distribute(Box::new(Distribute {
        id: name.into(),
        name: "release".into(),
        file: "release".into(),
        from: ids(from),
        to: ids(to),
        via: Via::Swarm,
        tracker: None,
        options: None,
        program: None,
        exceptions: Vec::new(),
    }))
}

fn first(action: Action) -> Step {
    at_ms(0, action)
}

fn at_ms(ms: u64, action: Action) -> Step {
    Step { when: When::At(span(ms)), action }
}

fn after(step: usize, action: Action) -> Step {
    Step { when: When::AfterStep(step), action }
}

fn begun(step: usize) -> Order {
    Order::StepBegun { step }
}

fn ended(step: usize) -> Order {
    Order::StepEnded { step }
}

fn prepare(distribution: usize, peers: &[u32]) -> Order {
    Order::Prepare { distribution, peers: ids(peers) }
}

fn changes(step: usize, change: Change) -> Order {
    Order::Change { step, change }
}

/// Peer 2 on one side and peer 3 on the other.
fn partition(name: &str) -> Partition {
    Partition { name: name.into(), sides: vec![ids(&[2]), ids(&[3])], direction: CutDirection::Both }
}

fn close(distribution: usize, peers: &[u32], completed: &[u32]) -> Order {
    Order::Close { distribution, peers: ids(peers), completed: ids(completed) }
}

fn id(number: u32) -> PeerId {
    PeerId(number)
}

fn ids(numbers: &[u32]) -> Vec<PeerId> {
    numbers.iter().copied().map(PeerId).collect()
}

fn span(ms: u64) -> Span {
    Span(Duration::from_millis(ms))
}

/// The scenario begins at 100 s of some clock.
fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_secs(100) + Duration::from_millis(ms)
}
