//! Joining live runs by the names of peers, and listing them: `exec`, `shell`, `ps`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;
mod tools;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
};

use run_support::{Place, SLOW, can_run, code, is_root, peerbed, signal, stderr, stdout, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

#[test]
fn a_command_runs_in_the_network_of_a_peer_and_knows_the_others_by_name() {
    if !can_run() {
        return;
    }
    for engine in ["kernel", "user"] {
        let (place, run) = begun(&format!("{SLOW}engine: {engine}\n"));
        let address = exec(&place, &["home-2", "--", "ip", "-4", "-o", "addr", "show", "dev", "eth0"]);
        assert!(stdout(&address).contains("198.18.0.3/"), "{}{}", stdout(&address), stderr(&address));
        let name = exec(&place, &["home-2", "--", "getent", "hosts", "origin"]);
        assert_eq!(stdout(&name).split_whitespace().collect::<Vec<_>>(), ["198.18.0.1", "origin"], "{}", stderr(&name));
        let unknown = exec(&place, &["home-2", "--", "getent", "hosts", "example.org"]);
        assert_eq!(code(&unknown), 2, "a name that is nobody's is not asked for elsewhere");
        if tools::find(&["ping"], "iputils-ping").is_some() {
            let ping = exec(&place, &["home-3", "--", "ping", "-c", "1", "-W", "20", "origin"]);
            assert_eq!(code(&ping), 0, "{}{}", stdout(&ping), stderr(&ping));
        }
        end(run);
    }
    let own = fs::read_to_string("/etc/hosts").unwrap_or_default();
    assert!(!own.contains("198.18.0.1"), "the host's own names are as they were");
}

#[test]
fn exit_codes_standard_streams_and_signals_pass_through() {
    if !can_run() {
        return;
    }
    let (place, run) = begun(SLOW);
    for (script, expected) in [("exit 7", 7), ("kill -KILL $$", 137), ("true", 0)] {
        let output = exec(&place, &["origin", "--", "sh", "-c", script]);
        assert_eq!((code(&output), stderr(&output)), (expected, String::new()), "{script}");
    }
    assert_eq!(code(&exec(&place, &["origin", "--", "no-such-program"])), 127);
    assert_eq!(code(&exec(&place, &["origin", "--", "/etc/passwd"])), 126);

    let mut cat = exec_command(&place, &["home-1", "--", "sh", "-c", "cat; echo bad >&2"]);
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    cat.stdin.take().unwrap().write_all(b"through\n").unwrap();
    let output = cat.wait_with_output().unwrap();
    assert_eq!((stdout(&output), stderr(&output)), ("through\n".to_owned(), "bad\n".to_owned()));

    let script = "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut told = exec_command(&place, &["home-1", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(told.stdout.take().unwrap()).lines();
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    signal(&told, Signal::TERM);
    assert_eq!(said.next().unwrap().unwrap(), "told");
    assert_eq!(told.wait().unwrap().code(), Some(5));
    end(run);
}

#[test]
fn whatever_joined_a_run_ends_with_it_however_it_ends() {
    if !can_run() {
        return;
    }
    for ending in [Signal::INT, Signal::KILL] {
        let (place, mut run) = begun(SLOW);
        // A shell with a process of its own, and one that has gone its own ways.
        let script = "setsid sleep 100001 & sleep 100002 & echo ready; wait";
        let command = &["home-1", "--", "sh", "-c", script];
        let mut open = exec_command(&place, command);
        let mut open = open.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(open.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "ready");
        let namespace = exec(&place, &["home-1", "--", "readlink", "/proc/self/ns/net"]);
        let namespace = stdout(&namespace).trim().to_owned();
        wait_until("both sleep", || inhabitants(&namespace).len() >= 3);
        signal(&run, ending);
        run.wait().unwrap();
        let ended = open.wait_with_output().unwrap();
        assert_eq!(code(&ended), 137, "{}", stderr(&ended));
        wait_until("nobody is in there", || inhabitants(&namespace).is_empty());
        if ending == Signal::KILL {
            assert!(stderr(&ended).contains("run run has ended"), "{}", stderr(&ended));
        }
        let late = exec(&place, &["home-1", "--", "true"]);
        assert_eq!(code(&late), 2, "{}", stderr(&late));
        let why = if ending == Signal::INT { "has ended" } else { "was killed" };
        assert!(stderr(&late).contains(why), "{}", stderr(&late));
    }
}

#[test]
fn runs_and_peers_are_listed_with_what_they_do() {
    if !can_run() {
        return;
    }
    let late = SLOW.replace("  home: {", "  late: { link: slow, swarm: leecher, present: false }\n  home: {");
    let (place, run) = begun(&late);
    let listed = peerbed().args(["ps", "--json", "--run"]).arg(place.run()).output().unwrap();
    let listed: Value = serde_json::from_str(&stdout(&listed)).unwrap();
    assert_eq!((listed[0]["name"].as_str(), listed[0]["pid"].as_u64()), (Some("slow"), Some(run.id().into())));
    let peer = |name: &str| {
        let peers = listed[0]["peers"].as_array().unwrap();
        peers.iter().find(|peer| peer["name"] == name).unwrap().clone()
    };
    let home = peer("home-2");
    assert_eq!((home["state"].as_str(), home["link"].as_str()), (Some("up"), Some("slow")));
    assert_eq!(home["pid"].as_u64(), place.peer("home-2").map(u64::from));
    assert!(home["up_seconds"].as_f64().unwrap() < 600.0 && home["up_since"].is_string(), "{home}");
    assert_eq!((peer("late")["state"].as_str(), &peer("late")["pid"]), (Some("down"), &Value::Null));

    let paused = i32::try_from(home["pid"].as_u64().unwrap()).unwrap();
    kill_process(Pid::from_raw(paused).unwrap(), Signal::STOP).unwrap();
    let table = || stdout(&peerbed().args(["ps", "--run"]).arg(place.run()).output().unwrap());
    wait_until("home-2 is stopped", || table().contains("paused"));
    kill_process(Pid::from_raw(paused).unwrap(), Signal::CONT).unwrap();
    let inside = exec(&place, &["late", "--", "getent", "hosts", "late"]);
    assert_eq!(code(&inside), 0, "a peer that is down has its namespace: {}", stderr(&inside));
    end(run);
}

#[test]
fn unknown_runs_and_peers_are_bad_input_with_what_comes_near() {
    if !can_run() {
        return;
    }
    let (place, run) = begun(SLOW);
    let wrong = exec(&place, &["hone-1", "--", "true"]);
    assert_eq!(code(&wrong), 2);
    assert!(stderr(&wrong).contains("has no peer `hone-1` (did you mean `home-1`?)"), "{}", stderr(&wrong));
    end(run);
    let none = peerbed().current_dir(place.path()).args(["exec", "home-1", "--", "true"]).output().unwrap();
    assert_eq!((code(&none), stderr(&none).lines().count()), (2, 1), "{}", stderr(&none));
    assert!(stderr(&none).starts_with("error: no run is live below runs"), "{}", stderr(&none));
    let none = peerbed().current_dir(place.path()).args(["ps", "--json"]).output().unwrap();
    assert_eq!((code(&none), stdout(&none)), (0, "[]\n".to_owned()));
}

#[test]
fn the_owner_of_a_run_without_root_joins_it() {
    if !can_run() || !is_root() {
        return;
    }
    let place = Place::with(SLOW);
    let allowed = Command::new("setpriv").args(UNPRIVILEGED).args(["unshare", "--user", "--net", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("skipped: no user namespaces, or no setpriv, here");
        return;
    }
    // Programs are copied to where another user may read them.
    for program in ["peerbed", "peerbed-peer"] {
        let built = std::path::Path::new(env!("CARGO_BIN_EXE_peerbed")).with_file_name(program);
        fs::copy(built, place.path().join(program)).unwrap();
    }
    Command::new("chown").args(["-R", "65534:65534"]).arg(place.path()).status().unwrap();
    let own = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(UNPRIVILEGED).arg(place.path().join("peerbed")).args(arguments).current_dir(place.path());
        command.stdin(Stdio::null());
        command
    };
    let mut run = own(&["run", "topology.yaml", "--out", "run", "--no-verify"]);
    let run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the swarm has begun", || has_pieces(&place));
    let who = own(&["exec", "--run", "run", "home-1", "--", "getent", "hosts", "origin"]).output().unwrap();
    assert!(stdout(&who).starts_with("198.18.0.1"), "{}{}", stdout(&who), stderr(&who));
    let root = exec(&place, &["home-1", "--", "getent", "hosts", "home-3"]);
    assert!(stdout(&root).starts_with("198.18.0.4"), "root may join as well: {}", stderr(&root));
    end(run);
}

const UNPRIVILEGED: [&str; 4] = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];

/// A run whose swarm exchanges pieces.
fn begun(topology: &str) -> (Place, Child) {
    let place = Place::with(topology);
    let run = place.start();
    wait_until("the swarm has begun", || has_pieces(&place));
    (place, run)
}

fn has_pieces(place: &Place) -> bool {
    place.events().iter().any(|event| event["event"] == "piece")
}

fn end(run: Child) {
    signal(&run, Signal::TERM);
    run.wait_with_output().unwrap();
}

fn exec(place: &Place, words: &[&str]) -> Output {
    exec_command(place, words).output().unwrap()
}

fn exec_command(place: &Place, words: &[&str]) -> Command {
    let mut command = peerbed();
    command.args(["exec", "--run"]).arg(place.run()).args(words);
    command
}

/// Processes in a namespace, given as `net:[…]`.
fn inhabitants(namespace: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let numbers = processes.filter(|name| name.parse::<u32>().is_ok());
    let is_inside = |process: &String| {
        fs::read_link(format!("/proc/{process}/ns/net")).is_ok_and(|link| link.to_string_lossy() == namespace)
    };
    numbers.filter(is_inside).collect()
}
