//! Latencies between regions, measured from peer to peer: every pair of regions in both directions.
//!
//! One thread sends rounds of small packets, one from each region to each other; one thread per region receives. The
//! delays of the peers' own links, which `measure` has measured by then, are taken off.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    flow::SMALL,
    found::LatencyFound,
    tolerance,
    vantage::{self, link_of},
};
use crate::{
    links,
    plan::{Link, Plan},
    testbed::Testbed,
};

/// One peer of each region, with sockets.
#[derive(Debug)]
pub(super) struct Places {
    places: Vec<Place>,
    /// Asked latencies between places in use, by index.
    pairs: Vec<Pair>,
}

#[derive(Debug)]
struct Place {
    region: String,
    link: Link,
    socket: UdpSocket,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    from: usize,
    to: usize,
    asked: Duration,
}

/// Opens sockets in all regions with latencies in use; none where there are none.
pub(super) async fn places(testbed: &Testbed, plan: &Plan) -> anyhow::Result<Option<Places>> {
    let mut places = Vec::new();
    for (region, peer) in vantage::regions(plan) {
        let Some(link) = link_of(plan, peer).cloned() else { continue };
        places.push(Place {
            region: region.to_owned(),
            link,
            socket: testbed.probe_socket(peer.id, peer.address).await?,
        });
    }
    let mut pairs = Vec::new();
    for latency in links::latencies_in_use(plan) {
        let index = |name: &str| places.iter().position(|place| place.region == name);
        let (Some(from), Some(mut to)) = (index(&latency.from), index(&latency.to)) else { continue };
        if from == to {
            // From one peer of the region to another, where there is one.
            let Some(other) = vantage::other_inhabitant(plan, &latency.from) else { continue };
            let Some(link) = link_of(plan, other).cloned() else { continue };
            let socket = testbed.probe_socket(other.id, other.address).await?;
            places.push(Place { region: latency.from.clone(), link, socket });
            to = places.len() - 1;
        }
        pairs.push(Pair { from, to, asked: latency.delay.0 });
    }
    Ok((!pairs.is_empty()).then_some(Places { places, pairs }))
}

impl Places {
    /// What was found for each pair, and what is out of tolerance, in sentences. Pairs that are, are measured twice.
    pub(super) fn measure(&self) -> (Vec<LatencyFound>, Vec<String>) {
        let mut times = self.times();
        if (0..self.pairs.len()).any(|index| !self.is_as_asked(index, times[index])) {
            for (best, again) in times.iter_mut().zip(self.times()) {
                *best = (*best).into_iter().chain(again).min();
            }
        }
        let mut problems = Vec::new();
        let found = times.iter().enumerate().map(|(index, time)| {
            let pair = self.pairs[index];
            let [from, to] = [pair.from, pair.to].map(|place| self.places[place].region.clone());
            let measured_s = time.map(|time| time.as_secs_f64() - self.links_ask(pair).as_secs_f64());
            let is_as_asked = self.is_as_asked(index, *time);
            if !is_as_asked {
                let found = measured_s.map_or("nothing arrived".to_owned(), |s| format!("measured {:.2} ms", s * 1e3));
                problems.push(format!(
                    "latency from {from} to {to}: asked {:.2} ms, {found}",
                    pair.asked.as_secs_f64() * 1e3
                ));
            }
            let asked_s = pair.asked.as_secs_f64();
            LatencyFound { from, to, asked_s, measured_s, within_tolerance: Some(is_as_asked) }
        });
        let found = found.collect();
        (found, problems)
    }

    /// The delays that the links of a pair add.
    fn links_ask(&self, pair: Pair) -> Duration {
        self.places[pair.from].link.up.delay.0 + self.places[pair.to].link.down.delay.0
    }

    fn is_as_asked(&self, index: usize, found: Option<Duration>) -> bool {
        let pair = self.pairs[index];
        let asked = self.links_ask(pair) + pair.asked;
        let [up, down] = [&self.places[pair.from].link.up, &self.places[pair.to].link.down];
        let jitter = up.jitter.amount.seconds() + down.jitter.amount.seconds();
        // The least of some packets with jitter is early, not late.
        let spare = self.round_seconds(pair.from).max(self.round_seconds(pair.to)) + jitter;
        found.is_some_and(|found| tolerance::is_time(asked.as_secs_f64(), found.as_secs_f64() + jitter, spare + jitter))
    }

