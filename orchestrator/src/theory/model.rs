//! What a swarm's rules give on an ideal network: tit-for-tat over fluid upload rates, without headers, delay or limits on
//! downloads.
//!
//! Between the fluid bound, which no rule of choosing neighbours may reach, and a measured time, which pays for every
//! header. What lies between bound and model is the price of the rules and of the size of a leaf; what lies between model and
//! measurement is the wire's and ours. The model is slotted in time and seeded: the same setting gives the same answer.

use peerbed_proto::Random;

/// A swarm as the model sees it. Rates are in units of content per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Upload of all seeds together.
    pub seed_rate: f64,
    /// Upload of each of the others; 0 for a free-rider.
    pub rates: Vec<f64>,
    /// Units that the content has: what is passed on as soon as it is there.
    pub units: usize,
    /// Neighbours served for their rate.
    pub regular_slots: usize,
    /// Neighbours served by chance on top of those.
    pub optimistic_slots: usize,
    /// Time between two rankings in seconds; none where nobody is choked.
    pub choke_interval: Option<f64>,
}

/// When the last peer has everything, in seconds; none for settings that nothing moves in, or that would take long to
/// reckon ([`STEPS_MAX`]).
#[must_use]
pub fn last_completion(setting: &Setting, seed: u64) -> Option<f64> {
    let peers = setting.rates.len();
    let steps = (peers * setting.units).saturating_mul(setting.units);
    if setting.seed_rate <= 0.0 || peers == 0 || setting.units == 0 || steps > STEPS_MAX {
        return None;
    }
    Model::new(setting, seed).run()
}

/// Most peers × units² that are reckoned: a second or so.
pub const STEPS_MAX: usize = 200_000_000;

/// Rounds between two optimistic choices.
const ROUNDS_PER_CHANCE: u32 = 3;

/// One member: the seed is the last.
#[derive(Debug)]
struct Member {
    rate: f64,
    have: Units,
    /// Units on their way to it.
    coming: Units,
    /// Whom it serves, and whom of these by chance.
    served: Vec<usize>,
    lucky: Vec<usize>,
    sending: Vec<Transfer>,
    /// What came from each member since the last round.
    received: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Transfer {
    to: usize,
    unit: usize,
    done: f64,
}

#[derive(Debug)]
struct Model<'a> {
    setting: &'a Setting,
    members: Vec<Member>,
    /// Members that have each unit.
    holders: Vec<u32>,
    /// How often the seed has begun each unit.
    seeded: Vec<u32>,
    random: Random,
}

impl<'a> Model<'a> {
    fn new(setting: &'a Setting, seed: u64) -> Self {
        let count = setting.rates.len() + 1;
        let rates = setting.rates.iter().copied().chain([setting.seed_rate]);
        let members = rates.enumerate().map(|(at, rate)| Member {
            rate,
            have: Units::new(setting.units, at + 1 == count),
            coming: Units::new(setting.units, false),
            served: Vec::new(),
            lucky: Vec::new(),
            sending: Vec::new(),
            received: vec![0.0; count],
        });
        Self {
            members: members.collect(),
            holders: vec![1; setting.units],
            seeded: vec![0; setting.units],
            random: Random::new(seed, "ideal swarm"),
            setting,
        }
    }

    fn run(mut self) -> Option<f64> {
        let slots = self.slots() as f64;
        let fastest = self.setting.rates.iter().copied().fold(0.0, f64::max);
        let tick = (0.5 * slots / self.setting.seed_rate).min(if fastest > 0.0 { 0.25 / fastest } else { f64::MAX });
        let longest = 50.0 * (self.setting.units * self.setting.rates.len()) as f64 / self.setting.seed_rate;
        let (mut at, mut round, mut rounds) = (0.0, 0.0, 0);
        while self.members.iter().any(|member| !member.have.is_full()) {
            if at > longest {
                return None;
            }
            if let Some(interval) = self.setting.choke_interval
                && at >= round
            {
                self.choke(rounds % ROUNDS_PER_CHANCE == 0);
                (round, rounds) = (round + interval.max(tick), rounds + 1);
            }
            (0..self.members.len()).for_each(|from| self.refill(from));
            self.move_on(tick);
            at += tick;
        }
        Some(at)
    }

