//! Runs that end early, by signals, deaths and kill -9: what is said, what is kept, and that nothing is left.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use peerbed_proto::Random;
use run_support::{Place, SLOW, can_run, code, signal, stderr, stdout, wait_until};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn signals_stop_the_run_and_keep_its_files() {
    if !can_run() {
        return;
    }
    for stop in [Signal::INT, Signal::TERM] {
        let place = Place::with(SLOW);
        let run = place.start();
        wait_until("the swarm has begun", || has_pieces(&place));
        let namespaces = namespaces(&place);
        assert!(namespaces.len() >= 4, "{namespaces:?}");
        let asked = Instant::now();
        signal(&run, stop);
        let run = run.wait_with_output().unwrap();
        println!("ended {:?} after {stop:?}", asked.elapsed());
        assert_eq!(code(&run), 3, "{}", stderr(&run));
        assert!(stderr(&run).contains("stopping the run; its files stay"), "{}", stderr(&run));
        assert!(stdout(&run).contains("outcome: interrupted: the run was stopped before its end"), "{}", stdout(&run));
        let results = place.results();
        assert_eq!(results["outcome"], "interrupted");
        assert_ne!(results["verdict"]["state"], "valid", "half a run is not one");
        assert_eq!(results["verdict"]["reasons"][0], "the run did not come to its end");
        assert!(results["distributions"][0]["seconds"].is_null(), "{results}");
        assert!(place.run().join("peers/home-1/log").exists() && place.run().join("content/blob").exists());
        assert_nothing_left(&place, &namespaces);
    }
}

#[test]
fn a_signal_while_peers_are_set_up_stops_the_run_too() {
    if !can_run() {
        return;
    }
    let place = Place::with(&SLOW.replace("count: 3", "count: 60"));
    let mut run = place.start();
    let mut said = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "setting up 61 peers\n");
    signal(&run, Signal::TERM);
    let ended = run.wait_with_output().unwrap();
    assert_eq!((code(&ended), &place.results()["outcome"]), (3, &"interrupted".into()));
    assert_nothing_left(&place, &BTreeSet::new());
}

#[test]
fn a_peer_killed_from_outside_fails_the_run_with_its_last_words() {
    if !can_run() {
        return;
    }
    let place = Place::with(SLOW);
    let run = place.command().args(["--log", "info"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the swarm has begun", || has_pieces(&place));
    let namespaces = namespaces(&place);
    let victim = place.peer("home-2").expect("home-2 runs");
    kill_process(Pid::from_raw(victim as i32).unwrap(), Signal::KILL).unwrap();
    let run = run.wait_with_output().unwrap();
    let text = stderr(&run);
    assert_eq!(code(&run), 3, "{text}");
    assert!(text.contains("home-2 ended unexpectedly (signal 9 (killed)); "), "{text}");
    assert!(text.contains("its log"), "{text}");
    assert_eq!(place.results()["outcome"], "failed");
    assert_nothing_left(&place, &namespaces);
}

#[test]
fn kill_9_at_any_moment_leaves_nothing() {
    if !can_run() {
        return;
    }
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random::new(seed, "moments to die");
    let before = host_state();
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut stopped = 0;
    for round in 0..rounds {
        // Both engines, with and without the measuring of links before the scenario; soon there are a paused peer, a
        // partition and a link that is down.
        let engine = if round % 2 == 0 { "kernel" } else { "user" };
        let place = Place::with(&format!("{SLOW}{FAULTS}engine: {engine}\n"));
        let mut command = if round % 4 < 2 { place.command() } else { place.verifying_command() };
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Four seconds have set-up, measuring, handshakes and transfer in them.
        let moment = Duration::from_millis(random.below(4_000) as u64);
        std::thread::park_timeout(moment);
        let namespaces = namespaces(&place);
        let paused = place.processes().into_iter().filter(|process| is_stopped(*process)).count();
        run.kill().unwrap();
        run.wait().unwrap();
        if place.run().join("plan.yaml").exists() {
            let report = run_support::peerbed().arg("report").arg(place.run()).output().unwrap();
            assert_eq!(code(&report), 3, "{}", stderr(&report));
            let text = stdout(&report);
            assert!(text.contains("outcome: killed before it wrote its results"), "{text}");
            assert!(text.contains("missing: results.json"), "{text}");
        }
        println!("round {round}: killed after {moment:?} with {} namespaces, {paused} stopped", namespaces.len());
        assert_nothing_left(&place, &namespaces);
        stopped += paused;
    }
    println!("{rounds} rounds, {stopped} stopped processes, nothing left");
    assert_eq!(host_state(), before);
}

#[test]
fn kill_9_ends_stopped_processes_and_partitions_too() {
    if !can_run() {
        return;
    }
    let before = host_state();
    for engine in ["kernel", "user"] {
        let place = Place::with(&format!("{SLOW}{FAULTS}engine: {engine}\n"));
        let mut run = place.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_applied = |action| {
            let applied = |event: &&serde_json::Value| event["event"] == "change-asked" && event["action"] == action;
            place.events().iter().any(|event| applied(&event))
        };
        wait_until("the link is down", || is_applied("link"));
        let namespaces = namespaces(&place);
        let paused: Vec<u32> = place.processes().into_iter().filter(|process| is_stopped(*process)).collect();
        run.kill().unwrap();
        run.wait().unwrap();
        assert_eq!(paused.len(), 1, "{engine}: home-1 was paused");
        assert_nothing_left(&place, &namespaces);
    }
    assert_eq!(host_state(), before);
}

/// Steps beside the distribution of [`SLOW`].
const FAULTS: &str = "
  - at: 200ms
    pause: { peers: home-1 }
  - partition: { sides: [home-2, home-3] }
  - link: { peers: origin, down: { state: down } }
";

fn has_pieces(place: &Place) -> bool {
    place.events().iter().any(|event| event["event"] == "piece")
}

fn is_stopped(process: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// The network namespaces of the processes of this place, beside our own.
fn namespaces(place: &Place) -> BTreeSet<String> {
    let own = namespace("self").unwrap();
    let all = place.processes().into_iter().filter_map(|process| namespace(&process.to_string()));
    all.filter(|namespace| *namespace != own).collect()
}

fn namespace(process: &str) -> Option<String> {
    Some(fs::read_link(format!("/proc/{process}/ns/net")).ok()?.to_string_lossy().into_owned())
}

/// No process, nobody in one of its namespaces, no temporary file. The kernel kills children at once; what they held goes
/// when the last of them has been scheduled to die.
fn assert_nothing_left(place: &Place, namespaces: &BTreeSet<String>) {
    wait_until("its processes are gone", || place.processes().is_empty());
    let is_held = || {
        let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
        let mut held = processes.filter_map(|process| namespace(&process));
        held.any(|namespace| namespaces.contains(&namespace))
    };
    wait_until("its namespaces are empty", || !is_held());
    let left: Vec<_> = fs::read_dir(place.temporary()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "temporary files are left: {left:?}");
}

/// Links, addresses, routes, rules, named namespaces and mounts of the host.
fn host_state() -> String {
    let mut state = fs::read_to_string("/proc/self/mounts").unwrap();
    for command in ["ip -o link", "ip -o addr", "ip route", "ip rule", "ip netns list"] {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
        state += &String::from_utf8_lossy(&output.stdout);
    }
    state
}
