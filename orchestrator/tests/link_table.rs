//! The table of measured links: each of `link_settings` as asked and as found, by echoes, floods, datagrams and iperf3.
//!
//! Run by `make links`, which names a directory in PEERBED_TABLE; every row is written there as a line of JSON when it has
//! been measured. Without it, three of the rows are measured and nothing is written.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they measured, and fail where they stand")]

mod link_settings;
mod real_support;

use std::{fs::OpenOptions, io::Write, time::Duration};

use link_settings::{Setting, settings};
use peerbed_orchestrator::{
    plan::{Latency, Plan},
    real::{Supervisor, features::Feature},
    units::Span,
};
use real_support::{
    build, direction, has, is_guest, is_installed, link, plan,
    probe::{datagrams, flood, iperf3_tcp, round_trips},
};
use serde_json::{Value, json};

#[tokio::test]
async fn links_are_what_was_asked_for() {
    if !has(&[Feature::Netem]) || !is_installed("iperf3") {
        return;
    }
    let place = std::env::var_os("PEERBED_TABLE");
    let all = settings();
    // Slow, bursty, and far: enough for every run of the tests.
    let few = ["home up", "bursty losses", "two regions"];
    for setting in all.iter().filter(|setting| place.is_some() || few.contains(&setting.name)) {
        // A host that does other things for milliseconds spoils a measurement, but not three in a row.
        let mut row = json!(null);
        for _ in 0..3 {
            row = measure(setting).await;
            println!("{row}");
            if row["within"] == true {
                break;
            }
        }
        if let Some(place) = &place {
            let path = std::path::Path::new(place).join("kernel.ndjson");
            writeln!(OpenOptions::new().append(true).create(true).open(path).unwrap(), "{row}").unwrap();
        }
        assert_eq!(row["within"], true, "{row}");
    }
}

/// Not a test: what this program does when the test above has started it again with a role.
#[test]
fn role_of_a_child_process() {
    real_support::probe::play_role();
}

/// One row as asked and as found.
async fn measure(setting: &Setting) -> Value {
    let plan = plan_of(setting);
    let supervisor = build(&plan).await;
    let asked = &setting.direction;
    let rate = asked.rate.unwrap().0;

    let trips = round_trips(&supervisor, 1, 2, if setting.direction.delay.0.as_millis() > 100 { 6 } else { 15 }).await;
    let least = trips.iter().copied().fold(f64::INFINITY, f64::min);
    let asked_trip = 2e3 * (asked.delay.0 + setting.region).as_secs_f64();

    let count = loss_count(setting);
    // Half the rate, so that no queue grows, and at most a thousand a second.
    let spacing = Duration::from_secs_f64((128.0 * 8.0 * 2.0 / rate as f64).max(0.001));
    let arrived = datagrams(&supervisor, 1, 2, count, spacing).await.len() as u32;
    let lost = count - arrived;
    let (least_lost, most_lost) = interval(count, asked.loss.average.fraction(), asked.loss.burst);

    let flow = flood(&supervisor, 1, 2, rate, 3.0).await;
    let through = (1.0 - asked.loss.average.fraction()).min(flow.offered / rate as f64);
    let udp = flow.arrived / rate as f64;
    let tcp = tcp(setting, &supervisor).await;

    let trip_ok = (asked_trip..=asked_trip * 1.02 + late_ms()).contains(&least);
    let loss_ok = (least_lost..=most_lost).contains(&lost);
    let rate_ok = flow.offered >= rate as f64 * 1.02 && (0.97..=1.03).contains(&udp);
    // TCP on a lossy link gets what its congestion control makes of the losses, which is no matter of the link.
    let tcp_ok = tcp.is_none_or(|tcp| asked.loss.average.0 > 0 || (0.9..=1.03).contains(&(tcp / rate as f64)));
    json!({
        "name": setting.name, "engine": "kernel", "guest": is_guest(),
        "asked": { "rate_bps": rate, "rtt_ms": asked_trip, "loss": asked.loss.average.fraction(), "burst": asked.loss.burst },
        "rtt_ms": least, "udp_bps": flow.arrived, "udp_offered_bps": flow.offered, "tcp_bps": tcp,
        "lost": lost, "sent": count, "lost_range": [least_lost, most_lost], "share_expected": through,
        "within": trip_ok && loss_ok && rate_ok && tcp_ok,
        "by": { "rtt": trip_ok, "loss": loss_ok, "rate": rate_ok, "tcp": tcp_ok },
    })
}

/// TCP's windows reach a megabyte or two here, and slow starts take many round trips: very long ways are left out.
async fn tcp(setting: &Setting, supervisor: &Supervisor) -> Option<f64> {
    let far = setting.direction.delay.0 + setting.region > Duration::from_millis(200);
    if far { None } else { Some(iperf3_tcp(supervisor, 1, 2, 2, 3).await) }
}

/// Datagrams for a useful interval, within the time that a row may take.
fn loss_count(setting: &Setting) -> u32 {
    if setting.direction.rate.unwrap().0 < 1_000_000 { 600 } else { 4_000 }
}

/// Numbers lost in 99.9 % of all cases: 3.3 standard deviations, and two more packets for the skew of small numbers.
///
/// Losses in bursts of mean length b have a variance 2 b (1 - p) - 1 times as large.
fn interval(count: u32, loss: f64, burst: u32) -> (u32, u32) {
    let mean = f64::from(count) * loss;
    let spread = if burst > 1 { 2.0 * f64::from(burst) * (1.0 - loss) - 1.0 } else { 1.0 };
    let width = if loss > 0.0 { 3.3 * (mean * (1.0 - loss) * spread).sqrt() + 2.0 } else { 0.0 };
    ((mean - width).max(0.0).ceil() as u32, (mean + width).floor() as u32)
}

/// What the fastest round trip may take more than 2 %: 0.3 ms, and in a guest the time of its slow calls.
fn late_ms() -> f64 {
    if is_guest() { 1.5 } else { 0.3 }
}

fn plan_of(setting: &Setting) -> Plan {
    let links = vec![
        link("asked", setting.direction.clone(), setting.direction.clone()),
        link("open", direction(None), direction(None)),
    ];
    let mut plan = plan(links, 2);
    if !setting.region.is_zero() {
        let way = |from: &str, to: &str| Latency { from: from.into(), to: to.into(), delay: Span(setting.region) };
        plan.latencies = vec![way("here", "there"), way("there", "here")];
        for (peer, region) in plan.peers.iter_mut().zip(["here", "there"]) {
            peer.region = Some(region.to_owned());
        }
    }
    plan
}
