//! What being scraped costs: processor time of a run of 200 peers, and the demo's distribution time with and without a scraper.
//!
//! `cargo bench --bench scraping` prints both; `-- cost 50` or `-- demo 5` one of them, with so many peers or pairs of runs. Starts
//! the release builds of `peerbed` and `peerbed-peer` as people do and asks every target once a second, as Prometheus would but for
//! a new connection each time, which costs more; its own time is not counted. A peer exports the same series whether it is busy
//! or idle, so that idle ones do, and nothing else moves the figure. A scraper that is not answered, or not in time, measures
//! nothing and is an error, and so is a figure beyond its limit. Wants an idle host.
#![expect(clippy::disallowed_methods, reason = "processor time is measured over time that passes")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let number = arguments.iter().find_map(|argument| argument.parse().ok());
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let measured = match (has("cost"), has("demo")) {
        (true, false) => cost(number.unwrap_or(PEERS)),
        (false, true) => demo(number.unwrap_or(PAIRS)),
        _ => cost(PEERS).and_then(|()| demo(PAIRS)),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out(&format!("cannot measure: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Processor time of orchestrator and peers while all stand by, in turn with and without a scraper.
fn cost(peers: u32) -> anyhow::Result<()> {
    let place = tempfile::tempdir().context("making a place for the run")?;
    let topology = place.path().join("idle.yaml");
    let text = format!(
        "version: 1\nname: idle\nlinks:\n  home: {{ up: 2mbit, down: 20mbit }}\ngroups:\n  home: {{ count: {peers}, link: home, \
         swarm: leecher }}\nscenario:\n  - wait: {{ for: 10m }}\n"
    );
    fs::write(&topology, text).context("writing the topology")?;
    let (run, address) = start(&topology, &place.path().join("run"))?;
    let processes = processes(run.0.id(), peers)?;
    out(&format!("{peers} idle peers, scraped every second; per cent of one core"));
    let mut differences = Vec::new();
    for _ in 0..ROUNDS {
        let without = used(&processes)?;
        let scraper = Scraper::start(address);
        let with = used(&processes)?;
        scraper.check(peers)?;
        out(&format!("without {without:.1} %, with {with:.1} %"));
        differences.push(with - without);
    }
    let cost = median(differences);
    out(&format!("scraping costs {cost:.1} % (limit {COST_MAX} %)"));
    if cost >= COST_MAX {
        bail!("that is too much");
    }
    Ok(())
}

/// Per cent of one core that these use, once what began has settled.
fn used(processes: &[u32]) -> anyhow::Result<f64> {
    thread::sleep(SETTLE);
    let (before, began) = (ran(processes)?, Instant::now());
    thread::sleep(WINDOW);
    let seconds = ran(processes)? - before;
    Ok(seconds / began.elapsed().as_secs_f64() * 100.0)
}

/// Distribution times of the demo, in turn with and without a scraper; runs whose verdict is invalid are said and left out.
fn demo(pairs: u32) -> anyhow::Result<()> {
    let topology = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies/demo.yaml");
    out("the demo's distribution through the swarm, seconds");
    let mut times = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        for scraped in [false, true] {
            let place = tempfile::tempdir().context("making a place for the run")?;
            let directory = place.path().join("run");
            let (mut run, address) = start(&topology, &directory)?;
            let scraper = scraped.then(|| Scraper::start(address));
            run.0.wait().context("waiting for the run")?;
            if let Some(scraper) = scraper {
                scraper.check(DEMO_PEERS)?;
            }
            let text = fs::read(directory.join("results.json")).context("reading the results")?;
            let results: Value = serde_json::from_slice(&text).context("reading the results")?;
            let all = results["distributions"].as_array().context("results without distributions")?;
            let swarm = all.iter().find(|it| it["via"] == "swarm").context("no swarm in the demo")?;
            let seconds = swarm["seconds"].as_f64().context("the demo was not completed")?;
            let verdict = results["verdict"]["state"].as_str().unwrap_or_default();
            let words = if scraped { "scraped" } else { "alone" };
            out(&format!("pair {pair}, {words}: {seconds:.2}, {verdict}"));
            if verdict != "invalid" {
                times[usize::from(scraped)].push(seconds);
            }
        }
    }
    let counts = times.each_ref().map(Vec::len);
    if counts.contains(&0) {
        bail!("no pair of runs with a verdict");
    }
    let [alone, scraped] = times.map(median);
    let change = (scraped / alone - 1.0) * 100.0;
    out(&format!(
        "medians of {counts:?}: alone {alone:.2}, scraped {scraped:.2}: {change:+.1} % (limit {CHANGE_MAX} %)"
    ));
    if change.abs() >= CHANGE_MAX {
        bail!("that is too much");
    }
    Ok(())
}

/// Starts a run and says where its metrics are, once its scenario has begun.
fn start(topology: &Path, directory: &Path) -> anyhow::Result<(Running, SocketAddr)> {
    let mut command = Command::new(program()?);
    command.arg("run").arg(topology).arg("--out").arg(directory).args(["--metrics", "0", "--no-verify"]);
    let mut run = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("starting peerbed")?);
    let mut said = BufReader::new(run.0.stderr.take().context("a run without standard error")?).lines();
    let mut address = None;
    for line in said.by_ref() {
        let line = line.context("listening to the run")?;
        if let Some(rest) = line.strip_prefix("metrics on http://") {
            address = rest.split('/').next().and_then(|text| text.parse().ok());
        }
        if line.starts_with("step 0") {
            break;
        }
    }
    // What it says later must not hold it up.
    thread::spawn(move || said.for_each(drop));
    Ok((run, address.context("the run said nothing of its metrics")?))
}

/// A run that ends with whoever measures it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks for all targets once a second until it is dropped.
struct Scraper {
    began: Instant,
    counts: Arc<Counts>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    is_over: AtomicBool,
    /// Times it has asked for all targets.
    passes: AtomicU64,
    /// Targets of peers that answered.
    answers: AtomicU64,
}

impl Scraper {
    fn start(address: SocketAddr) -> Self {
        let counts = Arc::new(Counts::default());
        let own = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            while !own.is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                own.answers.fetch_add(scrape(address), Ordering::Relaxed);
                own.passes.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
            }
        });
        Self { began: Instant::now(), counts, thread: Some(thread) }
    }

    /// Whether every peer was scraped about once a second. A run that ends answers the last few times in part.
    fn check(&self, peers: u32) -> anyhow::Result<()> {
        let (passes, seconds) = (self.counts.passes.load(Ordering::Relaxed), self.began.elapsed().as_secs_f64());
        let answers = self.counts.answers.load(Ordering::Relaxed);
        if Duration::from_secs(passes + 2).as_secs_f64() < seconds * 0.9 {
            bail!("all targets were asked {passes} times in {seconds:.0} s, not once a second");
        }
        if answers < passes.saturating_sub(END_PASSES) * u64::from(peers) {
            bail!("{peers} peers gave {answers} answers when asked {passes} times");
        }
        Ok(())
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.counts.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within a second, and has nothing to say.
            let _ = thread.join();
        }
    }
}

