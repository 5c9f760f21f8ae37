//! The switch with made-up frames and times.

use std::{net::Ipv4Addr, time::Duration};

use peerbed_proto::{random::Random, time::Time};

use super::packets::{ALICE, BOB, Built};
use crate::{
    links::{
        emulation::settings::Settings,
        user::{
            frame::{Frame, OFFLOAD},
            schedule::Side,
            switch::{Exit, Latencies, Port, Refused, Switch},
        },
    },
    plan::{CutDirection, Loss, Queue},
    units::{Rate, Share, Span},
};

const CAROL: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
const OPEN: Settings = Settings::UNSHAPED;

#[test]
fn an_open_network_delivers_at_once_and_untouched() {
    let mut net = Net::new([(OPEN, OPEN), (OPEN, OPEN)]);
    let train = Built::udp(40 * 1400).train(1400).as_handed_over();
    net.send(at(3), 0, &train);
    assert_eq!(net.delivered(at(3)), [(1, at(3), train)]);
}

#[test]
fn a_packet_takes_both_delays_both_rates_and_the_latency_between() {
    // 1000 bytes at 8 Mbit/s up take 1 ms, at 4 Mbit/s down 2 ms.
    let up = Settings { delay: ms(10), ..rate(8_000_000) };
    let down = Settings { delay: ms(5), ..rate(4_000_000) };
    let mut net = Net::new([(up, OPEN), (OPEN, down)]);
    net.send(at(0), 0, &Built::udp(972).on_the_wire());
    assert_eq!(net.times(at(100)), [(1, at(1 + 10 + 40 + 2 + 5))]);
    net.send(at(100), 1, &answer(&Built::udp(972)));
    assert_eq!(net.times(at(200)), [(0, at(100 + 80))], "the way back has its own latency and no rate");
}

#[test]
fn latency_alone_delays_whole_trains() {
    let mut net = Net::with_latency([(OPEN, OPEN), (OPEN, OPEN)]);
    let train = Built::udp(40 * 1400).train(1400).as_handed_over();
    net.send(at(0), 0, &train);
    assert_eq!(net.delivered(at(100)), [(1, at(40), train)]);
}

#[test]
fn a_slow_receiver_gets_a_train_segment_by_segment() {
    let mut net = Net::new([(OPEN, OPEN), (OPEN, rate(8_000_000))]);
    let train = Built::udp(2 * 972 + 472).train(972);
    net.send(at(0), 0, &train.as_handed_over());
    let half = Time::from_nanos(2_500_000);
    assert_eq!(net.times(at(10)), [(1, at(1)), (1, at(2)), (1, half)]);
}

#[test]
fn packets_from_two_senders_share_the_receivers_queue_in_order_of_arrival() {
    let near = Settings { delay: ms(1), ..OPEN };
    let far = Settings { delay: ms(9), ..OPEN };
    let mut net = Net::new([(far, OPEN), (near, OPEN), (OPEN, rate(8_000_000))]);
    let to_carol = |from| Built { from, to: CAROL, ..Built::udp(972) }.on_the_wire();
    net.send(at(0), 0, &to_carol(ALICE));
    (0..10).for_each(|_| net.send(at(0), 1, &to_carol(BOB)));
    net.run(at(100));
    let senders: Vec<Ipv4Addr> = net.exit.0.iter().map(|(_, _, bytes)| source(bytes)).collect();
    // Bob's come at 1 ms and take until 11 ms; Alice's comes at 9 ms, behind the last of them.
    assert_eq!(senders.iter().position(|&sender| sender == ALICE), Some(10));
}

#[test]
fn what_no_link_takes_is_counted_by_reason() {
    let mut net = Net::new([(OPEN, OPEN), (OPEN, OPEN)]);
    net.send(at(0), 0, &Built { to: Ipv4Addr::new(198, 18, 9, 9), ..Built::udp(10) }.on_the_wire());
    net.send(at(0), 0, &[0; OFFLOAD + 40]);
    net.send(at(0), 0, &[]);
    assert_eq!(net.switch.refused(), Refused { foreign: 1, malformed: 1, unknown: 1, memory: 0 });
    assert_eq!(net.times(at(1)), []);
}

