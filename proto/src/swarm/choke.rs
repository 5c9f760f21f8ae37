//! Who may request: tit-for-tat with optimistic unchoking, and slots refilled as soon as they are free.
//!
//! Cohen, "Incentives build robustness in BitTorrent" (2003), and BEP 3. While we fetch, neighbours are ranked by what they
//! send us; once we have everything, by what they take.

use std::cmp::Ordering;

use super::neighbour::{Neighbour, Slot};
use super::options::{Choking, Refill, Seeding, Upload};
use super::timer::Timer;
use super::{Message, Swarm};
use crate::content::LEAF;
use crate::id::PeerId;
use crate::random::Random;
use crate::time::Time;

impl Swarm {
    /// Ranks the neighbours and gives the regular slots to the first ones.
    pub(super) fn choke_round(&mut self, now: Time) {
        self.stats.choke_rounds += 1;
        self.timers.set(Timer::ChokeRound, now + self.options.choke_interval);
        self.neighbours.values_mut().for_each(|neighbour| neighbour.uploads.strikes = 0);
        if self.takes_turns() || self.options.choking == Choking::None {
            return self.fill_slots(now, Occasion::Round);
        }
        let ranked = self.ranked(now);
        let (top, rest) = ranked.split_at(ranked.len().min(usize::from(self.options.regular_slots)));
        for &peer in rest {
            // The optimistic neighbour stays through the round; one that lost its rank goes.
            if self.neighbours[&peer].slot == Slot::Regular {
                self.choke(peer);
            }
        }
        for &peer in top {
            self.unchoke(now, peer, Slot::Regular);
        }
        self.fill_slots(now, Occasion::Round);
    }

    /// Gives the optimistic slots to others.
    pub(super) fn optimistic_round(&mut self, now: Time) {
        self.timers.set(Timer::Optimistic, now + self.options.optimistic_interval);
        if self.takes_turns() || self.options.choking == Choking::None {
            return;
        }
        let old: Vec<PeerId> = self.holders(Slot::Optimistic).collect();
        let mut chosen = Vec::new();
        while chosen.len() < usize::from(self.options.optimistic_slots)
            && let Some(peer) = self.lucky(now, |peer| !chosen.contains(&peer))
        {
            chosen.push(peer);
        }
        // Without anybody waiting there is nobody to change to.
        old.into_iter().take(chosen.len()).for_each(|peer| self.choke(peer));
        for peer in chosen {
            self.stats.optimistic_unchokes += 1;
            self.unchoke(now, peer, Slot::Optimistic);
        }
        self.fill_slots(now, Occasion::Round);
    }

    /// Frees the slots of neighbours that want nothing, and gives free slots away.
    pub(super) fn fill_slots(&mut self, now: Time, occasion: Occasion) {
        let bored: Vec<PeerId> = (self.neighbours.iter())
            .filter(|(_, neighbour)| neighbour.is_unchoked() && !neighbour.interested)
            .map(|(&peer, _)| peer)
            .collect();
        bored.into_iter().for_each(|peer| self.choke(peer));
        if self.options.choking == Choking::None && !self.is_leaving() {
            let waiting: Vec<PeerId> = self.waiting().collect();
            return waiting.into_iter().for_each(|peer| self.unchoke(now, peer, Slot::Regular));
        }
        if self.is_leaving() || (self.options.refill == Refill::AtRound && occasion == Occasion::Event) {
            return;
        }
        while self.holders(Slot::Regular).count() < usize::from(self.options.regular_slots) {
            let Some(peer) = self.best_waiting(now) else { return };
            self.unchoke(now, peer, Slot::Regular);
        }
        while self.holders(Slot::Optimistic).count() < usize::from(self.options.optimistic_slots) {
            let Some(peer) = self.lucky(now, |_| true) else { return };
            self.stats.optimistic_unchokes += 1;
            self.unchoke(now, peer, Slot::Optimistic);
        }
        if self.waiting().next().is_some() {
            self.timers.set_earlier(Timer::IdleSlot, now + IDLE_MAX);
        }
    }

