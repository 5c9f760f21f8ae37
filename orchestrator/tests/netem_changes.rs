//! Links with delay and loss that change while the network is there, and partitions between regions, by the kernel engine
//! where the kernel has netem.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests tell what they measured, and fail where they stand"
)]

mod change_support;
mod fit_host;
mod real_support;

use std::time::{Duration, Instant};

use change_support::{PATIENCE, arrives, build, change, partition, sockets, step};
use fit_host::measure_async;
use peerbed_orchestrator::{
    links::Engine,
    plan::{Changes, CutDirection, Direction, Discipline, Jitter, Latency, LinkChange, Loss, NewRate, Order, Shape},
    real::{Supervisor, features::Feature},
    units::{Rate, Share, Span},
};
use peerbed_proto::id::PeerId;
use real_support::{
    direction, has, is_guest, link, output, plan,
    probe::{datagrams, play_role, round_trips},
};

#[tokio::test]
async fn a_new_delay_and_loss_are_what_packets_meet_until_the_reset() {
    if !has(&[Feature::Netem]) {
        return;
    }
    let up = Changes { delay: Some(ms(60)), loss: Some(Loss { average: Share(200_000_000), burst: 1 }), ..none() };
    let mut plan = plan(vec![link("home", direction(None), direction(None))], 2);
    plan.steps = vec![step(&[1], up, none())];
    let supervisor = build(&plan, Engine::Kernel).await;
    let chain = output(&supervisor, 1, &["tc", "qdisc", "show", "dev", "eth0"]).await;
    assert!(chain.contains("netem 2: parent 1:1"), "made with all it will need: {chain}");
    let slack = if is_guest() { 15.0 } else { 5.0 };

    measure_async("a changed link", async || {
        let before = fastest(&supervisor).await;
        change(&supervisor, &[1], up, none()).await;
        let during = fastest(&supervisor).await;
        let lossy = datagrams(&supervisor, 1, 2, 1_000, Duration::from_millis(1)).await.len();
        reset(&supervisor, 1).await;
        let after = fastest(&supervisor).await;
        let arrived = datagrams(&supervisor, 1, 2, 200, Duration::from_millis(1)).await.len();
        let words = format!(
            "round trip {before:.2} ms, with 60 ms more {during:.2} ms, after that {after:.2} ms; {lossy} of 1000 arrived \
             with 20 % of loss"
        );
        println!("{words}");
        assert!(during >= 60.0 && arrived == 200, "{words}; {arrived} of 200 without");
        // 3.3 standard deviations of 12.6 on both sides.
        let is_right = during < 60.0 + before + slack && after < before + slack && (758..=842).contains(&lossy);
        if is_right { Ok(()) } else { Err(words) }
    })
    .await;
}

