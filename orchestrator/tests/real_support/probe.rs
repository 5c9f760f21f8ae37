//! Probes between two peers of a plan: echoes, numbered datagrams with the time they were sent, floods, iperf3.
//!
//! Each probe is this test program started again inside a peer's namespace with a role in its environment; the test
//! program has a test `role_of_a_child_process` that calls [`play_role`].

use std::{
    net::UdpSocket,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use peerbed_orchestrator::real::Supervisor;
use peerbed_proto::id::PeerId;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::{ROLE, address, output, segment, send_often, start};

/// A datagram that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Its number, from 0 in the order of sending.
    pub(crate) number: u32,
    /// Milliseconds on its way.
    pub(crate) delay: f64,
}

/// Round trip times of so many echoes, one after the other, in milliseconds. Lost ones are asked again.
pub(crate) async fn round_trips(supervisor: &Supervisor, from: u32, to: u32, count: u32) -> Vec<f64> {
    let mut echo = role(supervisor, to, "echo").await;
    await_bound(supervisor, to).await;
    let pinger = role(supervisor, from, &format!("ping {to} {count}")).await;
    let trips = figures(pinger).await.into_iter().map(|line| line[0]).collect::<Vec<_>>();
    echo.kill().unwrap();
    echo.wait().unwrap();
    assert_eq!(trips.len(), count as usize);
    trips
}

/// Sends so many numbered datagrams of 128 bytes with so much time between two, and returns those that arrive.
pub(crate) async fn datagrams(
    supervisor: &Supervisor,
    from: u32,
    to: u32,
    count: u32,
    spacing: Duration,
) -> Vec<Arrival> {
    let mut receiver = role(supervisor, to, &format!("receive {count}")).await;
    await_bound(supervisor, to).await;
    let mut sender = role(supervisor, from, &format!("send {to} {count} {}", spacing.as_nanos())).await;
    assert!(tokio::task::spawn_blocking(move || sender.wait().unwrap()).await.unwrap().success());
    // From now on silence is an end.
    drop(receiver.stdin.take());
    figures(receiver).await.into_iter().map(|line| Arrival { number: line[0] as u32, delay: line[1] }).collect()
}

/// Floods the way between two peers with full packets, sent as trains so that a slow sender suffices, and measures for so
/// many seconds how many bits per second of whole IP packets come out at the other end, by the kernel's counters.
///
/// What was on its way has arrived afterwards: half a second of it would be taken for the beginning of the next flood.
pub(crate) async fn flood(supervisor: &Supervisor, from: u32, to: u32, rate: u64, seconds: f64) -> f64 {
    let mut sender = role(supervisor, from, &format!("flood {to} {rate}")).await;
    let arrived = meter(supervisor, to, rate, seconds).await;
    sender.kill().unwrap();
    sender.wait().unwrap();
    figures(role(supervisor, to, "drain").await).await;
    arrived
}

/// Milliseconds of the fastest of so many echoes by `ping`.
pub(crate) async fn ping(supervisor: &Supervisor, from: u32, to: u32, count: u32) -> f64 {
    let (host, count) = (address(to).to_string(), count.to_string());
    // Less than all may come back on a lossy link; every fifth of a second is the shortest interval open to everybody.
    let text = output(supervisor, from, &["ping", "-c", &count, "-i", "0.2", "-W", "2", &host]).await;
    let figures = text.lines().find_map(|line| line.strip_prefix("rtt min/avg/max/mdev = ")).unwrap();
    figures.split('/').next().unwrap().parse().unwrap()
}

/// As [`flood`], while iperf3 sends so fast.
///
/// Datagrams of one packet below 20 Mbit/s; above, where a guest's process cannot send so many, of as many full packets
/// (IP fragments) as 10 ms carry, 40 at most.
pub(crate) async fn iperf3_udp(supervisor: &Supervisor, from: u32, to: u32, asked: u64, seconds: f64) -> f64 {
    let mut server = iperf3_server(supervisor, to).await;
    let packets = if asked < 20_000_000 { 1 } else { train(asked) };
    let (host, rate, length) = (address(to), asked + asked / 2, packets * 1480 - 8);
    let command = format!("iperf3 --client {host} --udp --length {length} --time 60 --bitrate {rate}");
    let command: Vec<&str> = command.split(' ').collect();
    let mut client = start(supervisor, from, &command).await;
    let arrived = meter(supervisor, to, asked, seconds).await;
    for process in [&mut client, &mut server] {
        let _ = process.kill();
        process.wait().unwrap();
    }
    arrived
}

/// Bits per second of whole IP packets that arrive at a peer.
async fn meter(supervisor: &Supervisor, peer: u32, rate: u64, seconds: f64) -> f64 {
    // Frames of the kernel engine's veths have 14 bytes of header, those of the user engine's devices none.
    let header = if supervisor.link_counters().await.unwrap().is_some() { 0 } else { 14 };
    figures(role(supervisor, peer, &format!("meter {rate} {seconds} {header}")).await).await[0][0]
}

