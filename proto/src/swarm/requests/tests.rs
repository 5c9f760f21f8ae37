//! Tests of fetching: how much is asked ahead, bad answers, silence, and the last leaves.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::content::LEAF;
use crate::swarm::arrivals::UNSOLICITED_MAX;
use crate::swarm::tests::fixture::{Fixture, hangups, leaves, requests, run, to};

#[test]
fn two_runs_of_one_leaf_are_asked_for_at_first() {
    let mut fixture = Fixture::having(&[]);
    let asked = requests(&fixture.meet_generous(1, &[0, 1, 2]));
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|(_, run)| run.count == 1));
}

#[test]
fn the_first_request_of_a_piece_asks_for_its_leaf_hashes() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3, 4]);
    let outputs = fixture.meet_generous(1, &[5]);
    let wishes = |outputs: &[Output]| -> Vec<LayerWish> {
        let messages = to(outputs, 1).into_iter();
        messages
            .filter_map(|message| if let Message::Request { layer, .. } = message { Some(layer) } else { None })
            .collect()
    };
    assert_eq!(wishes(&outputs), [LayerWish::Send, LayerWish::Send], "the hashes are not there yet");

    let mut fixture = Fixture::having(&[]);
    let (_, first) = requests(&fixture.meet_generous(1, &[0]))[0];
    let outputs = fixture.deliver(1, first);
    assert!(wishes(&outputs).iter().all(|&wish| wish == LayerWish::Omit), "{outputs:?}");
}

#[test]
fn quick_answers_make_the_queue_longer_and_slow_ones_shorter() {
    let mut fixture = Fixture::having(&[]);
    let mut asked = VecDeque::from(requests(&fixture.meet_generous(1, &[0, 1, 2, 3, 4, 5])));
    for _ in 0..8 {
        fixture.now = fixture.now + Duration::from_millis(20);
        let (_, run) = asked.pop_front().unwrap();
        asked.extend(requests(&fixture.deliver(1, run)));
    }
    let long = fixture.core.neighbours[&PeerId(1)].downloads.pending / u64::from(LEAF);
    assert!(long >= 6, "{long} leaves ahead");
    for _ in 0..4 {
        fixture.now = fixture.now + Duration::from_secs(1);
        let (_, run) = asked.pop_front().unwrap();
        asked.extend(requests(&fixture.deliver(1, run)));
    }
    let short = fixture.core.neighbours[&PeerId(1)].downloads.pending / u64::from(LEAF);
    assert!(short < long, "{short} leaves ahead after slow answers");
}

#[test]
fn a_fast_neighbour_is_asked_for_longer_runs() {
    let mut fixture = Fixture::having(&[]);
    let mut asked = VecDeque::from(requests(&fixture.meet_generous(1, &[0, 1, 2, 3, 4, 5])));
    let mut longest = 0;
    while let Some((_, run)) = asked.pop_front() {
        longest = longest.max(run.count);
        fixture.now = fixture.now + Duration::from_millis(1);
        asked.extend(requests(&fixture.deliver(1, run)));
    }
    assert_eq!(longest, 4, "a whole piece");
    assert!(fixture.core.is_complete());
}

#[test]
fn nothing_is_asked_of_a_neighbour_that_chokes_us() {
    let mut fixture = Fixture::having(&[]);
    assert_eq!(requests(&fixture.meet(1, &[0])), []);
    let asked = requests(&fixture.say(1, Message::Unchoke));
    fixture.say(1, Message::Choke);
    let outputs = fixture.deliver(1, asked[0].1);
    assert!(outputs.iter().any(|output| matches!(output, Output::Store { .. })), "a run begun still counts");
    assert_eq!(requests(&outputs), []);
}

#[test]
fn a_refused_run_is_asked_of_another() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3, 4]);
    let asked = requests(&fixture.meet_generous(1, &[5]));
    assert_eq!(asked.len(), 2, "both leaves of the last piece");
    assert_eq!(requests(&fixture.meet_generous(2, &[5])), []);
    fixture.say(1, Message::Choke);
    let outputs = fixture.say(1, Message::Reject { run: asked[0].1 });
    assert_eq!(requests(&outputs), [(2, asked[0].1)]);
    assert_eq!(fixture.core.stats().requests_refused, 1);
}

#[test]
fn what_a_lost_neighbour_owed_is_asked_of_another() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3, 4]);
    let asked = requests(&fixture.meet_generous(1, &[5]));
    fixture.meet_generous(2, &[5]);
    fixture.core.handle_disconnected(fixture.now, PeerId(1));
    let mut again: Vec<Run> = requests(&fixture.outputs()).into_iter().map(|(_, run)| run).collect();
    again.sort_unstable();
    let mut before: Vec<Run> = asked.into_iter().map(|(_, run)| run).collect();
    before.sort_unstable();
    assert_eq!(again, before);
}

