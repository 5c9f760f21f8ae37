//! Performs what the announcer asks for.

use peerbed_proto::PeerId;
use peerbed_proto::tracker::{Announce, AnnouncerOutput, Entry};

use crate::clock;
use crate::swarm::{ADDRESSES_MAX, Input, Run};
use crate::tracker;

impl Run {
    pub(super) fn perform_announcing(&mut self, output: AnnouncerOutput) {
        match output {
            AnnouncerOutput::Announce(announce) => self.announce(announce),
            AnnouncerOutput::Peers(entries) => self.take_peers(&entries),
            AnnouncerOutput::Left => self.announcer_left = true,
        }
    }

    fn announce(&mut self, announce: Announce) {
        let tracker = self.driver.tracker;
        let surroundings = &self.driver.surroundings;
        let me = surroundings.transport.me();
        if tracker.peer == me {
            let answer = match &surroundings.tracker {
                Some(service) => service.announce(PeerId(me), tracker.addr, announce),
                None => Err(anyhow::anyhow!("this peer serves no tracker")),
            };
            return self.handle_input(Input::Announced(answer));
        }
        let transport = surroundings.transport.clone();
        let inbox = self.driver.inbox_sender.clone();
        tokio::spawn(async move {
            let reply = tracker::announce(&transport, tracker, announce).await;
            let _ = inbox.send(Input::Announced(reply)).await;
        });
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
