//! A testbed of real peers: up, told, crashed, back again, gone; and nothing of it left.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod real_support;

use std::{path::Path, time::Duration};

use peerbed_orchestrator::{
    content,
    plan::{self, Action, Distribute, Plan, Step, SwarmRole, Tracker, Via, When},
    run_directory::RunDirectory,
    testbed::{Event, Exit, Options, SetUpError, Testbed, now},
    units::{Size, Span},
};
use peerbed_peer::events::EventKind;
use peerbed_proto::{id::PeerId, swarm};
use real_support::{can_make_namespaces, direction, host_state, link, peer_program, plan};
use tokio::{sync::mpsc, time::timeout};

#[tokio::test]
async fn peers_are_ready_serve_a_file_crash_return_and_leave() {
    let Some(program) = peer_program() else { return };
    if !can_make_namespaces() {
        return;
    }
    let before = host_state();
    let place = tempfile::tempdir().unwrap();
    // A path much longer than the address of a Unix socket.
    let root = place.path().join("a-long-way-down".repeat(8)).join("to-the-run-directory".repeat(5));
    let run = run_directory(&root);
    let plan = swarm_plan();
    let (testbed, mut events) = Testbed::set_up(&plan, &run, &Options::new(program, "/")).await.unwrap();
    let report = testbed.set_up_report();
    println!("{report:?}");
    assert_eq!(testbed.statuses().await.len(), 4);
    assert!(testbed.metrics(PeerId(1)).await.unwrap().contains("# HELP peerbed_"));

    let Action::Distribute(swarm) = &plan.steps[0].action else { panic!() };
    let everybody = ids(1..=4);
    testbed.prepare(swarm, &everybody).await.unwrap();
    testbed.begin("d0", &everybody, now() + 0.05).await.unwrap();
    for _ in 0..3 {
        let event = until(&mut events, |event| {
            matches!(event, Event::Peer { event, .. }
            if matches!(event.kind, EventKind::Completed { .. }))
        })
        .await;
        let Event::Peer { peer, event } = event else { panic!() };
        let EventKind::Completed { path, .. } = event.kind else { panic!() };
        assert!(path.starts_with(run.payload(&format!("peer-{}", peer.0), "d0")), "{path:?}");
        assert_eq!(content::digest(&path).unwrap(), testbed.contents()["release"].sha256);
    }
    testbed.end("d0", &everybody).await.unwrap();

    testbed.crash(&ids(3..=4)).await.unwrap();
    assert!(!testbed.is_up(PeerId(3)) && testbed.is_up(PeerId(2)));
    for _ in 0..2 {
        let exit = until_exit(&mut events).await;
        assert!(exit.expected && exit.peer >= PeerId(3) && exit.log_tail.is_empty(), "{exit:?}");
        assert_eq!(exit.status, "signal 9 (killed)");
    }
    testbed.start(&ids(3..=4)).await.unwrap();
    assert!(testbed.is_up(PeerId(3)) && testbed.is_up(PeerId(4)));

    testbed.leave(&ids(3..=3)).await.unwrap();
    let exit = until_exit(&mut events).await;
    assert_eq!((exit.peer, exit.expected, exit.status.as_str()), (PeerId(3), true, "exit code 0"));
    testbed.tear_down().await.unwrap();
    testbed.tear_down().await.unwrap();
    assert!(testbed.statuses().await.is_empty());
    assert_eq!(host_state(), before);
}

