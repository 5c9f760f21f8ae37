//! Programs of somebody else's as peers: their start, readiness, completion, end, and what they distribute.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod run_support;
mod tools;

use std::{
    fs,
    process::{Command, Stdio},
};

use run_support::{Place, assert_ended, can_run, code, signal, stderr, stdout, wait_until};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_file_goes_from_a_web_server_to_clients_on_either_engine() {
    if !can_run() || !has("python3") || !has("curl") {
        return;
    }
    for engine in ["kernel", "user"] {
        let place = Place::with(&format!("{WEB}engine: {engine}\n"));
        let run = place.command().arg("--keep-files").output().unwrap();
        assert_ended(&run, 0);
        let results = place.results();
        let distribution = &results["distributions"][0];
        assert_eq!(
            (distribution["via"].as_str(), distribution["kind"].as_str()),
            (Some("http"), Some("client-server"))
        );
        let completions = distribution["completions"].as_array().unwrap();
        assert!(completions.iter().all(|it| it["verified"] == true), "{completions:?}");
        let [seconds, bound] = ["seconds", "bound_seconds"].map(|key| distribution[key].as_f64().unwrap());
        // Two copies of 1 MiB through 20 Mbit/s, with the headers of packets.
        assert!((seconds - bound) / bound > 0.02 && (0.83..0.85).contains(&bound), "{seconds} of {bound}");
        assert_eq!(results["programs"].as_array().unwrap().len(), 2, "{}", results["programs"]);
        assert!(stdout(&run).contains("│ blob         ┆ http "), "{}", stdout(&run));
        let log = fs::read_to_string(place.run().join("peers/server/log")).unwrap();
        assert!(log.contains("198.18.0.2") && log.contains("GET /blob"), "standard error is in the log: {log}");
        assert_eq!(place.processes(), [0_u32; 0]);
    }
}

#[test]
fn every_way_to_be_ready_and_to_complete_is_noticed() {
    if !can_run() {
        return;
    }
    let program = |name: &str, script: &str, keys: &str| {
        format!("  {name}: {{ link: fast, exec: {{ command: sh, arguments: [-c, '{script}'], {keys} }} }}\n")
    };
    let groups = [
        program(
            "line",
            "echo I am up >&2; echo done it; exec sleep 1000",
            "ready: { line: am up }, complete: { line: done }",
        ),
        program(
            "file",
            "sleep 0.2; echo x > up; cp {file.blob} got; exec sleep 1000",
            "ready: { file: up }, complete: { file: got, same-as: blob }",
        ),
        program(
            "some",
            "test \"$WHO\" = some-198.18.0.3 && echo y > {directory}/any; exec sleep 1000",
            "environment: { WHO: \"{name}-{address}\" }, complete: { file: any }",
        ),
        program("exit", "getent hosts line && test \"$PWD\" = {directory} && exit 3", "complete: exit, exit: 3"),
    ];
    let place = Place::with(&format!(
        "{HEAD}{}{FILES}scenario:\n  - wait: {{ programs: [line, file, some, exit] }}\n",
        groups.concat()
    ));
    let run = place.command().output().unwrap();
    assert_ended(&run, 0);
    let results = place.results();
    let completed: Vec<&str> =
        results["programs"].as_array().unwrap().iter().map(|it| it["peer"].as_str().unwrap()).collect();
    assert_eq!(completed, ["line", "file", "some", "exit"], "{}", stderr(&run));
    assert!(results["programs"][0]["seconds"].is_number());
}

#[test]
fn an_end_that_was_not_foreseen_fails_the_run_with_the_last_words() {
    if !can_run() {
        return;
    }
    for (script, keys, expected) in [
        (
            "echo out of luck; exit 4",
            "complete: exit",
            "worker ended unexpectedly (exit code 4); the last lines of its log:",
        ),
        ("sleep 0.3", "complete: { line: never }", "the program of worker ended before it had completed"),
        ("exit 0", "ready: { file: never }", "worker ended before it was ready (exit code 0)"),
        ("exec sleep 1000", "ready: { tcp: 81 }, ready-within: 1s", "worker was not ready within 1s"),
        ("exec no-such-program", "ready: { line: up }", "no-such-program"),
    ] {
        let group =
            format!("  worker: {{ link: fast, exec: {{ command: sh, arguments: [-c, '{script}'], {keys} }} }}\n");
        let place = Place::with(&format!("{HEAD}{group}scenario:\n  - wait: {{ for: 20s }}\n"));
        let run = place.command().output().unwrap();
        assert_eq!(code(&run), 3, "{script}: {}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{script}: {}", stderr(&run));
        assert_eq!(place.processes(), [0_u32; 0], "{script}");
    }
}