    /// Gives a slot whose holder asks for nothing to somebody who waits, if our uplink has time to spare.
    pub(super) fn replace_idle(&mut self, now: Time) {
        if self.is_leaving() || self.options.refill == Refill::AtRound || self.waiting().next().is_none() {
            return;
        }
        if !self.uplink_has_room(now) {
            self.timers.set_earlier(Timer::IdleSlot, now + IDLE_MAX);
            return;
        }
        let idle = self.neighbours.iter().filter(|(_, neighbour)| neighbour.is_unchoked());
        let idle = idle.filter_map(|(&peer, neighbour)| Some((neighbour.uploads.idle_since?, peer)));
        match idle.min() {
            Some((since, peer)) if since + IDLE_MAX <= now => {
                let slot = self.neighbours[&peer].slot;
                let Some(next) = self.lucky(now, |other| other != peer) else { return };
                self.choke(peer);
                self.unchoke(now, next, slot);
                self.timers.set_earlier(Timer::IdleSlot, now + IDLE_MAX);
            }
            Some((since, _)) => self.timers.set_earlier(Timer::IdleSlot, since + IDLE_MAX),
            None => {}
        }
    }

    /// Ends a neighbour's turn when it has had enough of something it has not earned and somebody waits who has got no
    /// more, or has earned more.
    ///
    /// While fetching, a regular slot is earned by sending us something; slots filled otherwise are lent. With everything
    /// there nothing can be earned. A turn is as much as the neighbour got in all turns before, within limits: in the
    /// beginning many get their first leaf soon and pass it on, later turns are long enough that changing costs little.
    pub(super) fn end_turn(&mut self, now: Time, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get(&peer) else { return };
        let (slot, had, this_turn) = (neighbour.slot, neighbour.uploads.begun, neighbour.uploads.this_turn);
        let longest = match slot {
            Slot::None => return,
            _ if self.options.choking == Choking::None => return,
            _ if self.takes_turns() => u64::from(self.manifest.piece_size()),
            Slot::Regular if !self.is_complete() && neighbour.downloads.merit(now) == 0.0 => LOAN_MAX,
            Slot::Regular | Slot::Optimistic => return,
        };
        if this_turn < (had - this_turn).clamp(u64::from(LEAF), longest) || self.options.refill == Refill::AtRound {
            return;
        }
        let next = match self.best_waiting(now) {
            Some(next) if self.neighbours[&next].uploads.begun <= had => next,
            Some(next) if !self.is_complete() && self.neighbours[&next].downloads.merit(now) > 0.0 => next,
            _ => return,
        };
        self.choke(peer);
        self.unchoke(now, next, slot);
    }

    /// Whether neighbours are served in turns instead of being ranked.
    fn takes_turns(&self) -> bool {
        self.is_complete() && self.options.seeding != Seeding::FastestUpload
    }

    /// The choked neighbour that has got least from us; by chance among equals.
    fn least_served(&mut self) -> Option<PeerId> {
        let waiting: Vec<(u64, PeerId)> =
            self.waiting().map(|peer| (self.neighbours[&peer].uploads.begun, peer)).collect();
        let least = waiting.iter().map(|&(begun, _)| begun).min()?;
        let equals: Vec<PeerId> =
            waiting.into_iter().filter(|&(begun, _)| begun == least).map(|(_, peer)| peer).collect();
        self.random.pick(&equals).copied()
    }

    /// Chokes a neighbour and refuses what it still waits for. Runs already begun are finished.
    pub(super) fn choke(&mut self, peer: PeerId) {
        let Some(neighbour) = self.neighbours.get_mut(&peer).filter(|neighbour| neighbour.is_unchoked()) else {
            return;
        };
        neighbour.slot = Slot::None;
        neighbour.uploads.idle_since = None;
        self.stats.chokes += 1;
        self.slots_changed = true;
        self.send(peer, Message::Choke);
        self.refuse_queued(peer);
    }

    fn unchoke(&mut self, now: Time, peer: PeerId, slot: Slot) {
        let Some(neighbour) = self.neighbours.get_mut(&peer) else { return };
        let before = std::mem::replace(&mut neighbour.slot, slot);
        if before != Slot::None {
            return;
        }
        neighbour.uploads.idle_since = Some(now);
        neighbour.uploads.this_turn = 0;
        self.stats.unchokes += 1;
        self.send(peer, Message::Unchoke);
        self.tell_details(now, peer);
        self.timers.set_earlier(Timer::IdleSlot, now + IDLE_MAX);
    }

