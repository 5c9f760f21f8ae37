//! What may differ between a link as asked for and as measured, and by how much.
//!
//! Rate ±3 %, time ±(2 % + 0.3 ms), loss within its binomial interval of 99.9 %. Pure: figures in, sentences out.

use std::time::Duration;

use super::found::Measured;
use crate::{
    plan::{Direction, Order},
    units::{Rate, Share},
};

/// What of `measured` is out of tolerance for `asked`, as the ends of sentences: `rate: asked 2mbit, measured 1.8mbit, …`.
pub(super) fn problems(asked: &Direction, measured: &Measured) -> Vec<String> {
    let mut problems = Vec::new();
    if let (Some(rate), Some(found)) = (asked.rate, measured.rate_bps) {
        let deviation = found as f64 / rate.0 as f64 - 1.0;
        if deviation.abs() > RATE {
            problems.push(format!(
                "rate: asked {rate}, measured {} ({:+.1} %, tolerance ±{:.0} %)",
                rough(found),
                deviation * 100.0,
                RATE * 100.0
            ));
        }
    }
    if let Some(found) = measured.delay_s {
        let [least, most] = delays(asked, measured.probes);
        if found < least || found > most {
            let [asked, found, least, most] = [asked.delay.seconds(), found, least, most].map(|s| s * 1e3);
            problems.push(format!(
                "one-way delay: asked {asked:.2} ms, measured {found:.2} ms (tolerance {least:.2} to {most:.2} ms)"
            ));
        }
    }
    if let (Some(found), Some([least, most])) = (measured.loss, measured.loss_tolerance)
        && (found < least || found > most)
    {
        let [asked, found, least, most] = [asked.loss.average.fraction(), found, least, most].map(|s| s * 100.0);
        problems.push(format!(
            "loss: asked {asked:.2} %, measured {found:.2} % of {} probes (tolerance {least:.2} to {most:.2} %)",
            measured.probes
        ));
    }
    problems
}

/// Least and greatest one-way time in tolerance, in seconds, for a figure made from so many probes.
///
/// The figure is the least time where there is no jitter, and the mean otherwise: it then errs by the spread over the
/// root of the number. On a slow link a probe needs time itself, which token buckets spare it and real links do not.
pub(super) fn delays(asked: &Direction, probes: u32) -> [f64; 2] {
    let delay = asked.delay.seconds();
    let slack = delay * TIME_SHARE + TIME.as_secs_f64();
    let jitter = asked.jitter.amount.seconds();
    let chance = JITTER_DEVIATIONS * jitter / f64::from(probes.max(1)).sqrt();
    // Delays end at zero, and packets that keep their order wait for the slow ones: both only make the mean larger.
    let bias = match asked.jitter.order {
        Order::Kept => 3.0 * jitter,
        Order::Free if jitter > delay => jitter,
        Order::Free => 0.0,
    };
    let own =
        asked.rate.map_or(0.0, |rate| f64::from((super::flow::SMALL + asked.overhead) * 8) / rate.0.max(1) as f64);
    [delay - slack - chance, delay + slack + chance + bias + own]
}

/// Whether a time lies within ±(2 % + 0.3 ms) of another, with so many seconds to spare upwards.
pub(super) fn is_time(asked: f64, found: f64, spare: f64) -> bool {
    let slack = asked * TIME_SHARE + TIME.as_secs_f64();
    (asked - slack..=asked + slack + spare).contains(&found)
}

