//! What being scraped costs: processor time of a run of 200 peers, and the demo's distribution time with and without a scraper.
//!
//! `cargo bench --bench scraping` prints both; `-- cost 50` or `-- demo 5` one of them, with so many peers or pairs of runs. Starts
//! the release builds of `peerbed` and `peerbed-peer` as people do and asks every target once a second, as Prometheus would; its own
//! time is not counted. Wants an idle host.
#![expect(clippy::disallowed_methods, reason = "processor time is measured over time that passes")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
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
    let (mut run, address) = start(&topology, &place.path().join("run"))?;
    let processes = processes(run.id(), peers)?;
    out(&format!("{peers} idle peers, scraped every second; per cent of one core"));
    let mut sums = [0.0; 2];
    for _ in 0..ROUNDS {
        for (scraped, sum) in [false, true].into_iter().zip(&mut sums) {
            let scraper = scraped.then(|| Scraper::start(address));
            thread::sleep(SETTLE);
            let (before, began) = (ticks(&processes)?, Instant::now());
            thread::sleep(WINDOW);
            let seconds = (ticks(&processes)? - before) / TICKS_PER_SECOND;
            *sum += seconds / began.elapsed().as_secs_f64() * 100.0 / f64::from(ROUNDS);
            drop(scraper);
        }
    }
    let [without, with] = sums;
    out(&format!("without {without:.1} %, with {with:.1} %: scraping costs {:.1} %", with - without));
    run.kill().context("ending the run")?;
    run.wait().context("ending the run")?;
    Ok(())
}

/// Distribution times of the demo, in turn with and without a scraper; runs that are not valid are said to be so.
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
            run.wait().context("waiting for the run")?;
            drop(scraper);
            let text = fs::read(directory.join("results.json")).context("reading the results")?;
            let results: Value = serde_json::from_slice(&text).context("reading the results")?;
            let all = results["distributions"].as_array().context("results without distributions")?;
            let swarm = all.iter().find(|it| it["via"] == "swarm").context("no swarm in the demo")?;
            let seconds = swarm["seconds"].as_f64().context("the demo was not completed")?;
            times[usize::from(scraped)].push(seconds);
            let words = if scraped { "scraped" } else { "alone" };
            out(&format!("pair {pair}, {words}: {seconds:.2}, {}", results["verdict"]["state"]));
        }
    }
    let [alone, scraped] = times.map(median);
    out(&format!("median alone {alone:.2}, scraped {scraped:.2}: {:+.1} %", (scraped / alone - 1.0) * 100.0));
    Ok(())
}

/// Starts a run and says where its metrics are, once its scenario has begun.
fn start(topology: &Path, directory: &Path) -> anyhow::Result<(Child, SocketAddr)> {
    let mut command = Command::new(program()?);
    command.arg("run").arg(topology).arg("--out").arg(directory).args(["--metrics", "0", "--no-verify"]);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("starting peerbed")?;
    let mut said = BufReader::new(run.stderr.take().context("a run without standard error")?).lines();
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

/// Asks for all targets once a second until it is dropped.
struct Scraper {
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Scraper {
    fn start(address: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                let began = Instant::now();
                // A run that has ended answers nothing.
                let _ = scrape(address);
                thread::sleep(Duration::from_secs(1).saturating_sub(began.elapsed()));
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within a second, and has nothing to say.
            let _ = thread.join();
        }
    }
}

fn scrape(address: SocketAddr) -> anyhow::Result<()> {
    let targets: Value = serde_json::from_str(&get(address, "/sd")?).context("reading the targets")?;
    for target in targets.as_array().context("no targets")? {
        get(address, target["labels"]["__metrics_path__"].as_str().context("a target without a path")?)?;
    }
    Ok(())
}

fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: peerbed\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
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

/// User and system time of all of them, in ticks.
fn ticks(processes: &[u32]) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for pid in processes {
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} has ended"))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let at = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        sum += at(11) + at(12);
    }
    Ok(sum)
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
/// Time after a change before it is measured.
const SETTLE: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(20);
/// `USER_HZ`, the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
