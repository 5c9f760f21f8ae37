//! The run as Prometheus text.

use std::fmt::Write;

use super::{Shown, look::Look};
use crate::links::tally::Tally;

mod host;

/// All series of the run that is shown.
pub(super) fn of(shown: &Shown) -> String {
    let mut out = Text::default();
    out.family("peerbed_run_runs_total", "counter", "Runs that have begun since this program started");
    out.sample(&[], shown.runs as f64);
    out.family("peerbed_run_peers", "gauge", "Peers of the plan that export metrics");
    out.sample(&[], shown.peers.len() as f64);
    asked(&mut out, shown);
    steps(&mut out, shown);
    moves(&mut out, shown);
    let Some(look) = &shown.look else { return out.0 };
    out.family("peerbed_run_scenario_seconds", "gauge", "Time since the scenario's start");
    out.sample(&[], look.seconds);
    out.family("peerbed_run_peers_up", "gauge", "Peers whose processes run");
    out.sample(&[], look.up as f64);
    out.family(
        "peerbed_run_peer_wanted",
        "gauge",
        "1 for a peer that is to answer: it is up, and nothing has stopped it",
    );
    for (peer, is_wanted) in &look.wanted {
        out.sample(&[("peer", peer)], f64::from(u8::from(*is_wanted)));
    }
    out.family(
        "peerbed_run_disturbances",
        "gauge",
        "Partitions, stopped processes and links that are down at this moment",
    );
    out.sample(&[], look.disturbances as f64);
    distributions(&mut out, look);
    links(&mut out, look);
    rings(&mut out, look);
    host::verdict(&mut out, look);
    host::host(&mut out, look);
    out.0
}

/// What links were asked to be.
fn asked(out: &mut Text, shown: &Shown) {
    out.family(
        "peerbed_link_asked_bytes_per_second",
        "gauge",
        "Nominal rate of one link of a class, over whole IP packets",
    );
    for (class, direction, rate) in &shown.links {
        out.sample(&[("class", class), ("direction", direction)], *rate as f64 / 8.0);
    }
}

/// Steps of the scenario; annotations come from them.
fn steps(out: &mut Text, shown: &Shown) {
    out.family("peerbed_run_steps_begun_total", "counter", "Steps of the scenario that have begun, by what they do");
    for (action, (begun, _)) in &shown.actions {
        out.sample(&[("action", action)], *begun as f64);
    }
    out.family("peerbed_run_steps_ended_total", "counter", "Steps of the scenario that have ended, by what they do");
    for (action, (_, ended)) in &shown.actions {
        out.sample(&[("action", action)], *ended as f64);
    }
    out.family(
        "peerbed_run_step_begun_timestamp_seconds",
        "gauge",
        "When a step of the scenario began, in Unix time; kind is fault for those that disturb the overlay, and work for others",
    );
    for step in &shown.steps {
        let labels = [("step", step.number.as_str()), ("action", step.action), ("kind", step.kind)];
        out.sample(&labels, step.begun);
    }
    out.family("peerbed_run_step_ended_timestamp_seconds", "gauge", "When a step of the scenario ended, in Unix time");
    for step in &shown.steps {
        let labels = [("step", step.number.as_str()), ("action", step.action), ("kind", step.kind)];
        step.ended.into_iter().for_each(|ended| out.sample(&labels, ended));
    }
}

/// Comings and goings by churn; annotations come from them as well.
fn moves(out: &mut Text, shown: &Shown) {
    out.family("peerbed_run_churn_moves_total", "counter", "Peers that went or came back by churn, by what they did");
    for (action, count) in &shown.moved {
        out.sample(&[("action", action)], *count as f64);
    }
    out.family(
        "peerbed_run_churn_move_timestamp_seconds",
        "gauge",
        "When a peer went or came back by churn, in Unix time; the latest moves, with kind as for steps",
    );
    for it in &shown.moves {
        let labels =
            [("step", &*it.step), ("move", &*it.number), ("action", it.action), ("kind", it.kind), ("peer", &*it.peer)];
        out.sample(&labels, it.at);
    }
}

