//! The peer's clock: CLOCK_MONOTONIC, which is the same in all network namespaces of a host.
//!
//! Events and commands carry it as seconds; the cores take it as [`Time`]; tokio sleeps until an [`Instant`]. All three
//! are converted here and nowhere else.

use std::time::Duration;

use peerbed_proto::time::Time;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Seconds of CLOCK_MONOTONIC.
#[must_use]
pub fn seconds() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Now, as the cores count it: nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn now() -> Time {
    let now = clock_gettime(ClockId::Monotonic);
    let since_boot = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    Time::ZERO + since_boot
}

/// The instant at which tokio should wake for a core's deadline.
pub(crate) fn instant(deadline: Time) -> Instant {
    Instant::now() + (deadline - now())
}

/// The instant that a command names in seconds. One in the past, or not a number, is now.
pub(crate) fn instant_of_seconds(at: f64) -> Instant {
    let ahead = Duration::try_from_secs_f64(at - seconds()).unwrap_or(Duration::ZERO);
    Instant::now().checked_add(ahead).unwrap_or_else(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instant_in_the_past_is_now() {
        let before = Instant::now();
        assert!(instant_of_seconds(0.0) >= before);
        assert!(instant_of_seconds(f64::NAN) <= Instant::now());
        assert!(instant_of_seconds(seconds() + 5.0) > before + Duration::from_secs(4));
    }
}
