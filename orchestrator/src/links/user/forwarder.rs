//! The engine's thread: waits for devices, the clock and commands, and drives the switch.
//!
//! Frames are read into one buffer; a frame that nothing holds is written from there. The thread takes no lock. No decision
//! about a packet is made here.
//!
//! Sleeping is what costs most: to set a timer and be woken by it takes 10 µs of processor time on a virtual machine. So
//! `epoll` is asked without waiting first, and again until the next event if that is nearer than [`SLEEP_MIN`]; only
//! then the thread sleeps, in `ppoll` on the `epoll` descriptor, whose timeout counts nanoseconds on every kernel. Where
//! many peers' packets would each wake it, it sleeps for [`NAP`] at a time instead and takes what has come meanwhile.

use std::{
    io,
    num::NonZeroU64,
    os::fd::{AsFd, OwnedFd},
    sync::mpsc,
    time::Duration,
};

use hdrhistogram::Histogram;
use peerbed_proto::time::Time;
use rustix::{
    event::{PollFd, PollFlags, epoll, poll},
    time::{ClockId, Timespec, clock_gettime},
};

use super::{
    Counters, Health, LinkCounters, Losses, Priority,
    device::Device,
    frame::FRAME_MAX,
    schedule::Side,
    switch::{Exit, Switch},
    system,
};
use crate::{
    links::emulation::{
        counters::{record, times},
        settings::Settings,
    },
    links::tally::Tally,
    plan::CutDirection,
};

/// Something another thread asks of the engine.
pub(super) enum Command {
    /// Give one direction of a port's link other settings.
    Change(Side, u32, Box<Settings>),
    /// Cut sets of ports off from each other, under this name.
    Cut(String, Vec<Vec<u32>>, CutDirection),
    /// End the partition of this name.
    Heal(String),
    /// Send the settings of one direction of a port's link.
    Show(Side, u32, mpsc::Sender<Settings>),
    /// Send what partitions and links that are down have lost.
    Lost(mpsc::Sender<Losses>),
    /// Send what has been counted.
    Count(mpsc::Sender<Counters>),
    /// Send how well it goes.
    Examine(mpsc::Sender<Health>),
    /// Send what each link has done, up and down, in short.
    Tell(mpsc::Sender<Vec<[Tally; 2]>>),
    /// End. What is on its way is lost.
    Stop,
}

/// All that the thread works with.
pub(super) struct Forwarder {
    switch: Switch,
    outlets: Outlets,
    commands: mpsc::Receiver<Command>,
    epoll: OwnedFd,
    buffer: Box<[u8]>,
    wakeups: u64,
    /// When the thread last woke up, and whether anything was ready since.
    woke_at: Time,
    was_busy: bool,
    /// How late timers wake the thread from long sleeps, lately; and what it got up early for.
    oversleeping: Duration,
    awake_until: Time,
    /// How often in a row it was done within [`NAP`] of being woken.
    short_days: u32,
    is_running: bool,
}

/// The devices, as exits of the switch.
struct Outlets {
    /// By port.
    outlets: Vec<Outlet>,
    /// How late packets were handed over at all ports together, in microseconds.
    lateness: Histogram<u32>,
}

struct Outlet {
    device: Device,
    /// How late packets were handed over, in microseconds.
    lateness: Histogram<u32>,
    /// Packets that the peer's kernel did not take.
    refused: u64,
}

