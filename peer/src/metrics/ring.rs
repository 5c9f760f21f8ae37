//! The series of the ring that a peer is in, as Prometheus text: copied from the node's and the driver's counts at each
//! scrape. All are zero without a ring, and the counters start anew with each ring that is entered.

use std::io::Write;

use super::histogram;
use crate::ring::{HOPS_BOUNDS, LookupCounts, RingSnapshot};

/// Appends how commanded lookups went, as histograms.
fn write_lookups(text: &mut Vec<u8>, lookups: &LookupCounts) {
    let hops = HOPS_BOUNDS.iter().map(ToString::to_string);
    let help = "Peers contacted up to the key's predecessor by lookups commanded of this peer.";
    let sum = lookups.hops_sum.to_string();
    histogram::write(text, "peerbed_ring_lookup_hops", help, hops, &lookups.hops, &sum);
    let help = "Time of lookups commanded of this peer, from the command to the answer.";
    histogram::write_times(text, "peerbed_ring_lookup_seconds", help, &lookups.times);
}

/// Appends the series of a ring to the text that a scrape gets.
pub(crate) fn write(text: &mut Vec<u8>, ring: Option<&RingSnapshot>) {
    for ((name, help), kind, of) in GAUGES.into_iter().chain(COUNTERS) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let value = ring.map_or(0, of);
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}").expect("writing to memory");
    }
    match ring {
        Some(ring) => write_lookups(text, &ring.counts.lookups),
        None => write_lookups(text, &LookupCounts::default()),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// Name and help, kind, and where the value comes from.
type Series = ((&'static str, &'static str), Kind, fn(&RingSnapshot) -> u64);

macro_rules! counters {
    ($($name:literal, $help:literal, $of:ident . $field:ident;)+) => {
        [$((($name, $help), Kind::Counter, |ring: &RingSnapshot| ring.counts.$of.$field),)+]
    };
}

const GAUGES: [Series; 7] = [
    (("peerbed_ring_member", "1 while the node is a member of its ring."), Kind::Gauge, |ring| {
        u64::from(ring.status.standing == crate::ring_control::Standing::Member)
    }),
    (("peerbed_ring_successors", "Live places of the successor list."), Kind::Gauge, |ring| {
        ring.status.successors.iter().flatten().count() as u64
    }),
    (("peerbed_ring_fingers", "Different peers among the fingers."), Kind::Gauge, |ring| {
        ring.status.fingers.len() as u64
    }),
    (("peerbed_ring_records", "Records held, copies included."), Kind::Gauge, |ring| ring.status.records as u64),
    (("peerbed_ring_record_bytes", "Bytes that the records held count for."), Kind::Gauge, |ring| {
        ring.status.record_bytes as u64
    }),
    (("peerbed_ring_neighbours", "Peers that connections are kept with."), Kind::Gauge, |ring| {
        ring.status.neighbours as u64
    }),
    (("peerbed_ring_connections", "Open connections of the ring."), Kind::Gauge, |ring| ring.status.connections as u64),
];

const COUNTERS: [Series; 41] = counters! {
    "peerbed_ring_messages_sent_total", "Messages sent.", core.sent;
    "peerbed_ring_messages_received_total", "Messages received.", core.received;
    "peerbed_ring_questions_total", "Questions asked.", core.questions;
    "peerbed_ring_questions_repeated_total", "Questions asked a second time or more often.", core.questions_repeated;
    "peerbed_ring_questions_withheld_total", "Questions not asked because too many were under way.", core.questions_withheld;
    "peerbed_ring_deaths_total", "Peers found dead.", core.deaths;
    "peerbed_ring_stabilisations_total", "Stabilisations begun.", core.stabilisations;
    "peerbed_ring_busy_total", "Steps put off because the node asked was in the middle of its own.", core.busy;
    "peerbed_ring_orphaned_total", "Times all successors were dead and others were taken from memory.", core.orphaned;
    "peerbed_ring_misplaced_total", "Self-lookups that found another owner of the node's own point.", core.misplaced;
    "peerbed_ring_lookups_total", "Lookups begun, of any kind.", core.lookups;
    "peerbed_ring_lookups_failed_total", "Lookups that failed after all retries.", core.lookups_failed;
    "peerbed_ring_forwarded_total", "Lookups of others passed on.", core.forwarded;
    "peerbed_ring_forwards_dropped_total", "Lookups of others dropped.", core.forwards_dropped;
    "peerbed_ring_flooded_total", "Messages dropped because their sender sent too many.", core.flooded;
    "peerbed_ring_answers_stray_total", "Answers nobody waited for.", core.answers_stray;
    "peerbed_ring_answers_bad_total", "Answers that do not fit their question.", core.answers_bad;
    "peerbed_ring_violations_total", "Undecodable messages, and messages that name somebody at another's point.",
        core.violations;
    "peerbed_ring_outlawed_total", "Peers that broke the protocol too often and are asked nothing any more.", core.outlawed;
    "peerbed_ring_outlawed_dropped_total", "Messages of such peers dropped.", core.outlawed_dropped;
    "peerbed_ring_hints_put_off_total", "Hints to look after pointers that came faster than they are followed.",
        core.hints_put_off;
    "peerbed_ring_lists_cut_total", "Successor lists received out of order.", core.lists_cut;
    "peerbed_ring_entries_false_total", "Peers on successors' lists that were dead before they had ever answered.",
        core.entries_false;
    "peerbed_ring_steps_false_total", "Answers on a lookup's way of a node that it is alone or its own successor.",
        core.steps_false;
    "peerbed_ring_intakes_total", "Times the node's arc grew and records were collected for it.", core.intakes;
    "peerbed_ring_writes_total", "Writes taken as owner.", core.writes;
    "peerbed_ring_writes_unreplicated_total", "Writes that no replica acknowledged in time.", core.writes_unreplicated;
    "peerbed_ring_reads_total", "Reads answered as owner or from a copy.", core.reads;
    "peerbed_ring_records_sent_total", "Records sent to other nodes.", core.records_sent;
    "peerbed_ring_records_received_total", "Records received from other nodes.", core.records_received;
    "peerbed_ring_records_refused_total", "Records refused because of a limit.", core.records_refused;
    "peerbed_ring_records_expired_total", "Records dropped because their time was up.", core.records_expired;
    "peerbed_ring_records_returned_total", "Copies handed to their owner and dropped.", core.records_returned;
    "peerbed_ring_dials_failed_total", "Dials that failed.", traffic.dials_failed;
    "peerbed_ring_connections_stale_total", "Connections given up because nothing came over them.", traffic.stale;
    "peerbed_ring_connections_duplicate_total", "Connections closed because there were two to one peer.", traffic.duplicates;
    "peerbed_ring_connections_banned_total", "Connections refused because of earlier offences.", traffic.banned;
    "peerbed_ring_messages_dropped_total", "Messages not sent because a limit was reached.", traffic.dropped;
    "peerbed_ring_messages_misdirected_total", "Messages not sent because somebody else sits at that point.",
        traffic.misdirected;
    "peerbed_ring_streams_broken_total", "Streams that brought no whole message.", traffic.broken;
    "peerbed_ring_unanswerable_total", "Questions of others that were never answered.", traffic.unanswered;
};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_histogram_counts_what_is_below_each_bound() {
        let mut lookups = LookupCounts::default();
        for (hops, times) in [(0, 1), (3, 4), (250, 2), (600, 1)] {
            (0..times).for_each(|_| lookups.count(hops, Duration::from_micros(700)));
        }
        let mut text = Vec::new();
        write_lookups(&mut text, &lookups);
        let text = String::from_utf8(text).unwrap();
        for line in [
            "peerbed_ring_lookup_hops_bucket{le=\"0\"} 1",
            "peerbed_ring_lookup_hops_bucket{le=\"3\"} 5",
            "peerbed_ring_lookup_hops_bucket{le=\"16\"} 5",
            "peerbed_ring_lookup_hops_bucket{le=\"192\"} 5",
            "peerbed_ring_lookup_hops_bucket{le=\"256\"} 7",
            "peerbed_ring_lookup_hops_bucket{le=\"+Inf\"} 8",
            "peerbed_ring_lookup_hops_sum 1112",
            "peerbed_ring_lookup_hops_count 8",
            "peerbed_ring_lookup_seconds_bucket{le=\"0.0005\"} 0",
            "peerbed_ring_lookup_seconds_bucket{le=\"0.001\"} 8",
            "peerbed_ring_lookup_seconds_count 8",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
        }
    }
}