#[test]
fn copies_and_originals_are_alike_in_both_directions() {
    let twice = Settings { duplicate: Share::WHOLE, ..OPEN };
    let mut net = Net::new([(twice, OPEN), (OPEN, twice)]);
    let bytes = Built::udp(500).on_the_wire();
    net.send(at(0), 0, &bytes);
    assert_eq!(net.delivered(at(1)), vec![(1, at(0), bytes); 4]);
}

#[test]
fn a_change_applies_to_what_waits() {
    let mut net = Net::new([(rate(8_000), OPEN), (OPEN, OPEN)]);
    (0..3).for_each(|_| net.send(at(0), 0, &Built::udp(972).on_the_wire()));
    // The first needs a second; the others do not wait for theirs.
    net.switch.change(at(10), Side::Up, 0, rate(8_000_000), &mut net.exit);
    assert_eq!(net.times(at(10_000)), [(1, at(1000)), (1, at(1001)), (1, at(1002))]);
}

#[test]
fn a_partition_keeps_sides_apart_until_it_is_healed() {
    let mut net = Net::new([(OPEN, OPEN), (OPEN, OPEN), (OPEN, OPEN)]);
    let from_to = |from, to| Built { from, to, ..Built::udp(100) }.on_the_wire();
    let everybody = |net: &mut Net, now| {
        for (port, from, to) in [(0, ALICE, BOB), (1, BOB, ALICE), (0, ALICE, CAROL), (2, CAROL, ALICE)] {
            net.send(now, port, &from_to(from, to));
        }
        net.times(now).len()
    };
    net.switch.cut(at(0), "all".into(), &[vec![0], vec![1]], CutDirection::Both, &mut net.exit);
    assert_eq!(everybody(&mut net, at(1)), 2, "who is on no side reaches everybody");
    net.switch.heal(at(2), "all", &mut net.exit);
    assert_eq!(everybody(&mut net, at(3)), 4);
    net.switch.cut(at(4), "half".into(), &[vec![0], vec![1, 2]], CutDirection::OneWay, &mut net.exit);
    assert_eq!(everybody(&mut net, at(5)), 2);
    let counts: Vec<_> = net.switch.partitions().into_iter().map(|count| (count.name, count.dropped)).collect();
    assert_eq!(counts, [("all".to_owned(), 2), ("half".to_owned(), 2)]);
}

#[test]
fn a_partition_takes_what_its_senders_links_still_hold() {
    let slow = rate(8_000_000);
    let mut net = Net::new([(slow, OPEN), (OPEN, OPEN)]);
    (0..3).for_each(|_| net.send(at(0), 0, &Built::udp(972).on_the_wire()));
    net.switch.cut(Time::from_nanos(1_500_000), "p0".into(), &[vec![0], vec![1]], CutDirection::Both, &mut net.exit);
    assert_eq!(net.times(at(10)), [(1, at(1))]);
    assert_eq!(net.switch.counters(0).0.left.packets, 3, "they took their time on it");
}

#[test]
fn every_segment_arrives_or_is_counted_whatever_befalls_it() {
    let mut net = Net::new([(rough(), rough()), (rough(), rough())]);
    let mut random = Random::new(3, "traffic");
    let mut now = 0;
    for _ in 0..2000 {
        now += random.below(3_000_000) as u64;
        let from = random.below(2) as u32;
        let segments = 1 + random.below(20);
        let built = Built::udp(segments * 1000 - random.below(900)).train(1000);
        let built = if from == 0 { built } else { Built { from: BOB, to: ALICE, ..built } };
        net.send(Time::from_nanos(now), from, &built.as_handed_over());
    }
    net.run(at(100_000));
    assert_eq!(net.switch.poll_timeout(), None);
    let delivered = net.exit.0.iter().map(|(_, _, bytes)| u64::from(Frame::read(bytes).unwrap().train.segments)).sum();
    let (mut left, mut unaccounted) = (0, 0);
    for port in 0..2 {
        let (up, down) = net.switch.counters(port);
        left += down.left.packets;
        for direction in [up, down] {
            unaccounted += direction.offered.packets + direction.duplicated - direction.left.packets;
            unaccounted -= direction.dropped();
        }
        assert!(up.dropped_loss > 0 && up.dropped_queue > 0 && up.duplicated > 0 && up.corrupted > 0);
        assert_eq!(up.left.packets, net.switch.counters(1 - port).1.offered.packets);
    }
    assert_eq!((left, unaccounted), (delivered, 0));
}

