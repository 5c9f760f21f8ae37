//! The run as Prometheus text.

use std::fmt::Write;

use super::Shown;

/// All series of the run that is shown.
pub(super) fn of(shown: &Shown) -> String {
    let mut out = Text::default();
    out.family("peerbed_run_runs_total", "counter", "Runs that have begun since this program started");
    out.sample(&[], shown.runs as f64);
    out.family("peerbed_run_peers", "gauge", "Peers of the plan that export metrics");
    out.sample(&[], shown.peers.len() as f64);
    out.family("peerbed_run_distribution_progress_ratio", "gauge", "Share of the wanted pieces that have arrived");
    for view in &shown.views {
        out.sample(&[("distribution", &view.name), ("via", view.via)], view.progress());
    }
    out.family("peerbed_run_distribution_peers_completed", "gauge", "Required peers that have the whole file");
    for view in &shown.views {
        out.sample(&[("distribution", &view.name), ("via", view.via)], view.peers_done as f64);
    }
    out.family("peerbed_run_distribution_peers_required", "gauge", "Peers whose completion is waited for");
    for view in &shown.views {
        out.sample(&[("distribution", &view.name), ("via", view.via)], view.peers as f64);
    }
    out.family(
        "peerbed_link_asked_rate_bits_per_second",
        "gauge",
        "Nominal rate of a class of links, over whole IP packets",
    );
    for (class, direction, rate) in &shown.links {
        out.sample(&[("class", class), ("direction", direction)], *rate as f64);
    }
    host(&mut out, shown);
    out.0
}

/// The host in the last window, as the verdict sees it; nothing before the first.
fn host(out: &mut Text, shown: &Shown) {
    let Some(window) = &shown.window else { return };
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
    use crate::verdict::Window;

    #[test]
    fn every_sample_follows_its_family_and_labels_are_escaped() {
        let shown = Shown {
            runs: 2,
            links: vec![("a\"b".into(), "up", 2_000_000)],
            window: Some(Window { busy: 0.25, measuring: true, ..Window::default() }),
            ..Shown::default()
        };
        let text = of(&shown);
        assert!(text.contains("# TYPE peerbed_run_runs_total counter\npeerbed_run_runs_total 2\n"), "{text}");
        assert!(
            text.contains("peerbed_link_asked_rate_bits_per_second{class=\"a\\\"b\",direction=\"up\"} 2000000\n"),
            "{text}"
        );
        assert!(
            text.contains("peerbed_host_busy_ratio 0.25\n") && text.contains("peerbed_host_measuring 1\n"),
            "{text}"
        );
        assert!(!text.contains("peerbed_host_pressure_ratio"), "a kernel without pressure has no such series");
    }
}