#[tokio::test]
async fn a_peer_that_dies_unasked_is_reported_with_its_last_words() {
    let Some(program) = peer_program() else { return };
    if !can_make_namespaces() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let run = run_directory(place.path());
    let (testbed, mut events) = Testbed::set_up(&swarm_plan(), &run, &Options::new(program, "/")).await.unwrap();
    let victim = processes_in(&run.peer("peer-2")).pop().unwrap();
    rustix_kill(victim);
    let exit = until_exit(&mut events).await;
    assert_eq!((exit.peer, exit.expected), (PeerId(2), false));
    assert_eq!(exit.status, "signal 9 (killed)");
    assert!(!exit.log_tail.is_empty());
    testbed.tear_down().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_come_up_fails_the_set_up_with_its_last_words_and_leaves_nothing() {
    if !can_make_namespaces() {
        return;
    }
    let before = host_state();
    for (script, ready_within, wanted) in [
        ("#!/bin/sh\necho cannot breathe >&2\nexit 5\n", 60, "cannot breathe"),
        ("#!/bin/sh\necho still thinking\nexec sleep 1000\n", 1, "was not ready within 1s"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let program = executable(place.path(), script);
        let run = run_directory(&place.path().join("run"));
        let mut options = Options::new(program, "/");
        options.ready_within = Duration::from_secs(ready_within);
        let error = Testbed::set_up(&swarm_plan(), &run, &options).await.unwrap_err();
        let SetUpError::Failed(_) = &error else { panic!("{error:?}") };
        let text = error.to_string();
        assert!(text.contains(wanted) && text.contains("peer-"), "{text}");
        assert!(processes_in(&run.peer("peer-1")).is_empty());
        assert_eq!(host_state(), before);
    }
}

#[tokio::test]
async fn a_missing_peer_program_is_named_before_anything_is_made() {
    if !can_make_namespaces() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let run = run_directory(place.path());
    let error = Testbed::set_up(&swarm_plan(), &run, &Options::new("/nonexistent/peer", "/")).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot find the peer program /nonexistent/peer"), "{error}");
    assert_eq!(std::fs::read_dir(run.peers()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_plan_that_needs_netem_is_refused_where_the_kernel_has_none() {
    use peerbed_orchestrator::real::features::{Feature, probe};
    if !can_make_namespaces() {
        return;
    }
    if probe(&[Feature::Netem]).unwrap()[0].1.is_none() {
        println!("skipped: this kernel has sch_netem");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let run = run_directory(place.path());
    let mut plan = swarm_plan();
    plan.links[0].up.delay = Span(Duration::from_millis(10));
    let error = Testbed::set_up(&plan, &run, &Options::new("/bin/sh", "/")).await.unwrap_err();
    let SetUpError::Unsupported(missing) = &error else { panic!("{error:?}") };
    assert_eq!(missing.feature, "sch_netem");
    let text = error.to_string();
    assert!(text.starts_with("link `home` (delay) needs sch_netem, which this kernel lacks; "), "{text}");
    assert!(text.contains("CONFIG_NET_SCH_NETEM"), "{text}");
    assert_eq!(std::fs::read_dir(run.peers()).unwrap().count(), 0);
}

/// Peer 1 has the file and tracks; peers 2 to 4 want it.
fn swarm_plan() -> Plan {
    let mut plan = plan(vec![link("home", direction(Some(20_000_000)), direction(Some(20_000_000)))], 4);
    for peer in &mut plan.peers {
        peer.swarm = Some(if peer.id == PeerId(1) { SwarmRole::Seed } else { SwarmRole::Leecher });
    }
    plan.peers[0].tracker = Some(Tracker { interval: Span(Duration::from_secs(5)), answer_max: 50 });
    plan.files = vec![plan::File {
        name: "release".to_owned(),
        content: plan::Content::Generated { size: Size(500_000), seed: 3 },
        piece: Size(64 * 1024),
    }];
    let distribute = Distribute {
        id: "d0".to_owned(),
        name: "release".to_owned(),
        file: "release".to_owned(),
        from: ids(1..=1),
        to: ids(2..=4),
        via: Via::Swarm,
        tracker: Some(PeerId(1)),
        options: Some(swarm::Options::default()),
        program: None,
        exceptions: Vec::new(),
    };
    plan.steps = vec![Step { when: When::At(Span::default()), action: Action::Distribute(Box::new(distribute)) }];
    plan
}

fn ids(range: std::ops::RangeInclusive<u32>) -> Vec<PeerId> {
    range.map(PeerId).collect()
}

fn run_directory(root: &Path) -> RunDirectory {
    let run = RunDirectory::create(root).unwrap();
    run.create_places().unwrap();
    run
}

fn executable(place: &Path, script: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = place.join("peer.sh");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Processes that work in this directory.
fn processes_in(directory: &Path) -> Vec<u32> {
    let numbers = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == directory)).collect()
}

fn rustix_kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// The next event that is wanted; others are passed over.
async fn until(events: &mut mpsc::Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    let search = async {
        loop {
            let event = events.recv().await.expect("the testbed reports until it is dropped");
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(Duration::from_secs(120), search).await.expect("the event came within two minutes")
}

async fn until_exit(events: &mut mpsc::Receiver<Event>) -> Exit {
    match until(events, |event| matches!(event, Event::Exit(_))).await {
        Event::Exit(exit) => exit,
        Event::Peer { .. } | Event::Completed { .. } => panic!("not an exit"),
    }
}
