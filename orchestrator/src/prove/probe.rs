//! Small datagrams along many ways at once, and what became of them.
//!
//! Sender and receiver are in this process and read one clock. What has not arrived when it is too late counts as lost; how
//! late is too late is said by each way. A busy host may hold up this process, but not what arrives meanwhile.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// From one peer to another.
#[derive(Debug)]
pub(super) struct Way {
    /// `home-1 to origin`.
    pub(super) name: String,
    pub(super) from: UdpSocket,
    pub(super) to: UdpSocket,
    /// Address of `to`.
    pub(super) target: SocketAddr,
    /// Longest time that a datagram takes, with full queues.
    pub(super) longest: Duration,
}

/// How many are sent and what for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shots {
    /// Most that are sent along each way.
    count: u32,
    /// So many arrivals are enough for a way; more than are sent where all of the time has to be waited for.
    enough: u32,
}

impl Shots {
    /// Nothing shall arrive: a few, in case the link loses some, and all the time they could take.
    pub(super) const SILENCE: Self = Self { count: 5, enough: u32::MAX };
    /// Something shall arrive: as many as it takes within a time that is long for links that lose half of them.
    pub(super) const ARRIVAL: Self = Self { count: 100, enough: 3 };
}

/// What became of one way's datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) sent: u32,
    pub(super) arrived: u32,
    /// The least time that one took.
    pub(super) least: Option<Duration>,
}

/// Sends datagrams along all ways; returns when it is known what became of them.
pub(super) async fn carry(ways: impl Iterator<Item = &Way>, shots: Shots) -> anyhow::Result<Vec<Seen>> {
    let copy = |way: &Way| {
        let (from, to) = (way.from.try_clone()?, way.to.try_clone()?);
        to.set_nonblocking(true)?;
        from.set_nonblocking(true)?;
        Ok(Way { name: way.name.clone(), from, to, target: way.target, longest: way.longest })
    };
    let ways = ways.map(copy).collect::<std::io::Result<Vec<_>>>().context("copying sockets of probes")?;
    tokio::task::spawn_blocking(move || Probing::new(&ways, shots).run()).await.context("the probing thread failed")
}

struct Probing<'a> {
    ways: &'a [Way],
    shots: Shots,
    seen: Vec<Seen>,
    /// When each datagram was sent, by way and number.
    sent: Vec<Vec<Instant>>,
}

impl<'a> Probing<'a> {
    fn new(ways: &'a [Way], shots: Shots) -> Self {
        Self { ways, shots, seen: vec![Seen::default(); ways.len()], sent: vec![Vec::new(); ways.len()] }
    }

    fn run(mut self) -> Vec<Seen> {
        let longest = self.ways.iter().map(|way| way.longest).max().unwrap_or_default();
        let patience = longest.min(LONGEST) + SLACK;
        let mut next = Instant::now();
        let mut over = next + patience;
        for _ in 0..self.shots.count {
            if self.has_enough() {
                return self.seen;
            }
            self.send();
            over = Instant::now() + patience;
            next += INTERVAL;
            self.receive_until(next);
        }
        self.receive_until(over);
        self.seen
    }

    fn has_enough(&self) -> bool {
        self.seen.iter().all(|seen| seen.arrived >= self.shots.enough)
    }

    fn send(&mut self) {
        for (number, way) in self.ways.iter().enumerate() {
            if self.seen[number].arrived >= self.shots.enough {
                continue;
            }
            let shot = u32::try_from(self.sent[number].len()).unwrap_or(u32::MAX);
            let mut packet = [0; PACKET];
            packet[..4].copy_from_slice(&MAGIC);
            packet[4..8].copy_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
            packet[8..].copy_from_slice(&shot.to_be_bytes());
            self.sent[number].push(Instant::now());
            // A full queue takes none; the next one may find room.
            if way.from.send_to(&packet, way.target).is_ok() {
                self.seen[number].sent += 1;
            }
        }
    }

    /// Takes what arrives until an instant, or until it is enough.
    fn receive_until(&mut self, end: Instant) {
        loop {
            // In this order: what has arrived by the end is seen, however late this thread looks.
            let now = Instant::now();
            for way in self.ways {
                self.receive(way);
            }
            let Some(left) = end.checked_duration_since(now).filter(|_| !self.has_enough()) else { return };
            let mut sockets: Vec<PollFd<'_>> =
                self.ways.iter().map(|way| PollFd::new(&way.to, PollFlags::IN)).collect();
            let timeout = Timespec { tv_sec: 0, tv_nsec: left.min(LOOK).subsec_nanos().into() };
            // Whatever it says, the next look is at all of them.
            let _ = poll(&mut sockets, Some(&timeout));
        }
    }

    fn receive(&mut self, way: &Way) {
        let mut buffer = [0; 64];
        while let Ok(length) = way.to.recv(&mut buffer) {
            let at = Instant::now();
            if length != PACKET || buffer[..4] != MAGIC {
                continue;
            }
            let word =
                |from: usize| u32::from_be_bytes([buffer[from], buffer[from + 1], buffer[from + 2], buffer[from + 3]]);
            let (number, shot) = (word(4) as usize, word(8) as usize);
            let Some(sent) = self.sent.get(number).and_then(|sent| sent.get(shot)) else { continue };
            let (took, seen) = (at.saturating_duration_since(*sent), &mut self.seen[number]);
            seen.arrived += 1;
            seen.least = seen.least.into_iter().chain([took]).min();
        }
    }
}

/// Time between two datagrams of a way.
const INTERVAL: Duration = Duration::from_millis(20);
/// What a busy host may hold a datagram up.
const SLACK: Duration = Duration::from_millis(100);
/// Longest wait for a datagram: links with longer queues are judged by what comes until then.
const LONGEST: Duration = Duration::from_secs(5);
/// How often it is looked whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// Length of a datagram: what it begins with, the way's number, its own number.
const PACKET: usize = 12;
const MAGIC: [u8; 4] = *b"PBch";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_arrives_is_counted_by_way_and_what_does_not_is_waited_for() {
        let (open, closed) = (way(true), way(false));
        let seen = carry([&open, &closed].into_iter(), Shots { count: 4, enough: 3 }).await.unwrap();
        assert_eq!((seen[0].arrived, seen[1].arrived), (3, 0));
        assert_eq!(seen[1].sent, 4);
        assert!(seen[0].least.is_some() && seen[1].least.is_none());
    }

    #[tokio::test]
    async fn silence_is_waited_for_until_the_last_could_have_come() {
        let mut quiet = way(false);
        quiet.longest = Duration::from_millis(70);
        let began = Instant::now();
        let seen = carry([&quiet].into_iter(), Shots::SILENCE).await.unwrap();
        assert_eq!((seen[0].sent, seen[0].arrived), (5, 0));
        assert!(began.elapsed() >= 4 * INTERVAL + SLACK + quiet.longest, "{:?}", began.elapsed());
    }

    /// A way on this host; closed, nobody listens at its target.
    fn way(is_open: bool) -> Way {
        let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (to, other) = (socket(), socket());
        let target = if is_open { to.local_addr() } else { other.local_addr() }.unwrap();
        Way { name: "here to there".into(), from: socket(), to, target, longest: Duration::ZERO }
    }
}
