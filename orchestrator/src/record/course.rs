//! How one distribution went: who had which piece when, and who had sent how much.

use std::collections::{BTreeMap, BTreeSet};

use peerbed_peer::status::UplinkUse;

use super::{EventLine, SampledPart};

/// One distribution over time. Instants are seconds since its common begin, once it is finished.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// Its common begin, in seconds of CLOCK_MONOTONIC.
    pub(crate) begun: Option<f64>,
    /// Pieces of the file.
    pub(crate) pieces: u32,
    /// Bytes of the file; zero until somebody completed it.
    pub(crate) bytes: u64,
    /// Everyone who took part, by name.
    pub(crate) parts: BTreeMap<String, Part>,
}

/// One peer's part in a distribution.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// `seed`, `leecher`, `server` or `client`; empty where nothing was sampled.
    pub(crate) role: String,
    /// Pieces it had at the begin.
    pub(crate) initial: u32,
    /// When it had verified which piece, in order of time.
    pub(crate) gained: Vec<(f64, u32)>,
    /// When it had the whole file.
    pub(crate) completed: Option<f64>,
    /// Bytes sent and acknowledged by then, in order of time, never falling.
    pub(crate) sent: Vec<(f64, f64)>,
    /// Seconds of its uplink's time by then: payload, protocol, sent again, idle though wanted, idle; in order of time, never
    /// falling.
    pub(crate) account: Vec<(f64, [f64; PARTS])>,
    /// Payload that it had from each sender, by number in the plan, when it was last seen.
    pub(crate) received: BTreeMap<u32, u64>,
    /// Pieces it had by then, where samples saw it.
    sampled: Vec<(f64, u32)>,
    is_source: bool,
}

/// Parts that the time of an uplink is cut into.
pub(crate) const PARTS: usize = 5;

/// An uplink's time in seconds, part by part.
fn parts(it: &UplinkUse, payload: u64) -> [f64; PARTS] {
    let seconds = |bytes: u64| bytes as f64 * 8.0 / it.rate_bps as f64;
    // What was confirmed may have been sent before the account began.
    let payload = payload.min(it.wire_bytes.saturating_sub(it.lost_bytes));
    let protocol = it.wire_bytes.saturating_sub(it.lost_bytes + payload);
    [seconds(payload), seconds(protocol), seconds(it.lost_bytes), it.idle_waiting_seconds, it.idle_seconds]
}

impl Course {
    /// Takes in an event of this distribution.
    pub(crate) fn event(&mut self, line: &EventLine) {
        if line.event == "begin-fixed" {
            self.begun = line.at.or(Some(line.t));
            return;
        }
        self.pieces = self.pieces.max(line.pieces.unwrap_or(0));
        self.bytes = self.bytes.max(line.bytes.unwrap_or(0));
        let Some(name) = line.peer.as_ref().and_then(serde_json::Value::as_str) else { return };
        let begun = self.begun;
        let pieces = self.pieces;
        let part = self.parts.entry(name.to_owned()).or_default();
        match line.event.as_str() {
            // A peer that comes back is prepared once more, with what it has; what it had gained before stands.
            "prepared" if begun.is_none() => {
                part.initial = line.have.unwrap_or(0);
                part.is_source = pieces > 0 && part.initial == pieces;
            }
            "piece" => part.gained.push((line.t, line.piece.unwrap_or(0))),
            "completed" => part.completed = part.completed.or(Some(line.t)),
            _ => {}
        }
    }

    /// Takes in what a sample says of one peer.
    pub(crate) fn sample(&mut self, name: &str, t: f64, seen: &SampledPart) {
        self.pieces = self.pieces.max(seen.pieces);
        let part = self.parts.entry(name.to_owned()).or_default();
        part.role.clone_from(&seen.role);
        part.is_source |= matches!(seen.role.as_str(), "seed" | "server");
        part.sent.push((t, seen.bytes_up as f64));
        part.sampled.push((t, seen.have));
        part.account.extend(seen.uplink.as_ref().filter(|it| it.rate_bps > 0).map(|it| (t, parts(it, seen.bytes_up))));
        if !seen.received.is_empty() {
            part.received = seen.received.iter().map(|(sender, bytes)| (*sender, bytes.useful)).collect();
        }
    }

