//! Wire round trips: whatever can be said is understood as it was meant, in frames cut anywhere.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerbed_proto::bits::Bits;
use peerbed_proto::fetch::Get;
use peerbed_proto::swarm::{LayerWish, Message, Run, RunHeader};
use peerbed_proto::tracker::{Announce, AnnounceEvent, AnnounceReply, Entry};
use peerbed_proto::wire::{Decode, DecodeError, Encode, FrameReader, get_varint, put_varint};
use peerbed_proto::{ContentId, Hash, PeerId};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn messages_survive_the_wire(message in message()) {
        prop_assert_eq!(Message::from_bytes(message.to_bytes()), Ok(message.clone()));
        prop_assert!(message.to_bytes().len() <= Message::FRAME_MAX);
    }

    #[test]
    fn run_headers_survive_the_wire(run in run(), layer in layer_wish()) {
        let header = RunHeader { run, layer };
        prop_assert_eq!(RunHeader::from_bytes(header.to_bytes()), Ok(header));
    }

    #[test]
    fn announces_survive_the_wire(announce in announce()) {
        prop_assert_eq!(Announce::from_bytes(announce.to_bytes()), Ok(announce));
        prop_assert!(announce.to_bytes().len() <= Announce::FRAME_MAX);
    }

    #[test]
    fn replies_survive_the_wire(reply in reply()) {
        prop_assert_eq!(AnnounceReply::from_bytes(reply.to_bytes()), Ok(reply.clone()));
        prop_assert!(reply.to_bytes().len() <= AnnounceReply::FRAME_MAX);
    }

    #[test]
    fn requests_for_a_content_survive_the_wire(content in content(), from in 0..1_u64 << 62) {
        let get = Get { content, from };
        prop_assert_eq!(Get::from_bytes(get.to_bytes()), Ok(get));
    }

    #[test]
    fn numbers_survive_the_wire(number in 0..1_u64 << 62) {
        let mut out = BytesMut::new();
        put_varint(&mut out, number);
        prop_assert_eq!(get_varint(&mut out.freeze()), Ok(number));
    }

    #[test]
    fn a_message_cut_short_is_not_understood(message in message(), cut in any::<prop::sample::Index>()) {
        let bytes = message.to_bytes();
        let short = bytes.slice(..cut.index(bytes.len()));
        prop_assert!(Message::from_bytes(short).is_err());
    }

    #[test]
    fn frames_cut_anywhere_come_out_whole(messages in vec(message(), 1..8), size in 1..500_usize) {
        let stream: Vec<u8> = messages.iter().flat_map(|message| message.to_frame().to_vec()).collect();
        let mut reader = FrameReader::new(Message::FRAME_MAX);
        let mut seen = Vec::new();
        for chunk in stream.chunks(size) {
            reader.feed(chunk);
            while let Some(frame) = reader.next_frame().unwrap() {
                seen.push(Message::from_bytes(frame).unwrap());
            }
        }
        prop_assert_eq!(seen, messages);
    }

    #[test]
    fn random_bytes_never_do_harm(bytes in vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        let _ = Message::from_bytes(bytes.clone());
        let _ = RunHeader::from_bytes(bytes.clone());
        let _ = Announce::from_bytes(bytes.clone());
        let _ = AnnounceReply::from_bytes(bytes.clone());
        let _ = Get::from_bytes(bytes);
    }

    #[test]
    fn sets_behave_like_sets(numbers in vec(0..200_u32, 0..100), others in vec(0..200_u32, 0..100)) {
        let model: std::collections::BTreeSet<u32> = numbers.iter().copied().collect();
        let (one, other) = (set_of(200, &numbers), set_of(200, &others));
        prop_assert_eq!(one.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(one.count() as usize, model.len());
        prop_assert_eq!(one.has_beyond(&other), model.iter().any(|number| !others.contains(number)));
        prop_assert_eq!(Bits::from_bytes(200, &one.to_bytes()), Some(one));
    }
}

#[test]
fn a_byte_behind_a_message_is_refused() {
    let mut bytes = Message::Choke.to_bytes().to_vec();
    bytes.push(0);
    assert_eq!(Message::from_bytes(bytes.into()), Err(DecodeError::Trailing { bytes: 1 }));
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        (content(), set(3_000)).prop_map(|(content, have)| Message::Hello { content, have }),
        vec(any::<u32>(), 0..50).prop_map(|pieces| Message::Have { pieces }),
        (any::<u32>(), set(1_024)).prop_map(|(piece, leaves)| Message::Partial { piece, leaves }),
        vec(any::<u32>(), 0..50).prop_map(|pieces| Message::Started { pieces }),
        Just(Message::Interested),
        Just(Message::NotInterested),
        Just(Message::Choke),
        Just(Message::Unchoke),
        (run(), layer_wish()).prop_map(|(run, layer)| Message::Request { run, layer }),
        run().prop_map(|run| Message::Cancel { run }),
        run().prop_map(|run| Message::Reject { run }),
    ]
}

fn run() -> impl Strategy<Value = Run> {
    (any::<u32>(), any::<u16>(), 1..=u16::MAX).prop_map(|(piece, first, count)| Run { piece, first, count })
}

fn layer_wish() -> impl Strategy<Value = LayerWish> {
    prop_oneof![Just(LayerWish::Omit), Just(LayerWish::Send)]
}

fn content() -> impl Strategy<Value = ContentId> {
    any::<[u8; 32]>().prop_map(|bytes| ContentId(Hash(bytes)))
}

fn set(len_max: u32) -> impl Strategy<Value = Bits> {
    (1..=len_max).prop_flat_map(|len| {
        prop_oneof![
            Just(Bits::empty(len)),
            Just(Bits::full(len)),
            vec(0..len, 0..40).prop_map(move |numbers| set_of(len, &numbers)),
        ]
    })
}

fn set_of(len: u32, numbers: &[u32]) -> Bits {
    let mut set = Bits::empty(len);
    for &number in numbers {
        set.insert(number);
    }
    set
}

fn announce() -> impl Strategy<Value = Announce> {
    let event = prop_oneof![
        Just(AnnounceEvent::Started),
        Just(AnnounceEvent::Update),
        Just(AnnounceEvent::Completed),
        Just(AnnounceEvent::Stopped),
    ];
    (content(), event, any::<bool>(), any::<u16>()).prop_map(|(content, event, complete, want)| Announce {
        content,
        event,
        complete,
        want,
    })
}

fn reply() -> impl Strategy<Value = AnnounceReply> {
    let entry = (any::<u32>(), any::<SocketAddr>()).prop_map(|(peer, address)| {
        // The wire carries neither flow labels nor scopes.
        Entry { peer: PeerId(peer), address: SocketAddr::new(address.ip(), address.port()) }
    });
    (0..=u32::MAX, vec(entry, 0..=Entry::COUNT_MAX))
        .prop_map(|(millis, peers)| AnnounceReply { interval: Duration::from_millis(millis.into()), peers })
}