    /// Interested neighbours, best first. Everybody who wants something is ranked, whoever it is.
    fn ranked(&mut self, now: Time) -> Vec<PeerId> {
        let (complete, gives) = (self.is_complete(), self.options.upload == Upload::Always);
        let interested = self.neighbours.iter().filter(|(_, neighbour)| gives && neighbour.interested);
        let mut ranked: Vec<Rank> = interested
            .map(|(&peer, neighbour)| Rank {
                peer,
                rate: merit(neighbour, complete, now),
                incumbent: neighbour.slot == Slot::Regular,
                salt: 0,
            })
            .collect();
        ranked.iter_mut().for_each(|rank| rank.salt = self.random.bits());
        ranked.sort_by(Rank::best_first);
        ranked.into_iter().map(|rank| rank.peer).collect()
    }

    /// The choked neighbour that has earned a slot most; of those that have earned nothing, the one that has got least.
    fn best_waiting(&mut self, now: Time) -> Option<PeerId> {
        let ranked = self.is_complete() && !self.takes_turns();
        let best = self.waiting().map(|peer| (merit(&self.neighbours[&peer], self.is_complete(), now), peer));
        let best = best.max_by(|one, other| one.0.total_cmp(&other.0));
        match best {
            Some((rate, peer)) if rate > 0.0 && !self.is_complete() => Some(peer),
            _ if ranked => self.lucky(now, |_| true),
            _ => self.least_served(),
        }
    }

    /// A choked neighbour by chance; newcomers are likelier.
    fn lucky(&mut self, now: Time, may: impl Fn(PeerId) -> bool) -> Option<PeerId> {
        let weight = usize::from(self.options.newcomer_weight.max(1));
        let round = self.options.choke_interval;
        let tickets: Vec<(PeerId, usize)> = (self.waiting())
            .filter(|&peer| may(peer))
            .map(|peer| (peer, if self.neighbours[&peer].is_newcomer(now, round) { weight } else { 1 }))
            .collect();
        draw(&tickets, &mut self.random)
    }

    /// Neighbours that are interested and choked, and may get something.
    fn waiting(&self) -> impl Iterator<Item = PeerId> + '_ {
        let gives = self.options.upload == Upload::Always;
        let waiting = (self.neighbours.iter())
            .filter(move |(_, neighbour)| gives && neighbour.interested && !neighbour.is_unchoked());
        waiting.map(|(&peer, _)| peer)
    }

    fn holders(&self, slot: Slot) -> impl Iterator<Item = PeerId> + '_ {
        let holders = self.neighbours.iter().filter(move |(_, neighbour)| neighbour.slot == slot);
        holders.map(|(&peer, _)| peer)
    }
}

/// Why slots are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// A choke round or an optimistic round.
    Round,
    /// Somebody became interested or lost interest, came or went.
    Event,
}

/// A neighbour's place in a choke round.
#[derive(Clone, Copy, Debug)]
struct Rank {
    peer: PeerId,
    rate: f64,
    incumbent: bool,
    salt: u64,
}

impl Rank {
    /// By rate; among equals those in, then by chance, so that equal neighbours do not take turns.
    fn best_first(&self, other: &Self) -> Ordering {
        let rate = other.rate.total_cmp(&self.rate);
        rate.then(other.incumbent.cmp(&self.incumbent)).then(self.salt.cmp(&other.salt))
    }
}

/// What a neighbour is ranked by, in bytes per second.
fn merit(neighbour: &Neighbour, complete: bool, now: Time) -> f64 {
    if complete { neighbour.uploads.rate(now) } else { neighbour.downloads.merit(now) }
}

fn draw(tickets: &[(PeerId, usize)], random: &mut Random) -> Option<PeerId> {
    let all = tickets.iter().map(|&(_, weight)| weight).sum();
    let mut number = random.below(all);
    for &(peer, weight) in tickets {
        match number.checked_sub(weight) {
            Some(rest) => number = rest,
            None => return Some(peer),
        }
    }
    None
}

/// Longest turn in a regular slot that was not earned, in bytes. Wild guess: four leaves show what there is to gain.
const LOAN_MAX: u64 = 4 * LEAF as u64;

/// A slot whose holder asks for nothing this long goes to somebody else, if the uplink has room. Wild guess: longer than
/// it takes to hear of a new leaf and ask for it.
const IDLE_MAX: std::time::Duration = std::time::Duration::from_millis(500);

#[cfg(test)]
mod tests;
