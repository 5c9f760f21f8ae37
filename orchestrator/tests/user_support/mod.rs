//! Namespaces joined by the user engine, and probes inside them, for tests and figures.
#![allow(dead_code, reason = "every test file takes what it needs")]

pub(crate) mod probe;
#[path = "../tools/mod.rs"]
mod tools;

use std::{
    net::Ipv4Addr,
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use peerbed_orchestrator::{
    links::{
        emulation::settings::Settings,
        user::{PeerLink, UserEngine, device::Device},
    },
    plan::Latency,
    real::netns::Namespace,
};
use peerbed_proto::id::PeerId;

/// The right to measure, held by one test at a time so that they do not disturb each other; none where namespaces or TUN
/// devices cannot be made, with the reason printed.
pub(crate) fn turn() -> Option<MutexGuard<'static, ()>> {
    static TURN: Mutex<()> = Mutex::new(());
    match thread::spawn(|| Namespace::create().and_then(|_| Device::create("probe", 2))).join().unwrap() {
        // A test that failed in its turn has had it.
        Ok(_) => Some(TURN.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(error) => {
            println!("skipped: no TUN device in a namespace can be made here ({error}); run as root");
            None
        }
    }
}

/// Whether a program is installed; says so when it is not.
pub(crate) fn is_installed(program: &str) -> bool {
    tools::find(&[program], program).is_some()
}

/// Some peers behind links of the user engine. Peer n has the address 198.18.0.n.
pub(crate) struct Lab {
    /// None once removed.
    namespaces: Vec<Option<Namespace>>,
    links: Vec<Access>,
    pub(crate) engine: UserEngine,
}

/// One peer's link.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(crate) up: Settings,
    pub(crate) down: Settings,
    pub(crate) region: Option<&'static str>,
}

impl Lab {
    /// Builds everything; peers count from 1.
    pub(crate) fn new(links: &[Access], latencies: &[Latency]) -> Self {
        let accesses: Vec<Access> = links.to_vec();
        let build = move || -> (Vec<Namespace>, Vec<PeerLink>) {
            (1..).zip(accesses).map(|(number, access)| peer(number, &access)).unzip()
        };
        let (namespaces, ends) = thread::spawn(build).join().unwrap();
        Self {
            namespaces: namespaces.into_iter().map(Some).collect(),
            links: links.to_vec(),
            engine: UserEngine::start(ends, latencies).unwrap(),
        }
    }

    /// What each peer's link does.
    pub(crate) fn links(&self) -> &[Access] {
        &self.links
    }

    /// Lets a peer's namespace go, and its device with it.
    pub(crate) fn remove(&mut self, peer: u32) {
        self.namespaces[peer as usize - 1] = None;
    }

    /// Does something on a thread inside a peer's namespace.
    pub(crate) fn inside<T: Send>(&self, peer: u32, act: impl FnOnce() -> T + Send) -> T {
        let namespace = self.namespaces[peer as usize - 1].as_ref().unwrap();
        let act = move || {
            namespace.enter().unwrap();
            act()
        };
        thread::scope(|scope| scope.spawn(act).join().unwrap())
    }

    /// What has gone through a peer's device, by its kernel's count.
    pub(crate) fn device_bytes(&self, peer: u32) -> DeviceBytes {
        // The file shows the devices of the reading thread's namespace.
        let read = || (Instant::now(), std::fs::read_to_string("/proc/thread-self/net/dev").unwrap(), Instant::now());
        let (from, table, to) = self.inside(peer, read);
        let line = table.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
        let figures: Vec<u64> = line.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
        DeviceBytes { from, to, received: figures[0], sent: figures[8] }
    }

    /// Starts a command in a peer's namespace, its output kept.
    pub(crate) fn start(&self, peer: u32, command: &[&str]) -> Child {
        self.inside(peer, || spawn(command))
    }

    /// Runs a command in a peer's namespace that must succeed, and returns what it printed.
    pub(crate) fn output(&self, peer: u32, command: &[&str]) -> String {
        text(command, self.start(peer, command).wait_with_output().unwrap())
    }
}

/// Bytes of whole IP packets, as counted at one moment.
#[derive(Clone, Copy)]
pub(crate) struct DeviceBytes {
    /// The moment is not before this,
    pub(crate) from: Instant,
    /// and not after this; a busy host lets some time pass in between.
    pub(crate) to: Instant,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The address of a peer of a lab.
pub(crate) fn address(peer: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + peer)
}

/// Makes a peer's namespace on the calling thread, which is left inside.
fn peer(number: u32, access: &Access) -> (Namespace, PeerLink) {
    let namespace = Namespace::create().unwrap();
    let device = Device::create("eth0", 2).unwrap();
    let script = format!(
        "link set lo up\nlink set eth0 addrgenmode none txqueuelen 1000 up\naddr add {}/32 dev eth0\n\
         route add default dev eth0\n",
        address(number)
    );
    ip(&script);
    let link = PeerLink {
        peer: PeerId(number),
        address: address(number),
        device,
        up: access.up,
        down: access.down,
        seed: u64::from(number),
        region: access.region.map(str::to_owned),
    };
    (namespace, link)
}

fn ip(script: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "ip refused {script}");
}

fn spawn(command: &[&str]) -> Child {
    let mut process = Command::new(command[0]);
    process.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process.spawn().unwrap()
}

fn text(command: &[&str], output: Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
