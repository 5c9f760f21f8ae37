//! The link settings that the table of measured links shows, for every engine the same.
//!
//! They span the rates, delays and losses of the ready topologies and presets, each alone and together. A row has one
//! link with these figures in both directions, and an open one at the other end. What counts as within tolerance is
//! decided here too, so that it is the same for every engine.
#![allow(dead_code, reason = "every test file takes what it needs")]

use std::time::Duration;

use peerbed_orchestrator::{
    plan::{Direction, Discipline, Jitter, Loss, Queue},
    units::{Rate, Share, Span},
};

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// Both directions of the link.
    pub(crate) direction: Direction,
    /// One-way latency between the regions of the two peers; zero means that they have none.
    pub(crate) region: Duration,
}

/// What was found of one row.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Fastest round trip in milliseconds, by our own echoes: the others tell about the host.
    pub(crate) trip: f64,
    /// The same by `ping`.
    pub(crate) ping: f64,
    /// Bits per second of whole IP packets behind the link, while our own probe sends more than it takes by UDP.
    pub(crate) udp: f64,
    /// The same while iperf3 sends.
    pub(crate) iperf3_udp: f64,
    /// Whether the link had to drop packets of our own probe.
    pub(crate) saturated: bool,
    /// Bits per second of whole IP packets that iperf3 gets by TCP; none where it was not tried.
    pub(crate) tcp: Option<f64>,
    /// Datagrams sent in one direction, below the rate.
    pub(crate) sent: u32,
    /// Those of them that did not arrive.
    pub(crate) lost: u32,
}

/// How far a link may be off, beside what is the same everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// Milliseconds in which processes wake up: what the fastest round trip may take more than 2 %.
    pub(crate) late: f64,
    /// Share of the rate that may be missing. A link is never more than 3 % too fast.
    pub(crate) slow: f64,
}

impl Setting {
    /// The round trip asked for, in milliseconds.
    pub(crate) fn trip(&self) -> f64 {
        2e3 * (self.direction.delay.0 + self.region).as_secs_f64()
    }

    /// What is out of tolerance, in words; nothing when all is well.
    ///
    /// A round trip is never shorter than asked, and longer by what sending the echoes takes at the rate: a bucket of the
    /// kernel lets a single packet pass at once, the user engine's link takes its time. Losses lie where 99.9 % of all seeds have them. TCP pays for its start
    /// with at most 7 % more than UDP; on lossy links its congestion control decides, and on ways above 200 ms it takes
    /// too long to start. Its rate is that of a few seconds, in which a full queue may empty: 6 % too fast at most.
    pub(crate) fn faults(&self, measured: &Measured, tolerance: Tolerance) -> Vec<String> {
        let asked = &self.direction;
        let rate = asked.rate.map_or(f64::INFINITY, |rate| rate.0 as f64);
        let (least, most) = interval(measured.sent, asked.loss.average.fraction(), asked.loss.burst);
        let tcp_is_judged = asked.loss.average == Share(0) && self.trip() < 400.0;
        let mut faults = Vec::new();
        let mut check = |holds: bool, what: String| faults.extend((!holds).then_some(what));
        let sending = 2.0 * ECHO_BITS / rate * 1e3;
        let range = self.trip()..=self.trip() * 1.02 + tolerance.late + sending;
        for trip in [measured.trip, measured.ping] {
            check(range.contains(&trip), format!("round trip of {trip} ms is not in {range:?}"));
        }
        check(measured.saturated, "the probe did not fill the link".to_owned());
        let rates = 1.0 - tolerance.slow..=1.03;
        for udp in [measured.udp, measured.iperf3_udp] {
            check(rates.contains(&(udp / rate)), format!("{udp} bit/s by UDP in place of {rate}"));
        }
        check((least..=most).contains(&measured.lost), format!("{} lost, not {least} to {most}", measured.lost));
        let tcp = measured.tcp.filter(|_| tcp_is_judged);
        let rates = 0.93 - tolerance.slow..=1.06;
        check(tcp.is_none_or(|tcp| rates.contains(&(tcp / rate))), format!("{tcp:?} bit/s by TCP"));
        faults
    }