impl Forwarder {
    /// Prepares everything that can fail.
    ///
    /// # Errors
    ///
    /// When file descriptors have run out.
    pub(super) fn new(
        switch: Switch,
        devices: Vec<Device>,
        commands: mpsc::Receiver<Command>,
        bell: &OwnedFd,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // Edge-triggered, the bell need not be read: each ring is told once.
        let told_once = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, bell, epoll::EventData::new_u64(BELL), told_once)?;
        for (port, device) in (0..).zip(&devices) {
            epoll::add(&epoll, device.as_fd(), epoll::EventData::new_u64(port), epoll::EventFlags::IN)?;
        }
        let outlets =
            devices.into_iter().map(|device| Outlet { device, lateness: times(), refused: 0 }).collect::<Vec<_>>();
        Ok(Self {
            switch,
            outlets: Outlets { outlets, lateness: times() },
            commands,
            epoll,
            buffer: vec![0; FRAME_MAX].into_boxed_slice(),
            wakeups: 0,
            woke_at: Time::ZERO,
            was_busy: false,
            oversleeping: Duration::ZERO,
            awake_until: Time::ZERO,
            short_days: 0,
            is_running: true,
        })
    }

    /// Carries frames until told to stop, and returns what was counted.
    ///
    /// # Errors
    ///
    /// When waiting fails, which no state of the peers can cause.
    pub(super) fn run(mut self) -> io::Result<Counters> {
        let mut ready = Vec::with_capacity(READY_MAX);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        while self.is_running {
            self.switch.handle_timeout(now(), &mut self.outlets);
            ready.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&at_once)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &ready {
                match event.data.u64() {
                    BELL => self.obey(),
                    port => self.read(u32::try_from(port).expect("ports were numbered as u32"))?,
                }
            }
            if ready.is_empty() {
                self.sleep()?;
            } else {
                self.was_busy = true;
            }
        }
        Ok(self.counters())
    }

    /// Waits until something is ready, the next event is near, or a nap is over.
    fn sleep(&mut self) -> io::Result<()> {
        let now = now();
        let left = self.switch.poll_timeout().map(|at| at - now);
        if left.is_some_and(|left| left < SLEEP_MIN) || now < self.awake_until {
            return Ok(());
        }
        let was_short = self.was_busy && now - self.woke_at < NAP;
        self.short_days = if was_short { self.short_days.saturating_add(1) } else { 0 };
        let long = left.filter(|&left| left >= LONG_SLEEP).map(|left| left - self.oversleeping);
        let slept = if self.short_days > SHORT_DAYS_MAX {
            let nap = left.map_or(NAP, |left| left.min(NAP));
            poll(&mut [], Some(&timespec(nap)))
        } else {
            poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], long.or(left).map(timespec).as_ref())
        };
        (self.woke_at, self.was_busy) = (self::now(), false);
        self.wakeups += 1;
        match (slept, long) {
            (Ok(0), Some(asked)) => {
                let late = (self.woke_at - (now + asked)).min(OVERSLEEPING_MAX);
                self.awake_until = now + asked + self.oversleeping;
                self.oversleeping = (self.oversleeping * 7 + late) / 8;
            }
            (Ok(_) | Err(rustix::io::Errno::INTR), _) => {}
            (Err(error), _) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads what a peer has sent, but lets others have their turn after [`BATCH`] frames.
    fn read(&mut self, port: u32) -> io::Result<()> {
        for _ in 0..BATCH {
            let device = &self.outlets.outlets[port as usize].device;
            match device.read(&mut self.buffer) {
                Ok(Some(length)) => {
                    let frame = &self.buffer[..length];
                    self.switch.handle_frame(now(), port, frame, &mut self.outlets);
                }
                Ok(None) => break,
                // The namespace has ended, and the device with it; the other peers go on.
                Err(_) => return Ok(epoll::delete(&self.epoll, device.as_fd())?),
            }
        }
        Ok(())
    }

    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Change(side, port, settings) => {
                    self.switch.change(now(), side, port, *settings, &mut self.outlets);
                }
                Command::Cut(name, sides, direction) => {
                    self.switch.cut(now(), name, &sides, direction, &mut self.outlets);
                }
                Command::Heal(name) => self.switch.heal(now(), &name, &mut self.outlets),
                // Who asked may have gone.
                Command::Show(side, port, answer) => {
                    let _ = answer.send(self.switch.settings(side, port));
                }
                Command::Lost(answer) => {
                    let partitions = self.switch.partitions().into_iter().map(|cut| (cut.name, cut.dropped)).collect();
                    let lost = Losses { partitions, down: self.switch.dropped_down() };
                    let _ = answer.send(lost);
                }
                Command::Count(answer) => {
                    let _ = answer.send(self.counters());
                }
                Command::Examine(answer) => {
                    let _ = answer.send(self.health());
                }
                Command::Tell(answer) => {
                    let _ = answer.send(self.switch.tallies());
                }
                Command::Stop => self.is_running = false,
            }
        }
    }

    fn health(&self) -> Health {
        let refused: u64 = self.outlets.outlets.iter().map(|outlet| outlet.refused).sum();
        Health { lateness: self.outlets.lateness.clone(), dropped: refused + self.switch.dropped_memory() }
    }

    fn counters(&self) -> Counters {
        let links = (0..).zip(&self.outlets.outlets).map(|(port, outlet)| {
            let (up, down) = self.switch.counters(port);
            LinkCounters {
                up: up.clone(),
                down: down.clone(),
                lateness: outlet.lateness.clone(),
                refused: outlet.refused,
            }
        });
        Counters {
            links: links.collect(),
            refused: self.switch.refused(),
            partitions: self.switch.partitions(),
            wakeups: self.wakeups,
        }
    }
}

