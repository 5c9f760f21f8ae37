//! Performs what the announcer asks for, and keeps where others listen.

use peerbed_proto::swarm::Exchange;
use peerbed_proto::tracker::{Announce, AnnouncerOutput, Entry};

use crate::clock;
use crate::swarm::{ADDRESSES_MAX, Input, Run, discovery};

impl Run {
    pub(super) fn perform_announcing(&mut self, output: AnnouncerOutput) {
        match output {
            AnnouncerOutput::Announce(announce) => self.announce(announce),
            AnnouncerOutput::Peers(entries) => self.take_peers(&entries),
            AnnouncerOutput::Left => self.announcer_left = true,
        }
    }

    fn announce(&mut self, announce: Announce) {
        let surroundings = self.driver.surroundings.clone();
        let tracker = self.driver.tracker;
        if let Some(tracker) = tracker.filter(|tracker| tracker.peer == surroundings.transport.me()) {
            let answer = discovery::announce_here(&surroundings, tracker, announce);
            return self.handle_input(Input::Announced(answer));
        }
        let inbox = self.driver.inbox_sender.clone();
        tokio::spawn(async move {
            let reply = discovery::announce(&surroundings, tracker, announce).await;
            let _ = inbox.send(Input::Announced(reply)).await;
        });
    }

    /// Notes where a neighbour says that others listen. What was heard first stays until a dial there fails.
    pub(super) fn take_hearsay(&mut self, entries: &[Entry]) {
        if self.driver.options.exchange == Exchange::None {
            return;
        }
        for entry in entries {
            if self.hearsay.len() < ADDRESSES_MAX {
                self.hearsay.entry(entry.peer).or_insert(entry.address);
            }
        }
    }

    fn take_peers(&mut self, entries: &[Entry]) {
        let mut peers = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.addresses.len() < ADDRESSES_MAX || self.addresses.contains_key(&entry.peer) {
                self.addresses.insert(entry.peer, entry.address);
                peers.push(entry.peer);
            }
        }
        self.core.handle_neighbours(clock::now(), &peers);
    }
}