/// Asks for every target; how many peers answered.
fn scrape(address: SocketAddr) -> u64 {
    let Ok(Ok(Value::Array(targets))) = get(address, "/sd").map(|text| serde_json::from_str(&text)) else { return 0 };
    let paths = targets.iter().filter_map(|target| target["labels"]["__metrics_path__"].as_str());
    let answered = |path: &str| get(address, path).is_ok_and(|text| text.contains("\npeerbed_peer_"));
    paths.filter(|path| answered(path)).count() as u64
}

/// The body of an answer that is 200.
fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: peerbed\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
    if !head.contains(" 200 ") {
        bail!("{path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

/// The orchestrator and its children.
fn processes(orchestrator: u32, peers: u32) -> anyhow::Result<Vec<u32>> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
    };
    let all = fs::read_dir("/proc").context("reading /proc")?;
    let all = all.filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok());
    let mut found: Vec<u32> = all.filter(|pid| parent(*pid) == Some(orchestrator)).collect();
    if found.len() < peers as usize {
        bail!("the run has {} children, not {peers}", found.len());
    }
    found.push(orchestrator);
    Ok(found)
}

/// Time that all threads of all of them have run, in seconds: to the nanosecond, since most run for less than a tick of the clock
/// by which a process's times are told.
fn ran(processes: &[u32]) -> anyhow::Result<f64> {
    let mut sum = 0_u64;
    for pid in processes {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} has ended"))?;
        for thread in threads.filter_map(Result::ok) {
            // A thread that has ended meanwhile has run for next to nothing.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanoseconds = text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok());
            sum += nanoseconds.context("this kernel does not tell how long threads have run")?;
        }
    }
    Ok(Duration::from_nanos(sum).as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The release build, beside this bench's own directory.
fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let target = own.parent().and_then(Path::parent).context("this program lies in no target directory")?;
    let program = target.join("peerbed");
    if !program.is_file() {
        bail!("{} has not been built: cargo build --release --bins", program.display());
    }
    Ok(program)
}

fn out(line: &str) {
    // Nobody reading is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}");
}

const PEERS: u32 = 200;
const PAIRS: u32 = 5;
const ROUNDS: u32 = 3;
/// The origin and ten homes.
const DEMO_PEERS: u32 = 11;
/// Per cent of one core that scraping of 200 peers may take.
const COST_MAX: f64 = 10.0;
/// Per cent by which scraping may change the demo's time.
const CHANGE_MAX: f64 = 2.0;
/// Time after a change before it is measured.
const SETTLE: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(20);
/// Passes that may find peers gone: while the run verifies, reports and ends.
const END_PASSES: u64 = 5;
