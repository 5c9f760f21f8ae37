//! Short trains of full packets on links whose rates have changed: they must not come through faster than the rate.
//!
//! Nothing can be said about slower: other traffic is on the link as well. That the engine has the new rate is known from
//! reading it back. Links above [`RATE_MAX`] are left to that alone: what shows a rate is what comes behind the burst that a
//! bucket lets through at once, and would be too much of them.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use super::ways::LinkWay;
use crate::links::kernel;

/// One train to be sent.
#[derive(Debug)]
pub(super) struct Train {
    name: String,
    from: UdpSocket,
    to: UdpSocket,
    target: SocketAddr,
    /// Bits per second.
    rate: u64,
    /// The part of the time that is not the rate's.
    delay: Duration,
    /// Longest time for one packet.
    longest: Duration,
    /// Bits of one packet at the rate.
    packet: u64,
}

impl Train {
    /// The train for a link; none where its rate cannot be seen in a short one, or sockets have run out.
    pub(super) fn of(link: &LinkWay) -> Option<Self> {
        let direction = &link.figures.direction;
        let rate = direction.rate.filter(|rate| rate.0 <= RATE_MAX)?.0;
        let (from, to) = (link.way.from.try_clone().ok()?, link.way.to.try_clone().ok()?);
        Some(Self {
            name: link.way.name.clone(),
            from,
            to,
            target: link.way.target,
            rate,
            delay: direction.delay.0.saturating_sub(direction.jitter.amount.0 * DEVIATIONS),
            longest: link.way.longest,
            packet: u64::from(kernel::MTU + direction.overhead) * 8,
        })
    }

    /// Bits that may come through at once: a bucket's 4 ms and one packet.
    fn burst(&self) -> u64 {
        self.rate / 250 + self.packet
    }

    /// Packets whose time at the rate is long against the burst.
    fn packets(&self) -> u64 {
        let behind = (self.rate / 100).max(2 * self.packet);
        (self.burst() + behind).div_ceil(self.packet) + 1
    }

    /// Sends all at once; how many arrived and when the last did, from the first sending on.
    fn run(&self) -> (u64, Duration) {
        let payload = [0; (kernel::MTU - HEADERS) as usize];
        let began = Instant::now();
        for _ in 0..self.packets() {
            // What a full queue does not take is not sent, and does not count.
            let _ = self.from.send_to(&payload, self.target);
        }
        let on_the_way = Duration::from_nanos(self.packets() * self.packet * 1_000_000_000 / self.rate.max(1));
        let over = began + (self.longest + on_the_way).min(LONGEST) + SLACK;
        let (mut arrived, mut last) = (0, Duration::ZERO);
        let mut buffer = [0; kernel::MTU as usize];
        while arrived < self.packets() {
            // What has arrived by then is counted, however late this thread looks.
            let left = over.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            if self.to.set_read_timeout(Some(left)).is_err() {
                break;
            }
            match self.to.recv(&mut buffer) {
                Ok(length) if length == payload.len() => (arrived, last) = (arrived + 1, began.elapsed()),
                // Shorter ones are probes that come late.
                Ok(_) => {}
                Err(_) if Instant::now() >= over => break,
                Err(_) => {}
            }
        }
        (arrived, last)
    }

    /// The highest rate that the arrivals allow, in bits per second; none where too few arrived to say.
    fn rate_of(&self, arrived: u64, took: Duration) -> Option<f64> {
        let bits = (arrived * self.packet).checked_sub(self.burst()).filter(|bits| *bits >= self.packet)?;
        let seconds = took.saturating_sub(self.delay).as_secs_f64();
        (seconds > 0.0).then(|| bits as f64 / seconds)
    }
}

/// Sends trains one after the other: the highest rate of each in bits per second, by name.
pub(super) async fn carry(trains: Vec<Train>) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for train in trains {
        for socket in [&train.from, &train.to] {
            socket.set_nonblocking(false).context("preparing a socket for a train")?;
        }
        let running = tokio::task::spawn_blocking(move || (train.run(), train));
        let ((arrived, took), train) = running.await.context("the thread of a train failed")?;
        let Some(rate) = train.rate_of(arrived, took) else { continue };
        if rate > train.rate as f64 * TOLERANCE {
            bail!(
                "the change of a link did not bite: {arrived} full packets from {} came at {:.0} kbit/s, and the link asks for {:.0} kbit/s",
                train.name,
                rate / 1e3,
                train.rate as f64 / 1e3
            );
        }
        found.insert(format!("{}: rate_bps_at_most", train.name), rate);
    }
    Ok(found)
}

/// Fastest links that get trains, in bits per second: 20 Mbit/s, of which 14 ms and a packet are 28 packets.
const RATE_MAX: u64 = 20_000_000;
/// How far jitter can reach, in standard deviations.
const DEVIATIONS: u32 = 8;
/// Bytes of IP and UDP headers.
const HEADERS: u32 = 28;
/// Room for the Ethernet headers that the kernel's buckets count with packets, and for clocks.
const TOLERANCE: f64 = 1.1;
/// Longest wait for a train.
const LONGEST: Duration = Duration::from_secs(5);
/// What a busy host may hold a packet up.
const SLACK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_lets_through_at_once_shows_no_rate() {
        let train = train(2_000_000);
        // 8 000 bits of 4 ms and a packet of 12 000; 24 000 bits behind.
        assert_eq!((train.burst(), train.packets()), (20_000, 5));
        assert_eq!(train.rate_of(2, Duration::from_millis(60)), None);
        // Five packets within 20 ms behind 30 ms of delay are 40 000 bits.
        assert_eq!(train.rate_of(5, Duration::from_millis(50)), Some(2_000_000.0));
    }

    #[test]
    fn more_is_sent_where_more_comes_through_at_once() {
        let train = train(20_000_000);
        assert_eq!((train.burst(), train.packets()), (92_000, 26));
    }

    #[tokio::test]
    async fn a_train_that_is_faster_than_its_rate_fails_the_change() {
        // A host that is late by 40 ms makes a train look as slow as this rate, but not twenty in a row.
        let mut errors = Vec::new();
        for _ in 0..20 {
            let open = Train { delay: Duration::ZERO, ..train(1_000_000) };
            errors.extend(carry(vec![open]).await.err().map(|error| error.to_string()));
        }
        let words = "the change of a link did not bite: 5 full packets from here to there came at ";
        assert!(errors.iter().any(|error| error.starts_with(words)), "{errors:?}");
    }

    /// A train on this host, where nothing is shaped.
    fn train(rate: u64) -> Train {
        let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (from, to) = (socket(), socket());
        let target = to.local_addr().unwrap();
        let delay = Duration::from_millis(30);
        Train { name: "here to there".into(), from, to, target, rate, delay, longest: delay, packet: 12_000 }
    }
}