    /// The row in Markdown, as asked and as found.
    pub(crate) fn row(&self, engine: &str, measured: &Measured, tolerance: Tolerance) -> String {
        let asked = &self.direction;
        let mbit = |bits: f64| format!("{:.3}", bits / 1e6);
        let rate = asked.rate.map_or("unshaped".to_owned(), |rate| mbit(rate.0 as f64));
        let burst = if asked.loss.burst > 1 { format!(" × {}", asked.loss.burst) } else { String::new() };
        let lost = f64::from(measured.lost) / f64::from(measured.sent);
        let (least, most) = interval(measured.sent, asked.loss.average.fraction(), asked.loss.burst);
        format!(
            "| {} | {engine} | {rate} | {} | {} | {} | {} | {:.2} | {:.2} | {:.1} %{burst} | {:.2} % ({} of {}; {least} to {most}) | {} |",
            self.name,
            mbit(measured.udp),
            mbit(measured.iperf3_udp),
            measured.tcp.map_or("not tried".to_owned(), mbit),
            self.trip(),
            measured.trip,
            measured.ping,
            asked.loss.average.fraction() * 100.0,
            lost * 100.0,
            measured.lost,
            measured.sent,
            if self.faults(measured, tolerance).is_empty() { "yes" } else { "**no**" },
        )
    }
}

/// Bits of the IP packet of an echo by `ping`; ours are smaller.
const ECHO_BITS: f64 = 84.0 * 8.0;

/// Above the rows.
pub(crate) const HEADER: &str = "\
| link | engine | Mbit/s asked | UDP probe | UDP iperf3 | TCP iperf3 | RTT ms asked | probe | ping | loss asked | lost | within |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// Numbers lost in 99.9 % of all cases: 3.3 standard deviations, and two more packets for the skew of small numbers.
///
/// Losses in bursts of mean length b have a variance 2 b (1 - p) - 1 times as large.
pub(crate) fn interval(count: u32, loss: f64, burst: u32) -> (u32, u32) {
    let mean = f64::from(count) * loss;
    let spread = if burst > 1 { 2.0 * f64::from(burst) * (1.0 - loss) - 1.0 } else { 1.0 };
    let width = if loss > 0.0 { 3.3 * (mean * (1.0 - loss) * spread).sqrt() + 2.0 } else { 0.0 };
    ((mean - width).max(0.0).ceil() as u32, (mean + width).floor() as u32)
}

/// All rows.
pub(crate) fn settings() -> Vec<Setting> {
    let ms = Duration::from_millis;
    let kbit = 1_000;
    let row = |name, rate: u64, delay, loss: f64| Setting {
        name,
        direction: direction(rate, delay, loss, 1),
        region: Duration::ZERO,
    };
    vec![
        row("modem", 256 * kbit, ms(0), 0.0),
        row("slow and far", 1_000 * kbit, ms(50), 0.0),
        row("home up", 2_000 * kbit, ms(20), 0.01),
        row("home down", 20_000 * kbit, ms(20), 0.01),
        Setting { name: "bursty losses", direction: direction(10_000 * kbit, ms(30), 0.02, 8), region: Duration::ZERO },
        row("dsl", 16_000 * kbit, ms(10), 0.0),
        row("lossy radio", 5_000 * kbit, ms(40), 0.1),
        row("satellite", 20_000 * kbit, ms(300), 0.001),
        Setting { name: "two regions", direction: direction(20_000 * kbit, ms(5), 0.0, 1), region: ms(80) },
        row("cable", 50_000 * kbit, ms(5), 0.0),
        row("fibre", 100_000 * kbit, ms(2), 0.001),
        row("campus", 500_000 * kbit, ms(0), 0.0),
    ]
}

fn direction(rate: u64, delay: Duration, loss: f64, burst: u32) -> Direction {
    Direction {
        rate: Some(Rate(rate)),
        overhead: 0,
        delay: Span(delay),
        jitter: Jitter::default(),
        loss: Loss { average: Share((loss * 1e9).round() as u32), burst },
        reorder: Share(0),
        duplicate: Share(0),
        corrupt: Share(0),
        queue: Queue::Time(Span(Duration::from_millis(100))),
        discipline: Discipline::DropTail,
        trace: None,
    }
}
