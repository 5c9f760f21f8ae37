//! What a driver does to the words of its core when the options say that this peer misbehaves.
//!
//! For tests of what bad members cost the others. A correct peer passes through here untouched. The lies themselves are in
//! `peerbed_proto::ring::conduct`, which the simulator shares.

use std::collections::VecDeque;

use bytes::Bytes;
use peerbed_proto::ring::conduct::{GARBAGE, Tampering, Word};
use peerbed_proto::ring::{Conduct, Contact, Message};
use peerbed_proto::wire::Encode;

use super::seats::Seats;

/// What stands between the core and the network; none where the peer is to be correct.
pub(super) fn of(conduct: Conduct, me: Contact, seats: &Seats, seed: u64) -> Option<Tampering> {
    (conduct != Conduct::Correct).then(|| Tampering::new(conduct, me, seats.circle(), &seats.everybody(), seed))
}

/// What goes out in place of a message, in this order.
pub(super) fn words(tampering: &mut Option<Tampering>, message: Message) -> impl Iterator<Item = Word> + use<> {
    let (untouched, falsified) = match tampering {
        None => (Some(Word::Message(message)), VecDeque::new()),
        Some(tampering) => (None, tampering.words(message)),
    };
    untouched.into_iter().chain(falsified)
}

/// The bytes of a word.
pub(super) fn frame(word: &Word) -> Bytes {
    match word {
        Word::Message(message) => message.to_frame(),
        Word::Garbage => Bytes::from_static(GARBAGE),
    }
}

#[cfg(test)]
mod tests {
    use peerbed_proto::ring::Note;
    use peerbed_proto::wire::{Decode, FrameReader};

    use super::*;

    #[test]
    fn a_correct_peer_passes_untouched_and_garbage_is_no_message() {
        let words: Vec<Word> = words(&mut None, Message::Note(Note::Notify)).collect();
        assert_eq!(words, [Word::Message(Message::Note(Note::Notify))]);
        let mut reader = FrameReader::new(Message::FRAME_MAX);
        reader.feed(&frame(&Word::Garbage));
        let bytes = reader.next_frame().unwrap().unwrap();
        assert!(Message::from_bytes(bytes).is_err());
    }
}
