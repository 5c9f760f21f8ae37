//! What shapes links is read back and compared with the plan; what somebody changed behind our back is found.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "tests tell what they skip, and fail where they stand")]

mod real_support;

use std::time::Duration;

use peerbed_orchestrator::{
    links::kernel::compare::Setting,
    plan::{Direction, Discipline, Jitter, Latency, Loss, Order, Queue, Shape},
    real::{Towards, features::Feature},
    units::{Share, Span},
};
use peerbed_proto::id::PeerId;
use real_support::{build, can_make_namespaces, direction, has, link, output, plan};

#[tokio::test]
async fn rates_are_read_back_on_any_kernel_and_a_change_is_found() {
    if !can_make_namespaces() {
        return;
    }
    let wide = Direction { overhead: 38, queue: Queue::Packets(100), ..direction(Some(40_000_000_000)) };
    let plan =
        plan(vec![link("slow", direction(Some(256_000)), wide), link("open", direction(None), direction(None))], 3);
    let supervisor = build(&plan).await;
    let ends = supervisor.read_back(&plan).await.unwrap();
    assert_eq!(ends.len(), 6);
    for end in &ends {
        assert!(end.differences.is_empty(), "{}: {}", end.place, end.differences[0]);
    }
    assert_eq!(ends[0].direction, Some((PeerId(1), Towards::Core)));

    output(
        &supervisor,
        3,
        &["tc", "qdisc", "change", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "5kb", "limit", "9k"],
    )
    .await;
    output(&supervisor, 2, &["tc", "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "pfifo"]).await;
    let ends = supervisor.read_back(&plan).await.unwrap();
    let differences = |place: usize| ends[place].differences.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(differences(4).contains(&"rate of tbf 1:: asked 32000, found 125000".to_owned()), "{:?}", differences(4));
    assert_eq!(differences(2), ["discipline 1:: asked absent, found pfifo"]);
    assert!(differences(0).is_empty() && differences(1).is_empty() && differences(5).is_empty());

    output(&supervisor, 1, &["tc", "qdisc", "del", "dev", "eth0", "root"]).await;
    let ends = supervisor.read_back(&plan).await.unwrap();
    assert_eq!(ends[0].differences[0].to_string(), "tbf 1:: asked present, found absent");
}

#[tokio::test]
async fn everything_netem_and_codel_can_do_is_read_back() {
    if !has(&[Feature::Netem, Feature::CoDel]) {
        return;
    }
    let share = Share(20_000_000);
    let jitter = |shape, order| Jitter { amount: span(5), shape, order };
    let bursty = Direction {
        delay: span(20),
        jitter: jitter(Shape::Uniform, Order::Free),
        loss: Loss { average: share, burst: 8 },
        reorder: share,
        duplicate: share,
        corrupt: share,
        ..direction(Some(8_000_000))
    };
    let codel = Discipline::CoDel { target: span(5), interval: span(100) };
    let smooth = Direction {
        delay: span(2_000),
        jitter: jitter(Shape::Pareto, Order::Kept),
        loss: Loss { average: share, burst: 1 },
        discipline: codel,
        overhead: 26,
        ..direction(Some(8_000_000))
    };
    let mut plan = plan(vec![link("one", bursty.clone(), smooth.clone()), link("two", smooth, bursty)], 4);
    plan.latencies = vec![latency("eu", "us", 40), latency("us", "eu", 45), latency("us", "us", 3)];
    for (peer, region) in plan.peers.iter_mut().zip(["eu", "us", "us"]) {
        peer.region = Some(region.to_owned());
    }
    let supervisor = build(&plan).await;
    let ends = supervisor.read_back(&plan).await.unwrap();
    for end in &ends {
        assert!(end.differences.is_empty(), "{}: {}", end.place, end.differences[0]);
    }
    let delays: Vec<i64> = ends
        .iter()
        .filter(|end| end.direction.is_none())
        .flat_map(|end| &end.found)
        .filter_map(|found| match &found.setting {
            Setting::Netem(netem) => Some(netem.delay / 1_000_000),
            Setting::Bucket { .. } | Setting::CoDel { .. } | Setting::Other(_) => None,
        })
        .collect();
    assert_eq!(delays.len(), 3, "{delays:?}");
    let seeded =
        ends.iter().flat_map(|end| &end.found).any(|f| matches!(&f.setting, Setting::Netem(n) if n.seed.is_some()));
    println!("this kernel {} a seed for netem", if seeded { "takes" } else { "does not take" });

    output(
        &supervisor,
        1,
        &[
            "tc", "qdisc", "change", "dev", "eth0", "parent", "1:1", "handle", "2:", "netem", "delay", "21ms", "loss",
            "3%",
        ],
    )
    .await;
    let ends = supervisor.read_back(&plan).await.unwrap();
    let differences: Vec<String> = ends[0].differences.iter().map(ToString::to_string).collect();
    assert!(
        differences.contains(&"delay of netem 2: in ns: asked 20000000, found 21000000".to_owned()),
        "{differences:?}"
    );
    assert!(differences.iter().any(|d| d.starts_with("bursts of netem 2:: asked Some(")), "{differences:?}");
}

fn latency(from: &str, to: &str, ms: u64) -> Latency {
    Latency { from: from.into(), to: to.into(), delay: span(ms) }
}

fn span(ms: u64) -> Span {
    Span(Duration::from_millis(ms))
}
