//! What a ring's driver tells: events, pointers when they change, status and counts.

use std::collections::BTreeMap;
use std::time::Duration;

use peerbed_proto::Time;
use peerbed_proto::ring::{self, Entry, Event, Ring};

use super::links::{Links, Traffic};
use crate::clock;
use crate::event_log::EventLog;
use crate::events::EventKind;
use crate::ring_control::{DROPPED, Found, Outcome, Read, RingReport, RingStatus, Standing, Written};
use crate::timing::Classes;

/// Counters of a node and of its driver.
#[derive(Debug, Clone, Default)]
pub(crate) struct RingCounts {
    pub(crate) core: ring::Stats,
    pub(crate) traffic: Traffic,
    pub(crate) lookups: LookupCounts,
}

/// How commanded lookups went that found an owner.
#[derive(Debug, Clone, Default)]
pub(crate) struct LookupCounts {
    /// How many had at most as many hops as each of [`HOPS_BOUNDS`], and more than the one before; those with more last.
    pub(crate) hops: [u64; HOPS_BOUNDS.len() + 1],
    /// Hops of all together.
    pub(crate) hops_sum: u64,
    /// How long they took.
    pub(crate) times: Classes,
}

impl LookupCounts {
    pub(crate) fn count(&mut self, hops: u16, took: Duration) {
        self.hops[HOPS_BOUNDS.partition_point(|bound| *bound < hops)] += 1;
        self.hops_sum += u64::from(hops);
        self.times.record(took);
    }
}

/// Upper bounds of the classes of hops: one by one as far as fingers lead (a ring of 4,096 needs 12 in 99 of 100 lookups), then
/// wider, because a ring of 500 without fingers needs 250 on average and never more than 499.
pub(crate) const HOPS_BOUNDS: [u16; 22] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 24, 32, 48, 64, 128, 192, 256, 512];

/// Tells what happens in a ring.
#[derive(Debug)]
pub(super) struct Teller {
    ring: String,
    log: EventLog,
    told: Option<(Option<u32>, Vec<Option<u32>>)>,
    /// When each put, get or delete under way began. The core limits them.
    begun: BTreeMap<u64, Time>,
    /// How commanded lookups went.
    lookups: LookupCounts,
}

/// Whether there was something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// There was.
    News,
    /// All had been told before.
    Nothing,
}

impl Teller {
    pub(super) fn new(ring: String, log: EventLog) -> Self {
        Self { ring, log, told: None, begun: BTreeMap::new(), lookups: LookupCounts::default() }
    }

    /// How the lookups went that were commanded.
    pub(super) fn lookups(&self) -> &LookupCounts {
        &self.lookups
    }

    /// A put, get or delete begins.
    pub(super) fn begin(&mut self, request: u64, now: Time) {
        self.begun.insert(request, now);
    }

    /// Tells that the node is a member.
    pub(super) fn joined(&self) {
        self.report(RingReport::Joined);
    }

    /// Tells what the core wants told.
    pub(super) fn event(&mut self, event: Event) {
        let report = match event {
            Event::Joined => RingReport::Joined,
            Event::Left => RingReport::Left,
            Event::Orphaned => RingReport::Orphaned,
            Event::Misplaced { owner } => RingReport::Misplaced { owner: owner.peer.0 },
            // All pointers are told together, by `pointers`.
            Event::SuccessorChanged { .. } | Event::PredecessorChanged { .. } => return,
            Event::LookedUp { request, result } => {
                if let Ok(lookup) = &result {
                    self.lookups.count(lookup.hops, lookup.elapsed);
                }
                let outcome = outcome(result.map(|lookup| Found {
                    owner: lookup.owner.peer.0,
                    predecessor: lookup.predecessor.peer.0,
                    path: lookup.path.iter().map(|it| it.peer.0).collect(),
                    hops: lookup.hops,
                    timeouts: lookup.timeouts,
                    tries: lookup.tries,
                    seconds: lookup.elapsed.as_secs_f64(),
                }));
                RingReport::LookedUp { request, outcome }
            }
            Event::Written { request, result, .. } => {
                let seconds = self.took(request);
                let written = |it: ring::Written| Written { owner: it.owner.peer.0, replicas: it.replicas, seconds };
                RingReport::Written { request, outcome: outcome(result.map(written)) }
            }
            Event::Read { request, result, .. } => {
                let seconds = self.took(request);
                let read = |it: Option<ring::Read>| Read {
                    from: it.as_ref().map(|read| read.from.peer.0),
                    value: it.map(|read| String::from_utf8_lossy(&read.value).into_owned()),
                    seconds,
                };
                RingReport::Read { request, outcome: outcome(result.map(read)) }
            }
        };
        self.report(report);
    }

    /// Tells predecessor and successors when they are others than those told last.
    pub(super) fn pointers(&mut self, core: &Ring) -> Told {
        if core.standing() == ring::Standing::Joining || core.standing() == ring::Standing::Gone {
            return Told::Nothing;
        }
        let is_told = self.told.as_ref().is_some_and(|(predecessor, successors)| {
            *predecessor == core.predecessor().map(|it| it.peer.0)
                && successors.iter().copied().eq(core.successors().iter().map(peer_of))
        });
        if is_told {
            return Told::Nothing;
        }
        let now = (core.predecessor().map(|it| it.peer.0), core.successors().iter().map(peer_of).collect::<Vec<_>>());
        self.report(RingReport::Pointers { predecessor: now.0, successors: now.1.clone() });
        self.told = Some(now);
        Told::News
    }

    /// How the node is.
    pub(super) fn status(&self, core: &Ring, links: &Links) -> RingStatus {
        let (records, record_bytes) = core.load();
        RingStatus {
            ring: self.ring.clone(),
            standing: match core.standing() {
                ring::Standing::Joining => Standing::Joining,
                ring::Standing::Member => Standing::Member,
                ring::Standing::Leaving => Standing::Leaving,
                ring::Standing::Gone => Standing::Gone,
            },
            point: core.me().point,
            predecessor: core.predecessor().map(|it| it.peer.0),
            successors: core.successors().iter().map(peer_of).collect(),
            fingers: core.fingers().iter().map(|it| it.peer.0).collect(),
            records,
            record_bytes,
            neighbours: links.neighbours,
            connected: links.connected,
            connections: links.count(),
            dropped: dropped(core.stats(), &links.traffic),
        }
    }

    fn took(&mut self, request: u64) -> f64 {
        self.begun.remove(&request).map_or(0.0, |begun| (clock::now() - begun).as_secs_f64())
    }

    fn report(&self, report: RingReport) {
        self.log.record(EventKind::Ring(report));
    }
}

/// What was not taken from others, by the word for why. Reasons that never came up are left out.
fn dropped(core: &ring::Stats, traffic: &Traffic) -> BTreeMap<String, u64> {
    let counts = [
        core.violations,
        core.outlawed,
        core.outlawed_dropped,
        traffic.banned,
        traffic.broken,
        core.flooded,
        core.hints_put_off,
        core.answers_bad,
        core.answers_stray,
        core.lists_cut,
        core.entries_false,
        core.steps_false,
    ];
    DROPPED
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| (word.to_owned(), count))
        .collect()
}

fn peer_of(entry: &Entry) -> Option<u32> {
    entry.contact().map(|contact| contact.peer.0)
}

fn outcome<T, E: std::error::Error>(result: Result<T, E>) -> Outcome<T> {
    match result {
        Ok(found) => Outcome::Found(found),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
