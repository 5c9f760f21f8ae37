//! The iterative search: asks node after node, each strictly nearer to the key, then the owner.

use super::super::contact::{Contact, Entry};
use super::super::core::Core;
use super::super::message::{Answer, CLOSER_MAX, More, Ownership, Question};
use super::super::options::Finish;
use super::super::output::LookupError;
use super::super::purpose::{Cause, Purpose, Reply, Silence};
use super::super::routing;
use super::{Active, DEAD_MAX, HOPS_MAX, Lookups, Next, PATH_MAX, Phase, Side};
use crate::time::Time;

impl Lookups {
    /// Takes the answer of a node on the way.
    pub(in super::super) fn on_step(&mut self, now: Time, core: &mut Core, number: u64, from: Contact, reply: Reply) {
        let Some(mut active) = self.lookups.remove(&number) else { return };
        let next = match reply {
            Ok(Answer::Step { closer, more, successors }) => {
                active.take_step(now, core, number, from, closer, more, &successors)
            }
            Err(Silence::Withheld) => Next::End(Err(LookupError::Crowded)),
            Ok(_) | Err(Silence::Dead | Silence::Slow) => {
                active.note_dead(from);
                active.advance(now, core, number)
            }
        };
        self.settle(now, core, number, active, next);
    }

    /// Takes the answer of a node that may own the key.
    pub(in super::super) fn on_confirm(
        &mut self,
        now: Time,
        core: &mut Core,
        number: u64,
        from: Contact,
        reply: Reply,
    ) {
        let Some(mut active) = self.lookups.remove(&number) else { return };
        let next = match reply {
            Ok(Answer::Owns { mine, predecessor, successors }) => {
                active.take_claim(now, core, number, from, mine, predecessor, &successors)
            }
            Err(Silence::Withheld) => Next::End(Err(LookupError::Crowded)),
            Ok(_) | Err(Silence::Dead | Silence::Slow) => {
                active.note_dead(from);
                active.confirm(now, core, number)
            }
        };
        self.settle(now, core, number, active, next);
    }
}

impl Active {
    /// Takes the first step: our own, or that of the node to start at.
    pub(super) fn start(&mut self, now: Time, core: &mut Core, number: u64) -> Next {
        match self.via {
            Some(via) => {
                core.ask(
                    now,
                    via,
                    Question::Next { key: self.key, short_of: self.key },
                    Purpose::Step { lookup: number },
                );
                Next::Wait
            }
            None => self.step_here(now, core, number),
        }
    }

