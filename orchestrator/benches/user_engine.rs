//! What the user engine can carry, and how punctually.
//!
//! `cargo bench --bench user_engine` prints how late packets leave with 100 peers of 2 Mbit/s each, and how much goes
//! through one unshaped pair of peers; `-- lateness` or `-- throughput` one of them. How long networks take to be made is in
//! `set_up`. Needs root, iproute2 and iperf3, and two cores with nothing else to do.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "figures are printed, and a failure ends the bench")]

#[path = "../tests/user_support/mod.rs"]
mod user_support;

use std::{
    net::UdpSocket,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use peerbed_orchestrator::{
    links::{
        emulation::{counters::Volume, settings::Settings},
        user::Counters,
    },
    plan::Queue,
    units::{Rate, Span},
};
use user_support::{
    Access, Lab, address, is_installed,
    probe::{Transport, iperf3, saturate},
    turn,
};

fn main() -> ExitCode {
    let Some(_turn) = turn().filter(|_| is_installed("iperf3")) else { return ExitCode::FAILURE };
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|argument| argument == name);
    if wanted("lateness") {
        lateness(100, 2_000_000);
    }
    if wanted("throughput") {
        throughput();
    }
    ExitCode::SUCCESS
}

/// Every peer sends to the next one a little more than its link carries.
fn lateness(peers: u32, rate: u64) {
    let queue = Queue::Time(Span(Duration::from_millis(50)));
    let delay = Duration::from_millis(10);
    let up = Settings { rate: Some(Rate(rate)), queue, delay, ..Settings::UNSHAPED };
    let down = Settings { rate: Some(Rate(10 * rate)), ..up };
    let lab = Lab::new(&vec![Access { up, down, region: None }; peers as usize], &[]);
    let load = Load::start(&lab, peers, rate * 105 / 100);
    pause(Duration::from_secs(1));
    let (before, began, idle) = (lab.engine.counters().unwrap(), Instant::now(), Load::processor_time());
    pause(Duration::from_secs(5));
    let (after, seconds) = (lab.engine.counters().unwrap(), began.elapsed().as_secs_f64());
    let busy = Load::processor_time().engine - idle.engine;
    load.stop();
    let mut late = after.lateness();
    late.subtract(before.lateness()).expect("the later one counts at least as much");
    let within = late.percentile_below(1_000);
    let packets = carried(&after).packets - carried(&before).packets;
    out(&format!(
        "{peers} peers at {rate} bit/s, {:?}: {:.0} packets/s",
        lab.engine.priority(),
        packets as f64 / seconds
    ));
    out(&format!(
        "  engine thread: {:.0} % of a core, {:.0} wake-ups/s",
        busy.as_secs_f64() / seconds * 100.0,
        (after.wakeups - before.wakeups) as f64 / seconds
    ));
    for quantile in [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
        out(&format!(
            "  {:7.2} % leave within {:6} us of their time",
            quantile * 100.0,
            late.value_at_quantile(quantile)
        ));
    }
    out(&format!("  {within:.3} % within a millisecond (asked: 99 %)"));
    let missing = expected_packets(peers, rate, seconds) - packets as f64;
    out(&format!(
        "  {:.2} % fewer packets than the links' rate",
        missing / expected_packets(peers, rate, seconds) * 100.0
    ));
}

