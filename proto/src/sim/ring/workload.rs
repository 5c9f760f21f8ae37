//! Lookups by chance, churn by chance, and what came of them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{RingSim, random_point};
use crate::random::Random;
use crate::ring::{Command, Contact, Event, Lookup, LookupError, Point};
use crate::sim::NodeId;
use crate::time::Time;

/// What a number of lookups gave.
///
/// Chord's paper counts timeouts otherwise than a node here. Its m nodes contacted are the path's m (1 - p) live ones and the
/// m p dead ones met before each of these (ToN 2003, section V.D); none comes after the last live one, the key's
/// predecessor. And its lookups carry no list of the dead (the authors' simulator, `simulator/request.c`, 2001), so that one
/// named by two nodes on the way costs two.
#[derive(Clone, Debug, Default)]
pub struct LookupFigures {
    /// Lookups that ended.
    pub count: usize,
    /// Ended with another owner than the true one at that time.
    pub wrong: usize,
    /// Ended without an owner.
    pub failed: usize,
    /// Took more than one try, or were asked a second time.
    pub retried: usize,
    /// Hops of each that found an owner.
    pub hops: Vec<u32>,
    /// Dead nodes each of those met.
    pub timeouts: Vec<u32>,
    /// Timeouts of each of those as Chord's paper counts them, see [`LookupFigures`].
    pub timeouts_published: Vec<u32>,
    /// How long each of those took.
    pub elapsed: Vec<Duration>,
}

impl LookupFigures {
    /// Takes the lookups of another run in.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.retried += other.retried;
        self.hops.extend(other.hops);
        self.timeouts.extend(other.timeouts);
        self.timeouts_published.extend(other.timeouts_published);
        self.elapsed.extend(other.elapsed);
    }

    /// Wrong and failed lookups as a fraction of all.
    #[must_use]
    pub fn bad(&self) -> f64 {
        (self.wrong + self.failed) as f64 / self.count.max(1) as f64
    }

    /// Mean of the times taken.
    #[must_use]
    pub fn mean_elapsed(&self) -> Duration {
        self.elapsed.iter().sum::<Duration>() / u32::try_from(self.elapsed.len().max(1)).unwrap_or(u32::MAX)
    }

    fn take(&mut self, result: &Result<Lookup, LookupError>, owner: Option<Contact>) {
        self.count += 1;
        match result {
            Ok(lookup) => {
                self.wrong += usize::from(Some(lookup.owner) != owner);
                self.retried += usize::from(lookup.tries > 1);
                self.hops.push(lookup.hops.into());
                self.timeouts.push(lookup.timeouts.into());
                let published = u32::from(lookup.timeouts - lookup.timeouts_behind) + u32::from(lookup.timeouts_spared);
                self.timeouts_published.push(published);
                self.elapsed.push(lookup.elapsed);
            }
            Err(_) => self.failed += 1,
        }
    }
}

/// Mean of numbers; 0 of none.
#[must_use]
pub fn mean(numbers: &[u32]) -> f64 {
    numbers.iter().map(|&number| f64::from(number)).sum::<f64>() / numbers.len().max(1) as f64
}

/// The smallest number that at least `fraction` of all do not exceed; 0 of none.
#[must_use]
pub fn percentile(numbers: &[u32], fraction: f64) -> u32 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let rank = (fraction * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

/// Peers that come and go while lookups run.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// Joins in a second, a Poisson process. Zero: none.
    pub joins: f64,
    /// How often peers depart, a Poisson process, too.
    pub departures: Departures,
    /// How peers depart.
    pub departure: Departure,
    /// Lookups in a second, at even intervals, from a live member by chance to a point by chance.
    pub lookups: f64,
    /// Lookups before this time do not count.
    pub warm_up: Duration,
    /// For how long it goes on.
    pub lasting: Duration,
    /// When a lookup fails or names another than the owner, whether to try it once more after this time; only the second
    /// answer counts then.
    pub again: Option<Duration>,
}

/// How often peers depart.
#[derive(Clone, Copy, Debug)]
pub enum Departures {
    /// So many in a second, whoever it is.
    PerSecond(f64),
    /// Each after a lifetime with this mean, exponentially distributed.
    Lifetime(Duration),
}

/// How peers depart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Without a word.
    Crash,
    /// After handing over.
    Leave,
}

impl Churn {
    fn departure_rate(&self, size: usize) -> f64 {
        match self.departures {
            Departures::PerSecond(rate) => rate,
            Departures::Lifetime(mean) => size as f64 / mean.as_secs_f64(),
        }
    }
}

/// Time to the next event of a Poisson process with so many in a second.
fn gap(rate: f64, random: &mut Random) -> Duration {
    let mean = if rate > 0.0 { 1.0 / rate } else { 1e9 };
    Duration::from_secs_f64(-mean * (1.0 - random.fraction()).ln())
}

