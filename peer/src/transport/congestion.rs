//! Keeps a congestion window from growing while the connection does not use it.
//!
//! quinn grows the window on every acknowledgement unless the application had nothing to send. A peer whose own
//! interface holds it back always has something to send and never loses anything, so its window would grow without end,
//! and the first congestion further down the path would find megabytes where tens of kilobytes are right. RFC 9002 §7.8
//! asks not to grow an underused window; this wrapper adds that rule to any of quinn's controllers.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn_proto::RttEstimator;

use crate::config::{Congestion, QuicOptions};
use crate::transport::greater::GreaterConfig;
use crate::transport::steady::SteadyConfig;

/// The controller that the options ask for, with the rule of this file.
pub(crate) fn factory(options: &QuicOptions) -> Arc<dyn ControllerFactory + Send + Sync> {
    let window = u64::from(options.initial_window_bytes);
    let mut cubic = CubicConfig::default();
    cubic.initial_window(window);
    let inner: Arc<dyn ControllerFactory + Send + Sync> = match options.congestion {
        Congestion::Cubic => Arc::new(cubic),
        Congestion::NewReno => {
            let mut config = NewRenoConfig::default();
            config.initial_window(window);
            Arc::new(config)
        }
        Congestion::Bbr => {
            let mut config = BbrConfig::default();
            config.initial_window(window);
            Arc::new(config)
        }
        Congestion::Steady => {
            // Steady sees for itself how much of its window is in use.
            let cubic = UsedWindowConfig { inner: Arc::new(cubic) };
            return Arc::new(GreaterConfig([Arc::new(SteadyConfig { initial_window: window }), Arc::new(cubic)]));
        }
    };
    Arc::new(UsedWindowConfig { inner })
}

struct UsedWindowConfig {
    inner: Arc<dyn ControllerFactory + Send + Sync>,
}

impl ControllerFactory for UsedWindowConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(UsedWindow { inner: self.inner.clone().build(now, current_mtu), in_flight: 0, peak: 0 })
    }
}

/// A controller, and how much of its window is in use.
struct UsedWindow {
    inner: Box<dyn Controller>,
    /// Bytes sent and neither acknowledged nor lost, as last reported.
    in_flight: u64,
    /// Most bytes in flight since the last batch of acknowledgements.
    peak: u64,
}

impl UsedWindow {
    fn is_underused(&self) -> bool {
        self.peak < self.inner.window() / 2
    }
}

impl Controller for UsedWindow {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.in_flight += bytes;
        self.peak = self.peak.max(self.in_flight);
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        let limited = app_limited || self.is_underused();
        self.inner.on_ack(now, sent, bytes, limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        let limited = app_limited || self.is_underused();
        self.inner.on_end_acks(now, in_flight, limited, largest_acked);
        self.in_flight = in_flight;
        self.peak = in_flight;
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.in_flight = self.in_flight.saturating_sub(lost_bytes);
        self.inner.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), in_flight: self.in_flight, peak: self.peak })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::greater::tests::Shrinking;

    #[test]
    fn window_is_underused_until_half_of_it_was_in_flight() {
        let mut controller = UsedWindow { inner: Box::new(Shrinking(100_000)), in_flight: 0, peak: 0 };
        let now = Instant::now();
        assert!(controller.is_underused());
        controller.on_sent(now, 49_999, 1);
        assert!(controller.is_underused());
        controller.on_sent(now, 1, 2);
        assert!(!controller.is_underused());
        controller.on_end_acks(now, 10_000, false, Some(2));
        assert!(controller.is_underused(), "what was in flight before the last acknowledgements does not count");
    }
}
