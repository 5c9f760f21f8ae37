//! What was asked of rings, and how they and distributions recovered, as tables.

use comfy_table::CellAlignment;

use super::{figures, line, table};
use crate::results::{Lookups, Recovery, Results, Spread};

/// Appends both tables, where there is something in them.
pub(super) fn summary(text: &mut String, results: &Results) {
    if !results.lookups.is_empty() {
        line(text, &lookups(&results.lookups));
    }
    if !results.recoveries.is_empty() {
        line(text, &recoveries(results));
    }
    for ring in results.rings.iter().filter(|ring| !ring.right) {
        line(text, &format!("ring {}: not right at the end of the run", ring.name));
    }
    for ring in results.rings.iter().filter(|ring| !ring.hostile.is_empty() && !ring.dropped.is_empty()) {
        let dropped: Vec<String> = ring.dropped.iter().map(|(why, count)| format!("{why} {count}")).collect();
        line(text, &format!("honest members of ring {} did not take: {}", ring.name, dropped.join(", ")));
    }
}

fn lookups(all: &[Lookups]) -> String {
    let header = ["ring", "asked", "count", "correct", "wrong", "failed", "hops", "p99", "latency p50", "p99"];
    let mut made = table(&header);
    for it in all {
        let of = |spread: Option<Spread>, of: fn(Spread) -> f64| spread.map(of);
        let hops = |value: Option<f64>| value.map_or_else(|| figures::NONE.to_owned(), |hops| format!("{hops:.2}"));
        made.add_row(vec![
            it.ring.clone(),
            if it.name == it.ring || it.name == it.action {
                it.action.clone()
            } else {
                format!("{} {}", it.action, it.name)
            },
            it.count.to_string(),
            it.correct.to_string(),
            it.wrong.to_string(),
            it.failed.to_string(),
            hops(of(it.hops, |spread| spread.mean)),
            hops(of(it.hops, |spread| spread.p99)),
            milliseconds(of(it.latency_seconds, |spread| spread.p50)),
            milliseconds(of(it.latency_seconds, |spread| spread.p99)),
        ]);
    }
    for index in 2..header.len() {
        if let Some(column) = made.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    made.to_string()
}

/// One row for each ring or distribution and kind of fault.
fn recoveries(results: &Results) -> String {
    let mut made = table(&["hit", "fault", "count", "recovered p50", "longest", "never"]);
    let mut kinds: Vec<(&str, &str)> = Vec::new();
    for it in &results.recoveries {
        if !kinds.contains(&(hit(results, it), it.fault.as_str())) {
            kinds.push((hit(results, it), &it.fault));
        }
    }
    for (name, fault) in kinds {
        let is_alike = |it: &&Recovery| hit(results, it) == name && it.fault == fault;
        let own: Vec<&Recovery> = results.recoveries.iter().filter(is_alike).collect();
        let mut times: Vec<f64> = own.iter().filter_map(|it| it.recovered_seconds).collect();
        times.sort_by(f64::total_cmp);
        made.add_row(vec![
            name.to_owned(),
            fault.to_owned(),
            own.len().to_string(),
            figures::seconds(crate::results::percentile(&times, 0.5)),
            figures::seconds(times.last().copied()),
            (own.len() - times.len()).to_string(),
        ]);
    }
    for index in 2..6 {
        if let Some(column) = made.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    made.to_string()
}

/// The name of the ring or the distribution that was hit.
fn hit<'a>(results: &'a Results, it: &'a Recovery) -> &'a str {
    let distribution =
        results.distributions.iter().find(|other| !it.distribution.is_empty() && other.id == it.distribution);
    distribution.map_or(&it.ring, |distribution| &distribution.name)
}

fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| figures::NONE.to_owned(), |seconds| format!("{:.0} ms", 1_000.0 * seconds))
}