    fn step_here(&mut self, now: Time, core: &mut Core, number: u64) -> Next {
        let step = routing::step(now, core, self.key, self.short_of);
        self.take_step(now, core, number, core.me, step.closer, step.more, &step.successors)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one answer")]
    fn take_step(
        &mut self,
        now: Time,
        core: &mut Core,
        number: u64,
        from: Contact,
        closer: Vec<Contact>,
        more: More,
        successors: &[Entry],
    ) -> Next {
        if from != self.at {
            self.walk(from);
            self.short_of = self.key;
            self.at = from;
            self.before = (self.timeouts, self.spared);
        }
        if self.hops > HOPS_MAX {
            return Next::End(Err(LookupError::TooManyHops));
        }
        let (named, before) = (closer.len(), self.short_of);
        self.closer = closer.into();
        // Each step must come nearer, so that no lie can lead a lookup round in circles.
        self.closer.retain(|contact| {
            core.circle.contains(contact.point) && core.circle.is_between(from.point, contact.point, self.key)
        });
        if self.closer.len() < named {
            core.stats.answers_bad += 1;
        }
        // As many as a node names at a time, so that a long list of the dead cannot use all the time up.
        self.closer.truncate(CLOSER_MAX.max(core.options.list_len()));
        if let Some(furthest) = self.closer.back() {
            self.short_of = furthest.point;
        }
        self.closer.retain(|contact| *contact != core.me);
        self.more = if self.short_of == before { More::No } else { more };
        if !self.owners.is_empty() {
            self.owners_before = std::mem::take(&mut self.owners);
        }
        self.owners = routing::owners(core, from, self.key, successors).into();
        self.advance(now, core, number)
    }

    /// Goes on with the next node named, then with more of them, then with the owner.
    fn advance(&mut self, now: Time, core: &mut Core, number: u64) -> Next {
        while let Some(next) = self.closer.pop_front() {
            if self.avoids(core, next) {
                self.spared = self.spared.saturating_add(1);
                continue;
            }
            core.ask(now, next, Question::Next { key: self.key, short_of: self.key }, Purpose::Step { lookup: number });
            return Next::Wait;
        }
        if self.more == More::Yes {
            self.more = More::No;
            if self.at == core.me {
                return self.step_here(now, core, number);
            }
            let question = Question::Next { key: self.key, short_of: self.short_of };
            core.ask(now, self.at, question, Purpose::Step { lookup: number });
            return Next::Wait;
        }
        self.phase = Phase::Confirming { fallback: None, asked: 0 };
        if self.ends_here(core) {
            let owner = self.owners.front().copied().ok_or(LookupError::DeadEnd);
            return Next::End(owner.map(|owner| self.outcome(now, owner, Vec::new())));
        }
        self.confirm(now, core, number)
    }

    /// Whether the node before the key is the end, and nobody is asked whether the key is its own.
    pub(super) fn ends_here(&self, core: &Core) -> bool {
        matches!(self.cause, Cause::Join | Cause::Audit)
            || (core.options.finish == Finish::Predecessor && matches!(self.cause, Cause::Command { .. }))
    }

    /// Begins with those known to sit behind the key, nearest first: whoever is not the owner knows who is before it.
    pub(super) fn start_behind(&mut self, now: Time, core: &mut Core, number: u64) -> Next {
        let mut known: Vec<Contact> = std::mem::take(&mut self.owners_before).into();
        known.extend(core.successors.contacts().chain(core.fingers.contacts()).chain(core.acquaintances.iter()));
        known.retain(|contact| core.circle.contains(contact.point) && !core.is_suspect(now, *contact));
        known.sort_by_key(|contact| (core.circle.distance(self.key, contact.point), contact.peer));
        known.dedup();
        known.truncate(core.options.list_len());
        (self.at, self.owners) = (core.me, known.into());
        // The way that led nowhere is not the way there.
        self.hops = 0;
        self.path.clear();
        self.phase = Phase::Confirming { fallback: None, asked: 0 };
        self.confirm(now, core, number)
    }

    /// Asks the next who may be the owner.
    fn confirm(&mut self, now: Time, core: &mut Core, number: u64) -> Next {
        let Phase::Confirming { fallback, asked } = self.phase else { return Next::End(Err(LookupError::DeadEnd)) };
        while self.owners.front().is_some_and(|owner| self.avoids(core, *owner)) {
            self.owners.pop_front();
        }
        match (self.owners.pop_front(), fallback) {
            (Some(candidate), _) if candidate == core.me && asked < CONFIRMS_MAX => {
                let successors = core.successors.entries().to_vec();
                let mine = core.ownership(self.key);
                self.take_claim(now, core, number, candidate, mine, core.predecessor, &successors)
            }
            (Some(candidate), _) if asked < CONFIRMS_MAX => {
                let question = Question::Owns { key: self.key };
                core.ask(now, candidate, question, Purpose::Confirm { lookup: number });
                Next::Wait
            }
            (None, Some(fallback)) if self.side == Side::Before => {
                Next::End(Ok(self.outcome(now, fallback, Vec::new())))
            }
            // The fallback is known not to be the owner, and who named it led us astray.
            (_, _) => Next::End(Err(LookupError::DeadEnd)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one answer")]
    fn take_claim(
        &mut self,
        now: Time,
        core: &mut Core,
        number: u64,
        from: Contact,
        mine: Ownership,
        predecessor: Option<Contact>,
        successors: &[Entry],
    ) -> Next {
        let Phase::Confirming { asked, .. } = self.phase else { return Next::Wait };
        let before = predecessor.filter(|before| {
            mine == Ownership::NotMine
                && *before != self.at
                && !self.dead.contains(&before.peer)
                && core.circle.contains(before.point)
                && core.circle.is_between(self.at.point, before.point, from.point)
                && core.circle.is_up_to(self.at.point, self.key, before.point)
        });
        match before {
            // A node between, of which the key's predecessor has not heard. If it is dead, `from` owns the key.
            Some(before) => {
                if self.side == Side::Behind {
                    self.walk(from);
                }
                self.owners = [before].into();
                self.phase = Phase::Confirming { fallback: Some(from), asked: asked + 1 };
                self.confirm(now, core, number)
            }
            // Whoever is its own predecessor has lied about one of the two: it takes more than one that says it follows.
            None if predecessor == Some(from) && from != core.me && (asked > 0 || self.doubted != Some(from.peer)) => {
                core.stats.steps_false += 1;
                self.doubted = Some(from.peer);
                self.owners.clear();
                self.phase = Phase::Confirming { fallback: None, asked };
                self.confirm(now, core, number)
            }
            // Where a lookup comes from behind there is nobody's word but this one's.
            None if self.side == Side::Behind
                && (mine == Ownership::NotMine || predecessor.is_none_or(|it| it == from)) =>
            {
                self.confirm(now, core, number)
            }
            None => {
                // Nobody led here who sits before the key, but the owner says who does.
                self.at = predecessor.filter(|_| self.side == Side::Behind).unwrap_or(self.at);
                let successors = successors.iter().filter_map(Entry::contact).collect();
                Next::End(Ok(self.outcome(now, from, successors)))
            }
        }
    }

    /// Whether asking a peer is a waste of time.
    fn avoids(&self, core: &Core, contact: Contact) -> bool {
        self.dead.contains(&contact.peer)
            || self.shunned.contains(&contact.peer)
            || core.suspects.is_outlaw(contact.peer)
    }

    /// Counts a node as one on the way.
    fn walk(&mut self, from: Contact) {
        self.hops += 1;
        if self.path.len() < PATH_MAX {
            self.path.push(from);
        }
    }

    fn note_dead(&mut self, dead: Contact) {
        self.timeouts += 1;
        if self.dead.len() < DEAD_MAX {
            self.dead.push(dead.peer);
        }
    }
}

/// Most nodes asked whether they own the key. More means pointers so wrong that a retry after a stabilisation is better.
const CONFIRMS_MAX: u8 = 16;
