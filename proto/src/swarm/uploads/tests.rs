//! Tests of serving: what is refused, how much is under way, whose turn it is.

use super::*;
use crate::swarm::tests::fixture::{Fixture, hangups, run, served, to};

#[test]
fn a_request_of_a_choked_neighbour_is_refused() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet(1, &[]);
    assert_eq!(to(&fixture.request(1, run(0, 0, 1)), 1), [Message::Reject { run: run(0, 0, 1) }]);
    assert_eq!(fixture.core.stats().rejected_choked, 1);
}

#[test]
fn a_request_for_leaves_we_lack_is_refused() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet_interested(1);
    assert_eq!(to(&fixture.request(1, run(1, 0, 1)), 1), [Message::Reject { run: run(1, 0, 1) }]);
    assert_eq!(fixture.core.stats().rejected_missing, 1);
}

#[test]
fn a_verified_leaf_of_an_unfinished_piece_is_served() {
    let mut fixture = Fixture::having(&[]);
    fixture.meet_generous(1, &[0]);
    fixture.deliver(1, run(0, 2, 1));
    fixture.meet_interested(2);
    let outputs = fixture.say(2, Message::Request { run: run(0, 2, 1), layer: LayerWish::Send });
    let layer = ServeLayer::Attach(fixture.layer(0).into());
    assert_eq!(outputs, [Output::Serve { peer: PeerId(2), run: run(0, 2, 1), layer }]);
}

#[test]
fn two_runs_are_under_way_and_the_next_begins_when_one_is_confirmed() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet_interested(1);
    let begun: Vec<_> = (0..4).flat_map(|leaf| served(&fixture.request(1, run(0, leaf, 1)))).collect();
    assert_eq!(begun, [(1, run(0, 0, 1)), (1, run(0, 1, 1))]);
    fixture.now = fixture.now + Duration::from_millis(65);
    assert_eq!(served(&fixture.sent(1, run(0, 0, 1))), [(1, run(0, 2, 1))]);
}

#[test]
fn neighbours_take_turns_on_a_thin_uplink() {
    let mut fixture = Fixture::having(&[0, 1]);
    fixture.meet_interested(1);
    fixture.meet_interested(2);
    // A leaf in 130 ms is 1 Mbit/s: with a window of three leaves, turns matter.
    for leaf in 0..4 {
        fixture.request(1, run(0, leaf, 1));
    }
    let mut waiting = VecDeque::from([(1, run(0, 0, 1)), (1, run(0, 1, 1))]);
    let mut order = Vec::new();
    for leaf in 0..4 {
        waiting.extend(served(&fixture.request(2, run(1, leaf, 1))));
    }
    for _ in 0..8 {
        let (peer, run) = waiting.pop_front().unwrap();
        order.push(peer);
        fixture.now = fixture.now + Duration::from_millis(130);
        waiting.extend(served(&fixture.sent(peer, run)));
    }
    assert_eq!(order, [1, 1, 2, 2, 1, 2, 1, 2]);
}

#[test]
fn what_is_under_way_to_all_together_lasts_the_upload_window() {
    let mut fixture = Fixture::seed();
    (1..=5).for_each(|peer| drop(fixture.meet_interested(peer)));
    // One leaf after the other, 65 ms each: an uplink of 2 Mbit/s.
    for turn in 0..40 {
        let peer = turn % 5 + 1;
        fixture.request(peer, run(0, 0, 1));
        fixture.now = fixture.now + Duration::from_millis(65);
        fixture.sent(peer, run(0, 0, 1));
    }
    let mut begun = 0;
    for leaf in 0..4 {
        for peer in fixture.unchoked() {
            begun += served(&fixture.request(peer, run(1, leaf, 1))).len();
        }
    }
    assert!((4..=6).contains(&begun), "{begun} leaves of 65 ms for a window of 200 ms and a path of 65 ms");
}

#[test]
fn runs_that_wait_for_loss_to_be_mended_keep_nobody_waiting_up_to_another_window() {
    let mut fixture = Fixture::seed();
    let peers: Vec<u32> = (1..=5).collect();
    peers.iter().for_each(|&peer| drop(fixture.meet_interested(peer)));
    for turn in 0..40 {
        let peer = turn % 5 + 1;
        fixture.request(peer, run(0, 0, 1));
        fixture.now = fixture.now + Duration::from_millis(65);
        fixture.sent(peer, run(0, 0, 1));
    }
    let begin = |fixture: &mut Fixture, piece| -> usize {
        let asked = (0..4).flat_map(|leaf| peers.iter().map(move |&peer| (peer, leaf)));
        asked.map(|(peer, leaf)| served(&fixture.request(peer, run(piece, leaf, 1))).len()).sum()
    };
    let first = begin(&mut fixture, 1);
    // Nothing is confirmed for longer than a full window takes.
    fixture.now = fixture.now + Duration::from_millis(600);
    let second = begin(&mut fixture, 2);
    fixture.now = fixture.now + Duration::from_millis(600);
    let third = begin(&mut fixture, 3);
    assert!(first > 0 && second > 0, "{first}, then {second} more");
    assert_eq!(third, 0, "after {first} and {second}: the uplink itself may be slow");
}

