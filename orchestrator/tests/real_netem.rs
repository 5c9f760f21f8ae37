//! Delay, loss, duplication and latency between regions are what the plan says, where the kernel has sch_netem.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod fit_host;
mod real_support;

use std::{
    net::UdpSocket,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fit_host::measure_async;
use peerbed_orchestrator::{
    plan::{Direction, Jitter, Latency, Loss, Plan},
    real::{
        Supervisor,
        features::{Feature, probe},
    },
    units::{Rate, Share, Span},
};
use peerbed_proto::id::PeerId;
use real_support::{ROLE, address, build, can_make_namespaces, direction, link, plan};

#[tokio::test]
async fn round_trips_take_twice_the_delays_of_both_links_from_the_first_packet_on() {
    if !has_netem() {
        return;
    }
    let links = vec![link("far", delayed(20), delayed(20)), link("near", delayed(5), delayed(5))];
    let plan = plan(links, 2);
    measure_async("round trips over two links", async || {
        let supervisor = build(&plan).await;
        let trips = round_trips(&supervisor, 1, 2, 20).await;
        println!("asked 50 ms, got {trips:?}");
        check_near(&trips, 50.0)?;
        if trips[0] < 75.0 {
            Ok(())
        } else {
            Err(format!("the first packet took {} ms, as if it had to be asked for first", trips[0]))
        }
    })
    .await;
}

#[tokio::test]
async fn regions_are_as_far_apart_as_the_plan_says() {
    if !has_netem() {
        return;
    }
    let mut plan = plan(vec![link("any", delayed(0), delayed(2))], 6);
    for (peer, region) in plan.peers.iter_mut().zip(["eu", "us", "asia", "eu"]) {
        peer.region = Some(region.to_owned());
    }
    let latency = |from: &str, to: &str, ms| Latency { from: from.into(), to: to.into(), delay: span(ms) };
    plan.latencies = vec![
        latency("eu", "us", 10),
        latency("us", "eu", 10),
        latency("eu", "asia", 30),
        latency("asia", "eu", 50),
        latency("us", "asia", 20),
        latency("asia", "us", 20),
        latency("eu", "eu", 5),
    ];
    let supervisor = build(&plan).await;
    // The last two have no region and no latency to anybody.
    for (from, to, asked) in [(1, 2, 24.0), (1, 3, 84.0), (3, 2, 44.0), (4, 1, 14.0), (1, 5, 4.0), (6, 5, 4.0)] {
        measure_async(&format!("round trips from {from} to {to}"), async || {
            let trips = round_trips(&supervisor, from, to, 10).await;
            println!("{from} to {to}: asked {asked} ms, got {trips:?}");
            check_near(&trips, asked)
        })
        .await;
    }
}

#[tokio::test]
async fn packets_are_lost_and_doubled_at_the_asked_rates() {
    if !has_netem() {
        return;
    }
    let lossy = |average, burst| Direction { loss: Loss { average: Share(average), burst }, ..direction(None) };
    let doubling = Direction { duplicate: Share(50_000_000), delay: span(1), ..direction(None) };
    // Each with what 2 000 packets may differ by: four standard deviations; bursts of 8 make them 3.9 times as wide.
    for (up, share, width) in
        [(lossy(50_000_000, 1), 0.95, 0.02), (lossy(50_000_000, 8), 0.95, 0.076), (doubling, 1.05, 0.02)]
    {
        let plan = plan(vec![link("lossy", up, direction(None))], 2);
        measure_async(&format!("a share of {share}"), async || {
            let counted = pour_through(&plan, 2000).await / 2000.0;
            println!("asked {share}, got {counted}");
            if (counted - share).abs() < width { Ok(()) } else { Err(format!("{counted} in place of {share}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn the_kernel_reads_back_what_was_asked() {
    if !has_netem() {
        return;
    }
    let everything = Direction {
        delay: span(20),
        jitter: Jitter { amount: span(2), ..Jitter::default() },
        loss: Loss { average: Share(10_000_000), burst: 8 },
        reorder: Share(250_000_000),
        duplicate: Share(20_000_000),
        ..direction(Some(8_000_000))
    };
    let supervisor = build(&plan(vec![link("all", everything, direction(None))], 2)).await;
    let shown = real_support::output(&supervisor, 1, &["tc", "qdisc", "show", "dev", "eth0"]).await;
    println!("{shown}");
    for words in [
        "parent 1:1 limit 4187 delay 20ms  2ms",
        "loss gemodel p 0.126263% r 12.5% 1-h 100% 1-k 0%",
        "duplicate 2%",
        "reorder 25% gap 1",
        // 1 MB/s: a burst of a frame and 4 ms; tc shows the queue of 50 ms less the burst.
        "parent 2:1 rate 8Mbit",
        "lat 44.5ms",
    ] {
        assert!(shown.contains(words), "no `{words}` in {shown}");
    }
}

#[tokio::test]
async fn a_delayed_link_keeps_its_rate_and_its_queue() {
    if !has_netem() {
        return;
    }
    // 1 mbit/s and 50 ms of queue: of 100 full packets sent at once those pass that fit: 6 250 bytes, and the burst.
    let slow = Direction { rate: Some(Rate(1_000_000)), delay: span(20), ..direction(None) };
    let plan = plan(vec![link("slow", slow, direction(None))], 2);
    measure_async("a short queue", async || {
        let counted = pour_through(&plan, 100).await;
        // Packets are of 1 028 bytes: two of the burst of 2 000 bytes, six of the queue, and one or two as it drains. A
        // sender that is held up in the middle of it lets it drain.
        println!("{counted} of 100 packets passed");
        assert!(counted >= 7.0, "{counted}");
        if counted <= 11.0 { Ok(()) } else { Err(format!("{counted} of 100 packets passed")) }
    })
    .await;
}

/// How many of so many packets, poured into the way from the first peer to the second, arrive.
async fn pour_through(plan: &Plan, count: u32) -> f64 {
    let supervisor = build(plan).await;
    let mut receiver = role(&supervisor, 2, &format!("count {count}")).await;
    await_bound(&supervisor, 2).await;
    let mut sender = role(&supervisor, 1, &format!("pour 2 {count}")).await;
    assert!(sender.wait().unwrap().success());
    // From now on silence is an end.
    drop(receiver.stdin.take());
    figures(&mut receiver)[0]
}

/// Not a test: what this program does when a test above has started it again with a role.
#[test]
fn role_of_a_child_process() {
    let role = std::env::var(ROLE).unwrap_or_default();
    match role.split(' ').collect::<Vec<_>>()[..] {
        ["echo"] => echo(),
        ["ping", to, count] => ping(to.parse().unwrap(), count.parse().unwrap()),
        ["count", count] => count_packets(count.parse().unwrap()),
        ["pour", to, count] => pour(to.parse().unwrap(), count.parse().unwrap()),
        _ => {}
    }
}

fn echo() {
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    let mut buffer = [0; 64];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        socket.send_to(&buffer[..length], from).unwrap();
    }
}

fn ping(to: u32, count: u32) {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    socket.connect((address(to), PORT)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for _ in 0..count {
        let began = Instant::now();
        socket.send(b"ping").unwrap();
        socket.recv(&mut [0; 64]).unwrap();
        println!("figure {}", began.elapsed().as_secs_f64() * 1e3);
    }
}

/// Counts packets until standard input has ended and none has come for a second since.
fn count_packets(about: u32) {
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    // Room for all of them: what is lost must be lost on the way.
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 32 << 20).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let all_are_sent = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&all_are_sent);
    std::thread::spawn(move || {
        std::io::stdin().lines().for_each(drop);
        told.store(true, Ordering::Release);
    });
    let mut counted = 0;
    while counted < 2 * about {
        let is_last = all_are_sent.load(Ordering::Acquire);
        if socket.recv(&mut [0; 2048]).is_ok() {
            counted += 1;
        } else if is_last {
            break;
        }
    }
    println!("figure {counted}");
}

/// Sends packets of 1 028 bytes, as fast as the kernel takes them up to 100, then 100 every 5 ms.
fn pour(to: u32, count: u32) {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    for sent in 0..count {
        if sent > 0 && sent % 100 == 0 {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        socket.send_to(&[0; 1000], (address(to), PORT)).unwrap();
    }
}

async fn round_trips(supervisor: &Supervisor, from: u32, to: u32, count: u32) -> Vec<f64> {
    let mut echo = role(supervisor, to, "echo").await;
    await_bound(supervisor, to).await;
    let mut pinger = role(supervisor, from, &format!("ping {to} {count}")).await;
    let trips = figures(&mut pinger);
    echo.kill().unwrap();
    echo.wait().unwrap();
    assert_eq!(trips.len(), count as usize);
    trips
}

async fn role(supervisor: &Supervisor, peer: u32, role: &str) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "role_of_a_child_process", "--nocapture"]);
    command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
    supervisor.spawn(PeerId(peer), command).await.unwrap()
}

/// Waits until something listens on the port in a peer's namespace.
async fn await_bound(supervisor: &Supervisor, peer: u32) {
    let script = format!("until grep -q ':{PORT:04X} ' /proc/net/udp; do sleep 0.01; done");
    real_support::output(supervisor, peer, &["timeout", "60", "sh", "-c", &script]).await;
}

fn figures(child: &mut std::process::Child) -> Vec<f64> {
    let text = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    child.wait().unwrap();
    text.lines().filter_map(|line| line.split_once("figure ")?.1.parse().ok()).collect()
}

fn delayed(ms: u64) -> Direction {
    Direction { delay: span(ms), ..direction(Some(50_000_000)) }
}

fn span(ms: u64) -> Span {
    Span(Duration::from_millis(ms))
}

/// Never early; the best of them late by no more than a busy host or a guest needs to wake up.
fn check_near(trips: &[f64], asked: f64) -> Result<(), String> {
    let best = trips.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best >= asked, "{best} ms is less than {asked} ms");
    if best < asked * 1.02 + 1.5 { Ok(()) } else { Err(format!("{best} ms in place of {asked} ms")) }
}

fn has_netem() -> bool {
    if !can_make_namespaces() {
        return false;
    }
    match &probe(&[Feature::Netem]).unwrap()[0].1 {
        None => true,
        Some(words) => {
            println!("skipped: this kernel lacks sch_netem ({words})");
            false
        }
    }
}

const PORT: u16 = 7007;