/// How far distributions are, beside what the fluid model allows.
fn distributions(out: &mut Text, look: &Look) {
    type Of = fn(&super::look::Distributed) -> Option<f64>;
    let families: [(&str, &str, Of); 5] = [
        ("peerbed_run_distribution_progress_ratio", "Share of the wanted pieces that have arrived", |it| {
            Some(it.view.progress())
        }),
        ("peerbed_run_distribution_peers_completed", "Required peers that have the whole file", |it| {
            Some(it.view.peers_done as f64)
        }),
        ("peerbed_run_distribution_peers_required", "Peers whose completion is waited for", |it| {
            Some(it.view.peers as f64)
        }),
        ("peerbed_run_distribution_begun_timestamp_seconds", "The common begin, in Unix time", |it| it.begun),
        (
            "peerbed_run_distribution_bound_seconds",
            "The least time possible with the nominal rates of the links",
            |it| it.bound_seconds,
        ),
    ];
    for (name, help, of) in families {
        out.family(name, "gauge", help);
        for it in &look.distributions {
            let labels = [("distribution", it.view.name.as_str()), ("via", it.view.via)];
            of(it).into_iter().for_each(|value| out.sample(&labels, value));
        }
    }
}

/// What links have done, class by class.
fn links(out: &mut Text, look: &Look) {
    type Of = fn(usize, &Tally) -> f64;
    let families: [(&str, &str, &str, Of); 4] = [
        (
            "peerbed_link_watched_links",
            "gauge",
            "Links of the class whose counters are read; of many uplinks only some are",
            |count, _| count as f64,
        ),
        (
            "peerbed_link_sent_bytes_total",
            "counter",
            "Bytes that came through the watched links of a class, over whole IP packets",
            |_, it| it.sent_bytes as f64,
        ),
        (
            "peerbed_link_sent_packets_total",
            "counter",
            "Packets that came through the watched links of a class",
            |_, it| it.sent_packets as f64,
        ),
        (
            "peerbed_link_queue_bytes",
            "gauge",
            "Bytes that wait before the watched links of a class at this moment",
            |_, it| it.waiting_bytes as f64,
        ),
    ];
    for (name, kind, help, of) in families {
        out.family(name, kind, help);
        for ((class, direction), (count, tally)) in &look.links {
            out.sample(&[("class", class), ("direction", direction)], of(*count, tally));
        }
    }
    out.family(
        "peerbed_link_dropped_packets_total",
        "counter",
        "Packets that the watched links of a class dropped, by cause; engine is for want of room, which nobody asked for",
    );
    for ((class, direction), (_, tally)) in &look.links {
        for (cause, packets) in tally.dropped.by_cause() {
            out.sample(&[("class", class), ("direction", direction), ("cause", cause)], packets as f64);
        }
    }
}

/// Rings as the orchestrator knows them, who knows everybody.
fn rings(out: &mut Text, look: &Look) {
    out.family("peerbed_run_ring_members", "gauge", "Live members of a ring");
    for ring in &look.rings {
        out.sample(&[("ring", &ring.name)], ring.members as f64);
    }
    out.family("peerbed_run_ring_right", "gauge", "1 while every live member points at the members beside it");
    for ring in &look.rings {
        out.sample(&[("ring", &ring.name)], f64::from(u8::from(ring.is_right)));
    }
    out.family(
        "peerbed_run_ring_unmended_seconds",
        "gauge",
        "Age of the oldest fault of a ring whose own pointers are not right yet, 0 without one",
    );
    for ring in &look.rings {
        out.sample(&[("ring", &ring.name)], ring.unmended_seconds);
    }
    out.family(
        "peerbed_run_ring_faults_total",
        "counter",
        "Crashes, leaves, joins and healed partitions that befell a ring",
    );
    for ((ring, fault), seen) in &look.recoveries {
        out.sample(&[("ring", ring), ("fault", fault)], seen.faults as f64);
    }
    out.family("peerbed_run_ring_recovered_total", "counter", "Those of them after which the ring was right again");
    for ((ring, fault), seen) in &look.recoveries {
        out.sample(&[("ring", ring), ("fault", fault)], seen.recovered as f64);
    }
    out.family("peerbed_run_ring_recovery_seconds_total", "counter", "Time that these recoveries took, in all");
    for ((ring, fault), seen) in &look.recoveries {
        out.sample(&[("ring", ring), ("fault", fault)], seen.seconds);
    }
    out.family("peerbed_run_ring_answers_total", "counter", "Questions to a ring that have ended, by outcome");
    for ((ring, action, outcome), count) in &look.answers {
        out.sample(&[("ring", ring), ("action", action), ("outcome", outcome)], *count as f64);
    }
}

