//! A congestion controller made of two: the greater of their windows counts.
//!
//! [`steady`](super::steady) covers a path by its rate of delivery and its *shortest* round trip, whatever chance loses. Where
//! acknowledgements wait in an uplink that others fill, that is too little, and a controller that grows until something is
//! lost knows better; where chance loses packets it is the other way round. Each hears of everything, also of what the other's
//! window sent.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

/// Makes [`Greater`] controllers of what two others make.
pub(super) struct GreaterConfig(pub(super) [Arc<dyn ControllerFactory + Send + Sync>; 2]);

impl ControllerFactory for GreaterConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Greater(self.0.clone().map(|factory| factory.build(now, current_mtu))))
    }
}

struct Greater([Box<dyn Controller>; 2]);

impl Controller for Greater {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.0.iter_mut().for_each(|each| each.on_sent(now, bytes, last_packet_number));
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.0.iter_mut().for_each(|each| each.on_ack(now, sent, bytes, app_limited, rtt));
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.0.iter_mut().for_each(|each| each.on_end_acks(now, in_flight, app_limited, largest_acked));
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.0.iter_mut().for_each(|each| each.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes));
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.iter_mut().for_each(|each| each.on_mtu_update(new_mtu));
    }

    fn window(&self) -> u64 {
        self.0.iter().map(|each| each.window()).max().unwrap_or(0)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self([self.0[0].clone_box(), self.0[1].clone_box()]))
    }

    fn initial_window(&self) -> u64 {
        self.0.iter().map(|each| each.initial_window()).max().unwrap_or(0)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn the_greater_window_counts_whichever_it_is() {
        let now = Instant::now();
        let of = |windows: [u64; 2]| {
            let factories =
                windows.map(|window| Arc::new(Shrinking(window)) as Arc<dyn ControllerFactory + Send + Sync>);
            Arc::new(GreaterConfig(factories)).build(now, 1_200)
        };
        assert_eq!(of([1, 2]).window(), 2);
        assert_eq!(of([3, 2]).window(), 3);
        let mut both = of([10, 20]);
        let copy = both.clone_box();
        // Both hear of it.
        both.on_congestion_event(now, now, false, 15);
        assert_eq!((both.window(), copy.window()), (5, 20));
    }

    /// A controller whose window shrinks by what is lost.
    #[derive(Clone)]
    pub(in crate::transport) struct Shrinking(pub(in crate::transport) u64);

    impl ControllerFactory for Shrinking {
        fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
            Box::new(Self(self.0))
        }
    }

    impl Controller for Shrinking {
        fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, lost_bytes: u64) {
            self.0 = self.0.saturating_sub(lost_bytes);
        }
        fn on_mtu_update(&mut self, _: u16) {}
        fn window(&self) -> u64 {
            self.0
        }
        fn clone_box(&self) -> Box<dyn Controller> {
            Box::new(self.clone())
        }
        fn initial_window(&self) -> u64 {
            self.0
        }
        fn into_any(self: Box<Self>) -> Box<dyn Any> {
            self
        }
    }
}
