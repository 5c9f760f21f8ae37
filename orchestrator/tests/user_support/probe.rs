//! Probes between two peers of a lab: echo requests, numbered datagrams, iperf3.

use std::{
    io::ErrorKind,
    net::UdpSocket,
    os::fd::OwnedFd,
    process::Child,
    time::{Duration, Instant},
};

use peerbed_orchestrator::links::emulation::counters::Counters;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrV4, SocketType, ipproto, sockopt};
use serde_json::Value;

use super::{Lab, address};

/// Round trip times of so many echo requests, sent one after the other; each is answered, however late the host is.
pub(crate) fn ping(lab: &Lab, from: u32, to: u32, count: u16) -> Vec<Duration> {
    let socket = echoer(lab, from, PATIENCE);
    (0..count).map(|number| echo(&socket, to, number).expect("every request is answered")).collect()
}

/// Whether an echo request that nothing but a cut could hold up for so long stays unanswered.
pub(crate) fn is_silent(lab: &Lab, from: u32, to: u32) -> bool {
    echo(&echoer(lab, from, Duration::from_millis(500)), to, 0).is_none()
}

fn echoer(lab: &Lab, from: u32, patience: Duration) -> OwnedFd {
    let socket =
        lab.inside(from, || rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap());
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(patience)).unwrap();
    socket
}