#[test]
fn a_leaf_that_fails_its_hash_is_not_stored_and_its_sender_is_dropped() {
    let mut fixture = Fixture::having(&[]);
    let (_, run) = requests(&fixture.meet_generous(1, &[0]))[0];
    let layer = fixture.layer(0);
    fixture.core.handle_layer(fixture.now, PeerId(1), 0, layer.hashes());
    let mut wrong = fixture.leaf(0, run.first).to_vec();
    wrong[77] ^= 4;
    fixture.core.handle_leaf(fixture.now, PeerId(1), 0, run.first, bytes::Bytes::from(wrong));
    let outputs = fixture.outputs();
    assert_eq!(hangups(&outputs), [(1, Reason::BadLeaf)]);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Store { .. })));
    assert_eq!((fixture.core.stats().bad_leaves, fixture.core.stats().wasted_bytes), (1, u64::from(LEAF)));
}

#[test]
fn leaf_hashes_that_fail_the_root_or_do_not_come_get_their_sender_dropped() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet_generous(1, &[0]);
    let mut wrong = fixture.layer(0).hashes().to_vec();
    wrong[3].0[0] ^= 1;
    fixture.core.handle_layer(fixture.now, PeerId(1), 0, &wrong);
    assert_eq!(hangups(&fixture.outputs()), [(1, Reason::BadLayer)]);

    let (_, run) = requests(&fixture.meet_generous(2, &[0]))[0];
    fixture.core.handle_leaf(fixture.now, PeerId(2), 0, run.first, fixture.leaf(0, run.first));
    assert_eq!(hangups(&fixture.outputs()), [(2, Reason::BadLayer)]);
}

#[test]
fn leaves_nobody_asked_for_are_counted_and_too_many_get_their_sender_dropped() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet(1, &[0, 1]);
    for _ in 0..UNSOLICITED_MAX - 1 {
        fixture.core.handle_leaf(fixture.now, PeerId(1), 0, 0, fixture.leaf(0, 0));
        assert_eq!(hangups(&fixture.outputs()), []);
    }
    fixture.core.handle_leaf(fixture.now, PeerId(1), 0, 0, fixture.leaf(0, 0));
    assert_eq!(hangups(&fixture.outputs()), [(1, Reason::Unsolicited)]);
    assert_eq!(fixture.core.stats().unsolicited_leaves, u64::from(UNSOLICITED_MAX));
}

#[test]
fn a_neighbour_that_refuses_what_it_claims_to_have_is_dropped() {
    let mut fixture = Fixture::having(&[]);
    let mut asked = requests(&fixture.meet_generous(1, &[0, 1, 2, 3, 4, 5]));
    for _ in 1..BROKEN_MAX {
        let (_, run) = asked.remove(0);
        let outputs = fixture.say(1, Message::Reject { run });
        assert_eq!(hangups(&outputs), []);
        asked.extend(requests(&outputs));
    }
    let outputs = fixture.say(1, Message::Reject { run: asked[0].1 });
    assert_eq!(hangups(&outputs), [(1, Reason::BrokenPromises)]);
}

#[test]
fn a_silent_neighbour_is_snubbed_after_twenty_seconds_and_forgiven_when_it_sends() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3]);
    let asked = requests(&fixture.meet_generous(1, &[4]));
    assert_eq!(fixture.pass(Duration::from_millis(19_900)), []);
    let outputs = fixture.pass(Duration::from_millis(200));
    let cancelled = |run| Message::Cancel { run };
    assert_eq!(to(&outputs, 1)[..2], [cancelled(asked[0].1), cancelled(asked[1].1)]);
    assert!(outputs.contains(&Output::StopReceiving { peer: PeerId(1), run: asked[0].1 }));
    assert_eq!(fixture.core.stats().snubs, 1);
    let snubbed = |fixture: &Fixture| fixture.core.neighbours(fixture.now).next().unwrap().snubbed;
    assert!(snubbed(&fixture));
    assert_eq!(requests(&outputs).len(), 1, "one run, to see whether it comes back");

    let (_, run) = requests(&outputs)[0];
    fixture.deliver(1, run);
    assert!(!snubbed(&fixture));
}