/// An iperf3 server that listens already.
async fn iperf3_server(supervisor: &Supervisor, peer: u32) -> Child {
    let server = start(supervisor, peer, &["iperf3", "--server", "--one-off", "--json"]).await;
    let script = "until grep -q ':1451 0*:0000 0A' /proc/net/tcp /proc/net/tcp6 2>/dev/null; do sleep 0.01; done";
    output(supervisor, peer, &["timeout", "60", "sh", "-c", script]).await;
    server
}

/// Bits per second of whole IP packets that iperf3 gets by TCP after its first seconds.
///
/// iperf3 fetches its server's figures over the link as well, and has been seen to end without them on a slow and lossy one. That
/// says nothing of the link's rate: it is started again.
pub(crate) async fn iperf3_tcp(supervisor: &Supervisor, from: u32, to: u32, omit: u32, seconds: u32) -> f64 {
    let mut report = Value::Null;
    for _ in 0..IPERF3_TRIES {
        report = iperf3_report(supervisor, from, to, omit, seconds).await;
        if let Some(intervals) = report["server_output_json"]["intervals"].as_array() {
            return rate_of(intervals);
        }
    }
    panic!("iperf3 told nothing of its server's in {IPERF3_TRIES} tries: {report}");
}

async fn iperf3_report(supervisor: &Supervisor, from: u32, to: u32, omit: u32, seconds: u32) -> Value {
    let mut server = iperf3_server(supervisor, to).await;
    let (host, omit, seconds) = (address(to).to_string(), omit.to_string(), seconds.to_string());
    let command = ["iperf3", "--client", &host, "--time", &seconds, "--omit", &omit, "--json", "--get-server-output"];
    let report = serde_json::from_str(&output(supervisor, from, &command).await).unwrap();
    let _ = server.kill();
    server.wait().unwrap();
    report
}

/// What a server of iperf3 received, as bits per second of whole IP packets.
fn rate_of(intervals: &[Value]) -> f64 {
    let counted = intervals.iter().map(|interval| &interval["sum"]).filter(|sum| sum["omitted"] == false);
    let (bytes, seconds) = counted.fold((0.0, 0.0), |(bytes, seconds), sum| {
        (bytes + sum["bytes"].as_f64().unwrap(), seconds + sum["seconds"].as_f64().unwrap())
    });
    // 1448 of 1500 bytes are payload, with TCP's timestamps.
    bytes / 1448.0 * 1500.0 * 8.0 / seconds
}

/// How often iperf3 may fail to tell what it measured.
const IPERF3_TRIES: u32 = 3;

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What this program does when a test has started it again.
pub(crate) fn play_role() {
    let role = std::env::var(ROLE).unwrap_or_default();
    match role.split(' ').collect::<Vec<_>>()[..] {
        ["echo"] => play_echo(),
        ["ping", to, count] => play_ping(to.parse().unwrap(), count.parse().unwrap()),
        ["receive", count] => play_receive(count.parse().unwrap()),
        ["send", to, count, nanos] => {
            play_send(to.parse().unwrap(), count.parse().unwrap(), Duration::from_nanos(nanos.parse().unwrap()));
        }
        ["flood", to, rate] => play_flood(to.parse().unwrap(), rate.parse().unwrap()),
        ["meter", rate, seconds, header] => {
            play_meter(rate.parse().unwrap(), seconds.parse().unwrap(), header.parse().unwrap());
        }
        ["drain"] => {
            let mut before = None;
            let deadline = Instant::now() + METER_MAX;
            while before != Some(received()) && Instant::now() < deadline {
                before = Some(received());
                rest_until(Instant::now() + SILENCE);
            }
        }
        _ => {}
    }
}

fn play_echo() {
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    let mut buffer = [0; 64];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        socket.send_to(&buffer[..length], from).unwrap();
    }
}

fn play_ping(to: u32, count: u32) {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    socket.connect((address(to), PORT)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    for number in 0..count {
        let trip = (0..20).find_map(|_| {
            let began = Instant::now();
            socket.send(&number.to_be_bytes()).unwrap();
            let mut answer = [0; 64];
            // Late copies of earlier answers do not count.
            while let Ok(length) = socket.recv(&mut answer) {
                if answer[..length] == number.to_be_bytes() {
                    return Some(began.elapsed());
                }
            }
            None
        });
        println!("figure {}", trip.unwrap().as_secs_f64() * 1e3);
    }
}

/// Takes datagrams until standard input has ended and none has come for two seconds since.
fn play_receive(about: u32) {
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    // Room for all of them: what is lost must be lost on the way.
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 32 << 20).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let all_are_sent = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&all_are_sent);
    std::thread::spawn(move || {
        std::io::stdin().lines().for_each(drop);
        told.store(true, Ordering::Release);
    });
    let mut arrivals = Vec::new();
    let mut buffer = [0; 2048];
    while arrivals.len() < 3 * about as usize {
        let is_last = all_are_sent.load(Ordering::Acquire);
        if socket.recv(&mut buffer).is_ok() {
            let now = monotonic();
            let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
            arrivals.push((number, now - u64::from_be_bytes(buffer[4..12].try_into().unwrap())));
        } else if is_last {
            break;
        }
    }
    for (number, nanos) in arrivals {
        println!("figure {number} {}", nanos as f64 / 1e6);
    }
}

