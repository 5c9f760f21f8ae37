//! What a node shows of itself. Nothing here changes it.

use super::*;

impl Ring {
    /// Returns whose answers will be overdue at a time.
    pub fn overdue(&self, at: Time) -> impl Iterator<Item = Contact> {
        self.core.calls.overdue(at)
    }

    /// Returns whether a peer has broken the protocol so often that nothing is asked of it or taken from it any more.
    #[must_use]
    pub fn is_outlaw(&self, peer: PeerId) -> bool {
        self.core.suspects.is_outlaw(peer)
    }

    /// Returns the circle the node sits on.
    #[must_use]
    pub fn circle(&self) -> Circle {
        self.core.circle
    }

    /// Returns the node itself.
    #[must_use]
    pub fn me(&self) -> Contact {
        self.core.me
    }

    /// Returns where the node stands towards the ring.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.core.standing
    }

    /// Returns who is before the node, as far as it knows.
    #[must_use]
    pub fn predecessor(&self) -> Option<Contact> {
        self.core.predecessor
    }

    /// Returns the successor list; always as long as the options say.
    #[must_use]
    pub fn successors(&self) -> &[Entry] {
        self.core.successors.entries()
    }

    /// Returns whether the node is in the middle of a step and keeps its pointers to itself.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.stabilise.is_busy()
    }

    /// Returns the fingers, nearest first, each once.
    #[must_use]
    pub fn fingers(&self) -> Vec<Contact> {
        let mut fingers: Vec<Contact> = self.core.fingers.contacts().collect();
        fingers.dedup();
        fingers
    }

    /// Returns whom to keep connections with: successors, predecessor, and fingers or shortcuts, each once, by peer.
    #[must_use]
    pub fn neighbours(&self) -> Vec<Contact> {
        let core = &self.core;
        let mut neighbours: Vec<Contact> = core.successors.contacts().chain(core.predecessor).collect();
        match core.options.routing {
            Routing::Successor => {}
            Routing::Fingers => neighbours.extend(core.fingers.contacts()),
            Routing::Shortcuts => neighbours.extend(core.options.shortcuts.iter()),
        }
        neighbours.sort_unstable_by_key(|contact| contact.peer);
        neighbours.dedup();
        neighbours
    }

    /// Returns every key held with its version and value (`None`: deleted), by point; copies for others included.
    pub fn held(&self) -> impl Iterator<Item = (&Key, Version, Option<&Bytes>)> {
        self.data.held()
    }

    /// Returns how many records are held, copies included, and how many bytes they count for.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.data.records(), self.data.bytes())
    }

    /// Returns whether the key is the node's, as far as it knows.
    #[must_use]
    pub fn owns(&self, key: Point) -> bool {
        self.core.ownership(key) == Ownership::Mine
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.core.stats
    }
}
