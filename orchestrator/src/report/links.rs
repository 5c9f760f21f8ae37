//! The summary's words on links: asked and measured, in a table where there are few, and what is out of tolerance always.

use comfy_table::CellAlignment;

use super::{figures, line, table};
use crate::{
    results::Results,
    verify::found::{LinkFound, Measured, State},
};

/// Says how links were measured; nothing about a run that did not come so far.
pub(super) fn summary(text: &mut String, results: &Results) {
    match results.verification.state {
        State::Unfinished => return,
        State::Skipped => return line(text, "links: not measured (--no-verify)"),
        State::Done => {}
    }
    let measured: Vec<(&LinkFound, &Measured)> =
        results.links.iter().filter_map(|link| Some((link, link.measured.as_ref()?))).collect();
    let out = |(link, _): &&(&LinkFound, &Measured)| link.within_tolerance == Some(false);
    let shown: Vec<_> =
        if measured.len() <= ROWS_MAX { measured.iter().collect() } else { measured.iter().filter(out).collect() };
    let good = measured.len() - measured.iter().filter(out).count();
    if !shown.is_empty() {
        text.push_str(&rows(shown.iter().take(ROWS_MAX).map(|(link, measured)| (*link, *measured))));
    }
    let mut words = format!("links: {good} of {} directions as asked for", measured.len());
    if !results.latencies.is_empty() {
        let good = results.latencies.iter().filter(|latency| latency.within_tolerance == Some(true)).count();
        words.push_str(&format!(", {good} of {} latencies between regions", results.latencies.len()));
    }
    line(text, &format!("{words} (measured in {:.1} s)", results.verification.seconds));
}

fn rows<'a>(all: impl Iterator<Item = (&'a LinkFound, &'a Measured)>) -> String {
    let header = ["link", "", "rate asked", "measured", "delay asked", "measured", "loss asked", "measured", ""];
    let mut table = table(&header);
    for (link, measured) in all {
        let verdict = if link.within_tolerance == Some(false) { "out of tolerance" } else { "ok" };
        table.add_row([
            link.class.clone(),
            link.direction.clone(),
            rate(link.asked.rate_bps),
            rate(measured.rate_bps),
            milliseconds(Some(link.asked.delay_s)),
            milliseconds(measured.delay_s),
            share(Some(link.asked.loss)),
            share(measured.loss),
            verdict.to_owned(),
        ]);
    }
    for index in 2..8 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

pub(super) fn rate(bits_per_second: Option<u64>) -> String {
    let Some(rate) = bits_per_second else { return figures::NONE.into() };
    let rate = rate as f64;
    let (value, unit) = match rate {
        r if r >= 1e9 => (r / 1e9, "Gbit/s"),
        r if r >= 1e6 => (r / 1e6, "Mbit/s"),
        r => (r / 1e3, "kbit/s"),
    };
    format!("{value:.2} {unit}")
}

pub(super) fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| figures::NONE.into(), |s| format!("{:.2} ms", s * 1e3))
}

pub(super) fn share(share: Option<f64>) -> String {
    share.map_or_else(|| figures::NONE.into(), |share| format!("{:.2} %", share * 100.0))
}

/// Three classes of links; more are a list that nobody reads before the distributions.
const ROWS_MAX: usize = 6;