/// Least and greatest share of `probes` that may be lost.
///
/// A corrupted packet is lost to its receiver, unless the bit that flipped was one that nobody looks at; and a copy may
/// stand in for what was lost. Losses in bursts say less than as many independent ones: a chain of two states that stays
/// as it is with correlation ρ has the variance of (1 + ρ) / (1 − ρ) times fewer packets.
pub(super) fn losses(asked: &Direction, probes: u32) -> [f64; 2] {
    let [loss, duplicate, corrupt] = [asked.loss.average, asked.duplicate, asked.corrupt].map(Share::fraction);
    let (least, most) = (loss * (1.0 - duplicate), 1.0 - (1.0 - loss) * (1.0 - corrupt));
    let independent = if asked.loss.burst > 1 && loss < 1.0 {
        let staying = 1.0 - 1.0 / f64::from(asked.loss.burst) / (1.0 - loss);
        f64::from(probes) * ((1.0 - staying) / (1.0 + staying)).clamp(0.0, 1.0)
    } else {
        f64::from(probes)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the number of probes")]
    let count = independent.round().max(1.0) as u32;
    let share = |lost: u32| f64::from(lost) / f64::from(count);
    [share(binomial(count, least)[0]), share(binomial(count, most)[1])]
}

/// Least and greatest number of `count` independent events of probability `share` in their interval of 99.9 %.
fn binomial(count: u32, share: f64) -> [u32; 2] {
    if share <= 0.0 {
        return [0, 0];
    }
    if share >= 1.0 {
        return [count, count];
    }
    let odds = (share / (1.0 - share)).ln();
    let (mut ln, mut sum, mut least) = (f64::from(count) * (1.0 - share).ln(), 0.0, None);
    for events in 0..=count {
        if events > 0 {
            ln += (f64::from(count - events + 1) / f64::from(events)).ln() + odds;
        }
        sum += ln.exp();
        if sum > TAIL && least.is_none() {
            least = Some(events);
        }
        if sum >= 1.0 - TAIL {
            return [least.unwrap_or(events), events];
        }
    }
    [least.unwrap_or(0), count]
}

/// A rate with three significant digits, for sentences.
pub(super) fn rough(bits_per_second: u64) -> String {
    let digits = bits_per_second.max(1).ilog10();
    let unit = 10_u64.pow(digits.saturating_sub(3));
    Rate((bits_per_second + unit / 2) / unit * unit).to_string()
}

/// Token buckets lose up to a tick of the kernel's timer in a second; 3 % is asked for by nobody who measures overlays
/// against bounds at all.
const RATE: f64 = 0.03;
/// Share of the asked time that may be missed.
const TIME_SHARE: f64 = 0.02;
/// What waking up two threads and passing two namespaces takes on a virtual machine.
const TIME: Duration = Duration::from_micros(300);
/// Half of what 99.9 % leave out.
const TAIL: f64 = 0.000_5;
/// Deviations of a mean that chance exceeds about once in a million, which leaves room for Pareto's long tail.
const JITTER_DEVIATIONS: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::{Discipline, Jitter, Loss, Queue},
        units::Span,
    };

    fn asked() -> Direction {
        Direction {
            rate: Some(Rate(2_000_000)),
            overhead: 0,
            delay: Span(Duration::from_millis(20)),
            jitter: Jitter::default(),
            loss: Loss { average: Share(10_000_000), burst: 1 },
            reorder: Share(0),
            duplicate: Share(0),
            corrupt: Share(0),
            queue: Queue::Packets(100),
            discipline: Discipline::DropTail,
            trace: None,
        }
    }

    fn measured(rate: u64, delay_s: f64, loss: f64) -> Measured {
        Measured {
            rate_bps: Some(rate),
            delay_s: Some(delay_s),
            loss: Some(loss),
            probes: 1_000,
            loss_tolerance: Some(losses(&asked(), 1_000)),
            ..Measured::default()
        }
    }

    #[test]
    fn what_is_as_asked_is_no_problem() {
        assert_eq!(problems(&asked(), &measured(2_000_000, 0.0201, 0.01)), Vec::<String>::new());
    }

    #[test]
    fn a_rate_may_be_three_per_cent_off_and_no_more() {
        assert!(problems(&asked(), &measured(1_941_000, 0.02, 0.01)).is_empty());
        assert!(problems(&asked(), &measured(2_059_000, 0.02, 0.01)).is_empty());
        let found = problems(&asked(), &measured(1_930_000, 0.02, 0.01));
        assert_eq!(found, ["rate: asked 2mbit, measured 1.93mbit (-3.5 %, tolerance ±3 %)"]);
        assert_eq!(problems(&asked(), &measured(2_070_000, 0.02, 0.01)).len(), 1);
    }

    #[test]
    fn a_delay_may_be_two_per_cent_and_0_3_ms_off_and_a_probe_takes_its_own_time() {
        // 0.7 ms of tolerance, and 36 bytes at 2 Mbit/s are 0.144 ms.
        for (delay, count) in [(0.0194, 0), (0.0192, 1), (0.0208, 0), (0.0209, 1)] {
            assert_eq!(problems(&asked(), &measured(2_000_000, delay, 0.01)).len(), count, "{delay}");
        }
    }

    #[test]
    fn the_binomial_interval_is_that_of_the_tables() {
        // Computed apart, with exact fractions.
        assert_eq!(binomial(1_000, 0.01), [2, 22]);
        assert_eq!(binomial(100, 0.5), [34, 66]);
        assert_eq!((binomial(50, 0.0), binomial(50, 1.0)), ([0, 0], [50, 50]));
    }

    #[test]
    fn losses_in_bursts_are_given_more_room() {
        let mut bursty = asked();
        bursty.loss.burst = 8;
        let (alone, bursts) = (losses(&asked(), 2_000), losses(&bursty, 2_000));
        assert!(bursts[1] > alone[1] && alone[0] > bursts[0], "{alone:?} {bursts:?}");
        assert!(bursts[1] < 0.06, "{bursts:?}");
    }

    #[test]
    fn a_lossless_link_may_lose_nothing_and_corruption_counts_as_loss() {
        let mut clean = asked();
        clean.loss.average = Share(0);
        assert_eq!(losses(&clean, 500), [0.0, 0.0]);
        clean.corrupt = Share(100_000_000);
        let [least, most] = losses(&clean, 500);
        assert!(least == 0.0 && most > 0.1 && most < 0.17, "{least} {most}");
    }
}
