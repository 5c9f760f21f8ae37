//! Where the uplinks' time went in a distribution: from what each peer says of its own uplink and of what it received.
//!
//! Pure arithmetic over the peers' last statuses. What a peer counts, and how, is said in `peerbed_peer::status`.

use std::collections::BTreeMap;

use peerbed_peer::status::{DistributionStatus, ReceivedBytes};
use peerbed_proto::PeerId;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Where the time of all uplinks of a distribution went. Only uplinks with a rate are counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accounting {
    /// What all uplinks together did.
    pub all: Account,
    /// What the uplinks of those did who had the file at the begin.
    pub seeds: Account,
    /// One entry per participant with a rated uplink, by number in the plan. Of a peer that was started again, its last
    /// process counts.
    pub peers: BTreeMap<String, Account>,
}

/// What an uplink, or several, could have carried and what became of it, in bytes at the nominal rate.
///
/// The parts after `capacity_bytes` add up to it; [`Account::unexplained`] says how well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Rate times time, from the begin to the last look at the peer.
    pub capacity_bytes: f64,
    /// File content that its receiver did not have before.
    pub payload_bytes: f64,
    /// File content that its receiver had already, or that failed its hash.
    pub duplicate_bytes: f64,
    /// Everything else that was sent: headers, acknowledgements, messages, handshakes, content cut off on its way.
    pub protocol_bytes: f64,
    /// Packets that were declared lost and sent again.
    pub retransmission_bytes: f64,
    /// Not used although a neighbour that may request waited for something.
    pub idle_waiting_bytes: f64,
    /// Not used because nobody that may request wanted anything.
    pub idle_bytes: f64,
}

/// What a participant said last.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its name.
    pub name: String,
    /// Whether it had the file at the begin.
    pub is_seed: bool,
    /// What it said.
    pub word: Word,
}

/// The last status of a participant in a distribution, and what the others said at the same time.
///
/// Who goes early is followed by a second or so of what it had sent: what comes after its last word is not in the account.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Its own words.
    pub status: DistributionStatus,
    /// What all others had received from it by then.
    pub received: ReceivedBytes,
}

/// Takes down what participants say at one time. Whoever says nothing, because it has gone, keeps its last word.
pub fn listen(words: &mut BTreeMap<PeerId, Word>, statuses: BTreeMap<PeerId, DistributionStatus>) {
    let speaking: Vec<PeerId> = statuses.keys().copied().collect();
    for (peer, status) in statuses {
        words.insert(peer, Word { status, received: ReceivedBytes::default() });
    }
    let mut sums: BTreeMap<u32, ReceivedBytes> = BTreeMap::new();
    for (from, received) in words.values().flat_map(|word| &word.status.received) {
        let sum = sums.entry(*from).or_default();
        sum.useful += received.useful;
        sum.wasted += received.wasted;
    }
    for peer in speaking {
        let received = sums.get(&peer.0).copied().unwrap_or_default();
        words.entry(peer).and_modify(|word| word.received = received);
    }
}

impl Accounting {
    /// Adds up what participants said; none where nobody gave account of an uplink.
    #[must_use]
    pub fn of(said: &BTreeMap<PeerId, Said>) -> Option<Self> {
        let mut accounting = Self::default();
        for it in said.values() {
            let Some(account) = account(&it.word) else { continue };
            accounting.all.add(&account);
            if it.is_seed {
                accounting.seeds.add(&account);
            }
            accounting.peers.insert(it.name.clone(), account);
        }
        (!accounting.peers.is_empty()).then_some(accounting)
    }
}

impl Account {
    /// The parts as shares of the capacity, in the order of the fields.
    #[must_use]
    pub fn shares(&self) -> [f64; 6] {
        let parts = [
            self.payload_bytes,
            self.duplicate_bytes,
            self.protocol_bytes,
            self.retransmission_bytes,
            self.idle_waiting_bytes,
            self.idle_bytes,
        ];
        parts.map(|part| if self.capacity_bytes > 0.0 { part / self.capacity_bytes } else { 0.0 })
    }

    /// Share of the capacity that the parts leave over; negative where they are more than all of it.
    ///
    /// Within [`TOLERANCE`] in an undisturbed run: the receivers' last words and the senders' are some milliseconds
    /// apart, and loss that was declared too early counts twice.
    #[must_use]
    pub fn unexplained(&self) -> f64 {
        1.0 - self.shares().iter().sum::<f64>()
    }

    fn add(&mut self, other: &Self) {
        self.capacity_bytes += other.capacity_bytes;
        self.payload_bytes += other.payload_bytes;
        self.duplicate_bytes += other.duplicate_bytes;
        self.protocol_bytes += other.protocol_bytes;
        self.retransmission_bytes += other.retransmission_bytes;
        self.idle_waiting_bytes += other.idle_waiting_bytes;
        self.idle_bytes += other.idle_bytes;
    }
}

/// How far the parts of an account may be from its whole, as a share of it.
pub const TOLERANCE: f64 = 0.01;

/// The account of one uplink: its own words, and those of everybody who received from it.
fn account(word: &Word) -> Option<Account> {
    let uplink = word.status.uplink.as_ref()?;
    let (payload, duplicate) = (word.received.useful as f64, word.received.wasted as f64);
    let bytes_per_second = uplink.rate_bps as f64 / 8.0;
    let (sent, lost) = (uplink.wire_bytes as f64, uplink.lost_bytes as f64);
    Some(Account {
        capacity_bytes: uplink.seconds * bytes_per_second,
        payload_bytes: payload,
        duplicate_bytes: duplicate,
        protocol_bytes: (sent - payload - duplicate - lost).max(0.0),
        retransmission_bytes: lost,
        idle_waiting_bytes: uplink.idle_waiting_seconds * bytes_per_second,
        idle_bytes: uplink.idle_seconds * bytes_per_second,
    })
}
