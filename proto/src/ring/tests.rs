//! Every message survives its wire form; no bytes and no order of messages make a node panic.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::{Decode, DecodeError, Encode};

proptest! {
    #[test]
    fn every_message_is_read_back_as_written(message in message()) {
        let bytes = message.to_bytes();
        prop_assert!(bytes.len() <= Message::FRAME_MAX);
        prop_assert_eq!(Message::from_bytes(bytes), Ok(message));
    }

    #[test]
    fn a_message_cut_short_is_refused(message in message(), cut in any::<prop::sample::Index>()) {
        let bytes = message.to_bytes();
        let short = bytes.slice(..cut.index(bytes.len()));
        prop_assert!(Message::from_bytes(short).is_err());
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Message::from_bytes(Bytes::from(bytes));
    }

    #[test]
    fn no_order_of_messages_and_timeouts_breaks_a_node(
        inputs in vec((message(), contact(), 0_u64..2_000, 0_u32..8), 1..60)
    ) {
        let mut ring = member();
        let mut now = Time::ZERO;
        for (message, from, millis, near) in inputs {
            now = now + Duration::from_millis(millis);
            // Answers mostly miss; let some hit what was asked.
            let asked = std::iter::from_fn(|| ring.poll_output()).filter_map(|output| match output {
                Output::Send { to, message: Message::Question { number, .. } } => Some((to, number)),
                Output::Send { .. } | Output::Event(_) => None,
            });
            let asked: Vec<(Contact, u32)> = asked.collect();
            match (message, asked.get(near as usize)) {
                (Message::Answer { answer, .. }, Some(&(to, number))) => {
                    ring.handle_message(now, to, Message::Answer { number, answer });
                }
                (message, _) => ring.handle_message(now, from, message),
            }
            if ring.poll_timeout().is_some_and(|(due, _)| due <= now) {
                ring.handle_timeout(now);
            }
            prop_assert_eq!(ring.successors().len(), 4);
        }
    }
}

#[test]
fn a_list_longer_than_allowed_is_refused_before_it_is_read() {
    let mut bytes = bytes::BytesMut::from(&[1, 7, 4][..]);
    crate::wire::put_varint(&mut bytes, 1 << 40);
    assert_eq!(Message::from_bytes(bytes.freeze()), Err(DecodeError::Bad { what: "list longer than allowed" }));
}

#[test]
fn deadlines_do_not_stand_still() {
    let mut ring = member();
    let mut now = Time::ZERO;
    let mut repeated = 0;
    for _ in 0..1_000 {
        let (due, reason) = ring.poll_timeout().expect("a member always has something to do");
        // One input may make the next step due at once, but not for ever.
        repeated = if due <= now { repeated + 1 } else { 0 };
        assert!(repeated <= 3, "{reason} at {due}, now {now}");
        now = now.max(due);
        ring.handle_timeout(now);
        while ring.poll_output().is_some() {}
    }
}

#[test]
fn a_node_that_has_left_fails_what_it_is_told_to_do_and_has_no_deadline() {
    let mut ring = member();
    let read = || Command::Data { key: Key::named(Circle::new(8).unwrap(), "late"), action: Action::Get };
    ring.handle_command(Time::ZERO, 1, read());
    ring.handle_command(Time::ZERO, 2, Command::Leave);
    ring.handle_command(Time::ZERO, 3, read());
    let events = std::iter::from_fn(|| ring.poll_output()).filter_map(|output| match output {
        Output::Event(Event::Read { request, result, .. }) => Some((request, result)),
        Output::Event(_) | Output::Send { .. } => None,
    });
    let failed = || Err(DataError::Lookup(LookupError::NotMember));
    assert_eq!(events.collect::<Vec<_>>(), [(1, failed()), (3, failed())]);
    assert_eq!((ring.standing(), ring.poll_timeout()), (Standing::Gone, None));
    // Nor does news of others give it one.
    (0..9).for_each(|_| ring.handle_violation(Time::ZERO, ring.successors()[0].contact().unwrap().peer));
    assert_eq!(ring.poll_timeout(), None);
}

