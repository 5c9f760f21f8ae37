//! Jitter, loss, reordering, duplicates, corruption and CoDel are what the plan says, where the kernel has them.
//!
//! Times have tolerances on both sides. A packet is never early: netem and we read the same clock. It is late by what a
//! timer and two processes need to wake up, and a guest wakes up when its host lets it: on a host with ten busy processes
//! that was seen to be 12 ms in the middle. So what may be late is compared with the least time, with a control without
//! jitter, or with the kernel's own count; what may not be early is held for every packet.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod fit_host;
mod real_support;

use std::{collections::BTreeSet, time::Duration};

use fit_host::measure_async;
use peerbed_orchestrator::{
    plan::{Direction, Discipline, Jitter, Latency, Loss, Order, Queue, Shape},
    real::features::Feature,
    units::{Share, Span},
};
use real_support::{
    build, direction, has, link, plan,
    probe::{Arrival, datagrams, flood, median, round_trips},
};

const COUNT: u32 = 3_000;

#[tokio::test]
async fn losses_lie_in_the_binomial_interval() {
    if !has(&[Feature::Netem]) {
        return;
    }
    // 99.9 % of all seeds lose so many of 3 000. For bursts of b the variance is 2 b − 1 times as large, less a little.
    for (percent, burst, range) in [(1, 1, 14..=50), (10, 1, 247..=355), (5, 8, 8..=300)] {
        let lossy = Direction { loss: Loss { average: Share(percent * 10_000_000), burst }, ..direction(None) };
        let what = format!("{percent} % of loss in bursts of {burst}");
        measure_async(&what, async || {
            let arrivals = through(&lossy, COUNT, 500).await;
            let lost = COUNT - numbers(&arrivals).len() as u32;
            let spells = arrivals.windows(2).filter(|pair| pair[1].number > pair[0].number + 1).count();
            println!("{what}: {lost} of {COUNT} lost in {spells} spells");
            if !range.contains(&lost) {
                return Err(format!("{lost} lost of {COUNT}"));
            }
            // A spell lasts 8 packets on average, and its length is geometric: 4 of its deviations for so many spells.
            let (mean, width) = (f64::from(lost) / spells as f64, 4.0 * 7.5 / (spells as f64).sqrt());
            let are_spells = burst == 1 || spells <= 5 || (mean - 8.0).abs() < width;
            if are_spells { Ok(()) } else { Err(format!("spells of {mean}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn jitter_has_the_shape_that_was_asked_for() {
    if !has(&[Feature::Netem]) {
        return;
    }
    // 30 ms ± 8 ms: the least there may be, and the shares of packets below one deviation less and above one more.
    // Uniform: none. Normal: 15.9 % each. Pareto: none below 30 - 0.58 × 8 ms, 9.2 % above.
    for (shape, least, below, above) in
        [(Shape::Uniform, 22.0, 0.0, 0.0), (Shape::Normal, 0.0, 0.159, 0.159), (Shape::Pareto, 25.3, 0.0, 0.092)]
    {
        let jitter = Jitter { amount: span(8), shape, order: Order::Free };
        measure_async(&format!("jitter of shape {shape:?}"), async || {
            // Packets that the host makes late: how many without jitter are later than LATE, and than half the jitter.
            let control = delays(&through(&Direction { delay: span(30), ..direction(None) }, 2_000, 1_000).await);
            let (slow, very_slow) = (later(&control, 30.0 + LATE), later(&control, 34.0));
            let found = through(&Direction { delay: span(30), jitter, ..direction(None) }, 2_000, 1_000).await;
            let found = delays(&found);
            let (early, tail) = (1.0 - later(&found, 22.0), later(&found, 38.0 + LATE));
            let first = found.iter().copied().fold(f64::INFINITY, f64::min);
            let words = format!(
                "least {first:.2} ms, median {:.2} ms, {early:.3} early, {tail:.3} late; {slow:.3} without jitter",
                median(&found)
            );
            println!("{shape:?}: {words}");
            assert!(first >= least, "{shape:?}: {first} ms");
            // Statistics of 2 000 are good for 0.03; a late packet may hide an early one and make a late one more.
            let is_shape = (below * (1.0 - slow) - 0.03..=below + 0.03).contains(&early)
                && (above * 0.5 - 0.01..=above + very_slow + slow + 0.03).contains(&tail);
            if is_shape { Ok(()) } else { Err(words) }
        })
        .await;
    }
}

#[tokio::test]
async fn jitter_disturbs_the_order_unless_it_is_kept() {
    if !has(&[Feature::Netem]) {
        return;
    }
    for (order, least, most) in [(Order::Free, 101, 1_000), (Order::Kept, 0, 0)] {
        let jitter = Jitter { amount: span(10), shape: Shape::Uniform, order };
        let jittery = Direction { delay: span(20), jitter, ..direction(None) };
        measure_async(&format!("jitter with order {order:?}"), async || {
            let arrivals = through(&jittery, 1_000, 1_000).await;
            let early = overtakers(&arrivals);
            println!("{order:?}: {early} of {} arrived before their predecessors", arrivals.len());
            assert_eq!(arrivals.len(), 1_000);
            assert!(early <= most && arrivals.iter().all(|arrival| arrival.delay >= 10.0), "{early}");
            if early >= least { Ok(()) } else { Err(format!("{early} overtook")) }
        })
        .await;
    }
}

#[tokio::test]
async fn some_packets_overtake_some_come_twice_and_some_are_spoilt() {
    if !has(&[Feature::Netem]) {
        return;
    }
    let share = Share(50_000_000);
    let base = || Direction { delay: span(20), ..direction(None) };
    // 99.9 % of all seeds give 150 ± 39 of 3 000.
    let range = 111..=189;
    let judge = |is_right: bool, words: String| if is_right { Ok(()) } else { Err(words) };

    let plan = plan(vec![link("asked", Direction { reorder: share, ..base() }, direction(None))], 2);
    measure_async("reordering", async || {
        let supervisor = build(&plan).await;
        let arrivals = datagrams(&supervisor, 1, 2, COUNT, Duration::from_micros(500)).await;
        let up = supervisor.read_back(&plan).await.unwrap().swap_remove(0);
        let early = up.found.iter().map(|found| found.counts.requeues as usize).sum::<usize>();
        let words = format!("{early} of {COUNT} skipped the delay, {} overtook others", overtakers(&arrivals));
        println!("asked 5 %, {words}");
        assert!(overtakers(&arrivals) <= early, "{words}");
        // Where the host is late, those that were sent before have arrived by then.
        judge(range.contains(&early) && overtakers(&arrivals) >= 30, words)
    })
    .await;

    let twice = Direction { duplicate: share, ..base() };
    measure_async("duplication", async || {
        let arrivals = through(&twice, COUNT, 500).await;
        let copies = arrivals.len() - numbers(&arrivals).len();
        println!("asked 5 %, {copies} of {COUNT} came twice");
        judge(range.contains(&copies) && numbers(&arrivals).len() == COUNT as usize, format!("{copies} copies"))
    })
    .await;

    // One flipped bit is found by UDP's checksum or IP's, but for one in a hardware address, which nobody reads here.
    let corrupt = Direction { corrupt: share, ..base() };
    measure_async("corruption", async || {
        let spoilt = COUNT as usize - through(&corrupt, COUNT, 500).await.len();
        println!("asked 5 %, {spoilt} of {COUNT} were thrown away as spoilt");
        judge((90..=189).contains(&spoilt), format!("{spoilt} spoilt"))
    })
    .await;
}

#[tokio::test]
async fn codel_keeps_a_queue_short_that_drop_tail_fills() {
    if !has(&[Feature::Netem, Feature::CoDel]) {
        return;
    }
    measure_async("CoDel's queue", async || {
        let mut longest = Vec::new();
        for discipline in [Discipline::DropTail, Discipline::CoDel { target: span(5), interval: span(20) }] {
            let queue = Queue::Time(span(400));
            let slow = Direction { queue, discipline, ..direction(Some(4_000_000)) };
            let supervisor = build(&plan(vec![link("slow", slow, direction(None))], 2)).await;
            // The flood goes a quarter faster than the link, for about 2.5 s.
            let echoes = async { round_trips(&supervisor, 1, 2, 40).await };
            let (_, times) = tokio::join!(flood(&supervisor, 1, 2, 4_000_000, 3.0), echoes);
            println!("{discipline:?}: {times:.1?}");
            longest.push(times.into_iter().fold(0.0, f64::max));
        }
        // 400 ms of queue are full; CoDel has brought them down below that.
        let is_short = (200.0..500.0).contains(&longest[0]) && longest[1] < longest[0] * 0.8;
        if is_short { Ok(()) } else { Err(format!("drop-tail {} ms, CoDel {} ms", longest[0], longest[1])) }
    })
    .await;
}

#[tokio::test]
async fn sixteen_regions_are_as_far_apart_as_the_plan_says() {
    if !has(&[Feature::Netem]) {
        return;
    }
    let mut plan = plan(vec![link("any", direction(None), direction(None))], 16);
    let name = |number: u64| format!("region-{number}");
    for peer in &mut plan.peers {
        peer.region = Some(name(u64::from(peer.id.0)));
    }
    let away = |from: u64, to: u64| 5 * from + 3 * to;
    let pairs = (1..=16).flat_map(|from| (1..=16).filter(move |to| *to != from).map(move |to| (from, to)));
    plan.latencies = pairs.map(|(a, b)| Latency { from: name(a), to: name(b), delay: span(away(a, b)) }).collect();
    let supervisor = build(&plan).await;
    assert!(supervisor.read_back(&plan).await.unwrap().iter().all(|end| end.differences.is_empty()));
    for (from, to) in [(1, 2), (2, 1), (1, 16), (8, 9), (16, 15)] {
        let asked = (away(from, to) + away(to, from)) as f64;
        let what = format!("{from} to {to}");
        measure_async(&what, async || {
            // The fastest tells about the link, the others about the host.
            let trips = round_trips(&supervisor, from as u32, to as u32, 20).await;
            let found = trips.iter().copied().fold(f64::INFINITY, f64::min);
            let words = format!("asked {asked} ms, found {found:.2} ms and {:.2} ms in the middle", median(&trips));
            println!("{what}: {words}");
            assert!(found >= asked, "{what}: {words}");
            if found < asked * 1.02 + 3.0 { Ok(()) } else { Err(words) }
        })
        .await;
    }
}

/// Not a test: what this program does when a test above has started it again with a role.
#[test]
fn role_of_a_child_process() {
    real_support::probe::play_role();
}

/// What arrives of so many datagrams sent through a direction, so many microseconds apart.
async fn through(up: &Direction, count: u32, apart: u64) -> Vec<Arrival> {
    let links = vec![link("asked", up.clone(), direction(None)), link("open", direction(None), direction(None))];
    let supervisor = build(&plan(links, 2)).await;
    datagrams(&supervisor, 1, 2, count, Duration::from_micros(apart)).await
}

fn delays(arrivals: &[Arrival]) -> Vec<f64> {
    arrivals.iter().map(|arrival| arrival.delay).collect()
}

/// The share of delays that are at least so long.
fn later(delays: &[f64], than: f64) -> f64 {
    delays.iter().filter(|delay| **delay >= than).count() as f64 / delays.len() as f64
}

fn numbers(arrivals: &[Arrival]) -> BTreeSet<u32> {
    arrivals.iter().map(|arrival| arrival.number).collect()
}

/// How many were sent before the one that came before them.
fn overtakers(arrivals: &[Arrival]) -> usize {
    arrivals.windows(2).filter(|pair| pair[1].number < pair[0].number).count()
}

/// Milliseconds that waking up may take without counting as late.
const LATE: f64 = 2.0;

fn span(ms: u64) -> Span {
    Span(Duration::from_millis(ms))
}
