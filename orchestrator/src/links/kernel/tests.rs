//! What chains directions become.

use super::*;
use crate::{
    plan::{Discipline, Jitter, Loss, Order, Queue, Shape},
    units::{Rate, Share, Size, Span},
};

fn direction(rate: Option<u64>) -> Direction {
    Direction {
        rate: rate.map(Rate),
        overhead: 0,
        delay: Span::default(),
        jitter: Jitter::default(),
        loss: Loss { average: Share(0), burst: 1 },
        reorder: Share(0),
        duplicate: Share(0),
        corrupt: Share(0),
        queue: Queue::Time(Span(Duration::from_millis(50))),
        discipline: Discipline::DropTail,
        trace: None,
    }
}

#[test]
fn a_rate_is_a_bucket_with_its_queue() {
    let tc = read(&direction(Some(2_000_000)), 1);
    // 250 kB/s: 1 000 bytes in 4 ms and a frame, 12 500 bytes in 50 ms.
    assert_eq!(tc.chain, [Qdisc::Bucket { rate: 250_000, burst: 2_514, limit: 12_500 }]);
}

#[test]
fn nothing_asked_is_nothing_done() {
    assert_eq!(read(&direction(None), 1), Tc::default());
}

#[test]
fn delay_goes_before_the_rate_and_behind_the_cut() {
    let mut asked = direction(Some(8_000_000));
    asked.delay = Span(Duration::from_millis(20));
    let tc = read(&asked, 7);
    assert!(matches!(tc.chain[..], [Qdisc::Cut, Qdisc::Netem(_), Qdisc::Bucket { .. }]), "{tc:?}");
    let Qdisc::Netem(netem) = &tc.chain[1] else { panic!() };
    assert_eq!((netem.delay, netem.seed), (Duration::from_millis(20), 7));
    // 1 MB/s for 1.02 s, and 50 kB of queue, in packets of 256 bytes.
    assert_eq!(netem.limit, 4_179);
}

#[test]
fn bursty_loss_keeps_its_average_and_its_length() {
    let NetemLoss::Bursty { worsen, recover } = loss(Loss { average: Share(10_000_000), burst: 8 }) else {
        panic!("not bursty")
    };
    let (worsen, recover) = (f64::from(worsen) / f64::from(u32::MAX), f64::from(recover) / f64::from(u32::MAX));
    assert!((worsen / (worsen + recover) - 0.01).abs() < 1e-6);
    assert!((1.0 / recover - 8.0).abs() < 1e-6);
    assert_eq!(loss(Loss { average: Share(500_000_000), burst: 1 }), NetemLoss::Independent(2_147_483_648));
}

#[test]
fn a_queue_has_room_for_one_packet_at_least() {
    assert_eq!(queue_bytes(Queue::Time(Span(Duration::from_millis(1))), 1_000), MTU);
    assert_eq!(queue_bytes(Queue::Bytes(Size(64_000)), 1), 64_000);
    assert_eq!(queue_bytes(Queue::Packets(30), 1), 45_000);
}

#[test]
fn limits_grow_with_rate_delay_jitter_and_queue() {
    let mut asked = direction(Some(80_000_000));
    asked.delay = Span(Duration::from_millis(100));
    let limit = |asked: &Direction| match read(asked, 1).chain.into_iter().nth(1) {
        Some(Qdisc::Netem(netem)) => netem.limit,
        other => panic!("{other:?}"),
    };
    // 10 MB/s for 1.1 s and 500 kB of queue.
    assert_eq!(limit(&asked), 44_921);
    asked.jitter = Jitter { amount: Span(Duration::from_millis(50)), shape: Shape::Uniform, order: Order::Free };
    assert_eq!(limit(&asked), 46_875);
    asked.jitter.shape = Shape::Normal;
    assert_eq!(limit(&asked), 52_734);
    asked.rate = None;
    assert_eq!(limit(&asked), IN_FLIGHT_MAX);
    asked.rate = Some(Rate(8_000));
    assert_eq!(limit(&asked), IN_FLIGHT_MIN);
}

#[test]
fn reordering_without_a_delay_is_not_asked_of_netem() {
    let mut asked = direction(None);
    asked.reorder = Share(10_000_000);
    let Qdisc::Netem(netem) = &read(&asked, 1).chain[1] else { panic!() };
    assert_eq!(netem.reorder, 0);
    asked.delay = Span(Duration::from_millis(1));
    let Qdisc::Netem(netem) = &read(&asked, 1).chain[1] else { panic!() };
    assert_eq!(netem.reorder, 42_949_673);
}

#[test]
fn overhead_is_counted_in_bucket_and_queue_alike() {
    let mut asked = direction(Some(8_000_000));
    asked.overhead = 38;
    let tc = read(&asked, 1);
    assert_eq!(tc.overhead, 38);
    // A queue as time stays what it is; one in packets has their overhead as well.
    assert_eq!(tc.chain, [Qdisc::Bucket { rate: 1_000_000, burst: 5_538, limit: 50_000 }]);
    asked.queue = Queue::Packets(10);
    assert_eq!(read(&asked, 1).chain, [Qdisc::Bucket { rate: 1_000_000, burst: 5_538, limit: 15_380 }]);
}

#[test]
fn codel_takes_the_place_of_the_buckets_queue() {
    let mut asked = direction(Some(8_000_000));
    asked.discipline =
        Discipline::CoDel { target: Span(Duration::from_millis(5)), interval: Span(Duration::from_millis(100)) };
    assert!(needs_codel(&asked));
    let codel = Qdisc::CoDel { limit: 33, target: Duration::from_millis(5), interval: Duration::from_millis(100) };
    assert_eq!(read(&asked, 1).chain, [Qdisc::Bucket { rate: 1_000_000, burst: 5_514, limit: 0 }, codel]);
    asked.rate = None;
    assert!(!needs_codel(&asked));
    assert_eq!(read(&asked, 1), Tc::default());
}