#[test]
fn who_breaks_the_protocol_five_times_is_off_every_pointer_and_not_heard_any_more() {
    let mut ring = member();
    let bad = ring.successors()[0].contact().unwrap();
    let knows = |ring: &Ring| ring.successors().iter().any(|entry| entry.contact() == Some(bad));
    for _ in 0..4 {
        ring.handle_violation(Time::ZERO, bad.peer);
        assert!(knows(&ring));
    }
    ring.handle_violation(Time::ZERO, bad.peer);
    ring.handle_message(Time::ZERO, bad, Message::Note(Note::Notify));
    assert!(!knows(&ring));
    let stats = ring.stats();
    assert_eq!((stats.violations, stats.outlawed, stats.outlawed_dropped), (5, 1, 1));
}

#[test]
fn an_answer_that_is_waited_for_counts_towards_no_flood() {
    let mut ring = member();
    ring.handle_timeout(ring.poll_timeout().unwrap().0);
    let asked = std::iter::from_fn(|| ring.poll_output()).find_map(|output| match output {
        Output::Send { to, message: Message::Question { number, .. } } => Some((to, number)),
        Output::Send { .. } | Output::Event(_) => None,
    });
    let (to, number) = asked.unwrap();
    let now = Time::ZERO + Duration::from_secs(2);
    (0..3_000).for_each(|_| ring.handle_message(now, to, Message::Note(Note::Leaving)));
    assert_eq!(ring.stats().flooded, 1_000);
    // Nor do notifications, up to as many by themselves.
    (0..2_000).for_each(|_| ring.handle_message(now, to, Message::Note(Note::Notify)));
    assert_eq!(ring.stats().flooded, 1_000);
    (0..10).for_each(|_| ring.handle_message(now, to, Message::Note(Note::Notify)));
    assert_eq!(ring.stats().flooded, 1_010);
    ring.handle_message(now, to, Message::Answer { number, answer: Answer::Busy });
    assert_eq!((ring.stats().flooded, ring.stats().answers_stray), (1_010, 0));
    ring.handle_message(now, to, Message::Answer { number, answer: Answer::Busy });
    assert_eq!((ring.stats().flooded, ring.stats().answers_stray), (1_011, 0));
}

fn member() -> Ring {
    let circle = Circle::new(8).unwrap();
    let contacts = (0..6).map(|n| Contact { point: Point(40 * n + 3), peer: PeerId(u32::try_from(n).unwrap() + 1) });
    let founders = Founders::new(circle, contacts.collect()).unwrap();
    Ring::found(founders.contacts()[2], &founders, Options::default(), 1, Time::ZERO)
}

fn point() -> impl Strategy<Value = Point> {
    prop_oneof![(0_u128..256).prop_map(Point), any::<u128>().prop_map(Point)]
}

fn contact() -> impl Strategy<Value = Contact> {
    (point(), 1_u32..12).prop_map(|(point, peer)| Contact { point, peer: PeerId(peer) })
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![contact().prop_map(Entry::Contact), point().prop_map(Entry::Placeholder)]
}

fn key() -> impl Strategy<Value = Key> {
    (point(), vec(any::<u8>(), 0..20)).prop_map(|(point, name)| Key { point, name: name.into() })
}

fn version() -> impl Strategy<Value = Version> {
    (0_u64..1 << 62, 1_u32..12).prop_map(|(counter, owner)| Version { counter, owner: PeerId(owner) })
}

fn value() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn lasting() -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of((0_u64..1 << 40).prop_map(Duration::from_millis))
}

fn record() -> impl Strategy<Value = Record> {
    (key(), version(), value(), lasting()).prop_map(|(key, version, value, lasting)| Record {
        key,
        version,
        value,
        lasting,
    })
}

fn arc() -> impl Strategy<Value = Arc> {
    (point(), point()).prop_map(|(after, up_to)| Arc { after, up_to })
}

