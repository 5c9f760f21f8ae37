//! Links that change while the network is there, and partitions, on both engines, without processes.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod change_support;
mod fit_host;
mod real_support;

use std::time::{Duration, Instant};

use change_support::{PATIENCE, arrives, build, change, engines, partition, sockets, step};
use fit_host::measure_async;
use peerbed_orchestrator::{
    links::{Engine, traces::Move},
    plan::{Changes, CutDirection, Direction, LinkChange, LinkState, NewRate, Queue, Trace, TracePoint},
    real::{Supervisor, Towards},
    units::{Rate, Size, Span},
};
use peerbed_proto::id::PeerId;
use real_support::{direction, link, output, plan};

#[tokio::test]
async fn a_partition_loses_what_crosses_it_counts_it_and_heals() {
    for engine in engines() {
        let supervisor = build(&plan(vec![link("open", direction(None), direction(None))], 5), engine).await;
        supervisor.cut(&partition("split", &[&[1, 2], &[3, 4]], CutDirection::Both)).await.unwrap();
        for (from, to) in [(1, 3), (3, 1), (2, 4), (4, 2)] {
            assert!(!arrives(&supervisor, from, to).await, "{engine}: {from} to {to}");
        }
        for (from, to) in [(1, 2), (3, 4), (1, 5), (5, 4)] {
            assert!(arrives(&supervisor, from, to).await, "{engine}: {from} to {to}");
        }
        assert_eq!(supervisor.losses().await.unwrap().partitions["split"], 4, "{engine}");
        supervisor.heal("split").await.unwrap();
        supervisor.heal("split").await.unwrap();
        for (from, to) in [(1, 3), (3, 1)] {
            assert!(arrives(&supervisor, from, to).await, "{engine}: {from} to {to} after the heal");
        }
        assert_eq!(supervisor.losses().await.unwrap().partitions["split"], 4, "{engine}: what was counted stays");
    }
}

#[tokio::test]
async fn a_one_way_partition_lets_the_other_way_through_and_others_stand_beside_it() {
    for engine in engines() {
        let supervisor = build(&plan(vec![link("open", direction(None), direction(None))], 3), engine).await;
        supervisor.cut(&partition("one-way", &[&[1], &[2, 3]], CutDirection::OneWay)).await.unwrap();
        supervisor.cut(&partition("both", &[&[2], &[3]], CutDirection::Both)).await.unwrap();
        let found = reached(&supervisor, 3).await;
        assert_eq!(found, [(2, 1), (3, 1)], "{engine}");
        supervisor.heal("one-way").await.unwrap();
        assert_eq!(reached(&supervisor, 3).await, [(1, 2), (1, 3), (2, 1), (3, 1)], "{engine}");
        let lost = supervisor.losses().await.unwrap().partitions;
        assert_eq!((lost["one-way"], lost["both"]), (2, 4), "{engine}: {lost:?}");
    }
}

#[tokio::test]
async fn a_link_that_is_down_loses_everything_each_way_by_itself() {
    for engine in engines() {
        let supervisor = build(&plan(vec![link("open", direction(None), direction(None))], 3), engine).await;
        let state = |state| Changes { state: Some(state), ..Changes::default() };
        change(&supervisor, &[1], state(LinkState::Down), Changes::default()).await;
        assert_eq!(reached(&supervisor, 3).await, [(2, 1), (2, 3), (3, 1), (3, 2)], "{engine}");
        change(&supervisor, &[1, 2], Changes::default(), state(LinkState::Down)).await;
        assert_eq!(reached(&supervisor, 3).await, [(2, 3)], "{engine}");
        let before = supervisor.losses().await.unwrap().down;
        assert!(before >= 7, "{engine}: {before}");
        change(&supervisor, &[1, 2], state(LinkState::Up), state(LinkState::Up)).await;
        assert_eq!(reached(&supervisor, 3).await.len(), 6, "{engine}");
        assert_eq!(supervisor.losses().await.unwrap().down, before, "{engine}");
    }
}

#[tokio::test]
async fn a_new_rate_is_what_comes_through_and_a_reset_brings_the_old_one_back() {
    for engine in engines() {
        // Room for the whole train.
        let up = Direction { queue: Queue::Packets(100), ..direction(Some(8_000_000)) };
        let down = Direction { queue: Queue::Packets(100), ..direction(None) };
        let mut plan = plan(vec![link("home", up, down)], 2);
        let slower = Changes { rate: Some(NewRate::Limited(Rate(2_000_000))), ..Changes::default() };
        plan.steps = vec![step(&[1], slower, slower)];
        let supervisor = build(&plan, engine).await;
        // 30 packets take 45 ms at 8 Mbit/s and 180 ms at 2 Mbit/s, less the kernel's 4 ms and a packet.
        let seconds = train(&supervisor, 1, 2, 30).await;
        println!("{engine}: 30 packets in {:.1} ms at 8 Mbit/s", seconds * 1e3);
        assert!(seconds > 0.035, "{engine}: {seconds}");
        change(&supervisor, &[1], slower, Changes::default()).await;
        let seconds = train(&supervisor, 1, 2, 30).await;
        println!("{engine}: 30 packets in {:.1} ms at 2 Mbit/s", seconds * 1e3);
        assert!(seconds > 0.155, "{engine}: {seconds}");
        change(&supervisor, &[2], Changes::default(), slower).await;
        let both = Changes { rate: Some(NewRate::Unshaped), ..Changes::default() };
        change(&supervisor, &[1], both, Changes::default()).await;
        let seconds = train(&supervisor, 1, 2, 30).await;
        assert!(seconds > 0.155, "{engine}, at the receiver's link: {seconds}");
        let reset =
            LinkChange { peers: vec![PeerId(2)], reset: true, up: Changes::default(), down: Changes::default() };
        assert_eq!(supervisor.change_links(&[reset]).await.unwrap(), 2);
        if engine == Engine::Kernel {
            let shown = output(&supervisor, 1, &["tc", "qdisc", "show", "dev", "eth0"]).await;
            assert!(shown.starts_with("qdisc tbf 1: root"), "{shown}");
        }
    }
}

