//! Peers remembered for bad times: when all successors are dead, or when the ring may have split.

use super::circle::{Circle, Point};
use super::contact::Contact;
use crate::random::Random;

/// The peers given at the start, which are never forgotten, some of those met since, and former successors.
#[derive(Clone, Debug, Default)]
pub(super) struct Acquaintances {
    bootstrap: Vec<Contact>,
    met: Vec<Contact>,
    /// Successors that have left the list and were not found dead, nearest first. At most as many as the list has places. A
    /// successor that lies about those behind it can spoil the list's tail, but not this.
    former: Vec<Contact>,
}

impl Acquaintances {
    /// Makes the list. Only the first [`BOOTSTRAP_MAX`] count, and not the node itself.
    pub(super) fn new(me: Contact, bootstrap: &[Contact]) -> Self {
        let others = bootstrap.iter().copied().filter(|contact| contact.peer != me.peer && contact.point != me.point);
        Self { bootstrap: others.take(BOOTSTRAP_MAX).collect(), ..Self::default() }
    }

    /// Returns the bootstrap peers one after the other, round and round.
    pub(super) fn bootstrap(&self, turn: usize) -> Option<Contact> {
        self.bootstrap.get(turn.checked_rem(self.bootstrap.len())?).copied()
    }

    /// Remembers a peer. At the limit it replaces one by chance, so that the dead do not crowd out the living.
    pub(super) fn remember(&mut self, contact: Contact, random: &mut Random) {
        if self.met.iter().chain(&self.bootstrap).any(|known| *known == contact) {
            return;
        }
        if self.met.len() < MET_MAX {
            self.met.push(contact);
        } else {
            self.met[random.below(MET_MAX)] = contact;
        }
    }

    /// Remembers successors that have left the list; the nearest `len` are kept.
    pub(super) fn remember_former(
        &mut self,
        gone: impl Iterator<Item = Contact>,
        len: usize,
        circle: Circle,
        me: Point,
    ) {
        self.former.extend(gone);
        self.former.sort_by_key(|contact| (circle.distance(me, contact.point), contact.peer));
        self.former.dedup();
        self.former.truncate(len);
    }

    /// Forgets a former successor that has died.
    pub(super) fn forget_former(&mut self, dead: Contact) {
        self.former.retain(|contact| *contact != dead);
    }

    /// Former successors, nearest first.
    pub(super) fn former(&self) -> impl Iterator<Item = Contact> + '_ {
        self.former.iter().copied()
    }

    /// Picks one by chance, every other time one of the bootstrap peers; rather one that is not dead.
    pub(super) fn pick(&self, random: &mut Random, is_dead: impl Fn(Contact) -> bool) -> Option<Contact> {
        let mut picked = None;
        for _ in 0..PICKS {
            let first = if random.below(2) == 0 { [&self.bootstrap, &self.met] } else { [&self.met, &self.bootstrap] };
            picked = first.into_iter().find_map(|list| random.pick(list).copied());
            if picked.is_none_or(|contact| !is_dead(contact)) {
                break;
            }
        }
        picked
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Contact> + '_ {
        self.bootstrap.iter().chain(&self.met).chain(&self.former).copied()
    }
}

/// How often another is drawn in place of a dead one.
const PICKS: usize = 4;

/// Most bootstrap peers kept. Wild guess.
const BOOTSTRAP_MAX: usize = 16;

/// Most other peers kept. After a split into halves, an audit by one of them finds the other half with a chance of a half.
const MET_MAX: usize = 32;
