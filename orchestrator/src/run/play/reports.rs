//! Taking in what came of orders, what peers report, and how processes end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::anyhow;
use peerbed_peer::{
    events::{Event as PeerEvent, EventKind},
    status::{DistributionStatus, Status},
};
use peerbed_proto::PeerId;

use super::{Closed, DEATH_MAX, Done, Play, instant, now};
use crate::{
    accounting::{self, Word},
    links::user::Health,
    measure::{Note, copies::Copies},
    real::Towards,
    testbed::{self, Event},
};

impl Play<'_> {
    pub(super) async fn handle_done(&mut self, done: Done) -> anyhow::Result<()> {
        match done {
            Done::Ready(peer, Ok(())) => self.scenario.handle_ready(peer),
            Done::Prepared(distribution, peer, Ok(())) => {
                self.scenario.handle_prepared(now(), distribution, peer);
            }
            Done::Begun(_, Ok(())) | Done::Entered(_, Ok(())) | Done::Asked(_, Ok(())) => {}
            Done::Asked(request, Err(error)) => self.scenario.handle_unasked(now(), request, &format!("{error:#}")),
            Done::Ready(peer, Err(error))
            | Done::Prepared(_, peer, Err(error))
            | Done::Begun(peer, Err(error))
            | Done::Entered(peer, Err(error)) => {
                // A peer that the scenario took away meanwhile does not answer, and need not.
                if self.scenario.is_wanted(peer) {
                    return Err(self.explain(peer, error).await);
                }
            }
            Done::TakenDown(result) => result?,
            Done::Closed(distribution, closed) => self.handle_closed(distribution, closed?)?,
            Done::Changed(changed) => self.handle_changed(changed)?,
            Done::Proved(proved) => self.handle_proved(proved)?,
            Done::Followed(followed) => self.handle_followed(followed)?,
            Done::Sampled(statuses) => {
                self.is_sampling = false;
                self.handle_statuses(&statuses)?;
            }
            Done::Told(told) => {
                for (peer, [up, down]) in told? {
                    self.tallies.extend([((peer, Towards::Core), up), ((peer, Towards::Peer), down)]);
                }
            }
            Done::Paced(readings) => {
                let readings = readings?;
                self.tallies.extend(readings.iter().filter_map(|(key, reading)| Some((*key, reading.tally?))));
                let found = self.paces.take(readings);
                self.trouble.engine_dropped += found.dropped;
                self.trouble.off_pace += found.off_pace;
            }
            Done::Examined(health) => {
                if let Some(health) = health? {
                    self.handle_health(health);
                }
            }
        }
        Ok(())
    }

    fn handle_health(&mut self, health: Health) {
        let window = health.since(&self.engine);
        self.engine = health;
        self.trouble.engine_dropped += window.dropped;
        let late = Duration::from_micros(window.lateness.value_at_quantile(0.99)).as_secs_f64();
        self.trouble.engine_lateness = Some(self.trouble.engine_lateness.map_or(late, |before| before.max(late)));
    }

    fn handle_closed(&mut self, distribution: usize, closed: Closed) -> anyhow::Result<()> {
        self.handle_statuses(&closed.statuses)?;
        let id = self.spec(distribution).id.clone();
        let wasted = closed.statuses.values().filter_map(|s| s.distributions.get(&id)).map(|d| d.bytes_wasted).sum();
        self.wasted.insert(distribution, wasted);
        for (peer, verified) in &closed.read_back {
            let note =
                Note::ReadBack { distribution: id.clone(), peer: self.name(*peer).to_owned(), verified: *verified };
            self.recorder.note(testbed::now(), &note)?;
        }
        let verified: BTreeSet<PeerId> =
            closed.read_back.into_iter().filter(|(_, verified)| *verified).map(|(peer, _)| peer).collect();
        self.scenario.handle_closed(distribution, &verified);
        Ok(())
    }

    pub(super) fn handle_event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Peer { peer, event } => self.handle_peer_event(peer, &event),
            Event::Completed { peer, t } => {
                self.recorder.note(t, &Note::ProgramCompleted { peer: self.name(peer).to_owned() })?;
                self.scenario.handle_program_completed(instant(t), peer);
                Ok(())
            }
            Event::Exit(exit) => {
                let name = self.name(exit.peer).to_owned();
                let (status, expected) = (exit.status.clone(), exit.expected);
                self.recorder.note(exit.t, &Note::Exited { peer: name, status, expected })?;
                if !exit.expected {
                    return Err(self.unexpected(&exit));
                }
                self.scenario.handle_exited(exit.peer);
                Ok(())
            }
        }
    }

    fn handle_peer_event(&mut self, peer: PeerId, event: &PeerEvent) -> anyhow::Result<()> {
        self.recorder.peer_event(self.name(peer), event)?;
        match &event.kind {
            EventKind::Begun { distribution } => {
                if let Some(index) = self.scenario.distribution(distribution)
                    && let Some(at) = self.begins.remove(&(index, peer))
                {
                    self.begin_lateness = self.begin_lateness.max(event.t - at);
                }
            }
            EventKind::Prepared { distribution, have, .. } => {
                if let Some(index) = self.scenario.distribution(distribution) {
                    self.scenario.handle_found(instant(event.t), index, peer, *have);
                }
            }
            EventKind::Piece { distribution, piece, have } => {
                self.note_piece(distribution, *piece, event.t);
                if let Some(index) = self.scenario.distribution(distribution) {
                    self.scenario.handle_piece(instant(event.t), index, peer, *piece, *have);
                }
            }
            EventKind::Ring(report) => self.scenario.handle_ring(instant(event.t), peer, report),
            EventKind::PeerDropped { distribution, reason, .. } => {
                if let Some(index) = self.scenario.distribution(distribution) {
                    *self.dropped.entry(index).or_default().entry(reason.clone()).or_default() += 1;
                }
            }
            EventKind::Completed { distribution, .. } => {
                if let Some(index) = self.scenario.distribution(distribution) {
                    self.scenario.handle_completed(instant(event.t), index, peer);
                }
            }
            EventKind::Error { distribution, error, fatal } if distribution.is_some() || *fatal => {
                // The number that Linux has for a full disk; the peer's own words say where.
                let full = if error.contains("os error 28") { "the disk is full: " } else { "" };
                return Err(anyhow!("{full}{} could not go on: {error}", self.name(peer)));
            }
            EventKind::Ready { .. }
            | EventKind::Ended { .. }
            | EventKind::PeerRefused { .. }
            | EventKind::Missed { .. }
            | EventKind::Left
            | EventKind::Error { .. } => {}
        }
        Ok(())
    }

    /// Also catches completions whose events a full log has discarded.
    fn handle_statuses(&mut self, statuses: &BTreeMap<PeerId, Status>) -> anyhow::Result<()> {
        let mut words: BTreeMap<usize, BTreeMap<PeerId, DistributionStatus>> = BTreeMap::new();
        for (peer, status) in statuses {
            self.recorder.status(status)?;
            self.note_dropped(*peer, status.receive_dropped);
            let peak = self.memory.entry(*peer).or_default();
            *peak = status.resident_peak_bytes.max(*peak);
            if let Some(ring) = &status.ring {
                self.scenario.handle_ring_status(instant(status.t), *peer, ring);
            }
            for (id, state) in &status.distributions {
                let Some(index) = self.scenario.distribution(id) else { continue };
                if let Some(at) = state.completed_at {
                    self.scenario.handle_completed(instant(at), index, *peer);
                }
                self.scenario.handle_received(instant(status.t), index, *peer, state.bytes_down);
                if state.begun_at.is_some() {
                    words.entry(index).or_default().insert(*peer, state.clone());
                }
            }
        }
        for (index, words) in words {
            accounting::listen(self.said.entry(index).or_default(), words);
        }
        self.note_seeds();
        Ok(())
    }

    /// Somebody who began without it has this piece now.
    fn note_piece(&mut self, distribution: &str, piece: u32, t: f64) {
        if let Some(index) = self.scenario.distribution(distribution) {
            let pieces = self.scenario.distributions()[index].pieces();
            self.copies.entry(index).or_insert_with(|| Copies::of(pieces)).on_piece(t, piece);
        }
    }

    /// Takes note of what has come from the seeds of each distribution by now.
    fn note_seeds(&mut self) {
        for (index, said) in &self.said {
            let Some(copies) = self.copies.get_mut(index) else { continue };
            let seeds = &self.scenario.distributions()[*index].spec().from;
            let from = |word: &Word| -> u64 {
                let received = seeds.iter().filter_map(|seed| word.status.received.get(&seed.0));
                received.map(|received| received.useful + received.wasted).sum()
            };
            copies.on_sample(testbed::now(), said.values().map(from).sum());
        }
    }

    /// Counts what a peer's socket dropped since it was last asked. A process that was started anew counts from zero.
    fn note_dropped(&mut self, peer: PeerId, dropped: u64) {
        let before = self.receive_dropped.insert(peer, dropped).filter(|before| *before <= dropped).unwrap_or(0);
        if !self.changing.excuses(peer) {
            self.trouble.receive_dropped += dropped - before;
        }
    }

    /// A peer that does not obey has often just died; its end says more than a broken connection.
    async fn explain(&mut self, peer: PeerId, error: anyhow::Error) -> anyhow::Error {
        let death = async {
            while let Some(event) = self.events.recv().await {
                if let Event::Exit(exit) = event
                    && exit.peer == peer
                    && !exit.expected
                {
                    return Some(exit);
                }
            }
            None
        };
        match tokio::time::timeout(DEATH_MAX, death).await {
            Ok(Some(exit)) => self.unexpected(&exit),
            Ok(None) | Err(_) => error.context(format!("{} did not obey", self.name(peer))),
        }
    }

    fn unexpected(&self, exit: &testbed::Exit) -> anyhow::Error {
        let name = self.name(exit.peer);
        let mut text = format!("{name} ended unexpectedly ({})", exit.status);
        if exit.log_tail.is_empty() {
            text.push_str("; its log is empty");
        } else {
            text.push_str("; the last lines of its log:");
            for line in &exit.log_tail {
                text.push_str("\n    ");
                text.push_str(line);
            }
        }
        anyhow!(text)
    }
}
