//! What links do to probes: one-way times, losses and rates of both directions of many links at the same time.
//!
//! Small numbered packets, well below the rate, show times and losses; then full packets, above the rate, show the rate.
//! How a stream is sent lives in `flow`, what is in tolerance in `tolerance`. Blocks; belongs on a thread of its own.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use super::{
    flow::{Arrival, FULL, Flow, Pace, SMALL, Seen, carry},
    found::Measured,
    tolerance,
};
use crate::{
    links::kernel,
    plan::{Direction, Link, Shape},
};

/// One link to be measured, with a socket at both ends.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) link: Link,
    pub(super) vantage: UdpSocket,
    pub(super) peer: UdpSocket,
}

/// Measures all sites; up and down of each, in order. A second try takes longer than the first, and saturates one
/// direction at a time.
pub(super) fn measure(sites: &[&Site], attempt: Attempt) -> Vec<[Measured; 2]> {
    let mut found: Vec<[Measured; 2]> = Vec::with_capacity(sites.len());
    for batch in sites.chunks(SITES_MAX) {
        found.extend(times_and_losses(batch, attempt));
    }
    for batch in by_rate(sites) {
        let chosen: Vec<&Site> = batch.iter().map(|index| sites[*index]).collect();
        for (index, rates) in batch.iter().zip(rates(&chosen, attempt)) {
            for (measured, rate) in found[*index].iter_mut().zip(rates) {
                measured.rate_bps = rate.bits_per_second;
                measured.note = rate.note;
            }
        }
    }
    found
}

/// Which try a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// As short as the tolerances allow.
    First,
    /// After a figure out of tolerance: twice as long.
    Second,
}

impl Attempt {
    fn stretch(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }
}

impl Site {
    /// Both directions: sender, receiver and figures of each.
    fn directions(&self) -> [(&UdpSocket, &UdpSocket, &Direction); 2] {
        [(&self.peer, &self.vantage, &self.link.up), (&self.vantage, &self.peer, &self.link.down)]
    }
}

fn times_and_losses(sites: &[&Site], attempt: Attempt) -> Vec<[Measured; 2]> {
    let seen = carry_both(sites, Attempt::First, |direction| Some(small_pace(direction, attempt)));
    let both = sites.iter().zip(seen);
    both.map(|(site, seen)| {
        let [up, down] = [(&site.link.up, &seen[0]), (&site.link.down, &seen[1])]
            .map(|(direction, seen)| seen.as_ref().map_or_else(Measured::default, |seen| small(direction, seen)));
        let rtt_s = up.delay_s.zip(down.delay_s).map(|(up, down)| up + down);
        [Measured { rtt_s, ..up }, Measured { rtt_s, ..down }]
    })
    .collect()
}

/// What small packets tell about a direction.
fn small(asked: &Direction, seen: &Seen) -> Measured {
    let delays = seen.delays();
    let probes = u32::try_from(seen.sent.len()).unwrap_or(u32::MAX);
    if probes == 0 {
        return Measured { note: Some("no probe could be sent".into()), ..Measured::default() };
    }
    Measured {
        delay_s: delay(asked, &delays),
        loss: Some(1.0 - delays.len() as f64 / f64::from(probes)),
        loss_tolerance: Some(tolerance::losses(asked, probes)),
        probes,
        ..Measured::default()
    }
}

