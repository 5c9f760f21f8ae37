//! Probes between two peers of a lab: echo requests, numbered datagrams, iperf3.

use std::{
    io::ErrorKind,
    net::UdpSocket,
    os::fd::OwnedFd,
    process::Child,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrV4, SocketType, ipproto, sockopt};
use serde_json::Value;

use super::{Lab, address};

/// Round trip times of so many echo requests, sent one after the other; none for those unanswered for two seconds.
pub(crate) fn ping(lab: &Lab, from: u32, to: u32, count: u16) -> Vec<Option<Duration>> {
    let socket =
        lab.inside(from, || rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap());
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_secs(2))).unwrap();
    (0..count).map(|number| echo(&socket, to, number)).collect()
}

/// The middle one of some round trip times, all of which must have been answered.
pub(crate) fn median(mut times: Vec<Option<Duration>>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2].zip(times[0]).expect("every request is answered").0
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
/// They are sent in bursts of a hundred, each after the one before it has arrived or been missed for `patience`.
pub(crate) fn datagrams(lab: &Lab, from: u32, to: u32, count: u32, patience: Duration) -> Vec<u32> {
    let receiver = lab.inside(to, || UdpSocket::bind((address(to), 7000)).unwrap());
    let sender = lab.inside(from, || UdpSocket::bind((address(from), 7000)).unwrap());
    sender.connect((address(to), 7000)).unwrap();
    receiver.set_read_timeout(Some(patience)).unwrap();
    let mut arrived = Vec::new();
    for first in (0..count).step_by(100) {
        let last = (first + 100).min(count);
        for number in first..last {
            let mut bytes = [0; 200];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            sender.send(&bytes).unwrap();
        }
        arrived.extend(burst(&receiver));
    }
    arrived
}

/// Numbers of what arrives until nothing does.
fn burst(receiver: &UdpSocket) -> Vec<u32> {
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
    /// Handed to the sender's device.
    pub(crate) offered: f64,
    /// Handed to the receiver by its device.
    pub(crate) arrived: f64,
}

/// Lets iperf3 send single datagrams with so much payload at so many bits per second (0: as fast as it can), and counts for two seconds in the midst of them.
///
/// The kernels' counters tell what the link does even where the receiving process cannot keep up.
pub(crate) fn saturate(lab: &Lab, from: u32, to: u32, payload: u32, rate: u64) -> Flow {
    let mut server = server(lab, to);
    let (host, length, rate) = (address(to).to_string(), payload.to_string(), rate.to_string());
    let command = ["iperf3", "--client", &host, "--udp", "--time", "30", "--length", &length, "--bitrate", &rate];
    let is_shaped = lab.links().iter().any(|link| link.up.rate.or(link.down.rate).is_some());
    let dropped = |lab: &Lab| -> u64 {
        let counters = lab.engine.counters().unwrap();
        counters.links.iter().map(|link| link.up.dropped_queue + link.down.dropped_queue).sum()
    };
    let before = dropped(lab);
    let mut client = lab.start(from, &command);
    let deadline = Instant::now() + Duration::from_secs(10);
    // It begins with a burst and a pause; where a link is shaped, its queue is full soon after.
    let received = lab.device_bytes(to).received;
    while lab.device_bytes(to).received < received + 20 * 1500 || (is_shaped && dropped(lab) == before) {
        assert!(Instant::now() < deadline, "iperf3 does not send, or less than the link takes");
        std::thread::yield_now();
    }
    let (here, there) = (lab.device_bytes(from), lab.device_bytes(to));
    #[expect(clippy::disallowed_methods, reason = "this time is what is measured")]
    std::thread::sleep(Duration::from_secs(2));
    let (sent, received) = (lab.device_bytes(from), lab.device_bytes(to));
    for process in [&mut client, &mut server] {
        let _ = process.kill();
        process.wait().unwrap();
    }
    let per_second = |bytes: u64, time: Duration| bytes as f64 * 8.0 / time.as_secs_f64();
    Flow {
        offered: per_second(sent.sent - here.sent, sent.at - here.at),
        arrived: per_second(received.received - there.received, received.at - there.at),
    }
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
    let deadline = Instant::now() + Duration::from_secs(10);
    // The file shows the sockets of the reading thread's namespace.
    let listens =
        || lab.inside(peer, || std::fs::read_to_string("/proc/thread-self/net/tcp6").unwrap()).contains(":1451 ");
    while !listens() {
        assert!(Instant::now() < deadline, "iperf3 does not listen");
        std::thread::yield_now();
    }
    child
}
