//! Figure: who had how much from whom in a swarm, which is what unchoking came to and not who was unchoked when: a row for each receiver, a column for each sender.

use std::fmt::Write;

use super::{
    figure::{Figure, Key, Shape},
    frame::HALF_WIDTH,
    heat::{LEVELS, level},
    markup::{Table, at, count, escape},
};
use crate::{
    record::{course::Course, outline::Outline},
    report::figures::bytes,
};

/// Bytes from each sender at each receiver; none where nobody says whom it had what from.
pub(super) fn figure(id: &str, course: &Course, outline: &Outline) -> Option<Figure> {
    let names: Vec<&str> =
        outline.peers.iter().map(|peer| peer.name.as_str()).filter(|name| course.parts.contains_key(*name)).collect();
    let numbers: Vec<Option<u32>> = names.iter().map(|name| outline.peer_id(name)).collect();
    let from = |receiver: &str, sender: Option<u32>| -> f64 {
        sender.and_then(|id| course.parts[receiver].received.get(&id)).map_or(0.0, |bytes| *bytes as f64)
    };
    let cells: Vec<Vec<f64>> =
        names.iter().map(|to| numbers.iter().map(|sender| from(to, *sender)).collect()).collect();
    if cells.iter().flatten().all(|bytes| *bytes == 0.0) {
        return None;
    }
    let merged = merged(&cells);
    let most = merged.iter().flatten().copied().fold(0.0, f64::max);
    let side = SIDE / merged.len() as f64;
    let mut paths = vec![String::new(); LEVELS];
    for (row, values) in merged.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            let (x, y) = (LEFT + column as f64 * side, TOP + row as f64 * side);
            let _ = write!(paths[level(value / most)], "M{} {}h{s}v{s}h-{s}z", at(x), at(y), s = at(side));
        }
    }
    let mut drawing = String::from("<g class=\"heat\">");
    for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let _ = write!(drawing, "<path class=\"l{level} fill\" d=\"{path}\"/>");
    }
    drawing.push_str("</g>\n");
    labels(&mut drawing, &names);
    let pairs = cells.iter().flatten().filter(|bytes| **bytes > 0.0).count();
    Some(Figure {
        id: format!("{id}-matrix"),
        title: "Who served whom, in bytes".into(),
        description: format!(
            "{} had something from {}; the strongest square stands for {}.",
            count(names.len(), "peer"),
            count(pairs, "pair partner"),
            size(most)
        ),
        caption: "New payload that a receiver (row) had from a sender (column): what unchoking came to. Unchokes themselves are \
                  counted by peers and not recorded pair by pair. Peers in the order of the plan."
            .into(),
        legend: legend(most),
        drawing,
        width: HALF_WIDTH,
        height: TOP + SIDE + BOTTOM,
        table: Some(table(&names, &cells)),
    })
}

/// Brought to at most [`ROWS_MAX`] rows and columns, each the mean of as many neighbours as it takes.
fn merged(cells: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let together = cells.len().div_ceil(ROWS_MAX).max(1);
    if together == 1 {
        return cells.to_vec();
    }
    let mean = |rows: &[Vec<f64>], columns: std::ops::Range<usize>| {
        let all = rows.iter().flat_map(|row| &row[columns.clone()]);
        all.sum::<f64>() / (rows.len() * columns.len()) as f64
    };
    let all = cells.len();
    let starts: Vec<usize> = (0..all).step_by(together).collect();
    let row = |rows: &[Vec<f64>]| starts.iter().map(|from| mean(rows, *from..(from + together).min(all))).collect();
    cells.chunks(together).map(row).collect()
}

fn labels(out: &mut String, names: &[&str]) {
    let shown = |name: &str| escape(&name.chars().take(NAME_MAX).collect::<String>());
    out.push_str("<g class=\"axis\">");
    let step = names.len().div_ceil(LABELS_MAX).max(1);
    for (n, name) in names.iter().enumerate().step_by(step) {
        let middle = (n as f64 + 0.5) * SIDE / names.len() as f64;
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{}\" dy=\".32em\" text-anchor=\"end\">{}</text>",
            at(LEFT - 6.0),
            at(TOP + middle),
            shown(name)
        );
    }
    let (first, last) = (names.first().copied().unwrap_or_default(), names.last().copied().unwrap_or_default());
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{y}\">{}</text><text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>\
         <text class=\"name\" x=\"{}\" y=\"{y}\" text-anchor=\"middle\">senders</text>\
         <text class=\"name\" x=\"{}\" y=\"{}\">receivers</text></g>",
        at(LEFT),
        shown(first),
        at(LEFT + SIDE),
        shown(last),
        at(LEFT + SIDE / 2.0),
        at(LEFT - 60.0),
        at(TOP - 12.0),
        y = at(TOP + SIDE + 18.0)
    );
}

fn legend(most: f64) -> Vec<Key> {
    let key = |level: usize, words: String| Key { class: format!("l{level}"), shape: Shape::Area, words };
    vec![key(0, "nothing".into()), key(4, size(most / 2.0)), key(LEVELS - 1, size(most))]
}

fn table(names: &[&str], cells: &[Vec<f64>]) -> Table {
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (to, row) in cells.iter().enumerate() {
        pairs.extend(row.iter().enumerate().filter(|(_, bytes)| **bytes > 0.0).map(|(from, bytes)| (*bytes, from, to)));
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut table = Table::new("The strongest pairs", &["sender", "receiver", "payload"], 2);
    for (sent, from, to) in pairs.into_iter().take(PAIRS_MAX) {
        table.row([names[from].to_owned(), names[to].to_owned(), size(sent)]);
    }
    table
}

fn size(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
    let whole = value as u64;
    bytes(whole)
}

const SIDE: f64 = 430.0;
const LEFT: f64 = 96.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 30.0;
/// Squares of 4 units at least, so that one is seen.
const ROWS_MAX: usize = 100;
/// Names beside rows that do not crowd each other.
const LABELS_MAX: usize = 24;
const NAME_MAX: usize = 12;
/// Pairs in the table; more are in the samples.
const PAIRS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_peers_are_merged_to_means() {
        let cells = vec![vec![2.0; 150]; 150];
        let merged = merged(&cells);
        assert_eq!((merged.len(), merged[0].len(), merged[74][74]), (75, 75, 2.0));
    }

    #[test]
    fn a_swarm_of_which_nobody_says_who_served_has_no_figure() {
        assert!(figure("d0", &crate::report::html::fixture::course(3, 4), &Outline::default()).is_none());
    }
}
