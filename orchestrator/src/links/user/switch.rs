//! The network between the peers: every link's two directions, latencies and partitions between them, who has which
//! address.
//!
//! It takes frames with the time they arrived and hands frames to an [`Exit`] when they are due. No clock and no devices
//! live here. A frame's way:
//!
//! ```text
//! handle_frame ─▶ sender's up ─▶ latency of the regions ─▶ receiver's down ─▶ Exit::deliver
//!                     └─ Event::Serve      └─ Event::Cross      └─ Event::Serve, Event::Deliver
//! ```
//!
//! A frame that nothing holds goes this way at once and is not copied.

use std::{net::Ipv4Addr, time::Duration};

use peerbed_proto::time::Time;

use super::{
    cut::{corrupt, cut, cut_length},
    frame::{Frame, FrameError},
    partitions::{Cut, PartitionCount, Partitions},
    pool::{Packet, Pool},
    schedule::{Event, Schedule, Side},
};
use crate::{
    links::emulation::{
        Emulation, Output, Passage,
        counters::Counters,
        settings::Settings,
        train::{Mark, Run},
    },
    links::tally::Tally,
    plan::CutDirection,
};

/// Where frames leave the switch.
pub(super) trait Exit {
    /// Hands a frame, which has so many packets in it, to a port's peer. It was due at `due`.
    fn deliver(&mut self, port: u32, frame: &[u8], packets: u32, due: Time);
}

/// Links and what is on its way through them.
#[derive(Debug)]
pub(super) struct Switch {
    ports: Vec<Port>,
    /// Sorted by address.
    addresses: Vec<(Ipv4Addr, u32)>,
    latencies: Latencies,
    partitions: Partitions,
    schedule: Schedule,
    pool: Pool,
    refused: Refused,
}

/// One peer's link.
#[derive(Debug)]
pub(super) struct Port {
    address: Ipv4Addr,
    region: usize,
    up: Direction,
    down: Direction,
}

/// One-way latency for each ordered pair of regions, given by their indices.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    regions: usize,
    /// Row by row, a row for each region of a sender.
    delays: Vec<Duration>,
}

/// Packets and trains that no link took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Not IPv4.
    pub foreign: u64,
    /// Headers that contradict their frame.
    pub malformed: u64,
    /// No peer has the address they were sent to.
    pub unknown: u64,
    /// No memory was left to carry them from region to region.
    pub memory: u64,
}

/// One direction of a link with its packets.
#[derive(Debug)]
struct Direction {
    emulation: Emulation<Box<Packet>>,
    /// When the schedule will serve it, if it will.
    serve_at: Option<Time>,
}

impl Switch {
    /// Joins the ports; a port's number is its place in the list.
    pub(super) fn new(ports: Vec<Port>, latencies: Latencies) -> Self {
        let mut addresses: Vec<_> = (0..).zip(&ports).map(|(number, port)| (port.address, number)).collect();
        addresses.sort_unstable();
        let pool = Pool::new(MEMORY_MAX);
        Self {
            ports,
            addresses,
            latencies,
            partitions: Partitions::default(),
            schedule: Schedule::default(),
            pool,
            refused: Refused::default(),
        }
    }

    /// Takes a frame that a port's peer sent. Everything due by `now` happens first.
    pub(super) fn handle_frame(&mut self, now: Time, from: u32, bytes: &[u8], exit: &mut impl Exit) {
        self.handle_timeout(now, exit);
        let frame = match Frame::read(bytes) {
            Ok(frame) => frame,
            Err(FrameError::Foreign) => return self.refused.foreign += 1,
            Err(FrameError::Malformed) => return self.refused.malformed += 1,
        };
        let Ok(place) = self.addresses.binary_search_by_key(&frame.destination, |&(address, _)| address) else {
            self.refused.unknown += 1;
            return;
        };
        let to = self.addresses[place].1;
        let up = &mut self.ports[from as usize].up.emulation;
        if up.handle_passing(now, &frame.train) == Passage::Held {
            let pool = &mut self.pool;
            up.handle_train(now, &frame.train, |run| cut_out(pool, bytes, frame, run, from, to));
            return self.drain(Side::Up, from);
        }
        if self.partitions.lose(from, to, frame.train.segments) {
            return;
        }
        let latency = self.latency(from, to);
        if latency.is_zero() {
            return self.enter_down(now, bytes, frame, from, to, exit);
        }
        let whole = Run { first: 0, count: frame.train.segments, mark: Mark::Plain };
        match cut_out(&mut self.pool, bytes, frame, whole, from, to) {
            Some(packet) => self.push_cross(now + latency, packet),
            None => self.refused.memory += u64::from(frame.train.segments),
        }
    }