impl Exit for Outlets {
    fn deliver(&mut self, port: u32, frame: &[u8], packets: u32, due: Time) {
        let outlet = &mut self.outlets[port as usize];
        let late = now() - due;
        record(&mut outlet.lateness, late, packets);
        record(&mut self.lateness, late, packets);
        if outlet.device.write(frame).is_err() {
            outlet.refused += u64::from(packets);
        }
    }
}

/// Makes the calling thread run before others, as far as it may.
pub(super) fn hurry() -> Priority {
    // A kernel without this call wakes sleepers up to 50 µs late.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    if system::become_realtime().is_ok() {
        return Priority::Realtime;
    }
    // On Linux this is about the calling thread, whatever the name says.
    match rustix::process::setpriority_process(None, NICE) {
        Ok(()) => Priority::Nice,
        Err(_) => Priority::Normal,
    }
}

/// This instant on the system's monotonic clock, which is the same in all namespaces.
fn now() -> Time {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    Time::from_nanos(seconds.unwrap_or(0) * NANOS + nanos.unwrap_or(0))
}

fn timespec(duration: Duration) -> Timespec {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: duration.subsec_nanos().into() }
}

const NANOS: u64 = 1_000_000_000;
/// Frames read from one device before the next gets its turn: the time of about 100 µs.
const BATCH: usize = 32;
/// Devices told ready at once; the others are told next time.
const READY_MAX: usize = 256;
/// Best below real time.
const NICE: i32 = -20;
/// What `epoll` tells beside ports.
const BELL: u64 = u64::MAX;
/// Shortest sleep: about what falling asleep and waking up take together.
const SLEEP_MIN: Duration = Duration::from_micros(20);
/// Sleeps from this length on are cut short by what the thread overslept lately: a processor that has been idle for so
/// long, above all a virtual one, needs some 100 µs to come back. What is left of the time it waits awake, which at a
/// thousand sleeps a second takes little.
const LONG_SLEEP: Duration = Duration::from_millis(1);
/// Most that a sleep is cut short by. On a host this busy nothing is punctual.
const OVERSLEEPING_MAX: Duration = Duration::from_micros(300);
/// How long the thread sleeps at a time under many small packets. Each packet waits for half of it on average, which the
/// promise of a millisecond does not notice, and 20 000 times a second is all that it wakes up for them.
const NAP: Duration = Duration::from_micros(50);
/// A few packets in quick succession, as a handshake has them, are taken one by one.
const SHORT_DAYS_MAX: u32 = 8;
