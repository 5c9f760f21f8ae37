//! Streams on which others wait for answers of ours.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use quinn::SendStream;
use tokio::time::Instant;

/// Streams of questions whose answers are still to come.
#[derive(Debug, Default)]
pub(in crate::ring) struct Replies {
    /// By who asked and the number; a question asked twice has two streams. The limit of streams on each connection bounds
    /// them, and [`ANSWER_WITHIN`] how long each stays.
    open: BTreeMap<(u32, u32), VecDeque<(Instant, SendStream)>>,
}

impl Replies {
    pub(in crate::ring) fn keep(&mut self, peer: u32, number: u32, stream: SendStream) {
        self.open.entry((peer, number)).or_default().push_back((Instant::now(), stream));
    }

    pub(in crate::ring) fn take(&mut self, peer: u32, number: u32) -> Option<SendStream> {
        let streams = self.open.get_mut(&(peer, number))?;
        let stream = streams.pop_front();
        if streams.is_empty() {
            self.open.remove(&(peer, number));
        }
        stream.map(|(_, stream)| stream)
    }

    /// Lets go of questions that the core has dropped: their senders sent too many.
    /// Returns how many there were.
    pub(in crate::ring) fn forget_old(&mut self) -> u64 {
        let (now, mut forgotten) = (Instant::now(), 0);
        self.open.retain(|_, streams| {
            let before = streams.len();
            streams.retain(|(since, _)| now - *since < ANSWER_WITHIN);
            forgotten += (before - streams.len()) as u64;
            !streams.is_empty()
        });
        forgotten
    }
}

/// Time within which the core answers whatever it answers at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