    /// Lets everything happen that is due by `now`, each event at its own time.
    pub(super) fn handle_timeout(&mut self, now: Time, exit: &mut impl Exit) {
        while let Some((at, event)) = self.schedule.pop(now) {
            match event {
                Event::Serve(side, port) => {
                    let direction = self.direction(side, port);
                    // An entry that a change has made void finds another time here.
                    if direction.serve_at == Some(at) {
                        direction.serve_at = None;
                        direction.emulation.handle_timeout(at);
                        self.drain(side, port);
                    }
                }
                Event::Cross(packet) if self.is_lost(&packet) => self.pool.give_back(packet),
                Event::Cross(packet) => self.cross(at, packet, exit),
                Event::Deliver(packet) => {
                    exit.deliver(packet.to, packet.bytes(), packet.frame.train.segments, at);
                    self.pool.give_back(packet);
                }
            }
        }
    }

    /// Changes one direction of a port's link. Everything due by `now` happens first.
    pub(super) fn change(&mut self, now: Time, side: Side, port: u32, settings: Settings, exit: &mut impl Exit) {
        self.handle_timeout(now, exit);
        let direction = self.direction(side, port);
        direction.emulation.change(now, settings);
        direction.serve_at = None;
        self.drain(side, port);
    }

    /// Cuts sets of ports off from each other. Everything due by `now` happens first.
    pub(super) fn cut(
        &mut self,
        now: Time,
        name: String,
        sides: &[Vec<u32>],
        direction: CutDirection,
        exit: &mut impl Exit,
    ) {
        self.handle_timeout(now, exit);
        self.partitions.add(Cut::new(name, self.ports.len(), sides, direction));
    }

    /// Ends a partition. Everything due by `now` happens first.
    pub(super) fn heal(&mut self, now: Time, name: &str, exit: &mut impl Exit) {
        self.handle_timeout(now, exit);
        self.partitions.heal(name);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.schedule.wake()
    }

    /// Counters of a port's link, up and down.
    pub(super) fn counters(&self, port: u32) -> (&Counters, &Counters) {
        let port = &self.ports[port as usize];
        (port.up.emulation.counters(), port.down.emulation.counters())
    }

    /// What each port's link has done, up and down, in short.
    pub(super) fn tallies(&self) -> Vec<[Tally; 2]> {
        let both = |port: &Port| {
            let of = |way: &Direction| Tally::of_user(way.emulation.counters(), way.emulation.waiting_bytes());
            [of(&port.up), of(&port.down)]
        };
        self.ports.iter().map(both).collect()
    }

    /// What each partition has lost.
    pub(super) fn partitions(&self) -> Vec<PartitionCount> {
        self.partitions.counts()
    }

    /// What one direction of a port's link does now.
    pub(super) fn settings(&self, side: Side, port: u32) -> Settings {
        let port = &self.ports[port as usize];
        match side {
            Side::Up => *port.up.emulation.settings(),
            Side::Down => *port.down.emulation.settings(),
        }
    }

    /// Packets lost on links that were down.
    pub(super) fn dropped_down(&self) -> u64 {
        let both = |port: &Port| [&port.up, &port.down].map(|way| way.emulation.counters().dropped_down);
        self.ports.iter().flat_map(both).sum()
    }

    /// Packets dropped for want of memory, anywhere.
    pub(super) fn dropped_memory(&self) -> u64 {
        let both = |port: &Port| [&port.up, &port.down].map(|way| way.emulation.counters().dropped_memory);
        self.refused.memory + self.ports.iter().flat_map(both).sum::<u64>()
    }

    /// What no link took.
    pub(super) fn refused(&self) -> Refused {
        self.refused
    }

    /// A packet from another region, or one that its sender's link has held, reaches its receiver's link.
    fn cross(&mut self, now: Time, packet: Box<Packet>, exit: &mut impl Exit) {
        let (frame, from, to) = (packet.frame, packet.from, packet.to);
        let down = &mut self.ports[to as usize].down.emulation;
        if down.handle_passing(now, &frame.train) == Passage::Through {
            exit.deliver(to, packet.bytes(), frame.train.segments, now);
            return self.pool.give_back(packet);
        }
        let pool = &mut self.pool;
        let mut whole = Some(packet);
        down.handle_train(now, &frame.train, |run| {
            // A copy is cut out before its original, so nothing is wanted of a packet that goes on as it is.
            if run.count == frame.train.segments && run.mark == Mark::Plain {
                return whole.take();
            }
            cut_out(pool, whole.as_ref()?.bytes(), frame, run, from, to)
        });
        whole.into_iter().for_each(|packet| pool.give_back(packet));
        self.drain(Side::Down, to);
    }