    /// Makes instants relative to the begin and puts everything in order; to be called once, after everything.
    pub(crate) fn finish(&mut self) {
        let begun = self.begun.unwrap_or_else(|| {
            let first = self.parts.values().filter_map(|part| part.sent.first().map(|(t, _)| *t));
            first.reduce(f64::min).unwrap_or(0.0)
        });
        for part in self.parts.values_mut() {
            part.finish(begun);
        }
    }

    /// Those who wanted the file, with their names.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = (&String, &Part)> {
        self.parts.iter().filter(|(_, part)| !part.is_source)
    }

    /// The last instant of which something is known.
    pub(crate) fn length(&self) -> f64 {
        let ends = self
            .receivers()
            .flat_map(|(_, part)| part.gained.last().map(|(t, _)| *t).into_iter().chain(part.completed));
        let ends = ends.fold(0.0, f64::max);
        if ends > 0.0 {
            ends
        } else {
            self.parts.values().filter_map(|p| p.sent.last()).map(|(t, _)| *t).fold(0.0, f64::max)
        }
    }
}

/// What is known of the uplinks.
impl Course {
    /// Up to when it is known what all have sent: to the end, or while somebody still lacks pieces to the last instant by
    /// which everybody who is still sampled had been. What is drawn beyond would look like a stall.
    pub(crate) fn sampled_length(&self) -> f64 {
        if self.receivers().all(|(_, part)| part.completed.is_some()) {
            return self.length();
        }
        let last = || self.parts.values().filter_map(|part| part.sent.last()).map(|(t, _)| *t);
        let latest = last().fold(0.0, f64::max);
        let all = last().filter(|t| *t > latest - GONE_AFTER).fold(latest, f64::min);
        if all > 0.0 { all } else { self.length() }
    }
}

/// Seconds without a sample after which a peer is taken to be gone; samples are a second apart.
const GONE_AFTER: f64 = 3.0;

impl Part {
    fn finish(&mut self, begun: f64) {
        let shift = |t: &mut f64| *t = (*t - begun).max(0.0);
        self.gained.iter_mut().for_each(|(t, _)| shift(t));
        self.gained.sort_by(|a, b| a.0.total_cmp(&b.0));
        // A peer that lost pieces in a crash gains them once more.
        let mut seen = BTreeSet::new();
        self.gained.retain(|(_, piece)| seen.insert(*piece));
        self.sampled.iter_mut().for_each(|(t, _)| shift(t));
        self.completed.iter_mut().for_each(shift);
        // A process that crashed and came back counts from zero again.
        let (mut earlier, mut latest) = ([0.0; PARTS], [0.0; PARTS]);
        for (t, seconds) in &mut self.account {
            shift(t);
            if seconds.iter().sum::<f64>() < latest.iter().sum::<f64>() {
                earlier = std::array::from_fn(|n| earlier[n] + latest[n]);
            }
            latest = *seconds;
            *seconds = std::array::from_fn(|n| earlier[n] + latest[n]);
        }
        let (mut before, mut last) = (0.0, 0.0);
        for (t, sent) in &mut self.sent {
            shift(t);
            if *sent < last {
                before += last;
            }
            last = *sent;
            *sent += before;
        }
    }

    /// Seconds of its uplink's time by `t`, between samples on straight lines.
    pub(crate) fn account_by(&self, t: f64) -> [f64; PARTS] {
        let after = self.account.partition_point(|(at, _)| *at <= t);
        let (from, had) = if after == 0 { (0.0, [0.0; PARTS]) } else { self.account[after - 1] };
        match self.account.get(after) {
            Some((to, more)) if *to > from => {
                let share = (t - from) / (to - from);
                std::array::from_fn(|n| had[n] + (more[n] - had[n]) * share)
            }
            _ => had,
        }
    }

    /// How many pieces it had over time: steps of instant and number, the first at zero.
    pub(crate) fn progress(&self) -> Vec<(f64, u32)> {
        let mut steps = vec![(0.0, self.initial)];
        if self.gained.is_empty() {
            // Events may have been discarded; samples are coarser and never lost.
            steps.extend(self.sampled.iter().copied());
        } else {
            steps.extend(self.gained.iter().zip(1..).map(|((t, _), n)| (*t, self.initial + n)));
        }
        steps
    }