/// The one-way time that is compared: the least, or the mean where times are meant to vary.
///
/// The least is what the link does when the host does not hold packets up. Packets that skip the delay because the
/// topology wants some reordered are left out.
fn delay(asked: &Direction, delays: &[Duration]) -> Option<f64> {
    let half = if asked.reorder.0 > 0 { asked.delay.seconds() / 2.0 } else { 0.0 };
    let times: Vec<f64> = delays.iter().map(Duration::as_secs_f64).filter(|time| *time >= half).collect();
    if asked.jitter.amount.0.is_zero() {
        times.iter().copied().min_by(f64::total_cmp)
    } else {
        (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
    }
}

fn small_pace(direction: &Direction, attempt: Attempt) -> Pace {
    let bits = f64::from((SMALL + direction.overhead) * 8);
    let fits = direction.rate.map_or(f64::INFINITY, |rate| rate.0 as f64 * SMALL_LOAD / bits);
    // Times need some dozens of probes, losses as many as there is room for.
    let wanted = if is_lossy(direction) { LOSSY_PER_SECOND } else { CLEAN_PER_SECOND };
    let room = direction.rate.map_or(u32::MAX, |rate| kernel::queue_bytes(direction.queue, rate.0 / 8) / SMALL / 2);
    Pace {
        bytes: SMALL,
        per_second: fits.min(wanted),
        lasts: SMALL_LASTS * attempt.stretch(),
        patience: patience(direction),
        burst_max: room.clamp(1, 8),
    }
}

fn is_lossy(direction: &Direction) -> bool {
    direction.loss.average.0 > 0 || direction.corrupt.0 > 0
}

/// How long a packet may be under way at most.
fn patience(direction: &Direction) -> Duration {
    let jitter = direction.jitter.amount.0;
    let far = match direction.jitter.shape {
        Shape::Uniform => jitter,
        Shape::Normal => jitter * 5,
        Shape::Pareto => jitter * 20,
    };
    let packets = direction.rate.map_or(Duration::ZERO, |rate| {
        Duration::from_secs_f64(f64::from((FULL + direction.overhead) * 8 * 3) / rate.0.max(1) as f64)
    });
    (direction.delay.0 + far + packets + HOST_PATIENCE).min(PATIENCE_MAX)
}

/// A rate, or why there is none.
#[derive(Debug, Default)]
struct FoundRate {
    bits_per_second: Option<u64>,
    note: Option<String>,
}

fn rates(sites: &[&Site], attempt: Attempt) -> Vec<[FoundRate; 2]> {
    let seen = carry_both(sites, attempt, |direction| full_pace(direction, attempt));
    let both = sites.iter().zip(seen);
    both.map(|(site, [up, down])| {
        [(&site.link.up, up), (&site.link.down, down)]
            .map(|(direction, seen)| seen.map_or_else(FoundRate::default, |seen| full(direction, &seen)))
    })
    .collect()
}

/// What full packets tell about a direction with a rate.
fn full(asked: &Direction, seen: &Seen) -> FoundRate {
    let Some(rate) = asked.rate else { return FoundRate::default() };
    let packet = full_bytes(rate.0) + asked.overhead;
    let Some(found) = saturated(&seen.arrivals, packet, burst_packets(rate.0, packet)) else {
        return FoundRate { bits_per_second: None, note: Some("too little arrived to tell a rate".into()) };
    };
    // Nothing was held back and nothing dropped for want of room: it was the sender that set the pace.
    let offered = seen.sent.first().zip(seen.sent.last()).map_or(0.0, |(first, last)| {
        seen.sent.len() as f64 * f64::from(packet * 8) / last.duration_since(*first).as_secs_f64().max(1e-6)
    });
    let is_full = seen.refused > 0 || offered > rate.0 as f64 * SATURATING;
    if !is_full && found < rate.0 as f64 {
        let note = format!("this host could send no more than {}", tolerance::rough(whole(offered)));
        return FoundRate { bits_per_second: None, note: Some(note) };
    }
    FoundRate { bits_per_second: Some(whole(found)), note: None }
}

/// The rate of arrivals in bits per second, without the first `skip` packets, which may be ahead of the rate.
///
/// The middle one of the slopes over half of the time: a few moments in which the host held somebody up do not move it.
fn saturated(arrivals: &[Arrival], packet: u32, skip: usize) -> Option<f64> {
    let steady = arrivals.get(skip..)?;
    let half = steady.len() / 2;
    if half < PACKETS_MIN / 2 {
        return None;
    }
    let bits = half as f64 * f64::from(packet * 8);
    let slope = |(first, last): (&Arrival, &Arrival)| bits / last.at.duration_since(first.at).as_secs_f64().max(1e-9);
    let mut slopes: Vec<f64> = steady.iter().zip(&steady[half..]).map(slope).collect();
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

/// Packets at the beginning that an idle link lets out ahead of its rate: what it saved for late timers, which is a full
/// packet at least.
fn burst_packets(rate: u64, packet: u32) -> usize {
    let saved = rate / 8 / 1_000 * BURST_MS + u64::from(FULL);
    usize::try_from(saved.div_ceil(u64::from(packet))).unwrap_or(usize::MAX).saturating_add(1)
}

/// Size of the packets that saturate a link: full ones, or on slow links such as take 10 ms, so that there are enough.
fn full_bytes(rate: u64) -> u32 {
    u32::try_from(rate / 8 / 100).unwrap_or(u32::MAX).clamp(FULL_MIN, FULL)
}

fn full_pace(direction: &Direction, attempt: Attempt) -> Option<Pace> {
    let rate = direction.rate?.0.max(1) as f64;
    let bytes = full_bytes(direction.rate?.0);
    let bits = f64::from((bytes + direction.overhead) * 8);
    let passing = (1.0 - direction.loss.average.fraction()).max(PASSING_MIN);
    let burst = burst_packets(direction.rate?.0, bytes) as f64;
    // Long enough for enough packets behind the burst, and for late timers to even out.
    let needed = (PACKETS_MIN as f64 * 1.5 + burst) * bits / rate;
    let lasts = Duration::from_secs_f64(needed).clamp(FULL_LASTS, FULL_LASTS_MAX) * attempt.stretch();
    Some(Pace {
        bytes,
        per_second: rate * OFFERED / bits / passing,
        lasts,
        patience: patience(direction),
        burst_max: u32::MAX,
    })
}

/// Sends on both directions of all sites, at the first attempt all at once; none where there is no pace for a direction.
fn carry_both(sites: &[&Site], attempt: Attempt, pace: impl Fn(&Direction) -> Option<Pace>) -> Vec<[Option<Seen>; 2]> {
    let all = || sites.iter().flat_map(|site| site.directions());
    let paces: Vec<Option<Pace>> = all().map(|(.., direction)| pace(direction)).collect();
    let flows: Vec<Flow<'_>> = all()
        .zip(&paces)
        .filter_map(|((from, to, _), pace)| {
            let target = to.local_addr().unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
            Some(Flow { from, to, target, pace: (*pace)? })
        })
        .collect();
    let mut seen = match attempt {
        Attempt::First => carry(&flows),
        Attempt::Second => flows.chunks(1).flat_map(carry).collect(),
    }
    .into_iter();
    let mut each = paces.iter().map(|pace| pace.and_then(|_| seen.next()));
    sites.iter().map(|_| [each.next().flatten(), each.next().flatten()]).collect()
}

/// Groups of sites whose rates may be measured at the same time without this host becoming their bottleneck.
fn by_rate(sites: &[&Site]) -> Vec<Vec<usize>> {
    let (mut batches, mut load) = (vec![Vec::new()], 0);
    for (index, site) in sites.iter().enumerate() {
        let own: u64 = [&site.link.up, &site.link.down].into_iter().filter_map(|d| d.rate).map(|rate| rate.0).sum();
        if load > 0 && (load + own > TOGETHER_MAX || batches.last().is_some_and(|batch| batch.len() >= SITES_MAX)) {
            batches.push(Vec::new());
            load = 0;
        }
        load += own;
        batches.last_mut().expect("there is one from the start").push(index);
    }
    batches
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are positive and below 2^63")]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

/// Sites measured at once: four threads each.
const SITES_MAX: usize = 12;
/// Bits per second that two cores carry through namespaces in full packets while they have something else to do.
const TOGETHER_MAX: u64 = 300_000_000;
/// Share of the rate that small packets take: far from a standing queue, even if every packet is copied.
const SMALL_LOAD: f64 = 0.4;
/// Probes per second on links that lose: 1 % of loss is then known to ±1 %.
const LOSSY_PER_SECOND: f64 = 1_500.0;
/// Probes per second on links that lose nothing.
const CLEAN_PER_SECOND: f64 = 150.0;
/// How long small packets are sent.
const SMALL_LASTS: Duration = Duration::from_millis(700);
/// How long full packets are sent at least, and at most for slow links.
const FULL_LASTS: Duration = Duration::from_millis(350);
const FULL_LASTS_MAX: Duration = Duration::from_millis(1_200);
/// Packets behind the burst that a rate needs: one packet more or less is 1 % then, and slopes average over half.
const PACKETS_MIN: usize = 24;
/// Smaller ones would be headers for the most part.
const FULL_MIN: u32 = 200;
/// Full packets are sent this many times faster than the link may deliver them.
const OFFERED: f64 = 1.3;
/// From this on a link that delivers less than its rate does so by itself.
const SATURATING: f64 = 1.05;
/// A link that loses more delivers too little to tell a rate from.
const PASSING_MIN: f64 = 0.1;
/// What a token bucket saves for late timers (`links::kernel`): 4 ms, doubled for the packets that overtake its refill.
const BURST_MS: u64 = 8;
/// What a busy host may hold a packet up.
const HOST_PATIENCE: Duration = Duration::from_millis(150);
/// Nobody waits longer for one packet.
const PATIENCE_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn arrivals(count: u32, at_ms: impl Fn(u32) -> f64) -> Vec<Arrival> {
        let start = Instant::now();
        let at = |number| start + Duration::from_secs_f64(at_ms(number) / 1e3);
        (0..count).map(|number| Arrival { number, at: at(number) }).collect()
    }

    #[test]
    fn a_burst_at_the_beginning_does_not_make_a_link_faster() {
        // 12 000 bits every 6 ms are 2 Mbit/s; the first four packets come at once.
        let seen = arrivals(100, |number| f64::from(number.saturating_sub(3)) * 6.0);
        let found = saturated(&seen, FULL, 4).unwrap();
        assert!((found - 2e6).abs() < 2e4, "{found}");
    }

    #[test]
    fn moments_in_which_the_receiver_was_held_up_do_not_move_the_rate() {
        // Every tenth packet is seen 5 ms late.
        let late = |number: u32| if number.is_multiple_of(10) { 5.0 } else { 0.0 };
        let found = saturated(&arrivals(100, |number| f64::from(number) * 6.0 + late(number)), FULL, 4).unwrap();
        assert!((found - 2e6).abs() < 2e4, "{found}");
    }

    #[test]
    fn too_few_packets_tell_no_rate() {
        assert_eq!(saturated(&arrivals(20, |number| f64::from(number) * 6.0), FULL, 4), None);
    }
}
