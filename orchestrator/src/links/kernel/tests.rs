//! What chains directions become.

use super::*;
use crate::{
    plan::{Loss, Queue},
    units::{Rate, Share, Size, Span},
};

fn direction(rate: Option<u64>) -> Direction {
    Direction {
        rate: rate.map(Rate),
        delay: Span::default(),
        jitter: Span::default(),
        loss: Loss { average: Share(0), burst: 1 },
        reorder: Share(0),
        duplicate: Share(0),
        queue: Queue::Time(Span(Duration::from_millis(50))),
    }
}

#[test]
fn a_rate_is_a_bucket_with_its_queue() {
    let tc = read(&direction(Some(2_000_000)), 1);
    // 250 kB/s: 1 000 bytes in 4 ms, 12 500 bytes in 50 ms.
    assert_eq!(tc.chain, [Qdisc::Bucket { rate: 250_000, burst: 2_500, limit: 12_500 }]);
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
    // 1 MB/s for 1.02 s in packets of 256 bytes.
    assert_eq!(netem.limit, 3_984);
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
