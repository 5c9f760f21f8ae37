//! `run --metrics`: discovery, the run's own series and every peer's, while a real run goes on.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod dashboard_support;
mod run_support;
mod tools;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use run_support::{PATIENCE, Place, SLOW, can_run, code, output, signal, stderr};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_scraper_finds_the_run_and_every_peer_on_one_port() {
    if !can_run() {
        return;
    }
    let place = Place::with(SLOW);
    let mut command = place.command();
    let mut run = command.args(["--metrics", "0"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines();
    let line =
        said.by_ref().map_while(Result::ok).find(|line| line.contains("metrics on http://")).expect("an address");
    let address: SocketAddr = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    assert!(address.ip().is_loopback(), "a port alone is served to this host only");

    run_support::wait_until("peers answer", || get(address, "/peers/home-3/metrics").0 == 200);
    let (_, text) = get(address, "/peers/home-3/metrics");
    assert!(text.lines().any(|line| line.starts_with("peerbed_swarm_")), "{text}");
    every_histogram_is_drawn(&text);
    run_support::wait_until("the host was looked at", || {
        get(address, "/metrics").1.contains("\npeerbed_host_busy_ratio ")
    });
    let (_, text) = get(address, "/metrics");
    assert!(text.contains("peerbed_link_asked_bytes_per_second{class=\"slow\",direction=\"up\"} 62500\n"), "{text}");
    assert!(
        text.contains("peerbed_run_distribution_peers_required{distribution=\"blob\",via=\"swarm\"} 3\n"),
        "{text}"
    );

    for path in ["/metrics", "/peers/origin/metrics"] {
        promtool_accepts(&get(address, path).1);
    }
    let targets: Value = serde_json::from_str(&get(address, "/sd").1).unwrap();
    let all = targets.as_array().unwrap();
    let peers: Vec<&str> = all.iter().filter_map(|target| target["labels"]["peer"].as_str()).collect();
    assert_eq!(peers, ["origin", "home-1", "home-2", "home-3"]);
    for target in all {
        assert_eq!(target["targets"][0], address.to_string());
        let path = target["labels"]["__metrics_path__"].as_str().unwrap();
        assert_eq!(get(address, path).0, 200, "{path}");
    }
    assert_eq!(get(address, "/peers/nobody/metrics").0, 404);

    signal(&run, Signal::TERM);
    // What it still says must not hold it up.
    said.by_ref().for_each(drop);
    assert_eq!(run.wait().unwrap().code(), Some(3));
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_made() {
    let place = Place::with(SLOW);
    let done = output(["run".as_ref(), place.topology().as_os_str(), "--metrics".as_ref(), "everywhere".as_ref()]);
    assert_eq!(code(&done), 2);
    assert!(stderr(&done).contains("write a port, or an address and a port"), "{}", stderr(&done));
}

fn every_histogram_is_drawn(text: &str) {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let histograms: Vec<&str> = kinds.filter_map(|kind| kind.strip_suffix(" histogram")).collect();
    assert!(histograms.len() >= 4, "{histograms:?}");
    let queries: Vec<_> = dashboard_support::all().iter().flat_map(dashboard_support::Dashboard::queries).collect();
    for name in histograms {
        let bucket = format!("{name}_bucket{{");
        let is_drawn = queries.iter().any(|query| query.written.contains(&bucket));
        assert!(is_drawn, "no panel of any dashboard draws {name}");
    }
}

/// Names, kinds and help are as Prometheus wants them.
fn promtool_accepts(text: &str) {
    let Some(program) = tools::find(&["promtool"], "prometheus") else { return };
    let mut command = Command::new(program);
    let mut checking = command.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    checking.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = checking.wait_with_output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Status and body of a plain request.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: peerbed\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    // A short answer has its length and no chunks.
    (status, body.to_owned())
}