/// Sends numbered datagrams, each at its time or, where that has passed, at once.
fn play_send(to: u32, count: u32, spacing: Duration) {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    let began = Instant::now();
    for number in 0..count {
        while let Some(early) = (spacing * number).checked_sub(began.elapsed()).filter(|early| !early.is_zero()) {
            std::thread::park_timeout(early);
        }
        let mut bytes = [0; 100];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        bytes[4..12].copy_from_slice(&monotonic().to_be_bytes());
        socket.send_to(&bytes, (address(to), PORT)).unwrap();
    }
}

/// Sends trains of full packets without end, a quarter faster than the rate.
fn play_flood(to: u32, rate: u64) {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    segment(&socket, 1472);
    // A packet in a queue of the kernel is in its socket's buffer as well: this one holds more than any queue.
    rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, 64 << 20).unwrap();
    socket.connect((address(to), PORT)).unwrap();
    let packets = train(rate);
    // As many as the rate carries within 10 ms: every call costs a guest as much as some packets do.
    let trains = (rate / 12_000 / 100 / packets).clamp(1, 100);
    let spacing = Duration::from_secs_f64((trains * packets) as f64 * 12_000.0 / (rate as f64 * 1.25));
    let train = vec![0; packets as usize * 1472];
    let began = Instant::now();
    for sent in 0_u32.. {
        if let Some(early) = (spacing * sent).checked_sub(began.elapsed()) {
            std::thread::park_timeout(early);
        }
        // Nobody listens, and the kernel says so; a full queue says so as well. Both are as they should be.
        let _ = send_often(&socket, &train, trains as usize);
    }
}

/// Full packets in a train: as many as the rate carries within 10 ms, 40 at most, so that a slow sender suffices.
fn train(rate: u64) -> u64 {
    (rate / 8 / 100 / 1500).clamp(1, 40)
}

/// Bits per second received by the kernel's count, from half a second after half of the rate asked for has been seen,
/// or twenty seconds have passed: iperf3 begins with many round trips.
fn play_meter(rate: f64, seconds: f64, header: u64) {
    let bytes = || {
        let [bytes, packets] = received();
        bytes - header * packets
    };
    let deadline = Instant::now() + METER_MAX;
    while Instant::now() < deadline {
        let before = bytes();
        rest_until(Instant::now() + SILENCE);
        if (bytes() - before) as f64 * 8.0 > rate * SILENCE.as_secs_f64() / 2.0 {
            break;
        }
    }
    rest_until(Instant::now() + Duration::from_millis(500));
    let (began, before) = (Instant::now(), bytes());
    rest_until(began + Duration::from_secs_f64(seconds));
    let (after, lasted) = (bytes(), began.elapsed());
    println!("figure {}", (after - before) as f64 * 8.0 / lasted.as_secs_f64());
}

/// Bytes and packets that have come in so far, by the kernel's count.
fn received() -> [u64; 2] {
    let table = std::fs::read_to_string("/proc/net/dev").unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    let figures: Vec<u64> = line.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    [figures[0], figures[1]]
}

fn rest_until(until: Instant) {
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// Longer than packets of the slowest link are apart.
const SILENCE: Duration = Duration::from_millis(200);
/// Longer than anything takes to begin.
const METER_MAX: Duration = Duration::from_secs(20);

/// Starts this test program again with a role.
async fn role(supervisor: &Supervisor, peer: u32, role: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "role_of_a_child_process", "--nocapture"]);
    command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
    supervisor.spawn(PeerId(peer), command).await.unwrap()
}

/// Waits until something listens on the port in a peer's namespace.
async fn await_bound(supervisor: &Supervisor, peer: u32) {
    let script = format!("until grep -q ':{PORT:04X} ' /proc/net/udp; do sleep 0.01; done");
    output(supervisor, peer, &["timeout", "60", "sh", "-c", &script]).await;
}

/// The lines of figures that a child prints until it ends.
async fn figures(mut child: Child) -> Vec<Vec<f64>> {
    let read = move || {
        let text = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
        assert!(child.wait().unwrap().success(), "{text}");
        text
    };
    let text = tokio::task::spawn_blocking(read).await.unwrap();
    let figures = |line: &str| line.split(' ').map(|figure| figure.parse().unwrap()).collect();
    text.lines().filter_map(|line| Some(figures(line.split_once("figure ")?.1))).collect()
}

/// The clock that all processes of a machine share.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

const PORT: u16 = 7007;
