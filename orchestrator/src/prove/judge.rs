//! What the fate of probes says about a change: pure, and each failure one sentence.

use std::{collections::BTreeMap, time::Duration};

use anyhow::bail;

use super::{
    probe::{Seen, Way},
    ways::LinkWay,
};
use crate::plan::Shape;
use crate::units::Share;

/// Nothing arrived along any way, and `what` has counted packets that it lost.
pub(super) fn silence(what: &str, seen: &[Seen], lost: u64) -> anyhow::Result<()> {
    let sent: u32 = seen.iter().map(|seen| seen.sent).sum();
    let arrived: u32 = seen.iter().map(|seen| seen.arrived).sum();
    if arrived > 0 {
        let ways = seen.iter().filter(|seen| seen.arrived > 0).count();
        bail!("{what} did not bite: {arrived} of {sent} probes came through, on {ways} of {} ways", seen.len());
    }
    if lost == 0 {
        bail!("{what} did not bite: {sent} probes were sent, and it has not counted one packet that it lost");
    }
    Ok(())
}

/// Something arrived along every way.
pub(super) fn arrival(ways: &[Way], seen: &[Seen]) -> anyhow::Result<()> {
    let silent: Vec<&str> =
        ways.iter().zip(seen).filter(|(_, seen)| seen.arrived == 0).map(|(way, _)| way.name.as_str()).collect();
    let Some(first) = silent.first() else { return Ok(()) };
    bail!("the heal did not take: no probe arrived from {first} ({} of {} ways are silent)", silent.len(), ways.len());
}

/// Something arrived on every link that is up, no faster than its delay and no slower than its delay with a full queue;
/// the figures by way.
pub(super) fn times(links: &[LinkWay], seen: &[Seen]) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut found = BTreeMap::new();
    for (link, seen) in links.iter().zip(seen) {
        let name = &link.way.name;
        let Some(least) = seen.least else {
            bail!("the change of a link did not take: no probe arrived from {name} ({} were sent)", seen.sent);
        };
        let [shortest, longest] = bounds(link);
        if least < shortest || least > longest {
            bail!(
                "the change of a link did not bite: the fastest probe from {name} took {:.1} ms, and the link asks for {:.1} ms to \
                 {:.1} ms",
                millis(least),
                millis(shortest),
                millis(longest)
            );
        }
        found.insert(format!("{name}: least_seconds"), least.as_secs_f64());
        found.insert(format!("{name}: asked_seconds"), link.figures.direction.delay.0.as_secs_f64());
    }
    Ok(found)
}

/// The least time a packet may take on a link, and the most that the fastest of some may.
fn bounds(link: &LinkWay) -> [Duration; 2] {
    let direction = &link.figures.direction;
    let jitter = match direction.jitter.shape {
        Shape::Uniform => direction.jitter.amount.0,
        Shape::Normal | Shape::Pareto => direction.jitter.amount.0 * DEVIATIONS,
    };
    // Who overtakes takes no time at all.
    let shortest = if direction.reorder == Share(0) { direction.delay.0 } else { Duration::ZERO };
    let early = jitter + shortest / 50 + CLOCKS;
    [shortest.saturating_sub(early), link.way.longest.saturating_add(SLACK)]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How far jitter can reach, in standard deviations.
const DEVIATIONS: u32 = 8;
/// What timers of engines and of this program may be early, as in the verification before a run.
const CLOCKS: Duration = Duration::from_micros(300);
/// What a busy host may hold a datagram up.
const SLACK: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::{
        links::course::Figures,
        plan::{Direction, Discipline, Jitter, LinkState, Loss, Order, Queue},
        units::{Rate, Span},
    };

    const NOTHING: Seen = Seen { sent: 5, arrived: 0, least: None };
    const SOME: Seen = Seen { sent: 5, arrived: 2, least: Some(Duration::from_millis(3)) };

    #[test]
    fn silence_takes_both_nothing_that_arrives_and_something_that_was_counted() {
        assert!(silence("the partition p0", &[NOTHING, NOTHING], 7).is_ok());
        let words = |result: anyhow::Result<()>| result.unwrap_err().to_string();
        assert_eq!(
            words(silence("the partition p0", &[NOTHING, SOME], 7)),
            "the partition p0 did not bite: 2 of 10 probes came through, on 1 of 2 ways"
        );
        assert_eq!(
            words(silence("the partition p0", &[NOTHING], 0)),
            "the partition p0 did not bite: 5 probes were sent, and it has not counted one packet that it lost"
        );
    }

    #[test]
    fn a_heal_takes_an_arrival_on_every_way() {
        let ways = [way("home-1 to home-2"), way("home-2 to home-1")];
        assert!(arrival(&ways, &[SOME, SOME]).is_ok());
        assert_eq!(
            arrival(&ways, &[SOME, NOTHING]).unwrap_err().to_string(),
            "the heal did not take: no probe arrived from home-2 to home-1 (1 of 2 ways are silent)"
        );
    }

    #[test]
    fn the_fastest_probe_is_neither_faster_than_the_delay_nor_slower_than_a_full_queue() {
        let took = |ms| Seen { sent: 5, arrived: 3, least: Some(Duration::from_millis(ms)) };
        let judged = |ms| times(&[link()], &[took(ms)]);
        let found = judged(45).unwrap();
        assert_eq!(found["home-1 to (vantage): asked_seconds"], 0.04);
        assert_eq!(found["home-1 to (vantage): least_seconds"], 0.045);
        assert!(judged(120).is_ok(), "behind a full queue");
        assert_eq!(
            judged(10).unwrap_err().to_string(),
            "the change of a link did not bite: the fastest probe from home-1 to (vantage) took 10.0 ms, and the link asks for \
             38.9 ms to 260.0 ms"
        );
        assert!(judged(300).unwrap_err().to_string().contains("took 300.0 ms"));
        assert!(times(&[link()], &[NOTHING]).unwrap_err().to_string().contains("no probe arrived from home-1"));
    }

    /// 40 ms of delay and 70 ms at the bottleneck at most.
    fn link() -> LinkWay {
        let none = Share(0);
        let direction = Direction {
            rate: Some(Rate(2_000_000)),
            overhead: 0,
            delay: Span(Duration::from_millis(40)),
            jitter: Jitter { amount: Span::default(), shape: Shape::Uniform, order: Order::Free },
            loss: Loss { average: none, burst: 1 },
            reorder: none,
            duplicate: none,
            corrupt: none,
            queue: Queue::Time(Span(Duration::from_millis(50))),
            discipline: Discipline::DropTail,
            trace: None,
        };
        let figures = Figures { state: LinkState::Up, direction };
        let way = Way { longest: Duration::from_millis(110), ..way("home-1 to (vantage)") };
        LinkWay { way, figures, has_new_rate: false }
    }

    fn way(name: &str) -> Way {
        let socket = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (from, to) = (socket(), socket());
        let target = to.local_addr().unwrap();
        Way { name: name.into(), from, to, target, longest: Duration::ZERO }
    }
}
