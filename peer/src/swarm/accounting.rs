//! The account that a swarm's driver gives of its uplink: what it tells the ledger, and what it reads there.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerbed_proto::swarm::Swarm;

use crate::clock;
use crate::config::UplinkRate;
use crate::status::{ReceivedBytes, UplinkUse};
use crate::transport::{Reading, Transport};

/// A distribution's view of the uplink's ledger, from its begin on.
#[derive(Debug)]
pub(super) struct Account {
    transport: Arc<Transport>,
    rate: Option<UplinkRate>,
    begin: Reading,
    /// Whether the ledger knows that somebody waits for us.
    wanting: bool,
    /// Whether runs have been begun since all were confirmed.
    owing: bool,
}

impl Account {
    pub(super) fn open(transport: Arc<Transport>) -> Self {
        let begin = transport.ledger().read(clock::now());
        Self { rate: transport.uplink_rate(), transport, begin, wanting: false, owing: false }
    }

    /// A run was handed to QUIC.
    pub(super) fn on_serve(&mut self, bytes: u64) {
        self.owing = true;
        self.transport.ledger().on_payload(clock::now(), bytes);
    }

    /// Tells the ledger what has changed in the core.
    pub(super) fn note(&mut self, core: &Swarm) {
        if self.rate.is_none() {
            return;
        }
        let wanting = core.has_requests_waiting();
        if wanting != self.wanting {
            self.wanting = wanting;
            self.transport.ledger().on_wanting(clock::now(), wanting);
        }
        if self.owing && !core.is_serving() {
            self.owing = false;
            self.transport.ledger().on_settled(clock::now());
        }
    }

    /// Where the uplink's time went since the begin; `lost_bytes` is what QUIC declared lost on the way.
    pub(super) fn used(&self, lost_bytes: u64) -> Option<UplinkUse> {
        let rate = self.rate?;
        let now = self.transport.ledger().read(clock::now());
        let begin = &self.begin;
        Some(UplinkUse {
            rate_bps: rate.bits_per_second,
            seconds: now.t - begin.t,
            wire_bytes: now.wire_bytes.saturating_sub(begin.wire_bytes),
            datagrams: now.datagrams - begin.datagrams,
            lost_bytes,
            idle_waiting_seconds: now.idle_wanted - begin.idle_wanted,
            idle_seconds: now.idle_unwanted - begin.idle_unwanted,
        })
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.wanting {
            self.transport.ledger().on_wanting(clock::now(), false);
        }
        if self.owing {
            self.transport.ledger().on_settled(clock::now());
        }
    }
}

/// What came from each neighbour, as the status shows it.
pub(super) fn received(core: &Swarm) -> BTreeMap<u32, ReceivedBytes> {
    let bytes = core.received().map(|(peer, received)| {
        (peer.0, ReceivedBytes { useful: received.useful_bytes, wasted: received.wasted_bytes })
    });
    bytes.collect()
}