    fn slots(&self) -> usize {
        (self.setting.regular_slots + self.setting.optimistic_slots).max(1)
    }

    fn wants(&self, to: usize, from: usize) -> bool {
        to != from && self.members[from].have.has_beyond(&self.members[to].have)
    }

    /// Ranks everybody's neighbours; with `chance`, the optimistic ones change too.
    fn choke(&mut self, chance: bool) {
        for from in 0..self.members.len() {
            let mut wanting: Vec<usize> = (0..self.members.len()).filter(|&to| self.wants(to, from)).collect();
            self.random.shuffle(&mut wanting);
            if self.members[from].have.is_full() {
                wanting.truncate(self.slots());
                self.members[from].served = wanting;
                self.members[from].lucky.clear();
                continue;
            }
            let member = &mut self.members[from];
            wanting.sort_by(|one, other| member.received[*other].total_cmp(&member.received[*one]));
            let rest = wanting.split_off(wanting.len().min(self.setting.regular_slots));
            if chance || member.lucky.is_empty() {
                member.lucky = rest.into_iter().take(self.setting.optimistic_slots).collect();
                self.random.shuffle(&mut member.lucky);
            }
            let lucky = member.lucky.iter().copied().filter(|to| !wanting.contains(to)).collect::<Vec<_>>();
            wanting.extend(lucky);
            member.served = wanting;
            member.received.fill(0.0);
        }
    }

    /// Gives free slots away at once, and lets everybody who is served get something.
    fn refill(&mut self, from: usize) {
        if self.members[from].rate <= 0.0 {
            return;
        }
        let mut served = std::mem::take(&mut self.members[from].served);
        served.retain(|&to| self.wants(to, from));
        if served.len() < self.slots() {
            let waiting = (0..self.members.len()).filter(|to| !served.contains(to) && self.wants(*to, from));
            let mut waiting: Vec<usize> = waiting.collect();
            self.random.shuffle(&mut waiting);
            served.extend(waiting.into_iter().take(self.slots() - served.len()));
        }
        for &to in &served {
            if self.members[from].sending.iter().all(|transfer| transfer.to != to) {
                self.start(from, to, 0.0);
            }
        }
        self.members[from].served = served;
    }

    /// Begins the rarest unit that `to` lacks; of a seed, the one it has sent least.
    fn start(&mut self, from: usize, to: usize, done: f64) {
        let is_seed = from + 1 == self.members.len();
        let (have, receiver) = (&self.members[from].have, &self.members[to]);
        let (mut best, mut best_rank, mut ties) = (None, (u32::MAX, u32::MAX), 0);
        for unit in have.missing_in(&receiver.have, &receiver.coming) {
            let rank = (if is_seed { self.seeded[unit] } else { 0 }, self.holders[unit]);
            if rank > best_rank {
                continue;
            }
            ties = if rank < best_rank { 1 } else { ties + 1 };
            if self.random.below(ties) == 0 {
                (best, best_rank) = (Some(unit), rank);
            }
        }
        let Some(unit) = best else { return };
        self.members[to].coming.insert(unit);
        self.members[from].sending.push(Transfer { to, unit, done });
        self.seeded[unit] += u32::from(is_seed);
    }

    /// Lets every uplink work for a while, shared evenly by those it serves.
    fn move_on(&mut self, tick: f64) {
        let mut arrived = Vec::new();
        for from in 0..self.members.len() {
            let member = &mut self.members[from];
            let share = member.rate * tick / member.sending.len().max(1) as f64;
            let mut sending = std::mem::take(&mut member.sending);
            for transfer in &mut sending {
                transfer.done += share;
                self.members[transfer.to].received[from] += share;
            }
            arrived.extend(sending.iter().filter(|transfer| transfer.done >= ALL).map(|transfer| (from, *transfer)));
            sending.retain(|transfer| transfer.done < ALL);
            self.members[from].sending = sending;
        }
        for (_, transfer) in &arrived {
            self.members[transfer.to].coming.remove(transfer.unit);
            self.members[transfer.to].have.insert(transfer.unit);
            self.holders[transfer.unit] += 1;
        }
        // What was too much for one unit is the next one's.
        for (from, transfer) in arrived {
            if self.members[from].served.contains(&transfer.to) {
                self.start(from, transfer.to, (transfer.done - 1.0).max(0.0));
            }
        }
    }
}

