//! Links of the user engine are what was asked for: measured between namespaces, and held against the engine's counters.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod fit_host;
mod user_support;

use std::time::Duration;

use fit_host::measure;
use peerbed_orchestrator::{
    links::{
        emulation::settings::Settings,
        user::{EngineError, PartitionCount, Side},
    },
    plan::{CutDirection, Latency, Loss, Partition, Queue},
    units::{Rate, Share, Span},
};
use peerbed_proto::id::PeerId;
use user_support::{
    Access, Lab, is_installed,
    probe::{Transport, datagrams, iperf3, is_silent, ping, saturate},
    turn,
};

const OPEN: Settings = Settings::UNSHAPED;

#[test]
fn round_trips_take_the_delays_of_both_ways() {
    let Some(_turn) = turn() else { return };
    for delay in [0, 1, 5, 20, 75, 150, 300].map(Duration::from_millis) {
        let link = Settings { delay, ..OPEN };
        let lab = Lab::new(&[access(link, link), access(OPEN, OPEN)], &[]);
        let measured = check_round_trip(&lab, (1, 2), 2 * delay);
        println!("asked {:?}, measured {measured:?}", 2 * delay);
    }
}

#[test]
fn the_first_packet_takes_one_round_trip() {
    let Some(_turn) = turn() else { return };
    let link = Settings { delay: Duration::from_millis(50), ..OPEN };
    measure("the first round trip", || {
        let lab = Lab::new(&[access(link, link), access(OPEN, OPEN)], &[]);
        let first = ping(&lab, 1, 2, 1)[0];
        let asked = Duration::from_millis(100);
        assert!(first >= asked, "{first:?} is less than {asked:?}");
        if first < Duration::from_millis(110) { Ok(first) } else { Err(format!("{first:?} in place of {asked:?}")) }
    });
}

#[test]
fn regions_add_their_latency_each_way() {
    let Some(_turn) = turn() else { return };
    let span = |millis| Span(Duration::from_millis(millis));
    let one_way = |from: &str, to: &str, millis| Latency { from: from.into(), to: to.into(), delay: span(millis) };
    let link = Settings { delay: Duration::from_millis(2), ..OPEN };
    let at = |region| Access { region: Some(region), ..access(link, link) };
    let latencies = [one_way("eu", "us", 40), one_way("us", "eu", 45)];
    let lab = Lab::new(&[at("eu"), at("us"), at("us")], &latencies);
    for (to, asked) in [(2, Duration::from_millis(8 + 85)), (3, Duration::from_millis(8 + 85))] {
        check_round_trip(&lab, (1, to), asked);
    }
    check_round_trip(&lab, (2, 3), Duration::from_millis(8));
}

#[test]
fn saturated_links_carry_their_rate_in_both_directions() {
    let Some(_turn) = turn().filter(|_| is_installed("iperf3")) else { return };
    for rate in [256_000, 2_000_000, 20_000_000, 100_000_000, 500_000_000] {
        let lab = Lab::new(&[access(at_rate(rate), at_rate(rate)), access(OPEN, OPEN)], &[]);
        for (from, to) in [(1, 2), (2, 1)] {
            let what = format!("{rate} bit/s by UDP from {from} to {to}");
            measure(&what, || {
                let flows = (0..3).map(|_| saturate(&lab, from, to, 1472, rate * 12 / 10));
                let Some(flow) = flows.into_iter().find(|flow| flow.offered >= rate as f64) else {
                    println!("skipped: this host is too busy to send {what}");
                    return Ok(());
                };
                println!("{what}: {flow:?}");
                // As the clock was read, the rate lies in between.
                check_rate(flow.arrived.1, rate, 2.0, At::Least)?;
                check_rate(flow.arrived.0, rate, 2.0, At::Most)
            });
        }
    }
}