fn echo(socket: &OwnedFd, to: u32, number: u16) -> Option<Duration> {
    let [high, low] = number.to_be_bytes();
    let mut request = [8, 0, 0, 0, 0x50, 0x42, high, low];
    // The sum of these few words carries at no number below 10 000.
    let sum: u16 = request.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).sum();
    request[2..4].copy_from_slice(&(!sum).to_be_bytes());
    let sent = Instant::now();
    rustix::net::sendto(socket, &request, SendFlags::empty(), &SocketAddrV4::new(address(to), 0)).unwrap();
    let mut buffer = [0; 128];
    loop {
        match rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) {
            // Behind the IP header: type 0 is a reply.
            Ok((length, _)) if length >= 28 && buffer[20] == 0 && buffer[26..28] == [high, low] => {
                return Some(sent.elapsed());
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Sends so many numbered datagrams and returns the numbers that arrived, in order of arrival.
///
/// They are sent in bursts of a hundred, each after the one before it is through the engine. Nothing is missed for being
/// late: what has left the engine and was not corrupted is waited for.
pub(crate) fn datagrams(lab: &Lab, from: u32, to: u32, count: u32) -> Vec<u32> {
    let receiver = lab.inside(to, || UdpSocket::bind((address(to), 7000)).unwrap());
    let sender = lab.inside(from, || UdpSocket::bind((address(from), 7000)).unwrap());
    sender.connect((address(to), 7000)).unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut arrived = Vec::new();
    for first in (0..count).step_by(100) {
        let last = (first + 100).min(count);
        for number in first..last {
            let mut bytes = [0; 200];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            sender.send(&bytes).unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            // In this order: what is through was there to be received.
            let through = through(lab, from, to, last);
            arrived.extend(received(&receiver));
            if through.is_some_and(|through| arrived.len() as u64 >= through) {
                break;
            }
            assert!(Instant::now() < deadline, "{} arrived and {through:?} are through", arrived.len());
        }
    }
    arrived
}

/// How many of so many datagrams are through the engine and worth receiving; none while some of them are on their way.
fn through(lab: &Lab, from: u32, to: u32, sent: u32) -> Option<u64> {
    let counters = lab.engine.counters().unwrap();
    let (up, down) = (&counters.links[from as usize - 1].up, &counters.links[to as usize - 1].down);
    let is_empty = |way: &Counters| way.offered.packets + way.duplicated == way.left.packets + way.dropped();
    let all_are_through = up.offered.packets == u64::from(sent)
        && is_empty(up)
        && down.offered.packets == up.left.packets
        && is_empty(down);
    all_are_through.then(|| down.left.packets - up.corrupted - down.corrupted)
}

/// Numbers of what arrives until nothing does for a moment.
fn received(receiver: &UdpSocket) -> Vec<u32> {
    let mut arrived = Vec::new();
    let mut buffer = [0; 256];
    loop {
        match receiver.recv(&mut buffer) {
            Ok(_) => arrived.push(u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return arrived,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What iperf3 sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    /// Single datagrams with so much payload, offered at so many bits per second of it.
    Udp {
        payload: u32,
        rate: u64,
    },
}

/// Bits per second of whole IP packets, as two peers' kernels counted them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Handed to the sender's device: at least so many.
    pub(crate) offered: f64,
    /// Handed to the receiver by its device: at least and at most so many, as exactly as the clock was read.
    pub(crate) arrived: (f64, f64),
}

/// Lets iperf3 send single datagrams with so much payload at so many bits per second (0: as fast as it can), and counts for two seconds in the midst of them.
///
/// The kernels' counters tell what the link does even where the receiving process cannot keep up.
pub(crate) fn saturate(lab: &Lab, from: u32, to: u32, payload: u32, rate: u64) -> Flow {
    let mut server = server(lab, to);
    let (host, length, rate) = (address(to).to_string(), payload.to_string(), rate.to_string());
    let command = ["iperf3", "--client", &host, "--udp", "--time", "120", "--length", &length, "--bitrate", &rate];
    let is_shaped = lab.links().iter().any(|link| link.up.rate.or(link.down.rate).is_some());
    let dropped = |lab: &Lab| -> u64 {
        let counters = lab.engine.counters().unwrap();
        counters.links.iter().map(|link| link.up.dropped_queue + link.down.dropped_queue).sum()
    };
    let before = dropped(lab);
    let mut client = lab.start(from, &command);
    // It begins with a burst and a pause; where a link is shaped, its queue is full soon after, unless the host is too
    // busy to send as much.
    let received = lab.device_bytes(to).received;
    wait_until(lab, PATIENCE, |lab| lab.device_bytes(to).received >= received + 20 * 1500)
        .expect("iperf3 sends something");
    let _ = wait_until(lab, Duration::from_secs(5), |lab| !is_shaped || dropped(lab) > before);
    let (here, there) = (lab.device_bytes(from), lab.device_bytes(to));
    #[expect(clippy::disallowed_methods, reason = "this time is what is measured")]
    std::thread::sleep(Duration::from_secs(2));
    let (sent, received) = (lab.device_bytes(from), lab.device_bytes(to));
    for process in [&mut client, &mut server] {
        let _ = process.kill();
        process.wait().unwrap();
    }
    let per_second = |bytes: u64, time: Duration| bytes as f64 * 8.0 / time.as_secs_f64();
    let arrived = received.received - there.received;
    Flow {
        offered: per_second(sent.sent - here.sent, sent.to - here.from),
        arrived: (per_second(arrived, received.to - there.from), per_second(arrived, received.from - there.to)),
    }
}

/// Waits for a condition; none when it does not come about in time.
fn wait_until(lab: &Lab, within: Duration, condition: impl Fn(&Lab) -> bool) -> Option<()> {
    let deadline = Instant::now() + within;
    while !condition(lab) {
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Some(())
}

/// Bits per second of whole IP packets that arrived within `seconds`, after a second that does not count.
pub(crate) fn iperf3(lab: &Lab, from: u32, to: u32, transport: Transport, seconds: u32) -> f64 {
    let mut server = server(lab, to);
    let (host, time) = (address(to).to_string(), seconds.to_string());
    let mut command =
        vec!["iperf3", "--client", &host, "--time", &time, "--omit", "1", "--json", "--get-server-output"];
    let (rate, length);
    if let Transport::Udp { payload, rate: offered } = transport {
        (rate, length) = (offered.to_string(), payload.to_string());
        // A window of this size is taken for the receiver's buffer as well.
        command.extend(["--udp", "--bitrate", &rate, "--length", &length, "--window", "4M"]);
    }
    let report: Value = serde_json::from_str(&lab.output(from, &command)).unwrap();
    let _ = server.kill();
    server.wait().unwrap();
    // Headers: IP's, and UDP's, or TCP's with timestamps, in full-sized packets.
    let whole = match transport {
        Transport::Tcp => 1500.0 / 1448.0,
        Transport::Udp { payload, .. } => f64::from(payload + 28) / f64::from(payload),
    };
    let intervals = report["server_output_json"]["intervals"].as_array().unwrap();
    let counted = intervals.iter().map(|interval| &interval["sum"]).filter(|sum| sum["omitted"] == false);
    // Behind the last whole second comes a rest, in which the word that the test has ended may be under way.
    let (bytes, seconds) = counted.take(seconds as usize).fold((0.0, 0.0), |(bytes, seconds), sum| {
        (bytes + sum["bytes"].as_f64().unwrap(), seconds + sum["seconds"].as_f64().unwrap())
    });
    bytes * 8.0 * whole / seconds
}

/// An iperf3 server in a peer's namespace that answers already.
fn server(lab: &Lab, peer: u32) -> Child {
    let child = lab.start(peer, &["iperf3", "--server", "--one-off", "--json"]);
    // The file shows the sockets of the reading thread's namespace.
    let sockets = |lab: &Lab| lab.inside(peer, || std::fs::read_to_string("/proc/thread-self/net/tcp6").unwrap());
    wait_until(lab, PATIENCE, |lab| sockets(lab).contains(":1451 ")).expect("iperf3 listens");
    child
}

/// What happens at all happens within this, on any host.
const PATIENCE: Duration = Duration::from_secs(60);
