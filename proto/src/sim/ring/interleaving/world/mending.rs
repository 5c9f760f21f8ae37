//! Leaving a ring alone after a run until every pointer is right: how long recovery takes.

use std::fmt::Write as _;
use std::time::Duration;

use super::{World, place_of};
use crate::ring::{Entry, Ring};
use crate::sim::ring::Health;
use crate::time::Time;

impl World {
    /// Lets all clocks agree, delivers everything promptly and kills nobody, until every pointer is right.
    pub(in super::super) fn mend(&mut self, limit: Duration) -> Result<Duration, String> {
        let start = self.actors.iter().flatten().map(|actor| actor.now).max().unwrap_or(Time::ZERO);
        let mut now = start;
        loop {
            while let Some(sealed) = self.in_flight.pop() {
                let place = place_of(sealed.to);
                if let Some(actor) = &mut self.actors[place] {
                    actor.now = now;
                }
                self.deliver(sealed);
            }
            let mut members: Vec<&Ring> = self.actors.iter().flatten().map(|actor| &actor.ring).collect();
            members.sort_by_key(|ring| ring.me().point);
            let all_in = members.iter().all(|ring| ring.standing().is_member());
            if all_in && Health::of(members.into_iter()).is_right() {
                return Ok(now - start);
            }
            let next = self
                .actors
                .iter()
                .enumerate()
                .filter_map(|(place, actor)| Some((actor.as_ref()?.ring.poll_timeout()?.0, place)));
            let Some((due, place)) = next.min() else { return Err(self.picture()) };
            now = now.max(due);
            if now - start > limit {
                return Err(self.picture());
            }
            if let Some(actor) = &mut self.actors[place] {
                actor.now = now;
                actor.ring.handle_timeout(now);
                self.flush(place);
            }
        }
    }

    /// What every node points at, one a line.
    fn picture(&self) -> String {
        let mut picture = String::new();
        for ring in self.actors.iter().flatten().map(|actor| &actor.ring) {
            let entry = |entry: &Entry| match entry {
                Entry::Contact(contact) => contact.point.to_string(),
                Entry::Placeholder(point) => format!("({point})"),
            };
            let list: Vec<String> = ring.successors().iter().map(entry).collect();
            let before = ring.predecessor().map(|contact| contact.point);
            // Writing to a string cannot fail.
            let _ = writeln!(picture, "{} {:?}: {before:?} < > {list:?}", ring.me().point, ring.standing());
        }
        picture
    }
}
