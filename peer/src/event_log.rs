//! Keeps a peer's events and replays them to whoever follows.
//!
//! What the events are is in `events`; how they travel is in `control`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;

use crate::clock;
use crate::events::{Event, EventKind};

/// The log of one process. Cheap to clone; all clones are the same log.
#[derive(Debug, Clone)]
pub(crate) struct EventLog {
    kept: Arc<Mutex<Kept>>,
    news: Arc<watch::Sender<News>>,
}

/// Invariant: `first` is the number of the event at the front of `events`; numbers have no gaps.
#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    first: u64,
}

/// What followers wait for.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    next: u64,
    closed: bool,
}

impl EventLog {
    /// An empty log.
    pub(crate) fn new() -> Self {
        Self { kept: Arc::default(), news: Arc::new(watch::Sender::new(News::default())) }
    }

    /// Notes that something happened now.
    ///
    /// The log keeps the last [`EVENTS_MAX`]; a follower who is further behind is told how many it missed.
    pub(crate) fn record(&self, kind: EventKind) {
        self.record_at(clock::seconds(), kind);
    }

    /// Notes that something happened at `t` seconds of CLOCK_MONOTONIC.
    pub(crate) fn record_at(&self, t: f64, kind: EventKind) {
        let next = {
            let mut kept = self.kept();
            kept.events.push_back(Event { t, kind });
            if kept.events.len() > EVENTS_MAX {
                kept.events.pop_front();
                kept.first += 1;
            }
            kept.first + kept.events.len() as u64
        };
        self.news.send_modify(|news| news.next = next);
    }

    /// Lets followers end once they have read everything.
    pub(crate) fn close(&self) {
        self.news.send_modify(|news| news.closed = true);
    }

    /// All kept events as NDJSON, and then each new one as it comes.
    pub(crate) fn follow(&self) -> impl Stream<Item = Bytes> + use<> {
        let start = (self.clone(), self.news.subscribe(), 0);
        futures_util::stream::unfold(start, async |(log, mut news, mut next)| {
            let closed = news.wait_for(|news| news.next > next || news.closed).await.map_or(true, |news| news.closed);
            let lines = log.lines_from(&mut next);
            if lines.is_empty() && closed {
                return None;
            }
            Some((Bytes::from(lines), (log, news, next)))
        })
    }

    fn lines_from(&self, next: &mut u64) -> Vec<u8> {
        let kept = self.kept();
        let mut lines = Vec::new();
        if *next < kept.first {
            let missed = EventKind::Missed { count: kept.first - *next };
            write_line(&mut lines, &Event { t: clock::seconds(), kind: missed });
            *next = kept.first;
        }
        let skip = usize::try_from(*next - kept.first).unwrap_or(usize::MAX);
        for event in kept.events.iter().skip(skip).take(LINES_AT_ONCE) {
            write_line(&mut lines, event);
            *next += 1;
        }
        lines
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_line(lines: &mut Vec<u8>, event: &Event) {
    serde_json::to_writer(&mut *lines, event).expect("events hold no map with keys that are not text");
    lines.push(b'\n');
}

/// Events kept. Enough for a file of 8 000 pieces; about a megabyte when full.
const EVENTS_MAX: usize = 8_192;

/// Lines handed over in one go, so that replaying a full log does not need a megabyte twice.
const LINES_AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    fn piece(piece: u32) -> EventKind {
        EventKind::Piece { distribution: "d0".into(), piece, have: piece + 1 }
    }

    async fn all(log: &EventLog) -> Vec<Event> {
        let text: Vec<u8> = log.follow().map(|bytes| bytes.to_vec()).concat().await;
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn follower_gets_what_was_before_and_what_comes_after() {
        let log = EventLog::new();
        log.record(piece(0));
        let mut follower = Box::pin(log.follow());
        assert!(follower.next().await.unwrap().ends_with(b"\n"));
        log.record(EventKind::Left);
        let line = follower.next().await.unwrap();
        assert!(line.windows(6).any(|window| window == b"\"left\""));
        log.close();
        assert!(follower.next().await.is_none());
    }

    #[tokio::test]
    async fn full_log_drops_the_oldest_and_says_how_many() {
        let log = EventLog::new();
        let extra = 10;
        for index in 0..EVENTS_MAX + extra {
            log.record(piece(index as u32));
        }
        log.close();
        let events = all(&log).await;
        assert_eq!(events[0].kind, EventKind::Missed { count: extra as u64 });
        assert_eq!(events[1].kind, piece(extra as u32));
        assert_eq!(events.len(), EVENTS_MAX + 1);
    }
}
