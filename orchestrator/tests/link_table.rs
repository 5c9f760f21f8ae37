//! The table of measured links: each of `link_settings` as asked and as found, by echoes, floods, datagrams and iperf3.
//!
//! Run by `make links`, which names a directory in PEERBED_TABLE; every row is written there when it has been measured.
//! Names in PEERBED_ROWS, with commas between them, are the only rows then. Without PEERBED_TABLE, three of the rows are
//! measured and nothing is written.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod fit_host;
mod link_settings;
mod real_support;

use std::{fs::OpenOptions, io::Write, path::Path, time::Duration};

use fit_host::measure_async;
use link_settings::{HEADER, Measured, Setting, Tolerance, settings};
use peerbed_orchestrator::{
    links::Engine,
    plan::{Latency, Plan},
    real::{Supervisor, features::Feature},
    units::Span,
};
use real_support::{
    build_with, direction, has, is_guest, is_installed, link, plan,
    probe::{datagrams, flood, iperf3_tcp, iperf3_udp, ping, round_trips},
};

#[tokio::test]
async fn links_of_the_kernel_engine_are_what_was_asked_for() {
    if has(&[Feature::Netem]) && is_installed("iperf3") && is_installed("ping") {
        measure_all(Engine::Kernel).await;
    }
}

#[tokio::test]
async fn links_of_the_user_engine_are_what_was_asked_for() {
    // A guest's one processor has enough to do with the kernel's engine.
    if !is_guest() && has(&[Feature::Tun]) && is_installed("iperf3") && is_installed("ping") {
        measure_all(Engine::User).await;
    }
}

/// Measures the rows one after the other, and fails when one is out of tolerance.
async fn measure_all(engine: Engine) {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    let place = std::env::var_os("PEERBED_TABLE");
    let rows = std::env::var("PEERBED_ROWS").unwrap_or_else(|_| ALL.to_owned());
    let is_wanted = |name: &str| rows == ALL || rows.split(',').any(|row| row == name);
    let mut faults = Vec::new();
    print!("{HEADER}");
    for setting in settings().iter().filter(|setting| match place {
        Some(_) => is_wanted(setting.name),
        None => FEW.contains(&setting.name),
    }) {
        let Some(place) = &place else {
            check(setting, engine).await;
            continue;
        };
        let measured = measure_patiently(setting, engine).await;
        let row = setting.row(&name(engine), &measured, tolerance());
        println!("{row}");
        faults.extend(
            setting.faults(&measured, tolerance()).into_iter().map(|fault| format!("{}: {fault}", setting.name)),
        );
        let path = Path::new(place).join(format!("{engine}.md"));
        writeln!(OpenOptions::new().append(true).create(true).open(path).unwrap(), "{row}").unwrap();
    }
    assert!(faults.is_empty(), "out of tolerance:\n{}", faults.join("\n"));
}

/// Measures a row until it is within tolerance; what a late host spoils is left out.
async fn check(setting: &Setting, engine: Engine) {
    measure_async(&format!("the row {} of {}", setting.name, name(engine)), async || {
        let measured = measure(setting, engine).await;
        let faults = setting.faults(&measured, tolerance());
        println!("{}", setting.row(&name(engine), &measured, tolerance()));
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    })
    .await;
}

/// A host that does other things for milliseconds spoils a measurement, but not three in a row.
async fn measure_patiently(setting: &Setting, engine: Engine) -> Measured {
    let mut measured = measure(setting, engine).await;
    for _ in 0..2 {
        let faults = setting.faults(&measured, tolerance());
        if faults.is_empty() {
            break;
        }
        println!("again: {}: {}", setting.name, faults.join("; "));
        measured = measure(setting, engine).await;
    }
    measured
}

/// Not a test: what this program does when the test above has started it again with a role.
#[test]
fn role_of_a_child_process() {
    real_support::probe::play_role();
}

async fn measure(setting: &Setting, engine: Engine) -> Measured {
    let plan = plan_of(setting);
    let supervisor = build_with(&plan, engine).await;
    let rate = setting.direction.rate.unwrap().0;
    let is_far = setting.trip() > 400.0;

    let trips = round_trips(&supervisor, 1, 2, if is_far { 6 } else { 15 }).await;
    let ping = ping(&supervisor, 1, 2, if is_far { 6 } else { 15 }).await;
    // Datagrams for a useful interval, within the time that a row may take: at half the rate, so that no queue grows,
    // and at most a thousand a second.
    let sent = if rate < 1_000_000 { 600 } else { 4_000 };
    let spacing = Duration::from_secs_f64((128.0 * 8.0 * 2.0 / rate as f64).max(0.001));
    let arrived = datagrams(&supervisor, 1, 2, sent, spacing).await.len();

    let dropped_before = dropped_by_the_queue(&supervisor, &plan).await;
    let udp = flood(&supervisor, 1, 2, rate, 3.0).await;
    let dropped = dropped_by_the_queue(&supervisor, &plan).await;
    let by_iperf3 = iperf3_udp(&supervisor, 1, 2, rate, 3.0).await;
    // TCP's windows reach a megabyte or two here, and slow starts take many round trips.
    let tcp = if is_far { None } else { Some(iperf3_tcp(&supervisor, 1, 2, 2, 3).await) };
    Measured {
        trip: trips.into_iter().fold(f64::INFINITY, f64::min),
        ping,
        udp,
        iperf3_udp: by_iperf3,
        saturated: dropped_before < dropped,
        tcp,
        sent,
        lost: sent - u32::try_from(arrived).unwrap(),
    }
}

/// Packets that the rate's queue of the upward direction has dropped: that of the last discipline, with the kernel engine.
async fn dropped_by_the_queue(supervisor: &Supervisor, plan: &Plan) -> u64 {
    if let Some(counters) = supervisor.link_counters().await.unwrap() {
        return counters.links[0].up.dropped_queue;
    }
    let up = supervisor.read_back(plan).await.unwrap().swap_remove(0);
    assert!(up.differences.is_empty(), "{}", up.differences[0]);
    let last = u32::try_from(up.asked.chain.len()).unwrap() << 16;
    up.found.iter().find(|found| found.handle == last).unwrap().counts.drops
}

fn name(engine: Engine) -> String {
    if is_guest() { format!("{engine} (guest)") } else { engine.to_string() }
}

/// The table is measured on a host that does nothing else. Tests run where others work too: a bucket makes up for timers
/// that are up to 4 ms late, and those of a guest are later when its host is busy, which costs rate and nothing else.
fn tolerance() -> Tolerance {
    let slow = if is_guest() && std::env::var_os("PEERBED_TABLE").is_none() { 0.25 } else { 0.03 };
    // In a guest every call of the kernel takes some tenths of a millisecond.
    Tolerance { late: if is_guest() { 1.5 } else { 0.3 }, slow }
}

fn plan_of(setting: &Setting) -> Plan {
    let links = vec![
        link("asked", setting.direction.clone(), setting.direction.clone()),
        link("open", direction(None), direction(None)),
    ];
    let mut plan = plan(links, 2);
    if !setting.region.is_zero() {
        let way = |from: &str, to: &str| Latency { from: from.into(), to: to.into(), delay: Span(setting.region) };
        plan.latencies = vec![way("here", "there"), way("there", "here")];
        for (peer, region) in plan.peers.iter_mut().zip(["here", "there"]) {
            peer.region = Some(region.to_owned());
        }
    }
    plan
}

/// Slow and lossy, bursty: enough for every run of the tests.
const FEW: [&str; 3] = ["slow and far", "home up", "bursty losses"];

/// All rows.
const ALL: &str = "";