#[test]
fn a_program_that_crashed_is_started_again_and_completes() {
    if !can_run() {
        return;
    }
    let script = "echo run >> runs; test $(wc -l < runs) = 2 && echo both; exec sleep 1000";
    let place = Place::with(&format!(
        "{HEAD}  worker: {{ link: fast, exec: {{ command: sh, arguments: [-c, '{script}'], ready: {{ file: runs }}, \
         complete: {{ line: both }} }} }}\nscenario:\n  - crash: {{ peers: worker }}\n  - start: {{ peers: worker }}\n  \
         - wait: {{ programs: worker }}\n  - leave: {{ peers: worker }}\n"
    ));
    let run = place.command().output().unwrap();
    assert_ended(&run, 0);
    assert_eq!(fs::read_to_string(place.run().join("peers/worker/runs")).unwrap(), "run\nrun\n");
}

#[test]
fn whatever_a_program_started_ends_with_it_and_with_the_orchestrator() {
    if !can_run() {
        return;
    }
    // One that left the group, one whose parent is gone.
    // Others on this host may be testing the same.
    let ours = std::process::id();
    let script = format!("setsid sleep 100011.{ours} & (setsid sleep 100012.{ours} &); echo up; wait");
    let topology = format!(
        "{HEAD}  worker: {{ link: fast, exec: {{ command: sh, arguments: [-c, '{script}'], ready: {{ line: up }} }} }}\n"
    );
    let sleepers = || {
        let listed = Command::new("pgrep").args(["-f", &format!("^sleep 10001[12].{ours}$")]).output().unwrap();
        stdout(&listed).lines().count()
    };
    let place = Place::with(&format!("{topology}scenario:\n  - crash: {{ peers: worker }}\n"));
    assert_ended(&place.command().output().unwrap(), 0);
    assert_eq!(sleepers(), 0, "a crash takes all of them");
    for ending in [Signal::TERM, Signal::KILL] {
        let place = Place::with(&format!("{topology}scenario:\n  - wait: {{ for: 60s }}\n"));
        let mut run = place.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("both sleep", || sleepers() == 2);
        signal(&run, ending);
        run.wait().unwrap();
        wait_until("nobody sleeps", || sleepers() == 0);
    }
}

#[test]
fn what_this_host_lacks_is_left_out_with_the_reason() {
    if !can_run() {
        return;
    }
    let requires = "requires: { check: [sh, -c, 'echo no module >&2; exit 1'], install: apt-get install it }";
    let lacking = WEB.replace("command: curl", &format!("{requires}, command: curl"));
    let lacking = lacking.replace("cp {file.blob} . && exec python3 -m http.server 8000", "exec sleep 1000");
    let place = Place::with(&lacking.replace("      ready: { tcp: 8000 }\n", ""));
    let run = place.command().output().unwrap();
    assert_ended(&run, 0);
    let reason = "http is not there (no module); apt-get install it";
    assert!(stdout(&run).contains(&format!("left out: blob by http: {reason}")), "{}", stdout(&run));
    let results = place.results();
    assert_eq!(results["left_out"][0]["reason"], reason);
    assert_eq!((&results["distributions"], &results["expectations"]), (&Value::Array(vec![]), &Value::Array(vec![])));
}

#[test]
fn a_torrent_of_a_generated_file_is_written_with_the_file() {
    let place = Place::with(WEB);
    let (torrent, blob) = (place.path().join("x.torrent"), place.path().join("blob"));
    let mut command = run_support::peerbed();
    command.arg("torrent").arg(place.topology()).args(["blob", "--tracker", "http://10.0.0.1/announce"]);
    let written = command.arg("-o").arg(&torrent).arg("--content").arg(&blob).output().unwrap();
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    let bytes = fs::read(&torrent).unwrap();
    assert!(bytes.starts_with(b"d8:announce24:http://10.0.0.1/announce4:infod6:lengthi1048576e4:name4:blob"));
    assert_eq!(fs::metadata(&blob).unwrap().len(), 1 << 20);
    let unknown =
        run_support::peerbed().arg("torrent").arg(place.topology()).args(["blub", "-o", "y"]).output().unwrap();
    assert_eq!(code(&unknown), 2);
    assert!(stderr(&unknown).contains("has no file `blub` (did you mean `blob`?)"), "{}", stderr(&unknown));
}

fn has(program: &str) -> bool {
    tools::find(&[program], program).is_some()
}

const HEAD: &str = "version: 1\nname: programs\nlinks:\n  fast: { up: 20mbit, down: 20mbit }\ngroups:\n";
const FILES: &str = "files:\n  blob: { size: 64KiB, piece: 64KiB }\n";

/// A web server and two clients on links of 20 Mbit/s.
const WEB: &str = "\
version: 1
name: web
links:
  fast: { up: 20mbit, down: 20mbit }
groups:
  server:
    link: fast
    exec:
      command: sh
      arguments: [-c, 'cp {file.blob} . && exec python3 -m http.server 8000']
      ready: { tcp: 8000 }
  home:
    count: 2
    link: fast
    present: false
    exec: { name: http, command: curl, arguments: [-sS, -o, blob, \"http://server:8000/blob\"], complete: exit }
files:
  blob: { size: 1MiB, piece: 256KiB }
scenario:
  - distribute: { file: blob, from: server, to: home, via: client-server }
  - pause: { peers: server }
  - resume: { peers: server }
  - leave: { peers: server }
expect:
  - distribution.blob.ratio <= 20
";