impl RingSim {
    /// Makes lookups from members by chance to points by chance, one after `spacing` after the other, and waits for all.
    pub fn look_up_many(&mut self, count: usize, spacing: Duration, seed: u64) -> LookupFigures {
        let mut random = Random::new(seed, "lookups");
        let members: Vec<NodeId> = self.members().collect();
        let mut figures = LookupFigures::default();
        let mut open = BTreeMap::new();
        for _ in 0..count {
            let Some(&from) = random.pick(&members) else { break };
            let key = random_point(self.circle(), &mut random);
            open.insert(self.command(from, Command::LookUp { key }), (key, None));
            let until = self.simulation.now() + spacing;
            self.simulation.run_until(until);
            self.judge(&mut open, &mut figures, None, &mut VecDeque::new());
        }
        let patience = self.simulation.now() + LAST_LOOKUP;
        while !open.is_empty() && self.simulation.now() < patience {
            let until = self.simulation.now() + Duration::from_millis(100);
            self.simulation.run_until(until);
            self.judge(&mut open, &mut figures, None, &mut VecDeque::new());
        }
        figures
    }

    /// Lets peers come and go while lookups run.
    pub fn churn(&mut self, churn: &Churn, seed: u64) -> LookupFigures {
        let mut random = Random::new(seed, "churn");
        let start = self.simulation.now();
        let (end, counted_from) = (start + churn.lasting, start + churn.warm_up);
        let every = Duration::from_secs_f64(1.0 / churn.lookups);
        let (mut next_lookup, mut next_join) = (start + every, start + gap(churn.joins, &mut random));
        let mut next_departure = start + gap(churn.departure_rate(self.size()), &mut random);
        let (mut open, mut figures) = (BTreeMap::new(), LookupFigures::default());
        let mut second: VecDeque<(Time, NodeId, Point)> = VecDeque::new();
        loop {
            let next = next_lookup.min(next_join).min(next_departure);
            self.simulation.run_until(next.min(end));
            self.judge(&mut open, &mut figures, churn.again, &mut second);
            while let Some(&(due, node, key)) = second.front()
                && due <= self.simulation.now()
            {
                second.pop_front();
                figures.retried += 1;
                open.insert(self.command(node, Command::LookUp { key }), (key, None));
            }
            if next >= end {
                break;
            }
            let Some(member) = self.random_member(&mut random) else { break };
            if next == next_lookup {
                let key = random_point(self.circle(), &mut random);
                let request = self.command(member, Command::LookUp { key });
                if next >= counted_from {
                    open.insert(request, (key, Some(member)));
                }
                next_lookup = next_lookup + every;
            } else if next == next_join {
                let point = random_point(self.circle(), &mut random);
                if self.at(point).is_none() {
                    let via = [Some(member), self.random_member(&mut random), self.random_member(&mut random)];
                    let via: Vec<Contact> = via.into_iter().flatten().map(|node| self.contact(node)).collect();
                    self.join(point, &via);
                }
                next_join = next_join + gap(churn.joins, &mut random);
            } else {
                match churn.departure {
                    Departure::Crash => self.crash(member),
                    Departure::Leave => {
                        self.command(member, Command::Leave);
                    }
                }
                next_departure = next_departure + gap(churn.departure_rate(self.size()), &mut random);
            }
        }
        let until = self.simulation.now() + LAST_LOOKUP;
        self.simulation.run_until(until);
        self.judge(&mut open, &mut figures, None, &mut second);
        figures
    }

    /// Picks a live member by chance.
    pub fn random_member(&self, random: &mut Random) -> Option<NodeId> {
        // The first member at or after a random point would prefer those with a large gap before them.
        let place = random.below(self.members.len());
        self.members().nth(place)
    }

    /// Judges what the nodes told: who truly owned the key is decided at the time of the answer. A bad first answer goes
    /// to `second` when there is to be another.
    fn judge(
        &mut self,
        open: &mut BTreeMap<u64, (Point, Option<NodeId>)>,
        figures: &mut LookupFigures,
        again: Option<Duration>,
        second: &mut VecDeque<(Time, NodeId, Point)>,
    ) {
        for (at, node, event) in self.simulation.take_events() {
            self.note(node, &event);
            let Event::LookedUp { request, result } = event else { continue };
            let Some((key, asker)) = open.remove(&request) else { continue };
            let owner = self.owner(key);
            let is_right = result.as_ref().is_ok_and(|lookup| Some(lookup.owner) == owner);
            match (again, asker) {
                (Some(again), Some(asker)) if !is_right => second.push_back((at + again, asker, key)),
                _ => figures.take(&result, owner),
            }
        }
    }
}

/// How long the last lookups are waited for: more than a lookup may take.
const LAST_LOOKUP: Duration = Duration::from_secs(120);