/// One pair of peers with nothing between them.
fn throughput() {
    let open = Access { up: Settings::UNSHAPED, down: Settings::UNSHAPED, region: None };
    let lab = Lab::new(&[open, open], &[]);
    let tcp = iperf3(&lab, 1, 2, Transport::Tcp, 4);
    out(&format!("unshaped pair, TCP by iperf3: {:.2} Gbit/s (asked: 5)", tcp / 1e9));
    for offered in [1_000_000_000, 1_200_000_000, 1_500_000_000, 0] {
        let lab = Lab::new(&[open, open], &[]);
        let (packets, busy) = (carried(&lab.engine.counters().unwrap()).packets, Load::processor_time().engine);
        let by_process = iperf3(&lab, 1, 2, Transport::Udp { payload: 1172, rate: offered }, 3);
        let flow = saturate(&lab, 1, 2, 1172, offered);
        let packets = carried(&lab.engine.counters().unwrap()).packets - packets;
        let each = (Load::processor_time().engine - busy).as_secs_f64() / packets as f64;
        out(&format!(
            "unshaped pair, 1200-byte datagrams sent singly at {:.1} Gbit/s: {:.2} Gbit/s sent, {:.2} carried, {:.2} read by \
             iperf3 (asked: 1); engine thread {:.2} us each",
            offered as f64 / 1e9,
            flow.offered / 1e9,
            flow.arrived.0 / 1e9,
            by_process / 1e9,
            each * 1e6,
        ));
    }
}

/// A thread that sends from every peer, and one that reads at every peer.
struct Load {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    _read: Arc<AtomicU64>,
}

/// Processor time of threads since they started.
struct ProcessorTime {
    engine: Duration,
}

impl Load {
    fn start(lab: &Lab, peers: u32, rate: u64) -> Self {
        let socket = |peer: u32| {
            let socket = lab.inside(peer, || UdpSocket::bind((address(peer), 7000)).unwrap());
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let sockets: Arc<Vec<UdpSocket>> = Arc::new((1..=peers).map(socket).collect());
        let (is_over, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let sender = {
            let (sockets, is_over) = (Arc::clone(&sockets), Arc::clone(&is_over));
            thread::spawn(move || send(&sockets, rate, &is_over))
        };
        let reader = {
            let (is_over, read) = (Arc::clone(&is_over), Arc::clone(&read));
            thread::spawn(move || receive(&sockets, &is_over, &read))
        };
        Self { is_over, threads: vec![sender, reader], _read: read }
    }

    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    fn processor_time() -> ProcessorTime {
        let mut engine = Duration::ZERO;
        for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
            let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            let statistics = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            if name.trim() == "user-engine" {
                let nanos = statistics.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0);
                engine += Duration::from_nanos(nanos);
            }
        }
        ProcessorTime { engine }
    }
}

/// Sends full packets from every socket to the next in turn, at this many bits per second each.
fn send(sockets: &[UdpSocket], rate: u64, is_over: &AtomicBool) {
    let bytes = [7; 1472];
    let gap = Duration::from_secs_f64(12_000.0 / (rate as f64 * sockets.len() as f64));
    let began = Instant::now();
    for number in 0_u32.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        // Several packets at a time, as a busy sender's timer lets them go.
        let early = (gap * number).saturating_sub(began.elapsed());
        if early > Duration::from_millis(1) {
            pause(early);
        }
        let from = number as usize % sockets.len();
        let to = u32::try_from((from + 1) % sockets.len()).unwrap() + 1;
        // A full socket buffer is a packet that is not sent.
        let _ = sockets[from].send_to(&bytes, (address(to), 7000));
    }
}

/// Reads every socket empty, five hundred times a second.
fn receive(sockets: &[UdpSocket], is_over: &AtomicBool, read: &AtomicU64) {
    let mut buffer = [0; 2048];
    while !is_over.load(Ordering::Relaxed) {
        for socket in sockets {
            while socket.recv(&mut buffer).is_ok() {
                read.fetch_add(1, Ordering::Relaxed);
            }
        }
        pause(Duration::from_millis(2));
    }
}

fn carried(counters: &Counters) -> Volume {
    let mut all = Volume::default();
    for link in &counters.links {
        all.packets += link.down.left.packets;
        all.bytes += link.down.left.bytes;
    }
    all
}

fn expected_packets(peers: u32, rate: u64, seconds: f64) -> f64 {
    f64::from(peers) * rate as f64 / 12_000.0 * seconds
}

#[expect(clippy::disallowed_methods, reason = "time passing is what is measured")]
fn pause(time: Duration) {
    thread::sleep(time);
}

fn out(line: &str) {
    println!("{line}");
}
