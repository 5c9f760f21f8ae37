//! The network of a plan by the user engine: everybody reaches everybody, nothing is left of it, and it is made quickly.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod fit_host;
mod real_support;

use std::time::{Duration, Instant};

use fit_host::measure_async;
use peerbed_orchestrator::{
    links::Engine,
    plan::Plan,
    real::{
        Supervisor,
        features::{Feature, probe},
    },
    units::{Rate, Span},
};
use real_support::{address, assert_reachable, direction, host_state, link, output, plan};

#[tokio::test]
async fn every_peer_reaches_every_other_and_is_counted() {
    if !can_carry() {
        return;
    }
    let mut shaped = direction(Some(20_000_000));
    shaped.delay = Span(Duration::from_millis(5));
    let links = vec![link("shaped", shaped.clone(), shaped), link("open", direction(None), direction(None))];
    let supervisor = build(&plan(links, 6)).await;
    for (from, to) in [(1, 2), (2, 1), (1, 3), (4, 6), (6, 5)] {
        assert_reachable(&supervisor, from, to).await;
    }
    let routes = output(&supervisor, 1, &["ip", "route", "show"]).await;
    assert_eq!(routes.trim(), "default dev eth0 proto static scope link");
    let counters = supervisor.link_counters().await.unwrap().unwrap();
    // From 1 to 2 and to 3, and the answer to 2: one small packet each.
    assert_eq!((counters.links[0].up.left.packets, counters.links[0].down.left.packets), (3, 3));
    assert_eq!(counters.refused.unknown, 0);
}

#[tokio::test]
async fn the_host_keeps_nothing_of_it() {
    if !can_carry() {
        return;
    }
    let before = host_state();
    let supervisor = build(&plan(vec![link("open", direction(None), direction(None))], 5)).await;
    assert_reachable(&supervisor, 1, 5).await;
    assert_eq!(host_state(), before, "nothing of it is seen from outside");
    drop(supervisor);
    assert_eq!(host_state(), before);
}

#[tokio::test]
async fn three_hundred_peers_are_there_in_seconds() {
    if !can_carry() {
        return;
    }
    let plan = plan(vec![link("home", direction(Some(2_000_000)), direction(Some(20_000_000)))], 300);
    measure_async("a network of 300 peers", async || {
        let began = Instant::now();
        let supervisor = build(&plan).await;
        let up = began.elapsed();
        assert_reachable(&supervisor, 1, 300).await;
        let began = Instant::now();
        drop(supervisor);
        println!("300 peers: {up:.2?} up, {:.2?} down", began.elapsed());
        // On an idle host of two cores about 0.2 s; most of the allowance is for hosts that do something else as well.
        if up < Duration::from_secs(4) { Ok(()) } else { Err(format!("{up:.2?} up")) }
    })
    .await;
}

#[tokio::test]
async fn what_a_device_holds_for_the_engine_is_enough_for_a_burst() {
    if !can_carry() {
        return;
    }
    let mut slow = direction(None);
    slow.rate = Some(Rate(1_000_000_000));
    let supervisor = build(&plan(vec![link("fast", slow.clone(), slow)], 2)).await;
    let shown = output(&supervisor, 1, &["ip", "link", "show", "eth0"]).await;
    assert!(shown.contains("qlen 1000") && shown.contains("mtu 1500"), "{shown}");
    let target = format!("/dev/udp/{}/9", address(2));
    let script = format!("for n in {{1..500}}; do echo $n; done > {target}");
    output(&supervisor, 1, &["bash", "-c", &script]).await;
    let statistics = output(&supervisor, 1, &["cat", "/proc/thread-self/net/dev"]).await;
    let line = statistics.lines().find(|line| line.trim().starts_with("eth0:")).unwrap();
    assert_eq!(line.split_whitespace().nth(12), Some("0"), "packets dropped on their way to the engine: {statistics}");
}

fn can_carry() -> bool {
    match probe(&[Feature::Tun]) {
        Ok(found) => match &found[0].1 {
            None => true,
            Some(words) => {
                println!("skipped: no TUN devices here ({words})");
                false
            }
        },
        Err(error) => {
            println!("skipped: no network namespace can be made here ({error}); run as root");
            false
        }
    }
}

async fn build(plan: &Plan) -> Supervisor {
    let supervisor = Supervisor::start().unwrap();
    supervisor.build(plan, Engine::User).await.unwrap();
    supervisor
}
