//! The first packet between two peers takes one round trip, not two: nobody has to ask first who has an address.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod change_support;
mod fit_host;
mod real_support;

use std::time::{Duration, Instant};

use change_support::{PATIENCE, build, engines, sockets};
use fit_host::measure_async;
use peerbed_orchestrator::{
    links::Engine,
    plan::Direction,
    real::{Supervisor, features::Feature},
    units::Span,
};
use real_support::{direction, has, is_guest, link, output, plan};

#[tokio::test]
async fn the_first_round_trip_between_two_peers_takes_one_delay_each_way() {
    for engine in engines() {
        if engine == Engine::Kernel && !has(&[Feature::Netem]) {
            continue;
        }
        // 200 ms there and back; who asked for an address first would need 400 ms.
        let slow = Direction { delay: Span(Duration::from_millis(50)), ..direction(None) };
        let plan = plan(vec![link("far", slow.clone(), slow)], 2);
        measure_async(&format!("first round trips by {engine}"), async || {
            let supervisor = build(&plan, engine).await;
            let trips = [round_trip(&supervisor).await, round_trip(&supervisor).await];
            println!("{engine}: first and second {trips:?}, asked 200 ms");
            assert!(trips.iter().all(|trip| trip.as_secs_f64() >= 0.199), "{engine}: {trips:?}");
            if trips.iter().all(|trip| trip.as_secs_f64() < 0.3) { Ok(()) } else { Err(format!("{trips:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn the_first_round_trip_is_one_packet_each_way_and_no_other() {
    for engine in engines() {
        let supervisor = build(&plan(vec![link("near", direction(None), direction(None))], 2), engine).await;
        assert_eq!(packets(&supervisor).await, (0, 0), "{engine}: before the first");
        round_trip(&supervisor).await;
        assert_eq!(packets(&supervisor).await, (1, 1), "{engine}: received and sent by the first peer");
    }
}

/// The kernel wakes a device on which both ends have come up when it gets round to it, which takes up to a second where
/// there are hundreds, and loses without a word what is sent before.
#[tokio::test]
async fn what_is_sent_as_soon_as_there_is_a_network_comes_through() {
    for engine in engines() {
        let links = || vec![link("open", direction(None), direction(None))];
        let many = plan(links(), if is_guest() { 30 } else { 300 });
        let beside = tokio::spawn(async move {
            loop {
                drop(build(&many, engine).await);
            }
        });
        for round in 0..100 {
            let supervisor = build(&plan(links(), 2), engine).await;
            let (from, to) = sockets(&supervisor, 1, 2).await;
            to.set_read_timeout(Some(PATIENCE)).unwrap();
            from.send_to(b"x", to.local_addr().unwrap()).unwrap();
            let came = to.recv(&mut [0; 8]);
            assert!(came.is_ok(), "{engine}, round {round}: the first datagram was lost: {came:?}");
        }
        beside.abort();
    }
}

/// A datagram from peer 1 to peer 2 and back.
async fn round_trip(supervisor: &Supervisor) -> Duration {
    let (near, far) = sockets(supervisor, 1, 2).await;
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let began = Instant::now();
    near.send_to(b"there", far.local_addr().unwrap()).unwrap();
    let (_, from) = far.recv_from(&mut [0; 8]).unwrap();
    far.send_to(b"back", from).unwrap();
    near.recv_from(&mut [0; 8]).unwrap();
    began.elapsed()
}

/// Packets, or frames, that the first peer's link has received and sent.
async fn packets(supervisor: &Supervisor) -> (u64, u64) {
    let statistics = output(supervisor, 1, &["cat", "/proc/thread-self/net/dev"]).await;
    let line = statistics.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    let figures: Vec<u64> = line.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    (figures[1], figures[9])
}