#[derive(Debug, Default)]
struct Text(String);

impl Text {
    /// Begins a family; samples that follow belong to it.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        let name =
            self.0.rsplit("# TYPE ").next().and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
        self.0.push_str(&name);
        if !labels.is_empty() {
            let all: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
            let _ = write!(self.0, "{{{}}}", all.join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }
}

/// A label's value as the text format wants it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observe::{Board, MOVES_MAX, Step},
        plan::Action,
        verdict::Window,
    };

    fn shown() -> Shown {
        let sent = Tally { sent_bytes: 9000, waiting_bytes: 1500, ..Tally::default() };
        let look = Look {
            window: Some(Window { busy: 0.25, measuring: true, ..Window::default() }),
            dropped: [("receive-buffer", 2), ("engine", 0), ("backlog", 0)],
            wanted: vec![("home-1".into(), true), ("home-2".into(), false)],
            links: [(("a\"b".to_owned(), "up"), (3, sent))].into(),
            ..Look::default()
        };
        let step = Step { number: "1".into(), action: "crash", kind: "fault", begun: 1e9, ended: None };
        Shown {
            runs: 2,
            links: vec![("a\"b".into(), "up", 2_000_000)],
            actions: [("crash", (1, 0))].into(),
            steps: [step].into(),
            look: Some(look),
            ..Shown::default()
        }
    }

    #[test]
    fn every_sample_follows_its_family_and_labels_are_escaped() {
        let text = of(&shown());
        assert!(text.contains("# TYPE peerbed_run_runs_total counter\npeerbed_run_runs_total 2\n"), "{text}");
        let asked = "peerbed_link_asked_bytes_per_second{class=\"a\\\"b\",direction=\"up\"} 250000\n";
        assert!(text.contains(asked), "{text}");
        assert!(text.contains("peerbed_link_sent_bytes_total{class=\"a\\\"b\",direction=\"up\"} 9000\n"), "{text}");
        assert!(
            text.contains("direction=\"up\",cause=\"queue\"} 0\n"),
            "a cause is there before its first drop: {text}"
        );
        assert!(
            text.contains("peerbed_host_busy_ratio 0.25\n") && text.contains("peerbed_host_measuring 1\n"),
            "{text}"
        );
        assert!(text.contains("peerbed_host_dropped_packets_total{cause=\"receive-buffer\"} 2\n"), "{text}");
        assert!(text.contains("peerbed_run_peer_wanted{peer=\"home-2\"} 0\n"), "{text}");
        assert!(!text.contains("peerbed_host_pressure_ratio"), "a kernel without pressure has no such series");
    }

    #[test]
    fn each_move_of_a_churn_is_told_and_the_oldest_make_room() {
        let board = Board::default();
        for number in 0..MOVES_MAX {
            board.moved(1, if number % 2 == 0 { "crash" } else { "join" }, &format!("home-{number}"));
        }
        board.moved(1, "leave", "home-x");
        let text = of(&board.lock());
        assert!(text.contains("peerbed_run_churn_moves_total{action=\"crash\"} 100\n"), "{text}");
        let told = text.lines().filter(|line| line.starts_with("peerbed_run_churn_move_timestamp_seconds{")).count();
        assert_eq!(told, MOVES_MAX);
        assert!(!text.contains("move=\"0\"") && text.contains("move=\"1\",action=\"join\",kind=\"work\""), "{text}");
        assert!(text.contains("move=\"200\",action=\"leave\",kind=\"fault\",peer=\"home-x\"} "), "{text}");
    }

    #[test]
    fn as_many_steps_are_told_as_a_topology_may_have() {
        let board = Board::default();
        (0..1_000).for_each(|number| board.step_begun(number, &Action::Crash(Vec::new())));
        let text = of(&board.lock());
        let told = text.lines().filter(|line| line.starts_with("peerbed_run_step_begun_timestamp_seconds{")).count();
        assert_eq!(told, 1_000);
    }

    #[test]
    fn a_step_is_told_with_its_instant_and_whether_it_disturbs() {
        let text = of(&shown());
        let line = "peerbed_run_step_begun_timestamp_seconds{step=\"1\",action=\"crash\",kind=\"fault\"} 1000000000\n";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("peerbed_run_step_ended_timestamp_seconds{"), "it has not ended");
    }
}
