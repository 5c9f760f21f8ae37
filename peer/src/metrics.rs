//! Every series that a peer exports, in Prometheus' text form.
//!
//! One struct; the help text of a series is the field's doc comment and its name is `peerbed_` and the field's name. The
//! cores count by themselves into plain structs; [`raise`] copies such a count here when somebody scrapes.
//!
//! Series without labels are written straight to the text. The library's registry would make a family of each anew for every
//! scrape, which costs a peer more than all else that it does for one.

use std::io::Write;

use peerbed_proto::swarm::Reason;
use peerbed_proto::tracker::TrackerStats;
use prometheus::core::Collector;
use prometheus::{Encoder, Gauge, IntCounter, IntCounterVec, IntGauge, Opts, TextEncoder};

use crate::distribution::{Counts, Paths};
use crate::events::RefusedReason;

mod histogram;
pub(crate) mod ring;
pub(crate) mod timing;

/// Makes the struct, the names and help texts, and the text that a scrape gets, from one list.
macro_rules! series {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ident $([$label:literal])?,)+) => {
        /// The series of one process.
        #[derive(Debug)]
        pub(crate) struct Metrics {
            $($(#[doc = $help])+ pub(crate) $name: $kind,)+
        }

        impl Metrics {
            /// All series, at zero.
            pub(crate) fn new() -> Self {
                Self {
                    $($name: {
                        let help = concat!($($help),+).trim();
                        let options = Opts::new(concat!("peerbed_", stringify!($name)), help);
                        series!(@make $kind, options $(, $label)?)
                    },)+
                }
            }

            /// The text that a scrape gets.
            pub(crate) fn text(&self) -> Vec<u8> {
                let mut text = Vec::with_capacity(TEXT_BYTES);
                $(series!(@write text, self.$name, concat!(
                    "# HELP peerbed_", stringify!($name), $($help,)+ "\n",
                    "# TYPE peerbed_", stringify!($name), " ", series!(@type $kind), "\n",
                    "peerbed_", stringify!($name)
                ) $(, $label)?);)+
                text
            }
        }
    };
    (@make $kind:ident, $options:expr) => { $kind::with_opts($options).expect("a field's name is a metric's name") };
    (@make $kind:ident, $options:expr, $label:literal) => {
        $kind::new($options, &[$label]).expect("a field's name is a metric's name")
    };
    (@type IntCounterVec) => { "counter" };
    (@type IntCounter) => { "counter" };
    (@type IntGauge) => { "gauge" };
    (@type Gauge) => { "gauge" };
    (@write $text:ident, $series:expr, $head:expr) => {
        writeln!($text, "{} {}", $head, $series.get()).expect("writing to memory does not fail");
    };
    (@write $text:ident, $series:expr, $head:expr, $label:literal) => {
        TextEncoder::new().encode(&$series.collect(), &mut $text).expect("writing to memory does not fail");
    };
}

series! {
    /// Resident memory of the peer process in bytes.
    peer_resident_bytes: IntGauge,
    /// Most resident memory that the peer process has had, in bytes.
    peer_resident_peak_bytes: IntGauge,
    /// Connections refused before any protocol began, by reason.
    quic_refused_total: IntCounterVec["reason"],
    /// Dials that failed.
    quic_dials_failed_total: IntCounter,
    /// Open QUIC connections, handshakes included.
    quic_connections: IntGauge,
    /// Times a connection had to wait because the peer's own interface was full.
    quic_held_back_total: IntCounter,
    /// Smoothed round-trip time in seconds, mean over the open swarm, fetch and ring connections.
    quic_rtt_seconds: Gauge,
    /// Datagrams that arrived and were dropped because the socket's receive buffer was full.
    quic_receive_dropped_total: IntCounter,
    /// Congestion windows of the open swarm, fetch and ring connections, sum in bytes.
    quic_congestion_window_bytes: IntGauge,
    /// Packets declared lost by the open and past swarm, fetch and ring connections.
    quic_lost_packets_total: IntCounter,
    /// Bytes declared lost by the open and past swarm, fetch and ring connections.
    quic_lost_bytes_total: IntCounter,
    /// Congestion events of the open and past swarm, fetch and ring connections.
    quic_congestion_events_total: IntCounter,
    /// UDP payload bytes sent by the open and past swarm, fetch and ring connections.
    quic_sent_bytes_total: IntCounter,
    /// UDP payload bytes received by the open and past swarm, fetch and ring connections.
    quic_received_bytes_total: IntCounter,
    /// UDP datagrams sent by the open and past swarm, fetch and ring connections.
    quic_sent_datagrams_total: IntCounter,
    /// UDP datagrams received by the open and past swarm, fetch and ring connections.
    quic_received_datagrams_total: IntCounter,
    /// Whole, verified pieces of the running distributions.
    swarm_pieces: IntGauge,
    /// Connected neighbours of the running swarms.
    swarm_neighbours: IntGauge,
    /// Neighbours that may request from this peer.
    swarm_unchoked: IntGauge,
    /// Neighbours dropped, by what they did.
    swarm_dropped_total: IntCounterVec["reason"],
    /// Neighbours hung up on because they did not read their control stream.
    swarm_control_overflows_total: IntCounter,
    /// Payload bytes of leaves that passed their hash and were new.
    swarm_downloaded_bytes_total: IntCounter,
    /// Payload bytes of runs whose receipt was confirmed.
    swarm_uploaded_bytes_total: IntCounter,
    /// Payload bytes received in vain: leaves already there, unasked for, or failing their hash.
    swarm_wasted_bytes_total: IntCounter,
    /// Leaves that passed their hash and were new.
    swarm_leaves_total: IntCounter,
    /// Leaves that were already there when they arrived.
    swarm_duplicate_leaves_total: IntCounter,
    /// Leaves nobody had asked for when they arrived.
    swarm_unsolicited_leaves_total: IntCounter,
    /// Leaves that failed their hash.
    swarm_bad_leaves_total: IntCounter,
    /// Layers of leaf hashes that failed their root.
    swarm_bad_layers_total: IntCounter,
    /// Runs requested from neighbours.
    swarm_requests_sent_total: IntCounter,
    /// Runs neighbours refused or cut short.
    swarm_requests_refused_total: IntCounter,
    /// Runs cancelled because their leaves came from elsewhere or the neighbour was too slow.
    swarm_requests_cancelled_total: IntCounter,
    /// Leaves asked of a second neighbour because the first was slow.
    swarm_leaves_stolen_total: IntCounter,
    /// Times a neighbour was snubbed.
    swarm_snubs_total: IntCounter,
    /// Runs requested by neighbours.
    swarm_requests_received_total: IntCounter,
    /// Requests rejected because the neighbour was choked.
    swarm_rejected_choked_total: IntCounter,
    /// Requests rejected because the neighbour's queue was full.
    swarm_rejected_full_total: IntCounter,
    /// Requests rejected because this peer lacks a leaf of the run.
    swarm_rejected_missing_total: IntCounter,
    /// Runs whose serving was begun.
    swarm_runs_served_total: IntCounter,
    /// Runs whose serving ended before all was confirmed.
    swarm_runs_stopped_total: IntCounter,
    /// Choke rounds.
    swarm_choke_rounds_total: IntCounter,
    /// Unchokes sent.
    swarm_unchokes_total: IntCounter,
    /// Chokes sent.
    swarm_chokes_total: IntCounter,
    /// Optimistic choices made.
    swarm_optimistic_unchokes_total: IntCounter,
    /// Connections to neighbours made.
    swarm_connections_total: IntCounter,
    /// Dials that failed.
    swarm_dials_failed_total: IntCounter,
    /// Connections refused because there were enough neighbours.
    swarm_refused_full_total: IntCounter,
    /// Connections refused because of an earlier offence.
    swarm_refused_banned_total: IntCounter,
    /// Peers that neighbours were told of.
    swarm_introductions_sent_total: IntCounter,
    /// Peers that neighbours told us of.
    swarm_introductions_received_total: IntCounter,
    /// Peers that neighbours told us of too often, or although we take part in no exchange.
    swarm_introductions_ignored_total: IntCounter,
    /// Messages and announcements ignored because a table's limit was reached.
    swarm_ignored_limit_total: IntCounter,
    /// Announces sent to a tracker.
    tracker_announces_sent_total: IntCounter,
    /// Announces that a tracker answered.
    tracker_replies_total: IntCounter,
    /// Announces that got no answer.
    tracker_failures_total: IntCounter,
    /// Announces that this peer's tracker received.
    tracker_announces_total: IntCounter,
    /// Announces that reported a complete download to this peer's tracker.
    tracker_completions_total: IntCounter,
    /// Members that told this peer's tracker that they leave.
    tracker_left_total: IntCounter,
    /// Members that this peer's tracker forgot after two silent intervals.
    tracker_expired_total: IntCounter,
    /// Newcomers that this peer's tracker refused because its table was full.
    tracker_refused_total: IntCounter,
    /// Bytes of pieces fetched from a server that passed their hash and were new.
    fetch_downloaded_bytes_total: IntCounter,
    /// Bytes received in vain from a server.
    fetch_wasted_bytes_total: IntCounter,
    /// Pieces from a server that failed their hash.
    fetch_bad_pieces_total: IntCounter,
    /// Attempts to connect to a server.
    fetch_connects_total: IntCounter,
    /// Connections to a server that failed or broke off.
    fetch_failures_total: IntCounter,
    /// Requests that this server answered.
    fetch_gets_total: IntCounter,
    /// Requests that this server refused.
    fetch_refused_total: IntCounter,
    /// Bytes that this server wrote to its clients.
    fetch_sent_bytes_total: IntCounter,
}

impl Metrics {
    /// Shows the open connections of everything that this peer takes part in.
    pub(crate) fn show_paths(&self, paths: &Paths) {
        self.quic_congestion_window_bytes.set(i64::try_from(paths.window_bytes).unwrap_or(i64::MAX));
        self.quic_rtt_seconds.set(paths.round_trip_micros as f64 / 1e6 / paths.connections.max(1) as f64);
    }

    /// Makes every refusal reason appear at zero, so that a rate over it exists from the start.
    pub(crate) fn show_all_reasons(&self) {
        for reason in RefusedReason::ALL {
            self.quic_refused_total.with_label_values(&[reason.as_str()]);
        }
        for reason in Reason::ALL.into_iter().filter(|reason| reason.is_offence()) {
            self.swarm_dropped_total.with_label_values(&[reason.name()]);
        }
    }
}

/// Adds to each series what a count grew by.
macro_rules! grow {
    ($metrics:expr, $before:expr, $after:expr; $($series:ident = $core:ident.$field:ident;)+) => {
        $($metrics.$series.inc_by($after.$core.$field.saturating_sub($before.$core.$field));)+
    };
}

impl Metrics {
    /// Adds what a distribution's cores counted between two snapshots.
    pub(crate) fn grow(&self, before: &Counts, after: &Counts) {
        grow! { self, before, after;
            swarm_downloaded_bytes_total = swarm.downloaded_bytes;
            swarm_uploaded_bytes_total = swarm.uploaded_bytes;
            swarm_wasted_bytes_total = swarm.wasted_bytes;
            swarm_leaves_total = swarm.leaves;
            swarm_duplicate_leaves_total = swarm.duplicate_leaves;
            swarm_unsolicited_leaves_total = swarm.unsolicited_leaves;
            swarm_bad_leaves_total = swarm.bad_leaves;
            swarm_bad_layers_total = swarm.bad_layers;
            swarm_requests_sent_total = swarm.requests_sent;
            swarm_requests_refused_total = swarm.requests_refused;
            swarm_requests_cancelled_total = swarm.requests_cancelled;
            swarm_leaves_stolen_total = swarm.leaves_stolen;
            swarm_snubs_total = swarm.snubs;
            swarm_requests_received_total = swarm.requests_received;
            swarm_rejected_choked_total = swarm.rejected_choked;
            swarm_rejected_full_total = swarm.rejected_full;
            swarm_rejected_missing_total = swarm.rejected_missing;
            swarm_runs_served_total = swarm.runs_served;
            swarm_runs_stopped_total = swarm.runs_stopped;
            swarm_choke_rounds_total = swarm.choke_rounds;
            swarm_unchokes_total = swarm.unchokes;
            swarm_chokes_total = swarm.chokes;
            swarm_optimistic_unchokes_total = swarm.optimistic_unchokes;
            swarm_connections_total = swarm.connections;
            swarm_dials_failed_total = swarm.dials_failed;
            swarm_refused_full_total = swarm.refused_full;
            swarm_refused_banned_total = swarm.refused_banned;
            swarm_introductions_sent_total = swarm.introductions_sent;
            swarm_introductions_received_total = swarm.introductions_received;
            swarm_introductions_ignored_total = swarm.introductions_ignored;
            swarm_ignored_limit_total = swarm.ignored_limit;
            tracker_announces_sent_total = announcer.announces;
            tracker_replies_total = announcer.replies;
            tracker_failures_total = announcer.failures;
            fetch_downloaded_bytes_total = client.downloaded_bytes;
            fetch_wasted_bytes_total = client.wasted_bytes;
            fetch_bad_pieces_total = client.bad_pieces;
            fetch_connects_total = client.connects;
            fetch_failures_total = client.failures;
            fetch_gets_total = server.gets;
            fetch_refused_total = server.refused;
            fetch_sent_bytes_total = server.sent_bytes;
            quic_sent_bytes_total = quic.sent_bytes;
            quic_sent_datagrams_total = quic.sent_datagrams;
            quic_received_bytes_total = quic.received_bytes;
            quic_received_datagrams_total = quic.received_datagrams;
            quic_lost_packets_total = quic.lost_packets;
            quic_lost_bytes_total = quic.lost_bytes;
            quic_congestion_events_total = quic.congestion_events;
        }
    }

    /// Takes over what this peer's tracker has counted.
    pub(crate) fn take_tracker(&self, stats: &TrackerStats) {
        raise(&self.tracker_announces_total, stats.announces);
        raise(&self.tracker_completions_total, stats.completions);
        raise(&self.tracker_left_total, stats.left);
        raise(&self.tracker_expired_total, stats.expired);
        raise(&self.tracker_refused_total, stats.refused);
    }
}

/// Brings a counter up to a total that somebody else counts. A total that fell behind is ignored.
pub(crate) fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// Room for a whole scrape, of some 24 kB.
const TEXT_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comment_is_the_help_text() {
        let metrics = Metrics::new();
        metrics.show_all_reasons();
        let text = String::from_utf8(metrics.text()).unwrap();
        let dials = "# HELP peerbed_quic_dials_failed_total Dials that failed.\n\
                     # TYPE peerbed_quic_dials_failed_total counter\npeerbed_quic_dials_failed_total 0\n";
        assert!(text.contains(dials), "{text}");
        assert!(text.contains("# TYPE peerbed_quic_rtt_seconds gauge\npeerbed_quic_rtt_seconds 0\n"), "{text}");
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
