//! One stream of numbered datagrams from one socket to another, both in this process: what was sent and what arrived when.
//!
//! Sender and receiver read the same clock, so that one-way times are exact. What a stream is sent for, and what its
//! arrivals mean, is decided in `measure`.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, UdpSocket},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::net::{SendFlags, sendto};

/// A stream to be sent.
#[derive(Debug)]
pub(super) struct Flow<'a> {
    pub(super) from: &'a UdpSocket,
    pub(super) to: &'a UdpSocket,
    /// Address of `to`.
    pub(super) target: SocketAddr,
    pub(super) pace: Pace,
}

/// What is sent, and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Size of each IP packet; [`SMALL`] to [`FULL`].
    pub(super) bytes: u32,
    /// Packets per second.
    pub(super) per_second: f64,
    /// For how long.
    pub(super) lasts: Duration,
    /// How long the receiver waits behind the last packet sent or seen.
    pub(super) patience: Duration,
    /// Most packets sent at once after the sender was held up; what is due beyond is left out.
    pub(super) burst_max: u32,
}

/// What became of a stream.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When each packet was sent, by number.
    pub(super) sent: Vec<Instant>,
    /// How often the sender's kernel took no more for the moment: the way out was full.
    pub(super) refused: u32,
    /// In order of arrival; copies count.
    pub(super) arrivals: Vec<Arrival>,
}

/// One packet that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) number: u32,
    pub(super) at: Instant,
}

impl Seen {
    /// One-way times of all packets that arrived, copies left out.
    pub(super) fn delays(&self) -> Vec<Duration> {
        let mut first = vec![None; self.sent.len()];
        for arrival in &self.arrivals {
            if let Some(slot) = first.get_mut(arrival.number as usize) {
                slot.get_or_insert(arrival.at);
            }
        }
        self.sent.iter().zip(first).filter_map(|(sent, at)| Some(at?.saturating_duration_since(*sent))).collect()
    }
}

/// Sends all streams at the same time and returns what became of them, in order.
pub(super) fn carry(flows: &[Flow<'_>]) -> Vec<Seen> {
    thread::scope(|scope| {
        let started: Vec<_> = flows.iter().map(|flow| scope.spawn(|| one(flow))).collect();
        started.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

fn one(flow: &Flow<'_>) -> Seen {
    hurry();
    let tag = TAGS.fetch_add(1, Ordering::Relaxed);
    // Set once the sender has finished: when, and how many it sent.
    let finished = Mutex::new(None);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(flow, tag, &finished));
        let (sent, refused) = send(flow, tag);
        *finished.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), sent.len()));
        Seen { sent, refused, arrivals: receiver.join().unwrap_or_default() }
    })
}

fn send(flow: &Flow<'_>, tag: u32) -> (Vec<Instant>, u32) {
    let pace = flow.pace;
    let mut packet = vec![0; pace.bytes.clamp(SMALL, FULL).saturating_sub(HEADERS) as usize];
    packet[..4].copy_from_slice(&tag.to_be_bytes());
    let (began, mut sent, mut refused, mut passed) = (Instant::now(), Vec::new(), 0, 0_u64);
    loop {
        let elapsed = began.elapsed();
        if elapsed >= pace.lasts {
            return (sent, refused);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some millions")]
        let due = (elapsed.as_secs_f64() * pace.per_second) as u64 + 1;
        for _ in 0..(due - passed).min(u64::from(pace.burst_max)) {
            let number = u32::try_from(sent.len()).unwrap_or(u32::MAX);
            packet[4..8].copy_from_slice(&number.to_be_bytes());
            let at = Instant::now();
            match sendto(flow.from, &packet, SendFlags::DONTWAIT, &flow.target) {
                Ok(_) => sent.push(at),
                Err(_) => {
                    refused += 1;
                    break;
                }
            }
        }
        passed = due;
        let next = Duration::from_secs_f64(due as f64 / pace.per_second).saturating_sub(began.elapsed());
        #[expect(clippy::disallowed_methods, reason = "the pace of sending is what is wanted, there is no condition")]
        thread::sleep(next.max(STEP));
    }
}

fn receive(flow: &Flow<'_>, tag: u32, finished: &Mutex<Option<(Instant, usize)>>) -> Vec<Arrival> {
    hurry();
    let finished = || *finished.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut arrivals, mut originals): (Vec<Arrival>, BTreeSet<u32>) = (Vec::new(), BTreeSet::new());
    let mut buffer = [0; FULL as usize];
    // Without a timeout a stream of which nothing arrives would never end.
    if flow.to.set_read_timeout(Some(LOOK)).is_err() {
        return arrivals;
    }
    loop {
        let arrived = flow.to.recv(&mut buffer).ok().and_then(|length| number(&buffer[..length], tag));
        if let Some(number) = arrived {
            arrivals.push(Arrival { number, at: Instant::now() });
            originals.insert(number);
        }
        let Some((ended, count)) = finished() else { continue };
        let last = arrivals.last().map_or(ended, |arrival| arrival.at.max(ended));
        if originals.len() >= count || last.elapsed() > flow.pace.patience {
            return arrivals;
        }
    }
}

/// Puts the calling thread before ordinary ones where that is allowed: what is measured is links, not the host.
fn hurry() {
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// The number in a packet of the stream with this tag.
fn number(packet: &[u8], tag: u32) -> Option<u32> {
    let [a, b, c, d, e, f, g, h, ..] = *packet else { return None };
    (u32::from_be_bytes([a, b, c, d]) == tag).then(|| u32::from_be_bytes([e, f, g, h]))
}

/// Bytes of IP and UDP headers.
pub(super) const HEADERS: u32 = 28;
/// The smallest probe: headers, the stream's tag and the packet's number.
pub(super) const SMALL: u32 = HEADERS + 8;
/// The largest probe: what fits every link.
pub(super) const FULL: u32 = 1_500;
/// As far before ordinary threads as it goes; the threads live for a second.
const NICE: i32 = -20;
/// Shorter sleeps cost more than they even out.
const STEP: Duration = Duration::from_micros(200);
/// How often a receiver to which nothing comes looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);
/// Streams of one process are told apart, so that late packets of an earlier one count nowhere.
static TAGS: AtomicU32 = AtomicU32::new(1);
