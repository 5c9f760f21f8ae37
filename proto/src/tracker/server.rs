//! The tracker's core: tables of who is in which swarm, with an expiry.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::message::{Announce, AnnounceEvent, AnnounceReply, Entry};
use crate::content::ContentId;
use crate::id::PeerId;
use crate::random::Random;
use crate::time::{Time, seconds};

/// A tracker: remembers who announced itself and names some of them to each other.
///
/// Every announce is answered at once, so there is nothing to poll but the expiry deadline.
#[derive(Debug)]
pub struct Tracker {
    options: TrackerOptions,
    random: Random,
    swarms: BTreeMap<ContentId, BTreeMap<PeerId, Member>>,
    /// Members of all swarms together; at most `options.members_max`.
    members: usize,
    stats: TrackerStats,
}

impl Tracker {
    /// Makes an empty tracker; `seed` is the run's seed.
    #[must_use]
    pub fn new(options: TrackerOptions, seed: u64) -> Self {
        let random = Random::new(seed, "tracker");
        Self { options, random, swarms: BTreeMap::new(), members: 0, stats: TrackerStats::default() }
    }

    /// Answers an announce. `peer` is whom the connection's certificate names, `address` where it came from.
    ///
    /// # Errors
    /// [`Refusal::Full`] when the table is full and the peer is not in it. The driver resets the stream.
    pub fn handle_announce(
        &mut self,
        now: Time,
        peer: PeerId,
        address: SocketAddr,
        announce: Announce,
    ) -> Result<AnnounceReply, Refusal> {
        self.stats.announces += 1;
        if announce.event == AnnounceEvent::Stopped {
            self.forget(announce.content, peer);
            return Ok(AnnounceReply { interval: self.options.interval, peers: Vec::new() });
        }
        if announce.event == AnnounceEvent::Completed {
            self.stats.completions += 1;
        }
        self.remember(now, peer, address, announce)?;
        let peers = self.some_others(announce.content, peer, announce.want);
        Ok(AnnounceReply { interval: self.options.interval, peers })
    }

    /// Forgets whoever has been silent for two intervals.
    pub fn handle_timeout(&mut self, now: Time) {
        let silence_max = 2 * self.options.interval;
        for members in self.swarms.values_mut() {
            members.retain(|_, member| now - member.heard < silence_max);
        }
        self.swarms.retain(|_, members| !members.is_empty());
        let left = self.swarms.values().map(BTreeMap::len).sum();
        self.stats.expired += (self.members - left) as u64;
        self.members = left;
    }

    /// When the next member expires.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let heard = self.swarms.values().flat_map(BTreeMap::values).map(|member| member.heard).min()?;
        Some((heard + 2 * self.options.interval, "a member of a swarm expires"))
    }

    /// What this tracker has counted.
    #[must_use]
    pub fn stats(&self) -> TrackerStats {
        self.stats
    }

    /// How many peers a swarm has, and how many of them have the whole content.
    #[must_use]
    pub fn members(&self, content: ContentId) -> (usize, usize) {
        let Some(members) = self.swarms.get(&content) else { return (0, 0) };
        (members.len(), members.values().filter(|member| member.complete).count())
    }

    fn remember(&mut self, now: Time, peer: PeerId, address: SocketAddr, announce: Announce) -> Result<(), Refusal> {
        let known = self.swarms.get(&announce.content).is_some_and(|members| members.contains_key(&peer));
        if !known && self.members >= self.options.members_max {
            self.stats.refused += 1;
            return Err(Refusal::Full { members: self.members });
        }
        let member = Member { address, complete: announce.complete, heard: now };
        if self.swarms.entry(announce.content).or_default().insert(peer, member).is_none() {
            self.members += 1;
        }
        Ok(())
    }

    fn forget(&mut self, content: ContentId, peer: PeerId) {
        let Some(members) = self.swarms.get_mut(&content) else { return };
        if members.remove(&peer).is_some() {
            self.members -= 1;
            self.stats.left += 1;
        }
        if members.is_empty() {
            self.swarms.remove(&content);
        }
    }

    /// Names other members at random; never seeds to a peer that has everything itself.
    fn some_others(&mut self, content: ContentId, peer: PeerId, want: u16) -> Vec<Entry> {
        let Some(members) = self.swarms.get(&content) else { return Vec::new() };
        let complete = members.get(&peer).is_some_and(|member| member.complete);
        let useful = members.iter().filter(|(other, member)| **other != peer && !(complete && member.complete));
        let mut peers: Vec<Entry> = useful.map(|(&peer, member)| Entry { peer, address: member.address }).collect();
        self.random.shuffle(&mut peers);
        peers.truncate(usize::from(want.min(self.options.answer_max)).min(Entry::COUNT_MAX));
        peers
    }
}

/// What can be set about a tracker. In JSON, durations are numbers of seconds and every field may be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TrackerOptions {
    /// Time between two announces of a peer. Default 15 s: short beside BitTorrent's half hour, because runs are.
    #[serde(with = "seconds")]
    pub interval: Duration,
    /// Most peers in one answer. Default 50, as BitTorrent's; more do not fit ([`Entry::COUNT_MAX`]).
    pub answer_max: u16,
    /// Most members of all swarms together; newcomers beyond are refused. Default 100 000.
    pub members_max: usize,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), answer_max: Entry::COUNT_MAX as u16, members_max: 100_000 }
    }
}

/// Counters of a tracker; each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackerStats {
    /// Announces received.
    pub announces: u64,
    /// Announces that reported a complete download.
    pub completions: u64,
    /// Members that said they leave.
    pub left: u64,
    /// Members forgotten after two silent intervals.
    pub expired: u64,
    /// Newcomers refused because the table was full.
    pub refused: u64,
}

/// Why an announce is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The table is full.
    #[error("the tracker knows {members} peers and takes no more")]
    Full {
        /// How many it knows.
        members: usize,
    },
}

#[derive(Clone, Copy, Debug)]
struct Member {
    address: SocketAddr,
    complete: bool,
    heard: Time,
}

#[cfg(test)]
mod tests;
