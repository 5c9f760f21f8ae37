//! Figure: what each distribution took, beside the least time possible.

use std::fmt::Write;

use super::{
    figure::{Figure, Key, Shape, series_class},
    frame::{WHOLE_WIDTH, ruler},
    markup::{Table, at, escape},
    scale::Scale,
};
use crate::{
    report::figures::{self, bytes, ratio, seconds},
    results::Distribution,
};

/// One bar per distribution with its bound as a line across it; none where nothing was distributed.
pub(super) fn figure(all: &[Distribution]) -> Option<Figure> {
    let highest =
        all.iter().flat_map(|d| [d.seconds, d.bound_seconds, d.optimum_seconds]).flatten().fold(0.0, f64::max);
    let x = Scale::from_zero(highest.max(f64::MIN_POSITIVE), LEFT, WHOLE_WIDTH - RIGHT);
    if all.is_empty() {
        return None;
    }
    let bottom = TOP + all.len() as f64 * ROW;
    let mut drawing = ruler(&x, (TOP - 6.0, bottom), "seconds");
    for (index, distribution) in all.iter().enumerate() {
        row(&mut drawing, distribution, index, &x);
    }
    Some(Figure {
        id: "times".into(),
        title: "Distribution time and its bound".into(),
        description: all.iter().map(sentence).collect::<Vec<_>>().join(" "),
        caption:
            "From the common begin to the last required completion; the dashed line is the least time possible with \
                  the nominal rates of the links."
                .into(),
        legend: vec![Key { class: "ink".into(), shape: Shape::Dashes, words: "bound".into() }],
        drawing,
        width: WHOLE_WIDTH,
        height: bottom + BOTTOM,
        table: Some(table(all)),
    })
}

/// `release via swarm: 18.3 s, 1.09 times its bound of 16.8 s (total-upload).`
pub(super) fn sentence(distribution: &Distribution) -> String {
    let mut text = format!("{} via {}: ", distribution.name, distribution.via);
    match distribution.seconds {
        Some(_) => text.push_str(&format!("{} s", seconds(distribution.seconds))),
        None => text.push_str("not completed"),
    }
    if let (Some(r), Some(_)) = (distribution.ratio, distribution.bound_seconds) {
        let term = distribution.bound_term.as_deref().unwrap_or("bound");
        let bound = seconds(distribution.bound_seconds);
        text.push_str(&format!(", {} times its bound of {bound} s ({term})", ratio(Some(r))));
    }
    text.push('.');
    text
}

fn row(out: &mut String, distribution: &Distribution, index: usize, x: &Scale) {
    let top = TOP + index as f64 * ROW;
    let (bar, left) = (top + 22.0, x.at(0.0));
    let name = format!("{} via {}", distribution.name, distribution.via);
    let _ = write!(
        out,
        "<g class=\"{}\"><text class=\"strong\" x=\"{}\" y=\"{}\">{}</text>",
        series_class(index),
        at(left),
        at(top + 14.0),
        escape(&name)
    );
    let words = match (distribution.seconds, distribution.ratio) {
        (Some(s), Some(r)) => format!("{} s · {} × bound", seconds(Some(s)), ratio(Some(r))),
        (Some(s), None) => format!("{} s · nothing bounds it", seconds(Some(s))),
        (None, _) => "not completed".into(),
    };
    let right = at(WHOLE_WIDTH - RIGHT);
    let _ =
        write!(out, "<text class=\"figure\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">{words}</text>", at(top + 14.0));
    if let Some(measured) = distribution.seconds {
        let width = at(x.at(measured) - left);
        let _ = write!(
            out,
            "<rect class=\"fill\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{BAR}\" rx=\"2\"><title>{}</title></rect>",
            at(left),
            at(bar),
            escape(&sentence(distribution))
        );
    }
    out.push_str("</g>");
    if let Some(bound) = distribution.bound_seconds {
        let _ = write!(
            out,
            "<g class=\"ink\"><path class=\"bound\" d=\"M{} {}v{}\"/></g>",
            at(x.at(bound)),
            at(bar - 5.0),
            at(BAR + 10.0)
        );
    }
    out.push('\n');
}

fn table(all: &[Distribution]) -> Table {
    let header = [
        "distribution",
        "via",
        "bound by",
        "peers",
        "size",
        "seconds",
        "bound",
        "ratio",
        "optimum",
        "p50",
        "p95",
        "wasted",
    ];
    let mut table = Table::new("What each distribution took", &header, 3);
    for d in all {
        table.row([
            d.name.clone(),
            d.via.clone(),
            d.bound_term.clone().unwrap_or_else(|| figures::NONE.into()),
            d.peers.to_string(),
            bytes(d.bytes),
            seconds(d.seconds),
            seconds(d.bound_seconds),
            ratio(d.ratio),
            seconds(d.optimum_seconds),
            seconds(d.p50_seconds),
            seconds(d.p95_seconds),
            d.wasted_bytes.map_or_else(|| figures::NONE.into(), bytes),
        ]);
    }
    table
}

const LEFT: f64 = 12.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 38.0;
/// Height of a row: words above, the bar below.
const ROW: f64 = 62.0;
const BAR: f64 = 24.0;