    /// How long a place's slower direction takes for one packet to or from each other place.
    fn round_seconds(&self, place: usize) -> f64 {
        let bits = f64::from(SMALL * 8) * self.places.len() as f64;
        bits / vantage::slowest_rate(&self.places[place].link) as f64
    }

    /// The least one-way time of each pair.
    fn times(&self) -> Vec<Option<Duration>> {
        let slowest = (0..self.places.len()).map(|place| self.round_seconds(place)).fold(0.0, f64::max);
        let interval = Duration::from_secs_f64(slowest * 3.0).clamp(INTERVAL_MIN, INTERVAL_MAX);
        let longest = (0..self.pairs.len()).map(|i| self.links_ask(self.pairs[i]) + self.pairs[i].asked).max();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let receivers: Vec<_> =
                self.places.iter().map(|place| scope.spawn(|| receive(&place.socket, &is_over))).collect();
            let sent = self.send(interval);
            let patience = longest.unwrap_or_default() + PATIENCE;
            #[expect(clippy::disallowed_methods, reason = "packets that are lost announce nothing")]
            thread::sleep(patience);
            is_over.store(true, Ordering::Relaxed);
            let mut times: Vec<Option<Duration>> = vec![None; self.pairs.len()];
            for (number, at) in receivers.into_iter().flat_map(|thread| thread.join().unwrap_or_default()) {
                if let Some(sent) = sent.get(number as usize) {
                    let pair = number as usize % self.pairs.len();
                    let time = at.saturating_duration_since(*sent);
                    times[pair] = times[pair].into_iter().chain([time]).min();
                }
            }
            times
        })
    }

    /// Sends the rounds; when each packet was sent, by number, which counts through the pairs of each round.
    fn send(&self, interval: Duration) -> Vec<Instant> {
        let began = Instant::now();
        let mut sent = Vec::new();
        for round in 0..ROUNDS {
            for (index, pair) in self.pairs.iter().enumerate() {
                let number = u32::try_from(round as usize * self.pairs.len() + index).unwrap_or(u32::MAX);
                let mut packet = [0; 8];
                packet[..4].copy_from_slice(&MAGIC);
                packet[4..].copy_from_slice(&number.to_be_bytes());
                let target = self.places[pair.to].socket.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
                sent.push(Instant::now());
                // What is not sent does not arrive and is not counted; other rounds follow.
                let _ = self.places[pair.from].socket.send_to(&packet, target);
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "the pace of sending is what is wanted, there is no condition"
            )]
            thread::sleep((interval * (round + 1)).saturating_sub(began.elapsed()));
        }
        sent
    }
}

fn receive(socket: &UdpSocket, is_over: &AtomicBool) -> Vec<(u32, Instant)> {
    let mut arrived = Vec::new();
    if socket.set_read_timeout(Some(LOOK)).is_err() {
        return arrived;
    }
    let mut buffer = [0; 64];
    while !is_over.load(Ordering::Relaxed) {
        if let Ok(8) = socket.recv(&mut buffer)
            && buffer[..4] == MAGIC
        {
            let [.., a, b, c, d] = buffer[..8] else { continue };
            arrived.push((u32::from_be_bytes([a, b, c, d]), Instant::now()));
        }
    }
    arrived
}

/// Packets of each pair, of which the fastest counts; with 10 % of loss, all are lost once in 10^12.
const ROUNDS: u32 = 12;
/// Time between rounds; slow links need more.
const INTERVAL_MIN: Duration = Duration::from_millis(15);
const INTERVAL_MAX: Duration = Duration::from_millis(150);
/// What a busy host may hold a packet up.
const PATIENCE: Duration = Duration::from_millis(60);
/// How often a receiver to which nothing comes looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// What these packets begin with.
const MAGIC: [u8; 4] = *b"PBlt";
