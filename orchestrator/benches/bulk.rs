//! How fast one large file moves between two unshaped peers, beside what QUIC alone carries there.
//!
//! `cargo bench --bench bulk` moves 1 GiB three times from one namespace to another over unshaped links of the kernel
//! engine: as one stream between two processes that do nothing but quinn (as quinn's own bulk benchmark: default transport
//! settings, one stream, nothing on disk), in a swarm of a seed and a leecher, and from a server to a client. `-- 256` moves
//! so many MiB. Prints the rates, the share of quinn's, and the most memory that one of Peerbed's own peers took. Needs root and the release build of
//! `peerbed-peer`, and two cores with nothing else to do.
//!
//! The program is its own reference: `bulk serve` and `bulk fetch` are run as peers of the topology.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "figures are printed, and a failure ends the bench")]

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use peerbed_orchestrator::{
    results::{Found, Results},
    run_directory::RunDirectory,
};
use quinn::{ClientConfig, Endpoint, ServerConfig, TransportConfig};
use rustls::{RootCertStore, pki_types::PrivatePkcs8KeyDer};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", address, identity, bytes] => runtime().block_on(serve(address, identity, bytes.parse().unwrap())),
        ["fetch", address, identity] => runtime().block_on(fetch(address, identity)),
        _ => compare(words.iter().find_map(|word| word.parse().ok()).unwrap_or(1024)),
    }
}

/// Runs the topology and prints a line for each way in each of its runs.
fn compare(mib: u64) -> ExitCode {
    let place = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    fs::write(place.path().join("certificate"), own.cert.der()).unwrap();
    fs::write(place.path().join("key"), own.signing_key.serialize_der()).unwrap();
    let program = std::env::current_exe().unwrap();
    let topology = TOPOLOGY
        .replace("PROGRAM", &program.display().to_string())
        .replace("IDENTITY", &place.path().display().to_string())
        .replace("BYTES", &(mib << 20).to_string())
        .replace("SIZE", &format!("{mib}MiB"));
    fs::write(place.path().join("bulk.yaml"), topology).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerbed"));
    command.arg("run").arg(place.path().join("bulk.yaml")).args(["--quiet", "--no-verify", "--repeat", "3", "--out"]);
    let done = command.arg(place.path().join("runs")).output().unwrap();
    let directory = RunDirectory::open(&place.path().join("runs"));
    let Ok(Found::Sweep(sweep)) = directory.and_then(|directory| Found::read(&directory)) else {
        out(&format!("the topology did not run: {}", String::from_utf8_lossy(&done.stderr)));
        return ExitCode::FAILURE;
    };
    out(&format!("{mib} MiB between two unshaped peers, Mbit/s"));
    out("quinn alone    swarm  of quinn    client-server  of quinn    most memory of a peer    verdict");
    for run in &sweep.runs {
        if let Some(error) = &run.results.error {
            out(&format!("a run failed: {error}"));
            return ExitCode::FAILURE;
        }
        line(&place.path().join("runs").join(&run.directory), &run.results, mib << 20);
    }
    ExitCode::SUCCESS
}

fn line(directory: &Path, results: &Results, bytes: u64) {
    let written = fs::read_to_string(directory.join("peers/fetch/seconds")).unwrap();
    let megabits = |seconds: f64| bytes as f64 * 8.0 / seconds / 1e6;
    let reference = megabits(written.trim().parse().unwrap());
    let of = |via: &str| {
        let found = results.distributions.iter().find(|it| it.via == via).and_then(|it| it.seconds).unwrap();
        megabits(found)
    };
    let [swarm, rival] = ["swarm", "client-server"].map(of);
    let share = |rate: f64| rate / reference * 100.0;
    let own = results.memory.iter().filter(|memory| ["seed", "leecher"].contains(&memory.peer.as_str()));
    let peak = own.map(|memory| memory.peak_bytes).max().unwrap() as f64 / f64::from(1 << 20);
    let verdict = results.verdict.state.as_str();
    out(&format!(
        "{reference:11.0}  {swarm:7.0}  {:6.0} %  {rival:15.0}  {:6.0} %  {peak:19.1} MiB    {verdict}",
        share(swarm),
        share(rival)
    ));
}

/// Sends zeros on every stream that somebody opens, until killed.
async fn serve(address: &str, identity: &str, bytes: u64) -> ExitCode {
    let read = |name: &str| fs::read(Path::new(identity).join(name)).unwrap();
    let key = PrivatePkcs8KeyDer::from(read("key"));
    let mut config = ServerConfig::with_single_cert(vec![read("certificate").into()], key.into()).unwrap();
    config.transport_config(Arc::new(transport()));
    let endpoint = Endpoint::server(config, SocketAddr::new(address.parse().unwrap(), PORT)).unwrap();
    out("ready");
    let block = Bytes::from(vec![0x5a; 1 << 20]);
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.await else { continue };
        while let Ok((mut stream, _)) = connection.accept_bi().await {
            let mut left = usize::try_from(bytes).unwrap();
            while left > 0 {
                let next = block.slice(..left.min(block.len()));
                left -= next.len();
                stream.write_chunk(next).await.unwrap();
            }
            stream.finish().unwrap();
        }
    }
    ExitCode::SUCCESS
}

/// Reads one stream to its end, and leaves the seconds that it took in a file.
async fn fetch(address: &str, identity: &str) -> ExitCode {
    let mut roots = RootCertStore::empty();
    roots.add(fs::read(Path::new(identity).join("certificate")).unwrap().into()).unwrap();
    let mut config = ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
    config.transport_config(Arc::new(transport()));
    let mut endpoint = Endpoint::client("0.0.0.0:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(config);
    let began = Instant::now();
    let server = SocketAddr::new(address.parse().unwrap(), PORT);
    let connection = endpoint.connect(server, NAME).unwrap().await.unwrap();
    let (mut ask, mut stream) = connection.open_bi().await.unwrap();
    ask.write_all(b"?").await.unwrap();
    ask.finish().unwrap();
    let mut chunks = vec![Bytes::new(); 32];
    while stream.read_chunks(&mut chunks).await.unwrap().is_some() {}
    fs::write("seconds", began.elapsed().as_secs_f64().to_string()).unwrap();
    ExitCode::SUCCESS
}

/// quinn's own settings, with datagrams as large as the peers'.
fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.initial_mtu(1452);
    transport
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn out(text: &str) {
    println!("{text}");
}

const NAME: &str = "reference";
const PORT: u16 = 4433;

const TOPOLOGY: &str = r#"
version: 1
name: bulk
seed: 1
timeout: 20m
links:
  open: {}
groups:
  seed: { link: open, swarm: seed, tracker: {} }
  leecher: { link: open, swarm: leecher }
  serve:
    link: open
    present: false
    exec: { command: PROGRAM, arguments: [serve, "{address}", IDENTITY, "BYTES"], ready: { line: ready } }
  fetch:
    link: open
    present: false
    exec: { command: PROGRAM, arguments: [fetch, "{address.serve}", IDENTITY], complete: exit }
files:
  blob: { size: SIZE }
scenario:
  - start: { peers: serve }
  - start: { peers: fetch }
  - wait: { programs: fetch }
  - leave: { peers: serve }
  - distribute: { file: blob, from: seed, to: leecher, via: swarm }
  - distribute: { file: blob, from: seed, to: leecher, via: client-server }
expect:
  - distribution.blob.completed >= 100%
"#;