#[test]
fn stuck_runs_do_not_keep_the_others_waiting() {
    let mut fixture = Fixture::having(&[0]);
    (1..=2).for_each(|peer| drop(fixture.meet_interested(peer)));
    for leaf in 0..4 {
        fixture.request(2, run(0, leaf, 1));
        fixture.now = fixture.now + Duration::from_millis(100);
        fixture.sent(2, run(0, leaf, 1));
    }
    for leaf in 0..4 {
        fixture.request(1, run(0, leaf, 1));
    }
    fixture.pass(Duration::from_secs(3));
    let begun: Vec<_> = (0..4).flat_map(|leaf| served(&fixture.request(2, run(0, leaf, 1)))).collect();
    assert!((2..=3).contains(&begun.len()), "1 never confirms its two runs, and 2 gets {begun:?}");
}

#[test]
fn a_queue_has_a_limit_and_what_is_beyond_is_refused() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet_interested(1);
    let mut refused = 0;
    for turn in 0..70 {
        refused += to(&fixture.request(1, run(0, turn % 4, 1)), 1).len();
    }
    assert_eq!(refused, 70 - 2 - RUNS_QUEUED_MAX);
    assert_eq!(fixture.core.stats().rejected_full, 4);
}

#[test]
fn a_flood_of_requests_ends_the_conversation() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet_interested(1);
    let outputs: Vec<Output> = (0..1_000).flat_map(|_| fixture.request(1, run(0, 0, 1))).collect();
    assert_eq!(hangups(&outputs), [(1, Reason::Flood)]);
    assert_eq!(fixture.core.stats().rejected_full, u64::from(STRIKES_MAX));
}

#[test]
fn cancelling_takes_a_waiting_run_out_and_stops_one_under_way() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet_interested(1);
    (0..4).for_each(|leaf| drop(fixture.request(1, run(0, leaf, 1))));
    assert_eq!(fixture.say(1, Message::Cancel { run: run(0, 3, 1) }), []);
    let outputs = fixture.say(1, Message::Cancel { run: run(0, 0, 1) });
    assert_eq!(outputs[0], Output::StopServing { peer: PeerId(1), run: run(0, 0, 1) });
    assert_eq!(served(&outputs), [(1, run(0, 2, 1))], "its place is free");
    assert_eq!(fixture.sent(1, run(0, 0, 1)), [], "nothing is expected of it any more");
}

#[test]
fn leaf_hashes_of_a_resumed_piece_are_computed_once() {
    let mut fixture = Fixture::having(&[0]);
    fixture.meet_interested(1);
    let wish = |leaf| Message::Request { run: run(0, leaf, 1), layer: LayerWish::Send };
    let serve = |leaf, layer| Output::Serve { peer: PeerId(1), run: run(0, leaf, 1), layer };
    assert_eq!(fixture.say(1, wish(0)), [serve(0, ServeLayer::Compute)]);
    let layer = std::sync::Arc::new(fixture.layer(0));
    fixture.core.handle_layer_computed(0, std::sync::Arc::clone(&layer));
    assert_eq!(fixture.say(1, wish(1)), [serve(1, ServeLayer::Attach(layer))]);
}

#[test]
fn a_path_is_filled_even_if_it_is_longer_than_the_window() {
    let mut path = Path::new();
    let took = Duration::from_millis(400);
    for tenth in 10..50 {
        path.on_sent(at(tenth), 100_000, at(tenth - 4));
    }
    let window = path.window(at(50), Duration::from_millis(200)).unwrap();
    assert!(
        (650_000..850_000).contains(&window),
        "{window} where 1 MB/s for 1.25 times {took:?} and 200 ms is 700 000"
    );
}

#[test]
fn our_own_queue_is_not_taken_for_the_length_of_the_path() {
    let mut path = Path::new();
    path.on_sent(at(1), 10_000, at(0));
    // From now on every run waits behind others for half a second.
    for tenth in 6..105 {
        path.on_sent(at(tenth), 10_000, at(tenth - 5));
    }
    assert_eq!(path.window(at(104), Duration::ZERO), Some(0), "after ten seconds it looks again");
    path.on_sent(at(106), 10_000, at(105));
    let window = path.window(at(106), Duration::ZERO).unwrap();
    assert!((10_000..30_000).contains(&window), "{window} where 100 kB/s for 0.125 s is 12 500");
}

fn at(tenth: u64) -> Time {
    Time::ZERO + Duration::from_millis(100) * tenth as u32
}
