//! Plans and commands for the tests on real namespaces.
#![allow(dead_code, reason = "every test file takes what it needs")]

pub(crate) mod probe;
#[path = "../tools/mod.rs"]
mod tools;

use std::{
    net::{Ipv4Addr, UdpSocket},
    os::fd::AsRawFd,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use peerbed_orchestrator::{
    links::Engine,
    plan::{Direction, Discipline, EngineChoice, Jitter, Link, Loss, Peer, Plan, Queue},
    real::{
        Supervisor,
        features::{self, Feature},
    },
    units::{Rate, Share, Span},
};
use peerbed_proto::id::PeerId;

/// Whether namespaces can be made here; says why not when they cannot.
pub(crate) fn can_make_namespaces() -> bool {
    match features::probe(&[Feature::Veth, Feature::Tbf]) {
        Ok(found) => match found.iter().find(|(_, missing)| missing.is_some()) {
            None => true,
            Some((feature, words)) => {
                println!("skipped: this kernel lacks {feature} ({words:?})");
                false
            }
        },
        Err(error) => {
            println!("skipped: no network namespace can be made here ({error}); run as root");
            false
        }
    }
}

/// Whether this kernel also has all of these; says so when it does not.
pub(crate) fn has(needed: &[Feature]) -> bool {
    if !can_make_namespaces() {
        return false;
    }
    let found = features::probe(needed).unwrap();
    for (feature, words) in found.iter().filter_map(|(feature, missing)| Some((feature, missing.as_ref()?))) {
        println!("skipped: this kernel lacks {feature} ({words})");
    }
    found.iter().all(|(_, missing)| missing.is_none())
}

/// Whether this is a guest of `tests/guest/boot`: one processor, on which every call of the kernel is slow.
pub(crate) fn is_guest() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("User Mode Linux"))
}

/// Whether a program is installed; says so when it is not.
pub(crate) fn is_installed(program: &str) -> bool {
    let package = match program {
        "tc" => "iproute2",
        "ping" => "iputils-ping",
        program => program,
    };
    tools::find(&[program], package).is_some()
}

/// One direction with this rate and 50 ms of queue.
pub(crate) fn direction(rate: Option<u64>) -> Direction {
    Direction {
        rate: rate.map(Rate),
        delay: Span::default(),
        overhead: 0,
        jitter: Jitter::default(),
        loss: Loss { average: Share(0), burst: 1 },
        reorder: Share(0),
        duplicate: Share(0),
        corrupt: Share(0),
        queue: Queue::Time(Span(Duration::from_millis(50))),
        discipline: Discipline::DropTail,
        trace: None,
    }
}

/// A class of links.
pub(crate) fn link(name: &str, up: Direction, down: Direction) -> Link {
    Link { name: name.to_owned(), up, down }
}

/// A plan whose peers have these links in turn, and nothing to do.
pub(crate) fn plan(links: Vec<Link>, peers: u32) -> Plan {
    let peer = |id: u32| Peer {
        id: PeerId(id),
        name: format!("peer-{id}"),
        group: "peer".to_owned(),
        link: links[(id as usize - 1) % links.len()].name.clone(),
        region: None,
        address: address(id),
        port: 4433,
        seed: u64::from(id),
        present: true,
        swarm: None,
        tracker: None,
        exec: None,
        congestion: peerbed_peer::config::Congestion::Cubic,
    };
    Plan {
        schema: 1,
        name: "test".to_owned(),
        seed: 7,
        engine: EngineChoice::Kernel,
        timeout: Span(Duration::from_secs(60)),
        peers: (1..=peers).map(peer).collect(),
        links,
        latencies: Vec::new(),
        files: Vec::new(),
        rings: Vec::new(),
        steps: Vec::new(),
        expectations: Vec::new(),
    }
}

/// The address of a peer of [`plan`].
pub(crate) fn address(id: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + id)
}

/// Builds the network of a plan with the kernel's shaping.
pub(crate) async fn build(plan: &Plan) -> Supervisor {
    build_with(plan, Engine::Kernel).await
}

/// Builds the network of a plan with this engine.
pub(crate) async fn build_with(plan: &Plan, engine: Engine) -> Supervisor {
    let supervisor = Supervisor::start().unwrap();
    supervisor.build(plan, engine).await.unwrap();
    supervisor
}

/// Starts a command in a peer's namespace, its output kept.
pub(crate) async fn start(supervisor: &Supervisor, peer: u32, command: &[&str]) -> Child {
    let mut process = Command::new(command[0]);
    process.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    supervisor.spawn(PeerId(peer), process).await.unwrap()
}

/// Runs a command in a peer's namespace to its end.
pub(crate) async fn run(supervisor: &Supervisor, peer: u32, command: &[&str]) -> Output {
    let child = start(supervisor, peer, command).await;
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) async fn output(supervisor: &Supervisor, peer: u32, command: &[&str]) -> String {
    let output = run(supervisor, peer, command).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Everything of the host's network and mounts that a run could leave a trace in.
pub(crate) fn host_state() -> String {
    let mut state = std::fs::read_to_string("/proc/self/mounts").unwrap();
    for command in ["ip -o link", "ip -o addr", "ip route", "ip rule", "ip neigh show nud permanent", "ip netns list"] {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
        state += &format!("{command}:\n{}", String::from_utf8_lossy(&output.stdout));
    }
    for file in ["ipv4/ip_forward", "ipv4/conf/all/forwarding", "ipv6/conf/all/disable_ipv6"] {
        state += &format!("{file}: {:?}\n", std::fs::read_to_string(format!("/proc/sys/net/{file}")).ok());
    }
    state
}

/// Waits for a condition; fails at the deadline.
pub(crate) fn wait_until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// Makes a socket hand over what is sent at once as a train of packets of this payload (UDP_SEGMENT).
pub(crate) fn segment(socket: &UdpSocket, payload: i32) {
    // SAFETY: the option's value is one int that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const payload).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Sends the same bytes so often in one call; returns how often it did.
pub(crate) fn send_often(socket: &UdpSocket, bytes: &[u8], times: usize) -> std::io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all zeros are a message without address, control data and flags.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    message.msg_hdr.msg_iov = &raw mut part;
    message.msg_hdr.msg_iovlen = 1;
    let mut messages = vec![message; times];
    // SAFETY: as many messages as said, whose one part outlives the call and is only read.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), times as u32, 0) };
    usize::try_from(sent).map_err(|_| std::io::Error::last_os_error())
}

/// Environment variable that tells a test program started by itself what to do.
pub(crate) const ROLE: &str = "PEERBED_TEST_ROLE";

/// The peer program beside this test program; says so when it has not been built.
pub(crate) fn peer_program() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("peerbed-peer");
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} has not been built (cargo build --bins)", path.display());
    None
}

/// Asks a peer for a connection that it must refuse, which takes a packet there and one back.
pub(crate) async fn assert_reachable(supervisor: &Supervisor, from: u32, to: u32) {
    // bash opens connections by itself; nothing listens, so that "refused" is the answer that proves the way and back.
    let script = format!("exec 3<>/dev/tcp/{}/9", address(to));
    let output = run(supervisor, from, &["timeout", "60", "bash", "-c", &script]).await;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("refused"), "{from} to {to}: {words}");
}
