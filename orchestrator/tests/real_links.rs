//! Links are what the plan says: measured by iperf3 between two peers of a plan.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod fit_host;
mod real_support;

use std::{
    io::{BufRead, BufReader},
    time::Duration,
};

use fit_host::measure_async;
use futures_util::future::join_all;
use peerbed_orchestrator::{links::kernel::pace::Watch, real::Supervisor};
use real_support::{
    address, build, can_make_namespaces, direction, is_installed, link, output, plan,
    probe::{flood, play_role},
    start,
};
use serde_json::Value;

#[tokio::test]
async fn iperf3_gets_95_to_100_percent_of_every_rate_in_both_directions() {
    if !can_make_namespaces() || !is_installed("iperf3") {
        return;
    }
    // Slow links together, fast ones alone: two busy cores are enough for each.
    for rates in [&[1_000_000, 2_000_000, 20_000_000][..], &[50_000_000], &[200_000_000]] {
        join_all(rates.iter().map(|rate| assert_rate(*rate))).await;
    }
}

/// Measures one rate in a network of its own.
async fn assert_rate(rate: u64) {
    // The first peer's link shapes both directions; the second's is ten times as fast.
    let links = vec![
        link("asked", direction(Some(rate)), direction(Some(rate))),
        link("wide", direction(Some(rate * 10)), direction(Some(rate * 10))),
    ];
    let supervisor = build(&plan(links, 2)).await;
    for (from, to) in [(1, 2), (2, 1)] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let what = format!("{rate} bit/s from {from} to {to} by {transport:?}");
            measure_async(&what, async || {
                let measured = iperf3(&supervisor, from, to, transport, rate).await;
                let share = measured.ip_bytes * 8.0 / measured.seconds / rate as f64;
                println!("{what}: {:.2} %", share * 100.0);
                // The first packet of an interval needs no time in it: one more than the rate allows may be counted. More
                // than that is counted where the receiver was late when the interval began.
                let range = 0.95..=1.0 + 1500.0 / measured.ip_bytes;
                if range.contains(&share) { Ok(()) } else { Err(format!("{share}")) }
            })
            .await;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    /// Bytes that iperf3 counts in a full packet of 1500 bytes: without IP header, and UDP's, or TCP's with timestamps.
    fn payload(self) -> f64 {
        match self {
            Self::Tcp => 1448.0,
            Self::Udp => 1472.0,
        }
    }
}

/// What the receiver saw after the first second.
struct Measured {
    ip_bytes: f64,
    seconds: f64,
}

async fn iperf3(supervisor: &Supervisor, from: u32, to: u32, transport: Transport, rate: u64) -> Measured {
    // With priority, because a receiver that waits for its turn loses packets in its socket, behind the link.
    let nice = ["nice", "-n", "-15", "iperf3", "--json"];
    let mut server = start(supervisor, to, &[&nice[..], &["--server", "--one-off"]].concat()).await;
    wait_for_listener(supervisor, to).await;
    let (host, bitrate) = (address(to).to_string(), (rate * 12 / 10).to_string());
    let mut command = nice.to_vec();
    command.extend(["--client", &host, "--time", "2", "--omit", "1", "--get-server-output"]);
    if matches!(transport, Transport::Udp) {
        command.extend(["--udp", "--bitrate", &bitrate, "--length", "1472"]);
    }
    let report: Value = serde_json::from_str(&output(supervisor, from, &command).await).unwrap();
    let _ = server.kill();
    server.wait().unwrap();
    // The receiver's own intervals: what is counted in them, and how long they really were.
    let intervals = report["server_output_json"]["intervals"].as_array().unwrap();
    let counted = intervals.iter().map(|interval| &interval["sum"]).filter(|sum| sum["omitted"] == false);
    let (bytes, seconds) = counted.fold((0.0, 0.0), |(bytes, seconds), sum| {
        (bytes + sum["bytes"].as_f64().unwrap(), seconds + sum["seconds"].as_f64().unwrap())
    });
    Measured { ip_bytes: bytes / transport.payload() * 1500.0, seconds }
}

/// Waits until something listens on iperf3's port in the namespace of `peer`.
async fn wait_for_listener(supervisor: &Supervisor, peer: u32) {
    let script = "until grep -q ':1451 0*:0000 0A' /proc/net/tcp /proc/net/tcp6; do sleep 0.01; done";
    let child = start(supervisor, peer, &["timeout", "60", "sh", "-c", script]).await;
    let mut child = child;
    let _ = BufReader::new(child.stdout.take().unwrap()).lines().count();
    assert!(child.wait().unwrap().success(), "iperf3 does not listen");
}

#[tokio::test]
async fn a_saturated_link_off_its_pace_is_seen() {
    if !can_make_namespaces() || !is_installed("tc") {
        return;
    }
    let rate = 2_000_000;
    let plan = plan(vec![link("home", direction(Some(rate)), direction(None))], 2);
    let supervisor = build(&plan).await;
    let off_pace = async {
        let mut watch = Watch::default();
        // Behind the orchestrator's back.
        let slower = "tc qdisc change dev eth0 root handle 1: tbf rate 1600kbit burst 4000 limit 12500";
        output(&supervisor, 1, &slower.split(' ').collect::<Vec<_>>()).await;
        // The flood begins when it begins, and a late host may not keep the queue full for all of a second.
        while watch.take(supervisor.paces().await.unwrap()).off_pace == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let floods = async {
        loop {
            flood(&supervisor, 1, 2, rate, 5.0).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(120), async {
        tokio::select! {
            never = floods => never,
            () = off_pace => (),
        }
    });
    seen.await.expect("a link that is a fifth too slow is seen");
}

/// Not a test: what this program does when the test above has started it again with a role.
#[test]
fn role_of_a_child_process() {
    play_role();
}