#[test]
fn same_frames_at_same_times_arrive_alike() {
    let run = || {
        let mut net = Net::new([(rough(), rough()), (rough(), rough())]);
        for n in 0..500 {
            net.send(at(n), (n % 2) as u32, &if n % 2 == 0 { train() } else { answer(&Built::udp(900)) });
        }
        net.delivered(at(100_000))
    };
    assert_eq!(run(), run());
}

/// A switch and what came out of it.
struct Net {
    switch: Switch,
    exit: Heap,
}

/// Port, time and frame of everything delivered.
#[derive(Default)]
struct Heap(Vec<(u32, Time, Vec<u8>)>);

impl Exit for Heap {
    fn deliver(&mut self, port: u32, frame: &[u8], packets: u32, due: Time) {
        assert_eq!(Frame::read(frame).unwrap().train.segments, packets);
        self.0.push((port, due, frame.to_vec()));
    }
}

impl Net {
    /// Peers with these settings up and down, with latencies where any link has a delay.
    fn new<const N: usize>(links: [(Settings, Settings); N]) -> Self {
        let delayed = N == 2 && links.iter().any(|(up, _)| !up.delay.is_zero() && up.loss.average == Share(0));
        Self::build(links, delayed)
    }

    fn with_latency<const N: usize>(links: [(Settings, Settings); N]) -> Self {
        Self::build(links, true)
    }

    /// Peer n is in region n; from 0 to 1 it takes 40 ms, back 80 ms.
    fn build<const N: usize>(links: [(Settings, Settings); N], with_latency: bool) -> Self {
        let mut latencies = Latencies::none(N);
        if with_latency {
            latencies.set(0, 1, ms(40));
            latencies.set(1, 0, ms(80));
        }
        let ports = [ALICE, BOB, CAROL]
            .into_iter()
            .zip(links)
            .enumerate()
            .map(|(index, (address, (up, down)))| {
                let seed = index as u64;
                Port::new(address, index, (up, 2 * seed), (down, 2 * seed + 1))
            })
            .collect();
        Self { switch: Switch::new(ports, latencies), exit: Heap::default() }
    }

    fn send(&mut self, now: Time, from: u32, bytes: &[u8]) {
        self.switch.handle_frame(now, from, bytes, &mut self.exit);
    }

    fn run(&mut self, until: Time) {
        self.switch.handle_timeout(until, &mut self.exit);
    }

    fn delivered(&mut self, until: Time) -> Vec<(u32, Time, Vec<u8>)> {
        self.run(until);
        std::mem::take(&mut self.exit.0)
    }

    fn times(&mut self, until: Time) -> Vec<(u32, Time)> {
        self.delivered(until).into_iter().map(|(port, time, _)| (port, time)).collect()
    }
}

/// A link on which everything happens.
fn rough() -> Settings {
    Settings {
        delay: ms(20),
        loss: Loss { average: Share(50_000_000), burst: 3 },
        duplicate: Share(20_000_000),
        reorder: Share(20_000_000),
        corrupt: Share(20_000_000),
        queue: Queue::Time(Span(ms(10))),
        ..rate(40_000_000)
    }
}

fn train() -> Vec<u8> {
    Built::udp(9 * 1000 + 1).train(1000).as_handed_over()
}

fn answer(built: &Built) -> Vec<u8> {
    Built { from: BOB, to: ALICE, ..built.clone() }.on_the_wire()
}

fn source(bytes: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(bytes[OFFLOAD + 12], bytes[OFFLOAD + 13], bytes[OFFLOAD + 14], bytes[OFFLOAD + 15])
}

fn rate(bits: u64) -> Settings {
    Settings { rate: Some(Rate(bits)), ..OPEN }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Time {
    Time::ZERO + ms(millis)
}
