//! Tests of choke rounds, optimistic choices, turns, and slots that change hands.

use std::time::Duration;

use super::*;
use crate::swarm::Options;
use crate::swarm::tests::fixture::{Fixture, requests, run, to};

#[test]
fn slots_are_filled_at_once_up_to_their_number() {
    let mut fixture = Fixture::having(&[0]);
    for peer in 1..=5 {
        assert!(to(&fixture.meet_interested(peer), peer).contains(&Message::Unchoke), "peer {peer}");
    }
    assert!(!to(&fixture.meet_interested(6), 6).contains(&Message::Unchoke));
    assert_eq!(fixture.unchoked(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_slot_that_becomes_free_is_given_away_at_once() {
    let mut fixture = Fixture::having(&[0]);
    (1..=6).for_each(|peer| drop(fixture.meet_interested(peer)));
    let outputs = fixture.say(2, Message::NotInterested);
    assert_eq!(to(&outputs, 2), [Message::Choke]);
    assert_eq!(to(&outputs, 6), [Message::Unchoke]);

    fixture.core.handle_disconnected(fixture.now, PeerId(3));
    let outputs = fixture.say(2, Message::Interested);
    assert!(to(&outputs, 2).contains(&Message::Unchoke));
}

#[test]
fn with_refill_at_the_round_nobody_is_unchoked_before_it() {
    let options = Options { refill: Refill::AtRound, ..Options::default() };
    let mut fixture = Fixture::with(&[0], options);
    (1..=6).for_each(|peer| drop(fixture.meet_interested(peer)));
    assert!(fixture.unchoked().is_empty());
    fixture.pass(Duration::from_secs(10));
    assert_eq!(fixture.unchoked().len(), 5);
}

#[test]
fn the_round_unchokes_the_four_that_send_fastest_and_keeps_one_by_chance() {
    // While filling slots at once, 1 to 5 get them; then 6 to 9 send and 1 to 5 do not.
    let mut fixture = Fixture::having(&[0]);
    (1..=5).for_each(|peer| drop(fixture.meet_interested(peer)));
    for peer in 6..=9 {
        fixture.meet_interested(peer);
        fixture.say(peer, Message::Have { pieces: vec![peer - 5] });
        let mut asked = requests(&fixture.say(peer, Message::Unchoke));
        while let Some((_, run)) = asked.pop() {
            asked.extend(requests(&fixture.deliver(peer, run)));
        }
    }
    while fixture.core.stats().choke_rounds == 0 {
        fixture.pass(Duration::from_millis(1));
    }
    let unchoked = fixture.unchoked();
    assert_eq!(unchoked.len(), 5, "{unchoked:?}");
    assert!((6..=9).all(|peer| unchoked.contains(&peer)), "{unchoked:?}");
}

#[test]
fn neighbours_that_give_equally_do_not_take_turns() {
    let mut fixture = Fixture::having(&[]);
    (1..=6).for_each(|peer| drop(fixture.meet_interested(peer)));
    for peer in 1..=6 {
        fixture.say(peer, Message::Have { pieces: (0..6).collect() });
        let asked = requests(&fixture.say(peer, Message::Unchoke));
        fixture.deliver(peer, asked[0].1);
        // Whoever is unchoked asks for something, so that its slot is not idle.
        fixture.request(peer, asked[0].1);
    }
    let regular = |fixture: &Fixture| -> Vec<PeerId> { fixture.core.holders(Slot::Regular).collect() };
    let first = regular(&fixture);
    fixture.pass(Duration::from_secs(12));
    assert_eq!(fixture.core.stats().choke_rounds, 1);
    assert_eq!(regular(&fixture), first);
}

#[test]
fn a_slot_that_is_not_earned_is_lent_for_a_turn() {
    let options = Options { regular_slots: 1, optimistic_slots: 0, ..Options::default() };
    let mut fixture = Fixture::with(&[0], options);
    fixture.meet_interested(1);
    fixture.meet_interested(2);
    let outputs = fixture.request(1, run(0, 0, 1));
    assert_eq!(to(&outputs, 1), [Message::Choke]);
    assert_eq!(to(&outputs, 2), [Message::Unchoke]);

    // The second one gives us something, so it keeps the slot.
    fixture.say(2, Message::Have { pieces: vec![1] });
    let asked = requests(&fixture.say(2, Message::Unchoke));
    fixture.deliver(2, asked[0].1);
    for leaf in 0..4 {
        fixture.request(2, run(0, leaf, 1));
        fixture.sent(2, run(0, leaf, 1));
    }
    assert_eq!(fixture.unchoked(), [2]);
}

#[test]
fn the_optimistic_choice_changes_after_its_interval() {
    let mut fixture = Fixture::having(&[0]);
    (1..=9).for_each(|peer| drop(fixture.meet_interested(peer)));
    (1..=9).for_each(|peer| drop(fixture.request(peer, run(0, 0, 1))));
    let optimistic = |fixture: &Fixture| -> Vec<PeerId> { fixture.core.holders(Slot::Optimistic).collect() };
    let first = optimistic(&fixture);
    assert_eq!(first.len(), 1);
    let outputs = fixture.pass(Duration::from_secs(30));
    assert_eq!(to(&outputs, first[0].0)[0], Message::Choke);
    assert_eq!(optimistic(&fixture).len(), 1);
    assert_eq!(fixture.unchoked().len(), 5);
}

#[test]
fn a_newcomer_is_three_times_as_likely() {
    let tickets = [(PeerId(1), 1), (PeerId(2), 3), (PeerId(3), 1)];
    let mut random = Random::new(5, "draw");
    let mut drawn = [0; 4];
    (0..5_000).for_each(|_| drawn[draw(&tickets, &mut random).unwrap().0 as usize] += 1);
    assert!((900..1_100).contains(&drawn[1]) && (900..1_100).contains(&drawn[3]), "{drawn:?} of 1 000 each");
    assert!((2_850..3_150).contains(&drawn[2]), "{drawn:?} of 3 000");
    assert_eq!(draw(&[], &mut random), None);

    let counts = (0..400).filter(|&seed| lucky_is_newcomer(seed)).count();
    assert!((260..340).contains(&counts), "{counts} of 400 instead of 300");
}

/// Whether the optimistic slot goes to the one newcomer rather than the one old hand.
fn lucky_is_newcomer(seed: u64) -> bool {
    let options = Options { regular_slots: 0, ..Options::default() };
    let mut fixture = Fixture::seeded(&[0], options, seed);
    fixture.meet(1, &[1]);
    fixture.pass(Duration::from_secs(60));
    fixture.meet(2, &[]);
    let (core, now) = (&mut fixture.core, fixture.now);
    core.neighbours.values_mut().for_each(|neighbour| neighbour.interested = true);
    core.lucky(now, |_| true) == Some(PeerId(2))
}

#[test]
fn an_idle_slot_goes_to_somebody_who_waits() {
    let mut fixture = Fixture::having(&[0]);
    (1..=5).for_each(|peer| drop(fixture.meet_interested(peer)));
    (1..=4).for_each(|peer| drop(fixture.request(peer, run(0, 0, 1))));
    fixture.meet_interested(6);
    assert_eq!(fixture.pass(Duration::from_millis(400)), []);
    let outputs = fixture.pass(Duration::from_millis(200));
    assert_eq!(to(&outputs, 5), [Message::Choke]);
    assert_eq!(to(&outputs, 6), [Message::Unchoke]);
}

#[test]
fn a_seed_serves_in_turns_those_who_got_least() {
    let options = Options { regular_slots: 1, optimistic_slots: 0, ..Options::default() };
    let mut fixture = Fixture::with(&[0, 1, 2, 3, 4, 5], options);
    (1..=3).for_each(|peer| drop(fixture.meet_interested(peer)));
    let mut order = Vec::new();
    for _ in 0..9 {
        let peer = fixture.unchoked()[0];
        order.push(peer);
        let mut leaf = 0;
        while fixture.unchoked() == [peer] {
            fixture.request(peer, run(0, leaf, 1));
            fixture.sent(peer, run(0, leaf, 1));
            leaf = (leaf + 1) % 4;
        }
    }
    for turns in order.chunks(3) {
        let mut turns = turns.to_vec();
        turns.sort_unstable();
        assert_eq!(turns, [1, 2, 3], "everybody once in {order:?}");
    }
}

#[test]
fn a_seed_that_ranks_keeps_those_who_take_fastest() {
    let options = Options { seeding: Seeding::FastestUpload, optimistic_slots: 0, ..Options::default() };
    let mut fixture = Fixture::with(&[0, 1, 2, 3, 4, 5], options);
    (1..=4).for_each(|peer| drop(fixture.meet_interested(peer)));
    for _ in 0..5 {
        for peer in 1..=4 {
            fixture.request(peer, run(0, 0, 1));
            fixture.sent(peer, run(0, 0, 1));
        }
    }
    fixture.meet_interested(5);
    fixture.pass(Duration::from_millis(300));
    (1..=4).for_each(|peer| drop(fixture.request(peer, run(0, 0, 1))));
    fixture.pass(Duration::from_secs(11));
    assert_eq!(fixture.unchoked(), [1, 2, 3, 4]);
}

#[test]
fn choking_refuses_what_waits_and_lets_runs_begun_end() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet_interested(1);
    (0..4).for_each(|leaf| drop(fixture.request(1, run(0, leaf, 1))));
    let outputs = fixture.say(1, Message::NotInterested);
    let refused = [2, 3].map(|leaf| Message::Reject { run: run(0, leaf, 1) });
    assert_eq!(to(&outputs, 1), [&[Message::Choke][..], &refused].concat());
    fixture.sent(1, run(0, 0, 1));
    fixture.sent(1, run(0, 1, 1));
    assert_eq!(fixture.core.stats().runs_stopped, 0);
    assert_eq!(fixture.core.stats().uploaded_bytes, 2 * u64::from(LEAF));
}