fn forward() -> impl Strategy<Value = Forward> {
    let leg = prop_oneof![
        Just(Leg::ToPredecessor),
        Just(Leg::ToOwner),
        contact().prop_map(|predecessor| Leg::LastHop { predecessor }),
    ];
    (contact(), any::<u64>(), point(), any::<u16>(), any::<u16>(), leg)
        .prop_map(|(origin, lookup, key, hops, timeouts, leg)| Forward { origin, lookup, key, hops, timeouts, leg })
}

fn data_question() -> impl Strategy<Value = DataQuestion> {
    let source = prop_oneof![Just(Source::Owner), Just(Source::Copy)];
    prop_oneof![
        (key(), value(), lasting()).prop_map(|(key, value, lasting)| DataQuestion::Store { key, value, lasting }),
        (key(), source).prop_map(|(key, source)| DataQuestion::Fetch { key, source }),
        vec(record(), 0..5).prop_map(|records| DataQuestion::Replicate { records }),
        (arc(), any::<u128>()).prop_map(|(arc, digest)| DataQuestion::Digest { arc, digest }),
        (arc(), proptest::option::of(key())).prop_map(|(arc, after)| DataQuestion::Summary { arc, after }),
        vec(key(), 0..5).prop_map(|keys| DataQuestion::Records { keys }),
    ]
}

fn data_answer() -> impl Strategy<Value = DataAnswer> {
    let refusal = prop_oneof![Just(Refusal::NotMine), Just(Refusal::NotReady), Just(Refusal::Overloaded)];
    prop_oneof![
        (version(), any::<u8>()).prop_map(|(version, replicas)| DataAnswer::Stored { version, replicas }),
        refusal.prop_map(DataAnswer::Refused),
        proptest::option::of(record()).prop_map(DataAnswer::Value),
        Just(DataAnswer::Replicated),
        Just(DataAnswer::Same),
        Just(DataAnswer::Differs),
        (vec((key(), version()), 0..5), any::<bool>())
            .prop_map(|(versions, more)| DataAnswer::Summary { versions, more }),
        vec(record(), 0..5).prop_map(DataAnswer::Records),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let more = prop_oneof![Just(More::No), Just(More::Yes)];
    let mine = prop_oneof![Just(Ownership::Mine), Just(Ownership::NotMine)];
    let before = || proptest::option::of(contact());
    prop_oneof![
        Just(Answer::Alive),
        Just(Answer::NotMember),
        Just(Answer::Busy),
        (before(), vec(entry(), 0..8)).prop_map(|(predecessor, successors)| Answer::State { predecessor, successors }),
        vec(contact(), 0..8).prop_map(Answer::Fingers),
        (vec(contact(), 0..8), more, vec(entry(), 0..8)).prop_map(|(closer, more, successors)| Answer::Step {
            closer,
            more,
            successors
        }),
        (mine, before(), vec(entry(), 0..8)).prop_map(|(mine, predecessor, successors)| Answer::Owns {
            mine,
            predecessor,
            successors
        }),
        Just(Answer::Accepted),
        data_answer().prop_map(Answer::Data),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let question = prop_oneof![
        Just(Question::Ping),
        Just(Question::State),
        Just(Question::Fingers),
        (point(), point()).prop_map(|(key, short_of)| Question::Next { key, short_of }),
        point().prop_map(|key| Question::Owns { key }),
        forward().prop_map(Question::Forward),
        data_question().prop_map(Question::Data),
    ];
    let found = (any::<u64>(), contact(), contact(), any::<u16>(), any::<u16>())
        .prop_map(|(lookup, owner, predecessor, hops, timeouts)| Found { lookup, owner, predecessor, hops, timeouts });
    let note = prop_oneof![Just(Note::Notify), Just(Note::Leaving), Just(Note::Skipped), found.prop_map(Note::Found),];
    prop_oneof![
        (any::<u32>(), question).prop_map(|(number, question)| Message::Question { number, question }),
        (any::<u32>(), answer()).prop_map(|(number, answer)| Message::Answer { number, answer }),
        note.prop_map(Message::Note),
    ]
}