#[test]
fn iperf3_gets_the_rate_by_tcp() {
    let Some(_turn) = turn().filter(|_| is_installed("iperf3")) else { return };
    for rate in [256_000, 2_000_000, 20_000_000, 100_000_000, 500_000_000] {
        let delayed = Settings { delay: Duration::from_millis(5), ..at_rate(rate) };
        let lab = Lab::new(&[access(delayed, delayed), access(OPEN, OPEN)], &[]);
        measure(&format!("{rate} bit/s by TCP"), || {
            let measured = iperf3(&lab, 1, 2, Transport::Tcp, 3);
            println!("asked {rate} bit/s, TCP up: {:.2} %", measured / rate as f64 * 100.0);
            check_rate(measured, rate, 3.0, At::Least)?;
            check_rate(measured, rate, 3.0, At::Most)
        });
    }
}

#[test]
fn datagrams_are_lost_as_often_as_asked_and_no_others() {
    let Some(_turn) = turn() else { return };
    // Largest numbers lost in 99.9 % of all cases, from the binomial distribution of 20 000; for bursts the variance is
    // (1 + (1 - p) * (burst - 1) * 2) times as large.
    for (per_mille, burst, range) in [(1, 1, 7..=36), (10, 1, 155..=248), (100, 1, 1862..=2141), (50, 8, 613..=1387)] {
        let loss = Loss { average: Share(per_mille * 1_000_000), burst };
        let lab = Lab::new(&[access(Settings { loss, ..OPEN }, OPEN), access(OPEN, OPEN)], &[]);
        let arrived = datagrams(&lab, 1, 2, 20_000);
        let lost = 20_000 - arrived.len() as u64;
        println!("asked {per_mille} per mille in bursts of {burst}: {lost} of 20000 lost");
        assert_eq!(lab.engine.counters().unwrap().links[0].up.dropped_loss, lost, "only what was asked for is lost");
        assert!(range.contains(&lost), "{lost} lost at {per_mille} per mille in bursts of {burst}");
    }
}

#[test]
fn the_same_datagrams_are_lost_in_every_run() {
    let Some(_turn) = turn() else { return };
    let link = Settings { loss: Loss { average: Share(50_000_000), burst: 4 }, ..OPEN };
    let run = || datagrams(&Lab::new(&[access(link, OPEN), access(OPEN, link)], &[]), 1, 2, 3000);
    let first = run();
    assert!(first.len() < 3000);
    assert_eq!(first, run());
}

#[test]
fn reordering_and_duplicates_are_what_the_counters_say() {
    let Some(_turn) = turn() else { return };
    let share = Share(50_000_000);
    let link = Settings { reorder: share, duplicate: share, delay: Duration::from_millis(10), ..OPEN };
    let lab = Lab::new(&[access(link, OPEN), access(OPEN, OPEN)], &[]);
    let arrived = datagrams(&lab, 1, 2, 2000);
    let up = lab.engine.counters().unwrap().links[0].up.clone();
    assert_eq!(arrived.len() as u64, 2000 + up.duplicated);
    // An early one is followed by a smaller number; copies by the same.
    let early = arrived.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!(early > 0, "nothing overtook");
    for counted in [up.duplicated, up.reordered] {
        // 99.9 % of all seeds give 100 ± 32.
        assert!((68..=132).contains(&counted), "{counted} of 2000 at 5 %");
    }
}

#[test]
fn a_corrupted_datagram_is_thrown_away_by_its_receiver() {
    let Some(_turn) = turn() else { return };
    let link = Settings { corrupt: Share(100_000_000), ..OPEN };
    let lab = Lab::new(&[access(link, OPEN), access(OPEN, OPEN)], &[]);
    let arrived = datagrams(&lab, 1, 2, 1000);
    let corrupted = lab.engine.counters().unwrap().links[0].up.corrupted;
    assert!(corrupted > 0);
    assert_eq!(arrived.len() as u64, 1000 - corrupted);
}

#[test]
fn tcp_survives_everything_at_once() {
    let Some(_turn) = turn().filter(|_| is_installed("iperf3")) else { return };
    let share = Share(5_000_000);
    let loss = Loss { average: share, burst: 2 };
    let delay = Duration::from_millis(2);
    let rough = Settings { loss, reorder: share, duplicate: share, corrupt: share, delay, ..at_rate(100_000_000) };
    let lab = Lab::new(&[access(rough, rough), access(OPEN, OPEN)], &[]);
    measure("TCP through everything at once", || {
        let rate = iperf3(&lab, 1, 2, Transport::Tcp, 1);
        if rate > 1_000_000.0 { Ok(()) } else { Err(format!("{rate} bit/s came through")) }
    });
    let up = &lab.engine.counters().unwrap().links[0].up;
    assert!(up.dropped_loss > 0 && up.reordered > 0 && up.duplicated > 0 && up.corrupted > 0, "{up:?}");
}

