//! When traces change which links: the clock of all traces of a plan, without I/O.
//!
//! Told how long the scenario has been going on, it says which points hold from now on. What a point means to a link
//! lives in `course`, who tells the engine in `run/play`.

use std::time::Duration;

use peerbed_proto::id::PeerId;
use serde::{Deserialize, Serialize};

use crate::{
    plan::{Plan, Trace, TracePoint},
    real::Towards,
};

/// All traces of a plan and where they are.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    tracks: Vec<Track>,
}

/// What holds from now on for one direction of these peers' links.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// The class of links.
    pub class: String,
    /// Whose links.
    pub peers: Vec<PeerId>,
    /// Which direction.
    pub towards: Towards,
    /// What the trace says; none where it says nothing before its first point.
    pub point: Option<TracePoint>,
}

/// How one trace was followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// The class of links.
    pub class: String,
    /// `up` or `down`.
    pub direction: String,
    /// Points that were carried out, at all peers of the class.
    pub changes: u64,
    /// Points that were over before their turn came, because points follow one another faster than this host takes.
    pub skipped: u64,
    /// How late the latest point was carried out, in seconds.
    pub latest_seconds: f64,
}

#[derive(Clone, Debug)]
struct Track {
    trace: Trace,
    peers: Vec<PeerId>,
    towards: Towards,
    /// The next place in the trace, and the repetition it is in.
    next: usize,
    round: u32,
    followed: Followed,
}

impl Traces {
    /// The traces of all classes of links that peers of `plan` have.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut tracks = Vec::new();
        for link in &plan.links {
            let peers: Vec<PeerId> = plan.peers.iter().filter(|p| p.link == link.name).map(|p| p.id).collect();
            let both = [(Towards::Core, &link.up), (Towards::Peer, &link.down)];
            for (towards, direction) in both.into_iter().filter(|_| !peers.is_empty()) {
                let Some(trace) = direction.trace.clone().filter(|trace| !trace.points.is_empty()) else { continue };
                let followed = Followed {
                    class: link.name.clone(),
                    direction: towards.word().to_owned(),
                    changes: 0,
                    skipped: 0,
                    latest_seconds: 0.0,
                };
                tracks.push(Track { trace, peers: peers.clone(), towards, next: 0, round: 0, followed });
            }
        }
        Self { tracks }
    }

    /// What changes by `elapsed` since the scenario's start. Of several points of one trace that have become due only the
    /// last counts; the others are skipped and counted.
    pub fn due(&mut self, elapsed: Duration) -> Vec<Move> {
        self.tracks.iter_mut().filter_map(|track| track.due(elapsed)).collect()
    }

    /// When the next change is due, since the scenario's start; none when all traces have come to their end.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.tracks.iter().filter_map(Track::at).min()
    }

    /// How the traces were followed so far, in the order of the plan.
    #[must_use]
    pub fn followed(&self) -> Vec<Followed> {
        self.tracks.iter().map(|track| track.followed.clone()).collect()
    }
}

impl Track {
    /// When the next place is due. Where a repetition does not begin with a point, its begin is a place as well.
    fn at(&self) -> Option<Duration> {
        let begin = self.trace.repeat.unwrap_or_default().0.checked_mul(self.round)?;
        let own = self.place(self.next)?.map_or(Duration::ZERO, |point| point.at.0);
        begin.checked_add(own)
    }

    /// The place with this number in a round: a point, or none for the begin before the first point.
    fn place(&self, number: usize) -> Option<Option<TracePoint>> {
        let starts_late = self.round > 0 && !self.trace.points[0].at.0.is_zero();
        match (starts_late, number) {
            (true, 0) => Some(None),
            (true, number) => self.trace.points.get(number - 1).copied().map(Some),
            (false, number) => self.trace.points.get(number).copied().map(Some),
        }
    }

    fn due(&mut self, elapsed: Duration) -> Option<Move> {
        let mut found = None;
        while let Some(at) = self.at().filter(|at| *at <= elapsed) {
            if found.is_some() {
                self.followed.skipped += 1;
            }
            found = Some((self.place(self.next).flatten(), at));
            self.step();
        }
        let (point, at) = found?;
        self.followed.changes += 1;
        self.followed.latest_seconds = self.followed.latest_seconds.max((elapsed - at).as_secs_f64());
        let class = self.followed.class.clone();
        Some(Move { class, peers: self.peers.clone(), towards: self.towards, point })
    }

    fn step(&mut self) {
        self.next += 1;
        if self.place(self.next).is_none() && self.trace.repeat.is_some() {
            (self.next, self.round) = (0, self.round.saturating_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Rate, Span};

    #[test]
    fn points_come_at_their_times_and_the_last_one_stays() {
        let mut traces = traces(&[(0, 1), (500, 2), (2_000, 3)], None);
        assert_eq!(traces.next(), Some(ms(0)));
        assert_eq!(rates(&traces.due(ms(0))), [Some(1)]);
        assert_eq!((traces.next(), traces.due(ms(499))), (Some(ms(500)), Vec::new()));
        assert_eq!(rates(&traces.due(ms(500))), [Some(2)]);
        assert_eq!(rates(&traces.due(ms(9_000))), [Some(3)]);
        assert_eq!(traces.next(), None);
        let followed = &traces.followed()[0];
        assert_eq!((followed.changes, followed.skipped, followed.latest_seconds), (3, 0, 7.0));
    }

    #[test]
    fn points_that_were_missed_are_skipped_and_counted() {
        let mut traces = traces(&[(0, 1), (100, 2), (200, 3)], None);
        assert_eq!(rates(&traces.due(ms(250))), [Some(3)]);
        assert_eq!((traces.followed()[0].changes, traces.followed()[0].skipped), (1, 2));
    }

    #[test]
    fn a_repetition_begins_anew_with_the_links_own_figures() {
        let mut traces = traces(&[(300, 1), (600, 2)], Some(1_000));
        assert_eq!(traces.next(), Some(ms(300)));
        assert_eq!(rates(&traces.due(ms(300))), [Some(1)]);
        assert_eq!(rates(&traces.due(ms(600))), [Some(2)]);
        assert_eq!(traces.next(), Some(ms(1_000)));
        assert_eq!(rates(&traces.due(ms(1_000))), [None]);
        assert_eq!(rates(&traces.due(ms(1_300))), [Some(1)]);
        assert_eq!(traces.next(), Some(ms(1_600)));
    }

    fn traces(points: &[(u64, u64)], repeat: Option<u64>) -> Traces {
        let point =
            |&(at, rate): &(u64, u64)| TracePoint { at: Span(ms(at)), rate: Rate(rate), delay: None, loss: None };
        let trace = Trace { repeat: repeat.map(|span| Span(ms(span))), points: points.iter().map(point).collect() };
        let followed =
            Followed { class: "home".into(), direction: "up".into(), changes: 0, skipped: 0, latest_seconds: 0.0 };
        let peers = vec![PeerId(1)];
        Traces { tracks: vec![Track { trace, peers, towards: Towards::Core, next: 0, round: 0, followed }] }
    }

    fn rates(moves: &[Move]) -> Vec<Option<u64>> {
        moves.iter().map(|it| it.point.map(|point| point.rate.0)).collect()
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }
}
