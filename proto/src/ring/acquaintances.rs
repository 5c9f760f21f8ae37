//! Peers remembered for bad times: when all successors are dead, or when the ring may have split.

use super::contact::Contact;
use crate::random::Random;

/// The peers given at the start, which are never forgotten, and some of those met since.
#[derive(Clone, Debug, Default)]
pub(super) struct Acquaintances {
    bootstrap: Vec<Contact>,
    met: Vec<Contact>,
}

impl Acquaintances {
    /// Makes the list. Only the first [`BOOTSTRAP_MAX`] count.
    pub(super) fn new(bootstrap: &[Contact]) -> Self {
        let bootstrap = bootstrap.iter().copied().take(BOOTSTRAP_MAX).collect();
        Self { bootstrap, met: Vec::new() }
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

    /// Picks one by chance, every other time one of the bootstrap peers.
    pub(super) fn pick(&self, random: &mut Random) -> Option<Contact> {
        let first = if random.below(2) == 0 { [&self.bootstrap, &self.met] } else { [&self.met, &self.bootstrap] };
        first.into_iter().find_map(|list| random.pick(list).copied())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Contact> + '_ {
        self.bootstrap.iter().chain(&self.met).copied()
    }
}

/// Most bootstrap peers kept. Wild guess.
const BOOTSTRAP_MAX: usize = 16;

/// Most other peers kept. After a split into halves, an audit by one of them finds the other half with a chance of a half.
const MET_MAX: usize = 32;
