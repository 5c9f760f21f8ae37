//! How long a testbed takes to be ready: network, processes, readiness; and how long networks alone take, by either engine
//! and by calls of `ip` and `tc`.
//!
//! `cargo bench --bench set_up` prints testbeds of 30, 100, 200 and 500 peers and networks of 100, 300 and 1000;
//! `-- testbeds 50 60` or `-- networks 2000` one of the tables and other numbers. Needs root, iproute2 and the release
//! build of `peerbed-peer`. The namespaces made by `ip` have names, `peerbed-bench-…`, and are removed again.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use peerbed_orchestrator::{
    links::Engine,
    plan::{Direction, Discipline, EngineChoice, Jitter, Link, Loss, Peer, Plan, Queue},
    real::{Supervisor, netns::Namespace},
    run_directory::RunDirectory,
    testbed::{Options, Testbed},
    units::{Rate, Share, Span},
};
use peerbed_proto::id::PeerId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let sizes: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes_or = |usual: &[u32]| if sizes.is_empty() { usual.to_vec() } else { sizes.clone() };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let measured = match (has("testbeds"), has("networks")) {
        (true, false) => testbeds(&sizes_or(&TESTBEDS)),
        (false, true) => networks(&sizes_or(&NETWORKS)),
        _ => testbeds(&sizes_or(&TESTBEDS)).and_then(|()| networks(&sizes_or(&NETWORKS))),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out(&format!("cannot measure: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn testbeds(sizes: &[u32]) -> anyhow::Result<()> {
    let runtime = runtime()?;
    out("testbeds of idle peers by the kernel engine, seconds; links of 2 mbit up and 20 mbit down");
    out("peers  network  processes  readiness  all ready  tear-down  MiB/peer");
    for &peers in sizes {
        let row = runtime.block_on(testbed(peers))?;
        out(&format!("{peers:5}  {row}"));
    }
    Ok(())
}

/// Networks without processes, by each engine and by processes of `ip` and `tc`.
fn networks(sizes: &[u32]) -> anyhow::Result<()> {
    let runtime = runtime()?;
    // A namespace and a device for each peer: as many as this process may ask for.
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("asking for more open files")?;
    out("networks alone, seconds up and down; the same links");
    out("peers  kernel engine  user engine    ip and tc");
    for &peers in sizes {
        let kernel = network(&runtime, peers, Engine::Kernel);
        let user = network(&runtime, peers, Engine::User);
        let columns = [kernel, user, by_processes(peers)].map(|column| match column {
            Ok((up, down)) => format!("{:5.2}  {:5.2}", up.as_secs_f64(), down.as_secs_f64()),
            Err(error) => format!("{error:#}"),
        });
        out(&format!("{peers:5}  {}", columns.join("   ")));
    }
    Ok(())
}

fn network(runtime: &Runtime, peers: u32, engine: Engine) -> anyhow::Result<(Duration, Duration)> {
    let plan = plan(peers);
    let supervisor = Supervisor::start()?;
    let began = Instant::now();
    runtime.block_on(supervisor.build(&plan, engine))?;
    let up = began.elapsed();
    let markers = Markers::start()?;
    runtime.block_on(markers.set(&supervisor, peers))?;
    let began = Instant::now();
    drop(supervisor);
    markers.await_cleared()?;
    Ok((up, began.elapsed()))
}

/// Ends of links whose other ends are in some of the namespaces: a link goes when the kernel has cleared one of its
/// namespaces away. Closing the last descriptor of a namespace returns at once and leaves that work to the kernel.
struct Markers {
    thread: u32,
    /// Ends the thread when dropped.
    cleared: mpsc::Sender<mpsc::Sender<()>>,
}

impl Markers {
    fn start() -> anyhow::Result<Self> {
        let (cleared, asked) = mpsc::channel::<mpsc::Sender<()>>();
        let (ready, thread) = mpsc::channel();
        thread::spawn(move || {
            let own = Namespace::create();
            let _ =
                ready.send(own.as_ref().ok().map(|_| rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()));
            while let Ok(done) = asked.recv() {
                await_no_marker();
                let _ = done.send(());
            }
        });
        let thread = thread.recv()?.context("making a namespace for markers")?;
        Ok(Self { thread, cleared })
    }

    /// Marks every hundredth namespace.
    async fn set(&self, supervisor: &Supervisor, peers: u32) -> anyhow::Result<()> {
        for peer in (1..=peers).step_by(100).chain([peers]) {
            let command = format!("link add {MARKER}{peer} type veth peer name {MARKER}{peer} netns {}", self.thread);
            let mut ip = Command::new("ip");
            ip.args(command.split(' ')).stdin(Stdio::null()).stderr(Stdio::null());
            // The last may have its mark already.
            supervisor.spawn(PeerId(peer), ip).await?.wait()?;
        }
        Ok(())
    }

    /// Waits until the marked namespaces are gone.
    fn await_cleared(&self) -> anyhow::Result<()> {
        let (done, answer) = mpsc::channel();
        self.cleared.send(done).context("the thread of markers has ended")?;
        answer.recv().context("the thread of markers has ended")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the kernel tells nobody when it has cleared away, and the time is measured"
)]
fn await_no_marker() {
    // The file shows the devices of the reading thread's namespace.
    while std::fs::read_to_string("/proc/thread-self/net/dev").is_ok_and(|table| table.contains(MARKER)) {
        thread::sleep(Duration::from_millis(2));
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

/// One row about a testbed of idle peers.
async fn testbed(peers: u32) -> anyhow::Result<String> {
    let place = tempfile::tempdir().context("making a place for the run")?;
    let run = RunDirectory::create(place.path())?;
    run.create_places()?;
    let options = Options::new(peer_program()?, "/");
    let plan = plan(peers);
    let began = Instant::now();
    let (testbed, _events) = Testbed::set_up(&plan, &run, &options).await?;
    let ready = began.elapsed();
    let report = testbed.set_up_report().clone();
    let statuses = testbed.statuses().await;
    let resident: u64 = statuses.values().map(|status| status.resident_bytes).sum();
    let began = Instant::now();
    testbed.tear_down().await?;
    let down = began.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a figure with two decimals")]
    let mebibytes = resident as f64 / f64::from(1 << 20) / statuses.len().max(1) as f64;
    let [network, processes, readiness, ready, down] =
        [report.network, report.processes, report.readiness, ready, down].map(|time| time.as_secs_f64());
    Ok(format!("{network:7.2}  {processes:9.2}  {readiness:9.2}  {ready:9.2}  {down:9.2}  {mebibytes:8.2}"))
}

/// Time to make the same network by one process per step, and to remove it.
fn by_processes(peers: u32) -> anyhow::Result<(Duration, Duration)> {
    let core = format!("{PREFIX}core");
    let mut made = Named(Vec::new());
    let began = Instant::now();
    made.add(&core)?;
    ip(&format!("netns exec {core} sysctl -qw net.ipv4.ip_forward=1"))?;
    for number in 1..=peers {
        let (peer, address) = (format!("{PREFIX}{number}"), address(number));
        made.add(&peer)?;
        ip(&format!("-n {core} link add p{number} type veth peer name eth0 netns {peer}"))?;
        ip(&format!("-n {core} link set p{number} up"))?;
        ip(&format!("-n {core} route add {address} dev p{number}"))?;
        ip(&format!("-n {peer} link set lo up"))?;
        ip(&format!("-n {peer} addr add {address}/32 dev eth0"))?;
        ip(&format!("-n {peer} link set eth0 up"))?;
        ip(&format!("-n {peer} neigh add {GATEWAY} lladdr 02:00:00:00:00:01 nud permanent dev eth0"))?;
        ip(&format!("-n {peer} route add default via {GATEWAY} dev eth0 onlink"))?;
        ip(&format!("-n {core} neigh add {address} lladdr 02:00:00:00:00:02 nud permanent dev p{number}"))?;
        call("tc", &format!("-n {peer} qdisc add dev eth0 root tbf rate 2mbit burst 2500 limit 12500"))?;
        call("tc", &format!("-n {core} qdisc add dev p{number} root tbf rate 20mbit burst 11500 limit 125000"))?;
    }
    let up = began.elapsed();
    let began = Instant::now();
    drop(made);
    Ok((up, began.elapsed()))
}

/// Namespaces with names; removed when this is dropped.
struct Named(Vec<String>);

impl Named {
    fn add(&mut self, name: &str) -> anyhow::Result<()> {
        ip(&format!("netns add {name}"))?;
        self.0.push(name.to_owned());
        Ok(())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        for name in &self.0 {
            // One that cannot be removed must not keep the others.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(arguments: &str) -> anyhow::Result<()> {
    call("ip", arguments)
}

fn call(program: &str, arguments: &str) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments.split(' ')).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn plan(peers: u32) -> Plan {
    let direction = |rate| Direction {
        rate: Some(Rate(rate)),
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
    };
    let peer = |number: u32| Peer {
        id: PeerId(number),
        name: format!("home-{number}"),
        group: "home".to_owned(),
        link: "home".to_owned(),
        region: None,
        address: address(number),
        port: 4433,
        seed: u64::from(number),
        present: true,
        swarm: None,
        tracker: None,
        exec: None,
    };
    Plan {
        schema: 1,
        name: "set-up".to_owned(),
        seed: 1,
        engine: EngineChoice::Kernel,
        timeout: Span(Duration::from_secs(60)),
        peers: (1..=peers).map(peer).collect(),
        links: vec![Link { name: "home".to_owned(), up: direction(2_000_000), down: direction(20_000_000) }],
        latencies: Vec::new(),
        files: Vec::new(),
        rings: Vec::new(),
        steps: Vec::new(),
        expectations: Vec::new(),
    }
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number)
}

fn peer_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let path = own.ancestors().nth(2).context("this program is not in target/release/deps")?.join("peerbed-peer");
    if !path.is_file() {
        bail!("{} is not there; cargo build --release --bins", path.display());
    }
    Ok(path)
}

#[expect(clippy::print_stdout, reason = "the rows are what a bench is for")]
fn out(line: &str) {
    println!("{line}");
}

const TESTBEDS: [u32; 4] = [30, 100, 200, 500];
const NETWORKS: [u32; 3] = [100, 300, 1000];
const MARKER: &str = "mark-";
const PREFIX: &str = "peerbed-bench-";
const GATEWAY: &str = "198.19.255.254";
