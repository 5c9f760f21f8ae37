//! Every series that a peer exports, in Prometheus' text form.
//!
//! One struct; the help text of a series is the field's doc comment and its name is `peerbed_` and the field's name. The
//! cores count by themselves into plain structs; [`raise`] copies such a count here when somebody scrapes.

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::events::RefusedReason;

/// Makes the struct, its registration, and the names and help texts from one list.
macro_rules! series {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ident $([$label:literal])?,)+) => {
        /// The series of one process.
        #[derive(Debug)]
        pub(crate) struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub(crate) $name: $kind,)+
        }

        impl Metrics {
            /// All series, at zero.
            pub(crate) fn new() -> Self {
                let registry = Registry::new();
                $(
                    let help = concat!($($help),+).trim();
                    let options = Opts::new(concat!("peerbed_", stringify!($name)), help);
                    let made = series!(@make $kind, options $(, $label)?);
                    registry.register(Box::new(made.clone())).expect("names in one list differ");
                    let $name = made;
                )+
                Self { registry, $($name,)+ }
            }
        }
    };
    (@make $kind:ident, $options:expr) => { $kind::with_opts($options).expect("a field's name is a metric's name") };
    (@make $kind:ident, $options:expr, $label:literal) => {
        $kind::new($options, &[$label]).expect("a field's name is a metric's name")
    };
}

series! {
    /// Resident memory of the peer process in bytes.
    peer_resident_bytes: IntGauge,
    /// Connections refused before any protocol began, by reason.
    quic_refused_total: IntCounterVec["reason"],
    /// Dials that failed.
    quic_dials_failed_total: IntCounter,
    /// Open QUIC connections, handshakes included.
    quic_connections: IntGauge,
    /// Times a connection had to wait because the peer's own interface was full.
    quic_held_back_total: IntCounter,
    /// Smoothed round-trip time over the open swarm and fetch connections, mean in microseconds.
    quic_rtt_microseconds: IntGauge,
    /// Congestion windows of the open swarm and fetch connections, sum in bytes.
    quic_congestion_window_bytes: IntGauge,
    /// Packets declared lost by the open and past swarm and fetch connections.
    quic_lost_packets_total: IntCounter,
    /// Bytes declared lost by the open and past swarm and fetch connections.
    quic_lost_bytes_total: IntCounter,
    /// Congestion events of the open and past swarm and fetch connections.
    quic_congestion_events_total: IntCounter,
    /// UDP payload bytes sent by the open and past swarm and fetch connections.
    quic_sent_bytes_total: IntCounter,
    /// UDP payload bytes received by the open and past swarm and fetch connections.
    quic_received_bytes_total: IntCounter,
    /// UDP datagrams sent by the open and past swarm and fetch connections.
    quic_sent_datagrams_total: IntCounter,
    /// UDP datagrams received by the open and past swarm and fetch connections.
    quic_received_datagrams_total: IntCounter,
}

impl Metrics {
    /// The text that a scrape gets.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(16 << 10);
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("writing to memory does not fail and every family has a name");
        text
    }

    /// Makes every refusal reason appear at zero, so that a rate over it exists from the start.
    pub(crate) fn show_all_reasons(&self) {
        for reason in RefusedReason::ALL {
            self.quic_refused_total.with_label_values(&[reason.as_str()]);
        }
    }
}

/// Brings a counter up to a total that somebody else counts. A total that fell behind is ignored.
pub(crate) fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comment_is_the_help_text() {
        let metrics = Metrics::new();
        metrics.show_all_reasons();
        let text = String::from_utf8(metrics.text()).unwrap();
        assert!(text.contains("# HELP peerbed_quic_dials_failed_total Dials that failed.\n"), "{text}");
        assert!(text.contains("peerbed_quic_refused_total{reason=\"no-certificate\"} 0\n"), "{text}");
    }

    #[test]
    fn raising_never_lowers() {
        let metrics = Metrics::new();
        raise(&metrics.quic_lost_bytes_total, 7);
        raise(&metrics.quic_lost_bytes_total, 3);
        assert_eq!(metrics.quic_lost_bytes_total.get(), 7);
    }
}
