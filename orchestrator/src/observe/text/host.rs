//! The host and the verdict on it, as Prometheus text.

use super::Text;
use crate::{observe::look::Look, verdict::State};

/// The verdict so far, one series for each of its states.
pub(super) fn verdict(out: &mut Text, look: &Look) {
    let Some(verdict) = &look.verdict else { return };
    out.family("peerbed_run_verdict", "gauge", "1 for what the verdict on the host is so far, 0 for what it is not");
    for state in [State::Valid, State::Suspect, State::Invalid] {
        out.sample(&[("state", state.as_str())], f64::from(u8::from(verdict.state == state)));
    }
}

/// The host in the last window, as the verdict sees it.
pub(super) fn host(out: &mut Text, look: &Look) {
    out.family(
        "peerbed_host_dropped_packets_total",
        "counter",
        "Packets that were dropped since the scenario's beginning and that nobody asked to drop",
    );
    for (cause, packets) in look.dropped {
        out.sample(&[("cause", cause)], packets as f64);
    }
    let Some(window) = &look.window else { return };
    out.family("peerbed_host_busy_ratio", "gauge", "Share of the processors' time that was not idle");
    out.sample(&[], window.busy);
    out.family("peerbed_host_steal_ratio", "gauge", "Share of the processors' time that a hypervisor gave to others");
    out.sample(&[], window.steal);
    if let Some(pressure) = window.pressure {
        out.family("peerbed_host_pressure_ratio", "gauge", "Share of the time in which a task waited for a processor");
        out.sample(&[], pressure);
    }
    out.family("peerbed_host_timer_lateness_seconds", "gauge", "Worst lateness of a timer on any processor");
    out.sample(&[], window.lateness);
    out.family("peerbed_host_measuring", "gauge", "1 while something is being measured");
    out.sample(&[], f64::from(u8::from(window.measuring)));
    out.family("peerbed_link_off_pace", "gauge", "Saturated links that did not carry their rate in the last second");
    out.sample(&[], f64::from(window.links.off_pace));
    if let Some(late) = window.links.engine_lateness {
        out.family(
            "peerbed_link_lateness_seconds",
            "gauge",
            "Lateness that 99 % of the user engine's packets kept below",
        );
        out.sample(&[], late);
    }
}