#[tokio::test]
async fn three_hundred_links_are_changed_and_cut_off_in_a_fraction_of_a_second() {
    for engine in engines() {
        let slower = Changes { rate: Some(NewRate::Limited(Rate(1_000_000))), ..Changes::default() };
        let mut plan = plan(vec![link("home", direction(Some(2_000_000)), direction(Some(20_000_000)))], 300);
        let everybody: Vec<u32> = (1..=300).collect();
        plan.steps = vec![step(&everybody, slower, slower)];
        let supervisor = build(&plan, engine).await;
        let (even, odd): (Vec<u32>, Vec<u32>) = everybody.iter().partition(|peer| **peer % 2 == 0);
        let quickly = async || {
            let began = Instant::now();
            change(&supervisor, &everybody, slower, slower).await;
            let changed = began.elapsed();
            // Nobody has a neighbour on the own side: as many rules as there can be.
            supervisor.cut(&partition("odds", &[&even, &odd], CutDirection::Both)).await.unwrap();
            let cut = began.elapsed() - changed;
            assert!(!arrives(&supervisor, 1, 300).await && arrives(&supervisor, 2, 300).await, "{engine}");
            let before = began.elapsed();
            supervisor.heal("odds").await.unwrap();
            let healed = began.elapsed() - before;
            assert!(arrives(&supervisor, 1, 300).await, "{engine}");
            let took = format!("changed and read back in {changed:.2?}, cut in {cut:.2?}, healed in {healed:.2?}");
            println!("{engine}: 600 directions {took}");
            // An idle host takes a tenth of this.
            if changed < SOON && cut + healed < SOON { Ok(()) } else { Err(took) }
        };
        measure_async(&format!("changing links by {engine}"), quickly).await;
    }
}

#[tokio::test]
async fn packets_that_waited_through_an_outage_come_when_the_rate_is_back() {
    for engine in engines() {
        measure_async(&format!("an outage by {engine}"), async || {
            let took = outlast_an_outage(engine).await;
            println!("{engine}: the others {took:?} after the outage");
            if took < Duration::from_secs(2) { Ok(()) } else { Err(format!("{took:?}")) }
        })
        .await;
    }
}

/// How long after an outage of a link the last of the packets arrives that were sent during it.
async fn outlast_an_outage(engine: Engine) -> Duration {
    let trace = Trace { repeat: None, points: vec![point(0, 0)] };
    let queue = Queue::Bytes(Size(100_000));
    let up = Direction { trace: Some(trace), queue, ..direction(Some(8_000_000)) };
    let supervisor = build(&plan(vec![link("radio", up, direction(None))], 2), engine).await;
    follow(&supervisor, Some(point(0, 0))).await;
    let (from, to) = sockets(&supervisor, 1, 2).await;
    let send = |number: u8| from.send_to(&[number; 1_000], to.local_addr().unwrap()).unwrap();
    (0..10).for_each(|number| _ = send(number));
    to.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut buffer = [0; 2_000];
    // The kernel's bucket is full at a change and lets a packet or so go.
    let mut early = 0;
    while to.recv(&mut buffer).is_ok() {
        early += 1;
    }
    assert!(early <= 2, "{engine}: {early} packets during the outage");
    let began = Instant::now();
    follow(&supervisor, Some(point(0, 8_000_000))).await;
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in early..10 {
        to.recv(&mut buffer).unwrap();
    }
    began.elapsed()
}

fn point(at: u64, rate: u64) -> TracePoint {
    TracePoint { at: Span(Duration::from_millis(at)), rate: Rate(rate), delay: None, loss: None }
}

async fn follow(supervisor: &Supervisor, point: Option<TracePoint>) {
    supervisor
        .follow(vec![Move { class: "radio".into(), peers: vec![PeerId(1)], towards: Towards::Core, point }])
        .await
        .unwrap();
}

/// The ordered pairs among so many peers between which a datagram arrives.
async fn reached(supervisor: &Supervisor, peers: u32) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (from, to) in (1..=peers).flat_map(|from| (1..=peers).map(move |to| (from, to))).filter(|(a, b)| a != b) {
        if arrives(supervisor, from, to).await {
            found.push((from, to));
        }
    }
    found
}

/// Seconds from the sending of a train of so many full packets to the arrival of the last: a late host makes them more.
async fn train(supervisor: &Supervisor, from: u32, to: u32, count: u32) -> f64 {
    let (from, to) = sockets(supervisor, from, to).await;
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    let target = to.local_addr().unwrap();
    let began = Instant::now();
    let sender = std::thread::spawn(move || (0..count).for_each(|_| _ = from.send_to(&[0; 1_472], target).unwrap()));
    (0..count).for_each(|_| _ = to.recv(&mut [0; 2_000]).unwrap());
    sender.join().unwrap();
    began.elapsed().as_secs_f64()
}

/// Soon enough for a change or a cut of 300 links.
const SOON: Duration = Duration::from_secs(4);