    /// A frame that its sender's link has not held, and which is not a packet yet, reaches its receiver's link.
    fn enter_down(&mut self, now: Time, bytes: &[u8], frame: Frame, from: u32, to: u32, exit: &mut impl Exit) {
        let down = &mut self.ports[to as usize].down.emulation;
        if down.handle_passing(now, &frame.train) == Passage::Through {
            return exit.deliver(to, bytes, frame.train.segments, now);
        }
        let pool = &mut self.pool;
        down.handle_train(now, &frame.train, |run| cut_out(pool, bytes, frame, run, from, to));
        self.drain(Side::Down, to);
    }

    /// Performs what a direction asks for and sees that it is served in time.
    fn drain(&mut self, side: Side, port: u32) {
        while let Some(output) = self.direction(side, port).emulation.poll_output() {
            match (output, side) {
                (Output::Arrives { packet, at }, Side::Up) => {
                    let latency = self.latency(packet.from, packet.to);
                    self.push_cross(at + latency, packet);
                }
                (Output::Arrives { packet, at }, Side::Down) => {
                    self.schedule.push(at, Duration::ZERO, Event::Deliver(packet));
                }
                (Output::Dropped { packet }, _) => self.pool.give_back(packet),
            }
        }
        let direction = self.direction(side, port);
        let next = direction.emulation.poll_timeout().map(|(at, _)| at);
        if next != direction.serve_at {
            direction.serve_at = next;
            if let Some(at) = next {
                let lead = direction.emulation.lead();
                self.schedule.push(at, lead, Event::Serve(side, port));
            }
        }
    }

    fn push_cross(&mut self, at: Time, packet: Box<Packet>) {
        let lead = self.ports[packet.to as usize].down.emulation.lead();
        self.schedule.push(at, lead, Event::Cross(packet));
    }

    fn is_lost(&mut self, packet: &Packet) -> bool {
        self.partitions.lose(packet.from, packet.to, packet.frame.train.segments)
    }

    fn direction(&mut self, side: Side, port: u32) -> &mut Direction {
        let port = &mut self.ports[port as usize];
        match side {
            Side::Up => &mut port.up,
            Side::Down => &mut port.down,
        }
    }

    fn latency(&self, from: u32, to: u32) -> Duration {
        self.latencies.between(self.ports[from as usize].region, self.ports[to as usize].region)
    }
}

impl Port {
    /// A link whose fates follow from the seeds of its directions.
    pub(super) fn new(address: Ipv4Addr, region: usize, up: (Settings, u64), down: (Settings, u64)) -> Self {
        let direction = |(settings, seed)| Direction { emulation: Emulation::new(settings, seed), serve_at: None };
        Self { address, region, up: direction(up), down: direction(down) }
    }
}

impl Latencies {
    /// No latency between any two of so many regions.
    pub(super) fn none(regions: usize) -> Self {
        Self { regions, delays: vec![Duration::ZERO; regions * regions] }
    }

    /// Sets the latency from one region to another.
    pub(super) fn set(&mut self, from: usize, to: usize, delay: Duration) {
        self.delays[from * self.regions + to] = delay;
    }

    fn between(&self, from: usize, to: usize) -> Duration {
        self.delays.get(from * self.regions + to).copied().unwrap_or_default()
    }
}

/// Copies a run of a frame's segments into a packet of its own; none when no memory is left.
fn cut_out(pool: &mut Pool, bytes: &[u8], frame: Frame, run: Run, from: u32, to: u32) -> Option<Box<Packet>> {
    let mut packet = pool.take(cut_length(&frame, &run), frame.part(&run), from, to)?;
    cut(bytes, &frame, &run, packet.bytes_mut());
    if let Mark::Corrupted(random) = run.mark {
        corrupt(packet.bytes_mut(), &frame, random);
    }
    Some(packet)
}

/// Most memory for packets on their way: eight 1 Gbit/s links full of trains with a second of delay each. What finds no
/// more is dropped and counted as a drop that nobody asked for.
const MEMORY_MAX: usize = 1 << 30;