#[test]
fn a_link_changes_while_it_is_used() {
    let Some(_turn) = turn() else { return };
    let lab = Lab::new(&[access(OPEN, OPEN), access(OPEN, OPEN)], &[]);
    let delayed = Settings { delay: Duration::from_millis(30), ..OPEN };
    lab.engine.change(PeerId(1), Side::Up, delayed).unwrap();
    check_round_trip(&lab, (1, 2), Duration::from_millis(30));
    let cut = Settings { loss: Loss { average: Share::WHOLE, burst: 1 }, ..OPEN };
    lab.engine.change(PeerId(2), Side::Down, cut).unwrap();
    assert!(is_silent(&lab, 1, 2));
    assert_eq!(lab.engine.change(PeerId(9), Side::Up, OPEN), Err(EngineError::UnknownPeer(PeerId(9))));
}

#[test]
fn a_partition_bites_heals_and_is_counted() {
    let Some(_turn) = turn() else { return };
    let lab = Lab::new(&[access(OPEN, OPEN), access(OPEN, OPEN), access(OPEN, OPEN)], &[]);
    let sides = vec![vec![PeerId(1)], vec![PeerId(2)]];
    let partition = Partition { name: "p0".into(), sides, direction: CutDirection::Both };
    lab.engine.cut(&partition).unwrap();
    assert!(is_silent(&lab, 1, 2));
    ping(&lab, 1, 3, 1);
    lab.engine.heal("p0").unwrap();
    ping(&lab, 1, 2, 1);
    assert_eq!(lab.engine.counters().unwrap().partitions, [PartitionCount { name: "p0".into(), dropped: 1 }]);
}

#[test]
fn peers_that_go_do_not_disturb_the_others() {
    let Some(_turn) = turn() else { return };
    let mut lab = Lab::new(&[access(OPEN, OPEN), access(OPEN, OPEN), access(OPEN, OPEN)], &[]);
    lab.remove(2);
    ping(&lab, 1, 3, 3);
    let counters = lab.engine.stop().unwrap();
    assert_eq!(counters.links.len(), 3);
    assert_eq!(counters.links[2].down.left.packets, 3);
}

/// No round trip is shorter than asked, and the fastest of nine is longer by what waking up takes at most: it tells about
/// the link, the others about the host.
fn check_round_trip(lab: &Lab, (from, to): (u32, u32), asked: Duration) -> Option<Duration> {
    measure(&format!("round trips of {asked:?}"), || {
        let fastest = ping(lab, from, to, 9).into_iter().min().unwrap();
        assert!(fastest >= asked, "{fastest:?} is less than {asked:?}");
        let most = asked.mul_f64(1.02) + Duration::from_micros(300);
        if fastest <= most { Ok(fastest) } else { Err(format!("{fastest:?} at best, {most:?} at most")) }
    })
}

/// A bound of a rate.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Least,
    Most,
}

/// A rate is what was asked for within 3 %.
fn check_rate(measured: f64, asked: u64, seconds: f64, at: At) -> Result<(), String> {
    let share = measured / asked as f64;
    // The first packet of the time needs no time in it: one more than the rate allows may be counted, or one less.
    let packet = 12_000.0 / (asked as f64 * seconds);
    let off = if at == At::Least { 1.0 - share } else { share - 1.0 };
    if off <= 0.03 + packet { Ok(()) } else { Err(format!("{share:.4} of {asked} bit/s")) }
}

fn access(up: Settings, down: Settings) -> Access {
    Access { up, down, region: None }
}

fn at_rate(bits: u64) -> Settings {
    Settings { rate: Some(Rate(bits)), queue: Queue::Time(Span(Duration::from_millis(100))), ..OPEN }
}
