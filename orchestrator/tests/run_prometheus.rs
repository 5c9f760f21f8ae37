//! `run --prometheus`: a real Prometheus scrapes a real run with churn, and answers every query of the dashboards and every
//! rule; it ends with the run, however that ends, and another one opens its samples.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod dashboard_support;
mod fit_host;
mod run_support;
mod tools;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use fit_host::hold;
use run_support::{PATIENCE, Place, Running, SLOW, can_run, signal, wait_until};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_prometheus_beside_a_run_with_churn_answers_every_panel_and_every_rule() {
    if !can_run() || !has_prometheus() {
        return;
    }
    hold("a Prometheus beside a run", check_prometheus);
}

fn check_prometheus() {
    let place = Place::with(CHURN);
    let began = seconds_now();
    let (mut run, address, said) = start(&place);
    wait_until("every rule was evaluated without an error", || {
        let rules = get(address, "/api/v1/rules", &[]).unwrap_or_default();
        let all: Vec<&Value> = rules["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .collect();
        let bad = all.iter().find(|rule| !rule["lastError"].as_str().unwrap_or_default().is_empty());
        assert!(bad.is_none(), "{bad:?}");
        all.len() >= 9 && all.iter().all(|rule| rule["health"] == "ok")
    });
    let said = std::thread::spawn(move || said.map_while(Result::ok).collect::<Vec<String>>().join("\n"));
    let status = run.0.wait().unwrap();
    let said = said.join().unwrap();
    assert!(matches!(status.code(), Some(0 | 4)), "{status}: {said}");
    assert!(place.processes().is_empty(), "something outlives the run");

    let engine = place.results()["engine"].as_str().unwrap().to_owned();
    let again = Reopened::of(&place);
    let range = [("start", format!("{began:.0}")), ("end", format!("{:.0}", seconds_now())), ("step", "1".to_owned())];
    let mut empty = Vec::new();
    let mut asked = 0;
    for query in dashboard_support::all().iter().flat_map(dashboard_support::Dashboard::queries) {
        let text = query.sent();
        if is_absent_here(&text, &engine) {
            println!("left out on this host: {}", query.place);
            continue;
        }
        let mut form = vec![("query", text.clone())];
        form.extend(range.clone());
        let found = get(again.address, "/api/v1/query_range", &form).expect("an answer");
        asked += 1;
        if found["result"].as_array().is_none_or(Vec::is_empty) {
            empty.push(format!("{}: {text}", query.place));
        }
    }
    println!("{asked} queries were answered with series");
    assert!(asked > 100 && empty.is_empty(), "no series for:\n{}", empty.join("\n"));
    let values = |query: &str| -> Vec<String> {
        let mut form = vec![("query", query.to_owned())];
        form.extend(range.clone());
        let found = get(again.address, "/api/v1/query_range", &form).expect("an answer");
        let series = found["result"].as_array().unwrap();
        assert_eq!(series.len(), 1, "{query}: {found}");
        let values = series[0]["values"].as_array().unwrap();
        values.iter().map(|value| value[1].as_str().unwrap().to_owned()).collect()
    };
    let crashes = values("max(peerbed:ring_faults:sum{fault=\"crash\"})");
    assert_eq!(crashes.first().map(String::as_str), Some("0"), "the first fault is seen to happen: {crashes:?}");
    assert!(crashes.contains(&"1".to_owned()), "{crashes:?}");
    let moves = values("count(count by (move) (last_over_time(peerbed_run_churn_move_timestamp_seconds[60s])))");
    assert!(moves.last().is_some_and(|count| count.parse::<u32>().is_ok_and(|count| count >= 2)), "{moves:?}");
    for (label, least) in [("run", 1), ("group", 3), ("peer", 10)] {
        let values = get(again.address, &format!("/api/v1/label/{label}/values"), &[]).expect("an answer");
        assert!(values.as_array().unwrap().len() >= least, "{label}: {values}");
    }
}

#[test]
fn prometheus_ends_with_the_run_however_that_ends() {
    if !can_run() || !has_prometheus() {
        return;
    }
    for end in [Signal::INT, Signal::KILL] {
        let place = Place::with(SLOW);
        let (mut run, _, said) = start(&place);
        assert!(!place.processes().is_empty());
        signal(&run.0, end);
        // What it still says must not hold it up.
        said.for_each(drop);
        run.0.wait().unwrap();
        wait_until("everything has ended", || place.processes().is_empty());
        assert!(place.run().join("prometheus/data/wal").is_dir(), "the samples stay");
    }
}

#[test]
fn who_has_no_prometheus_is_told_how_to_get_it() {
    if !can_run() {
        return;
    }
    let place = Place::with(SLOW);
    let done = place.command().arg("--prometheus=0").env("PATH", place.temporary()).output().unwrap();
    assert_eq!(run_support::code(&done), 3, "{}", run_support::stderr(&done));
    assert!(run_support::stderr(&done).contains("apt install prometheus"), "{}", run_support::stderr(&done));
}

/// A Prometheus on the samples that a run's own left behind.
struct Reopened {
    process: Child,
    address: SocketAddr,
}

impl Reopened {
    fn of(place: &Place) -> Self {
        let configuration = place.path().join("nothing.yml");
        std::fs::write(&configuration, "scrape_configs: []\n").unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", place.run().join("prometheus/data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let reopened = Self { process, address };
        wait_until("the samples are read", || get(address, "/api/v1/labels", &[]).is_some());
        reopened
    }
}

impl Drop for Reopened {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the run and says where its Prometheus is.
fn start(place: &Place) -> (Running, SocketAddr, impl Iterator<Item = std::io::Result<String>> + Send + use<>) {
    let mut command = place.command();
    let run = command.arg("--prometheus=0").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut run = Running(run);
    let mut said = BufReader::new(run.0.stderr.take().unwrap()).lines();
    let mut heard = Vec::new();
    let line = said
        .by_ref()
        .map_while(Result::ok)
        .inspect(|line| heard.push(line.clone()))
        .find(|line| line.starts_with("Prometheus on http://"));
    let line = line.unwrap_or_else(|| panic!("no Prometheus: {heard:?}"));
    let address = line.trim_start_matches("Prometheus on http://").trim_end_matches('/').parse().unwrap();
    (run, address, said)
}

/// Series that this host or engine does not have.
fn is_absent_here(query: &str, engine: &str) -> bool {
    let has_pressure = ["/proc/pressure/cpu", "/proc/schedstat"].iter().any(|path| std::fs::metadata(path).is_ok());
    (query.contains("peerbed_link_lateness_seconds") && engine != "user")
        || (query.contains("peerbed_host_pressure_ratio") && !has_pressure)
}

/// The `data` of an answer; none while there is none.
fn get(address: SocketAddr, path: &str, form: &[(&str, String)]) -> Option<Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let escape = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let fields: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    // The older version of the protocol has no chunks.
    write!(stream, "GET {path}?{} HTTP/1.0\r\nhost: prometheus\r\n\r\n", fields.join("&")).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(!head.contains(" 400 "), "{form:?}: {body}");
    let answer: Value = serde_json::from_str(body).ok()?;
    (answer["status"] == "success").then(|| answer["data"].clone())
}

fn has_prometheus() -> bool {
    tools::find(&["prometheus"], "prometheus").is_some()
}

fn seconds_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Ten peers: a swarm of five and a ring of five, with peers of both crashing and coming back.
const CHURN: &str = "
version: 1
name: churn
seed: 3
links:
  home: { up: 2mbit, down: 20mbit }
  ring: { up: 20mbit, down: 20mbit }
groups:
  origin: { link: home, swarm: seed, tracker: {} }
  home: { count: 4, link: home, swarm: leecher }
  node: { count: 5, link: ring, ring: { bits: 16 } }
files:
  blob: { size: 2MiB }
scenario:
  - at: 0s
    distribute: { file: blob, from: origin, to: home, via: swarm }
  - at: 1s
    lookups: { ring: node, count: 60, rate: 10 }
  - at: 3s
    crash: { peers: [home-4] }
  - at: 4s
    crash: { peers: [node-2] }
  - at: 7s
    join: { peers: [home-4] }
  - at: 8s
    join: { peers: [node-2] }
  - at: 9s
    churn: { peers: [node-4], for: 6s, session: { law: weibull, shape: 20, mean: 2s }, absence: { law: weibull, shape: 20, mean: 1s } }
";
