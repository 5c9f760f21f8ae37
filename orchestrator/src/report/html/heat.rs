//! Heat maps: shares as colours over time, one row per thing.
//!
//! Cells of one colour that touch are drawn as one, and all of a colour as one path, so that thousands of cells stay
//! small and quick to show.

use std::fmt::Write;

use super::{
    figure::{Key, Shape},
    frame::{BOTTOM, HALF_WIDTH, LEFT, RIGHT, TOP},
    markup::{at, escape},
    scale::Scale,
};

/// A heat map in a drawing of half the page's width.
#[derive(Debug)]
pub(super) struct HeatMap {
    /// The end of the time that the columns cut into equal parts, in seconds.
    pub(super) end: f64,
    /// Shares from 0 to 1, row by row from the top; all rows are [`COLUMNS`] long.
    pub(super) rows: Vec<Vec<f64>>,
    /// Words beside rows, by place from 0 (top) to 1 (bottom).
    pub(super) labels: Vec<(f64, String)>,
    /// What the rows are.
    pub(super) name: &'static str,
}

impl HeatMap {
    pub(super) fn drawing(&self) -> String {
        let x = Scale::new(0.0, self.end, LEFT, HALF_WIDTH - RIGHT);
        let bottom = TOP + HEIGHT;
        let mut out = String::from("<g class=\"heat\">");
        for (level, path) in self.paths().iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let _ = write!(out, "<path class=\"l{level} fill\" d=\"{path}\"/>");
        }
        out.push_str("</g>\n<g class=\"axis\">");
        for (value, text) in x.ticks() {
            let place = at(x.at(value));
            let _ = write!(
                out,
                "<path class=\"tick\" d=\"M{place} {}v5\"/><text x=\"{place}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                at(bottom),
                at(bottom + 18.0)
            );
        }
        for (place, text) in &self.labels {
            let y = at(TOP + place * HEIGHT);
            let _ = write!(
                out,
                "<text x=\"{}\" y=\"{y}\" dy=\".32em\" text-anchor=\"end\">{}</text>",
                at(LEFT - 6.0),
                escape(text)
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">seconds since the begin</text>\
             <text class=\"name\" x=\"{}\" y=\"{}\">{}</text></g>",
            at(HALF_WIDTH - RIGHT),
            at(bottom + 34.0),
            at(LEFT - 40.0),
            at(TOP - 12.0),
            escape(self.name)
        );
        out
    }

    /// Height of the whole drawing.
    pub(super) fn height() -> f64 {
        TOP + HEIGHT + BOTTOM
    }

    /// One path per level, each holding the runs of equal cells.
    fn paths(&self) -> Vec<String> {
        let mut paths = vec![String::new(); LEVELS];
        let (width, tall) = ((HALF_WIDTH - LEFT - RIGHT) / COLUMNS as f64, HEIGHT / self.rows.len().max(1) as f64);
        for (index, row) in self.rows.iter().enumerate() {
            let levels: Vec<usize> = row.iter().map(|share| level(*share)).collect();
            let mut from = 0;
            for run in levels.chunk_by(|a, b| a == b) {
                let (x, wide) = (LEFT + from as f64 * width, run.len() as f64 * width);
                let y = TOP + index as f64 * tall;
                let _ = write!(paths[run[0]], "M{} {}h{}v{}h-{}z", at(x), at(y), at(wide), at(tall), at(wide));
                from += run.len();
            }
        }
        paths
    }
}

/// The colours' legend: nothing, half, everything.
pub(super) fn legend(nothing: &str, everything: &str) -> Vec<Key> {
    let key =
        |level: usize, words: &str| Key { class: format!("l{level}"), shape: Shape::Area, words: words.to_owned() };
    vec![key(0, nothing), key(2, "a quarter"), key(4, "half"), key(6, "three quarters"), key(LEVELS - 1, everything)]
}

/// 0 for nothing at all, the highest for everything, equal parts between.
pub(super) fn level(share: f64) -> usize {
    let inner = (LEVELS - 2) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of levels")]
    match share {
        s if s <= 0.0 || s.is_nan() => 0,
        s if s >= 1.0 => LEVELS - 1,
        s => 1 + (s * inner) as usize,
    }
}

/// Rows brought to at most [`ROWS_MAX`]: each the mean of as many neighbours as it takes.
pub(super) fn merged(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let together = rows.len().div_ceil(ROWS_MAX).max(1);
    if together == 1 {
        return rows;
    }
    let mean = |group: &[Vec<f64>]| {
        let column = |c: usize| group.iter().map(|row| row[c]).sum::<f64>() / group.len() as f64;
        (0..COLUMNS).map(column).collect()
    };
    rows.chunks(together).map(mean).collect()
}

/// Parts that the time is cut into.
pub(super) const COLUMNS: usize = 125;
/// Rows of 2 units at least, so that one is seen.
const ROWS_MAX: usize = 125;
/// Colours in `page.css`: one for nothing, one for everything, seven between.
pub(super) const LEVELS: usize = 9;
const HEIGHT: f64 = 250.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nothing_and_everything_have_the_ends_of_the_colours() {
        assert_eq!([0.0, 0.001, 0.5, 0.999, 1.0].map(level), [0, 1, 4, 7, 8]);
        assert_eq!(level(f64::NAN), 0);
    }

    #[test]
    fn equal_cells_become_one_and_each_colour_one_path() {
        let row = vec![0.0; COLUMNS];
        let mut other = vec![1.0; COLUMNS];
        other[0] = 0.0;
        let map = HeatMap { end: 10.0, rows: vec![row, other], labels: Vec::new(), name: "rows" };
        let paths = map.paths();
        assert_eq!((paths[0].matches('M').count(), paths[LEVELS - 1].matches('M').count()), (2, 1));
        assert_eq!(map.drawing().matches("<path class=\"l").count(), 2);
    }

    #[test]
    fn too_many_rows_are_merged_to_their_means() {
        let rows: Vec<Vec<f64>> = (0..250).map(|n| vec![f64::from(n % 2); COLUMNS]).collect();
        let merged = merged(rows);
        assert_eq!((merged.len(), merged[0][0]), (125, 0.5));
    }
}