#[test]
fn a_neighbour_that_stays_silent_is_dropped() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3]);
    fixture.meet_generous(1, &[4]);
    let outputs = fixture.pass(Duration::from_secs(61));
    assert_eq!(hangups(&outputs), [(1, Reason::BrokenPromises)]);
    assert_eq!(fixture.core.stats().snubs, 3);
}

#[test]
fn the_last_leaves_are_asked_of_a_faster_neighbour_too_and_the_loser_is_cancelled() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3]);
    let slow = requests(&fixture.meet_generous(1, &[5]));
    assert_eq!(slow.len(), 2);
    let mut fast = requests(&fixture.meet_generous(2, &[4, 5]));
    fixture.now = fixture.now + Duration::from_millis(100);
    let mut outputs = Vec::new();
    while let Some((_, run)) = fast.pop() {
        outputs = fixture.deliver(2, run);
        fast.extend(requests(&outputs).into_iter().filter(|(_, run)| run.piece == 4));
    }
    let stolen = requests(&outputs);
    assert_eq!(stolen, [(2, slow[1].1)], "the one that would come last");
    assert_eq!(fixture.core.stats().leaves_stolen, 1);

    let outputs = fixture.deliver(2, slow[1].1);
    assert_eq!(to(&outputs, 1)[0], Message::Cancel { run: slow[1].1 });
    assert!(outputs.contains(&Output::StopReceiving { peer: PeerId(1), run: slow[1].1 }));
}

#[test]
fn a_stolen_leaf_is_stolen_again_when_the_thief_does_not_bring_it_either() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3, 4]);
    let slow = requests(&fixture.meet_generous(1, &[5]));
    assert_eq!(slow.len(), 2);
    fixture.pass(Duration::from_secs(2));
    assert_eq!(requests(&fixture.meet_generous(2, &[5])), [(2, slow[1].1)]);
    assert_eq!(requests(&fixture.meet_generous(3, &[5])), [(3, slow[0].1)]);
    assert_eq!(requests(&fixture.meet_generous(4, &[5])), [], "both were asked for just now");
    let again = requests(&fixture.pass(Duration::from_secs(2)));
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0].0, 4);
    assert_eq!(fixture.core.stats().leaves_stolen, 3);

    // One that comes is asked of nobody any more.
    let outputs = fixture.deliver(4, again[0].1);
    let told = |peer| to(&outputs, peer).contains(&Message::Cancel { run: again[0].1 });
    assert!(told(1) && (told(2) || told(3)), "{outputs:?}");
}

#[test]
fn a_cancelled_leaf_that_comes_all_the_same_is_waste_and_no_offence() {
    let mut fixture = Fixture::having(&[0, 1, 2, 3]);
    let asked = requests(&fixture.meet_generous(1, &[4]));
    fixture.pass(Duration::from_millis(20_100));
    fixture.meet_generous(2, &[4]);
    let first = asked[0].1;
    let outputs = fixture.deliver(1, first);
    assert!(outputs.iter().any(|output| matches!(output, Output::Store { .. })), "it is good, so it is used");
    fixture.deliver(1, first);
    assert_eq!(fixture.core.stats().wasted_bytes, u64::from(LEAF));
    assert_eq!(fixture.core.stats().peers_dropped, 0);
}

#[test]
fn a_leaf_says_how_long_it_was_waited_for_unless_its_request_was_given_up() {
    let waited = |outputs: &[Output]| -> Vec<Option<Duration>> {
        let stored = outputs.iter();
        stored.filter_map(|it| if let Output::Store { waited, .. } = it { Some(*waited) } else { None }).collect()
    };
    let mut fixture = Fixture::having(&[0, 1, 2, 3]);
    let asked = requests(&fixture.meet_generous(1, &[4]));
    fixture.now = fixture.now + Duration::from_millis(30);
    assert_eq!(waited(&fixture.deliver(1, asked[0].1)), [Some(Duration::from_millis(30))]);

    let outputs = fixture.pass(Duration::from_millis(20_100));
    assert!(to(&outputs, 1).contains(&Message::Cancel { run: asked[1].1 }), "{outputs:?}");
    fixture.meet_generous(2, &[4]);
    assert_eq!(waited(&fixture.deliver(1, asked[1].1)), [None]);
}

#[test]
fn only_leaves_a_neighbour_has_are_asked_of_it() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet(1, &[]);
    fixture.say(1, Message::Partial { piece: 2, leaves: leaves(&[1, 3]) });
    let mut asked = requests(&fixture.say(1, Message::Unchoke));
    asked.sort_unstable();
    assert_eq!(asked, [(1, run(2, 1, 1)), (1, run(2, 3, 1))]);
}