    /// Pieces that had arrived by `t`, each on a straight line from the one before.
    pub(crate) fn pieces_by(&self, t: f64) -> f64 {
        let after = self.gained.partition_point(|(at, _)| *at <= t);
        let from = if after == 0 { 0.0 } else { self.gained[after - 1].0 };
        match self.gained.get(after) {
            Some((to, _)) if *to > from => after as f64 + (t - from) / (to - from),
            _ => after as f64,
        }
    }

    /// Bytes sent by `t`, between samples on a straight line.
    pub(crate) fn sent_by(&self, t: f64) -> f64 {
        let after = self.sent.partition_point(|(at, _)| *at <= t);
        let (from, sent) = if after == 0 { (0.0, 0.0) } else { self.sent[after - 1] };
        match self.sent.get(after) {
            Some((to, more)) if *to > from => sent + (more - sent) * (t - from) / (to - from),
            _ => sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> EventLine {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_an_unfinished_course_sent_is_known_up_to_its_samples() {
        let mut course = Course::default();
        for text in [
            r#"{"t":9.1,"peer":"a","event":"prepared","distribution":"d0","have":0,"pieces":2}"#,
            r#"{"t":9.2,"event":"begin-fixed","distribution":"d0","at":10.0,"peers":2}"#,
            r#"{"t":13.9,"peer":"a","event":"piece","distribution":"d0","piece":1,"have":1}"#,
        ] {
            course.event(&line(text));
        }
        let part = serde_json::from_str(r#"{"role":"leecher","have":1,"pieces":2,"bytes_up":9}"#).unwrap();
        course.sample("a", 13.0, &part);
        course.sample("b", 13.2, &part);
        course.sample("gone", 10.5, &part);
        course.finish();
        assert_eq!((course.length(), course.sampled_length()), (13.9 - 10.0, 3.0));
    }

    fn course() -> Course {
        let mut course = Course::default();
        for text in [
            r#"{"t":9.0,"peer":"s","event":"prepared","distribution":"d0","have":2,"pieces":2}"#,
            r#"{"t":9.1,"peer":"a","event":"prepared","distribution":"d0","have":0,"pieces":2}"#,
            r#"{"t":9.2,"event":"begin-fixed","distribution":"d0","at":10.0,"peers":2}"#,
            r#"{"t":13.0,"peer":"a","event":"piece","distribution":"d0","piece":1,"have":1}"#,
            r#"{"t":15.0,"peer":"a","event":"piece","distribution":"d0","piece":0,"have":2}"#,
            r#"{"t":15.5,"peer":"a","event":"completed","distribution":"d0","bytes":9,"path":"x"}"#,
        ] {
            course.event(&line(text));
        }
        course
    }

    fn part(role: &str, have: u32, bytes_up: u64) -> SampledPart {
        let (uplink, received) = (None, BTreeMap::new());
        SampledPart { role: role.into(), have, pieces: 2, bytes_up, uplink, received }
    }

    #[test]
    fn instants_count_from_the_common_begin() {
        let mut course = course();
        course.finish();
        let names: Vec<&String> = course.receivers().map(|(name, _)| name).collect();
        assert_eq!(names, ["a"]);
        let a = &course.parts["a"];
        assert_eq!((a.completed, a.progress()), (Some(5.5), vec![(0.0, 0), (3.0, 1), (5.0, 2)]));
        assert_eq!(course.length(), 5.5);
    }

    #[test]
    fn what_a_peer_sent_before_a_crash_still_counts() {
        let mut course = course();
        for (t, sent) in [(11.0, 100), (12.0, 300), (13.0, 40)] {
            course.sample("a", t, &part("leecher", 0, sent));
        }
        course.finish();
        let a = &course.parts["a"];
        assert_eq!([0.5, 1.0, 1.5, 2.0, 3.0, 9.0].map(|t| a.sent_by(t)), [50.0, 100.0, 200.0, 300.0, 340.0, 340.0]);
    }

    #[test]
    fn progress_comes_from_samples_where_events_are_missing() {
        let mut course = Course::default();
        course.event(&line(r#"{"t":9.2,"event":"begin-fixed","distribution":"d0","at":10.0,"peers":2}"#));
        course.sample("a", 12.0, &part("leecher", 1, 0));
        course.finish();
        assert_eq!(course.parts["a"].progress(), [(0.0, 0), (2.0, 1)]);
    }
}