#[tokio::test]
async fn every_figure_can_be_changed_and_is_read_back() {
    if !has(&[Feature::Netem, Feature::CoDel]) {
        return;
    }
    let share = Some(Share(20_000_000));
    let jitter = |shape, order| Some(Jitter { amount: ms(3), shape, order });
    let codel = Some(Discipline::CoDel { target: ms(5), interval: ms(100) });
    let class = Direction { delay: ms(10), ..direction(Some(4_000_000)) };
    let steps = [
        Changes { delay: Some(ms(25)), corrupt: share, duplicate: share, reorder: share, ..none() },
        Changes { corrupt: Some(Share(0)), reorder: Some(Share(0)), ..none() },
        Changes { jitter: jitter(Shape::Normal, Order::Kept), ..none() },
        Changes { jitter: jitter(Shape::Uniform, Order::Free), ..none() },
        Changes { loss: Some(Loss { average: Share(10_000_000), burst: 4 }), ..none() },
        Changes { loss: Some(Loss { average: Share(0), burst: 1 }), overhead: Some(38), ..none() },
        Changes { discipline: codel, rate: Some(NewRate::Limited(Rate(2_000_000))), ..none() },
        Changes { discipline: Some(Discipline::DropTail), rate: Some(NewRate::Unshaped), ..none() },
        Changes { rate: Some(NewRate::Limited(Rate(64_000))), ..none() },
    ];
    let mut plan = plan(vec![link("home", class.clone(), class)], 2);
    plan.steps = steps.iter().map(|changes| step(&[1, 2], *changes, *changes)).collect();
    let supervisor = build(&plan, Engine::Kernel).await;
    for changes in steps {
        // Each fails where what is read back is not what was asked for.
        change(&supervisor, &[1, 2], changes, changes).await;
    }
    reset(&supervisor, 1).await;
    reset(&supervisor, 2).await;
    let differences: Vec<_> =
        supervisor.read_back(&plan).await.unwrap().into_iter().flat_map(|end| end.differences).collect();
    let others: Vec<_> = differences.iter().filter(|difference| !difference.what.starts_with("seed")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn packets_on_their_way_outlive_a_change() {
    if !has(&[Feature::Netem]) {
        return;
    }
    let slow = Direction { delay: ms(300), ..direction(Some(8_000_000)) };
    let faster = Changes { delay: Some(ms(20)), rate: Some(NewRate::Limited(Rate(4_000_000))), ..none() };
    let mut plan = plan(vec![link("home", slow, direction(None))], 2);
    plan.steps = vec![step(&[1], faster, none())];
    let supervisor = build(&plan, Engine::Kernel).await;
    let (from, to) = sockets(&supervisor, 1, 2).await;
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    let began = Instant::now();
    (0..20).for_each(|_| _ = from.send_to(&[0; 200], to.local_addr().unwrap()).unwrap());
    change(&supervisor, &[1], faster, none()).await;
    (0..20).for_each(|number| _ = to.recv(&mut [0; 300]).unwrap_or_else(|error| panic!("packet {number}: {error}")));
    assert!(
        began.elapsed() >= Duration::from_millis(295),
        "they keep the delay they were given: {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_partition_cuts_between_regions_within_one_and_what_is_on_its_way() {
    if !has(&[Feature::Netem]) {
        return;
    }
    let mut plan = plan(vec![link("open", direction(None), direction(None))], 5);
    let latency = |from: &str, to: &str, delay| Latency { from: from.to_owned(), to: to.to_owned(), delay: ms(delay) };
    plan.latencies = vec![latency("eu", "us", 60), latency("us", "eu", 60), latency("us", "us", 5)];
    for (peer, region) in plan.peers.iter_mut().zip(["eu", "eu", "us", "us"]) {
        peer.region = Some(region.to_owned());
    }
    let supervisor = build(&plan, Engine::Kernel).await;
    let pairs = [(1, 2), (1, 3), (3, 1), (3, 4), (1, 5), (5, 4)];
    assert_eq!(reached(&supervisor, &pairs).await, pairs);

    // On its way over the ocean when the cut comes.
    let (from, to) = sockets(&supervisor, 1, 3).await;
    to.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    from.send_to(b"late", to.local_addr().unwrap()).unwrap();
    supervisor.cut(&partition("p0", &[&[1, 2, 4], &[3]], CutDirection::Both)).await.unwrap();
    assert!(to.recv(&mut [0; 8]).is_err());
    assert_eq!(reached(&supervisor, &pairs).await, [(1, 2), (1, 5), (5, 4)]);
    assert_eq!(supervisor.losses().await.unwrap().partitions["p0"], 4);
    supervisor.heal("p0").await.unwrap();
    assert_eq!(reached(&supervisor, &pairs).await, pairs);
}

#[test]
fn role_of_a_child_process() {
    play_role();
}

async fn reached(supervisor: &Supervisor, pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (from, to) in pairs {
        if arrives(supervisor, *from, *to).await {
            found.push((*from, *to));
        }
    }
    found
}

/// Milliseconds of the fastest of five round trips: the others tell about the host.
async fn fastest(supervisor: &Supervisor) -> f64 {
    round_trips(supervisor, 1, 2, 5).await.into_iter().fold(f64::INFINITY, f64::min)
}

async fn reset(supervisor: &Supervisor, peer: u32) {
    let change = LinkChange { peers: vec![PeerId(peer)], reset: true, up: none(), down: none() };
    supervisor.change_links(&[change]).await.unwrap();
}

fn none() -> Changes {
    Changes::default()
}

fn ms(count: u64) -> Span {
    Span(Duration::from_millis(count))
}