/// A unit that has come but for rounding.
const ALL: f64 = 1.0 - 1e-9;

/// A set of units.
#[derive(Debug)]
struct Units {
    words: Vec<u64>,
    count: usize,
    len: usize,
}

impl Units {
    fn new(len: usize, full: bool) -> Self {
        let mut units = Self { words: vec![0; len.div_ceil(64)], count: 0, len };
        (0..len).filter(|_| full).for_each(|unit| units.insert(unit));
        units
    }

    fn insert(&mut self, unit: usize) {
        let bit = 1 << (unit % 64);
        self.count += usize::from(self.words[unit / 64] & bit == 0);
        self.words[unit / 64] |= bit;
    }

    fn remove(&mut self, unit: usize) {
        let bit = 1 << (unit % 64);
        self.count -= usize::from(self.words[unit / 64] & bit != 0);
        self.words[unit / 64] &= !bit;
    }

    fn is_full(&self) -> bool {
        self.count == self.len
    }

    fn has_beyond(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| mine & !theirs != 0)
    }

    /// Those of mine that are in neither of two other sets.
    fn missing_in(&self, one: &Self, other: &Self) -> impl Iterator<Item = usize> {
        let words = self.words.iter().zip(&one.words).zip(&other.words);
        let words = words.map(|((mine, one), other)| mine & !one & !other).enumerate();
        words.flat_map(|(at, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| 64 * at + bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pieces_over_five_slots_cost_what_the_baseline_says() {
        // 8 MiB of 256 KiB pieces and u_s = 10 u: 1.30, 1.40 and 1.43 of the bound.
        for (peers, wanted) in [(10, 1.30), (20, 1.40), (30, 1.43)] {
            let found = ratio(peers, 32);
            assert!((found - wanted).abs() < 0.10, "{peers} peers: {found}");
        }
    }

    #[test]
    fn leaves_come_close_to_the_bound() {
        // 8 MiB of 16 KiB leaves: 1.011, 1.027 and 1.029.
        for (peers, wanted) in [(5, 1.011), (10, 1.027), (30, 1.029)] {
            let found = ratio(peers, 512);
            assert!((found - wanted).abs() < 0.03, "{peers} peers: {found}");
        }
    }

    #[test]
    fn free_riders_wait_for_the_others() {
        let all = setting(10, 128);
        let mut riding = all.clone();
        riding.rates[0] = 0.0;
        riding.rates[1] = 0.0;
        assert!(last_completion(&riding, 1).unwrap() > 1.05 * last_completion(&all, 1).unwrap());
    }

    #[test]
    fn the_same_setting_gives_the_same_answer_and_an_impossible_one_none() {
        let some = setting(7, 64);
        assert_eq!(last_completion(&some, 3), last_completion(&some, 3));
        assert_eq!(last_completion(&Setting { seed_rate: 0.0, ..some.clone() }, 3), None);
        assert_eq!(last_completion(&Setting { units: 1 << 20, ..some }, 3), None);
    }

    /// The mean of two seeds, over N F/(u_s + N u).
    fn ratio(peers: usize, units: usize) -> f64 {
        let setting = setting(peers, units);
        let bound = (units * peers) as f64 / (setting.seed_rate + setting.rates.iter().sum::<f64>());
        let last = |seed| last_completion(&setting, seed).unwrap();
        f64::midpoint(last(1), last(2)) / bound
    }

    /// 8 MiB at 2 Mbit/s, with a seed ten times as fast, as the textbook chokes.
    fn setting(peers: usize, units: usize) -> Setting {
        let rate = units as f64 / (8.0 * 1_048_576.0 * 8.0 / 2e6);
        Setting {
            seed_rate: 10.0 * rate,
            rates: vec![rate; peers],
            units,
            regular_slots: 4,
            optimistic_slots: 1,
            choke_interval: Some(10.0),
        }
    }
}
